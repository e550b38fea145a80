//! A cluster does what a test asks of it, and ends with the test.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Integer, Text};
use roster_test_postgres::{Cluster, ClusterOptions, Template, database, read_statements};

/// How long to wait for what takes milliseconds on a quiet machine.
const PATIENCE: Duration = Duration::from_mins(1);

fn connect(url: &str) -> PgConnection {
    PgConnection::establish(url).expect("a connection")
}

/// `FOLDER` in a URL of the form `…?host=FOLDER&…`.
fn folder(url: &str) -> String {
    let (_, rest) = url.split_once("host=").expect("a socket");
    rest.split('&').next().unwrap_or_default().to_owned()
}

#[test]
fn committed_data_survives_stop_and_crash() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    connect(&url).batch_execute("CREATE TABLE kept ()").expect("a table");
    cluster.stop();
    assert!(PgConnection::establish(&url).is_err());
    cluster.start();
    connect(&url).batch_execute("TABLE kept; CHECKPOINT").expect("the table is there");
    cluster.crash();
    assert!(PgConnection::establish(&url).is_err());
    cluster.start();
    connect(&url).batch_execute("TABLE kept").expect("the table is still there");
}

#[test]
fn a_frozen_server_answers_once_it_is_thawed() {
    let Some(cluster) = Cluster::create(ClusterOptions { tcp: true, durable: true }) else { return };
    let url = cluster.create_database();
    assert!(url.contains("@127.0.0.1:"), "{url}");
    let mut connection = connect(&url);
    cluster.freeze();
    let (sender, answer) = mpsc::channel();
    let asking = thread::spawn(move || sender.send(connection.batch_execute("SELECT 1").is_ok()));
    assert_eq!(answer.recv_timeout(Duration::from_millis(200)), Err(mpsc::RecvTimeoutError::Timeout));
    cluster.thaw();
    assert_eq!(answer.recv_timeout(PATIENCE), Ok(true));
    asking.join().expect("the thread ends").expect("the channel is open");
}

#[test]
fn every_process_of_a_frozen_server_is_stopped() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    // Clients that connect again and again, so that the server forks while it is frozen.
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let url = url.clone();
            thread::spawn(move || (0..50).for_each(|_| drop(connect(&url))))
        })
        .collect();
    for _ in 0..5 {
        cluster.freeze();
        let states: Vec<_> = cluster.processes().into_iter().map(state).collect();
        // A child that had ended is a zombie until the server goes on.
        assert!(states.len() > 1 && states.iter().all(|state| state == "T" || state == "Z"), "{states:?}");
        cluster.thaw();
    }
    for client in clients {
        client.join().expect("the server answers every client");
    }
}

#[test]
fn one_frozen_process_of_a_server_blocks_no_other() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    let (mut frozen, mut other) = (connect(&url), connect(&url));
    let backend: i32 = diesel::select(sql::<Integer>("pg_backend_pid()")).get_result(&mut frozen).expect("its process");
    let backend = backend.unsigned_abs();
    cluster.freeze_process(backend);
    assert_eq!(state(backend), "T");
    other.batch_execute("SELECT 1").expect("another process answers");
    cluster.thaw();
    frozen.batch_execute("SELECT 1").expect("the process answers again");
}

#[test]
fn a_standby_has_what_its_primary_commits_and_can_be_promoted() {
    let Some(primary) = Cluster::create(ClusterOptions { tcp: true, durable: true }) else { return };
    let url = primary.create_database();
    let (_, name) = url.rsplit_once('/').expect("the name of the database");
    let standby = primary.standby();
    connect(&url).batch_execute("CREATE TABLE kept ()").expect("a table");
    let mut connection = connect(&standby.url(name));
    let end = Instant::now() + PATIENCE;
    while connection.batch_execute("TABLE kept").is_err() {
        assert!(Instant::now() < end, "the table has not arrived: {}", standby.log());
        thread::sleep(Duration::from_millis(5));
    }
    connection.batch_execute("DROP TABLE kept").expect_err("a standby is read-only");
    primary.freeze();
    connection.batch_execute("SELECT pg_promote()").expect("a promotion");
    connection.batch_execute("DROP TABLE kept").expect("a primary");
}

/// The state of a process, as in `ps`.
fn state(process: u32) -> String {
    let status = fs::read_to_string(format!("/proc/{process}/status")).expect("a process");
    let state = status.lines().find_map(|line| line.strip_prefix("State:")).expect("a state");
    state.trim().chars().take(1).collect()
}

#[test]
fn a_frozen_cluster_leaves_no_files_when_it_is_dropped() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    let _connection = connect(&url);
    cluster.freeze();
    drop(cluster);
    assert!(!Path::new(&folder(&url)).exists());
}

#[test]
fn databases_are_separate_and_are_removed_when_dropped() {
    let Some(one) = database() else { return };
    let other = database().expect("the server of the first database");
    let _still_connected = connect(one.url());
    connect(one.url()).batch_execute("CREATE TABLE mine ()").expect("a table");
    assert!(connect(other.url()).batch_execute("TABLE mine").is_err());
    let url = one.url().to_owned();
    drop(one);
    assert!(PgConnection::establish(&url).is_err());
}

#[test]
fn each_copy_of_a_template_has_its_tables() {
    static FILLED: Template = Template::new(|url| {
        connect(url).batch_execute("CREATE TABLE filled AS SELECT 1 AS one").expect("a table");
    });
    let threads: Vec<_> = (0..4).map(|_| thread::spawn(|| FILLED.database())).collect();
    for thread in threads {
        let Some(database) = thread.join().expect("a database") else { return };
        connect(database.url()).batch_execute("INSERT INTO filled VALUES (2)").expect("the table is there");
    }
}

/// Not a test by itself: [`statements_are_logged_if_the_environment_says_so`] runs it.
#[test]
#[ignore = "another test runs it"]
fn a_process_that_logs_statements() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    println!("{url}");
    let mut connection = connect(&format!("{url}&application_name=one"));
    diesel::sql_query("SELECT\n$1 -- a line\n").bind::<Text, _>("secret").execute(&mut connection).expect("an answer");
    cluster.crash();
    cluster.start();
    connect(&url).batch_execute("SET jit = off; SELECT 2").expect("an answer");
}

#[test]
fn statements_are_logged_if_the_environment_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let logs = folder.path().join("logs");
    let output = process_that_runs("a_process_that_logs_statements")
        .env("ROSTER_STATEMENT_LOG", &logs)
        .output()
        .expect("this program runs");
    if !String::from_utf8_lossy(&output.stdout).contains("postgresql:") {
        return;
    }
    let mut statements = Vec::new();
    read_statements(&logs, |statement| statements.push((statement.application, statement.sql))).expect("the logs");
    for (application, sql) in [("one", "SELECT\n$1 -- a line\n"), ("[unknown]", "SET jit = off; SELECT 2")] {
        assert!(statements.contains(&(application.to_owned(), sql.to_owned())), "{statements:#?}");
    }
    for log in fs::read_dir(&logs).expect("the logs") {
        let text = fs::read_to_string(log.expect("a log").path()).expect("a log");
        assert!(!text.contains("secret"), "{text}");
    }
}

/// A process that runs `case`, an ignored test of this program.
fn process_that_runs(case: &str) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("the path of this program"));
    command.args(["--ignored", "--exact", "--nocapture", case]);
    command
}

/// Not a test by itself: [`the_end_of_the_process_ends_the_server`] runs it in a process that it kills.
#[test]
#[ignore = "another test runs it"]
fn a_process_that_is_killed() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    println!("{}", cluster.create_database());
    thread::sleep(PATIENCE);
}

#[test]
fn the_end_of_the_process_ends_the_server() {
    let mut command = process_that_runs("a_process_that_is_killed");
    let mut child = command.stdout(Stdio::piped()).spawn().expect("this program runs");
    let output = BufReader::new(child.stdout.take().expect("its output"));
    let url = output.lines().map_while(Result::ok).find(|line| line.starts_with("postgresql:"));
    child.kill().expect("it can be killed");
    child.wait().expect("it ends");
    let Some(url) = url else { return };
    let end = Instant::now() + PATIENCE;
    while Path::new(&folder(&url)).exists() {
        assert!(Instant::now() < end, "the server outlived its process");
        thread::sleep(Duration::from_millis(5));
    }
}
