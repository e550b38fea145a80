//! Migrations through `PgBouncer` in transaction mode, which gives a server connection to another client after each
//! transaction, with all settings and locks of the session before.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_test_postgres::{Cluster, ClusterOptions, run_as_server_account};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Process;
use roster_tests::program::launch;
use tempfile::TempDir;

use crate::silence::parts;

/// Server connections in the pool.
const SIZE: usize = 3;

/// The settings of a session, as `name=value`, that no client of the pool has made.
const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN
    ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'plan_cache_mode', 'enable_seqscan',
     'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_sort', 'jit', 'default_transaction_isolation')";

#[test]
#[ignore = "slow: make faults"]
fn migrations_through_a_pooler_leave_neither_a_lock_nor_a_setting() {
    let Some(binary) = installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let direct = cluster.create_database();
    let pooler = Pooler::start(&binary, &direct);
    migrate(&pooler.url, "the first");
    // This client gets the server connection that the first migration has used, so the second gets another.
    let mut other = connect(&pooler.url);
    other.batch_execute("BEGIN").expect("a transaction");
    migrate(&pooler.url, "the second");
    other.batch_execute("COMMIT").expect("the end of a transaction");

    let locks = sql::<BigInt>("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'");
    assert_eq!(locks.get_result::<i64>(&mut connect(&direct)), Ok(0), "a lock has outlived the migrations");
    let expected: String = sql::<Text>(SETTINGS).get_result(&mut connect(&direct)).expect("the settings");
    for (number, settings) in settings_of_the_pool(&pooler.url).into_iter().enumerate() {
        assert_eq!(settings, expected, "server connection {number} has settings of another client");
    }
}

/// Runs `roster migrate` to its end.
fn migrate(url: &str, which: &str) {
    let mut process = launch(url, &[], &["migrate"]);
    let status = until(&format!("{which} migration ends"), TIMEOUT, || process.ended());
    assert!(status.success(), "{which} migration: {status}: {:#?}", process.lines().all());
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// The settings of every server connection of the pool. Transactions that are open at the same time have different ones.
fn settings_of_the_pool(url: &str) -> Vec<String> {
    let mut clients: Vec<_> = (0..SIZE).map(|_| connect(url)).collect();
    let read = |client: &mut PgConnection| {
        client.batch_execute("BEGIN").expect("a transaction");
        sql::<Text>(SETTINGS).get_result(client).expect("the settings")
    };
    clients.iter_mut().map(read).collect()
}

/// A running `PgBouncer`.
struct Pooler {
    url: String,
    _process: Process,
    _folder: TempDir,
}

impl Pooler {
    /// Starts one for the server and the database of `url`.
    fn start(binary: &Path, url: &str) -> Self {
        let (server, name) = parts(url);
        let folder = tempfile::Builder::new().prefix("roster-pooler-").tempdir().expect("a folder");
        let path = folder.path().display();
        let (host, port) = (server.ip(), server.port());
        let settings = format!(
            "[databases]\n{name} = host={host} port={port} user=postgres\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {path}\nauth_type = any\n\
             pool_mode = transaction\ndefault_pool_size = {SIZE}\n"
        );
        let file = folder.path().join("pgbouncer.ini");
        fs::write(&file, settings).expect("a file");
        let mut command = Command::new(binary);
        command.arg(&file).current_dir(folder.path());
        run_as_server_account(&mut command, folder.path());
        let mut process = Process::spawn(&mut command);
        let socket = folder.path().join(".s.PGSQL.6432");
        until("the pooler listens", TIMEOUT, || {
            assert!(process.ended().is_none(), "the pooler ended: {:#?}", process.lines().all());
            socket.exists().then_some(())
        });
        let url = format!("postgresql:///{name}?host={path}&port=6432&user=postgres");
        Self { url, _process: process, _folder: folder }
    }
}

/// The program, or `None` and a report that the test is skipped.
fn installed() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // Debian installs it where services are, which is not on every PATH.
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    let binary = folders.map(|folder| folder.join("pgbouncer")).find(|binary| binary.is_file());
    if binary.is_none() {
        // Not `eprintln!`: the test harness hides its output when the test passes.
        let _ =
            io::stderr().write_all(b"SKIPPED the test of a pooler: PgBouncer is not installed (package pgbouncer)\n");
    }
    binary
}
