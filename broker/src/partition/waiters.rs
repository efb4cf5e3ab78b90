//! Those who wait for a partition to move: for records to read, or for theirs to be acknowledged.
//!
//! A fetch session subscribes to each of its partitions once, for as long as it lives. A partition that moves puts its
//! place into the session's [`Inbox`]: whoever fetches looks at those places alone, however many idle ones there are.

use super::error::PartitionError;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;
use tokio::sync::{Notify, oneshot};

/// What a subscriber wants to know of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Whatever was appended, at once; and, with less hurry, how far it is committed.
    Appended,
    /// What was committed.
    Committed,
}

/// How a partition has moved.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Moves {
    pub appended: bool,
    pub committed: bool,
    /// Who leads it, or whether it is here at all.
    pub role: bool,
}

impl Moves {
    fn any(self) -> bool {
        self.appended || self.committed || self.role
    }

    fn urgency_for(self, interest: Interest) -> u8 {
        match interest {
            _ if self.role => LOUD,
            Interest::Appended if self.appended => LOUD,
            Interest::Committed if self.committed => LOUD,
            Interest::Appended if self.committed => QUIET,
            _ => NONE,
        }
    }
}

const NONE: u8 = 0;
const QUIET: u8 = 1;
const LOUD: u8 = 2;

/// What has moved since it was last emptied.
#[derive(Debug, Default)]
pub struct Inbox {
    contents: Mutex<Contents>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Contents {
    places: Vec<u32>,
    is_loud: bool,
    /// Counts those who wait one after the other.
    turn: u64,
}

impl Inbox {
    pub fn new() -> Arc<Inbox> {
        Arc::default()
    }

    fn post(&self, place: Option<u32>, is_loud: bool) {
        let mut contents = self.contents();
        contents.places.extend(place);
        contents.is_loud |= is_loud;
        drop(contents);
        // All: of two that wait, the one whose turn is over must not take the other's wake.
        self.notify.notify_waiters();
    }

    fn contents(&self) -> MutexGuard<'_, Contents> {
        self.contents.lock().expect("no panic while held")
    }

    /// Ends the waits of earlier turns, and begins another, whose number it gives.
    pub fn begin_turn(&self) -> u64 {
        let mut contents = self.contents();
        contents.turn += 1;
        let turn = contents.turn;
        drop(contents);
        self.notify.notify_waiters();
        turn
    }

    /// Whether a later turn has begun.
    pub fn is_over(&self, turn: u64) -> bool {
        self.contents().turn != turn
    }

    /// The places that have moved since the last call, in their order.
    pub fn take(&self) -> Vec<u32> {
        let mut contents = self.contents();
        contents.is_loud = false;
        std::mem::take(&mut contents.places)
    }

    /// Returns once something has moved, or another turn has begun; where that has no hurry, at most as much later as
    /// `linger` takes.
    pub async fn moved(&self, turn: u64, linger: Duration) {
        self.until(|contents| contents.turn != turn || contents.is_loud || !contents.places.is_empty()).await;
        let hurry = self.until(|contents| contents.turn != turn || contents.is_loud);
        tokio::time::timeout(linger, hurry).await.ok();
    }

    async fn until(&self, reached: impl Fn(&Contents) -> bool) {
        loop {
            // Before the look: what comes between the two is not lost.
            let mut notified = std::pin::pin!(self.notify.notified());
            notified.as_mut().enable();
            if reached(&self.contents()) {
                return;
            }
            notified.await;
        }
    }
}

/// One place of an inbox, at one partition. Dropping it ends the subscription.
#[derive(Debug)]
pub struct Subscription {
    inbox: Arc<Inbox>,
    place: u32,
    interest: Interest,
    posted: AtomicU8,
}

impl Subscription {
    pub fn new(inbox: &Arc<Inbox>, place: u32, interest: Interest) -> Arc<Subscription> {
        Arc::new(Subscription { inbox: inbox.clone(), place, interest, posted: AtomicU8::new(NONE) })
    }

    /// The place was taken out of the inbox, and the partition is looked at now: what moves from here on is posted again.
    pub fn taken(&self) {
        self.posted.store(NONE, Ordering::SeqCst);
    }

    fn post(&self, moves: Moves) {
        let urgency = moves.urgency_for(self.interest);
        if urgency == NONE || self.posted.load(Ordering::SeqCst) >= urgency {
            return;
        }
        let before = self.posted.fetch_max(urgency, Ordering::SeqCst);
        if before < urgency {
            self.inbox.post((before == NONE).then_some(self.place), urgency == LOUD);
        }
    }
}

/// The subscriptions to one partition. One that was dropped is forgotten with the next.
#[derive(Debug, Default)]
pub struct Subscribers {
    any: AtomicBool,
    subscribed: Mutex<Vec<Weak<Subscription>>>,
}

impl Subscribers {
    pub fn add(&self, subscription: &Arc<Subscription>) {
        let mut subscribed = self.subscribed.lock().expect("no panic while held");
        subscribed.retain(|other| other.strong_count() > 0);
        subscribed.push(Arc::downgrade(subscription));
        self.any.store(true, Ordering::SeqCst);
    }

    pub fn tell(&self, moves: Moves) {
        if !moves.any() || !self.any.load(Ordering::SeqCst) {
            return;
        }
        let mut subscribed = self.subscribed.lock().expect("no panic while held");
        let mut gone = false;
        for subscription in subscribed.iter() {
            match subscription.upgrade() {
                Some(subscription) => subscription.post(moves),
                None => gone = true,
            }
        }
        if gone {
            subscribed.retain(|other| other.strong_count() > 0);
            self.any.store(!subscribed.is_empty(), Ordering::SeqCst);
        }
    }
}

/// When records are acknowledged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Acks {
    /// When the leader has them: on the disk, where the topic asks for that (acks=1).
    Leader,
    /// When they are committed (acks=all).
    All,
}

type Answer = Result<(), PartitionError>;

/// Those who wait for an acknowledgement.
#[derive(Debug, Default)]
pub struct AckWaiters {
    waiting: Vec<AckWaiter>,
}

#[derive(Debug)]
struct AckWaiter {
    acks: Acks,
    last_offset: i64,
    leader_epoch: i32,
    answer: oneshot::Sender<Answer>,
}

impl AckWaiters {
    pub fn add(&mut self, acks: Acks, last_offset: i64, leader_epoch: i32) -> oneshot::Receiver<Answer> {
        const FEW: usize = 1024;
        if self.waiting.len() >= FEW && self.waiting.len().is_power_of_two() {
            self.waiting.retain(|waiter| !waiter.answer.is_closed());
        }
        let (answer, answered) = oneshot::channel();
        self.waiting.push(AckWaiter { acks, last_offset, leader_epoch, answer });
        answered
    }

    /// Answers those for whom `answer` has one.
    pub fn settle(&mut self, answer: impl Fn(Acks, i64, i32) -> Option<Answer>) {
        let mut place = 0;
        while let Some(waiter) = self.waiting.get(place) {
            match answer(waiter.acks, waiter.last_offset, waiter.leader_epoch) {
                Some(answer) => {
                    // Who has given up waiting needs no answer.
                    self.waiting.swap_remove(place).answer.send(answer).ok();
                }
                None => place += 1,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const APPENDED: Moves = Moves { appended: true, committed: false, role: false };
    const COMMITTED: Moves = Moves { appended: false, committed: true, role: false };

    #[tokio::test]
    async fn a_move_before_the_wait_is_not_lost() {
        let (subscribers, inbox) = (Subscribers::default(), Inbox::new());
        let subscription = Subscription::new(&inbox, 7, Interest::Appended);
        subscribers.add(&subscription);
        subscribers.tell(APPENDED);
        inbox.moved(0, Duration::from_secs(1)).await;
        assert_eq!(inbox.take(), [7]);
    }

    #[test]
    fn a_partition_that_moves_often_is_in_the_inbox_once() {
        let (subscribers, inbox) = (Subscribers::default(), Inbox::new());
        let subscription = Subscription::new(&inbox, 7, Interest::Appended);
        subscribers.add(&subscription);
        (0..100).for_each(|_| subscribers.tell(APPENDED));
        subscribers.tell(COMMITTED);
        assert_eq!(inbox.take(), [7]);
        subscription.taken();
        subscribers.tell(APPENDED);
        assert_eq!(inbox.take(), [7]);
    }

    #[test]
    fn consumers_hear_of_what_was_committed_only() {
        let (subscribers, inbox) = (Subscribers::default(), Inbox::new());
        let subscription = Subscription::new(&inbox, 3, Interest::Committed);
        subscribers.add(&subscription);
        subscribers.tell(APPENDED);
        assert_eq!(inbox.take(), [0; 0]);
        subscribers.tell(COMMITTED);
        assert_eq!(inbox.take(), [3]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_new_high_watermark_waits_a_little_for_records_to_go_with() {
        let (subscribers, inbox) = (Subscribers::default(), Inbox::new());
        let subscription = Subscription::new(&inbox, 3, Interest::Appended);
        subscribers.add(&subscription);
        let linger = Duration::from_millis(5);
        let started = tokio::time::Instant::now();
        subscribers.tell(COMMITTED);
        inbox.moved(0, linger).await;
        assert_eq!((started.elapsed(), inbox.take()), (linger, vec![3]));
        subscription.taken();
        subscribers.tell(COMMITTED);
        subscribers.tell(APPENDED);
        inbox.moved(0, linger).await;
        assert_eq!((started.elapsed(), inbox.take()), (linger, vec![3]));
    }

    #[tokio::test]
    async fn another_turn_ends_the_wait_of_the_one_before() {
        let inbox = Inbox::new();
        let first = inbox.begin_turn();
        let second = inbox.begin_turn();
        inbox.moved(first, Duration::from_secs(1)).await;
        assert!(inbox.is_over(first) && !inbox.is_over(second));
    }

    #[test]
    fn subscribers_that_are_gone_are_forgotten() {
        let (subscribers, inbox) = (Subscribers::default(), Inbox::new());
        for place in 0..100 {
            subscribers.add(&Subscription::new(&inbox, place, Interest::Appended));
        }
        assert_eq!(subscribers.subscribed.lock().unwrap().len(), 1);
        subscribers.tell(APPENDED);
        assert_eq!(subscribers.subscribed.lock().unwrap().len(), 0);
    }

    #[test]
    fn each_waiter_is_answered_when_its_turn_has_come() {
        let mut waiters = AckWaiters::default();
        let mut first = waiters.add(Acks::All, 5, 1);
        let mut second = waiters.add(Acks::All, 9, 1);
        waiters.settle(|_, last_offset, _| (last_offset < 8).then_some(Ok(())));
        assert!(matches!(first.try_recv(), Ok(Ok(()))));
        assert!(second.try_recv().is_err());
    }
}
