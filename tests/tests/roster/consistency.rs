//! The headers that say how current a read must be, on a service without a read replica. `tests/tests/faults/replica.rs` has one.

use roster_tests::client::Surface;
use roster_tests::{App, Database, on_both_databases};
use serde_json::json;

on_both_databases! {
    without_a_replica_the_headers_are_checked_and_change_nothing,
}

fn without_a_replica_the_headers_are_checked_and_change_nothing(database: Database) {
    let app = App::start(database);
    assert_eq!(app.root().get("/readyz").expect(200).json(), json!({"status": "ok"}));
    for surface in Surface::ALL {
        let caller = app.surface(surface);
        let email = format!("{surface:?}@example.com");
        let created = caller.post("/customers", json!({"email": email, "name": "Ada"})).expect(201);
        let get = |name: &str, value: &str| caller.request("GET", "/customers").header(name, value).send();
        let plain = caller.get("/customers").expect(200);
        for value in ["eventual", "latest"] {
            let listed = get("roster-consistency", value).expect(200);
            assert_eq!(listed.body, plain.body);
            assert_eq!(listed.header("roster-position"), None);
        }
        assert_eq!(created.header("roster-position"), None);
        for value in ["strong", "", "EVENTUAL"] {
            let refused = get("roster-consistency", value).expect(400);
            let text = refused.text();
            let parts = ["Roster-Consistency", "latest", "eventual"];
            assert!(parts.iter().all(|part| text.contains(part)), "{refused:?}");
            assert_eq!(refused.header("content-type"), Some(surface.error_type()));
        }
        for value in ["0/3000AF8", "", "AQ"] {
            let refused = get("roster-position", value).expect(400);
            assert!(refused.text().contains("Roster-Position"), "{refused:?}");
        }
        let twice = caller.request("GET", "/customers").header("roster-consistency", "eventual");
        twice.header("roster-consistency", "eventual").send().is(400);
        // They are headers of reads: a request that changes something does not read them.
        let create = caller.request("POST", "/customers").header("roster-consistency", "strong");
        let body = json!({"email": format!("second-{surface:?}@example.com"), "name": "Grace"});
        create.json(body).send().is(201);
    }
}
