//! Metadata is returned exactly as it was written, to the last digit.

use roster_tests::{App, Database, Response, on_both_databases};

/// Objects that the service must return unchanged.
const OBJECTS: [&str; 14] = [
    "{}",
    r#"{"z":1,"a":2,"m":{"z":1,"a":2}}"#,
    r#"{"big":123456789012345678901234567890,"negative":-9223372036854775809}"#,
    r#"{"exact":0.1000,"long":3.14159265358979323846264338327950288,"tiny":1e-400,"huge":1E+400,"zero":-0,"one":1.0}"#,
    r#"{"text":"quote \" backslash \\ slash / tab \t newline \n","é":"é","emoji":"😀"}"#,
    r#"{"composed":"é","decomposed":"é"}"#,
    r#"{"control":"\u0001\u001f"}"#,
    r#"{"":"empty key"," ":"blank key","a.b":1,"a/b":2,"~":3,"$ref":"x","__proto__":{"x":1}}"#,
    r#"{"null":null,"true":true,"false":false,"array":[],"object":{},"mixed":[null,true,1,"x",[],{}]}"#,
    r#"{"1":{"2":{"3":{"4":{"5":{"6":{"7":{}}}}}}}}"#,
    r#"{"1":[[[[[[[]]]]]]]}"#,
    r#"{"a":1,"A":2,"ａ":3}"#,
    r#"{"$serde_json::private::Number":"1","$serde_json::private::RawValue":"2"}"#,
    r#"{"numbers like strings":"1e400","date":"2025-01-01","sql":"'; drop table customers; --"}"#,
];

on_both_databases! {
    metadata_keeps_its_digits_and_its_order,
    metadata_is_unchanged_after_a_replacement_and_a_merge,
    metadata_has_at_most_16_kibibytes,
    the_result_of_a_merge_has_at_most_16_kibibytes,
    metadata_has_at_most_8_levels,
    nul_and_control_characters_in_keys_are_refused,
}

fn metadata_keeps_its_digits_and_its_order(database: Database) {
    let app = App::start(database);
    for (number, object) in OBJECTS.iter().enumerate() {
        let body = format!("{{\"reference_id\":\"r{number}\",\"metadata\":{object}}}");
        for response in [
            app.lava().post("/customers", body.as_str()).expect(201),
            app.lava().post("/customers", body.as_str()).expect(200),
            app.lava().get(&format!("/customers/r{number}")).expect(200),
            app.native().get(&format!("/customers/external/r{number}")).expect(200),
        ] {
            assert_eq!(metadata(&response), *object);
        }
    }
}

fn metadata_is_unchanged_after_a_replacement_and_a_merge(database: Database) {
    let app = App::start(database);
    let created = app.native().post("/customers", r#"{"email":"ada@example.com"}"#).expect(201);
    let path = format!("/customers/{}", created.text_at("/id"));
    for object in OBJECTS {
        let replaced = app.native().patch(&path, format!("{{\"metadata\":{object}}}")).expect(200);
        assert_eq!(metadata(&replaced), object);
        // A merge removes members that are null.
        if object.contains("null") {
            continue;
        }
        app.native().patch(&path, r#"{"metadata":null}"#).is(200);
        let merged = app.native().merge_patch(&path, format!("{{\"metadata\":{object}}}")).expect(200);
        assert_eq!(metadata(&merged), object);
        assert_eq!(metadata(&app.native().get(&path).expect(200)), object);
    }
}

fn metadata_has_at_most_16_kibibytes(database: Database) {
    let app = App::start(database);
    let object = |bytes: usize| format!("{{\"k\":\"{}\"}}", "x".repeat(bytes - r#"{"k":""}"#.len()));
    let largest = object(16_384);
    let created = app.lava().post("/customers", format!("{{\"metadata\":{largest}}}")).expect(201);
    assert_eq!(metadata(&created), largest);
    let too_large = object(16_385);
    app.lava().post("/customers", format!("{{\"metadata\":{too_large}}}")).is(400);
    app.native().post("/customers", format!(r#"{{"email":"a@example.com","metadata":{too_large}}}"#)).is(422);
    // Only the stored bytes count: white space is not stored.
    let spaced = largest.replace("\":\"", "\":      \"");
    app.lava().post("/customers", format!("{{\"metadata\":{spaced}}}")).is(201);
}

fn the_result_of_a_merge_has_at_most_16_kibibytes(database: Database) {
    let app = App::start(database);
    let half = "x".repeat(9_000);
    let body = format!(r#"{{"email":"ada@example.com","metadata":{{"a":"{half}"}}}}"#);
    let created = app.native().post("/customers", body).expect(201);
    let path = format!("/customers/{}", created.text_at("/id"));
    let response = app.native().merge_patch(&path, format!(r#"{{"metadata":{{"b":"{half}"}}}}"#)).expect(422);
    assert!(response.text_at("/errors/0/pointer").starts_with("/metadata"), "{response:?}");
    assert_eq!(app.native().get(&path).body, created.body);
}

fn metadata_has_at_most_8_levels(database: Database) {
    let app = App::start(database);
    let nested = |levels: usize| format!("{}{}", "{\"k\":".repeat(levels - 1) + "{}", "}".repeat(levels - 1));
    app.lava().post("/customers", format!("{{\"metadata\":{}}}", nested(8))).is(201);
    app.lava().post("/customers", format!("{{\"metadata\":{}}}", nested(9))).is(400);
    app.native().post("/customers", format!(r#"{{"email":"a@example.com","metadata":{}}}"#, nested(9))).is(422);
}

fn nul_and_control_characters_in_keys_are_refused(database: Database) {
    let app = App::start(database);
    for object in
        [r#"{"k":"a\u0000"}"#, r#"{"k\u0000":1}"#, r#"{"a":[{"b":"\u0000"}]}"#, r#"{"k\n":1}"#, r#"{"k":"\ud800"}"#]
    {
        app.lava().post("/customers", format!("{{\"metadata\":{object}}}")).is(400);
    }
    for (object, status) in [(r#""text""#, 400), ("[]", 400), ("1", 400), ("true", 400), ("null", 201)] {
        app.lava().post("/customers", format!("{{\"metadata\":{object}}}")).is(status);
    }
}

/// The bytes of the metadata in a response.
fn metadata(response: &Response) -> String {
    let text = response.text();
    let start = text.find("\"metadata\":").expect("metadata") + "\"metadata\":".len();
    // The next member on both surfaces.
    let end = text.rfind(",\"created_at\":").expect("the time of creation");
    text[start..end].to_owned()
}
