//! Raises the limit of open files: each connection is one, and the default limit is often 1,024.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// Files that are open with any configuration: logs, signals, the listening socket, and a reserve.
const ALWAYS: u64 = 64;

/// The most files of one database connection: an SQLite file, its write-ahead log and their shared memory.
const PER_DATABASE_CONNECTION: u64 = 4;

/// Files of one worker thread: those of its event loop, and its connection to an SQLite file.
const PER_WORKER: u64 = 4 + PER_DATABASE_CONNECTION;

/// Raises the limit of open files to what `http.max_connections` needs, and returns how many connections fit.
///
/// If the system's hard limit is lower, fewer connections fit, and a warning is logged.
pub fn for_connections(config: &Config) -> usize {
    let wanted = config.http.max_connections;
    let databases = if config.database.replica_url.is_some() { 2 } else { 1 };
    let others = ALWAYS
        + PER_WORKER * u64::try_from(config.http.workers()).unwrap_or(u64::MAX)
        + PER_DATABASE_CONNECTION * u64::from(config.database.connections) * databases;
    let allowed = raise(u64::try_from(wanted).unwrap_or(u64::MAX).saturating_add(others));
    let possible = connections_within(allowed, others).min(wanted);
    if possible < wanted {
        tracing::warn!(
            wanted,
            possible,
            open_files = allowed,
            "the system allows fewer open files than http.max_connections needs"
        );
    }
    possible
}

/// Raises the soft limit to `needed`, but at most to the hard limit, and returns the resulting soft limit.
fn raise(needed: u64) -> u64 {
    let before = getrlimit(Resource::Nofile);
    let (Some(soft), hard) = (before.current, before.maximum.unwrap_or(u64::MAX)) else { return u64::MAX };
    if soft >= needed {
        return soft;
    }
    let raised = needed.min(hard);
    match setrlimit(Resource::Nofile, Rlimit { current: Some(raised), maximum: before.maximum }) {
        Ok(()) => raised,
        Err(_) => soft,
    }
}

/// How many connections fit beside `others` files, at least one.
fn connections_within(allowed: u64, others: u64) -> usize {
    usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_of_open_files_is_raised_but_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.expect("a limit");
        assert!(raise(1) >= before);
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise(u64::MAX), hard);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), hard);
    }

    #[test]
    fn at_least_one_connection_fits_beside_the_other_files() {
        assert_eq!(connections_within(1024, 100), 924);
        assert_eq!(connections_within(100, 100), 1);
        assert_eq!(connections_within(10, 100), 1);
    }
}
