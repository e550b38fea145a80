//! What the OpenAPI document says of the native surface.

use std::time::Duration;

use actix_web::http::StatusCode;
use roster_application::json::{JsonError, Pointer};
use roster_application::ports::{MAX_EVENTS, MetadataCondition};
use roster_application::{MAX_OVERLAP, Revision, Scope};
use roster_domain::{
    ApiKeyId, CustomerId, CustomerStatus, Email, EventId, EventType, ExternalId, SearchTerm, SubscriptionId, Timestamp,
    UploadId,
};
use serde_json::{Value, json};

use super::batch;
use super::dto::{self, CustomerView, HealthView, OnMetadata, SubscriptionView};
use super::error::answer;
use super::event_stream::{HEARTBEAT, LAST_EVENT_ID};
use super::events::{
    DEFAULT_DAYS, DEFAULT_LIMIT, EventDaysView, EventPageView, EventView, MAX_DAYS, MAX_LIMIT, MAX_WAIT,
};
use super::export::{ExportFormat, FEED_CURSOR};
use crate::api_keys::{self, ApiKeyView, NewApiKeyView};
use crate::failure::{BodyFailure, Failure};
use crate::openapi::operation::{Answer, Operation, Parameter, Refusal, Request};
use crate::openapi::schema::{Of, thousands, time};
use crate::openapi::{Contract, about_bodies, samples};
use crate::paging::{cursor, page_of};
use crate::problems::{self, refusals};
use crate::request::attribution;
use crate::request::body::MAX_BATCH_BYTES;
use crate::request::caller::{ManageKeys, ReadCustomers, ReadEvents, WriteCustomers, WriteSubscriptions};
use crate::request::consistency;
use crate::request::query::MAX_OFFSET;

const CUSTOMERS: &str = "Customers";
const SUBSCRIPTIONS: &str = "Subscriptions";
const EVENTS: &str = "Events";
const API_KEYS: &str = "API keys";
pub(super) const WEBHOOKS: &str = "Webhooks";
pub(super) const IMPORTS: &str = "Imports";
const HEALTH: &str = "Health";
const DESCRIPTION: &str = "Description";

const UPDATED_AFTER: &str = "Only customers that were changed last at this time or later.";
const SEARCH: &str = "Only customers that have this anywhere in their e-mail address, name, business name or external \
                      identifier, whatever its case, width and composition. With fewer than 3 characters: those whose e-mail \
                      address or external identifier begins with it. A page looks at 10,000 customers at most for what \
                      many have: it may have fewer than `limit`, and goes on at `next_cursor`.";
const ORDER: &str = "`desc`, the default: the newest first; `asc`: the oldest first.";
const INCLUDE: &str = "`total`: the answer has `total_count` and `total_is_exact`.";

/// The document's other parts.
pub(super) fn contract() -> Contract {
    let description = format!(
        "The customers of a merchant, and the subscriptions that a billing engine reports. It is a strict superset of \
         billing.io's customer API. The same customers are seen on the service's other APIs; `/docs` shows all of them.\n\nEvery read \
         and write is scoped by the merchant and the environment of the credential: another tenant's customer answers \
         exactly as one that never existed.\n\n{} An absent value is `null` in answers, never left out. Failures are problem \
         details (RFC 9457), whose `type` is the path of a page about them. A path that is not named here answers 404 with \
         the code `unknown_path`, a path with another method 405 as `components/responses/MethodNotAllowed` says.",
        about_bodies("refused")
    );
    Contract {
        title: "Roster: native API",
        description,
        servers: &[super::BASE],
        tags: &[
            (CUSTOMERS, "Customer records."),
            (SUBSCRIPTIONS, "What a billing engine reports of a customer's subscriptions. They are shown, not owned."),
            (EVENTS, "What happened to customers and their subscriptions, who did it, and in which order."),
            (
                WEBHOOKS,
                "Where events are sent to. Deliveries are signed as Standard Webhooks 1.0 says, and as billing.io's clients check it.",
            ),
            (IMPORTS, "Files of customers that the service reads beside its requests."),
            (API_KEYS, "The keys of the merchant in the environment of the credential."),
            (HEALTH, "Whether the service answers."),
            (DESCRIPTION, "This document, and the pages about problems."),
        ],
        bearer: "A secret API key, or a token of an issuer that the service trusts. What it allows its holder to do is said \
                 by its scopes; each operation names the one it needs. `sk_live_…` keys see live customers only, \
                 `sk_test_…` keys sandbox customers only.",
        refusals: refusals(),
        of_callers: &["Unauthorized", "MissingScope", "TooManyRequests", "Internal", "Unavailable"],
        of_reads: &["InvalidReadHeader"],
        of_writes: &["InvalidIdempotencyKey", "IdempotencyKeyReused"],
        of_bodies: &["InvalidJson", "BodyIncomplete", "BodyTooLarge", "UnsupportedMediaType", "Invalid"],
        of_queries: &["Invalid"],
        words: json!({}),
    }
}

pub(super) fn list_customers() -> Operation {
    let list = Operation::new("listCustomers", CUSTOMERS, "List customers")
        .needs::<ReadCustomers>()
        .about(
            "The live customers, active or archived, a page at a time, the last registered first. All filters must match; \
             each is given once. With `created_after` or `created_before`, and without `email` and `external_id`, the \
             order is that of `created_at`. No index serves `updated_after` and `metadata[…]`: a page looks at 10,000 \
             customers at most, and may be short or empty although `has_more` is true; follow `next_cursor`, and narrow \
             the list by a period. The same holds for `search` for what more than 10,000 customers may have, and where its \
             index is off, or does not have most customers yet. An `offset` that is not found among these 10,000 is refused with 422. Unknown parameters are refused.",
        )
        .parameter(Parameter::limit())
        .parameter(cursor())
        .parameter(Parameter::query_of(
            "offset",
            "How many customers to skip, behind the `cursor` if there is one, in digits alone. Left out: none. A cursor is \
             faster, and misses no customer if others come or go meanwhile.",
            json!({ "type": "integer", "minimum": 0, "maximum": MAX_OFFSET }),
        ));
    filtered(list)
        .parameter(Parameter::query_of("order", ORDER, json!({ "type": "string", "enum": ["asc", "desc"] })))
        .parameter(Parameter::query_of("include", INCLUDE, json!({ "type": "string", "enum": ["total"] })))
        .answers_with(page_of::<CustomerView<'_>>("A page of customers."))
        .refuses("InvalidCursorOrHeader")
}

pub(super) fn export_customers() -> Operation {
    let about = "All customers that match in one answer, as they are at one moment, in the order in which they were registered, or \
                 created where a period is asked for. The answer is streamed. If it ends without its end, the connection is broken \
                 off, and nothing says that it is complete.\n\n\
                 `ndjson`, the default, has a customer in each line, as `GET /v1/customers/{id}` shows it; one that shares its \
                 e-mail address has `\"allow_duplicate_email\": true` besides. `csv` has a header (RFC 4180). An empty cell is a \
                 field that is absent; a text that is empty, or begins with `=`, `+`, `-`, `@`, a tab, a carriage return or `'`, \
                 has a `'` in front, so that no spreadsheet runs it as a formula. `json` is one object with all customers in \
                 `data`. `roster import` reads the first two.";
    let format = Parameter::query_of(
        "format",
        "`ndjson`, `csv` or `json`. Left out: `ndjson`.",
        json!({ "type": "string", "enum": ExportFormat::ALL.map(ExportFormat::as_str) }),
    );
    let gzip = "`1`: the answer is compressed, with `Content-Encoding: gzip`.";
    let follow = "`true`: the header `X-Feed-Cursor` has the cursor of `GET /v1/events` behind the last event that the export \
                  includes. With it as `after`, a consumer goes on from the export and misses no event.";
    let answer = Answer::new(StatusCode::OK, "All customers.")
        .body("application/x-ndjson", json!({ "type": "string" }))
        .or_body("text/csv", json!({ "type": "string" }))
        .or_body("application/json", json!({ "type": "object" }))
        .header(FEED_CURSOR);
    filtered(Operation::new("exportCustomers", CUSTOMERS, "Export customers").needs::<ReadCustomers>().about(about))
        .parameter(format)
        .parameter(Parameter::query_of("gzip", gzip, json!({ "type": "integer", "enum": [0, 1] })))
        .parameter(Parameter::query_of("follow", follow, json!({ "type": "boolean" })))
        .answers_with(answer)
}

/// The operation with the filters of lists of customers.
fn filtered(operation: Operation) -> Operation {
    operation
        .parameter(Parameter::query::<Of<CustomerStatus>>("status", "Only customers with this status. Left out: all."))
        .parameter(Parameter::query::<Of<Email>>(
            "email",
            "Only customers with this e-mail address, in any spelling that counts as the same. Customers may share one.",
        ))
        .parameter(Parameter::query::<Of<ExternalId>>(
            "external_id",
            "Only the customer with exactly this external identifier.",
        ))
        .parameter(since("created_after", "Only customers that were created at this time or later."))
        .parameter(since("created_before", "Only customers that were created at this time or earlier."))
        .parameter(since("updated_after", UPDATED_AFTER))
        .parameter(metadata_filter())
        .parameter(Parameter::query::<Of<SearchTerm>>("search", SEARCH))
}

pub(super) fn create_customer() -> Operation {
    Operation::new("createCustomer", CUSTOMERS, "Create a customer")
        .needs::<WriteCustomers>()
        .about(
            "Create a new customer record. With `on_conflict`, a customer that is there already is returned as it is, with \
             200. To repeat it after a 503 is safe with an `external_id`: the answer is 409 with the `customer_id` if the \
             first attempt succeeded.",
        )
        .reads(
            with_or_without_email(customer_fields(Request::json("CreateCustomer", dto::new_customer)))
                .example(
                    "empty_metadata",
                    json!({
                        "email": "user@example.com",
                        "name": "Jane Doe",
                        "external_id": "usr_12345",
                        "metadata": {},
                    }),
                )
                .example(
                    "with_metadata",
                    json!({
                        "email": "alice@example.com",
                        "name": "Alice Johnson",
                        "external_id": "usr_12346",
                        "metadata": { "plan": "pro" },
                    }),
                )
                .example("everything", everything()),
        )
        .answers_with(customer("The customer that is there already."))
        .answers_with(created_customer())
        .refuses("Taken")
}

pub(super) fn upsert_customer() -> Operation {
    let request = Request::json("UpsertCustomer", |fields| dto::named_customer(fields, None))
        .field("external_id", json!({ "description": "Left out, or the one of the path." }))
        .example("sync", json!({ "email": "ada@example.com", "name": "Ada Lovelace", "metadata": { "plan": "pro" } }))
        .example("phone_only", json!({ "phone": "+442079460000", "allow_missing_email": true }));
    let upsert = Operation::new("upsertCustomer", CUSTOMERS, "Create or replace a customer by its external identifier")
        .needs::<WriteCustomers>()
        .about(
            "201 if it is new, 200 if it was there, however many callers race: each call is done as a whole, one after the \
             other. A field left out is cleared; the identifier, `created_at` and `status` stay. A call that changes \
             nothing writes nothing, and the version stays.",
        )
        .parameter(external_id());
    conditional(upsert)
        .reads(with_or_without_email(customer_fields(request)))
        .answers_with(customer("The customer was there, and is now as sent."))
        .answers_with(created_customer())
        .refuses("Taken")
        .refuses("PreconditionFailed")
}

pub(super) fn get_customer_by_external_id() -> Operation {
    let get = Operation::new("getCustomerByExternalId", CUSTOMERS, "Get a customer by its external identifier")
        .needs::<ReadCustomers>()
        .parameter(external_id());
    conditional_read(get)
}

pub(super) fn get_customer() -> Operation {
    conditional_read(
        Operation::new("getCustomer", CUSTOMERS, "Get a customer").needs::<ReadCustomers>().parameter(customer_id()),
    )
}

pub(super) fn update_customer() -> Operation {
    let request = Request::json("UpdateCustomer", |fields| dto::customer_edit(fields, OnMetadata::Replace))
        .field("metadata", json!({ "description": "Merged by a merge patch, replaced by any other change." }))
        .example("replace_metadata", json!({ "name": "Jane Roe", "metadata": { "plan": "free" } }))
        .or("application/merge-patch+json")
        .example(
            "clear_and_merge",
            json!({ "name": "Jane Roe", "phone": null, "metadata": { "plan": "free", "seats": null } }),
        );
    let update = Operation::new("updateCustomer", CUSTOMERS, "Change a customer")
        .needs::<WriteCustomers>()
        .about(
            "A key left out is kept, `null` clears, `billing_address` merges key by key. `application/merge-patch+json` (RFC \
             7396) merges `metadata` key by key, too; `application/json` replaces it as a whole. A change that changes \
             nothing writes nothing.",
        )
        .parameter(customer_id());
    conditional(update)
        .reads(customer_fields(request))
        .answers_with(customer("The customer."))
        .refuses("NotFound")
        .refuses("Taken")
        .refuses("PreconditionFailed")
}

pub(super) fn delete_customer() -> Operation {
    let delete = Operation::new("deleteCustomer", CUSTOMERS, "Delete a customer")
        .needs::<WriteCustomers>()
        .about("Its e-mail address and external identifier are free again. Deleting it a second time answers 404.")
        .parameter(customer_id());
    conditional(delete)
        .answers_with(Answer::new(StatusCode::NO_CONTENT, "Customer deleted."))
        .refuses("NotFound")
        .refuses("MalformedHeader")
        .refuses("PreconditionFailed")
}

pub(super) fn list_subscriptions() -> Operation {
    Operation::new("listSubscriptions", SUBSCRIPTIONS, "List the subscriptions of a customer")
        .needs::<ReadCustomers>()
        .about("The last started first, a page at a time. Unknown parameters are refused.")
        .parameter(customer_id())
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<SubscriptionView<'_>>("A page of subscriptions."))
        .refuses("InvalidCursorOrHeader")
        .refuses("NotFound")
}

pub(super) fn list_events() -> Operation {
    let about = format!(
        "What happened to customers and their subscriptions: one event for each change, since the log began. The newest first; with \
         `order=asc` in the order in which they happened, for consumers: start without `after`, and send each `next_cursor` \
         as `after` once its page is processed. No event is skipped and none comes late. A cursor stays valid, also with \
         other filters. With `type` a page looks at {MAX_EVENTS} events at most, and may be short or empty although `has_more` is \
         true. Unknown parameters are refused.\n\n\
         With `Accept: text/event-stream` the answer is a stream of server-sent events without an end: those behind `after`, then \
         each as it happens. `id` is the cursor behind the event, `event` its type, and `data` the event. `limit`, `cursor` and \
         `wait` do not go with it. If nothing happens, a line comes every {} s.",
        HEARTBEAT.as_secs()
    );
    let wait = "For how many seconds to wait for an event if there is none behind `after`. Left out: not at all.";
    let wait = Parameter::query_of("wait", wait, json!({ "type": "integer", "minimum": 0, "maximum": MAX_WAIT }));
    let customer = "Only the events of this customer, live or deleted.";
    let last = "With `Accept: text/event-stream`: the `id` of the last event that arrived, as browsers send it when they connect \
                again. It takes the place of `after`.";
    let page = Answer::new(StatusCode::OK, "A page of events, or all events as they happen.")
        .json::<EventPageView<'_>>()
        .or_body("text/event-stream", json!({ "type": "string" }));
    event_list(Operation::new("listEvents", EVENTS, "List events").needs::<ReadEvents>().about(about))
        .parameter(Parameter::query::<Of<CustomerId>>("customer_id", customer))
        .parameter(wait)
        .parameter(Parameter::header(LAST_EVENT_ID, last, json!({ "type": "string" })))
        .answers_with(page)
}

pub(super) fn list_customer_events() -> Operation {
    event_list(
        Operation::new("listCustomerEvents", EVENTS, "List the events of a customer")
            .needs::<ReadEvents>()
            .about(
                "The history of a customer, live or deleted, as `GET /v1/events?customer_id=…` has it. \
                 Unknown parameters are refused.",
            )
            .parameter(customer_id()),
    )
    .answers::<EventPageView<'_>>(StatusCode::OK, "A page of events.")
    .refuses("NotFound")
}

/// A list of events, with what all of them have.
fn event_list(operation: Operation) -> Operation {
    let limit = "The most events of the page, in digits alone.";
    let limit_schema = json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT });
    let after = "With `order=asc`: the `next_cursor` of the page before. Left out: from the first event.";
    let include = "`customer`: each event has the customer as it stands now.";
    operation
        .parameter(Parameter::query_of("limit", limit, limit_schema))
        .parameter(Parameter::query_of("order", ORDER, json!({ "type": "string", "enum": ["asc", "desc"] })))
        .parameter(cursor())
        .parameter(Parameter::query_of("after", after, json!({ "type": "string" })))
        .parameter(Parameter::query::<Of<EventType>>("type", "Only events of this type. Left out: all."))
        .parameter(Parameter::query_of("include", include, json!({ "type": "string", "enum": ["customer"] })))
        .refuses("InvalidCursor")
        .refuses("EventsPruned")
}

pub(super) fn count_events_by_day() -> Operation {
    let days = "How many days, today among them, in digits alone.";
    let schema = json!({ "type": "integer", "minimum": 1, "maximum": MAX_DAYS, "default": DEFAULT_DAYS });
    Operation::new("countEventsByDay", EVENTS, "Count events by day")
        .needs::<ReadEvents>()
        .about(
            "How many events happened on each of the last days (UTC): one entry for each day, also for one without events, the oldest \
             first and today last. Only events that are still kept are counted. It is fast with any number of events. The days are those of \
             the clocks of the service's instances: where these differ, an event near midnight may count for the other day. Unknown \
             parameters are refused.",
        )
        .parameter(Parameter::query_of("days", days, schema))
        .answers::<EventDaysView>(StatusCode::OK, "The days.")
}

pub(super) fn get_event() -> Operation {
    Operation::new("getEvent", EVENTS, "Get an event")
        .needs::<ReadEvents>()
        .about("One event of the log.")
        .parameter(Parameter::path::<Of<EventId>>("id", "The event's identifier."))
        .answers::<EventView<'_>>(StatusCode::OK, "The event.")
        .refuses("EventNotFound")
}

pub(super) fn record_subscription() -> Operation {
    let started = "When it started, in any offset. Left out or `null`: as reported before, else now.";
    let details = "What else the billing engine reports, as it was reported. The Lava surface shows `cycle_start_at`, \
                   `cycle_end_at`, `auto_top_up_bundle_id`, `pending_change`, `plan` (`name`, `period_amount`, \
                   `included_credit`, `billing_interval`, `rollover_type`, `bundle_rollover_type`) and `credits` \
                   (`total_remaining`, `cycle_remaining`, `bundle_remaining`).";
    let details_example = json!({
        "cycle_end_at": "2025-02-15T12:00:00Z",
        "plan": { "period_amount": "29.00", "billing_interval": "month" },
        "credits": { "total_remaining": "12.50" },
    });
    let record = Operation::new("recordSubscription", SUBSCRIPTIONS, "Record a subscription of a customer")
        .needs::<WriteSubscriptions>()
        .about("What a billing engine reports of a subscription, in place of what it reported before.")
        .parameter(customer_id())
        .parameter(Parameter::path::<Of<SubscriptionId>>(
            "subscription_id",
            "The billing engine's name for the subscription, percent-encoded.",
        ));
    conditional(record)
        .reads(
            Request::json("SubscriptionReport", dto::reported)
                .field("started_at", time(started, &json!("2025-01-15T12:00:00Z")))
                .field("cancelled_at", time("When it was cancelled, in any offset.", &Value::Null))
                .field("details", json!({ "description": details, "examples": [details_example] }))
                .example(
                    "active",
                    json!({
                        "plan_id": "plan_pro",
                        "name": "Pro",
                        "status": "active",
                        "started_at": "2025-01-15T12:00:00Z",
                        "cancelled_at": null,
                    }),
                ),
        )
        .answers_with(subscription(StatusCode::OK, "The subscription was known, and is now as reported."))
        .answers_with(subscription(StatusCode::CREATED, "The subscription is new."))
        .refuses("NotFound")
        .refuses("PreconditionFailed")
}

pub(super) fn list_api_keys() -> Operation {
    Operation::new("listApiKeys", API_KEYS, "List API keys")
        .needs::<ManageKeys>()
        .about(
            "The keys of the merchant in the environment of the credential, the oldest first, usable or not, a page at a \
             time; never their secrets. Unknown parameters are refused.",
        )
        .parameter(Parameter::limit())
        .parameter(cursor())
        .answers_with(page_of::<ApiKeyView<'_>>("A page of keys."))
        .refuses("InvalidCursor")
}

pub(super) fn create_api_key() -> Operation {
    Operation::new("createApiKey", API_KEYS, "Create an API key")
        .needs::<ManageKeys>()
        .about(
            "Create a key of the merchant in the environment of the credential. Its secret is shown here and never again. A \
             scope that the credential lacks is not its to give, and the key of a credential that expires must expire with \
             it or before: 403.",
        )
        .reads(
            api_keys::creation(api_keys::order).optional().example(
                "reader",
                json!({ "name": "reports", "scopes": ["customers:read"], "expires_at": "2099-01-01T00:00:00Z" }),
            ),
        )
        .answers::<NewApiKeyView<'_>>(StatusCode::CREATED, "Key created.")
        .refuses("CredentialChanged")
        .refuses("NotGranted")
}

pub(super) fn revoke_api_key() -> Operation {
    Operation::new("revokeApiKey", API_KEYS, "Revoke an API key")
        .needs::<ManageKeys>()
        .about(
            "From now on it opens nothing; other instances of the service refuse it within seconds. It cannot be taken \
             back. Revoking it again changes nothing.",
        )
        .parameter(api_keys::id_parameter("id"))
        .answers_with(Answer::new(StatusCode::NO_CONTENT, "Key revoked."))
        .refuses("KeyNotFound")
}

pub(super) fn rotate_api_key() -> Operation {
    Operation::new("rotateApiKey", API_KEYS, "Rotate an API key")
        .needs::<ManageKeys>()
        .about(format!(
            "Create a key in the place of another: with its name, its scopes and its end. The old one stays valid for the \
             overlap of at most {} days, or until its own end; with an overlap of 0 it is revoked. A key is rotated once: \
             later, 409 names the key in its place. If the answer to a rotation was lost, and its secret with it, rotate \
             that one. A key with a scope that the credential lacks, or that expires later than the credential, is not its \
             to rotate: 403.",
            MAX_OVERLAP.as_secs() / 86_400
        ))
        .parameter(api_keys::id_parameter("id"))
        .reads(api_keys::rotation())
        .answers::<NewApiKeyView<'_>>(StatusCode::CREATED, "The new key.")
        .refuses("NotGranted")
        .refuses("KeyNotFound")
        .refuses("NotRotated")
}

pub(super) fn get_health() -> Operation {
    Operation::new("getHealth", HEALTH, "Ask whether the service answers")
        .about("Needs no credential and asks no database.")
        .answers::<HealthView>(StatusCode::OK, "The service answers.")
}

pub(super) fn list_problems() -> Operation {
    Operation::new("listProblems", DESCRIPTION, "Read about all problems")
        .about("A page with every `code` of a problem.")
        .answers_with(page("The page."))
}

pub(super) fn get_problem() -> Operation {
    let codes: Vec<_> = problems::ALL.iter().map(|kind| kind.code).collect();
    Operation::new("getProblem", DESCRIPTION, "Read about a problem")
        .about("The page that the `type` of a problem leads to: what its code means and what to do.")
        .parameter(Parameter::path_of("code", "The `code` of the problem.", json!({ "type": "string", "enum": codes })))
        .answers_with(page("The page."))
        .refuses("UnknownPath")
}

fn page(description: &'static str) -> Answer {
    Answer::new(StatusCode::OK, description).body("text/html", json!({ "type": "string" }))
}

pub(super) fn write_customers() -> Operation {
    let op = "`create` is `POST /customers`, `upsert` is `PUT /customers/external/{external_id}`, `update` is `PATCH` with \
              `application/json`, `delete` is `DELETE`.";
    let item = json!({
        "description": "The members beside `body` are those that a request of its own has in its path. Faults in them are \
                        named by `parameter`, those in the body by `pointer`, from the body on.",
        "type": "object",
        "additionalProperties": false,
        "required": ["op"],
        "properties": {
            "op": { "description": op, "type": "string", "enum": batch::Op::NAMES },
            "id": { "description": "The customer of an `update` or a `delete`.", "type": ["string", "null"] },
            "external_id": {
                "description": "The customer of an `update` or a `delete`, instead of `id`; the customer of an `upsert`, \
                                unless it is in the body.",
                "type": ["string", "null"],
            },
            "body": {
                "description": "The body of the request that the item stands for. A `delete` has none.",
                "anyOf": [
                    { "$ref": "#/components/schemas/CreateCustomer" },
                    { "$ref": "#/components/schemas/UpsertCustomer" },
                    { "$ref": "#/components/schemas/UpdateCustomer" },
                    { "type": "null" },
                ],
            },
        },
    });
    let example = json!({
        "items": [
            { "op": "upsert", "external_id": "usr_1", "body": { "email": "ada@example.com", "name": "Ada" } },
            { "op": "create", "body": { "email": "eda@example.com" } },
            { "op": "update", "external_id": "usr_1", "body": { "name": "Ada Lovelace" } },
            { "op": "delete", "external_id": "usr_1" },
        ],
    });
    Operation::new("writeCustomers", CUSTOMERS, "Create, change and delete many customers")
        .needs::<WriteCustomers>()
        .about(format!(
            "Up to {} items, done in their order; each sees what those before it did. The answer is 200 with a result for \
             each item, in their order: what a request of its own would be answered. An item that fails does so alone; with \
             `atomic`, all are done or none, and those that did not fail themselves have the status 424 and the code \
             `batch_undone`. Every {} items, begun or whole, count as one request for the rate limits. The body may have {} \
             bytes. After a 503 for the whole batch, or for items of it, they may have been done: an upsert can be sent again.",
            batch::MAX_ITEMS,
            batch::ITEMS_OF_A_REQUEST,
            thousands(MAX_BATCH_BYTES),
        ))
        .reads(
            Request::json("Batch", batch::batch)
                .field("items", json!({ "items": item }))
                .field("atomic", json!({ "description": "Whether all items are done or none." }))
                .example("sync", example),
        )
        .answers::<batch::ResultsView<'_>>(StatusCode::OK, "What became of each item.")
}

/// An operation that is done on a condition.
fn conditional(operation: Operation) -> Operation {
    let if_match = "Entity tags as `ETag` has them, or `*`: the request is done only if what is stored has one of them, or \
                    exists (RFC 9110 §13.1.1). Otherwise 412. What is compared and what is written is one step: of several \
                    writers with one tag, one succeeds.";
    let if_none_match = "Entity tags, or `*`: the request is done only if what is stored has none of them, or does not exist \
                         (RFC 9110 §13.1.2). Otherwise a read is answered 304, a write 412.";
    let tags = json!({ "type": "string", "examples": ["\"01h2xcejqtf2nbrexx3vqjhp41-3\"", "*"] });
    operation.parameter(Parameter::header("If-Match", if_match, tags.clone())).parameter(Parameter::header(
        "If-None-Match",
        if_none_match,
        tags,
    ))
}

/// A read of one customer, on a condition.
fn conditional_read(operation: Operation) -> Operation {
    let unchanged = "The customer is as `If-None-Match` says: there is no body.";
    conditional(operation)
        .answers_with(customer("The customer."))
        .answers_with(Answer::new(StatusCode::NOT_MODIFIED, unchanged).header("ETag"))
        .refuses("MalformedHeader")
        .refuses("NotFound")
        .refuses("PreconditionFailed")
}

fn customer(description: &'static str) -> Answer {
    Answer::new(StatusCode::OK, description).json::<CustomerView<'_>>().header("ETag")
}

fn created_customer() -> Answer {
    let created = Answer::new(StatusCode::CREATED, "Customer created.").json::<CustomerView<'_>>();
    created.header("ETag").header("Location")
}

fn subscription(status: StatusCode, description: &'static str) -> Answer {
    Answer::new(status, description).json::<SubscriptionView<'_>>().header("ETag")
}

/// The filter of a list by a time, which is read in any offset.
fn since(name: &'static str, about: &str) -> Parameter {
    let schema = json!({ "type": "string", "format": "date-time", "examples": ["2025-01-15T12:00:00Z"] });
    Parameter::query_of(name, about, schema)
}

fn metadata_filter() -> Parameter {
    let most = MetadataCondition::MAX;
    let about = format!(
        "`metadata[key]=value`, up to {most} keys, all of which must match, at the top level of the metadata. A string is \
         compared with the value as it is, a number and a boolean by their JSON text: `5` is not `5.0`. `null`, objects and \
         arrays match nothing."
    );
    let schema = json!({ "type": "object", "additionalProperties": { "type": "string" }, "maxProperties": most });
    Parameter::query_object("metadata", &about, schema)
}

fn external_id() -> Parameter {
    let about = "The merchant's own identifier, percent-encoded: `gid://app/1` is `gid:%2F%2Fapp%2F1`. What can never be one \
                 is answered as one that no customer has, and refused by `PUT`.";
    Parameter::path::<Of<ExternalId>>("external_id", about)
}

fn customer_id() -> Parameter {
    let about = "The customer's identifier. What can never be one is answered as one that no customer has.";
    Parameter::path::<Of<CustomerId>>("id", about)
}

/// A new customer has an e-mail address, unless the request says that it may have none.
fn with_or_without_email(request: Request) -> Request {
    let without =
        json!({ "required": ["allow_missing_email"], "properties": { "allow_missing_email": { "const": true } } });
    request
        .schema(&json!({ "required": null, "anyOf": [{ "required": ["email"] }, without] }))
        .field("allow_missing_email", json!({ "description": "Whether `email` may be left out." }))
}

/// What the readers of customers do not say of their fields.
fn customer_fields(request: Request) -> Request {
    let allow = "Whether the e-mail address may be another live customer's too. It takes the scope \
                 `customers:allow_duplicate_email`.";
    request.field("allow_duplicate_email", json!({ "description": allow }))
}

fn everything() -> Value {
    json!({
        "email": "ada@example.com",
        "name": "Ada Lovelace",
        "external_id": "gid://app/Customer/1234",
        "phone": "+442079460000",
        "billing_address": {
            "line1": "12 St James's Square",
            "line2": null,
            "city": "London",
            "state": null,
            "postal_code": "SW1Y 4JH",
            "country": "GB",
        },
        "tax_id": "GB123456789",
        "business_name": "Analytical Engines Ltd",
        "tax_exempt": "reverse",
        "locale": "en-GB",
        "timezone": "Europe/London",
        "currency": "GBP",
        "metadata": { "plan": "pro", "seats": 3 },
        "allow_duplicate_email": true,
    })
}

fn refusals() -> Vec<Refusal> {
    let end = Timestamp::parse("2099-01-01T00:00:00Z").expect("a time");
    let key = ApiKeyId::from_suffix("01h2xcejqtf2nbrexx3vqjhp43").expect("26 characters");
    let upload = UploadId::from_suffix("01h2xcejqtf2nbrexx3vqjhp47").expect("26 characters");
    let refusal = |name, members, failures: &[Failure]| refusals::refusal(answer, name, members, failures);
    let country = Pointer::default().key("billing_address").key("country");
    let own = vec![
        refusal(
            "InvalidJson",
            &[],
            &[
                BodyFailure::Json(JsonError::Syntax { line: 1, column: 1 }).into(),
                BodyFailure::Json(JsonError::DuplicateKey { pointer: Pointer::default().key("email") }).into(),
                Failure::MalformedHeader("If-Match"),
                key_twice(),
            ],
        ),
        refusal("InvalidReadHeader", &[], &[consistency::unknown_value()]),
        refusal("InvalidCursorOrHeader", &[], &[Failure::InvalidCursor, consistency::unknown_value()]),
        refusal("MalformedHeader", &[], &[Failure::MalformedHeader("If-Match"), key_twice()]),
        refusal("InvalidIdempotencyKey", &[], &[key_twice(), Failure::MalformedHeader(attribution::REASON)]),
        refusal("IdempotencyKeyReused", &[], &[Failure::IdempotencyKeyReused]),
        refusal("CredentialChanged", &[], &[Failure::IdempotencyKeyReused, Failure::OtherCredential]),
        refusal("PreconditionFailed", &[], &[stale(), Failure::PreconditionFailed(None)]),
        refusal("MissingScope", &[], &[Failure::MissingScope(Scope::WriteCustomers), Failure::MerchantDisabled]),
        refusal(
            "NotGranted",
            &[],
            &[Failure::MissingScope(Scope::WriteCustomers), Failure::OutlivesCaller(end), Failure::MerchantDisabled],
        ),
        refusal("NotFound", &[], &[Failure::NotFound]),
        refusal("EventNotFound", &[], &[Failure::EventNotFound]),
        refusal("EventsPruned", &["floor"], &[Failure::EventsPruned(1024)]),
        refusal("WebhookNotFound", &[], &[Failure::WebhookNotFound]),
        refusal("TooManyWebhooks", &[], &[Failure::TooManyWebhooks, Failure::IdempotencyKeyReused]),
        refusal("ImportNotFound", &[], &[Failure::ImportNotFound]),
        refusal(
            "ImportRefused",
            &[],
            &[
                Failure::ImportRunning(upload),
                Failure::ImportHasOtherOptions("--from stripe --on-conflict fail --unknown refuse".to_owned()),
                Failure::ImportEnded,
            ],
        ),
        refusal("FileTooLarge", &[], &[Failure::FileTooLarge(256 << 20)]),
        refusal("TooManyReplays", &[], &[Failure::TooManyReplays, Failure::IdempotencyKeyReused]),
        refusal("KeyNotFound", &[], &[Failure::KeyNotFound]),
        refusal(
            "FileIncomplete",
            &[],
            &[BodyFailure::Incomplete.into(), Failure::FileTooSlow(Duration::from_hours(1))],
        ),
        refusal("Taken", &[], &[samples::email_taken(), samples::external_id_taken(), Failure::IdempotencyKeyReused]),
        refusal(
            "NotRotated",
            &[],
            &[
                Failure::KeyHasSuccessor(key),
                Failure::KeyEnded,
                Failure::IdempotencyKeyReused,
                Failure::OtherCredential,
            ],
        ),
        refusal("Invalid", &["errors"], &[samples::invalid_country(country)]),
    ];
    own.into_iter().chain(refusals::shared(answer)).collect()
}

fn key_twice() -> Failure {
    Failure::IdempotencyKey("must be sent once")
}

fn stale() -> Failure {
    let customer = CustomerId::from_suffix("01h2xcejqtf2nbrexx3vqjhp41").expect("26 characters");
    Failure::PreconditionFailed(Some(Revision { customer, version: 4 }))
}
