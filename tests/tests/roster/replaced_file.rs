//! A SQLite file that is deleted or replaced while the service runs.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::thread;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::process::Signal;
use roster_tests::{App, Database, Kind};
use serde_json::json;

const CALLERS: usize = 4;

fn start() -> App {
    App::start(Database::prepared(Kind::Sqlite).expect("a file"))
}

fn path(app: &App) -> PathBuf {
    app.database().file().to_owned()
}

/// A path beside the file, in the same file system.
fn beside(app: &App, name: &str) -> PathBuf {
    path(app).with_file_name(name)
}

/// A complete copy, as `docs/operations.md` says how to make one.
fn copy(from: &Path, to: &Path) {
    let vacuum = format!("VACUUM INTO '{}'", to.display());
    diesel::sql_query(vacuum).execute(&mut connect(from)).expect("a copy");
}

fn connect(path: &Path) -> SqliteConnection {
    SqliteConnection::establish(path.to_str().expect("UTF-8")).expect("a database")
}

/// The `userId` of every customer in a file that must be intact.
fn users_in(path: &Path) -> BTreeSet<String> {
    let mut connection = connect(path);
    let check: String = sql::<Text>("PRAGMA integrity_check").get_result(&mut connection).expect("an answer");
    assert_eq!(check, "ok", "{}", path.display());
    let users = sql::<Text>("SELECT external_id FROM customers").load(&mut connection).expect("the customers");
    users.into_iter().collect()
}

/// Creates customers from several threads, takes the file away meanwhile, and returns who was acknowledged.
///
/// A request that is sent after the file was taken away must be refused.
fn create_while(app: &App, take_away: impl FnOnce()) -> BTreeSet<String> {
    let is_away = AtomicBool::new(false);
    let (acknowledge, acknowledged) = mpsc::channel();
    thread::scope(|scope| {
        for caller in 0..CALLERS {
            let (lumen, acknowledge, is_away) = (app.lumen(), acknowledge.clone(), &is_away);
            scope.spawn(move || {
                for number in 0.. {
                    let user = format!("{caller}-{number}");
                    let body = json!({ "email": format!("c{user}@example.com"), "userId": user });
                    let was_away = is_away.load(Ordering::SeqCst);
                    let response = lumen.post("/customers", body);
                    match (response.status, was_away) {
                        (201, false) => acknowledge.send(user).expect("the channel is open"),
                        // Taken away between the request and its answer, perhaps.
                        (503, _) => return,
                        _ => panic!("{user}, sent after the file was taken away: {was_away}: {response:?}"),
                    }
                }
            });
        }
        drop(acknowledge);
        let mut received: BTreeSet<String> =
            (0..50).map(|_| acknowledged.recv_timeout(TIMEOUT).expect("an acknowledgement")).collect();
        take_away();
        is_away.store(true, Ordering::SeqCst);
        received.extend(acknowledged);
        received
    })
}

/// Asserts that one line of this level has the text. Lines are written a moment after what they are about.
#[track_caller]
fn assert_logged_once(app: &App, level: &str, text: &str) {
    let level = format!("\"level\":\"{level}\"");
    let is_it = |line: &str| line.contains(&level) && line.contains(text);
    assert!(app.find_in_logs(TIMEOUT, |line| is_it(line).then_some(())).is_some(), "{text}");
    assert_eq!(app.logs().iter().filter(|line| is_it(line)).count(), 1, "{:#?}", app.logs());
}

#[track_caller]
fn assert_refused(app: &App) {
    app.lumen().post("/customers", json!({ "email": "late@example.com" })).is(503);
    app.root().get("/readyz").is(503);
    app.root().get("/livez").is(200);
    app.lumen().get("/customers").is(200);
}

#[test]
fn after_the_file_was_deleted_no_create_is_acknowledged() {
    let app = start();
    let (file, link) = (path(&app), beside(&app, "linked.db"));
    // A second name of the same file, by which the test sees what was in it.
    fs::hard_link(&file, &link).expect("a second name");
    let acknowledged = create_while(&app, || fs::remove_file(&file).expect("a file"));
    assert_refused(&app);
    assert_logged_once(&app, "ERROR", "was deleted or replaced");
    until("the file has all that was in its WAL", TIMEOUT, || {
        fs::metadata(beside(&app, "roster.db-wal")).is_ok_and(|wal| wal.len() == 0).then_some(())
    });
    let stored = users_in(&link);
    let lost: Vec<_> = acknowledged.difference(&stored).collect();
    assert!(lost.is_empty(), "{lost:?}");
}

#[test]
fn after_the_file_was_replaced_nothing_is_written_and_the_new_file_stays_intact() {
    let mut app = start();
    let (file, copied) = (path(&app), beside(&app, "copied.db"));
    app.lumen().post("/customers", json!({ "email": "first@example.com", "userId": "first" })).is(201);
    copy(&file, &copied);
    create_while(&app, || fs::rename(&copied, &file).expect("a file in its place"));
    assert_refused(&app);
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    assert_eq!(users_in(&file), BTreeSet::from(["first".to_owned()]));
    // What is there now is served after a restart.
    app.restart();
    app.root().get("/readyz").is(200);
    app.lumen().post("/customers", json!({ "email": "second@example.com", "userId": "second" })).is(201);
}

#[test]
fn a_service_without_writes_notices_that_its_file_was_replaced() {
    let app = start();
    let (file, copied) = (path(&app), beside(&app, "copied.db"));
    copy(&file, &copied);
    fs::rename(&copied, &file).expect("a file in its place");
    let found = app.find_in_logs(TIMEOUT, |line| line.contains("was deleted or replaced").then_some(()));
    assert!(found.is_some(), "no request was needed for this line");
}

#[test]
fn a_service_that_stops_leaves_the_wal_of_a_file_that_another_service_writes() {
    let mut app = start();
    let (file, copied) = (path(&app), beside(&app, "copied.db"));
    copy(&file, &copied);
    for name in ["roster.db", "roster.db-wal", "roster.db-shm"] {
        fs::remove_file(beside(&app, name)).expect("a file");
    }
    fs::rename(&copied, &file).expect("a file in its place");
    // Holds the new file open, as another service does.
    let mut other = connect(&file);
    sql::<Text>("PRAGMA journal_mode = WAL").get_result::<String>(&mut other).expect("a mode");
    let insert = "INSERT INTO merchants (id, name, created_at) VALUES (zeroblob(16), 'written by the other', 0)";
    diesel::sql_query(insert).execute(&mut other).expect("a row");
    app.signal(Signal::Terminate);
    assert!(app.wait(TIMEOUT).success());
    assert!(fs::metadata(beside(&app, "roster.db-wal")).is_ok_and(|wal| wal.len() > 0), "it was deleted");
    drop(other);
    users_in(&file);
    let names = sql::<Text>("SELECT name FROM merchants").load::<String>(&mut connect(&file)).expect("the merchants");
    assert!(names.iter().any(|name| name == "written by the other"), "{names:?}");
}

#[test]
fn once_the_same_file_is_back_the_service_goes_on() {
    let app = start();
    let (file, away) = (path(&app), beside(&app, "away.db"));
    let before = create_while(&app, || fs::rename(&file, &away).expect("a file elsewhere"));
    assert_refused(&app);
    fs::rename(&away, &file).expect("the file in its place");
    until("the service is ready", TIMEOUT, || (app.root().get("/readyz").status == 200).then_some(()));
    app.lumen().post("/customers", json!({ "email": "after@example.com", "userId": "after" })).is(201);
    assert_logged_once(&app, "INFO", "the database file is back");
    let stored = users_in(&file);
    assert!(stored.contains("after") && before.is_subset(&stored), "{:?}", before.difference(&stored));
}
