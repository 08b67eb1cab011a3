//! Work that no request waits for: the server's own metrics, partitions made ahead, compaction, retention.

pub mod compaction;
pub mod partitions;
pub mod retention;
pub mod self_monitoring;
