//! How many connections are taken, in all and from one address.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex};

/// Why a connection is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("the broker has its {0} connections (max.connections)")]
    Total(usize),
    #[error("its address has its {0} connections (max.connections.per.ip)")]
    PerAddress(usize),
}

impl Refusal {
    /// The setting that refuses, as metrics name it.
    pub fn reason(&self) -> &'static str {
        match self {
            Refusal::Total(_) => "max_connections",
            Refusal::PerAddress(_) => "max_connections_per_ip",
        }
    }
}

/// Counts the open connections of all listeners.
#[derive(Debug)]
pub struct ConnectionLimits {
    total_max: usize,
    per_address_max: usize,
    /// Addresses with a limit of their own (`max.connections.per.ip.overrides`).
    overrides: HashMap<IpAddr, usize>,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    total: usize,
    per_address: HashMap<IpAddr, usize>,
}

impl ConnectionLimits {
    pub fn new(total_max: usize, per_address_max: usize, overrides: HashMap<IpAddr, usize>) -> Arc<ConnectionLimits> {
        Arc::new(ConnectionLimits { total_max, per_address_max, overrides, open: Mutex::default() })
    }

    /// Counts a connection from `address` until the permit is dropped.
    /// Errors: the limit that is reached.
    pub fn admit(self: &Arc<Self>, address: IpAddr) -> Result<Permit, Refusal> {
        let mut open = self.open.lock().expect("no panic while held");
        if open.total >= self.total_max {
            return Err(Refusal::Total(self.total_max));
        }
        let per_address_max = self.overrides.get(&address).copied().unwrap_or(self.per_address_max);
        if open.per_address.get(&address).copied().unwrap_or(0) >= per_address_max {
            return Err(Refusal::PerAddress(per_address_max));
        }
        *open.per_address.entry(address).or_default() += 1;
        open.total += 1;
        Ok(Permit { limits: self.clone(), address })
    }
}

/// One counted connection.
#[derive(Debug)]
pub struct Permit {
    limits: Arc<ConnectionLimits>,
    address: IpAddr,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut open = self.limits.open.lock().expect("no panic while held");
        open.total -= 1;
        if let Some(count) = open.per_address.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                open.per_address.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_free_again_when_its_connection_ends() {
        let (one, two, three) = (IpAddr::from([1; 4]), IpAddr::from([2; 4]), IpAddr::from([3; 4]));
        let limits = ConnectionLimits::new(2, 1, HashMap::new());
        let first = limits.admit(one).unwrap();
        assert_eq!(limits.admit(one).unwrap_err(), Refusal::PerAddress(1));
        let _second = limits.admit(two).unwrap();
        assert_eq!(limits.admit(three).unwrap_err(), Refusal::Total(2));
        drop(first);
        assert!(limits.admit(one).is_ok());
    }

    #[test]
    fn an_address_may_have_a_limit_of_its_own() {
        let (one, two) = (IpAddr::from([1; 4]), IpAddr::from([2; 4]));
        let limits = ConnectionLimits::new(10, 10, HashMap::from([(one, 0)]));
        assert_eq!(limits.admit(one).unwrap_err(), Refusal::PerAddress(0));
        assert!(limits.admit(two).is_ok());
    }
}
