//! Which process of a broker ran in which container: what dies with a container is that process and no later one.
//!
//! Kubernetes tells late of a process that ended and was started again: the new one may have joined the cluster by then. A
//! broker that is called by another incarnation while its container is the one known before is such a new process.

use super::situation::{Process, Situation};
use crate::admin::ClusterKey;
use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;

/// Of each broker, the container that was last known to run, and the incarnation that was first heard from it.
#[derive(Default)]
pub struct Processes(Mutex<HashMap<ClusterKey, Known>>);

type Known = BTreeMap<i32, (String, String)>;

impl Processes {
    /// What is known of a cluster's brokers, after it has been brought up to date.
    pub fn learn(&self, key: &ClusterKey, situation: &Situation) -> BTreeMap<i32, String> {
        let mut all = self.0.lock().expect("no panic while held");
        let known = all.entry(key.clone()).or_default();
        for broker in situation.brokers().iter().filter(|broker| !broker.fenced) {
            let pod = situation.pod(broker.id).filter(|pod| pod.process == Process::Running && !pod.node_is_lost);
            let Some(container) = pod.and_then(|pod| pod.container.as_ref()) else { continue };
            if known.get(&broker.id).is_none_or(|(before, _)| before != container) {
                known.insert(broker.id, (container.clone(), broker.incarnation.clone()));
            }
        }
        known.iter().map(|(id, (_, incarnation))| (*id, incarnation.clone())).collect()
    }

    pub fn forget(&self, key: &ClusterKey) {
        self.0.lock().expect("no panic while held").remove(key);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admin::View;
    use crate::admin::proto::{Broker, ClusterState};
    use crate::cluster::situation::Pod;

    fn situation(container: &str, incarnation: &str) -> Situation {
        let broker = Broker { id: 0, incarnation: incarnation.to_owned(), ..Broker::default() };
        let state = ClusterState { brokers: vec![broker], ..ClusterState::default() };
        let pod = Pod { process: Process::Running, container: Some(container.to_owned()), ..Pod::default() };
        let view = View { state: state.into(), topics: imbl::OrdMap::new(), is_live: true };
        Situation { pods: vec![pod], view: Some(view), ..Situation::default() }
    }

    #[test]
    fn a_process_that_kubernetes_has_not_told_of_is_not_taken_for_the_one_before() {
        let (processes, key) = (Processes::default(), ClusterKey::new("n", "c"));
        let known = |container, incarnation| processes.learn(&key, &situation(container, incarnation))[&0].clone();
        assert_eq!(known("one", "first"), "first");
        assert_eq!(known("one", "second"), "first", "the container is the one that has ended");
        assert_eq!(known("two", "second"), "second");
    }
}
