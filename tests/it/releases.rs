//! Releases: measurements that carry the version they were taken with.

mod tags;
