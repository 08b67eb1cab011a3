//! The number of files and sockets that the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Open files that are no connections of clients: connections to the database and the broker, log, libraries.
const RESERVED: u64 = 128;

/// Raises the soft limit of open files to the hard limit, which needs no privilege. Shells set a low one for the sake of
/// programs that cannot handle many.
pub fn raise_limit() {
    let Rlimit { current, maximum } = getrlimit(Resource::Nofile);
    if current != maximum
        && let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum })
    {
        tracing::warn!(%error, ?current, "the limit of open files could not be raised");
    }
}

/// Number of connections that may be about to close, beyond `connections`.
pub const fn closing_max(connections: usize) -> usize {
    connections / 10 + 16
}

/// Number of connections of clients for which there are files, besides `others` of the server's own.
pub fn connections_max(configured: u32, others: u32) -> usize {
    let configured = usize::try_from(configured).unwrap_or(usize::MAX);
    let Some(files) = getrlimit(Resource::Nofile).current else { return configured };
    let left = usize::try_from(files.saturating_sub(RESERVED + u64::from(others))).unwrap_or(usize::MAX);
    let left = left.saturating_sub(closing_max(left)).max(1);
    if left < configured {
        tracing::info!(
            files,
            connections = left,
            "the limit of open files allows fewer connections than limits.connections_max"
        );
    }
    configured.min(left)
}
