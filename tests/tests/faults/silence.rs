//! Connections to PostgreSQL fall silent: nothing is answered, and nothing is closed.

use std::net::SocketAddr;

use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Integer};
use roster_test_postgres::{Cluster, ClusterOptions};
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::{App, Database};

use crate::proxy::Proxy;
use crate::traffic::{SETTINGS, Traffic};

#[test]
#[ignore = "slow: make faults"]
fn a_frozen_backend_takes_no_queue_down() {
    let Some((database, cluster)) = Database::on_own_server() else { return };
    let app = App::start_with(database, &SETTINGS);
    let traffic = Traffic::start(&app);
    let mut frozen = Vec::new();
    for _ in 0..4 {
        let backend = idle_backend(app.database(), &frozen);
        cluster.freeze_process(backend);
        frozen.push(backend);
        traffic.recovers_from(Stopwatch::start());
    }
}

/// The idle backend that has served the service last: it is used again soon. One that was frozen while it runs a
/// statement may hold a lock inside the server, for which all others wait.
fn idle_backend(database: &Database, frozen: &[u32]) -> u32 {
    const OURS: &str = "FROM pg_stat_activity WHERE application_name = 'roster' AND datname = current_database()";
    let mut administrator = database.administrator();
    until("all connections of the service are idle", TIMEOUT, || {
        let busy = sql::<BigInt>(&format!("SELECT count(*) {OURS} AND state <> 'idle'"));
        (busy.get_result::<i64>(&mut administrator) == Ok(0)).then_some(())
    });
    let last = sql::<Integer>(&format!("SELECT pid {OURS} ORDER BY state_change DESC"));
    let backends: Vec<i32> = last.load(&mut administrator).expect("the connections of the service");
    let backends = backends.into_iter().map(i32::unsigned_abs);
    backends.into_iter().find(|backend| !frozen.contains(backend)).expect("a connection that is not frozen")
}

#[test]
#[ignore = "slow: make faults"]
fn connections_that_a_network_swallows_take_no_queue_down() {
    let Some(cluster) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&cluster);
    let (server, name) = parts(origin.url());
    let proxy = Proxy::start(server);
    let url = format!("postgresql://postgres@{}/{name}", proxy.address());
    let app = App::start_with(origin.reached_by(url), &SETTINGS);
    let traffic = Traffic::start(&app);
    for _ in 0..3 {
        let silent = proxy.silence();
        assert!(silent > 0, "the service has no connection through the proxy");
        traffic.recovers_from(Stopwatch::start());
    }
}

/// The address of the server and the name of the database in a URL of a [`Cluster`] that listens on TCP.
pub(crate) fn parts(url: &str) -> (SocketAddr, &str) {
    let (_, place) = url.split_once('@').expect("a URL with a user");
    let (address, name) = place.split_once('/').expect("a URL with a database");
    (address.parse().expect("an address"), name)
}
