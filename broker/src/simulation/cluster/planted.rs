//! Bugs planted on purpose: the simulation is worth something only if it finds them. Those of the quorum itself are planted
//! in its own simulation.

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bug {
    /// A leader takes its followers to have what it has just appended.
    AckBeforeReplication,
    /// A follower does not cut its log where the leader's is another.
    TruncationSkipped,
    /// A broker goes on leading when somebody else does in a newer epoch.
    LeaderNotDeposed,
    /// A leader counts on a smaller ISR before the controller has taken it.
    IsrAppliedEarly,
    /// The controller elects replicas that are not in sync, though the configuration forbids it.
    UncleanElection,
    /// A broker serves as the metadata says that it did before it ended, with what it has now.
    ServesBeforeRegistered,
}
