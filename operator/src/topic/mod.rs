use crate::{admin::Change, context::Context, crd::KafkaTopic};
use futures::{Stream, StreamExt};
use kube::runtime::{reflector::{ObjectRef, Store}, watcher};
use std::sync::Arc;
pub fn concerned(_: &Change, _: &Store<KafkaTopic>) -> Vec<ObjectRef<KafkaTopic>> { Vec::new() }
pub async fn run(_: Arc<Context>, topics: impl Stream<Item = Result<KafkaTopic, watcher::Error>> + Send + 'static, _c: impl Stream<Item = ObjectRef<KafkaTopic>> + Send + 'static) { topics.for_each(|_| async {}).await }
