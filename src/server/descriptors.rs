//! File descriptors: how many the process has, and how many of them connections of peers may occupy.

/// Connections of operators.
pub(super) const ADMIN_CONNECTIONS: usize = 32;

/// Raises the soft limit to the hard one. `None` where the system has no such limit.
pub(super) fn raise_limit() -> Option<u64> {
    rlimit::increase_nofile_limit(u64::MAX).or_else(|_| rlimit::Resource::NOFILE.get_soft()).ok()
}

/// Most connections of the gRPC listener, and of the one for callbacks: as configured, but each at most three eighths
/// of the descriptors. The last quarter is kept for vendors, storage and operators.
pub(super) fn max_connections(configured: usize, limit: Option<u64>) -> usize {
    let share = limit.map_or(usize::MAX, |limit| usize::try_from(limit / 8 * 3).unwrap_or(usize::MAX));
    let connections = configured.min(share.max(1));
    if connections < configured {
        tracing::warn!(
            max_connections = configured,
            connections,
            descriptors = limit,
            "listen.max_connections exceeds what the limit of file descriptors permits"
        );
    }
    connections
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quarter_of_the_descriptors_is_kept() {
        assert_eq!(max_connections(10_000, Some(1024)), 384);
        assert_eq!(max_connections(100, Some(1024)), 100);
        assert_eq!(max_connections(10_000, Some(1 << 20)), 10_000);
        assert_eq!(max_connections(10_000, None), 10_000);
        assert_eq!(max_connections(10_000, Some(0)), 1);
    }
}
