//! Every example request in the documentation of the three vendors, and its documented response: status, type and every
//! byte, in the order of the page. `<id>` and `<time>` replace values that differ each time. Fields that the page does not
//! have follow behind those of the page on Lumen.

use roster_tests::client::Caller;
use roster_tests::{App, Database, Response, on_both_databases};

const BILLING_FIRST: &str = r#"
{
  "email": "user@example.com",
  "name": "Jane Doe",
  "external_id": "usr_12345",
  "metadata": {}
}
"#;

const BILLING_SECOND: &str = r#"{
    "email": "alice@example.com",
    "name": "Alice Johnson",
    "external_id": "usr_12345",
    "metadata": { "plan": "pro" }
  }"#;

const LAVA_CREATE: &str = r#"
{
  "reference_id": "usr_abc123",
  "name": "Jane Smith",
  "email": "jane@example.com",
  "phone": "+14155552671",
  "metadata": {
    "tier": "premium",
    "source": "api"
  }
}
"#;

const LUMEN_REFERENCE_CREATE: &str = r#"{
  "email": "newcustomer@example.com",
  "name": "Jane Smith",
  "userId": "user_ext_456",
  "billingAddressLine1": "456 Oak Ave",
  "billingAddressLine2": "Suite 200",
  "billingCity": "San Francisco",
  "billingPostalCode": "94102",
  "billingCountry": "US",
  "taxId": "98-7654321"
}"#;

const LUMEN_REFERENCE_UPDATE: &str = r#"{
  "email": "updated@example.com",
  "name": "Updated Name",
  "userId": "user_ext_updated",
  "billingAddressLine1": "789 Pine St",
  "billingAddressLine2": "Floor 3",
  "billingCity": "Seattle",
  "billingPostalCode": "98101",
  "billingCountry": "US",
  "taxId": "11-2233445"
}"#;

const LUMEN_EXAMPLE_CREATE: &str = r#"{
    "email": "customer@example.com",
    "name": "John Doe",
    "userId": "user_123",
    "billingAddressLine1": "123 Main St",
    "billingCity": "New York",
    "billingPostalCode": "10001",
    "billingCountry": "US"
  }"#;

const LUMEN_EXAMPLE_UPDATE: &str = r#"{
    "email": "newemail@example.com",
    "name": "John Smith",
    "billingAddressLine1": "456 Oak Ave"
  }"#;

const LUMEN_DUPLICATE: &str = r#"{
    "email": "duplicate@example.com",
    "dangerouslyAllowSameEmailForDifferentCustomers": true
  }"#;

on_both_databases! {
    billing_io_creates_a_customer,
    billing_io_creates_a_customer_with_metadata,
    lava_creates_a_customer_once,
    lumen_creates_a_customer,
    lumen_shows_lists_updates_and_deletes_a_customer,
    lumen_refuses_a_used_e_mail_address_unless_it_is_allowed,
    lumen_requires_an_e_mail_address,
}

fn billing_io_creates_a_customer(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", BILLING_FIRST);
    assert_answer(
        &created,
        201,
        concat!(
            r#"{"id":"cus_<id>","customer_id":"cus_<id>","org_id":"org_<id>","environment":"live","status":"active","email":"user@example.com","name":"Jane Doe","#,
            r#""external_id":"usr_12345","phone":null,"billing_address":null,"tax_id":null,"#,
            r#""business_name":null,"tax_exempt":null,"locale":null,"timezone":null,"currency":null,"metadata":{},"#,
            r#""created_at":"<time>","updated_at":"<time>","version":1}"#,
        ),
    );
    assert_eq!(created.text_at("/org_id"), app.tenants().ours.id);
    let location = format!("/v1/customers/{}", created.text_at("/id"));
    assert_eq!(created.header("location"), Some(location.as_str()));
}

fn billing_io_creates_a_customer_with_metadata(database: Database) {
    let app = App::start(database);
    let sandbox = app.native().with_key(&app.tenants().ours.sandbox);
    assert_answer(
        &sandbox.post("/customers", BILLING_SECOND),
        201,
        concat!(
            r#"{"id":"cus_<id>","customer_id":"cus_<id>","org_id":"org_<id>","environment":"sandbox","status":"active","email":"alice@example.com","#,
            r#""name":"Alice Johnson","external_id":"usr_12345","phone":null,"billing_address":null,"tax_id":null,"#,
            r#""business_name":null,"tax_exempt":null,"locale":null,"timezone":null,"currency":null,"#,
            r#""metadata":{"plan":"pro"},"created_at":"<time>","updated_at":"<time>","version":1}"#,
        ),
    );
}

fn lava_creates_a_customer_once(database: Database) {
    let app = App::start(database);
    let sandbox = app.lava().with_key(&app.tenants().ours.sandbox);
    let expected = concat!(
        r#"{"customer_id":"con_test_<id>","reference_id":"usr_abc123","contact":{"phone":"+14155552671","#,
        r#""email":"jane@example.com","first_name":"Jane","last_name":"Smith"},"subscription":null,"#,
        r#""metadata":{"tier":"premium","source":"api"},"created_at":"<time>"}"#,
    );
    let created = sandbox.post("/customers", LAVA_CREATE);
    assert_answer(&created, 201, expected);
    let again = sandbox.post("/customers", LAVA_CREATE);
    assert_answer(&again, 200, expected);
    assert_eq!(again.body, created.body);
}

fn lumen_creates_a_customer(database: Database) {
    let app = App::start(database);
    let created = app.lumen().post("/customers", LUMEN_REFERENCE_CREATE);
    assert_shown(
        &created,
        201,
        concat!(
            r#"{"customer":{"id":"cust_<id>","email":"newcustomer@example.com","name":"Jane Smith","#,
            r#""userId":"user_ext_456","billingAddressLine1":"456 Oak Ave","billingAddressLine2":"Suite 200","#,
            r#""billingCity":"San Francisco","billingPostalCode":"94102","billingCountry":"US","taxId":"98-7654321","#,
            r#""merchantId":"merchant_<id>","createdAt":"<time>","updatedAt":"<time>","deletedAt":null}}"#,
        ),
    );
    let merchant = app.tenants().ours.id.replace("org_", "merchant_");
    assert_eq!(created.text_at("/customer/merchantId"), merchant);
}

fn lumen_shows_lists_updates_and_deletes_a_customer(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    let customer = concat!(
        r#"{"id":"cust_<id>","email":"customer@example.com","name":"John Doe","userId":"user_123","#,
        r#""billingAddressLine1":"123 Main St","billingAddressLine2":null,"billingCity":"New York","#,
        r#""billingPostalCode":"10001","billingCountry":"US","taxId":null,"#,
        r#""merchantId":"merchant_<id>","createdAt":"<time>","updatedAt":"<time>","deletedAt":null}"#,
    );
    let created = lumen.post("/customers", LUMEN_EXAMPLE_CREATE);
    assert_shown(&created, 201, &format!(r#"{{"customer":{customer}}}"#));
    let path = format!("/customers/{}", created.text_at("/customer/id"));
    assert_shown(&bodyless(&lumen, "GET", &path), 200, &format!(r#"{{"customer":{customer}}}"#));
    assert_shown(&bodyless(&lumen, "GET", "/customers"), 200, &format!(r#"{{"customers":[{customer}]}}"#));
    assert_shown(
        &lumen.post(&path, LUMEN_EXAMPLE_UPDATE),
        200,
        concat!(
            r#"{"customer":{"id":"cust_<id>","email":"newemail@example.com","name":"John Smith","userId":"user_123","#,
            r#""billingAddressLine1":"456 Oak Ave","billingAddressLine2":null,"billingCity":"New York","#,
            r#""billingPostalCode":"10001","billingCountry":"US","taxId":null,"#,
            r#""merchantId":"merchant_<id>","createdAt":"<time>","updatedAt":"<time>","deletedAt":null}}"#,
        ),
    );
    assert_shown(
        &lumen.post(&path, LUMEN_REFERENCE_UPDATE),
        200,
        concat!(
            r#"{"customer":{"id":"cust_<id>","email":"updated@example.com","name":"Updated Name","#,
            r#""userId":"user_ext_updated","billingAddressLine1":"789 Pine St","billingAddressLine2":"Floor 3","#,
            r#""billingCity":"Seattle","billingPostalCode":"98101","billingCountry":"US","taxId":"11-2233445","#,
            r#""merchantId":"merchant_<id>","createdAt":"<time>","updatedAt":"<time>","deletedAt":null}}"#,
        ),
    );
    assert_answer(&bodyless(&lumen, "DELETE", &path), 200, r#"{"success":true}"#);
    let not_found = r#"{"error":"Customer not found or access denied"}"#;
    assert_answer(&bodyless(&lumen, "GET", &path), 404, not_found);
    assert_answer(&lumen.post(&path, LUMEN_EXAMPLE_UPDATE), 404, not_found);
    assert_answer(&bodyless(&lumen, "DELETE", &path), 404, not_found);
    assert_answer(&bodyless(&lumen, "GET", "/customers"), 200, r#"{"customers":[]}"#);
}

fn lumen_refuses_a_used_e_mail_address_unless_it_is_allowed(database: Database) {
    let app = App::start(database);
    let lumen = app.lumen();
    lumen.post("/customers", r#"{"email":"duplicate@example.com"}"#).is(201);
    let taken = lumen.post("/customers", r#"{"email":"Duplicate@Example.com"}"#);
    assert_answer(&taken, 409, r#"{"error":"A customer with this email already exists"}"#);

    let other = lumen.post("/customers", r#"{"email":"other@example.com"}"#);
    let path = format!("/customers/{}", other.text_at("/customer/id"));
    let taken = lumen.post(&path, r#"{"email":"duplicate@example.com"}"#);
    assert_answer(
        &taken,
        409,
        concat!(
            r#"{"error":"Another customer with this email already exists. "#,
            r#"Use dangerouslyAllowSameEmailForDifferentCustomers to allow."}"#,
        ),
    );
    let allowed = lumen.post(&path, LUMEN_DUPLICATE).expect(200);
    assert_eq!(allowed.text_at("/customer/email"), "duplicate@example.com");
}

fn lumen_requires_an_e_mail_address(database: Database) {
    let app = App::start(database);
    for body in ["{}", r#"{"name":"Jane Smith"}"#, r#"{"email":null}"#, r#"{"email":""}"#] {
        let response = app.lumen().post("/customers", body).expect(400);
        assert_eq!(response.text_at("/error"), "Email is required", "{body}");
    }
}

/// Sends a request like the vendor's pages do: with a content type and without a body.
fn bodyless(caller: &Caller, method: &str, path: &str) -> Response {
    caller.request(method, path).header("content-type", "application/json").send()
}

/// Asserts that the response is a customer as the vendor's page shows it, and that other fields come after those.
fn assert_shown(response: &Response, status: u16, body: &str) {
    let user_id = body.split_once(r#""userId":""#).and_then(|(_, rest)| rest.split('"').next()).expect("a user id");
    let more = concat!(
        r#""phoneNumber":null,"billingStateProvince":null,"businessName":null,"taxExempt":null,"#,
        r#""preferredLanguage":null,"timezone":null,"preferredCurrency":null,"metadata":{}"#,
    );
    let end = format!(r#""deletedAt":null,"externalCustomerId":"{user_id}",{more}}}"#);
    assert_answer(response, status, &body.replace(r#""deletedAt":null}"#, &end));
}

fn assert_answer(response: &Response, status: u16, body: &str) {
    assert_eq!(response.status, status, "{response:?}");
    assert_eq!(response.header("content-type"), Some("application/json"), "{response:?}");
    assert!(response.header("x-request-id").is_some_and(|id| !id.is_empty()), "{response:?}");
    assert_eq!(masked(&response.text()), body);
}

/// Replaces each id after its prefix with `<id>`, and each time with `<time>`.
fn masked(text: &str) -> String {
    const LOWER: &str = "0123456789abcdefghjkmnpqrstvwxyz";
    let upper = LOWER.to_uppercase();
    let prefixes = [
        ("cus_", LOWER),
        ("cust_", LOWER),
        ("org_", LOWER),
        ("merchant_", LOWER),
        ("con_live_", upper.as_str()),
        ("con_test_", upper.as_str()),
    ];
    let strings: Vec<String> = text
        .split('"')
        .map(|string| {
            let is_id = |prefix: &str, digits: &str| {
                string.strip_prefix(prefix).is_some_and(|id| id.len() == 26 && id.chars().all(|c| digits.contains(c)))
            };
            match prefixes.iter().find(|(prefix, digits)| is_id(prefix, digits)) {
                Some((prefix, _)) => format!("{prefix}<id>"),
                None if is_time(string) => "<time>".to_owned(),
                None => string.to_owned(),
            }
        })
        .collect();
    strings.join("\"")
}

/// Whether the text has the form `2024-01-01T00:00:00.000Z`.
fn is_time(text: &str) -> bool {
    let form = "0000-00-00T00:00:00.000Z";
    text.len() == form.len()
        && text.chars().zip(form.chars()).all(|(c, form)| if form == '0' { c.is_ascii_digit() } else { c == form })
}
