//! What the tests are given: a Kubernetes, images on its nodes, and scripts.

use anyhow::{Context, Result, bail};
use kube::Client;
use std::env;
use std::path::PathBuf;

/// The Kubernetes, and what is known of it.
#[derive(Clone)]
pub struct Environment {
    pub client: Client,
    /// The image of operator and brokers, which every node has.
    pub image: String,
    /// The same image by another name, to roll to.
    pub next_image: String,
    /// The namespace of the operator.
    pub operator_namespace: String,
}

impl Environment {
    /// Errors: without KUBECONFIG, in a sentence that says how to run the tests.
    pub async fn find() -> Result<Environment> {
        if env::var_os("KUBECONFIG").is_none_or(|path| path.is_empty()) {
            bail!("these tests need a Kubernetes: run `make e2e`, or set KUBECONFIG and run `e2e/run all`");
        }
        Ok(Environment {
            client: Client::try_default().await.context("the Kubernetes that KUBECONFIG names")?,
            image: variable("BARNABAS_E2E_IMAGE", "barnabas:e2e"),
            next_image: variable("BARNABAS_E2E_IMAGE_NEXT", "barnabas:e2e-next"),
            operator_namespace: variable("BARNABAS_E2E_OPERATOR_NAMESPACE", "barnabas-system"),
        })
    }
}

/// Whether this is the long run: more repetitions, and more minutes of doing nothing.
pub fn is_long() -> bool {
    env::var_os("BARNABAS_E2E_LONG").is_some_and(|value| !value.is_empty())
}

/// The repository.
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The scripts that start a Kubernetes and break its nodes.
pub fn scripts() -> PathBuf {
    PathBuf::from(variable("BARNABAS_E2E_SCRIPTS", &root().join("e2e/kubernetes").to_string_lossy()))
}

/// Helm's chart of the operator.
pub fn chart() -> PathBuf {
    root().join("charts/barnabas-operator")
}

/// A variable of the environment, where an empty one is as good as none.
pub fn variable(name: &str, default: &str) -> String {
    env::var(name).ok().filter(|value| !value.is_empty()).unwrap_or_else(|| default.to_owned())
}
