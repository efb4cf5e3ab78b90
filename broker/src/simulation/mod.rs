//! What simulations are made of: time, clocks and a network, all from a seed.

pub mod clock;
mod cluster;
pub mod network;
pub mod schedule;
