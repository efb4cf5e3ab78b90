//! What can never work is refused when it is applied, in words.

use anyhow::{Context, Result, bail, ensure};
use barnabas_e2e::cluster::MANAGER;
use barnabas_e2e::environment::root;
use barnabas_e2e::space::{Space, test};
use kube::api::{Api, ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::json;
use std::fs;
use std::path::{Path, PathBuf};

const FILES: &str = "operator/src/crd/testdata";

#[test]
fn wrong_resources_are_refused_by_the_api_server_with_a_reason() {
    test("refused", async |space| {
        let mut wrong = Vec::new();
        let files = files("refused")?;
        for file in &files {
            let text = fs::read_to_string(file)?;
            let part = text.lines().next().and_then(|line| line.strip_prefix("# refused: ")).map(str::to_owned);
            match (apply(&space, file).await, part) {
                (Err(refusal), Some(part)) if format!("{refusal:#}").contains(&part) => {}
                (Err(refusal), part) => wrong.push(format!("{}: wanted {part:?}, got {refusal:#}", file.display())),
                (Ok(()), _) => wrong.push(format!("{}: taken", file.display())),
            }
        }
        ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
        Ok(())
    });
}

#[test]
fn right_resources_are_taken_by_the_api_server() {
    test("accepted", async |space| {
        let mut wrong = Vec::new();
        let files = files("accepted")?;
        for file in &files {
            if let Err(refusal) = apply(&space, file).await {
                wrong.push(format!("{}: {refusal:#}", file.display()));
            }
        }
        ensure!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), files.len(), wrong.join("\n"));
        Ok(())
    });
}

/// The files of a directory; of a pair that shows a change (`.old`, `.new`) the new one.
fn files(directory: &str) -> Result<Vec<PathBuf>> {
    let directory = root().join(FILES).join(directory);
    let entries = fs::read_dir(&directory).with_context(|| directory.display().to_string())?;
    let paths = entries.map(|entry| Ok(entry?.path())).collect::<Result<Vec<_>>>()?;
    let mut files: Vec<_> = paths.into_iter().filter(|path| !path.to_string_lossy().ends_with(".old.yaml")).collect();
    files.sort();
    ensure!(!files.is_empty(), "{} is empty", directory.display());
    Ok(files)
}

/// Applies without effect. The old one of a pair is there for that moment; the operator leaves it alone.
async fn apply(space: &Space, file: &Path) -> Result<()> {
    let new = read(file)?;
    let api = api(space, &new);
    let old = PathBuf::from(file.to_string_lossy().replace(".new.yaml", ".old.yaml"));
    let name = new.metadata.name.clone().context("a name")?;
    if old == file {
        let dry = PostParams { dry_run: true, ..PostParams::default() };
        return Ok(api.create(&dry, &new).await.map(drop)?);
    }
    let mut before = read(&old)?;
    if before.types.as_ref().is_some_and(|types| types.kind == "KafkaCluster") {
        before.data["spec"]["paused"] = json!(true);
    }
    api.create(&PostParams::default(), &before).await.with_context(|| old.display().to_string())?;
    // Fields that the new one leaves out are to be gone.
    let result = replace(&api, &name, new).await;
    let patch = Patch::Merge(json!({ "metadata": { "finalizers": null } }));
    api.delete(&name, &DeleteParams::background()).await?;
    api.patch(&name, &PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() }, &patch)
        .await
        .ok();
    result
}

async fn replace(api: &Api<DynamicObject>, name: &str, mut new: DynamicObject) -> Result<()> {
    let dry = PostParams { dry_run: true, ..PostParams::default() };
    loop {
        new.metadata.resource_version = api.get(name).await?.metadata.resource_version;
        match api.replace(name, &dry, &new).await {
            // The operator has said something of it in between.
            Err(kube::Error::Api(status)) if status.code == 409 => continue,
            result => return Ok(result.map(drop)?),
        }
    }
}

fn read(file: &Path) -> Result<DynamicObject> {
    let what = || file.display().to_string();
    serde_yaml::from_str(&fs::read_to_string(file).with_context(what)?).with_context(what)
}

fn api(space: &Space, object: &DynamicObject) -> Api<DynamicObject> {
    let kind = object.types.as_ref().map(|types| types.kind.as_str()).unwrap_or_default();
    let kind = ApiResource::from_gvk(&GroupVersionKind::gvk("barnabas.dev", "v1alpha1", kind));
    Api::namespaced_with(space.client(), &space.namespace, &kind)
}

#[test]
fn misspelt_fields_are_refused_by_kubectl() {
    test("misspelt", async |space| {
        let text = "{apiVersion: barnabas.dev/v1alpha1, kind: KafkaCluster, metadata: {name: misspelt},
            spec: {brokers: {replicsa: 3, storage: {size: 1Gi}}}}";
        let file = std::env::temp_dir().join(format!("{}.yaml", space.namespace));
        fs::write(&file, text)?;
        let arguments = ["-n", &space.namespace, "apply", "--dry-run=server", "-f", &file.to_string_lossy()];
        let result = barnabas_e2e::commands::run("kubectl", &arguments).await;
        fs::remove_file(&file)?;
        match result {
            Err(refusal) if format!("{refusal}").contains("unknown field \"spec.brokers.replicsa\"") => Ok(()),
            Err(refusal) => Err(refusal),
            Ok(text) => bail!("taken: {text}"),
        }
    });
}
