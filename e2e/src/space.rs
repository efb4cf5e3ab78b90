//! A namespace for each test.

use crate::diagnosis;
use crate::environment::Environment;
use anyhow::{Context, Result};
use futures::FutureExt;
use k8s_openapi::api::core::v1::Namespace;
use kube::api::{DeleteParams, ObjectMeta, PostParams};
use kube::{Api, Client};
use std::panic::{AssertUnwindSafe, resume_unwind};
use std::time::{SystemTime, UNIX_EPOCH};

/// Where a test has its things, alone.
#[derive(Clone)]
pub struct Space {
    pub environment: Environment,
    pub namespace: String,
}

impl Space {
    pub fn client(&self) -> Client {
        self.environment.client.clone()
    }

    /// Objects of the namespace.
    pub fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<Scope = kube::core::NamespaceResourceScope, DynamicType = ()>,
    {
        Api::namespaced(self.client(), &self.namespace)
    }

    /// One more namespace, which ends as this one does not: by `delete`.
    pub async fn another(&self) -> Result<Space> {
        let space = Space { namespace: unique("more"), ..self.clone() };
        space.create().await?;
        Ok(space)
    }

    /// Deletes the namespace and does not wait for its end: the next test has another.
    pub async fn delete(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        namespaces.delete(&self.namespace, &DeleteParams::background()).await?;
        Ok(())
    }

    async fn create(&self) -> Result<()> {
        let metadata = ObjectMeta {
            name: Some(self.namespace.clone()),
            labels: Some([("barnabas.dev/e2e".to_owned(), "true".to_owned())].into()),
            ..ObjectMeta::default()
        };
        let namespace = Namespace { metadata, ..Namespace::default() };
        let namespaces: Api<Namespace> = Api::all(self.client());
        namespaces.create(&PostParams::default(), &namespace).await.context("a namespace for the test")?;
        Ok(())
    }
}

/// Runs a test in a namespace of its own. When it fails, prints what there is, and what operator and brokers logged. The
/// namespace is deleted either way, unless `KEEP` is set.
pub fn test(name: &str, body: impl AsyncFnOnce(Space) -> Result<()>) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let environment = Environment::find().await.unwrap_or_else(|error| panic!("{error:#}"));
        let space = Space { environment, namespace: unique(name) };
        space.create().await.unwrap_or_else(|error| panic!("{error:#}"));
        let result = AssertUnwindSafe(body(space.clone())).catch_unwind().await;
        if !matches!(result, Ok(Ok(()))) {
            println!("{}", diagnosis::of(&space).await);
        }
        if std::env::var_os("KEEP").is_none() {
            space.delete().await.unwrap_or_else(|error| println!("{}: {error:#}", space.namespace));
        }
        match result {
            Ok(result) => result.unwrap_or_else(|error| panic!("{error:#}")),
            Err(panic) => resume_unwind(panic),
        }
    });
}

fn unique(name: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("e2e-{name}-{:x}", now.as_millis() % 0x1_0000_0000)
}
