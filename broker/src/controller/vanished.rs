//! Brokers whose connections have just broken, while the metadata shows them alive.
//!
//! - A client that loses its leader asks another broker at once who leads now: before the controller can have decided. Told
//!   the old leader once more, librdkafka asks again a second later (its topic scan), and writes nothing until then. So the
//!   answer waits for the decision, which takes some ten milliseconds, or some hundred where the active controller itself
//!   has vanished.
//! - It waits for [`PATIENCE`] after the loss at most: a decision that has not come by then may never come, as where a
//!   majority of the controllers is gone.
//!
//! Deliberately absent: an opinion of its own. Which brokers live is the controller's to say.

use super::image::MetadataImage;
use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// How long after the loss of a broker the controller's word on it is waited for.
const PATIENCE: Duration = Duration::from_secs(1);

/// When each was lost.
#[derive(Default)]
pub struct Vanished(watch::Sender<BTreeMap<i32, Instant>>);

impl Vanished {
    /// The connection to a broker broke, or could not be opened. What counts is the first time.
    pub fn lost(&self, broker: i32) {
        self.0.send_if_modified(|lost| match lost.entry(broker) {
            Entry::Vacant(entry) => {
                entry.insert(Instant::now());
                true
            }
            Entry::Occupied(_) => false,
        });
    }

    /// A connection to the broker was opened.
    pub fn found(&self, broker: i32) {
        self.0.send_if_modified(|lost| lost.remove(&broker).is_some());
    }

    /// Forgets those on which the controller has decided.
    pub fn decided(&self, image: &MetadataImage) {
        self.0.send_if_modified(|lost| {
            let before = lost.len();
            lost.retain(|broker, _| image.live_broker(*broker).is_some());
            lost.len() < before
        });
    }

    /// The newest metadata, once the controller has decided on those who vanished a moment ago.
    pub async fn settled(&self, images: &mut watch::Receiver<Arc<MetadataImage>>) -> Arc<MetadataImage> {
        let mut lost = self.0.subscribe();
        loop {
            let image = images.borrow_and_update().clone();
            let Some(until) = open_until(&lost.borrow_and_update(), &image) else { return image };
            tokio::select! {
                Ok(()) = images.changed() => {}
                Ok(()) = lost.changed() => {}
                () = tokio::time::sleep_until(until) => {}
                else => return image,
            }
        }
    }
}

/// Until when a decision on one of the lost brokers is to be expected; `None` where none is.
fn open_until(lost: &BTreeMap<i32, Instant>, image: &MetadataImage) -> Option<Instant> {
    let undecided = lost.iter().filter(|(broker, _)| image.live_broker(**broker).is_some());
    undecided.map(|(_, since)| *since + PATIENCE).filter(|until| *until > Instant::now()).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::controller::delta::ImageDelta;
    use crate::controller::records::MetadataRecord;
    use crate::protocol::messages::metadata_records::RegisterBrokerRecord;

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
        let image = vanished.settled(&mut images).await;
        (start.elapsed(), image.live_broker(1).is_some())
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_while_nobody_has_vanished() {
        let (_images, receiver) = watch::channel(image(&[2]));
        let vanished = Vanished::default();
        assert_eq!(ask(&vanished, receiver.clone()).await, (Duration::ZERO, true));
        vanished.lost(2);
        assert_eq!(ask(&vanished, receiver).await, (Duration::ZERO, true), "it is decided on already");
    }

    #[tokio::test(start_paused = true)]
    async fn the_answer_waits_for_the_decision() {
        let (images, receiver) = watch::channel(image(&[]));
        let vanished = Vanished::default();
        vanished.lost(1);
        let decide = async {
            tokio::time::sleep(Duration::from_millis(300)).await;
            images.send_replace(image(&[]));
            tokio::time::sleep(Duration::from_millis(300)).await;
            images.send_replace(image(&[1]));
        };
        let (answer, ()) = tokio::join!(ask(&vanished, receiver), decide);
        assert_eq!(answer, (Duration::from_millis(600), false));
        vanished.decided(&image(&[1]));
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
}
