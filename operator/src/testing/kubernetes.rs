//! An API server in memory: it keeps objects, remembers what was asked of it, and fails when it is told to. What the operator
//! is not installed with the right to do ends the test.

use super::rights::assert_allowed;
use http::{Method, Request, Response};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use tokio::sync::mpsc;

/// A request that changes something.
#[derive(Clone, Debug)]
pub struct Write {
    /// As `PATCH kafkatopics/t/status`: without the group and the namespace.
    pub what: String,
    pub body: Value,
}

/// What becomes of a write instead of being done.
#[derive(Clone, Copy, Debug)]
pub enum Failure {
    /// It is answered with this code.
    Code(u16),
    /// The connection breaks.
    Broken,
    /// There is never an answer.
    Silence,
    /// It is done, and the connection breaks before the answer.
    Unheard,
    /// The namespace is being deleted: nothing can be made in it.
    NamespaceEnds,
}

/// The server. Clones are the same one.
#[derive(Clone, Default)]
pub struct FakeKubernetes {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Default)]
struct Inner {
    /// By path, as the API server has it.
    objects: BTreeMap<String, Value>,
    version: u64,
    writes: Vec<Write>,
    /// What becomes of the next writes; `None`: they are done.
    failures: VecDeque<Option<Failure>>,
    /// So many writes are done still, then nothing is answered.
    writes_left: Option<usize>,
    watcher: Option<mpsc::UnboundedSender<(Value, bool)>>,
}

impl FakeKubernetes {
    pub fn client(&self) -> Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let server = server.clone();
            async move { server.answer(request).await }
        });
        Client::new(service, "default")
    }

    /// Puts an object there, as somebody else.
    pub fn put(&self, path: &str, object: Value) -> Value {
        self.inner().put(path, object)
    }

    pub fn get(&self, path: &str) -> Option<Value> {
        self.inner().objects.get(path).cloned()
    }

    /// What was written since this was asked last.
    pub fn writes(&self) -> Vec<Write> {
        std::mem::take(&mut self.inner().writes)
    }

    /// How many writes there were since they were asked for last.
    pub fn count(&self) -> usize {
        self.inner().writes.len()
    }

    /// The next writes fail.
    pub fn fail(&self, failures: impl IntoIterator<Item = Failure>) {
        self.inner().failures.extend(failures.into_iter().map(Some));
    }

    /// As many writes more are done, and the one after them fails.
    pub fn fail_after(&self, writes: usize, failure: Failure) {
        self.inner().failures.extend((0..writes).map(|_| None).chain([Some(failure)]));
    }

    /// After as many writes more nothing is answered any longer, as to somebody who is dead.
    pub fn die_after(&self, writes: usize) {
        self.inner().writes_left = Some(writes);
    }

    /// All is answered again. Whether it was not before.
    pub fn revive(&self) -> bool {
        self.inner().writes_left.take_if(|left| *left == 0).is_some()
    }

    /// Changes an object, as somebody else.
    pub fn change(&self, path: &str, change: impl FnOnce(&mut Value)) {
        let mut inner = self.inner();
        let mut object = inner.objects.get(path).unwrap_or_else(|| panic!("there is no {path}")).clone();
        change(&mut object);
        inner.put(path, object);
    }

    /// Takes an object away, as somebody else.
    pub fn remove(&self, path: &str) {
        self.inner().delete(path, &Value::Null).unwrap_or_else(|_| panic!("there is no {path}"));
    }

    /// All objects, by path.
    pub fn objects(&self) -> BTreeMap<String, Value> {
        self.inner().objects.clone()
    }

    /// Every change from now on, with whether the object is there still.
    pub fn watch(&self) -> mpsc::UnboundedReceiver<(Value, bool)> {
        let (watcher, changes) = mpsc::unbounded_channel();
        self.inner().watcher = Some(watcher);
        changes
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("no panic while held")
    }

    async fn answer(&self, request: Request<Body>) -> Result<Response<Body>, std::io::Error> {
        let (parts, body) = request.into_parts();
        let body = body.collect_bytes().await.expect("a body in memory");
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        let answered = self.inner().answer(&parts.method, parts.uri.path(), body);
        match answered {
            Ok(answer) => Ok(answer),
            Err(Failure::Silence) => std::future::pending().await,
            Err(_) => Err(std::io::Error::other("the connection is broken")),
        }
    }
}

impl Inner {
    /// Errors: it is not answered, but fails in this way.
    fn answer(&mut self, method: &Method, path: &str, body: Value) -> Result<Response<Body>, Failure> {
        if self.writes_left == Some(0) {
            return Err(Failure::Broken);
        }
        assert_allowed(method, path, is_apply(path, &body) && !self.objects.contains_key(path));
        let mut failure = None;
        if method != Method::GET {
            self.writes_left = self.writes_left.map(|left| left - 1);
            self.writes.push(Write { what: format!("{method} {}", shortened(path)), body: body.clone() });
            failure = self.failures.pop_front().flatten();
        }
        match failure {
            Some(Failure::Code(code)) => return Ok(failed(code)),
            Some(Failure::NamespaceEnds) => return Ok(respond(403, &namespace_ends())),
            Some(failure @ (Failure::Broken | Failure::Silence)) => return Err(failure),
            Some(Failure::Unheard) | None => {}
        }
        let done = self.act(method, path, body);
        match (failure, done) {
            (Some(unheard), _) => Err(unheard),
            (None, Ok(object)) => Ok(respond(200, &object)),
            (None, Err(code)) => Ok(failed(code)),
        }
    }

    fn act(&mut self, method: &Method, path: &str, body: Value) -> Result<Value, u16> {
        match *method {
            Method::GET => self.objects.get(path).cloned().ok_or(404),
            Method::DELETE => self.delete(path, &body["preconditions"]["uid"]),
            Method::PATCH => self.patch(path, body),
            _ => {
                let name = body["metadata"]["name"].as_str().unwrap_or("unnamed").to_owned();
                Ok(self.put(&format!("{path}/{name}"), body))
            }
        }
    }

    fn patch(&mut self, path: &str, body: Value) -> Result<Value, u16> {
        let object_path = path.strip_suffix("/status").unwrap_or(path);
        let mut object = match self.objects.get(object_path) {
            Some(object) => object.clone(),
            None if is_apply(path, &body) => json!({}),
            None => return Err(404),
        };
        for field in ["uid", "resourceVersion"] {
            let asked = &body["metadata"][field];
            if !asked.is_null() && *asked != object["metadata"][field] {
                return Err(409);
            }
        }
        match object_path == path {
            true => merge(&mut object, body),
            false => object["status"] = body["status"].clone(),
        }
        Ok(self.put(object_path, object))
    }

    /// `uid`: of the very object that is meant, if that matters.
    fn delete(&mut self, path: &str, uid: &Value) -> Result<Value, u16> {
        let mut object = self.objects.get(path).cloned().ok_or(404u16)?;
        if !uid.is_null() && *uid != object["metadata"]["uid"] {
            return Err(409);
        }
        object["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        Ok(self.put(path, object))
    }

    /// An object that is being deleted and that nobody holds any more goes.
    fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.version += 1;
        object["metadata"]["resourceVersion"] = self.version.to_string().into();
        if object["metadata"]["uid"].is_null() {
            object["metadata"]["uid"] = format!("uid-{}", self.version).into();
        }
        let leaves = !object["metadata"]["deletionTimestamp"].is_null();
        let is_held = object["metadata"]["finalizers"].as_array().is_some_and(|held| !held.is_empty());
        let is_there = !leaves || is_held;
        match is_there {
            true => self.objects.insert(path.to_owned(), object.clone()),
            false => self.objects.remove(path),
        };
        if let Some(watcher) = &self.watcher {
            watcher.send((object.clone(), is_there)).ok();
        }
        object
    }
}

/// Whether a patch makes the object where there is none.
fn is_apply(path: &str, body: &Value) -> bool {
    body.get("apiVersion").is_some() && !path.ends_with("/status")
}

/// JSON merge patch (RFC 7386).
fn merge(object: &mut Value, patch: Value) {
    let Value::Object(fields) = patch else {
        *object = patch;
        return;
    };
    if !object.is_object() {
        *object = json!({});
    }
    for (name, value) in fields {
        match value {
            Value::Null => drop(object.as_object_mut().expect("it is one").remove(&name)),
            value => merge(&mut object[name], value),
        }
    }
}

fn shortened(path: &str) -> &str {
    match path.split_once("/namespaces/").and_then(|(_, rest)| rest.split_once('/')) {
        Some((_, rest)) => rest,
        None => path,
    }
}

fn namespace_ends() -> Value {
    let cause = json!({ "reason": "NamespaceTerminating", "message": "namespace ns is being terminated" });
    json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 403, "reason": "Forbidden",
        "message": "it is being terminated", "details": { "causes": [cause] } })
}

fn failed(code: u16) -> Response<Body> {
    let reason = match code {
        404 => "NotFound",
        409 => "Conflict",
        429 => "TooManyRequests",
        500 => "InternalError",
        _ => "ToldTo",
    };
    let status = json!({ "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": code, "message": "told to",
        "reason": reason });
    respond(code, &status)
}

fn respond(code: u16, body: &Value) -> Response<Body> {
    let body = Body::from(serde_json::to_vec(body).expect("JSON"));
    Response::builder().status(code).body(body).expect("a response")
}
