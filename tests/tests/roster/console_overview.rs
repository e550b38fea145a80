//! The console's overview: its figures, its charts, and their tables.

use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::rows::age_events;
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

use crate::console::Visitor;

on_both_databases! {
    the_overview_counts_customers_and_webhooks,
    a_chart_of_new_customers_is_an_image_and_a_table,
    a_chart_of_changes_is_an_image_and_a_table,
    a_key_without_events_read_sees_no_chart_of_changes,
    requests_are_counted_without_metrics,
    a_key_without_scopes_sees_the_charts_of_the_instance_only,
}

fn the_overview_counts_customers_and_webhooks(database: Database) {
    let app = App::start_with(database, &[("ROSTER__WEBHOOKS__ALLOW_PRIVATE", "true")]);
    let key = app.live_key(&["customers:read", "webhooks:manage"]);
    let mut visitor = Visitor::signed_in(&app, &key);
    assert!(visitor.get("/live").expect(200).text().contains("0 customers"));
    for number in 0..3 {
        app.native().post("/customers", json!({ "email": format!("c{number}@example.com") })).is(201);
    }
    let webhook = json!({ "url": "http://127.0.0.1:1/<b>", "events": ["*"] });
    app.native().with_key(&key).post("/webhooks", webhook).is(201);
    let page = visitor.get("/live").expect(200).text();
    for expected in ["3 customers", "Endpoints: 1, failing: 0, disabled: 0", "/console/live/charts/requests.svg"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("<b>") && page.contains("aria-current=\"page\""), "{page}");
}

fn a_chart_of_new_customers_is_an_image_and_a_table(database: Database) {
    let app = App::start(database);
    for number in 0..3 {
        app.native().post("/customers", json!({ "email": format!("c{number}@example.com") })).is(201);
    }
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    let table = visitor.get("/live/charts/customers").expect(200).text();
    assert_eq!(table.matches("<th scope=\"row\">").count(), 30, "{table}");
    let counts: u32 = table.split("<td>").skip(1).filter_map(|rest| rest.split('<').next()?.parse::<u32>().ok()).sum();
    assert_eq!(counts, 3, "{table}");
    let image = visitor.get("/live/charts/customers.svg").expect(200);
    assert_eq!(image.header("content-type"), Some("image/svg+xml"));
    assert!(image.header("content-security-policy").is_some_and(|policy| policy.starts_with("default-src 'none'")));
    let image = image.text();
    assert_eq!(image.matches("<rect").count(), 30, "{image}");
    for part in ["<title", "<desc", "prefers-color-scheme: dark", "Highest: 3"] {
        assert!(image.contains(part), "{part}: {image}");
    }
    visitor.get("/live/charts/nothing").is(404);
    visitor.get("/live/charts/nothing.svg").is(404);
}

fn a_chart_of_changes_is_an_image_and_a_table(database: Database) {
    let app = App::start(database);
    let id = app.native().post("/customers", json!({ "email": "ada@example.com" })).expect(201).text_at("/id");
    for name in ["Ada", "Eda"] {
        app.native().patch(&format!("/customers/{id}"), json!({ "name": name })).is(200);
    }
    // As if the first two had been made twenty days ago.
    age_events(app.database(), 2, 20);
    let key = app.live_key(&["events:read"]);
    let mut visitor = Visitor::signed_in(&app, &key);
    let page = visitor.get("/live").expect(200).text();
    assert!(page.contains("/console/live/charts/changes.svg") && !page.contains("/charts/customers.svg"), "{page}");
    let table = visitor.get("/live/charts/changes").expect(200).text();
    assert_eq!(table.matches("<th scope=\"row\">").count(), 30, "{table}");
    let counts: u32 = table.split("<td>").skip(1).filter_map(|rest| rest.split('<').next()?.parse::<u32>().ok()).sum();
    assert_eq!(counts, 3, "{table}");
    let image = visitor.get("/live/charts/changes.svg").expect(200).text();
    assert_eq!(image.matches("<rect").count(), 30, "{image}");
    assert!(image.contains("Highest: "), "{image}");
}

fn a_key_without_events_read_sees_no_chart_of_changes(database: Database) {
    let app = App::start(database);
    let key = app.live_key(&["customers:read"]);
    let mut visitor = Visitor::signed_in(&app, &key);
    let page = visitor.get("/live").expect(200).text();
    assert!(page.contains("/charts/customers.svg") && !page.contains("/charts/changes"), "{page}");
    for chart in ["changes", "changes.svg"] {
        visitor.get(&format!("/live/charts/{chart}")).is(403);
    }
}

fn requests_are_counted_without_metrics(database: Database) {
    let app = App::start(database);
    let mut visitor = Visitor::signed_in(&app, &app.tenants().ours.live.clone());
    // A step of ten seconds is shown once it is over.
    until("the requests are shown", TIMEOUT, || {
        app.native().get("/customers").is(200);
        let rate = visitor.get("/live/charts/requests").expect(200).text();
        let time = visitor.get("/live/charts/durations").expect(200).text();
        let has_figure = |page: &str, none: &str| page.split("<td>").skip(1).any(|rest| !rest.starts_with(none));
        (has_figure(&rate, "0.0/s<") && has_figure(&time, "0.0 ms<")).then_some(())
    });
}

fn a_key_without_scopes_sees_the_charts_of_the_instance_only(database: Database) {
    let app = App::start(database);
    let key = app.live_key(&["subscriptions:write"]);
    let mut visitor = Visitor::signed_in(&app, &key);
    let page = visitor.get("/live").expect(200).text();
    for expected in ["customers:read", "webhooks:manage", "/console/live/charts/durations.svg"] {
        assert!(page.contains(expected), "{expected}: {page}");
    }
    assert!(!page.contains("/charts/customers.svg"), "{page}");
    visitor.get("/live/charts/customers.svg").is(403);
    visitor.get("/live/charts/requests.svg").is(200);
}
