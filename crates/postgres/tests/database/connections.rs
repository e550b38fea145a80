//! What becomes of connections when the database goes away and comes back.

use std::sync::{Condvar, Mutex, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use diesel::connection::{Connection as _, SimpleConnection as _};
use diesel::pg::PgConnection;
use roster_application::ports::{Retry, Store, StoreError, UnitOfWork, Verdict};
use roster_domain::{Merchant, MerchantId, MerchantName, Timestamp};
use roster_postgres::{Options, PostgresStore};
use roster_test_postgres::{Cluster, ClusterOptions};
use uuid::Uuid;

const CONNECTIONS: u32 = 8;

/// How long a caller waits for a connection in these tests.
const WAIT: Duration = Duration::from_millis(800);

/// Until when the store must be well again after the database is. It is made to need a second; a busy machine may
/// need more.
const RECOVERY: Duration = Duration::from_secs(5);

fn store(url: &str) -> PostgresStore {
    crate::store(url, CONNECTIONS, WAIT)
}

/// A server, and a migrated store on it.
fn start(options: ClusterOptions) -> Option<(Cluster, PostgresStore, String)> {
    let cluster = Cluster::create(options)?;
    let url = cluster.create_database();
    let store = store(&url);
    store.migrate().expect("the migrations apply");
    Some((cluster, store, url))
}

/// Reads something, as any use case does.
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
            let result = all_used.wait_timeout_while(count, RECOVERY, |count| *count < CONNECTIONS);
            let (count, _) = result.expect("nobody panicked");
            assert_eq!(*count, CONNECTIONS, "connections could be had at the same time");
            Verdict::Commit
        };
        store.run_direct(&mut work).expect("a connection");
    };
    thread::scope(|scope| {
        for _ in 0..CONNECTIONS {
            scope.spawn(use_one);
        }
    });
}

/// Reads until it works, and returns how often it did not.
fn failures_until_well(store: &PostgresStore) -> usize {
    let end = Instant::now() + RECOVERY;
    let mut failures = 0;
    while let Err(error) = read(store) {
        assert!(Instant::now() < end, "still failing after {failures} times: {error:?}");
        failures += 1;
    }
    failures
}

#[test]
fn after_a_restart_no_more_than_one_call_fails_however_many_connections_there_were() {
    let Some((cluster, store, _)) = start(ClusterOptions::default()) else { return };
    for restart in [Cluster::stop, Cluster::crash] {
        use_all_connections(&store);
        restart(&cluster);
        cluster.start();
        let failures = failures_until_well(&store);
        assert!(failures <= 1, "{failures} failures");
        use_all_connections(&store);
    }
}

#[test]
fn a_store_that_was_asked_all_the_while_is_well_again_when_the_database_is() {
    let Some((cluster, store, _)) = start(ClusterOptions { tcp: true, durable: true }) else { return };
    use_all_connections(&store);
    cluster.stop();
    let begin = Instant::now();
    while begin.elapsed() < 2 * WAIT {
        assert_unavailable(&read(&store));
        assert_unavailable(&store.ping());
    }
    cluster.start();
    failures_until_well(&store);
    use_all_connections(&store);
}

#[test]
fn a_store_may_be_made_before_its_database_is_there() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    cluster.stop();
    let store = store(&url);
    assert_unavailable(&store.ping());
    assert_unavailable(&store.migrate().map(drop));
    assert_unavailable(&store.pending_migrations().map(drop));
    cluster.start();
    store.migrate().expect("the migrations apply");
    failures_until_well(&store);
}

#[test]
fn a_connection_that_is_cut_off_fails_at_most_one_call() {
    let Some((_cluster, store, url)) = start(ClusterOptions::default()) else { return };
    use_all_connections(&store);
    cut_off(&url);
    let failed = (0..3 * CONNECTIONS).filter(|_| read(&store).inspect_err(assert_later).is_err()).count();
    assert!(failed <= 1, "{failed} calls failed");
}

fn assert_later(error: &StoreError) {
    assert_unavailable(&Err(error.clone()));
}

#[test]
fn whoever_waits_for_a_connection_that_breaks_gets_another() {
    let Some(cluster) = Cluster::create(ClusterOptions::default()) else { return };
    let url = cluster.create_database();
    let wait = 2 * RECOVERY;
    let store = crate::store(&url, 1, wait);
    store.migrate().expect("the migrations apply");
    thread::scope(|scope| {
        let (store, url) = (&store, &url);
        let (asking, is_asking) = mpsc::channel();
        let mut waiting = None;
        let mut work = |uow: &mut dyn UnitOfWork| {
            let asking = asking.clone();
            waiting = Some(scope.spawn(move || {
                let begin = Instant::now();
                asking.send(()).expect("somebody listens");
                read(store).map(|()| begin.elapsed())
            }));
            is_asking.recv_timeout(wait).expect("the other one starts");
            cut_off(url);
            assert!(uow.merchants().find(MerchantId::new(Uuid::nil())).is_err());
            Verdict::Rollback
        };
        assert_unavailable(&store.run_direct(&mut work));
        let waited = waiting.expect("it was started").join().expect("the thread ends");
        assert!(waited.expect("another connection") < RECOVERY);
    });
}

/// Cuts off all connections of the store.
fn cut_off(url: &str) {
    let mut administrator = PgConnection::establish(url).expect("a connection");
    administrator
        .batch_execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'roster'")
        .expect("they are cut off");
}

#[test]
fn a_transaction_whose_connection_is_cut_off_has_done_nothing() {
    let Some((_cluster, store, url)) = start(ClusterOptions::default()) else { return };
    let merchant = Merchant {
        id: MerchantId::new(Uuid::from_u128(1)),
        name: MerchantName::parse("Ada").expect("a name"),
        created_at: Timestamp::from_millis(0).expect("a time"),
    };
    let mut runs = 0;
    let mut work = |uow: &mut dyn UnitOfWork| {
        runs += 1;
        uow.merchants().insert(&merchant).expect("it is new");
        cut_off(&url);
        Verdict::Commit
    };
    assert_unavailable(&store.run_transaction(&mut work));
    assert_eq!(runs, 1);
    let store: &dyn Store = &store;
    let found = store.direct(|uow| uow.merchants().find(merchant.id));
    assert_eq!(found.expect("the database is there"), None);
}

#[test]
fn a_database_that_stands_still_is_answered_for_once_it_goes_on() {
    let Some((cluster, store, _)) = start(ClusterOptions { tcp: true, durable: false }) else { return };
    use_all_connections(&store);
    cluster.freeze();
    thread::scope(|scope| {
        let (sender, answers) = mpsc::channel();
        for _ in 0..3 * CONNECTIONS {
            let (sender, store) = (sender.clone(), &store);
            scope.spawn(move || sender.send(read(store)));
        }
        // Those who get a connection wait with it for the database; the others are told in time.
        for _ in 0..2 * CONNECTIONS {
            let answer = answers.recv_timeout(WAIT + RECOVERY).expect("an answer while the database stands still");
            assert_unavailable(&answer);
        }
        assert!(matches!(answers.try_recv(), Err(mpsc::TryRecvError::Empty)));
        cluster.thaw();
        for _ in 0..CONNECTIONS {
            let answer = answers.recv_timeout(RECOVERY).expect("an answer once it goes on");
            answer.expect("a good one");
        }
    });
    use_all_connections(&store);
}

#[test]
fn a_password_is_told_to_nobody() {
    let usable = "postgres://ada:hunter2@127.0.0.1:1/db?connect_timeout=1";
    let options = Options { url: usable.to_owned(), connections: 1, wait: WAIT };
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
