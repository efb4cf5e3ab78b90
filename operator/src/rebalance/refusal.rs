//! Why replicas cannot go where they are asked to.

use thiserror::Error;

/// The texts say what would be possible: they are shown in the status of a resource.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Refusal {
    #[error("{}", too_few_brokers(*needed, *brokers, topic.as_deref()))]
    TooFewBrokers { needed: usize, brokers: usize, topic: Option<String> },
    /// `topics` have partitions with more replicas than brokers stay; `topic` has the most of them, `needed`.
    /// `brokers` are those for this topic.
    #[error("{}", too_few_stay(topic, *needed, *brokers, *topics))]
    TooFewStay { topic: String, needed: usize, brokers: usize, topics: usize },
    #[error("a replication factor is at least 1")]
    NoReplicas,
}

fn too_few_brokers(needed: usize, brokers: usize, topic: Option<&str>) -> String {
    let whose = topic.map(|topic| format!(" of topic {topic}")).unwrap_or_default();
    let allowed = match brokers {
        0 => "no broker may hold replicas".to_owned(),
        1 => "only 1 broker may hold replicas: at most 1 is possible".to_owned(),
        many => format!("only {many} brokers may hold replicas: at most {many} is possible"),
    };
    format!("a replication factor of {needed}{whose} cannot be reached, {allowed}")
}

fn too_few_stay(topic: &str, needed: usize, brokers: usize, topics: usize) -> String {
    let topics = match topics {
        1 => format!("topic {topic} needs {needed} brokers"),
        many => format!("{many} topics need more brokers, {topic} the most: {needed}"),
    };
    let allowed = match brokers {
        0 => String::new(),
        some => format!(", or its replication factor has to be at most {some}"),
    };
    format!("{topics}, and {brokers} that may hold it would stay: at least {needed} have to stay{allowed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_says_what_is_possible() {
        let refusal = Refusal::TooFewBrokers { needed: 3, brokers: 2, topic: Some("orders".into()) };
        assert_eq!(
            refusal.to_string(),
            "a replication factor of 3 of topic orders cannot be reached, only 2 brokers may hold replicas: at most 2 is possible"
        );
        let refusal = Refusal::TooFewBrokers { needed: 1, brokers: 0, topic: None };
        assert_eq!(refusal.to_string(), "a replication factor of 1 cannot be reached, no broker may hold replicas");
        let refusal = Refusal::TooFewStay { topic: "orders".into(), needed: 3, brokers: 2, topics: 5 };
        assert_eq!(
            refusal.to_string(),
            "5 topics need more brokers, orders the most: 3, and 2 that may hold it would stay: at least 3 have to stay, or its \
             replication factor has to be at most 2"
        );
    }
}
