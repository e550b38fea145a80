//! What the OpenAPI document says of the Lava surface.

use actix_web::http::StatusCode;
use roster_application::json::{JsonError, Pointer};
use roster_domain::{EmailUse, ExternalId};
use serde_json::json;

use super::dto::{self, CustomerView, MAX_CHARACTERS, PageView, SubscriptionEnvelope, Success};
use super::error::{Content, answer};
use crate::failure::{BodyFailure, Failure, Fault, Place};
use crate::openapi::operation::{Operation, Parameter, Refusal, Request};
use crate::openapi::schema::Of;
use crate::openapi::{Contract, about_bodies, samples, vendor};
use crate::request::caller::{ReadCustomers, WriteCustomers};

const CUSTOMERS: &str = "Customers";

/// The document's other parts.
pub(super) fn contract() -> Contract {
    let description = format!(
        "Lava's customers API. The same customers are seen on the service's other APIs; `/docs` shows all of them.\n\nEvery read and write is \
         scoped by the merchant and the environment of the credential: another tenant's customer answers exactly as one that \
         never existed.\n\n{} Failures are `{{\"error\": \"…\"}}`. A path that is not named here answers 404, a path with \
         another method 405 as `components/responses/MethodNotAllowed` says.",
        about_bodies("ignored")
    );
    let hint = "Used as contact hint and for checkout pre-population.";
    Contract {
        title: "Roster: Lava API",
        description,
        servers: &["/lava/v1"],
        tags: &[
            (CUSTOMERS, "A merchant's customers and their active subscriptions."),
            ("Description", "This document."),
        ],
        bearer: "Bearer token authentication used for standard API calls. `sk_live_…` keys see live customers only, \
                 `sk_test_…` keys sandbox customers only.",
        refusals: refusals(),
        of_callers: &["Unauthorized", "MissingScope", "TooManyRequests", "Internal", "Unavailable"],
        of_reads: &["InvalidReadHeader"],
        of_writes: &["InvalidIdempotencyKey", "IdempotencyKeyReused"],
        of_bodies: &["Invalid", "BodyIncomplete", "BodyTooLarge", "UnsupportedMediaType"],
        of_queries: &["Invalid"],
        words: json!({
            "Name": {
                "description": "Display name. Used as contact hint until the customer authenticates.",
                "maxLength": MAX_CHARACTERS,
                "examples": ["Jane Smith"],
            },
            "Email": { "examples": ["jane@example.com"] },
            "Phone": { "description": format!("Phone number in E.164 format. {hint}") },
            "ExternalId": { "examples": ["usr_abc123"] },
            "Metadata": { "examples": [{ "tier": "premium", "source": "api" }] },
        }),
    }
}

pub(super) fn list_customers() -> Operation {
    let email =
        "Only customers with this e-mail address, in any spelling that counts as the same. Customers may share one.";
    let email_schema = json!({ "type": "string", "format": "idn-email", "examples": ["jane@example.com"] });
    Operation::new("listCustomers", CUSTOMERS, "List customers")
        .needs::<ReadCustomers>()
        .about(
            "The live customers, newest first, a page at a time: all, or those that have the `reference_id` and the `email` \
             that are given. The vendor's client libraries send `limit` and `cursor`. No parameter is ignored: unknown ones, \
             and a filter that is given twice, are refused.",
        )
        .parameter(Parameter::query::<Of<ExternalId>>("reference_id", "Only the customer with exactly this `reference_id`."))
        .parameter(Parameter::query_of("email", email, email_schema))
        .parameter(Parameter::limit())
        .parameter(Parameter::query_of(
            "cursor",
            "The `next_cursor` of the page before. Take it as it is. Left out: the first page.",
            json!({ "type": "string" }),
        ))
        .answers::<PageView<'_>>(StatusCode::OK, "A page of customers.")
}

pub(super) fn create_customer() -> Operation {
    Operation::new("createCustomer", CUSTOMERS, "Create a customer")
        .needs::<WriteCustomers>()
        .about(
            "Everything is optional. `reference_id` acts as an idempotency key: creating a customer with one that a live \
             customer has answers 200 with that customer, unchanged, however many callers race. E-mail addresses need not be \
             unique.",
        )
        .reads(customer("CreateCustomer").example(
            "every_field",
            json!({
                "reference_id": "usr_abc123",
                "name": "Jane Smith",
                "email": "jane@example.com",
                "phone": "+14155552671",
                "metadata": { "tier": "premium", "source": "api" },
            }),
        ))
        .answers::<CustomerView<'_>>(StatusCode::OK, "A live customer has the `reference_id` already: this one.")
        .answers::<CustomerView<'_>>(StatusCode::CREATED, "Customer created.")
}

pub(super) fn get_customer() -> Operation {
    Operation::new("getCustomer", CUSTOMERS, "Get a customer")
        .needs::<ReadCustomers>()
        .parameter(customer_id())
        .answers::<CustomerView<'_>>(StatusCode::OK, "The customer.")
        .refuses("NotFound")
}

pub(super) fn update_customer() -> Operation {
    Operation::new("updateCustomer", CUSTOMERS, "Change a customer")
        .needs::<WriteCustomers>()
        .about("A field left out is kept, `null` clears, `metadata` is replaced as a whole.")
        .parameter(customer_id())
        .reads(customer("UpdateCustomer").example(
            "some_fields",
            json!({ "phone": null, "metadata": { "plan_tier": "enterprise", "internal_id": "12345" } }),
        ))
        .answers::<CustomerView<'_>>(StatusCode::OK, "The customer.")
        .refuses("NotFound")
        .refuses("Taken")
}

pub(super) fn delete_customer() -> Operation {
    Operation::new("deleteCustomer", CUSTOMERS, "Delete a customer")
        .needs::<WriteCustomers>()
        .about("Its `reference_id` is free again. Deleting it a second time answers 404.")
        .parameter(customer_id())
        .answers::<Success>(StatusCode::OK, "Customer deleted.")
        .refuses("NotFound")
}

pub(super) fn get_subscription() -> Operation {
    Operation::new("getSubscription", CUSTOMERS, "Get the active or trialing subscription of a customer")
        .needs::<ReadCustomers>()
        .parameter(customer_id())
        .answers::<SubscriptionEnvelope<'_>>(
            StatusCode::OK,
            "The active or trialing subscription that started last, or `null`.",
        )
        .refuses("NotFound")
}

/// A customer in a body. What its reader does not say of the fields is said here.
fn customer(schema_name: &'static str) -> Request {
    let reference = "Your external identifier for this customer (strongly recommended), unique among the live customers of \
                     the tenant, free again after deletion. It can be used interchangeably with `customer_id` in all paths.";
    let email = "Email address. Used as contact hint and for checkout pre-population. It need not be unique.";
    Request::json(schema_name, |fields| dto::read_customer(fields, EmailUse::Shared))
        .field("reference_id", json!({ "description": reference, "maxLength": MAX_CHARACTERS }))
        .field("email", json!({ "description": email }))
}

fn customer_id() -> Parameter {
    Parameter::path_of(
        "customer_id",
        "The customer's `customer_id`, its digits in any case, or its `reference_id`, percent-encoded: `gid://app/1` is \
         `gid:%2F%2Fapp%2F1`. What can never be either is answered as what no customer has.",
        json!({
            "type": "string",
            "minLength": 1,
            "examples": ["con_test_01H2XCEJQTF2NBREXX3VQJHP41", "usr_abc123"],
        }),
    )
}

fn refusals() -> Vec<Refusal> {
    let syntax = JsonError::Syntax { line: 1, column: 1 };
    let own = [
        refusal("Invalid", "The body is not JSON, or the request breaks rules; `error` names all of them at once.")
            .example("invalid_data", answer(&reserved_prefix()))
            .example("invalid_json", answer(&BodyFailure::Json(syntax).into()))
            .of_read_header(answer)
            .of_malformed_key(answer),
        refusal("NotFound", "No live customer of the tenant is called that.")
            .example("not_found", answer(&Failure::NotFound)),
        refusal(
            "Taken",
            "Another live customer has the `reference_id`; or another request has had the `Idempotency-Key`.",
        )
        .example("reference_id", answer(&samples::external_id_taken()))
        .of_reused_key(answer),
        refusal("Internal", "A fault of the service, not of the request.")
            .example("internal", answer(&Failure::Internal)),
        refusal(
            "Unavailable",
            "The database could not be reached in time. A write may have happened; repeating it with the same \
             `reference_id` is safe.",
        )
        .example("unavailable", answer(&Failure::Unavailable)),
    ];
    own.into_iter().chain(vendor::refusals(refusal, answer)).collect()
}

fn refusal(name: &'static str, description: &str) -> Refusal {
    Refusal::new::<Content<'_>>(name, description)
}

fn reserved_prefix() -> Failure {
    let rule = ExternalId::parse("con_1").expect_err("a reserved prefix");
    Fault::new(Place::Body(Pointer::default().key("reference_id")), &rule).into()
}
