//! `roster webhooks`

use std::time::Duration;

use anyhow::anyhow;
use roster_application::ports::{Attempt, AttemptOutcome};
use roster_application::{EndpointBacklog, PageSize, Roster};
use roster_domain::{
    DisabledReason, Endpoint, EndpointEdit, EndpointId, EndpointSettings, EndpointStatus, EndpointUrl, EventTypes,
    PayloadForm, Tenant,
};
use roster_webhooks::Courier;
use serde::Serialize;
use tokio::runtime;

use crate::cli::{At, Form, Webhooks};
use crate::compose::{self, Missing};
use crate::config::{self, Config};
use crate::output::{self, List};

/// Makes, lists, changes, tries or deletes endpoints.
pub fn run(command: Webhooks, config: &Config) -> anyhow::Result<()> {
    let roster = compose::open_up_to_date(config, 0, Missing::Refuse)?.roster();
    match command {
        Webhooks::Create { of, url, events, description, with_customer, form } => {
            let allow_private = config.webhooks.allow_private;
            let url = EndpointUrl::parse(url, allow_private).map_err(|rule| anyhow!("the URL {rule}"))?;
            let names: Vec<_> = events.iter().map(|kind| kind.as_str()).collect();
            let events = if names.is_empty() { EventTypes::ALL } else { EventTypes::parse(names)? };
            let payload = if with_customer { PayloadForm::WithCustomer } else { PayloadForm::Thin };
            create(&roster, of.into(), EndpointSettings { url, events, description, form: payload }, form)
        }
        Webhooks::List { of, form } => list(&roster, of.into(), form),
        Webhooks::Attempts { at, last, form } => attempts(&roster, at, last, form),
        Webhooks::Test { at, form } => test(&roster, at, &config.webhooks, form),
        Webhooks::Replay { at, from, event } => {
            match (from, event) {
                (Some(from), _) => roster.replay_events(at.of.into(), at.id, from)?,
                (None, Some(event)) => roster.replay_event(at.of.into(), at.id, event)?,
                (None, None) => {}
            }
            output::print("It is sent again by the running service.\n")
        }
        Webhooks::Rotate { at, overlap, form } => rotate(&roster, at, overlap, form),
        Webhooks::Disable { at, form } => change(&roster, at, false, form),
        Webhooks::Enable { at, form } => change(&roster, at, true, form),
        Webhooks::Delete { at } => {
            if !roster.delete_endpoint(at.of.into(), at.id)? {
                return Err(unknown(at.id));
            }
            output::print(&format!("{} is deleted.\n", at.id))
        }
    }
}

fn unknown(id: EndpointId) -> anyhow::Error {
    anyhow!("there is no webhook endpoint {id} of this merchant in this environment")
}

fn create(roster: &Roster, tenant: Tenant, settings: EndpointSettings, form: Form) -> anyhow::Result<()> {
    print_secret(&roster.create_endpoint(tenant, settings)?, form)
}

fn rotate(roster: &Roster, at: At, overlap: Duration, form: Form) -> anyhow::Result<()> {
    print_secret(&roster.rotate_endpoint_secret(at.of.into(), at.id, overlap)?, form)
}

fn print_secret(endpoint: &Endpoint, form: Form) -> anyhow::Result<()> {
    let secret = endpoint.secret.reveal();
    if form.json {
        return output::print_json(&SecretView { secret, endpoint: EndpointView::from(endpoint) });
    }
    output::print(&format!(
        "{id}  {url}\n\n  {secret}\n\nDeliveries are signed with it. Keep it now: it is shown only this once.\n",
        id = endpoint.id,
        url = endpoint.settings.url.as_str(),
    ))
}

fn change(roster: &Roster, at: At, is_active: bool, form: Form) -> anyhow::Result<()> {
    let edit = EndpointEdit { is_active: Some(is_active), ..EndpointEdit::default() };
    let changed = roster.change_endpoint(at.of.into(), at.id, &edit)?.ok_or_else(|| unknown(at.id))?;
    if form.json {
        return output::print_json(&EndpointView::from(&changed));
    }
    output::print(&format!("{} is {}.\n", at.id, state(&changed)))
}

fn list(roster: &Roster, tenant: Tenant, form: Form) -> anyhow::Result<()> {
    let endpoints = all(roster, tenant)?;
    if form.json {
        return output::print_json(&List { data: endpoints.iter().map(BacklogView::from).collect() });
    }
    if endpoints.is_empty() {
        return output::print("There are no webhook endpoints.\n");
    }
    let row = |(endpoint, backlog): &(Endpoint, EndpointBacklog)| {
        [
            endpoint.id.to_string(),
            state(endpoint),
            backlog.events.to_string(),
            humantime::format_duration(Duration::from_secs(backlog.age.as_secs())).to_string(),
            endpoint.settings.events.to_string(),
            endpoint.settings.url.as_str().to_owned(),
        ]
    };
    let headings = ["ID", "STATE", "BEHIND", "OLDEST", "EVENTS", "URL"];
    output::print(&output::table(headings, &endpoints.iter().map(row).collect::<Vec<_>>()))
}

fn all(roster: &Roster, tenant: Tenant) -> anyhow::Result<Vec<(Endpoint, EndpointBacklog)>> {
    let mut all: Vec<(Endpoint, EndpointBacklog)> = Vec::new();
    loop {
        let page = roster.list_endpoints(tenant, all.last().map(|(last, _)| last.id), PageSize::BULK)?;
        for endpoint in page.items {
            // One that was deleted meanwhile has none.
            if let Some(backlog) = roster.endpoint_backlog(tenant, endpoint.id)? {
                all.push((endpoint, backlog));
            }
        }
        if !page.has_more {
            return Ok(all);
        }
    }
}

fn state(endpoint: &Endpoint) -> String {
    match (endpoint.status, endpoint.failing_since) {
        (EndpointStatus::Disabled { at, reason }, _) => {
            let why = match reason {
                DisabledReason::Requested => "by its owner",
                DisabledReason::Gone => "it answered 410",
                DisabledReason::Failing => "it failed for 5 days",
            };
            format!("disabled since {at}, {why}")
        }
        (EndpointStatus::Active, Some(since)) => format!("failing since {since}"),
        (EndpointStatus::Active, None) => "active".to_owned(),
    }
}

fn attempts(roster: &Roster, at: At, count: u16, form: Form) -> anyhow::Result<()> {
    let size = PageSize::new(count).unwrap_or(PageSize::DEFAULT);
    let page = roster.list_attempts(at.of.into(), at.id, None, size)?.ok_or_else(|| unknown(at.id))?;
    if form.json {
        return output::print_json(&List { data: page.items.iter().map(AttemptView::from).collect() });
    }
    if page.items.is_empty() {
        return output::print("There are no attempts.\n");
    }
    let row = |attempt: &Attempt| {
        [
            attempt.at.to_string(),
            attempt.outcome.as_str().to_owned(),
            attempt.status.map_or(String::new(), |status| status.to_string()),
            format!("{} ms", attempt.duration.as_millis()),
            attempt.number.to_string(),
            attempt.event.to_string(),
            attempt.error.as_ref().map_or(String::new(), |error| error.as_str().to_owned()),
        ]
    };
    let headings = ["AT", "OUTCOME", "STATUS", "TOOK", "ATTEMPT", "EVENT", "ERROR"];
    output::print(&output::table(headings, &page.items.iter().map(row).collect::<Vec<_>>()))
}

fn test(roster: &Roster, at: At, config: &config::Webhooks, form: Form) -> anyhow::Result<()> {
    let test = roster.test_event(at.of.into(), at.id)?;
    let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
    let courier = Courier::new(compose::sender(config), config.signing_key.clone(), runtime.handle().clone())?;
    let body = roster_http::test_body(&test);
    let (outcome, sent) = runtime.block_on(courier.send_test(test.clone(), body));
    let attempt = roster.log_test(&test, sent, outcome)?;
    if form.json {
        output::print_json(&AttemptView::from(&attempt))?;
    } else {
        let status = attempt.status.map_or("no answer".to_owned(), |status| format!("status {status}"));
        let error = attempt.error.as_ref().map_or(String::new(), |error| format!("\n{}", error.as_str()));
        output::print(&format!("{status} after {} ms{error}\n", attempt.duration.as_millis()))?;
    }
    match attempt.outcome {
        AttemptOutcome::Delivered => Ok(()),
        AttemptOutcome::Failed | AttemptOutcome::GivenUp | AttemptOutcome::Gone => {
            Err(anyhow!("the test event was not taken"))
        }
    }
}

/// An endpoint as JSON, without its secret.
#[derive(Serialize)]
struct EndpointView {
    id: String,
    merchant_id: String,
    environment: &'static str,
    url: String,
    events: Vec<&'static str>,
    description: Option<String>,
    with_customer: bool,
    status: &'static str,
    disabled_at: Option<String>,
    disabled_reason: Option<&'static str>,
    failing_since: Option<String>,
    created_at: String,
    updated_at: String,
}

impl From<&Endpoint> for EndpointView {
    fn from(endpoint: &Endpoint) -> Self {
        let Endpoint { tenant, settings, status, .. } = endpoint;
        let (disabled_at, disabled_reason) = match status {
            EndpointStatus::Active => (None, None),
            EndpointStatus::Disabled { at, reason } => (Some(at.to_string()), Some(reason.as_str())),
        };
        Self {
            id: endpoint.id.to_string(),
            merchant_id: tenant.merchant.to_string(),
            environment: tenant.environment.as_str(),
            url: settings.url.as_str().to_owned(),
            events: settings.events.names(),
            description: settings.description.as_ref().map(|text| text.as_str().to_owned()),
            with_customer: settings.form == PayloadForm::WithCustomer,
            status: status.as_str(),
            disabled_at,
            disabled_reason,
            failing_since: endpoint.failing_since.map(|time| time.to_string()),
            created_at: endpoint.created_at.to_string(),
            updated_at: endpoint.updated_at.to_string(),
        }
    }
}

/// A new secret and its endpoint as JSON.
#[derive(Serialize)]
struct SecretView<'a> {
    secret: &'a str,
    #[serde(flatten)]
    endpoint: EndpointView,
}

/// An endpoint, and what is not delivered to it, as JSON.
#[derive(Serialize)]
struct BacklogView {
    #[serde(flatten)]
    endpoint: EndpointView,
    backlog: i64,
    oldest_seconds: u64,
}

impl From<&(Endpoint, EndpointBacklog)> for BacklogView {
    fn from((endpoint, backlog): &(Endpoint, EndpointBacklog)) -> Self {
        Self { endpoint: endpoint.into(), backlog: backlog.events, oldest_seconds: backlog.age.as_secs() }
    }
}

/// An attempt as JSON.
#[derive(Serialize)]
struct AttemptView {
    id: String,
    at: String,
    event_id: String,
    customer_id: Option<String>,
    number: u32,
    outcome: &'static str,
    status: Option<u16>,
    duration_ms: u128,
    answer: Option<String>,
    error: Option<String>,
}

impl From<&Attempt> for AttemptView {
    fn from(attempt: &Attempt) -> Self {
        Self {
            id: attempt.id.to_string(),
            at: attempt.at.to_string(),
            event_id: attempt.event.to_string(),
            customer_id: attempt.customer.map(|id| id.to_string()),
            number: attempt.number,
            outcome: attempt.outcome.as_str(),
            status: attempt.status,
            duration_ms: attempt.duration.as_millis(),
            answer: attempt.answer.as_ref().map(|text| text.as_str().to_owned()),
            error: attempt.error.as_ref().map(|text| text.as_str().to_owned()),
        }
    }
}
