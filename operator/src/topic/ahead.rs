//! What this operator has written and its cache does not show yet.
//!
//! A topic that was just created changes the cluster's view, which reconciles the resource again at once, often before the API
//! server has told of the status that was written. Without this note the same would be written, and told, twice.

use crate::crd::{KafkaTopic, KafkaTopicStatus};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};

/// Resources as they are since they were written, by uid.
#[derive(Default)]
pub struct Ahead {
    written: Mutex<HashMap<String, Note>>,
}

struct Note {
    /// The versions that the cache may show and that are older.
    overtaken: Vec<String>,
    resource: Arc<KafkaTopic>,
}

impl Ahead {
    /// The resource as it is, of which the cache shows `cached`.
    pub fn newest(&self, cached: Arc<KafkaTopic>) -> Arc<KafkaTopic> {
        let Some((uid, version)) = identity(&cached) else { return cached };
        let mut written = self.written.lock().expect("no panic while held");
        match written.get(&uid) {
            Some(note) if note.overtaken.contains(&version) => note.resource.clone(),
            Some(_) => {
                written.remove(&uid);
                cached
            }
            None => cached,
        }
    }

    /// `before` was written, and the API server answered with `after`.
    pub fn wrote(&self, before: &KafkaTopic, after: KafkaTopic) -> Arc<KafkaTopic> {
        let after = Arc::new(after);
        self.note(before, after.clone());
        after
    }

    /// The status of `before` was written.
    pub fn wrote_status(&self, before: &KafkaTopic, status: KafkaTopicStatus) {
        let after = KafkaTopic { status: Some(status), ..before.clone() };
        self.note(before, Arc::new(after));
    }

    /// It is gone.
    pub fn forget(&self, resource: &KafkaTopic) {
        if let Some((uid, _)) = identity(resource) {
            self.written.lock().expect("no panic while held").remove(&uid);
        }
    }

    fn note(&self, before: &KafkaTopic, after: Arc<KafkaTopic>) {
        let Some((uid, version)) = identity(before) else { return };
        let mut written = self.written.lock().expect("no panic while held");
        let mut overtaken = match written.remove(&uid) {
            Some(note) => note.overtaken,
            None => Vec::new(),
        };
        if !overtaken.contains(&version) {
            overtaken.push(version);
        }
        written.insert(uid, Note { overtaken, resource: after });
    }
}

fn identity(resource: &KafkaTopic) -> Option<(String, String)> {
    Some((resource.metadata.uid.clone()?, resource.metadata.resource_version.clone()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::topic::fixture::resource;

    fn at(version: &str, message: Option<&str>) -> KafkaTopic {
        let mut resource = resource("t").built();
        resource.metadata.resource_version = Some(version.to_owned());
        resource.status = message.map(|message| KafkaTopicStatus { message: message.into(), ..Default::default() });
        resource
    }

    #[test]
    fn what_was_written_is_known_until_the_cache_shows_something_newer() {
        let ahead = Ahead::default();
        let first = at("1", None);
        let second = ahead.wrote(&first, at("2", None));
        let status = KafkaTopicStatus { message: "written".into(), ..Default::default() };
        ahead.wrote_status(&second, status.clone());
        for stale in ["1", "2"] {
            assert_eq!(ahead.newest(Arc::new(at(stale, None))).status.as_ref(), Some(&status));
        }
        let newer = Arc::new(at("3", Some("newer")));
        assert_eq!(ahead.newest(newer.clone()), newer);
        assert_eq!(ahead.newest(Arc::new(at("2", None))).status, None);
    }
}
