//! Stand-ins for what the operator talks to: an API server of Kubernetes with its own controllers, and the admin service of a
//! cluster.

pub mod admin;
pub mod kubernetes;
mod rights;
pub mod workloads;
