//! What is known of a resource, its cluster and its topic, from caches alone.

use super::ahead::Ahead;
use super::index::{Index, cluster_of, topic_of};
use crate::admin::View;
use crate::admin::proto::Topic;
use crate::context::Context;
use crate::crd::{KafkaCluster, KafkaTopic};
use kube::runtime::reflector::ObjectRef;
use std::sync::Arc;

/// All that deciding needs.
#[derive(Clone, Debug)]
pub struct Observed {
    pub resource: Arc<KafkaTopic>,
    /// The resource that has the topic in place of this one.
    pub owner: Option<String>,
    pub cluster: Sight,
}

/// What can be seen of a cluster.
#[derive(Clone, Debug)]
pub enum Sight {
    Missing,
    /// It is being deleted.
    Leaving,
    Paused,
    Stopped,
    /// No node answers, or none knows of an active controller.
    Unreachable,
    Live(Live),
}

/// A cluster that answers.
#[derive(Clone, Debug)]
pub struct Live {
    pub cluster: Arc<KafkaCluster>,
    pub view: View,
    pub topic: Option<Arc<Topic>>,
}

/// Looks at everything. `None`: the resource is gone.
pub fn observe(context: &Context, index: &Index, ahead: &Ahead, reference: &ObjectRef<KafkaTopic>) -> Option<Observed> {
    let resource = ahead.newest(context.topics.get(reference)?);
    let owner = index.owner(&resource, &context.topics);
    let cluster = sight(context, &resource);
    Some(Observed { resource, owner, cluster })
}

fn sight(context: &Context, resource: &KafkaTopic) -> Sight {
    let key = cluster_of(resource);
    let Some(cluster) = context.clusters.get(&key.object_ref()) else { return Sight::Missing };
    if cluster.metadata.deletion_timestamp.is_some() {
        return Sight::Leaving;
    }
    if cluster.spec.paused {
        return Sight::Paused;
    }
    if cluster.spec.stopped {
        return Sight::Stopped;
    }
    let view = context.links.of(&key).and_then(|link| link.live());
    match view.filter(|view| view.state.active_controller_id.is_some()) {
        Some(view) => {
            let topic = view.topics.get(&topic_of(resource)).cloned();
            Sight::Live(Live { cluster, view, topic })
        }
        None => Sight::Unreachable,
    }
}
