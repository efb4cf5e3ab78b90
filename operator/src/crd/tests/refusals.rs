//! Each case against the schema and the rules. A rule without a case that breaks it and one that just keeps it fails here.

use super::super::{KafkaCluster, KafkaTopic};
use super::cases::{self, Case};
use super::{schemas, structural, walk};
use kube::core::cel::{ErrorKind, ValidationErrors, Validator, apply_defaults};
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeSet;

fn schema_of(case: &Case) -> Value {
    schemas().into_iter().find(|(kind, _)| kind == case.kind()).expect("the kind").1
}

/// What a server says of the case: first of its values, then, when these are right, of its rules.
fn refusals(case: &Case) -> Vec<String> {
    let schema = schema_of(case);
    let read = |value: &Value| apply_defaults(&schema, &structural::without_nulls(value));
    let (old, new) = (case.old.as_ref().map(read), read(&case.new));
    let of_values = structural::refusals(&schema, &new);
    if of_values.is_empty() { messages(Validator::new().validate(&schema, &new, old.as_ref())) } else { of_values }
}

fn messages(validated: Result<(), ValidationErrors>) -> Vec<String> {
    let errors = validated.err().map(ValidationErrors::into_vec).unwrap_or_default();
    for error in &errors {
        assert_eq!(error.kind, ErrorKind::ValidationFailure, "{}: {}", error.rule, error.message);
    }
    errors.into_iter().map(|error| error.message).collect()
}

fn rules() -> BTreeSet<String> {
    let mut rules = BTreeSet::new();
    for (kind, schema) in schemas() {
        walk(&kind, &schema, &mut |_, part| {
            let here = part["x-kubernetes-validations"].as_array().into_iter().flatten();
            rules.extend(here.map(|rule| rule["message"].as_str().expect("a message").to_owned()));
        });
    }
    rules
}

#[test]
fn each_case_is_refused_with_its_message_or_accepted() {
    let mut wrong = Vec::new();
    for case in cases::all() {
        let said = refusals(&case);
        let as_wanted = match &case.refused {
            Some(message) => !said.is_empty() && said.iter().all(|refusal| refusal.contains(message)),
            None => said.is_empty(),
        };
        if !as_wanted {
            wrong.push(format!("{}: wanted {:?}, got {said:?}", case.name, case.refused));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_a_change_begins_with_is_accepted() {
    for case in cases::all() {
        let Some(old) = case.old else { continue };
        let before = Case { name: case.name, old: None, new: old, refused: None, near: Vec::new() };
        assert_eq!(refusals(&before), Vec::<String>::new(), "{}: its old.yaml", before.name);
    }
}

#[test]
fn every_rule_has_a_case_that_breaks_it_and_one_that_just_keeps_it() {
    let cases = cases::all();
    for rule in rules() {
        let broken = cases.iter().any(|case| case.refused.as_ref().is_some_and(|message| rule.contains(message)));
        assert!(broken, "no case in testdata/refused breaks: {rule}");
        let kept = cases.iter().any(|case| case.near.iter().any(|message| rule.contains(message)));
        assert!(kept, "no case in testdata/accepted says that it is near: {rule}");
    }
}

/// A resource that the server accepts must be read by the operator, and the types' own check says the same of it.
#[test]
fn the_types_read_every_case_that_is_accepted() {
    for case in cases::all().iter().filter(|case| case.refused.is_none()) {
        match case.kind() {
            "KafkaCluster" => {
                let (old, new) = typed::<KafkaCluster>(case);
                let said = old.map_or_else(|| new.validate_cel(), |old| new.validate_cel_update(&old));
                assert_eq!(messages(said), Vec::<String>::new(), "{}", case.name);
            }
            _ => {
                let (old, new) = typed::<KafkaTopic>(case);
                let said = old.map_or_else(|| new.validate_cel(), |old| new.validate_cel_update(&old));
                assert_eq!(messages(said), Vec::<String>::new(), "{}", case.name);
            }
        }
    }
}

fn typed<T: DeserializeOwned>(case: &Case) -> (Option<T>, T) {
    let read = |value: &Value| {
        let value = structural::without_nulls(value);
        serde_json::from_value(value).unwrap_or_else(|error| panic!("{}: {error}", case.name))
    };
    (case.old.as_ref().map(read), read(&case.new))
}
