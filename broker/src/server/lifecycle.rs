//! A broker's life in its cluster: it registers, says again and again that it lives, and asks before it ends (KIP-631).
//!
//! - A broker that the controller has fenced, because it was slow or cut off, goes on saying that it lives, and is unfenced
//!   as soon as it is heard. One that the controller does not know (its epoch is stale) registers anew.
//! - Heartbeats have a connection of their own, and wait for no commit.

use crate::controller::ControllerClient;
use crate::controller::request::{BrokerHeartbeat, HeartbeatAnswer, Refusal, RegisterBroker};
use crate::protocol::ErrorCode;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::watch;
use tracing::{debug, error, info, warn};

/// Between two tries to register.
const PAUSE: Duration = Duration::from_millis(100);
/// Between two lines about the same reason why it is not registered.
const REMINDER: Duration = Duration::from_secs(5);
/// How long another process with this node's id may be in the way: that of the last start is gone by then.
const DUPLICATE_PATIENCE: Duration = Duration::from_secs(10);

/// What the broker wants of the controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// To be known, and to lead nothing yet.
    Prepare,
    Serve,
    /// To lead nothing any more, and end.
    End,
}

impl Wish {
    /// `next`, but that a broker which ends does not think better of it.
    pub fn unless_ending(self, next: Wish) -> Wish {
        if self == Wish::End { Wish::End } else { next }
    }
}

/// What the controller makes of the broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    Unregistered,
    Fenced {
        epoch: i64,
    },
    Serving {
        epoch: i64,
    },
    MayEnd,
    /// It will never be registered, for this reason.
    Refused(String),
}

pub struct Lifecycle {
    pub client: Arc<ControllerClient>,
    pub registration: RegisterBroker,
    /// `broker.heartbeat.interval.ms`.
    pub interval: Duration,
    pub wish: watch::Receiver<Wish>,
    pub standing: watch::Sender<Standing>,
}

impl Lifecycle {
    /// Lives until the broker may end, or is refused.
    pub async fn run(mut self) {
        while let Some(epoch) = self.register().await {
            info!(epoch, "registered with the controller");
            self.client.set_broker_epoch(epoch);
            self.standing.send_replace(Standing::Fenced { epoch });
            if !self.live(epoch).await {
                return;
            }
            // What was registered before is another incarnation from now on.
            self.registration.previous_epoch = epoch;
        }
    }

    /// Tries until it has an epoch. `None` if it will never have one.
    async fn register(&mut self) -> Option<i64> {
        let began = Instant::now();
        let mut said = None;
        loop {
            let registered = self.client.register_broker(self.registration.clone()).await.and_then(|outcome| outcome);
            let refusal = match registered {
                Ok(epoch) => return Some(epoch),
                Err(refusal) => refusal,
            };
            if refusal.code == ErrorCode::DuplicateBrokerRegistration && began.elapsed() > DUPLICATE_PATIENCE {
                let reason = format!("another running broker has the node.id {}", self.registration.id);
                self.standing.send_replace(Standing::Refused(reason));
                return None;
            }
            if is_final(&refusal) {
                self.standing.send_replace(Standing::Refused(format!("the controller refuses this broker: {refusal}")));
                return None;
            }
            if said.is_none_or(|(code, when): (ErrorCode, Instant)| code != refusal.code || when.elapsed() >= REMINDER)
            {
                self.say_why_not(&refusal);
                said = Some((refusal.code, Instant::now()));
            }
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn say_why_not(&self, refusal: &Refusal) {
        let id = self.registration.id;
        match refusal.code {
            ErrorCode::DuplicateBrokerRegistration => warn!(
                "not registered yet: another running broker uses this one's node.id {id} (or the session of its last process is \
                 not over); trying for {} seconds",
                DUPLICATE_PATIENCE.as_secs()
            ),
            _ => warn!(%refusal, "not registered yet, node.id {id}"),
        }
    }

    /// Sends heartbeats; returns whether to register anew.
    async fn live(&mut self, epoch: i64) -> bool {
        loop {
            let wish = *self.wish.borrow_and_update();
            match self.beat(epoch, wish).await {
                Ok(answer) if wish == Wish::End && answer.should_shut_down => {
                    self.standing.send_replace(Standing::MayEnd);
                    return false;
                }
                Ok(answer) => self.note(epoch, answer),
                Err(refusal) if is_stale(refusal.code) => {
                    warn!(%refusal, "the controller knows this broker no longer; it registers anew");
                    return true;
                }
                Err(refusal) => debug!(%refusal, "a heartbeat was not heard"),
            }
            tokio::select! {
                () = tokio::time::sleep(self.interval) => {}
                changed = self.wish.changed() => if changed.is_err() { return false },
            }
        }
    }

    async fn beat(&self, epoch: i64, wish: Wish) -> Result<HeartbeatAnswer, Refusal> {
        let heartbeat = BrokerHeartbeat {
            id: self.registration.id,
            epoch,
            metadata_end_offset: self.client.image().applied.end_offset,
            wants_fence: wish == Wish::Prepare,
            wants_shutdown: wish == Wish::End,
            offline_directories: Vec::new(),
        };
        self.client.broker_heartbeat(heartbeat).await.and_then(|outcome| outcome)
    }

    fn note(&self, epoch: i64, answer: HeartbeatAnswer) {
        let standing = if answer.is_fenced { Standing::Fenced { epoch } } else { Standing::Serving { epoch } };
        self.standing.send_if_modified(|known| {
            let changed = *known != standing;
            if changed {
                match (&standing, &*known) {
                    (Standing::Serving { .. }, _) => info!(epoch, "the controller has unfenced this broker"),
                    (_, Standing::Serving { .. }) => warn!(epoch, "the controller has fenced this broker"),
                    _ => {}
                }
                known.clone_from(&standing);
            }
            changed
        });
    }
}

fn is_stale(code: ErrorCode) -> bool {
    matches!(code, ErrorCode::StaleBrokerEpoch | ErrorCode::BrokerIdNotRegistered)
}

/// Whether trying again is of no use.
fn is_final(refusal: &Refusal) -> bool {
    let last = matches!(
        refusal.code,
        ErrorCode::InconsistentClusterId | ErrorCode::UnsupportedVersion | ErrorCode::InvalidRegistration
    );
    if last {
        error!(%refusal, "this broker cannot be part of the cluster");
    }
    last
}
