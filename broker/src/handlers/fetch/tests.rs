//! Fetch, by consumers and by followers, against partitions with real logs.
