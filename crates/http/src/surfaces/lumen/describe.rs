//! What the OpenAPI document says of the Lumen surface.

use actix_web::http::StatusCode;
use roster_application::json::{JsonError, Pointer};
use roster_domain::ExternalId;
use serde_json::json;

use super::dto::{self, AnyId, Envelope, Envelopes, StatusView, Success};
use super::error::{Content, Operation as Doing, answer, answer_to};
use crate::failure::{BodyFailure, Failure, Fault, Faults, Place};
use crate::openapi::operation::{Operation, Parameter, Refusal, Request};
use crate::openapi::schema::Of;
use crate::openapi::{Contract, about_bodies, samples, vendor};
use crate::request::caller::{ReadCustomers, WriteCustomers};

const CUSTOMERS: &str = "Customers";

/// The document's other parts.
pub(super) fn contract() -> Contract {
    let description = format!(
        "Lumen's Customers API, served under `/api`, as the vendor's page has it, and under `/api/v1`, which the vendor's \
         clients call. The same customers are seen on the service's other APIs; `/docs` shows all of them.\n\nAll operations are scoped \
         to the authenticated merchant, in the environment of the credential: another tenant's customer answers exactly as \
         one that never existed.\n\n{} An absent value is `null` in answers, never left out. Failures are \
         `{{\"error\": \"…\"}}`. A path that is not named here answers 404, a path with another method 405 as \
         `components/responses/MethodNotAllowed` says.",
        about_bodies("ignored")
    );
    Contract {
        title: "Roster: Lumen API",
        description,
        servers: &["/api", "/api/v1"],
        tags: &[
            (CUSTOMERS, "The individuals or organizations that subscribe to a merchant's plans."),
            ("Description", "This document."),
        ],
        bearer: "A merchant's API key, or a token of an issuer that the service trusts. `sk_live_…` keys see live customers \
                 only, `sk_test_…` keys sandbox customers only.",
        refusals: refusals(),
        of_callers: &["Unauthorized", "MissingScope", "TooManyRequests", "Internal", "Unavailable"],
        of_reads: &["InvalidReadHeader"],
        of_writes: &["InvalidIdempotencyKey", "IdempotencyKeyReused"],
        of_bodies: &["Invalid", "BodyIncomplete", "BodyTooLarge", "UnsupportedMediaType"],
        of_queries: &["InvalidQuery"],
        words: json!({
            "Email": { "examples": ["customer@example.com"] },
            "Name": { "description": "Customer full name.", "examples": ["John Doe"] },
            "ExternalId": { "examples": ["user_ext_123"] },
            "AddressPart": { "description": "A line, the city or the state of the billing address." },
            "PostalCode": { "description": "Billing postal code." },
            "Timestamp": { "examples": ["2024-01-01T00:00:00.000Z"] },
        }),
    }
}

pub(super) fn list_customers() -> Operation {
    let email = "Only customers with this e-mail address, in any spelling that is the same address.";
    Operation::new("listCustomers", CUSTOMERS, "Get all customers")
        .needs::<ReadCustomers>()
        .about(
            "All live customers of the merchant in one answer, newest first, however many there are, or those that the \
             parameters name. The answer is streamed: one that breaks off ends without its closing bracket. \
             `includePaymentData` and `isExtCustId` are ignored; any other parameter is refused with 400.",
        )
        .parameter(Parameter::query_of("email", email, json!({ "type": "string" })))
        .parameter(external_customer_id())
        .parameter(user_id())
        .answers::<Envelopes<'_>>(StatusCode::OK, "All customers.")
}

pub(super) fn create_customer() -> Operation {
    Operation::new("createCustomer", CUSTOMERS, "Create a customer")
        .needs::<WriteCustomers>()
        .about(
            "Create a new customer for the authenticated merchant. To repeat it after a 503 is safe: the answer is 409 if \
             the first attempt succeeded.",
        )
        .reads(
            customer_fields(Request::json("CreateCustomer", dto::new_customer))
                .field(
                    "dangerouslyAllowCustomerWithoutEmail",
                    json!({ "description": "Create the customer without an e-mail address (not recommended)." }),
                )
                .schema(&json!({
                    "description": "`email` is required, unless `dangerouslyAllowCustomerWithoutEmail` is true.",
                    "required": null,
                    "anyOf": [
                        { "required": ["email"] },
                        {
                            "required": ["dangerouslyAllowCustomerWithoutEmail"],
                            "properties": { "dangerouslyAllowCustomerWithoutEmail": { "const": true } },
                        },
                    ],
                }))
                .example(
                    "every_field",
                    json!({
                        "email": "newcustomer@example.com",
                        "name": "Jane Smith",
                        "userId": "user_ext_456",
                        "billingAddressLine1": "456 Oak Ave",
                        "billingAddressLine2": "Suite 200",
                        "billingCity": "San Francisco",
                        "billingPostalCode": "94102",
                        "billingCountry": "US",
                        "taxId": "98-7654321",
                    }),
                )
                .example(
                    "later_fields",
                    json!({
                        "email": "jane@example.com",
                        "externalCustomerId": "user_ext_abc123",
                        "phoneNumber": "+14155552671",
                        "billingStateProvince": "CA",
                        "businessName": "Doe Inc",
                        "taxExempt": false,
                        "preferredLanguage": "en",
                        "timezone": "America/Los_Angeles",
                        "preferredCurrency": "USD",
                        "metadata": { "internalUserId": "12345" },
                    }),
                )
                .example(
                    "some_fields",
                    json!({
                        "email": "customer@example.com",
                        "name": "John Doe",
                        "userId": "user_123",
                        "billingAddressLine1": "123 Main St",
                        "billingCity": "New York",
                        "billingPostalCode": "10001",
                        "billingCountry": "US",
                    }),
                ),
        )
        .answers::<Envelope<'_>>(StatusCode::CREATED, "Customer created.")
        .refuses("CreateTaken")
        .refuses("CreateFailed")
}

pub(super) fn get_subscription_status() -> Operation {
    Operation::new("getSubscriptionStatus", CUSTOMERS, "Ask whether a customer has an active subscription")
        .needs::<ReadCustomers>()
        .about(
            "The customer is named by its external ID, under either of its names. `isExtCustId` and `includePaymentData` \
             are ignored; any other parameter is refused with 400.",
        )
        .parameter(external_customer_id())
        .parameter(user_id())
        .answers::<StatusView<'_>>(StatusCode::OK, "The customer, and its active subscription that started last.")
        .refuses("NotFound")
}

pub(super) fn get_customer() -> Operation {
    Operation::new("getCustomer", CUSTOMERS, "Get a customer by its ID")
        .needs::<ReadCustomers>()
        .parameter(id())
        .answers::<Envelope<'_>>(StatusCode::OK, "The customer.")
        .refuses("MalformedId")
        .refuses("NotFound")
}

pub(super) fn update_customer() -> Operation {
    Operation::new("updateCustomer", CUSTOMERS, "Update a customer")
        .needs::<WriteCustomers>()
        .about(
            "Update an existing customer's information. All fields are optional and only provided fields will be updated; \
             `null` clears any but `email`.",
        )
        .parameter(id())
        .reads(
            customer_fields(Request::json("UpdateCustomer", dto::customer_edit))
                .example(
                    "every_field",
                    json!({
                        "email": "updated@example.com",
                        "name": "Updated Name",
                        "userId": "user_ext_updated",
                        "billingAddressLine1": "789 Pine St",
                        "billingAddressLine2": "Floor 3",
                        "billingCity": "Seattle",
                        "billingPostalCode": "98101",
                        "billingCountry": "US",
                        "taxId": "11-2233445",
                    }),
                )
                .example(
                    "some_fields",
                    json!({
                        "email": "newemail@example.com",
                        "name": "John Smith",
                        "billingAddressLine1": "456 Oak Ave",
                    }),
                )
                .example(
                    "duplicate_email",
                    json!({
                        "email": "duplicate@example.com",
                        "dangerouslyAllowSameEmailForDifferentCustomers": true,
                    }),
                ),
        )
        .answers::<Envelope<'_>>(StatusCode::OK, "The customer.")
        .refuses("NotFound")
        .refuses("UpdateTaken")
        .refuses("UpdateFailed")
}

pub(super) fn delete_customer() -> Operation {
    Operation::new("deleteCustomer", CUSTOMERS, "Delete a customer")
        .needs::<WriteCustomers>()
        .about(
            "Soft delete a customer (preserves historical data while marking as deleted). Its e-mail address and `userId` \
             are free again. Deleting it a second time answers 404.",
        )
        .parameter(id())
        .answers::<Success>(StatusCode::OK, "Customer deleted.")
        .refuses("MalformedId")
        .refuses("NotFound")
        .refuses("DeleteFailed")
}

fn id() -> Parameter {
    Parameter::path::<Of<AnyId>>("id", "Customer ID. One of another form is refused with 400.")
}

fn external_customer_id() -> Parameter {
    Parameter::query::<Of<ExternalId>>("externalCustomerId", "External user ID.")
}

fn user_id() -> Parameter {
    let about = "Another name of `externalCustomerId`. If both are given, they must be the same.";
    Parameter::query::<Of<ExternalId>>("userId", about)
}

/// What the reader of customers does not say of its fields.
fn customer_fields(request: Request) -> Request {
    let unique = "It must be unique among the live customers of the merchant.";
    let exempt = "Whether the customer is exempt from taxes. `true` is the same as `exempt`, `false` as `none`; `reverse` is \
                  the reverse charge.";
    let same = "Another name of `userId`. If both are sent, they must be the same.";
    request
        .field("email", json!({ "description": unique }))
        .field("externalCustomerId", json!({ "description": same }))
        .field("taxExempt", json!({ "description": exempt }))
        .field("metadata", json!({ "description": "Replaced as a whole on a change." }))
        .field(
            "dangerouslyAllowSameEmailForDifferentCustomers",
            json!({ "description": "Allow duplicate emails (not recommended)." }),
        )
}

fn refusals() -> Vec<Refusal> {
    let invalid = format!(
        "The body is not JSON, or breaks rules; `details` names all of them at once, or the first {} and `detailsTotal` \
         their number. Where the path has a customer ID, it may be malformed too.",
        Faults::MAX_LISTED
    );
    let syntax = JsonError::Syntax { line: 1, column: 1 };
    let own = [
        refusal("Invalid", &invalid)
            .example("no_email", answer(&no_email()))
            .example("invalid_data", answer(&samples::invalid_country(Pointer::default().key("billingCountry"))))
            .example("invalid_json", answer(&BodyFailure::Json(syntax).into()))
            .of_malformed_key(answer),
        refusal("InvalidQuery", "A parameter of the query is missing, unknown, or given twice; `details` names it.")
            .example("unknown", answer(&samples::unknown_parameter()))
            .of_read_header(answer),
        refusal("MalformedId", "The customer ID in the path is malformed.")
            .example("malformed", answer(&Failure::MalformedId))
            .of_read_header(answer)
            .of_malformed_key(answer),
        refusal("NotFound", "No live customer of the merchant has that ID.")
            .example("not_found", answer(&Failure::NotFound)),
        taken("CreateTaken", Doing::Create),
        taken("UpdateTaken", Doing::Update),
        failed("Internal", Doing::Read),
        failed("CreateFailed", Doing::Create),
        failed("UpdateFailed", Doing::Update),
        failed("DeleteFailed", Doing::Delete),
        refusal("Unavailable", "The database could not be reached in time. A write may have happened.")
            .example("unavailable", answer(&Failure::Unavailable)),
    ];
    own.into_iter().chain(vendor::refusals(refusal, answer)).collect()
}

fn refusal(name: &'static str, description: &str) -> Refusal {
    Refusal::new::<Content<'_>>(name, description)
}

/// The vendor's messages for what is in use depend on the operation.
fn taken(name: &'static str, doing: Doing) -> Refusal {
    refusal(
        name,
        "Another live customer of the merchant has the e-mail address or the `userId`; or another request has had \
         the `Idempotency-Key`.",
    )
    .example("email", answer_to(doing, &samples::email_taken()))
    .example("userId", answer_to(doing, &samples::external_id_taken()))
    .of_reused_key(answer)
}

/// So do those for a fault of the service.
fn failed(name: &'static str, doing: Doing) -> Refusal {
    let response = answer_to(doing, &Failure::Internal);
    refusal(name, "A fault of the service, not of the request.").example("internal", response)
}

fn no_email() -> Failure {
    let place = Place::Body(Pointer::default().key("email"));
    Fault { place, code: "required", detail: "is required".to_owned() }.into()
}
