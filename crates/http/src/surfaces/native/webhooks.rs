//! Webhook endpoints: what they show, and how they are managed.

use std::time::Duration;

use actix_web::http::{StatusCode, header};
use actix_web::{HttpRequest, HttpResponse};
use roster_application::ports::{Attempt, AttemptOutcome};
use roster_application::{EndpointBacklog, EndpointCommand, EndpointTest, TestEvent};
use roster_domain::{
    AttemptId, CustomerId, DisabledReason, Endpoint, EndpointDescription, EndpointEdit, EndpointId, EndpointSettings,
    EndpointStatus, EndpointUrl, Environment, EventId, EventType, EventTypes, Excerpt, Json, MerchantId, PayloadForm,
    Rule, Timestamp,
};
use schemars::{JsonSchema, SchemaGenerator};
use serde::Serialize;
use serde_json::{Value, json};

use super::error::Error;
use crate::failure::{Failure, Fault};
use crate::openapi::schema::{Described, Shown, Text};
use crate::paging::shown;
use crate::request::caller::{Caller, ManageWebhooks};
use crate::request::fields::Fields;
use crate::request::query::PageQuery;
use crate::request::{body, path};
use crate::respond::{self, json};
use crate::webhooks::WebhookSettings;

/// A webhook endpoint: billing.io's fields and our own.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Webhook")]
pub(super) struct WebhookView<'a> {
    id: Shown<EndpointId>,
    /// The same as `id`, under the name that billing.io's clients read.
    webhook_id: Shown<EndpointId>,
    org_id: Shown<MerchantId>,
    environment: Text<Environment>,
    url: Text<&'a EndpointUrl>,
    /// The types of events that are sent; `*`: all, those that are added later among them.
    events: Vec<&'static str>,
    description: Option<Text<&'a EndpointDescription>>,
    payload: Text<PayloadForm>,
    #[schemars(extend("enum" = [EndpointStatus::ACTIVE, EndpointStatus::DISABLED]))]
    status: &'static str,
    /// Since when it is disabled.
    disabled_at: Option<Shown<Timestamp>>,
    /// `requested` by `PATCH`; `gone`: it has answered 410; `failing`: every delivery has failed for 5 days.
    #[schemars(extend("enum" = ["requested", "gone", "failing", null]))]
    disabled_reason: Option<&'static str>,
    /// The first failure since the last success.
    failing_since: Option<Shown<Timestamp>>,
    /// Until when deliveries are signed with the secret of before the last rotation, too.
    former_secret_until: Option<Shown<Timestamp>>,
    created_at: Shown<Timestamp>,
    updated_at: Shown<Timestamp>,
}

/// A webhook endpoint with its secret: only the responses that make the secret have it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "NewWebhook")]
pub(super) struct NewWebhookView<'a> {
    #[serde(flatten)]
    about: WebhookView<'a>,
    /// What deliveries are signed with. It is shown here and never again.
    #[schemars(regex(pattern = r"^whsec_[0-9A-Za-z+/]{43}=$"))]
    secret: &'a str,
}

/// A webhook endpoint, and what is not delivered to it.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookWithBacklog")]
pub(super) struct WebhookWithBacklogView<'a> {
    #[serde(flatten)]
    about: WebhookView<'a>,
    backlog: BacklogView,
}

/// What is not delivered yet.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookBacklog")]
pub(super) struct BacklogView {
    /// The events that wait, those of types that are not sent among them; without those of customers whose deliveries fail.
    #[schemars(range(min = 0))]
    events: i64,
    /// How long ago the oldest event happened that may not be delivered yet, in seconds; 0: there is none.
    oldest_seconds: u64,
}

/// One attempt to deliver an event.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "WebhookAttempt")]
pub(super) struct AttemptView<'a> {
    id: Shown<AttemptId>,
    webhook_id: Shown<EndpointId>,
    event_id: Shown<EventId>,
    /// The customer of the event; `null` for a test event.
    customer_id: Option<Shown<CustomerId>>,
    /// Counts the attempts for the event, from 1.
    #[schemars(range(min = 1))]
    number: u32,
    /// `failed` is tried again; after `given_up` the next event of the customer has its turn; `gone` disables the endpoint.
    #[schemars(extend("enum" = AttemptOutcome::ALL.map(AttemptOutcome::as_str)))]
    outcome: &'static str,
    /// The status of the answer; `null`: there was none.
    status: Option<u16>,
    duration_ms: u64,
    /// The first 1,024 bytes of the answer.
    answer: Option<&'a str>,
    /// Why there was no answer, or what was wrong with it.
    error: Option<&'a str>,
    created_at: Shown<Timestamp>,
}

impl<'a> From<&'a Endpoint> for WebhookView<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        let EndpointSettings { url, events, description, form } = &endpoint.settings;
        let (disabled_at, disabled_reason) = match endpoint.status {
            EndpointStatus::Active => (None, None),
            EndpointStatus::Disabled { at, reason } => (Some(Shown(at)), Some(DisabledReason::as_str(reason))),
        };
        Self {
            id: Shown(endpoint.id),
            webhook_id: Shown(endpoint.id),
            org_id: Shown(endpoint.tenant.merchant),
            environment: Text(endpoint.tenant.environment),
            url: Text(url),
            events: events.names(),
            description: description.as_ref().map(Text),
            payload: Text(*form),
            status: endpoint.status.as_str(),
            disabled_at,
            disabled_reason,
            failing_since: endpoint.failing_since.map(Shown),
            former_secret_until: endpoint.former_secret.as_ref().map(|former| Shown(former.until)),
            created_at: Shown(endpoint.created_at),
            updated_at: Shown(endpoint.updated_at),
        }
    }
}

impl<'a> From<&'a Endpoint> for NewWebhookView<'a> {
    fn from(endpoint: &'a Endpoint) -> Self {
        Self { about: endpoint.into(), secret: endpoint.secret.reveal() }
    }
}

impl<'a> WebhookWithBacklogView<'a> {
    fn of(endpoint: &'a Endpoint, backlog: EndpointBacklog) -> Self {
        let backlog = BacklogView { events: backlog.events, oldest_seconds: backlog.age.as_secs() };
        Self { about: endpoint.into(), backlog }
    }
}

impl<'a> From<&'a Attempt> for AttemptView<'a> {
    fn from(attempt: &'a Attempt) -> Self {
        Self {
            id: Shown(attempt.id),
            webhook_id: Shown(attempt.endpoint),
            event_id: Shown(attempt.event),
            customer_id: attempt.customer.map(Shown),
            number: attempt.number,
            outcome: attempt.outcome.as_str(),
            status: attempt.status,
            duration_ms: u64::try_from(attempt.duration.as_millis()).unwrap_or(u64::MAX),
            answer: attempt.answer.as_ref().map(Excerpt::as_str),
            error: attempt.error.as_ref().map(Excerpt::as_str),
            created_at: Shown(attempt.at),
        }
    }
}

/// The body of a test event.
#[derive(Serialize)]
struct TestView {
    id: Shown<EventId>,
    event_id: Shown<EventId>,
    r#type: &'static str,
    created_at: Shown<Timestamp>,
    webhook_id: Shown<EndpointId>,
}

impl From<&TestEvent> for TestView {
    fn from(test: &TestEvent) -> Self {
        Self {
            id: Shown(test.id),
            event_id: Shown(test.id),
            r#type: TestEvent::KIND,
            created_at: Shown(test.created_at),
            webhook_id: Shown(test.endpoint.id),
        }
    }
}

/// The body of a test event.
#[must_use]
pub fn test_body(test: &TestEvent) -> String {
    // A view of texts is always JSON.
    respond::text(&TestView::from(test)).unwrap_or_default()
}

/// The name of a type of events, or `*`.
#[derive(Debug)]
pub(super) struct EventName(String);

/// Not such a name.
#[derive(Debug, thiserror::Error)]
#[error("must be one of {}", EventName::all().join(", "))]
struct EventNameError;

impl Rule for EventNameError {
    fn code(&self) -> &'static str {
        "invalid_event_type"
    }
}

impl Described for EventName {
    const NAME: &'static str = "WebhookEvent";

    fn schema(_: &mut SchemaGenerator) -> Value {
        json!({ "description": "A type of events, or `*` alone: all.", "type": "string", "enum": Self::all() })
    }
}

impl EventName {
    /// All of them.
    fn all() -> Vec<&'static str> {
        [EventTypes::WILDCARD].into_iter().chain(EventType::ALL.map(EventType::as_str)).collect()
    }

    fn parse(text: &str) -> Result<Self, EventNameError> {
        let is_known = text == EventTypes::WILDCARD || EventType::parse(text).is_ok();
        if is_known { Ok(Self(text.to_owned())) } else { Err(EventNameError) }
    }
}

/// Whether an endpoint is to be active.
#[derive(Debug, Clone, Copy)]
pub(super) struct Activity(bool);

/// Not such a status.
#[derive(Debug, thiserror::Error)]
#[error("must be active or disabled")]
struct ActivityError;

impl Rule for ActivityError {
    fn code(&self) -> &'static str {
        "invalid_status"
    }
}

impl Described for Activity {
    const NAME: &'static str = "WebhookStatus";

    fn schema(_: &mut SchemaGenerator) -> Value {
        json!({
            "description": "`active` sends again, beginning with what was missed; `disabled` sends nothing.",
            "type": "string",
            "enum": [EndpointStatus::ACTIVE, EndpointStatus::DISABLED],
        })
    }
}

impl Activity {
    fn parse(text: &str) -> Result<Self, ActivityError> {
        match text {
            EndpointStatus::ACTIVE => Ok(Self(true)),
            EndpointStatus::DISABLED => Ok(Self(false)),
            _ => Err(ActivityError),
        }
    }
}

/// Reads the fields of a new endpoint. `None` if there are faults.
pub(super) fn new_webhook(fields: &mut Fields, allow_private: bool) -> Option<EndpointSettings> {
    let edit = settings(fields, allow_private, true);
    fields.refuse_the_rest();
    let form = edit.form.unwrap_or_default();
    Some(EndpointSettings { url: edit.url?, events: edit.events?, description: edit.description.into_option(), form })
}

/// Reads the fields of a change.
pub(super) fn webhook_edit(fields: &mut Fields, allow_private: bool) -> EndpointEdit {
    let edit = settings(fields, allow_private, false);
    let status = fields.text("status", |text| Activity::parse(&text));
    fields.refuse_null("status", &status);
    fields.refuse_the_rest();
    EndpointEdit { is_active: status.into_option().map(|Activity(is_active)| is_active), ..edit }
}

/// Reads the fields that a new endpoint and a change have in common.
fn settings(fields: &mut Fields, allow_private: bool, is_new: bool) -> EndpointEdit {
    let url = fields.text("url", |text| EndpointUrl::parse(text, allow_private));
    let names = fields.texts("events", EventName::parse);
    if is_new {
        fields.require("url", &url);
        fields.require("events", &names);
    } else {
        fields.refuse_null("url", &url);
        fields.refuse_null("events", &names);
    }
    let events = names.into_option().and_then(|names| {
        let types = EventTypes::parse(names.iter().map(|name| name.0.as_str()));
        types.map_err(|rule| fields.refuse("events", |place| Fault::new(place, &rule))).ok()
    });
    let description = fields.text("description", EndpointDescription::parse);
    let form = fields.text("payload", |text| PayloadForm::parse(&text));
    fields.refuse_null("payload", &form);
    EndpointEdit { url: url.into_option(), events, description, form: form.into_option(), is_active: None }
}

/// Reads the fields of a rotation: how long the present secret goes on signing.
pub(super) fn secret_overlap(fields: &mut Fields) -> Duration {
    let seconds = fields.number("overlap_seconds", 0..=Endpoint::MAX_OVERLAP.as_secs()).into_option();
    fields.refuse_the_rest();
    seconds.map_or(Endpoint::DEFAULT_OVERLAP, Duration::from_secs)
}

/// Which events are sent again.
#[derive(Debug, Clone, Copy)]
pub(super) enum Replay {
    From(i64),
    One(EventId),
}

/// Reads the fields of a replay. `None` if there are faults.
pub(super) fn replay_order(fields: &mut Fields) -> Option<Replay> {
    let from = fields.number("from_seq", 1..=i64::MAX.unsigned_abs()).into_option();
    let event = fields.text("event_id", |text| EventId::parse(&text)).into_option();
    let order = match (from.and_then(|from| i64::try_from(from).ok()), event) {
        (Some(from), None) => Some(Replay::From(from)),
        (None, Some(event)) => Some(Replay::One(event)),
        (None, None) | (Some(_), Some(_)) => {
            fields.refuse_combination("from_seq", "must be there, or event_id, and not both");
            None
        }
    };
    fields.refuse_the_rest();
    order
}

fn read<T>(body: Json, reader: impl FnOnce(&mut Fields) -> Option<T>) -> Result<T, Failure> {
    // Without a value there are faults.
    Fields::read(body, reader)?.ok_or(Failure::Internal)
}

pub(super) async fn create(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let allow_private = WebhookSettings::of(&request)?.allow_private;
    let body = body::read(&request).map_err(Failure::from)?;
    let settings = read(body, |fields| new_webhook(fields, allow_private))?;
    let created = caller.write_endpoint(EndpointCommand::Create(settings)).await?.ok_or(Failure::Internal)?;
    let mut response = json(StatusCode::CREATED, &NewWebhookView::from(&created));
    if let Ok(location) = header::HeaderValue::try_from(format!("{}/webhooks/{}", super::BASE, created.id)) {
        response.headers_mut().insert(header::LOCATION, location);
    }
    Ok(response)
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let page = caller.list_endpoints(PageQuery::read(&request)?).await?;
    Ok(shown(&request, &page, WebhookView::from))
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let (endpoint, backlog) = caller.find_endpoint(endpoint_id(&request)?).await?;
    Ok(json(StatusCode::OK, &WebhookWithBacklogView::of(&endpoint, backlog)))
}

pub(super) async fn change(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let id = endpoint_id(&request)?;
    let allow_private = WebhookSettings::of(&request)?.allow_private;
    let body = body::read(&request).map_err(Failure::from)?;
    let edit = Fields::read(body, |fields| webhook_edit(fields, allow_private))?;
    let changed = caller.write_endpoint(EndpointCommand::Change(id, edit)).await?.ok_or(Failure::Internal)?;
    Ok(json(StatusCode::OK, &WebhookView::from(&changed)))
}

pub(super) async fn remove(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    caller.write_endpoint(EndpointCommand::Delete(endpoint_id(&request)?)).await?;
    Ok(HttpResponse::NoContent().finish())
}

pub(super) async fn rotate_secret(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let id = endpoint_id(&request)?;
    let overlap = Fields::read(body::read_optional(&request).map_err(Failure::from)?, secret_overlap)?;
    let rotated = caller.write_endpoint(EndpointCommand::Rotate(id, overlap)).await?.ok_or(Failure::Internal)?;
    Ok(json(StatusCode::OK, &NewWebhookView::from(&rotated)))
}

pub(super) async fn replay(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let id = endpoint_id(&request)?;
    let body = body::read(&request).map_err(Failure::from)?;
    let command = match read(body, replay_order)? {
        Replay::From(seq) => EndpointCommand::ReplayFrom(id, seq),
        Replay::One(event) => EndpointCommand::ReplayOne(id, event),
    };
    caller.write_endpoint(command).await?;
    Ok(HttpResponse::Accepted().finish())
}

/// Sends a test event, and waits for what comes of it.
pub(super) async fn test(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let id = endpoint_id(&request)?;
    Fields::read(body::read_optional(&request).map_err(Failure::from)?, nothing)?;
    let attempt = match caller.test_event(id).await? {
        EndpointTest::New(test) => {
            let body = test_body(&test);
            let (outcome, sent) = WebhookSettings::of(&request)?.tests.send((*test).clone(), body).await;
            caller.log_test(*test, sent, outcome).await?
        }
        EndpointTest::Logged(attempt) => attempt,
    };
    Ok(json(StatusCode::OK, &AttemptView::from(&attempt)))
}

/// Reads a body without fields.
pub(super) fn nothing(fields: &mut Fields) {
    fields.refuse_the_rest();
}

pub(super) async fn list_attempts(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ManageWebhooks>::of(&request).await?;
    let page = PageQuery::read(&request)?;
    let page = caller.list_attempts(endpoint_id(&request)?, page).await?;
    Ok(shown(&request, &page, AttemptView::from))
}

fn endpoint_id(request: &HttpRequest) -> Result<EndpointId, Failure> {
    let id = path::segment(request, "id").ok_or(Failure::WebhookNotFound)?;
    EndpointId::parse(&id).map_err(|_| Failure::WebhookNotFound)
}
