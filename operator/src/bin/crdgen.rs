//! Writes the definitions of the resources to `crds/`, or to the directory that is named.

use anyhow::Context;
use barnabas_operator::crd;
use std::path::PathBuf;

fn main() -> anyhow::Result<()> {
    let named = std::env::args().nth(1).map(PathBuf::from);
    let directory = named.unwrap_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../crds")));
    std::fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
    for (file, definition) in crd::definitions() {
        let path = directory.join(file);
        std::fs::write(&path, serde_yaml::to_string(&definition)?)
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}
