//! A service on a hot standby, which can be read and refuses writes.

use diesel::connection::SimpleConnection as _;
use roster_test_postgres::{Cluster, ClusterOptions};
use roster_tests::deadline::{TIMEOUT, until};
use roster_tests::{App, Database};
use serde_json::json;

use crate::silence::parts;
use crate::traffic::assert_refused;

#[test]
fn a_service_starts_on_an_up_to_date_standby_and_is_promoted_with_it() {
    let Some(primary) = Cluster::create(ClusterOptions { durable: true, tcp: true }) else { return };
    let origin = Database::on(&primary);
    let writer = App::start(origin.reached_by(origin.url().to_owned()));
    let created = writer.native().post("/customers", json!({"email": "ada@example.com"})).expect(201);
    let standby = primary.standby();
    let copy = origin.reached_by(standby.url(parts(origin.url()).1));

    let reader = App::start(copy.reached_by(copy.url().to_owned()));
    assert_refused(&reader.root().get("/readyz"), "database_read_only");
    let path = format!("/customers/{}", created.text_at("/id"));
    assert_eq!(reader.native().get(&path).expect(200).body, created.body);
    assert_eq!(reader.native().get("/customers").expect(200).json()["data"], json!([created.json()]));
    let eda = json!({"email": "eda@example.com"});
    assert_refused(&reader.native().post("/customers", eda.clone()), "database_read_only");

    copy.administrator().batch_execute("SELECT pg_promote()").expect("a promotion");
    until("the service is ready", TIMEOUT, || (reader.root().get("/readyz").status == 200).then_some(()));
    reader.native().post("/customers", eda).is(201);
}
