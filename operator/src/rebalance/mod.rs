//! Where replicas go: new partitions, changed replication factors, drains before brokers go, balance after brokers came.
//!
//! - Racks come first: nothing here puts two replicas of a partition into one rack while another rack has a broker left for
//!   one of them. Brokers without a rack are one rack together, as for the controller.
//! - Least movement: [`resize`] and [`drain`] move only what has to go, and [`spread`] only what makes counts more equal.
//! - The preferred leader is the first of a list of replicas. Where it may stay, [`resize`] and [`drain`] keep it.
//! - A [`Move`] names all replicas that a partition is to have, and a plan names a partition at most once.
//! - The same input gives the same plan, in whatever order brokers and partitions are listed.
//! - Quick: 100,000 partitions on 100 brokers within about a second.
//!
//! Topics that are bound to some of the brokers take part through [`drain_within`] and [`spread_within`].
//!
//! Deliberately absent: bytes and rates. Counts of replicas and leaders are known without asking every broker and do not
//! change by themselves, so a plan that was carried out is not followed by another one. Absent too is when to move and how much
//! at a time: the caller may carry out any first part of a plan and ask again.

mod assign;
mod evening;
mod layout;
mod order;
mod refusal;
mod resize;
mod spread;
#[cfg(test)]
mod spread_test;
#[cfg(test)]
mod testing;

pub use assign::assign;
pub use refusal::Refusal;
pub use resize::{drain, drain_within, resize};
pub use spread::{leaders, spread, spread_within};

/// A broker that may hold replicas once the plan is carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broker {
    pub id: i32,
    pub rack: Option<String>,
}

/// A partition and where its replicas are, the preferred leader first. While it moves, these are the replicas it moves to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Partition {
    pub topic: String,
    pub partition: i32,
    pub replicas: Vec<i32>,
}

/// All the replicas that a partition is to have instead, the preferred leader first. Where they are the same ones in another
/// order, no data moves.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    pub topic: String,
    pub partition: i32,
    pub replicas: Vec<i32>,
}
