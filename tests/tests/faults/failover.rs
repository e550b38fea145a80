//! The primary is killed, stopped or frozen, and its standby is promoted, in a URL that names both.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use roster_test_postgres::{Cluster, ClusterOptions};
use roster_tests::deadline::{Stopwatch, TIMEOUT, until};
use roster_tests::{App, Database};

use crate::silence::parts;
use crate::traffic::{SETTINGS, Traffic};
use crate::writers::Writers;

#[test]
#[ignore = "slow: make faults"]
fn a_frozen_primary_is_left_for_its_promoted_standby() {
    let Some(pair) = Pair::with_synchronous_standby() else { return };
    let app = App::start_with(pair.origin.reached_by(pair.both.clone()), &SETTINGS);
    let traffic = Traffic::start(&app);
    // The requests of this time meet the frozen primary. Those that it has acknowledged are on the standby.
    traffic.during(|| {
        pair.primary.freeze();
        pair.promote();
    });
    traffic.recovers_from(Stopwatch::start());
    traffic.nothing_is_lost();
}

#[test]
#[ignore = "slow: make faults"]
fn writes_go_on_once_a_killed_primary_is_replaced() {
    write_through_a_failover("killed", Cluster::crash);
}

#[test]
#[ignore = "slow: make faults"]
fn writes_go_on_once_a_stopped_primary_is_replaced() {
    write_through_a_failover("stopped", Cluster::stop);
}

#[test]
#[ignore = "slow: make faults"]
fn writes_go_on_once_a_frozen_primary_is_replaced() {
    write_through_a_failover("frozen", Cluster::freeze);
}

/// Ends the primary while customers are written, promotes its standby once the service looks for it, and asserts that each
/// write that was acknowledged is there once. How long the first write took after the promotion is printed: a busy machine
/// may take any time.
fn write_through_a_failover(what: &str, end: fn(&Cluster)) {
    let Some(pair) = Pair::with_synchronous_standby() else { return };
    // The default: a longer deadline would be how long it takes to notice that the primary is frozen.
    let deadline = [("ROSTER__DATABASE__DEADLINE_MS", "2000")];
    let app = App::start_with(pair.origin.reached_by(pair.both.clone()), &deadline);
    let writers = Writers::new(&app);
    let after_promotion = writers.during(|| {
        writers.until_written();
        end(&pair.primary);
        until("the service looks for a primary, for requests and for /readyz", TIMEOUT, || {
            let is_ready = app.root().get("/readyz").status == 200;
            let looks = |line: &&String| line.contains("no connection to PostgreSQL can be made");
            (!is_ready && app.logs().iter().filter(looks).count() >= 2).then_some(())
        });
        pair.promote();
        writers.until_written()
    });
    let written = writers.assert_each_is_there_once();
    println!(
        "{what} primary: writes again {after_promotion:.2?} after the promotion, {written} written, none lost or doubled"
    );
}

/// A primary and its standby, which has each commit before it is acknowledged.
struct Pair {
    primary: Cluster,
    /// The database on the primary.
    origin: Database,
    /// The same on the standby.
    copy: Database,
    /// The URL that names both servers, the primary first.
    both: String,
    _standby: Cluster,
}

impl Pair {
    fn with_synchronous_standby() -> Option<Self> {
        let primary = Cluster::create(ClusterOptions { durable: true, tcp: true })?;
        let origin = Database::on(&primary);
        let standby = primary.standby();
        commit_on_both(&origin);
        let (first, name) = parts(origin.url());
        let copy = origin.reached_by(standby.url(name));
        let (second, _) = parts(copy.url());
        let both = format!("postgresql://postgres@{first},{second}/{name}?target_session_attrs=read-write");
        Some(Self { primary, origin, copy, both, _standby: standby })
    }

    /// Returns once the standby takes writes.
    fn promote(&self) {
        self.copy.administrator().batch_execute("SELECT pg_promote()").expect("a promotion");
    }
}

/// From now on, the primary acknowledges a commit after its standby has written it. Only the primary gets the setting: the
/// standby, once promoted, has no standby.
fn commit_on_both(primary: &Database) {
    let mut administrator = primary.administrator();
    administrator.batch_execute("ALTER SYSTEM SET synchronous_standby_names = '*'").expect("a setting");
    administrator.batch_execute("SELECT pg_reload_conf()").expect("a signal");
    until("the standby is synchronous", TIMEOUT, || {
        let synchronous = sql::<BigInt>("SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'");
        (synchronous.get_result::<i64>(&mut administrator) == Ok(1)).then_some(())
    });
}
