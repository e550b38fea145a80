//! The service and its migrations through `PgBouncer`. In session mode a client keeps its server connection until it leaves;
//! in transaction mode the next client gets it after each transaction, with all settings and locks of the session before.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use roster_test_postgres::{Cluster, ClusterOptions, run_as_server_account};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::{Process, Signal};
use roster_tests::program::launch;
use roster_tests::{App, Database};
use tempfile::TempDir;

use crate::migrations::migrate_to_the_second;
use crate::silence::parts;
use crate::traffic::SETTINGS as OF_SERVICE;
use crate::writers::Writers;

/// Server connections of a pool in transaction mode: fewer than the service has clients.
const SIZE: usize = 3;

/// The settings of a session, as `name=value`, that no client of the pool has made.
const SETTINGS: &str = "SELECT string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings WHERE name IN
    ('lock_timeout', 'statement_timeout', 'idle_in_transaction_session_timeout', 'plan_cache_mode', 'enable_seqscan',
     'enable_bitmapscan', 'enable_hashjoin', 'enable_mergejoin', 'enable_sort', 'jit', 'default_transaction_isolation')";

/// How many sessions hold a lock for migrations.
const LOCKS: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'";

/// The first version that prepares the statements of its clients on all its connections, in transaction mode.
const PREPARES: (u32, u32) = (1, 21);

#[test]
#[ignore = "slow: make faults"]
fn migrations_through_a_pooler_leave_neither_a_lock_nor_a_setting() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let direct = cluster.create_database();
    let pooler = Pooler::start(&program, &direct, Mode::Transaction, "");
    migrate(&pooler.url, "the first");
    // This client gets the server connection that the first migration has used, so the second gets another.
    let mut other = connect(&pooler.url);
    other.batch_execute("BEGIN").expect("a transaction");
    migrate(&pooler.url, "the second");
    other.batch_execute("COMMIT").expect("the end of a transaction");
    assert_nothing_is_left(&pooler, &direct);
}

#[test]
#[ignore = "slow: make faults"]
fn of_two_migrations_through_a_pooler_one_waits_for_the_other() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    for mode in [Mode::Session, Mode::Transaction] {
        let direct = cluster.create_database();
        let pooler = Pooler::start(&program, &direct, mode, "");
        let mut both = [(); 2].map(|()| launch(&pooler.url, &[], &["migrate"]));
        for process in &mut both {
            assert_ends_well(process, "one of two migrations");
        }
        assert_nothing_is_left(&pooler, &direct);
    }
}

#[test]
#[ignore = "slow: make faults"]
fn migrations_prepare_no_statement_that_another_client_of_the_pooler_may_have_prepared() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let direct = cluster.create_database();
    let pooler = Pooler::start(&program, &direct, Mode::Transaction, program.without_prepared_statements());
    let mut clients: Vec<_> = (0..SIZE).map(|_| connect(&pooler.url)).collect();
    for client in &mut clients {
        // They stay open until all are, so that each has a server connection of its own.
        client.batch_execute("BEGIN; PREPARE __diesel_stmt_1 AS SELECT 1").expect("a statement of diesel's first name");
    }
    for client in &mut clients {
        client.batch_execute("COMMIT").expect("the end of a transaction");
    }
    migrate(&pooler.url, "the only");
    assert_nothing_is_left(&pooler, &direct);
}

#[test]
#[ignore = "slow: make faults"]
fn a_killed_migration_leaves_no_lock_on_a_connection_of_the_pooler() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let any = Database::on(&cluster);
    for mode in [Mode::Session, Mode::Transaction] {
        let database = any.reached_by(cluster.create_database());
        migrate_to_the_second(&database);
        let mut dump = database.administrator();
        dump.batch_execute("BEGIN; LOCK TABLE api_keys IN ACCESS SHARE MODE").expect("a lock as of a dump");
        let pooler = Pooler::start(&program, database.url(), mode, "");

        let mut killed = launch(&pooler.url, &[], &["migrate"]);
        let waits = |line: &str| line.contains("a table is in use").then_some(());
        killed.lines().find(TIMEOUT, waits).expect("the migration waits for the dump");
        assert_eq!(advisory_locks(database.url()), 1);
        killed.signal(Signal::Kill);
        killed.wait(TIMEOUT);
        until("the lock ends with its client", TIMEOUT, || (advisory_locks(database.url()) == 0).then_some(()));

        dump.batch_execute("COMMIT").expect("the end of the dump");
        migrate(&pooler.url, "the next");
        assert_nothing_is_left(&pooler, database.url());
    }
}

#[test]
#[ignore = "slow: make faults"]
fn requests_go_through_a_pooler_in_session_mode_while_its_connections_end() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&cluster);
    let mut pooler = Pooler::start(&program, origin.url(), Mode::Session, "");
    let mut app = App::start_with(origin.reached_by(pooler.url.clone()), &OF_SERVICE);
    requests_survive_faults(&app, &origin, &cluster, &mut pooler);
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    assert_nothing_is_left(&pooler, origin.url());
}

#[test]
#[ignore = "slow: make faults"]
fn requests_go_through_a_pooler_in_transaction_mode_while_its_connections_end() {
    let Some(program) = PgBouncer::installed() else { return };
    if program.version < PREPARES {
        return report_skipped("requests in transaction mode", &format!("PgBouncer {:?} is too old", program.version));
    }
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&cluster);
    let mut pooler = Pooler::start(&program, origin.url(), Mode::Transaction, "max_prepared_statements = 200\n");
    // The settings that the service asks for with its default deadline are those that the documentation lists.
    let documented = include_str!("../../../docs/scale.md");
    for statement in settings_asked_for(&pooler.url, ("ROSTER__DATABASE__DEADLINE_MS", "2000")) {
        let statement = statement.replace("CURRENT_USER", "roster");
        assert!(documented.contains(&statement), "docs/scale.md lacks {statement}");
    }
    let mut administrator = origin.administrator();
    for statement in settings_asked_for(&pooler.url, OF_SERVICE[0]) {
        administrator.batch_execute(&statement).unwrap_or_else(|error| panic!("{statement}: {error}"));
    }
    end_connections(&origin);

    let app = App::start_with(origin.reached_by(pooler.url.clone()), &OF_SERVICE);
    requests_survive_faults(&app, &origin, &cluster, &mut pooler);
    // While the service runs: it has set nothing that its connections did not have.
    assert_nothing_is_left(&pooler, origin.url());
}

#[test]
#[ignore = "slow: make faults"]
fn a_pooler_that_loses_prepared_statements_is_refused_at_the_start() {
    let Some(program) = PgBouncer::installed() else { return };
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&cluster);
    let pooler = Pooler::start(&program, origin.url(), Mode::Transaction, program.without_prepared_statements());
    for command in [["serve"].as_slice(), &["check"], &["merchants", "list"]] {
        let refused = refused(&pooler.url, OF_SERVICE[0], command);
        assert!(refused.contains("PgBouncer must be 1.21 or later, with max_prepared_statements above 0"), "{refused}");
    }
}

/// Writes through the pooler while its server connections are ended, while it is started anew, and while the server is
/// killed; then reads everything.
fn requests_survive_faults(app: &App, origin: &Database, cluster: &Cluster, pooler: &mut Pooler<'_>) {
    let writers = Writers::new(app);
    writers.during(|| {
        writers.until_written();
        for _ in 0..3 {
            end_connections(origin);
            writers.until_written();
        }
        pooler.restart();
        writers.until_written();
        cluster.crash();
        cluster.start();
        writers.until_written();
    });
    let written = writers.assert_each_is_there_once();
    println!("{written} customers were written and changed through the pooler");
    until("the service is ready", TIMEOUT, || (app.root().get("/readyz").status == 200).then_some(()));
}

/// Ends all connections to the server but that of this call.
fn end_connections(database: &Database) {
    let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()";
    database.administrator().batch_execute(others).expect("signals");
}

/// Asserts that no lock for migrations and no setting of a client is left on any server connection.
fn assert_nothing_is_left(pooler: &Pooler<'_>, direct: &str) {
    assert_eq!(advisory_locks(direct), 0, "a lock has outlived the migrations");
    let expected: String = sql::<Text>(SETTINGS).get_result(&mut connect(direct)).expect("the settings");
    for (number, settings) in settings_of_the_pool(&pooler.url).into_iter().enumerate() {
        assert_eq!(settings, expected, "server connection {number} has settings of another client");
    }
}

fn advisory_locks(url: &str) -> i64 {
    sql::<BigInt>(LOCKS).get_result(&mut connect(url)).expect("a number")
}

/// Runs `roster migrate` to its end.
fn migrate(url: &str, which: &str) {
    assert_ends_well(&mut launch(url, &[], &["migrate"]), &format!("{which} migration"));
}

fn assert_ends_well(process: &mut Process, what: &str) {
    let status = until(&format!("{what} ends"), TIMEOUT, || process.ended());
    assert!(status.success(), "{what}: {status}: {:#?}", process.lines().all());
}

/// Runs a command of the program that is refused, and returns what it printed.
fn refused(url: &str, setting: (&str, &str), command: &[&str]) -> String {
    let mut process = launch(url, &[setting], command);
    let status = process.wait(TIMEOUT);
    let printed = process.lines().all().join("\n");
    assert_eq!(status.code(), Some(1), "{command:?}: {status}: {printed}");
    printed
}

/// The statements that a service which is refused asks for.
fn settings_asked_for(url: &str, setting: (&str, &str)) -> Vec<String> {
    let printed = refused(url, setting, &["serve"]);
    let statements = printed.split("ALTER ROLE").skip(1).map(|rest| {
        let (statement, _) = rest.split_once(';').unwrap_or_else(|| panic!("a statement without an end: {printed}"));
        format!("ALTER ROLE{statement};")
    });
    let statements: Vec<_> = statements.collect();
    assert!(!statements.is_empty(), "no statement is asked for: {printed}");
    statements
}

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).unwrap_or_else(|error| panic!("no connection: {error}"))
}

/// The settings of server connections of the pool, of all in transaction mode. Transactions that are open at the same time
/// have different ones.
fn settings_of_the_pool(url: &str) -> Vec<String> {
    let mut clients: Vec<_> = (0..SIZE).map(|_| connect(url)).collect();
    let read = |client: &mut PgConnection| {
        client.batch_execute("BEGIN").expect("a transaction");
        sql::<Text>(SETTINGS).get_result(client).expect("the settings")
    };
    clients.iter_mut().map(read).collect()
}

/// When the next client gets a server connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Session,
    Transaction,
}

/// A running `PgBouncer`.
struct Pooler<'a> {
    program: &'a PgBouncer,
    url: String,
    process: Process,
    folder: TempDir,
}

impl<'a> Pooler<'a> {
    /// Starts one for the server and the database of `url`, with these lines of settings more.
    fn start(program: &'a PgBouncer, url: &str, mode: Mode, settings: &str) -> Self {
        let (server, name) = parts(url);
        let folder = tempfile::Builder::new().prefix("roster-pooler-").tempdir().expect("a folder");
        let path = folder.path().display();
        let (host, port) = (server.ip(), server.port());
        let mode = match mode {
            Mode::Session => "pool_mode = session\ndefault_pool_size = 40\n".to_owned(),
            Mode::Transaction => format!("pool_mode = transaction\ndefault_pool_size = {SIZE}\n"),
        };
        let settings = format!(
            "[databases]\n{name} = host={host} port={port} user=postgres\n\
             [pgbouncer]\nlisten_addr =\nlisten_port = 6432\nunix_socket_dir = {path}\nauth_type = any\n\
             server_login_retry = 1\n{mode}{settings}"
        );
        fs::write(folder.path().join(INI), settings).expect("a file");
        let url = format!("postgresql:///{name}?host={path}&port=6432&user=postgres");
        let process = program.run(folder.path());
        Self { program, url, process, folder }
    }

    /// Kills it and starts it again.
    fn restart(&mut self) {
        self.process.signal(Signal::Kill);
        self.process.wait(TIMEOUT);
        self.process = self.program.run(self.folder.path());
    }
}

const INI: &str = "pgbouncer.ini";
const SOCKET: &str = ".s.PGSQL.6432";

/// The program and its version.
struct PgBouncer {
    binary: PathBuf,
    version: (u32, u32),
}

impl PgBouncer {
    /// The program that `TEST_PGBOUNCER` names, or else the one that is installed. `None`, and a report that the test is
    /// skipped, if there is none.
    fn installed() -> Option<Self> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        // Debian installs it where services are, which is not on every PATH.
        let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
        let found = || folders.map(|folder| folder.join("pgbouncer")).find(|binary| binary.is_file());
        let Some(binary) = std::env::var_os("TEST_PGBOUNCER").map(PathBuf::from).or_else(found) else {
            report_skipped("a pooler", "PgBouncer is not installed (package pgbouncer)");
            return None;
        };
        let output = Command::new(&binary).arg("--version").output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let version = text.split_whitespace().nth(1).and_then(|version| {
            let mut parts = version.split('.').map(|part| part.parse().ok());
            Some((parts.next()??, parts.next()??))
        });
        Some(Self { binary, version: version.unwrap_or_else(|| panic!("no version: {text}")) })
    }

    /// The setting with which it does not prepare the statements of its clients on all its connections.
    fn without_prepared_statements(&self) -> &'static str {
        if self.version < PREPARES { "" } else { "max_prepared_statements = 0\n" }
    }

    /// Starts it with the configuration in `folder`, and waits until it listens.
    fn run(&self, folder: &Path) -> Process {
        let mut command = Command::new(&self.binary);
        command.arg(folder.join(INI)).current_dir(folder);
        run_as_server_account(&mut command, folder);
        let mut process = Process::spawn(&mut command);
        let socket = folder.join(SOCKET);
        until("the pooler listens", TIMEOUT, || {
            assert!(process.ended().is_none(), "the pooler ended: {:#?}", process.lines().all());
            UnixStream::connect(&socket).ok()
        });
        process
    }
}

fn report_skipped(what: &str, why: &str) {
    // Not `eprintln!`: the test harness hides its output when the test passes.
    let _ = io::stderr().write_all(format!("SKIPPED the test of {what}: {why}\n").as_bytes());
}
