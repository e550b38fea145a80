//! As many open files as the connections need: each is one, and systems allow a thousand unless they are asked.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::config::Config;

/// What is open whatever the configuration says: logs, signals, the listening socket, and some to spare.
const ALWAYS: u64 = 64;

/// Files of a connection to the database: an SQLite file, its log, and their shared memory, at most.
const PER_DATABASE_CONNECTION: u64 = 4;

/// Files of a thread that answers requests: what it waits with, and its connection to an SQLite file.
const PER_WORKER: u64 = 4 + PER_DATABASE_CONNECTION;

/// Raises what the process may have open to what `http.max_connections` needs, and says how many connections there may
/// be. Where the system allows fewer, it is fewer, and a warning says so.
pub fn for_connections(config: &Config) -> usize {
    let wanted = config.http.max_connections;
    let others = ALWAYS
        + PER_WORKER * u64::try_from(config.http.workers()).unwrap_or(u64::MAX)
        + PER_DATABASE_CONNECTION * u64::from(config.database.connections);
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

/// Lets the process have `needed` files open if it may, and says how many it may have.
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

/// How many connections there may be beside `others`, at least one.
fn connections_within(allowed: u64, others: u64) -> usize {
    usize::try_from(allowed.saturating_sub(others)).unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_process_may_have_open_is_raised_but_never_lowered() {
        let before = getrlimit(Resource::Nofile).current.expect("a limit");
        assert!(raise(1) >= before);
        let hard = getrlimit(Resource::Nofile).maximum.unwrap_or(u64::MAX);
        assert_eq!(raise(u64::MAX), hard);
        assert_eq!(getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX), hard);
    }

    #[test]
    fn other_files_come_first_and_one_connection_there_always_is() {
        assert_eq!(connections_within(1024, 100), 924);
        assert_eq!(connections_within(100, 100), 1);
        assert_eq!(connections_within(10, 100), 1);
    }
}
