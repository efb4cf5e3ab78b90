//! Events: what happened to a resource, for people (`kubectl describe`).

use crate::context::FIELD_MANAGER;
use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};
use std::collections::HashMap;
use std::sync::Mutex;

/// Texts that are remembered, of all resources together.
const TEXTS_MAX: usize = 256;
/// The API server takes notes of at most 1024 bytes.
const NOTE_MAX: usize = 1000;

/// Writes events. The same about the same resource is one event that is counted, for six minutes.
pub struct Events {
    client: Client,
    reporter: Reporter,
    /// By text: a recorder takes what has the same reason for the same event, and keeps the text of the first.
    recorders: Mutex<HashMap<String, Recorder>>,
}

impl Events {
    /// `instance`: the pod that this operator runs in.
    pub fn new(client: Client, instance: Option<String>) -> Events {
        let reporter = Reporter { controller: FIELD_MANAGER.into(), instance };
        Events { client, reporter, recorders: Mutex::default() }
    }

    /// Errors: the API server's.
    pub async fn write<K>(&self, about: &K, type_: EventType, reason: &str, note: String) -> Result<(), kube::Error>
    where
        K: Resource<DynamicType = ()>,
    {
        let note = shortened(note);
        let recorder = self.recorder(&note);
        let (reason, action) = (reason.to_owned(), reason.to_owned());
        let event = Event { type_, reason, note: Some(note), action, secondary: None };
        recorder.publish(&event, &about.object_ref(&())).await
    }

    fn recorder(&self, note: &str) -> Recorder {
        let mut recorders = self.recorders.lock().expect("no panic while held");
        if recorders.len() >= TEXTS_MAX && !recorders.contains_key(note) {
            recorders.clear();
        }
        let made = || Recorder::new(self.client.clone(), self.reporter.clone());
        recorders.entry(note.to_owned()).or_insert_with(made).clone()
    }
}

fn shortened(mut note: String) -> String {
    if note.len() > NOTE_MAX {
        let end = (0..=NOTE_MAX).rev().find(|end| note.is_char_boundary(*end)).expect("0 is one");
        note.truncate(end);
        note.push_str("...");
    }
    note
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::kubernetes::FakeKubernetes;
    use k8s_openapi::api::core::v1::ConfigMap;

    #[tokio::test]
    async fn each_text_is_an_event_of_its_own_and_the_same_again_is_counted() {
        let kubernetes = FakeKubernetes::default();
        let events = Events::new(kubernetes.client(), None);
        let mut about = ConfigMap::default();
        (about.metadata.name, about.metadata.namespace) = (Some("c".to_owned()), Some("ns".to_owned()));
        for note in ["broker 0", "broker 1", "broker 0"] {
            events.write(&about, EventType::Normal, "Restarting", note.to_owned()).await.unwrap();
        }
        let written: Vec<_> = kubernetes.writes().into_iter().map(|write| write.body).collect();
        let said = |number: usize| (written[number]["note"].as_str(), written[number]["series"]["count"].as_i64());
        assert_eq!(written.len(), 3);
        assert_eq!(
            [said(0), said(1), said(2)],
            [(Some("broker 0"), None), (Some("broker 1"), None), (Some("broker 0"), Some(2))]
        );
    }

    #[test]
    fn a_long_note_is_cut_between_characters() {
        assert_eq!(shortened("short".to_owned()), "short");
        let cut = shortened("ä".repeat(600));
        assert!(cut.len() <= 1024 && cut.ends_with("ä..."));
    }
}
