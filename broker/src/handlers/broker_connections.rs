//! The connections on which brokers say that they live: when a broker's last one closes, its process has probably ended.

use crate::controller::ControllerClient;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, OnceLock};

/// The broker that is heard on a connection, by its id and epoch, once it is.
pub type Heard = Arc<OnceLock<(i32, i64)>>;

pub struct BrokerConnections {
    controller: Arc<ControllerClient>,
    open: Mutex<HashMap<(i32, i64), usize>>,
}

impl BrokerConnections {
    pub fn new(controller: Arc<ControllerClient>) -> BrokerConnections {
        BrokerConnections { controller, open: Mutex::default() }
    }

    /// A broker was heard on a connection. A broker that registers anew on the same one is heard on the next.
    pub fn heard(&self, heard: &Heard, id: i32, epoch: i64) {
        if heard.set((id, epoch)).is_ok() {
            *self.open.lock().expect("no panic while held").entry((id, epoch)).or_default() += 1;
        }
    }

    /// A connection has closed. A suspicion at once, if it was a broker's last: nobody waits for a session to end.
    pub fn closed(&self, heard: &Heard) {
        let Some(broker) = heard.get() else { return };
        let mut open = self.open.lock().expect("no panic while held");
        let count = open.get_mut(broker).expect("it was counted when it was heard");
        *count -= 1;
        if *count == 0 {
            open.remove(broker);
            self.controller.connection_lost(broker.0, broker.1);
        }
    }
}
