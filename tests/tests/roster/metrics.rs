//! Metrics: what is exported, and that it agrees with known traffic. The board and the alerts of `deploy/` use only names that are
//! exported.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use roster_tests::client::agent;
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Caller, Database, Kind, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    metrics_agree_with_known_traffic,
    no_label_has_data_of_a_tenant,
    what_is_not_delivered_to_webhooks_is_counted,
    refusals_by_rate_limits_are_counted,
    the_listener_serves_metrics_alone_and_the_service_none,
}

const METRICS: (&str, &str) = ("ROSTER__TELEMETRY__METRICS_BIND", "127.0.0.1:0");

fn start(database: Database, more: &[(&'static str, &'static str)]) -> (App, Caller) {
    let app = App::start_with(database, &[&[METRICS], more].concat());
    let address = app.find_in_logs(TIMEOUT, |line| {
        let line: Value = serde_json::from_str(line).ok()?;
        let is_it = line["message"] == "serving metrics";
        is_it.then(|| line["address"].as_str().expect("an address").parse::<SocketAddr>().expect("an address"))
    });
    let metrics = Caller::new(agent(), address.expect("metrics are served"), "");
    (app, metrics)
}

/// Each sample of the answer, by its name with its labels.
fn scrape(metrics: &Caller) -> BTreeMap<String, f64> {
    let answer = metrics.get("/metrics").expect(200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = answer.text();
    let samples = text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (name, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        (name.to_owned(), value.parse().unwrap_or_else(|_| panic!("{line}")))
    });
    samples.collect()
}

/// The value of a sample; 0 if there is none.
#[track_caller]
fn assert_value(samples: &BTreeMap<String, f64>, name: &str, expected: f64) {
    let found = samples.get(name).copied().unwrap_or(0.0);
    assert!((found - expected).abs() < 1e-9, "{name}: {found}, not {expected}: {samples:#?}");
}

fn metrics_agree_with_known_traffic(database: Database) {
    let kind = database.kind();
    let (app, metrics) = start(database, &[]);
    let before = scrape(&metrics);
    let (native, lumen) = (app.native(), app.lumen());
    let customer = native.post("/customers", json!({"email": "a@example.com"})).expect(201).text_at("/id");
    native.post("/customers", json!({"email": "b@example.com"})).is(201);
    native.post("/customers", json!({"email": "b@example.com"})).is(409);
    lumen.post("/customers", json!({"userId": "c"})).is(400);
    for _ in 0..5 {
        native.get(&format!("/customers/{customer}")).is(200);
    }
    native.without_key().get("/customers").is(401);
    native.patch(&format!("/customers/{customer}"), json!({"name": "Ada"})).is(200);
    native.request("BREW", "/customers").send().is(405);
    native.get("/nothing").is(404);
    app.root().get("/nothing").is(404);
    let samples = scrape(&metrics);
    for (labels, expected) in [
        (r#"method="POST",route="/v1/customers",status="2xx",surface="native""#, 2.0),
        (r#"method="POST",route="/v1/customers",status="4xx",surface="native""#, 1.0),
        (r#"method="POST",route="/api/customers",status="4xx",surface="lumen""#, 1.0),
        (r#"method="GET",route="/v1/customers/{id}",status="2xx",surface="native""#, 5.0),
        (r#"method="GET",route="/v1/customers",status="4xx",surface="native""#, 1.0),
        (r#"method="PATCH",route="/v1/customers/{id}",status="2xx",surface="native""#, 1.0),
        (r#"method="other",route="/v1/customers",status="4xx",surface="native""#, 1.0),
        (r#"method="GET",route="unmatched",status="4xx",surface="native""#, 1.0),
        (r#"method="GET",route="unmatched",status="4xx",surface="none""#, 1.0),
    ] {
        assert_value(&samples, &format!("roster_http_requests_total{{{labels}}}"), expected);
    }
    let get = r#"method="GET",route="/v1/customers/{id}",surface="native""#;
    assert_value(&samples, &format!("roster_http_request_duration_seconds_count{{{get}}}"), 5.0);
    assert_value(&samples, &format!(r#"roster_http_request_duration_seconds_bucket{{{get},le="+Inf"}}"#), 5.0);
    // The requests are one after the other: two creates, one that is refused, and the change.
    let written = |samples: &BTreeMap<String, f64>, what: &str| {
        let name = format!(r#"roster_{what}{{operation="write_customers"}}"#);
        samples.get(&name).copied().unwrap_or(0.0)
    };
    for what in ["batch_requests_count", "batch_requests_sum", "queue_wait_seconds_count"] {
        let more = written(&samples, what) - written(&before, what);
        assert!((more - 4.0).abs() < 1e-9, "{what}: {more}: {samples:#?}");
    }
    assert!(samples["roster_store_calls_total{call=\"direct\"}"] > before["roster_store_calls_total{call=\"direct\"}"]);
    assert!(samples["roster_store_connections_max"] > 0.0);
    let errors = ["unavailable", "read_only", "corrupt", "internal", "locked"];
    for kind in errors {
        assert_value(&samples, &format!("roster_store_errors_total{{kind=\"{kind}\"}}"), 0.0);
    }
    let product = kind.to_string();
    let is_build =
        |name: &&String| name.starts_with("roster_build_info{") && name.contains(&format!("database=\"{product}\""));
    assert!(samples.keys().any(|name| is_build(&name)), "{samples:#?}");
    assert!(samples["process_resident_memory_bytes"] > 1e6 && samples["process_open_fds"] > 5.0);
    assert_eq!(kind == Kind::Sqlite, samples.get("roster_sqlite_wal_bytes").is_some_and(|bytes| *bytes > 0.0));
}

fn no_label_has_data_of_a_tenant(database: Database) {
    let (app, metrics) = start(database, &[]);
    let native = app.native();
    let one = |number: u32| json!({"email": format!("secret-{number}@example.com"), "external_id": format!("secret-{number}")});
    let first = native.post("/customers", one(0)).expect(201).text_at("/id");
    native.get(&format!("/customers/{first}")).is(200);
    native.get("/customers/external/secret-0").is(200);
    native.get("/secret-path").is(404);
    let series: BTreeSet<String> = scrape(&metrics).into_keys().collect();
    for number in 1..20 {
        let id = native.post("/customers", one(number)).expect(201).text_at("/id");
        native.get(&format!("/customers/{id}")).is(200);
        native.get(&format!("/customers/external/secret-{number}")).is(200);
        native.get(&format!("/secret-path-{number}")).is(404);
    }
    let later: BTreeSet<String> = scrape(&metrics).into_keys().collect();
    let grown: Vec<_> = later.difference(&series).filter(|name| !name.starts_with("roster_webhook_")).collect();
    assert!(grown.is_empty(), "{grown:#?}");
    for part in ["secret", "cus_", "org_", "key_", "sk_", &app.tenants().ours.name] {
        assert!(!later.iter().any(|name| name.contains(part)), "{part}: {later:#?}");
    }
}

fn what_is_not_delivered_to_webhooks_is_counted(database: Database) {
    let (app, metrics) = start(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let native = app.native();
    // The first scrape makes the service look.
    until("no backlog", TIMEOUT, || {
        (scrape(&metrics).get("roster_webhook_backlog_endpoints") == Some(&0.0)).then_some(())
    });
    // Nothing listens there.
    native.post("/webhooks", json!({"url": "http://127.0.0.1:9/", "events": ["*"]})).is(201);
    native.post("/customers", json!({"email": "a@example.com"})).is(201);
    until("a backlog", TIMEOUT, || {
        (scrape(&metrics).get("roster_webhook_backlog_endpoints") == Some(&1.0)).then_some(())
    });
}

fn refusals_by_rate_limits_are_counted(database: Database) {
    let (app, metrics) = start(database, &[("ROSTER__LIMITS__LIVE_KEY_PER_SECOND", "2")]);
    let lava = app.lava();
    let refused = (0..500).map(|_| lava.get("/customers").status).filter(|status| *status == 429).take(3).count();
    assert_eq!(refused, 3);
    let samples = scrape(&metrics);
    assert_value(&samples, r#"roster_http_rate_limited_total{surface="lava"}"#, 3.0);
    assert_value(&samples, r#"roster_http_rate_limited_total{surface="native"}"#, 0.0);
}

fn the_listener_serves_metrics_alone_and_the_service_none(database: Database) {
    let (app, metrics) = start(database, &[]);
    for path in ["/", "/metrics/", "/v1/customers", "/livez"] {
        metrics.get(path).is(404);
    }
    assert_eq!(metrics.post("/metrics", json!({})).status, 405);
    app.root().get("/metrics").is(404);
}

/// The names of metrics in a text, as samples have them.
fn names_in(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words.filter(|word| word.starts_with("roster_") || word.starts_with("process_")).map(str::to_owned).collect()
}

#[test]
fn the_board_and_the_alerts_use_what_is_exported_and_show_all_of_it() {
    let databases = [Kind::Sqlite, Kind::Postgres].into_iter().filter_map(Database::prepared).collect::<Vec<_>>();
    let has_both = databases.len() == 2;
    let mut exported = BTreeSet::new();
    for database in databases {
        let (app, metrics) = start(database, &[]);
        app.native().get("/customers").is(200);
        let samples = until("the backlog", TIMEOUT, || {
            Some(scrape(&metrics)).filter(|samples| samples.contains_key("roster_webhook_backlog_events"))
        });
        exported.extend(samples.into_keys().map(|name| name.split('{').next().unwrap_or_default().to_owned()));
    }
    assert!(exported.iter().any(|name| name.starts_with("process_")), "{exported:#?}");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let read = |name: &str| fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"));
    let board: Value = serde_json::from_str(&read("grafana/roster.json")).expect("JSON");
    let expressions: Vec<&str> = board["panels"]
        .as_array()
        .expect("panels")
        .iter()
        .flat_map(|panel| panel["targets"].as_array().expect("targets"))
        .map(|target| target["expr"].as_str().expect("an expression"))
        .collect();
    let on_board = names_in(&expressions.join("\n"));
    let in_alerts = names_in(&read("prometheus/alerts.yml"));
    assert!(on_board.len() > 15 && in_alerts.len() > 8, "{on_board:?} {in_alerts:?}");
    if !has_both {
        return;
    }
    let unknown: Vec<_> = on_board.union(&in_alerts).filter(|name| !exported.contains(*name)).collect();
    assert!(unknown.is_empty(), "not exported: {unknown:#?}");
    let base = |name: &String| {
        let name = ["_bucket", "_sum", "_count"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        name.to_owned()
    };
    let shown: BTreeSet<String> = on_board.iter().map(base).collect();
    let ours = exported.iter().filter(|name| name.starts_with("roster_")).map(base);
    let missing: BTreeSet<String> = ours.filter(|name| !shown.contains(name)).collect();
    assert!(missing.is_empty(), "not on the board: {missing:#?}");
}
