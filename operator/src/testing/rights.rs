//! What the operator may do, by the rules that it is installed with.

use http::Method;
use k8s_openapi::api::rbac::v1::{ClusterRole, PolicyRule};
use serde::Deserialize;
use std::sync::LazyLock;

static RULES: LazyLock<Vec<PolicyRule>> = LazyLock::new(|| {
    let text = include_str!("../../../deploy/operator/clusterrole.yaml");
    let first = serde_yaml::Deserializer::from_str(text).next().expect("it holds the role and its binding");
    ClusterRole::deserialize(first).expect("the role is the first").rules.expect("it has rules")
});

/// Panics where the operator asks for what its rules do not allow. `creates`: it applies what is not there yet.
pub fn assert_allowed(method: &Method, path: &str, creates: bool) {
    let (group, resource) = split(path);
    let verbs: &[&str] = match *method {
        Method::GET => &["get"],
        Method::POST => &["create"],
        Method::PATCH if creates => &["patch", "create"],
        Method::PATCH => &["patch"],
        Method::DELETE => &["delete"],
        _ => panic!("{method} {path}"),
    };
    for verb in verbs {
        let has = |list: &[String], wanted: &str| list.iter().any(|one| one == wanted);
        let allows = |rule: &PolicyRule| {
            let (groups, resources) = (rule.api_groups.as_deref(), rule.resources.as_deref());
            has(groups.unwrap_or_default(), group)
                && has(resources.unwrap_or_default(), &resource)
                && has(&rule.verbs, verb)
        };
        assert!(
            RULES.iter().any(allows),
            "deploy/operator/clusterrole.yaml does not allow to {verb} {resource} of {group:?}"
        );
    }
}

/// The group, and the resource with its subresource, as rules name them.
fn split(path: &str) -> (&str, String) {
    let (api, rest) = path.split_once("/namespaces/").expect("the operator writes nothing outside of namespaces");
    let group = api.strip_prefix("/apis/").map_or("", |api| api.split('/').next().unwrap_or_default());
    let mut parts = rest.split('/').skip(1);
    let resource = parts.next().expect("a resource").to_owned();
    match parts.nth(1) {
        Some(subresource) => (group, format!("{resource}/{subresource}")),
        None => (group, resource),
    }
}
