//! Everything that is kept about one customer, as one JSON document.

use std::io;

use roster_application::Subject;
use roster_application::ports::{Attempt, SavedReply};
use roster_domain::{AttemptId, EndpointId, EventId, Timestamp};
use serde::Serialize;
use serde_json::value::RawValue;

use super::dto::{CustomerView, SubscriptionView};
use super::events::EventView;
use crate::openapi::schema::Shown;

/// The document.
#[derive(Serialize)]
struct SubjectView<'a> {
    customer: CustomerView<'a>,
    /// When it was deleted.
    deleted_at: Option<Shown<Timestamp>>,
    subscriptions: Vec<SubscriptionView<'a>>,
    events: Vec<EventView<'a>>,
    saved_replies: Vec<ReplyView<'a>>,
    webhook_attempts: Vec<AttemptView<'a>>,
}

/// What is saved for repeats of a request.
#[derive(Serialize)]
struct ReplyView<'a> {
    /// In a form of the service.
    outcome: &'a RawValue,
    created_at: Shown<Timestamp>,
    expires_at: Shown<Timestamp>,
}

/// An attempt to send an event.
#[derive(Serialize)]
struct AttemptView<'a> {
    id: Shown<AttemptId>,
    endpoint_id: Shown<EndpointId>,
    event_id: Shown<EventId>,
    outcome: &'a str,
    status: Option<u16>,
    answer: Option<&'a str>,
    error: Option<&'a str>,
    created_at: Shown<Timestamp>,
}

/// Writes all of it as one JSON object.
///
/// # Errors
/// If what is stored is not JSON.
pub fn subject_document(subject: &Subject) -> io::Result<String> {
    let id = subject.customer.id();
    let events = subject.events.iter().map(|event| EventView::of(event, None)).collect::<Result<_, _>>();
    let view = SubjectView {
        customer: CustomerView::from(&subject.customer),
        deleted_at: subject.customer.deleted_at().map(Shown),
        subscriptions: subject.subscriptions.iter().map(|one| SubscriptionView::of(id, one)).collect(),
        events: events.map_err(|_| io::Error::other("an event is not JSON"))?,
        saved_replies: subject.replies.iter().map(reply).collect::<Result<_, _>>()?,
        webhook_attempts: subject.attempts.iter().map(attempt).collect(),
    };
    Ok(serde_json::to_string(&view)?)
}

fn reply(reply: &SavedReply) -> serde_json::Result<ReplyView<'_>> {
    let SavedReply { outcome, created_at, expires_at, .. } = reply;
    let outcome = serde_json::from_str(outcome)?;
    Ok(ReplyView { outcome, created_at: Shown(*created_at), expires_at: Shown(*expires_at) })
}

fn attempt(attempt: &Attempt) -> AttemptView<'_> {
    AttemptView {
        id: Shown(attempt.id),
        endpoint_id: Shown(attempt.endpoint),
        event_id: Shown(attempt.event),
        outcome: attempt.outcome.as_str(),
        status: attempt.status,
        answer: attempt.answer.as_ref().map(AsRef::as_ref),
        error: attempt.error.as_ref().map(AsRef::as_ref),
        created_at: Shown(attempt.at),
    }
}
