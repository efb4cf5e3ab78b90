//! Barnabas on a real Kubernetes: each test is one fact that a user may rely on.
//!
//! They share one machine and one operator, so they run one after the other (`e2e/run`), each in a namespace of its own.

mod conditions;
mod configuration;
mod controllers;
mod failures;
mod idle;
mod install;
mod life;
mod listeners;
mod many_topics;
mod monitoring;
mod nodes;
mod operators;
mod recreation;
mod refusals;
mod rolling;
mod scaling;
mod topics;
mod volumes;
