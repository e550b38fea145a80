//! Live updates: server-sent events that say which customers have changed, and nothing of them.

use std::fmt::Write as _;
use std::pin::Pin;
use std::rc::Rc;
use std::time::Duration;

use actix_web::body::MessageBody as _;
use actix_web::http::Method;
use actix_web::http::header::{self, HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{Error, HttpResponse};
use futures_util::stream::{self, Stream, StreamExt as _};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::form::query;
use crate::refusal::Refusal;
use crate::visit::Visit;

/// The most bytes of one event: a customer's metadata twice, and the rest.
const MAX_EVENT: usize = 512 * 1024;

static LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");

/// The address at which a page that is read after this call listens: nothing that happens meanwhile is missed. `None` for a key
/// that may not read events.
pub(crate) async fn address(visit: &Visit) -> Result<Option<String>, Refusal> {
    let Ok(newest) = visit.get("/v1/events?limit=1".to_owned()).await?.part()? else { return Ok(None) };
    // The place behind the newest event; the beginning of the log if it has one event or none.
    let after = newest["next_cursor"].as_str().unwrap_or_default();
    Ok(Some(visit.path(&format!("/updates{}", query([("after", after)])))))
}

/// `GET /console/{environment}/updates?after=PLACE`
///
/// It ends with the session. A browser without one, or whose key may not read events, is told with 204 not to ask again.
pub(crate) async fn stream(visit: Rc<Visit>) -> Result<HttpResponse, Refusal> {
    // A browser that connects again names the last event that it was told.
    let last = visit.place.request.headers().get(&LAST_EVENT_ID).and_then(|id| id.to_str().ok());
    let after = last.unwrap_or(visit.query.get("after"));
    let events = format!("/v1/events{}", query([("order", "asc"), ("after", after)]));
    let request = visit.request(Method::GET, events).with(header::ACCEPT, "text/event-stream");
    let answer = visit.open(request).await;
    if !answer.status().is_success() {
        return Ok(HttpResponse::NoContent().finish());
    }
    let left = visit.place.worker.console.0.sessions.end(&visit.session) - visit.place.now();
    let end = Instant::now() + Duration::from_secs(u64::try_from(left).unwrap_or(0));
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")));
    response.insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(changes(answer, end)))
}

/// The events of the API without what happened: only the customer's identifier.
fn changes(answer: HttpResponse, end: Instant) -> impl Stream<Item = Result<Bytes, Error>> {
    let mut body = answer.into_body();
    let chunks = Box::pin(stream::poll_fn(move |context| Pin::new(&mut body).poll_next(context)));
    stream::unfold((chunks, Vec::new()), move |(mut chunks, mut rest)| async move {
        let chunk = timeout_at(end, chunks.next()).await.ok()??.ok()?;
        rest.extend_from_slice(&chunk);
        let text = take_blocks(&mut rest);
        (rest.len() <= MAX_EVENT).then(|| (Ok(text.into()), (chunks, rest)))
    })
}

/// Takes the events that are complete from what has arrived, and writes what pages learn of them.
fn take_blocks(arrived: &mut Vec<u8>) -> String {
    let mut written = String::new();
    while let Some(end) = arrived.windows(2).position(|two| two == b"\n\n") {
        let block: Vec<u8> = arrived.drain(..end + 2).collect();
        let block = String::from_utf8_lossy(&block);
        let line = |name: &str| block.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
        if let Some(id) = line("id:") {
            // Writing to a `String` cannot fail.
            let _ = writeln!(written, "id: {id}");
        }
        let event: Option<Value> = line("data:").and_then(|data| serde_json::from_str(data).ok());
        let _ = match event {
            Some(event) => write!(written, "data: {}\n\n", json!({ "customer_id": event["customer_id"] })),
            // A comment, so that the connection is not silent.
            None => write!(written, ": \n\n"),
        };
    }
    written
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_passed_on_without_what_happened() {
        let mut arrived =
            b"retry: 1000\n\nid: a\nevent: customer.updated\ndata: {\"customer_id\":\"cus_1\",\"changes\":\
                            {\"email\":{\"to\":\"ada@example.com\"}}}\n\nid: b\nev"
                .to_vec();
        let written = take_blocks(&mut arrived);
        assert_eq!(written, ": \n\nid: a\ndata: {\"customer_id\":\"cus_1\"}\n\n");
        assert_eq!(arrived, b"id: b\nev");
        arrived.extend_from_slice(b"ent: x\n: nothing has happened\n\n");
        assert_eq!(take_blocks(&mut arrived), "id: b\n: \n\n");
        assert!(arrived.is_empty());
    }
}
