//! Brokers whose connections have just broken, and those that were fenced a moment ago.
//!
//! - A client that loses its leader asks another broker at once who leads now: before the controller can have decided. Told
//!   the old leader once more, librdkafka asks again a second later (its topic scan), and writes nothing until then. So the
//!   answer waits for the decision, which takes some ten milliseconds, or some hundred where the active controller itself
//!   has vanished.
//! - It waits for [`PATIENCE`] at most, and not for a loss that is longer ago: a decision that has not come by then may never
//!   come, as where a majority of the controllers is gone. And only for leaders that it would name.
//! - A broker that was fenced without a controlled shutdown stays in the lists that clients are given for as long as Kafka
//!   takes to fence one. By then a process that was restarted is back. librdkafka takes down what it holds of a broker that
//!   leaves the list, the new leaders of its partitions too, and waits for its topic scan again.
//!
//! Deliberately absent: an opinion of its own. Which brokers live is the controller's to say.

use super::image::MetadataImage;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long after the loss of a broker the controller's word on it is waited for.
const PATIENCE: Duration = Duration::from_millis(800);
/// How long a fenced broker is listed: Kafka's default of `broker.session.timeout.ms`.
const LISTED: Duration = Duration::from_secs(9);

/// What is known of each broker.
#[derive(Default)]
pub struct Vanished(watch::Sender<BTreeMap<i32, Standing>>);

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Standing {
    /// When the connection to it broke, if nothing was heard over another one since.
    lost: Option<Instant>,
    /// When it was last fenced, if it did not shut down in order.
    failed: Option<Instant>,
    /// By the newest metadata, which others are shown in a moment.
    is_fenced: Option<bool>,
}

/// The newest metadata, and who is listed though it is fenced.
pub struct Settled {
    pub image: Arc<MetadataImage>,
    pub listed: Vec<i32>,
}

impl Vanished {
    /// The connection to a broker broke, or could not be opened. What counts is the first time.
    pub fn lost(&self, broker: i32) {
        self.change(broker, |standing| {
            if standing.is_fenced != Some(true) {
                standing.lost.get_or_insert_with(Instant::now);
            }
        });
    }

    /// The broker has answered, or nobody has anything to ask it.
    pub fn found(&self, broker: i32) {
        self.change(broker, |standing| standing.lost = None);
    }

    /// Takes note of what the controller has decided; to be called before anybody is shown the image.
    pub fn decided(&self, image: &MetadataImage) {
        for broker in image.brokers.values() {
            self.change(broker.id, |standing| match (broker.fenced, standing.is_fenced) {
                (true, Some(true)) | (false, Some(false)) => {}
                // Of one that was fenced when this node came to know of it nobody knows since when.
                (_, None) => standing.is_fenced = Some(broker.fenced),
                (true, Some(false)) => {
                    standing.is_fenced = Some(true);
                    standing.failed = (!broker.in_controlled_shutdown).then(Instant::now);
                }
                (false, Some(true)) => {
                    standing.is_fenced = Some(false);
                    standing.lost = None;
                }
            });
        }
    }

    fn change(&self, broker: i32, how: impl FnOnce(&mut Standing)) {
        self.0.send_if_modified(|all| {
            let standing = all.entry(broker).or_default();
            let before = *standing;
            how(standing);
            *standing != before
        });
    }

    /// Waits for what the controller has to decide on those who vanished a moment ago, as far as they are `of_interest`.
    pub async fn settled(
        &self,
        images: &mut watch::Receiver<Arc<MetadataImage>>,
        of_interest: impl Fn(&MetadataImage, i32) -> bool,
    ) -> Settled {
        let mut changes = self.0.subscribe();
        let deadline = Instant::now() + PATIENCE;
        loop {
            let image = images.borrow_and_update().clone();
            let now = Instant::now();
            let standings: Vec<_> = changes.borrow_and_update().iter().map(|(broker, it)| (*broker, *it)).collect();
            let shown_alive = standings.iter().filter(|(broker, _)| image.live_broker(*broker).is_some());
            let open = shown_alive.filter_map(|(broker, it)| Some((*broker, it.open_until(deadline)?.min(deadline))));
            let open = open.filter(|(broker, until)| *until > now && of_interest(&image, *broker));
            let Some(until) = open.map(|(_, until)| until).min() else {
                let listed = standings.iter().filter(|(_, it)| it.failed.is_some_and(|failed| now < failed + LISTED));
                return Settled { image, listed: listed.map(|(broker, _)| *broker).collect() };
            };
            tokio::select! {
                Ok(()) = images.changed() => {}
                Ok(()) = changes.changed() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
    }
}

impl Standing {
    /// Until when an image that shows the broker alive is not the last word on it; `None` where it is.
    fn open_until(&self, deadline: Instant) -> Option<Instant> {
        if self.is_fenced == Some(true) { Some(deadline) } else { self.lost.map(|since| since + PATIENCE) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::delta::ImageDelta;
    use crate::controller::records::MetadataRecord;
    use crate::protocol::messages::metadata_records::{BrokerRegistrationChangeRecord, RegisterBrokerRecord};

    /// Brokers 1 and 2, of which some are fenced.
    fn image(fenced: &[i32]) -> Arc<MetadataImage> {
        let mut image = MetadataImage::default();
        for broker_id in [1, 2] {
            let record = RegisterBrokerRecord { broker_id, fenced: fenced.contains(&broker_id), ..Default::default() };
            image.replay(&MetadataRecord::from(record), &mut ImageDelta::default()).unwrap();
        }
        Arc::new(image)
    }

    /// How long the answer takes, and whether broker 1 is alive in it.
    async fn ask(vanished: &Vanished, mut images: watch::Receiver<Arc<MetadataImage>>) -> (Duration, bool) {
        let start = Instant::now();
        let settled = vanished.settled(&mut images, |_, broker| broker == 1).await;
        (start.elapsed(), settled.image.live_broker(1).is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_nobody_has_vanished() {
        let (_images, receiver) = watch::channel(image(&[2]));
        let vanished = Vanished::default();
        assert_eq!(ask(&vanished, receiver.clone()).await, (Duration::ZERO, true));
        vanished.lost(2);
        assert_eq!(ask(&vanished, receiver).await, (Duration::ZERO, true), "it is of no interest");
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_waits_for_the_decision() {
        let (images, receiver) = watch::channel(image(&[]));
        let vanished = Vanished::default();
        vanished.decided(&image(&[]));
        vanished.lost(1);
        let decide = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            images.send_replace(image(&[]));
            tokio::time::sleep(Duration::from_millis(300)).await;
            vanished.decided(&image(&[1]));
            vanished.found(1);
            tokio::time::sleep(Duration::from_millis(1)).await;
            images.send_replace(image(&[1]));
        };
        let (answer, ()) = tokio::join!(ask(&vanished, receiver), decide);
        assert_eq!(answer, (Duration::from_millis(601), false), "what it is told first is shown a moment later");
        vanished.decided(&image(&[]));
        let (_images, back) = watch::channel(image(&[]));
        assert_eq!(ask(&vanished, back).await, (Duration::ZERO, true), "it is back");
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_is_opened_again_ends_the_wait() {
        let (_images, receiver) = watch::channel(image(&[]));
        let vanished = Vanished::default();
        vanished.lost(1);
        let reconnect = async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            vanished.found(1);
        };
        let (answer, ()) = tokio::join!(ask(&vanished, receiver), reconnect);
        assert_eq!(answer, (Duration::from_millis(20), true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_that_does_not_come_is_waited_for_once() {
        let (_images, receiver) = watch::channel(image(&[]));
        let vanished = Vanished::default();
        vanished.lost(1);
        tokio::time::sleep(Duration::from_millis(400)).await;
        vanished.lost(1);
        assert_eq!(ask(&vanished, receiver.clone()).await, (PATIENCE - Duration::from_millis(400), true));
        vanished.lost(1);
        assert_eq!(ask(&vanished, receiver).await, (Duration::ZERO, true));
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_is_listed_for_a_while_after_it_was_fenced() {
        let (_images, receiver) = watch::channel(image(&[1, 2]));
        let vanished = Vanished::default();
        let listed = async || vanished.settled(&mut receiver.clone(), |_, _| true).await.listed;
        vanished.decided(&image(&[2]));
        assert_eq!(listed().await, [0; 0], "it was fenced long before");
        vanished.decided(&image(&[]));
        vanished.decided(&image(&[2]));
        assert_eq!(listed().await, [2]);
        tokio::time::sleep(LISTED / 2).await;
        vanished.decided(&image(&[1, 2]));
        assert_eq!(listed().await, [1, 2]);
        tokio::time::sleep(LISTED / 2).await;
        assert_eq!(listed().await, [1]);
        tokio::time::sleep(LISTED / 2).await;
        assert_eq!(listed().await, [0; 0]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_broker_that_shuts_down_in_order_leaves_the_list_at_once() {
        let mut ending = (*image(&[])).clone();
        let ends = BrokerRegistrationChangeRecord { broker_id: 1, in_controlled_shutdown: 1, ..Default::default() };
        ending.replay(&MetadataRecord::from(ends), &mut ImageDelta::default()).unwrap();
        let (_images, receiver) = watch::channel(image(&[1, 2]));
        let vanished = Vanished::default();
        vanished.decided(&ending);
        let fenced = BrokerRegistrationChangeRecord { broker_id: 1, fenced: 1, ..Default::default() };
        ending.replay(&MetadataRecord::from(fenced), &mut ImageDelta::default()).unwrap();
        vanished.decided(&ending);
        assert!(vanished.settled(&mut receiver.clone(), |_, _| true).await.listed.is_empty());
    }
}
