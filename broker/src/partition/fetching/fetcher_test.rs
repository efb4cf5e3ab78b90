//! What a fetcher makes of answers, without a connection.

use super::*;
use crate::log::LogConfig;
use crate::partition::Acks;
use crate::partition::testing::{NOW, Node, TOPIC_ID, append, contents, registration};
use crate::protocol::Blob;

const KEY: Key = (TOPIC_ID, 0);

/// A follower of broker 1, and that.
struct Pair {
    leader: Arc<Partition>,
    follower: Arc<Partition>,
    fetcher: Fetcher,
    _nodes: [Node; 2],
}

impl Pair {
    fn new() -> Pair {
        let nodes = [Node::new(1, LogConfig::default()), Node::new(2, LogConfig::default())];
        let [leader, follower] = nodes.each_ref().map(|node| node.create(0));
        for partition in [&leader, &follower] {
            partition.apply(&registration(1, 1, 1, &[1, 2]));
        }
        let orders = Arc::<Orders>::default();
        let fetcher = Fetcher::new(1, FetcherSettings::default(), 2, Arc::new(|| 200), orders, Arc::default());
        let mut pair = Pair { leader, follower, fetcher, _nodes: nodes };
        pair.order();
        pair
    }

    fn order(&mut self) {
        self.fetcher.orders.add(Order::Follow(self.follower.clone()));
        self.fetcher.take_orders();
    }

    /// The next request, as it would be sent. Whether it names the partition.
    fn ask(&mut self) -> bool {
        let names = !self.fetcher.name_due().is_empty();
        self.fetcher.next_request += 1;
        names
    }

    /// The answer to the request that is next.
    fn answer(&mut self, data: PartitionData<'_>) {
        self.fetcher.partition_answered(KEY, &data, NOW, &mut Vec::new());
        self.fetcher.next_answer += 1;
    }

    fn end(&self) -> i64 {
        self.follower.log_end().end
    }
}

fn records(bytes: &[u8]) -> PartitionData<'_> {
    PartitionData {
        high_watermark: 1,
        log_start_offset: 0,
        records: Some(Records::Inline(Blob::Borrowed(bytes))),
        ..nothing()
    }
}

fn nothing() -> PartitionData<'static> {
    PartitionData { high_watermark: 0, ..Default::default() }
}

fn diverging(epoch: i32, end_offset: i64) -> PartitionData<'static> {
    PartitionData { diverging_epoch: EpochEndOffset { epoch, end_offset }, ..nothing() }
}

#[test]
fn an_answer_to_what_was_asked_before_does_not_count() {
    let mut pair = Pair::new();
    append(&pair.leader, "value", Acks::Leader).unwrap();
    let sent = contents(&pair.leader);
    assert!(pair.ask());
    pair.order();
    pair.answer(records(&sent));
    assert_eq!(pair.end(), 0, "it is to be named anew");
    assert!(pair.ask() && !pair.ask(), "and then is no more");
    pair.answer(records(&sent));
    assert_eq!(pair.end(), 1);
    assert!(pair.ask());
}

#[test]
fn a_second_answer_to_the_same_question_cuts_nothing() {
    let mut pair = Pair::new();
    append(&pair.leader, "value", Acks::Leader).unwrap();
    let sent = contents(&pair.leader);
    // Two requests under way, of which the second names others.
    assert!(pair.ask() && !pair.ask());
    pair.answer(records(&sent));
    assert_eq!(pair.end(), 1);
    assert!(pair.ask());
    pair.answer(diverging(1, 0));
    assert_eq!((pair.end(), pair.follower.high_watermark()), (1, 1), "the leader has not heard how far it is");
    pair.answer(diverging(1, 0));
    assert_eq!(pair.end(), 0, "to what was asked");
}

#[test]
fn a_partition_that_is_named_stays_known_until_it_is_named_anew() {
    let mut pair = Pair::new();
    assert!(pair.ask());
    pair.answer(nothing());
    assert!(!pair.ask(), "nothing has changed");
    append(&pair.leader, "value", Acks::Leader).unwrap();
    pair.answer(records(&contents(&pair.leader)));
    assert_eq!(pair.end(), 1);
}
