//! Reconciling against an API server and a cluster in memory.

mod bench;
mod failing;
mod making;
mod others;
mod restarting;
mod sizing;
mod story;
