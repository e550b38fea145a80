//! The log of what happened: what it shows, and how it is read.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::StatusCode;
use actix_web::http::header::{Accept, Header as _};
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::future::{Either, select};
use roster_application::ports::ListOrder;
use roster_application::{Event, EventPage, EventsOfDay};
use roster_domain::{Customer, CustomerId, EventId, EventType, Json, SubscriptionId, Timestamp};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::value::RawValue;

use super::dto::CustomerView;
use super::error::Error;
use super::{event_stream, routes};
use crate::failure::{Failure, Fault};
use crate::openapi::schema::{Shown, Text};
use crate::request::caller::{Caller, Feed, FeedCursors, ReadEvents};
use crate::request::path;
use crate::request::query::{fault, read_parameters, set_filter, set_once};
use crate::respond::{self, json};
use crate::transport::stop::Stop;
use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The most days whose events are counted.
pub(super) const MAX_DAYS: u32 = 90;

/// The days whose events are counted if the request does not say how many.
pub(super) const DEFAULT_DAYS: u32 = 30;

/// The most events of a page.
pub(super) const MAX_LIMIT: usize = 1000;

/// The events of a page if the request does not say how many.
pub(super) const DEFAULT_LIMIT: usize = 25;

/// The longest time that a request may wait for an event, in seconds.
pub(super) const MAX_WAIT: u64 = 60;

/// What happened to a customer or to one of its subscriptions.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Event")]
pub(super) struct EventView<'a> {
    id: Shown<EventId>,
    /// The same as `id`, under the name that billing.io's clients read.
    event_id: Shown<EventId>,
    /// Counts the events of the merchant and the environment, without gaps, in the order in which they happened.
    #[schemars(range(min = 1))]
    seq: i64,
    r#type: Text<EventType>,
    created_at: Shown<Timestamp>,
    customer_id: Shown<CustomerId>,
    /// The subscription that was reported; only in events of subscriptions.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Text<&SubscriptionId>")]
    subscription_id: Option<Text<&'a SubscriptionId>>,
    /// The version of the customer, or of the subscription, after it.
    #[schemars(range(min = 1))]
    version: i64,
    /// The fields that changed, each with `from` and `to`, of which one is left out where the field is absent.
    #[schemars(with = "std::collections::BTreeMap<String, ChangeView>")]
    changes: &'a RawValue,
    actor: ActorView<'a>,
    /// The `X-Request-Id` of the request that made the change.
    request_id: Option<&'a str>,
    /// The `X-Change-Reason` of the request.
    reason: Option<&'a str>,
    /// The customer as it stands now; only with `include=customer`. `null` if it is deleted.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<CustomerView<'_>>")]
    customer: Option<CustomerNow<'a>>,
}

/// A customer as it stands now.
#[derive(Serialize)]
#[serde(untagged)]
enum CustomerNow<'a> {
    Live(Box<CustomerView<'a>>),
    /// Written as `null`.
    Deleted,
}

/// The values of a field before and after a change.
#[derive(JsonSchema)]
#[schemars(rename = "Change")]
#[expect(dead_code, reason = "a description of what the application writes")]
struct ChangeView {
    #[schemars(with = "serde_json::Value", skip_serializing_if = "Option::is_none")]
    from: Option<Json>,
    #[schemars(with = "serde_json::Value", skip_serializing_if = "Option::is_none")]
    to: Option<Json>,
}

/// Who asked for a change.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Actor")]
struct ActorView<'a> {
    /// `system`: the service itself.
    #[schemars(extend("enum" = ["api_key", "token", "operator", "system"]))]
    r#type: &'a str,
    /// The API key, or the subject of the token.
    id: Option<String>,
    /// The name of the token's issuer; only with a token.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "String")]
    issuer: Option<&'a str>,
}

impl<'a> EventView<'a> {
    pub(super) fn of(event: &'a Event, customers: Option<&'a HashMap<CustomerId, Customer>>) -> Result<Self, Failure> {
        Self::with(event, customers.is_some(), customers.and_then(|customers| customers.get(&event.customer)))
    }

    /// The view of an event, with its customer if `shows_customer`; no customer is one that is deleted.
    fn with(event: &'a Event, shows_customer: bool, customer: Option<&'a Customer>) -> Result<Self, Failure> {
        let actor = &event.attribution.actor;
        let customer = match customer.filter(|customer| customer.is_live()) {
            Some(customer) => CustomerNow::Live(Box::new(customer.into())),
            None => CustomerNow::Deleted,
        };
        let id = event.id();
        Ok(Self {
            id: Shown(id),
            event_id: Shown(id),
            seq: event.seq,
            r#type: Text(event.kind),
            created_at: Shown(event.created_at),
            customer_id: Shown(event.customer),
            subscription_id: event.subscription.as_ref().map(Text),
            version: event.version,
            changes: serde_json::from_str(&event.changes).map_err(|_| Failure::Internal)?,
            actor: ActorView { r#type: actor.kind(), id: actor.id(), issuer: actor.issuer() },
            request_id: event.attribution.request_id.as_deref(),
            reason: event.attribution.reason.as_ref().map(AsRef::as_ref),
            customer: shows_customer.then_some(customer),
        })
    }
}

/// The body of a delivery: the event as the native surface shows it, with the customer if `shows_customer`; no customer is one
/// that is deleted.
#[must_use]
pub fn event_body(event: &Event, shows_customer: bool, customer: Option<&Customer>) -> String {
    // It fails only if the store has an event that is no JSON.
    EventView::with(event, shows_customer, customer).and_then(|view| respond::text(&view)).unwrap_or_default()
}

/// A page of events.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventPage")]
pub(super) struct EventPageView<'a> {
    #[schemars(length(max = MAX_LIMIT))]
    data: Vec<EventView<'a>>,
    /// Whether more events are there already.
    has_more: bool,
    /// Where the list goes on: with `order=asc` always, to be sent as `after`; otherwise to be sent as `cursor`, or `null` at the
    /// end of the list.
    next_cursor: Option<&'a str>,
}

/// How many events happened on each of some days.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventDays")]
pub(super) struct EventDaysView {
    /// One entry for each day, the oldest first and today last.
    #[schemars(length(max = MAX_DAYS))]
    data: Vec<EventDayView>,
}

/// How many events happened on a day.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "EventDay")]
pub(super) struct EventDayView {
    /// The day in UTC.
    #[schemars(extend("format" = "date", "examples" = ["2025-01-15"]))]
    date: String,
    /// The events of that day that are still kept.
    #[schemars(range(min = 0))]
    events: i64,
}

/// What a request says of the events that it wants.
struct Parameters {
    feed: Feed,
    wait: Duration,
}

#[derive(Default)]
struct Given {
    limit: Option<usize>,
    order: Option<ListOrder>,
    cursor: Option<String>,
    after: Option<String>,
    kind: Option<EventType>,
    customer: Option<CustomerId>,
    with_customers: bool,
    wait: Option<u64>,
}

impl Given {
    fn read(&mut self, name: &str, value: &str, is_of_customer: bool) -> Option<Result<(), Fault>> {
        Some(match name {
            "limit" => match value.parse().ok().filter(|limit| (1..=MAX_LIMIT).contains(limit)) {
                Some(limit) => set_once("limit", &mut self.limit, limit),
                None => Err(fault("limit", &format!("must be a number from 1 to {MAX_LIMIT}"))),
            },
            "order" => match value {
                "asc" => set_once("order", &mut self.order, ListOrder::Ascending),
                "desc" => set_once("order", &mut self.order, ListOrder::Descending),
                _ => Err(fault("order", "must be asc or desc")),
            },
            "cursor" => set_once("cursor", &mut self.cursor, value.to_owned()),
            "after" => set_once("after", &mut self.after, value.to_owned()),
            "type" => set_filter("type", &mut self.kind, EventType::parse(value)),
            "customer_id" if !is_of_customer => set_filter("customer_id", &mut self.customer, CustomerId::parse(value)),
            "include" if value == "customer" => {
                self.with_customers = true;
                Ok(())
            }
            "include" => Err(fault("include", "must be customer")),
            "wait" if !is_of_customer => match value.parse().ok().filter(|seconds| *seconds <= MAX_WAIT) {
                Some(seconds) => set_once("wait", &mut self.wait, seconds),
                None => Err(fault("wait", &format!("must be a number from 0 to {MAX_WAIT}"))),
            },
            _ => return None,
        })
    }
}

impl Parameters {
    fn read(request: &HttpRequest, customer: Option<CustomerId>) -> Result<Self, Failure> {
        let mut given = Given { customer, ..Given::default() };
        read_parameters(request, |name, value| given.read(name, value, customer.is_some()))?;
        let order = given.order.unwrap_or_default();
        let is_ascending = order == ListOrder::Ascending;
        if given.after.is_some() && !is_ascending {
            return Err(fault("after", "needs order=asc: otherwise send cursor").into());
        }
        if given.cursor.is_some() && is_ascending {
            return Err(fault("cursor", "is of the newest first: with order=asc send after").into());
        }
        if given.wait.is_some() && !is_ascending {
            return Err(fault("wait", "needs order=asc").into());
        }
        let feed = Feed {
            customer: given.customer,
            kind: given.kind,
            order,
            cursor: given.after.or(given.cursor),
            limit: given.limit.unwrap_or(DEFAULT_LIMIT),
            with_customers: given.with_customers,
        };
        Ok(Self { feed, wait: Duration::from_secs(given.wait.unwrap_or(0)) })
    }
}

/// What a request for a stream says of the events that it wants. `last` is the cursor of the last event that it has.
pub(super) fn read_stream(request: &HttpRequest, last: Option<String>) -> Result<Feed, Failure> {
    let mut given = Given::default();
    read_parameters(request, |name, value| given.read(name, value, false))?;
    let of_pages =
        [("limit", given.limit.is_some()), ("cursor", given.cursor.is_some()), ("wait", given.wait.is_some())];
    if let Some((name, _)) = of_pages.into_iter().find(|(_, is_given)| *is_given) {
        return Err(fault(name, "does not go with Accept: text/event-stream").into());
    }
    if given.order == Some(ListOrder::Descending) {
        return Err(fault("order", "must be asc with Accept: text/event-stream").into());
    }
    Ok(Feed {
        customer: given.customer,
        kind: given.kind,
        order: ListOrder::Ascending,
        cursor: last.or(given.after),
        limit: DEFAULT_LIMIT,
        with_customers: given.with_customers,
    })
}

pub(super) async fn list(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadEvents>::of(&request).await?;
    if wants_stream(&request) {
        let news = News::of(&request, &caller)?;
        return event_stream::open(&request, caller, news).await;
    }
    let Parameters { feed, wait } = Parameters::read(&request, None)?;
    if wait.is_zero() {
        return Ok(respond::list(read(&caller, feed).await?.0));
    }
    let mut news = News::of(&request, &caller)?;
    let deadline = Instant::now() + wait;
    loop {
        let (bytes, is_empty) = read(&caller, feed.clone()).await?;
        if !is_empty || news.wait_until(deadline).await != Wake::Events {
            return Ok(respond::list(bytes));
        }
        // What a credential opens is checked for as long as it is used.
        caller.check_again().await?;
    }
}

fn wants_stream(request: &HttpRequest) -> bool {
    let accepted = Accept::parse(request).ok().and_then(|accept| accept.ranked().into_iter().next());
    accepted.is_some_and(|first| first.essence_str() == "text/event-stream")
}

/// Waiting for events that were not there when the log was read.
pub(super) struct News {
    heads: watch::Receiver<i64>,
    stop: Arc<Stop>,
}

/// Why a wait is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wake {
    /// There may be events.
    Events,
    /// The time is up.
    Late,
    /// The service stops.
    Stopping,
}

impl News {
    /// To be made before the log is read.
    fn of(request: &HttpRequest, caller: &Caller<ReadEvents>) -> Result<Self, Failure> {
        let stop = request.app_data::<web::Data<Stop>>().ok_or(Failure::Internal)?;
        Ok(Self { heads: caller.watch_events(), stop: Arc::clone(stop) })
    }

    pub(super) async fn wait_until(&mut self, deadline: Instant) -> Wake {
        let (changed, stopping) = (pin!(self.heads.changed()), pin!(Arc::clone(&self.stop).closing()));
        match timeout_at(deadline, select(changed, stopping)).await {
            Err(_) => Wake::Late,
            Ok(Either::Left((Ok(()), _))) => Wake::Events,
            Ok(Either::Left((Err(_), _)) | Either::Right(_)) => Wake::Stopping,
        }
    }
}

/// The history of a customer, live or deleted.
pub(super) async fn list_of_customer(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadEvents>::of(&request).await?;
    let customer = routes::customer_id(&request)?;
    let Parameters { feed, .. } = Parameters::read(&request, Some(customer))?;
    let (bytes, is_empty) = read(&caller, feed).await?;
    if is_empty {
        caller.require_customer(customer).await?;
    }
    Ok(respond::list(bytes))
}

/// A page as it is sent, and whether it has nothing, and nothing follows it.
async fn read(caller: &Caller<ReadEvents>, feed: Feed) -> Result<(Vec<u8>, bool), Failure> {
    let is_ascending = feed.order == ListOrder::Ascending;
    let write = move |page: &EventPage, cursors: &FeedCursors, customers: Option<&HashMap<CustomerId, Customer>>| {
        let next = (page.has_more || is_ascending).then(|| cursors.behind(page.next));
        let view = |event| EventView::of(event, customers);
        let data: Vec<_> = page.events.iter().map(view).collect::<Result<_, _>>()?;
        let is_empty = data.is_empty() && !page.has_more;
        let view = EventPageView { data, has_more: page.has_more, next_cursor: next.as_deref() };
        Ok((respond::list_bytes(page.events.len(), &view)?, is_empty))
    };
    caller.list_events(feed, write).await?
}

pub(super) async fn count_by_day(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadEvents>::of(&request).await?;
    let mut days = None;
    read_parameters(&request, |name, value| match name {
        "days" => Some(match value.parse().ok().filter(|days| (1..=MAX_DAYS).contains(days)) {
            Some(number) => set_once("days", &mut days, number),
            None => Err(fault("days", &format!("must be a number from 1 to {MAX_DAYS}"))),
        }),
        _ => None,
    })?;
    let counts = caller.count_events_by_day(days.unwrap_or(DEFAULT_DAYS)).await?;
    let view =
        |count: EventsOfDay| EventDayView { date: count.day.to_utc().date_naive().to_string(), events: count.events };
    Ok(json(StatusCode::OK, &EventDaysView { data: counts.into_iter().map(view).collect() }))
}

pub(super) async fn show(request: HttpRequest) -> Result<HttpResponse, Error> {
    let caller = Caller::<ReadEvents>::of(&request).await?;
    let id = path::segment(&request, "id").ok_or(Failure::EventNotFound)?;
    let id = EventId::parse(&id).map_err(|_| Failure::EventNotFound)?;
    let event = caller.find_event(id).await?;
    Ok(json(StatusCode::OK, &EventView::of(&event, None)?))
}
