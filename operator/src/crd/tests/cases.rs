//! The resources in `testdata/`.
//!
//! `refused/NAME.yaml` begins with `# refused: ` and a part of the message. `accepted/NAME.yaml` may begin with lines
//! `# accepted, near: ` and a part of the message that it just avoids. What is said of changes is a pair: `NAME.old.yaml`,
//! which is accepted, and `NAME.new.yaml`. Messages are those of `kubectl create` and `kubectl replace`: a server-side apply
//! refuses duplicates and nulls in words of its own.

use serde_json::Value;
use std::fs;
use std::path::Path;

pub struct Case {
    pub name: String,
    pub old: Option<Value>,
    pub new: Value,
    /// A part of the message with which it is refused.
    pub refused: Option<String>,
    /// Parts of messages of rules that it keeps.
    pub near: Vec<String>,
}

impl Case {
    pub fn kind(&self) -> &str {
        self.new["kind"].as_str().expect("a kind")
    }
}

pub fn all() -> Vec<Case> {
    let testdata = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/crd/testdata");
    let mut cases: Vec<Case> = ["refused", "accepted"].iter().flat_map(|folder| read(&testdata.join(folder))).collect();
    cases.sort_by(|one, other| one.name.cmp(&other.name));
    cases
}

fn read(folder: &Path) -> Vec<Case> {
    let entries = fs::read_dir(folder).expect("testdata").map(|entry| entry.expect("testdata").path());
    entries.filter(|path| !path.to_string_lossy().ends_with(".old.yaml")).map(|path| case(&path)).collect()
}

fn case(path: &Path) -> Case {
    let text = fs::read_to_string(path).expect("a case");
    let old = path.to_string_lossy().strip_suffix(".new.yaml").map(|stem| format!("{stem}.old.yaml"));
    let noted =
        |note: &str| text.lines().filter_map(|line| line.strip_prefix(note)).map(str::to_owned).collect::<Vec<_>>();
    let case = Case {
        name: path.file_name().expect("a file").to_string_lossy().into_owned(),
        old: old.map(|old| parse(&fs::read_to_string(&old).unwrap_or_else(|_| panic!("{old} is missing")))),
        new: parse(&text),
        refused: noted("# refused: ").pop(),
        near: noted("# accepted, near: "),
    };
    let in_refused = path.parent().is_some_and(|folder| folder.ends_with("refused"));
    assert_eq!(case.refused.is_some(), in_refused, "{}: begins with '# refused: ' where it is in refused/", case.name);
    case
}

fn parse(text: &str) -> Value {
    serde_yaml::from_str(text).expect("YAML")
}
