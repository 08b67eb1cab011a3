//! Work that no request waits for: the server's own metrics, partitions made ahead.

pub mod partitions;
pub mod self_monitoring;
