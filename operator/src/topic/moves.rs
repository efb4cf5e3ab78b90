//! Which replicas of a topic move, so that there are as many as are wanted, where they may be.

use super::ledger::{Ledger, partitions};
use super::observe::Live;
use super::verdict::{About, Refusal, Verdict, reason};
use crate::admin::proto::{Topic, TopicPartition};
use crate::admin::{is_moving, source, target};
use crate::crd::{KafkaTopicSpec, Placement};
use crate::rebalance::{Broker, Move, Partition, resize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// How long moves that wait for others wait before they look again.
const WAIT: Duration = Duration::from_secs(2);

/// What moves.
#[derive(Debug, Default)]
pub struct Moves {
    /// To begin now.
    pub begin: Vec<Move>,
    /// Partitions that are on their way to where they are wanted.
    pub under_way: usize,
    /// Partitions that have to wait until fewer move, or until a move of their own by somebody else is done.
    pub waiting: usize,
}

impl Moves {
    /// What is said of a topic that needs nothing else.
    pub fn verdict(&self, topic: &Arc<Topic>) -> Verdict {
        let message = match (self.under_way, self.waiting) {
            (0, 0) => return Verdict::as_wanted(topic.clone()),
            (0, waiting) => format!("{waiting} partitions wait to be moved: too many others are being moved"),
            (moving, 0) => format!("{moving} partitions are being moved"),
            (moving, waiting) => format!("{moving} partitions are being moved, and {waiting} wait for that"),
        };
        let again = (self.waiting > 0).then_some(WAIT);
        Verdict::progresses(reason::MOVING, message, About::This(topic.clone()), again)
    }
}

/// Decides which partitions move. Errors: `NotEnoughBrokers`.
pub fn plan(spec: &KafkaTopicSpec, live: &Live, topic: &Arc<Topic>, ledger: &mut Ledger) -> Result<Moves, Refusal> {
    let rules = Rules::new(spec, live);
    let mut moves = Moves::default();
    let mut misplaced = Vec::new();
    for (partition, place) in topic.partitions.iter().zip(partitions(topic)) {
        match rules.stand(partition) {
            Stand::Fits => {}
            Stand::UnderWay => moves.under_way += 1,
            Stand::Waits => moves.waiting += 1,
            Stand::Misplaced => misplaced.push(place),
        }
    }
    if misplaced.is_empty() {
        return Ok(moves);
    }
    let needed = misplaced.len();
    moves.begin = resized(spec, live, misplaced, ledger)?;
    let known = usize::try_from(live.view.state.reassignments.as_ref().map_or(0, |list| list.count)).unwrap_or(0);
    let most = usize::try_from(live.cluster.spec.rebalance.max_moves_at_once).unwrap_or(1);
    moves.begin.truncate(ledger.free(&topic.name, moves.under_way, known, most));
    moves.waiting += needed - moves.begin.len().min(needed);
    Ok(moves)
}

/// Where these partitions go.
fn resized(
    spec: &KafkaTopicSpec,
    live: &Live,
    misplaced: Vec<Partition>,
    ledger: &mut Ledger,
) -> Result<Vec<Move>, Refusal> {
    let brokers = eligible(live, spec.placement.as_ref());
    // Where the number is not said, each partition keeps its own.
    let mut by_factor: BTreeMap<usize, Vec<Partition>> = BTreeMap::new();
    for partition in misplaced {
        let factor = spec.replication_factor.map_or(partition.replicas.len(), |factor| factor.max(1) as usize);
        by_factor.entry(factor).or_default().push(partition);
    }
    let load = ledger.load(&live.view.topics);
    let mut moves = Vec::new();
    for (factor, partitions) in by_factor {
        let factor = enough(&brokers, factor, live, spec.placement.as_ref())?;
        let planned = resize(&brokers, load, &partitions, factor);
        moves.extend(planned.map_err(|refusal| not_enough(refusal.to_string()))?);
    }
    moves.sort_by_key(|one| one.partition);
    Ok(moves)
}

/// The brokers that may be given replicas: they live, they stay, and the placement allows them.
pub fn eligible(live: &Live, placement: Option<&Placement>) -> Vec<Broker> {
    let stays = |id: i32| id < live.cluster.spec.brokers.replicas;
    let brokers = live.view.state.brokers.iter();
    let brokers = brokers.filter(|broker| !broker.fenced && !broker.in_controlled_shutdown && stays(broker.id));
    let brokers = brokers.filter(|broker| allows(placement, broker.id, broker.rack.as_deref()));
    brokers.map(|broker| Broker { id: broker.id, rack: broker.rack.clone() }).collect()
}

/// The replication factor, if there are as many brokers. Errors: `NotEnoughBrokers`, with the numbers.
pub fn enough(
    brokers: &[Broker],
    replication_factor: usize,
    live: &Live,
    placement: Option<&Placement>,
) -> Result<usize, Refusal> {
    if brokers.len() >= replication_factor && replication_factor > 0 {
        return Ok(replication_factor);
    }
    let wanted = live.cluster.spec.brokers.replicas;
    let which = if placement.is_some() { " that spec.placement allows" } else { "" };
    Err(not_enough(format!(
        "{replication_factor} replicas are wanted, and {} brokers{which} can take them now; the KafkaCluster has {wanted}",
        brokers.len()
    )))
}

fn not_enough(message: String) -> Refusal {
    Refusal { reason: reason::NOT_ENOUGH_BROKERS, message }
}

fn allows(placement: Option<&Placement>, id: i32, rack: Option<&str>) -> bool {
    let Some(Placement { brokers, racks }) = placement else { return true };
    brokers.as_ref().is_none_or(|brokers| brokers.contains(&id))
        && racks.as_ref().is_none_or(|racks| rack.is_some_and(|rack| racks.iter().any(|one| one == rack)))
}

/// How a partition stands to what is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stand {
    Fits,
    UnderWay,
    /// It moves, and to where it is not wanted: another move is begun after that.
    Waits,
    Misplaced,
}

/// What is wanted of the replicas of each partition.
struct Rules<'a> {
    replication_factor: Option<usize>,
    placement: Option<&'a Placement>,
    /// The brokers that the controllers hear.
    live: BTreeSet<i32>,
    /// The racks of the brokers, where a placement is about these.
    racks: BTreeMap<i32, Option<&'a str>>,
}

impl<'a> Rules<'a> {
    fn new(spec: &'a KafkaTopicSpec, live: &'a Live) -> Rules<'a> {
        let replication_factor = spec.replication_factor.map(|factor| usize::try_from(factor).unwrap_or(1));
        let placement = spec.placement.as_ref();
        let brokers = live.view.state.brokers.iter().filter(|_| placement.is_some());
        let live = live.view.state.brokers.iter().filter(|one| !one.fenced).map(|one| one.id).collect();
        Rules { replication_factor, placement, live, racks: brokers.map(|one| (one.id, one.rack.as_deref())).collect() }
    }

    fn stand(&self, partition: &TopicPartition) -> Stand {
        match (is_moving(partition), self.fit(&target(partition)), self.fit(&source(partition))) {
            (_, true, true) | (false, true, false) => Stand::Fits,
            (true, true, false) => Stand::UnderWay,
            // One that dies on the way never arrives.
            (true, false, _) if partition.adding.iter().all(|id| self.live.contains(id)) => Stand::Waits,
            (_, false, _) => Stand::Misplaced,
        }
    }

    fn fit(&self, replicas: &[i32]) -> bool {
        self.replication_factor.is_none_or(|factor| replicas.len() == factor)
            && (self.placement.is_none() || replicas.iter().all(|id| self.may_hold(*id)))
    }

    /// The rack of a broker that is not registered is not known, and its replicas do not move for that.
    fn may_hold(&self, id: i32) -> bool {
        match self.racks.get(&id) {
            Some(rack) => allows(self.placement, id, *rack),
            None => {
                let brokers = self.placement.and_then(|placement| placement.brokers.as_ref());
                brokers.is_none_or(|brokers| brokers.contains(&id))
            }
        }
    }
}
