//! A consumer of librdkafka that is known to live.
//!
//! librdkafka 2.12 takes two of its locks in both orders: when a broker leaves the metadata while an offset's epoch is
//! validated, its threads may wait for one another for ever (its issue 5476). Such a consumer reads nothing any more, and
//! destroying it never returns. From a broker that says nothing it is told by a question that no broker is needed for.

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use std::cell::Cell;
use std::ops::Deref;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

/// Between two questions.
const PAUSE: Duration = Duration::from_secs(10);
/// How long one thread of a process may take to answer another one, on a machine that does other things too.
const PATIENCE: Duration = Duration::from_secs(30);

/// A consumer that can be given up.
pub struct Consumer {
    /// There until it is dropped.
    consumer: Option<Arc<BaseConsumer>>,
    asked: Cell<Instant>,
}

impl Consumer {
    pub fn new(consumer: BaseConsumer) -> Consumer {
        Consumer { consumer: Some(Arc::new(consumer)), asked: Cell::new(Instant::now()) }
    }

    /// Whether it is deadlocked, and another one has to take its place. To be asked whenever it has nothing to read: it looks
    /// every ten seconds.
    pub fn is_deadlocked(&self) -> bool {
        if self.asked.get().elapsed() < PAUSE {
            return false;
        }
        let answers = self.answers();
        self.asked.set(Instant::now());
        !answers
    }

    /// Whether the library's own threads answer one another; no broker is asked.
    pub fn answers(&self) -> bool {
        let answers = self.within(PATIENCE, |consumer| drop(consumer.assignment())).is_some();
        if !answers {
            eprintln!("librdkafka is deadlocked (its issue 5476)");
        }
        answers
    }

    /// What `call` gives; `None` where it does not return.
    pub fn within<T>(&self, limit: Duration, call: impl FnOnce(&BaseConsumer) -> T + Send + 'static) -> Option<T>
    where
        T: Send + 'static,
    {
        let consumer = self.consumer.clone()?;
        finished_within(limit, move || call(&consumer))
    }
}

impl Deref for Consumer {
    type Target = BaseConsumer;

    fn deref(&self) -> &BaseConsumer {
        self.consumer.as_ref().expect("it is not dropped")
    }
}

/// Waits for the end of the consumer, unless it is deadlocked.
impl Drop for Consumer {
    fn drop(&mut self) {
        if self.answers() {
            drop(self.consumer.take());
            return;
        }
        // It would wait for ever.
        std::mem::forget(self.consumer.take());
    }
}

fn finished_within<T: Send + 'static>(limit: Duration, call: impl FnOnce() -> T + Send + 'static) -> Option<T> {
    let (done, result) = mpsc::channel();
    // Nobody may be there any more to be told.
    thread::spawn(move || done.send(call()).ok());
    result.recv_timeout(limit).ok()
}
