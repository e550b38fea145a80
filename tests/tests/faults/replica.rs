//! A service with a read replica: no read is older than what its caller has seen, and none fails because of the replica.

use diesel::connection::SimpleConnection as _;
use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;
use roster_test_postgres::{Cluster, ClusterOptions};
use roster_tests::client::{Caller, Response, Surface, agent};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::program::roster;
use roster_tests::{App, Database};
use serde_json::{Value, json};

use crate::silence::parts;

const REPLICA_URL: &str = "ROSTER__DATABASE__REPLICA_URL";

/// A service on a primary, with a standby as its replica.
struct Replicated {
    app: App,
    metrics: Caller,
    standby: Cluster,
    /// The database on the standby.
    copy: Database,
    primary: Cluster,
}

fn primary() -> Option<Cluster> {
    Cluster::create(ClusterOptions { durable: true, tcp: true })
}

impl Replicated {
    fn start() -> Option<Self> {
        let primary = primary()?;
        let origin = Database::on(&primary);
        let standby = primary.standby();
        let copy = origin.reached_by(standby.url(parts(origin.url()).1));
        let settings = [
            (REPLICA_URL, copy.url().to_owned().leak() as &'static str),
            ("ROSTER__DATABASE__DEADLINE_MS", "5000"),
            ("ROSTER__TELEMETRY__METRICS_BIND", "127.0.0.1:0"),
            ("ROSTER__AUTH__KEY_GRACE_MS", "3600000"),
        ];
        let app = App::start_with(origin, &settings);
        let address = app.find_in_logs(TIMEOUT, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            (line["message"] == "serving metrics").then(|| line["address"].as_str()?.parse().ok())?
        });
        let metrics = Caller::new(agent(), address.expect("metrics are served"), "");
        let replicated = Self { app, metrics, standby, copy, primary };
        replicated.await_replica("used");
        Some(replicated)
    }

    /// Waits until `/readyz`, which is 200 all the time, says so of the replica.
    fn await_replica(&self, state: &str) {
        until(&format!("the replica is {state}"), TIMEOUT, || {
            let ready = self.app.root().get("/readyz").expect(200).json();
            (ready == json!({"status": "ok", "replica": state})).then_some(())
        });
    }

    /// How many reads went to a place for a reason.
    fn reads(&self, place: &str, reason: &str) -> u64 {
        let name = format!("roster_reads_total{{place=\"{place}\",reason=\"{reason}\"}} ");
        let text = self.metrics.get("/metrics").expect(200).text();
        let value = text.lines().find_map(|line| line.strip_prefix(&name));
        value.unwrap_or_else(|| panic!("no {name}in {text}")).parse().expect("a number")
    }

    /// Keeps the standby as it is from now on.
    fn pause(&self) {
        let mut standby = self.copy.administrator();
        standby.batch_execute("SELECT pg_wal_replay_pause()").expect("a pause");
        until("nothing is applied", TIMEOUT, || (pause_state(&mut standby) == "paused").then_some(()));
    }

    fn resume(&self) {
        self.copy.administrator().batch_execute("SELECT pg_wal_replay_resume()").expect("an end of the pause");
    }
}

fn pause_state(standby: &mut PgConnection) -> String {
    sql::<Text>("SELECT pg_get_wal_replay_pause_state()").get_result(standby).expect("a state")
}

/// A customer of one surface, whose name is changed.
struct Changing {
    caller: Caller,
    surface: Surface,
    id: String,
}

impl Changing {
    fn create(app: &App, surface: Surface) -> (Self, String) {
        let caller = app.surface(surface);
        let email = format!("{surface:?}@example.com");
        let created = caller.post("/customers", json!({"email": email, "name": "Before"})).expect(201);
        let id = match surface {
            Surface::Native => created.text_at("/id"),
            Surface::Lumen => created.text_at("/customer/id"),
            Surface::Lava => created.text_at("/customer_id"),
        };
        (Self { caller, surface, id }, position(&created))
    }

    fn path(&self) -> String {
        format!("/customers/{}", self.id)
    }

    /// Changes the name. Returns the position of the answer.
    fn change(&self) -> String {
        let name = json!({"name": "After"});
        let changed = match self.surface {
            Surface::Lumen => self.caller.post(&self.path(), name),
            Surface::Native | Surface::Lava => self.caller.patch(&self.path(), name),
        };
        position(&changed.expect(200))
    }

    /// Reads the customer alone and in a list, and asserts that both show `name`. Returns the answer to the first.
    #[track_caller]
    fn assert_shown(&self, header: Option<(&str, &str)>, name: &str) -> Response {
        let [alone, listed] = [self.path().as_str(), "/customers"].map(|path| {
            let mut request = self.caller.request("GET", path);
            if let Some((header, value)) = header {
                request = request.header(header, value);
            }
            let answer = request.send().expect(200);
            assert!(answer.text().contains(name), "{:?} {path} {header:?}: {answer:?}", self.surface);
            answer
        });
        assert_eq!(alone.header("roster-position").is_some(), listed.header("roster-position").is_some());
        alone
    }
}

#[track_caller]
fn position(answer: &Response) -> String {
    answer.header("roster-position").unwrap_or_else(|| panic!("no position: {answer:?}")).to_owned()
}

const EVENTUAL: Option<(&str, &str)> = Some(("roster-consistency", "eventual"));

#[test]
fn no_read_is_older_than_what_its_caller_has_seen() {
    let Some(replicated) = Replicated::start() else { return };
    for surface in Surface::ALL {
        let (customer, created) = Changing::create(&replicated.app, surface);
        until("the replica has the customer", TIMEOUT, || {
            let get = customer.caller.request("GET", &customer.path()).header("roster-consistency", "eventual");
            (get.send().status == 200).then_some(())
        });
        customer.assert_shown(Some(("roster-position", &created)), "Before");
        replicated.pause();
        let changed = customer.change();
        let (behind, eventual) = (replicated.reads("primary", "behind"), replicated.reads("replica", "eventual"));
        // That it is old shows that it is the replica's.
        let old = customer.assert_shown(EVENTUAL, "Before");
        assert!(replicated.reads("replica", "eventual") >= eventual + 2);
        let new = customer.assert_shown(Some(("roster-position", &changed)), "After");
        assert!(replicated.reads("primary", "behind") >= behind + 2);
        assert_eq!(customer.assert_shown(None, "After").header("roster-position"), None);
        // What a read has shown is a bound of the next one.
        customer.assert_shown(Some(("roster-position", &position(&new))), "After");
        customer.assert_shown(Some(("roster-position", &position(&old))), "Before");
        let latest = customer.caller.request("GET", &customer.path()).header("roster-position", &position(&old));
        assert!(latest.header("roster-consistency", "latest").send().expect(200).text().contains("After"));

        replicated.resume();
        until("the replica is read", TIMEOUT, || {
            let before = replicated.reads("replica", "position");
            customer.assert_shown(Some(("roster-position", &changed)), "After");
            (replicated.reads("replica", "position") > before).then_some(())
        });
    }
}

#[test]
fn a_position_is_of_one_tenant_and_of_this_service() {
    let Some(replicated) = Replicated::start() else { return };
    let app = &replicated.app;
    let (customer, created) = Changing::create(app, Surface::Native);
    for surface in Surface::ALL {
        let ours = app.surface(surface);
        let get = |caller: &Caller, position: &str| {
            caller.request("GET", "/customers").header("roster-position", position).send()
        };
        get(&ours, &created).is(200);
        let tenants = app.tenants();
        for key in [&tenants.ours.sandbox, &tenants.theirs.live] {
            let refused = get(&ours.with_key(key), &created).expect(400);
            assert!(refused.text().contains("Roster-Position"), "{refused:?}");
        }
        let forged = format!("{}{}", if created.starts_with('A') { "B" } else { "A" }, &created[1..]);
        for wrong in [forged.as_str(), "0/3000AF8", ""] {
            let refused = get(&ours, wrong).expect(400);
            assert!(refused.text().contains("Roster-Position"), "{refused:?}");
        }
        // On the replica, too, each tenant sees its own.
        for key in [&tenants.ours.sandbox, &tenants.theirs.live] {
            let stranger = app.native().with_key(key);
            let get = stranger.request("GET", &customer.path()).header("roster-consistency", "eventual");
            get.send().is(404);
        }
    }
    // Each answer to what changes something has a position, also if it has changed nothing.
    let native = app.native();
    let taken = native.post("/customers", json!({"email": "native@example.com"})).expect(409);
    position(&taken);
    let once = || {
        let create = native.request("POST", "/customers").header("idempotency-key", "k");
        create.json(json!({"email": "once@example.com"})).send().expect(201)
    };
    position(&once());
    let repeated = once();
    assert_eq!(repeated.header("idempotent-replayed"), Some("true"));
    position(&repeated);
    position(&native.delete(&customer.path()).expect(204));
    position(&native.post("/customers/batch", json!({"items": []})));
    assert_eq!(native.without_key().post("/customers", json!({})).expect(401).header("roster-position"), None);
}

#[test]
#[ignore = "slow: make faults"]
fn reads_go_on_while_the_replica_is_frozen_killed_and_promoted() {
    let Some(replicated) = Replicated::start() else { return };
    let (customer, created) = Changing::create(&replicated.app, Surface::Native);
    let read = || {
        customer.assert_shown(Some(("roster-position", &created)), "Before");
        customer.caller.request("GET", "/customers").header("roster-consistency", "eventual").send().is(200);
    };
    read();
    replicated.standby.freeze();
    (0..5).for_each(|_| read());
    replicated.await_replica("unused");
    (0..5).for_each(|_| read());
    replicated.standby.thaw();
    replicated.await_replica("used");
    read();
    replicated.standby.crash();
    (0..5).for_each(|_| read());
    replicated.await_replica("unused");
    replicated.standby.start();
    replicated.await_replica("used");
    read();

    let mut promoted = replicated.copy.administrator();
    promoted.batch_execute("SELECT pg_promote()").expect("a promotion");
    replicated.await_replica("unused");
    read();
    let changed = customer.change();
    customer.assert_shown(Some(("roster-position", &changed)), "After");
    customer.assert_shown(EVENTUAL, "After");

    // After a failover to it, a position from before is none of its history, and the primary is read.
    let old_primary = replicated.app.database().url().to_owned().leak() as &'static str;
    let copy = replicated.copy.reached_by(replicated.copy.url().to_owned());
    let app = App::start_with(copy, &[(REPLICA_URL, old_primary), ("ROSTER__DATABASE__DEADLINE_MS", "5000")]);
    assert_eq!(app.root().get("/readyz").expect(200).json()["replica"], "unused");
    let get = |position: &str| {
        app.native().request("GET", &customer.path()).header("roster-position", position).send().expect(200)
    };
    let seen = get(&created);
    assert!(seen.text().contains("Before"), "{seen:?}");
    get(&position(&seen));
}

#[test]
fn the_replica_is_read_while_the_primary_is_away() {
    let Some(replicated) = Replicated::start() else { return };
    let (customer, created) = Changing::create(&replicated.app, Surface::Native);
    let with_position = Some(("roster-position", created.as_str()));
    until("the replica has the customer", TIMEOUT, || {
        customer.assert_shown(with_position, "Before");
        (replicated.reads("replica", "position") > 0).then_some(())
    });
    replicated.primary.stop();
    customer.caller.get(&customer.path()).is(503);
    customer.assert_shown(EVENTUAL, "Before");
    customer.assert_shown(with_position, "Before");
    replicated.primary.start();
    until("the primary is read", TIMEOUT, || (customer.caller.get(&customer.path()).status == 200).then_some(()));
}

#[test]
fn a_service_starts_without_its_replica_and_refuses_one_of_another_server() {
    let Some(primary) = primary() else { return };
    let origin = Database::on(&primary);
    let standby = primary.standby();
    let (_, name) = parts(origin.url());
    let copy = origin.reached_by(standby.url(name)).url().to_owned().leak() as &'static str;
    standby.stop();
    let app = App::start_with(origin.reached_by(origin.url().to_owned()), &[(REPLICA_URL, copy)]);
    let warned = app.find_in_logs(TIMEOUT, |line| line.contains("database.replica_url").then_some(()));
    assert_eq!(warned, Some(()), "the log says that the replica is not read");
    let created = app.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let native = app.native();
    let get = native.request("GET", &format!("/customers/{}", created.text_at("/id")));
    get.header("roster-position", &position(&created)).send().is(200);
    standby.start();
    until("the replica is used", TIMEOUT, || {
        (app.root().get("/readyz").expect(200).json()["replica"] == "used").then_some(())
    });
    drop(app);

    // Another primary is no standby: it may become one. A standby of another server never will.
    let Some(other) = self::primary() else { return };
    let other_standby = other.standby();
    let ended = roster(origin.url(), &[(REPLICA_URL, &other_standby.url("postgres"))], &["serve"]);
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    assert!(ended.err.contains("database.replica_url"), "{ended:?}");
    assert!(ended.err.contains("system identifier"), "{ended:?}");
}
