//! The connections when the database stops, freezes or restarts.

use std::net::TcpListener;
use std::path::Path;
use std::sync::{Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Integer;
use roster_application::ports::{Retry, Store, StoreError, UnitOfWork, Verdict};
use roster_domain::{Merchant, MerchantId, MerchantName, Timestamp};
use roster_postgres::{Options, PostgresStore};
use roster_test_postgres::{Cluster, ClusterOptions};
use uuid::Uuid;

const CONNECTIONS: u32 = 8;

/// How long a caller waits for a connection, in tests where the wait times out.
const WAIT: Duration = Duration::from_millis(800);

/// Longer than anything takes in these tests, even on a busy machine.
const LONG: Duration = Duration::from_mins(1);

fn store(url: &str) -> PostgresStore {
    crate::store(url, CONNECTIONS, WAIT)
}

/// A server, and a migrated store on it whose callers wait at most `wait` for a connection.
fn start(options: ClusterOptions, wait: Duration) -> Option<(Cluster, PostgresStore, String)> {
    let cluster = Cluster::create(options)?;
    let url = cluster.create_database();
    let store = crate::store(&url, CONNECTIONS, wait);
    store.migrate().expect("the migrations apply");
    Some((cluster, store, url))
}

/// Reads a row, as any use case does.
fn read(store: &PostgresStore) -> Result<(), StoreError> {
    let store: &dyn Store = store;
    store.direct(|uow| uow.merchants().find(MerchantId::new(Uuid::nil())).map(drop))
}

fn assert_unavailable(result: &Result<(), StoreError>) {
    assert!(matches!(result, Err(StoreError::Unavailable { retry: Retry::Later, .. })), "{result:?}");
}

/// Uses every connection of the pool at the same time.
fn use_all_connections(store: &PostgresStore) {
    let (used, all_used) = (Mutex::new(0), Condvar::new());
    let use_one = || {
        let mut work = |uow: &mut dyn UnitOfWork| {
            uow.merchants().find(MerchantId::new(Uuid::nil())).expect("the database is there");
            let mut count = used.lock().expect("nobody panicked");
            *count += 1;
            all_used.notify_all();
            let result = all_used.wait_timeout_while(count, LONG, |count| *count < CONNECTIONS);
            let (count, _) = result.expect("nobody panicked");
            assert_eq!(*count, CONNECTIONS, "connections could be had at the same time");
            Verdict::Commit
        };
        // A busy machine may need longer than `WAIT` to make a connection.
        let end = Instant::now() + LONG;
        while let Err(error) = store.run_direct(&mut work) {
            assert_later(&error);
            assert!(Instant::now() < end, "no connection: {error:?}");
        }
    };
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(use_one);
        }
    });
}

/// Reads until a read succeeds, and returns the number of failures.
fn failures_until_success(store: &PostgresStore) -> usize {
    let end = Instant::now() + LONG;
    let mut failures = 0;
    while let Err(error) = read(store) {
        assert!(Instant::now() < end, "still failing after {failures} times: {error:?}");
        failures += 1;
    }
    failures
}

#[test]
fn after_a_restart_at_most_one_call_fails() {
    // The timeout is long: a failure comes from a broken connection, never from a busy machine.
    let Some((cluster, store, _)) = start(ClusterOptions::default(), LONG) else { return };
    for restart in [Cluster::stop, Cluster::crash] {
        use_all_connections(&store);
        restart(&cluster);
        cluster.start();
        let failures = failures_until_success(&store);
        assert!(failures <= 1, "{failures} failures");
        use_all_connections(&store);
    }
}

#[test]
fn a_store_in_constant_use_recovers_with_its_database() {
    let Some((cluster, store, _)) = start(ClusterOptions { tcp: true, durable: true }, WAIT) else { return };
    use_all_connections(&store);
    cluster.stop();
    let begin = Instant::now();
    while begin.elapsed() < 2 * WAIT {
        assert_unavailable(&read(&store));
        assert_unavailable(&store.ping());
    }
    cluster.start();
    failures_until_success(&store);
    use_all_connections(&store);
}

#[test]
fn a_store_can_be_made_before_its_database_starts() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    cluster.stop();
    let store = store(&url);
    assert_unavailable(&store.ping());
    assert_unavailable(&store.migrate().map(drop));
    assert_unavailable(&store.pending_migrations().map(drop));
    cluster.start();
    store.migrate().expect("the migrations apply");
    failures_until_success(&store);
}

#[test]
fn terminated_connections_fail_at_most_one_call() {
    let Some((_cluster, store, url)) = start(ClusterOptions::default(), LONG) else { return };
    use_all_connections(&store);
    terminate_connections(&url);
    let failed = (0..3 * CONNECTIONS).filter(|_| read(&store).inspect_err(assert_later).is_err()).count();
    assert!(failed <= 1, "{failed} calls failed");
}

fn assert_later(error: &StoreError) {
    assert_unavailable(&Err(error.clone()));
}

#[test]
fn a_caller_waiting_for_a_connection_that_breaks_gets_another() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    let store = crate::store(&url, 1, LONG);
    store.migrate().expect("the migrations apply");
    thread::scope(|scope| {
        let (store, url) = (&store, &url);
        let (asking, is_asking) = mpsc::channel();
        let mut waiting = None;
        let mut work = |uow: &mut dyn UnitOfWork| {
            let asking = asking.clone();
            waiting = Some(scope.spawn(move || {
                asking.send(()).expect("the channel is open");
                read(store)
            }));
            is_asking.recv_timeout(LONG).expect("the other thread starts");
            terminate_connections(url);
            assert!(uow.merchants().find(MerchantId::new(Uuid::nil())).is_err());
            Verdict::Rollback
        };
        assert_unavailable(&store.run_direct(&mut work));
        let result = waiting.expect("it was started").join().expect("the thread ends");
        result.expect("another connection");
    });
}

/// Terminates all connections of the store, and waits until their server processes have ended: until then a process may
/// still answer.
fn terminate_connections(url: &str) {
    let mut administrator = PgConnection::establish(url).expect("a connection");
    let processes = sql::<Integer>("SELECT pid FROM pg_stat_activity WHERE application_name = 'roster'");
    let processes: Vec<i32> = processes.load(&mut administrator).expect("the connections of the store");
    for process in &processes {
        administrator.batch_execute(&format!("SELECT pg_terminate_backend({process})")).expect("a signal");
    }
    let end = Instant::now() + LONG;
    while processes.iter().any(|process| Path::new(&format!("/proc/{process}")).exists()) {
        assert!(Instant::now() < end, "a process of {processes:?} has not ended");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_transaction_on_a_terminated_connection_writes_nothing() {
    let Some((_cluster, store, url)) = start(ClusterOptions::default(), LONG) else { return };
    let merchant = Merchant {
        id: MerchantId::new(Uuid::from_u128(1)),
        name: MerchantName::parse("Ada").expect("a name"),
        created_at: Timestamp::from_millis(0).expect("a time"),
        disabled_at: None,
    };
    let mut runs = 0;
    let mut work = |uow: &mut dyn UnitOfWork| {
        runs += 1;
        uow.merchants().insert(&merchant).expect("it is new");
        terminate_connections(&url);
        Verdict::Commit
    };
    assert_unavailable(&store.run_transaction(&mut work));
    assert_eq!(runs, 1);
    let store: &dyn Store = &store;
    let found = store.direct(|uow| uow.merchants().find(merchant.id));
    assert_eq!(found.expect("the database is there"), None);
}

#[test]
fn a_silent_host_keeps_no_other_from_being_asked() {
    let Some((_cluster, _, url)) = start(ClusterOptions { tcp: true, durable: false }, LONG) else { return };
    // The system makes connections to it, and nothing answers them.
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let silent = listener.local_addr().expect("its address");
    let (user, place) = url.split_once('@').expect("a URL with a user");
    // libpq would wait for the silent host for longer than any call here.
    let both = format!("{user}@{silent},{place}?target_session_attrs=read-write&connect_timeout=600");
    let store = crate::store(&both, CONNECTIONS, LONG);
    read(&store).expect("the other host");
    use_all_connections(&store);
}

#[test]
fn calls_to_a_frozen_database_finish_when_it_continues() {
    let Some((cluster, store, _)) = start(ClusterOptions { tcp: true, durable: false }, WAIT) else { return };
    use_all_connections(&store);
    cluster.freeze();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        for _ in 0..3 * CONNECTIONS {
            let (sender, store) = (sender.clone(), &store);
            scope.spawn(move || sender.send(read(store)));
        }
        // The callers that have a connection wait for the database; the others get an error in time.
        for _ in 0..2 * CONNECTIONS {
            let answer = answers.recv_timeout(LONG).expect("an answer while the database stands still");
            assert_unavailable(&answer);
        }
        assert!(matches!(answers.try_recv(), Err(mpsc::TryRecvError::Empty)));
        cluster.thaw();
        for _ in 0..CONNECTIONS {
            let answer = answers.recv_timeout(LONG).expect("an answer once it goes on");
            answer.expect("a good one");
        }
    });
    use_all_connections(&store);
}

#[test]
fn no_error_contains_a_password() {
    let usable = "postgres://ada:hunter2@127.0.0.1:1/db?connect_timeout=1";
    let options = Options { url: usable.to_owned(), connections: 1, wait: WAIT, deadline: LONG, search_index: true };
    assert!(!format!("{options:?}").contains("hunter2"));
    for url in [usable, "host=127.0.0.1 port=1 password=hunter2"] {
        let errors = [store(url).ping().err(), store(url).migrate().err()];
        assert!(!format!("{errors:?}").contains("hunter2"), "{errors:?}");
        assert!(errors.iter().all(Option::is_some));
    }
    for url in ["postgres://ada:hun@ter2@db/roster", "postgres://ada:hun/ter2@db/roster", "password hunter2"] {
        let error = PostgresStore::connect(&Options { url: url.to_owned(), ..options.clone() }).err();
        let error = error.expect("a malformed connection string");
        assert!(matches!(error, StoreError::Internal { .. }), "{error:?}");
        assert!(!format!("{error:?}").contains("ter2"), "{error:?}");
    }
}
