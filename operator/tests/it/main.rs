//! The tests of the whole: one binary, because linking costs more than it orders.

mod purity;
