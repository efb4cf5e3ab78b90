//! Requests that wait for their answer, by token.

use super::group::Token;
use std::collections::HashMap;
use tokio::sync::oneshot;

/// An answer, and the offset that must be committed before it leaves.
#[derive(Debug)]
pub struct Answer<R> {
    pub response: R,
    pub after: Option<i64>,
}

/// The waiting requests of one kind in one shard. Dropped with the shard, which tells them that it is gone.
#[derive(Debug)]
pub struct Waiting<R>(HashMap<Token, oneshot::Sender<Answer<R>>>);

impl<R> Waiting<R> {
    pub fn new() -> Waiting<R> {
        Waiting(HashMap::new())
    }

    pub fn park(&mut self, token: Token) -> oneshot::Receiver<Answer<R>> {
        let (sender, receiver) = oneshot::channel();
        self.0.insert(token, sender);
        receiver
    }

    /// The request failed before it could wait.
    pub fn forget(&mut self, token: Token) {
        self.0.remove(&token);
    }

    /// Answers a request; nobody hears it if the client has gone.
    pub fn answer(&mut self, token: Token, response: R, after: Option<i64>) {
        if let Some(sender) = self.0.remove(&token) {
            let _ = sender.send(Answer { response, after });
        }
    }
}
