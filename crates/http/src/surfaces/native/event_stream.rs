//! The log as server-sent events, for as long as the client listens (HTML Standard, 9.2).

use std::collections::HashMap;
use std::time::Duration;

use actix_web::http::header;
use actix_web::web::{self, Bytes};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::{Stream, stream};
use roster_application::EventPage;
use roster_domain::{Customer, CustomerId};
use tokio::time::Instant;

use super::error::Error;
use super::events::{EventView, News, Wake, read_stream};
use crate::failure::Failure;
use crate::request::caller::{Caller, Feed, FeedCursors, ReadEvents};
use crate::stream::{PartSize, StreamBudget, next_chunk};

/// How long a stream is silent at most: proxies end connections on which nothing is sent, many after a minute.
pub(super) const HEARTBEAT: Duration = Duration::from_secs(15);

/// The header with the cursor of the last event that a client has.
pub(super) const LAST_EVENT_ID: &str = "Last-Event-ID";

/// What a stream begins with: after how many milliseconds a client whose connection has ended connects again.
const RETRY: &[u8] = b"retry: 1000\n\n";

/// Streams the events behind a place, and then those that happen.
pub(super) async fn open(request: &HttpRequest, caller: Caller<ReadEvents>, news: News) -> Result<HttpResponse, Error> {
    let last = request.headers().get(LAST_EVENT_ID).filter(|value| !value.is_empty());
    let last = last.map(|value| value.to_str().map(str::to_owned).map_err(|_| Failure::InvalidCursor)).transpose()?;
    let feed = read_stream(request, last)?;
    let budget = request.app_data::<web::Data<StreamBudget>>().ok_or(Failure::Internal)?;
    let size = PartSize::new(budget.get_ref().clone());
    let mut events = Events { caller, news, feed, size, part: Bytes::new(), has_more: false };
    // Before the status is sent, so that what is refused has a status of its own.
    events.read().await?;
    events.part = [RETRY, &events.part].concat().into();
    let mut response = HttpResponse::Ok();
    response.insert_header((header::CONTENT_TYPE, "text/event-stream"));
    // Some proxies collect what they forward unless they are told not to.
    response.insert_header(("X-Accel-Buffering", "no"));
    Ok(response.streaming(events.stream()))
}

/// A stream of events.
struct Events {
    /// Its credential is checked again for as long as the stream goes on.
    caller: Caller<ReadEvents>,
    news: News,
    /// Which events, and behind which of them the stream goes on.
    feed: Feed,
    size: PartSize,
    /// What was read and not sent yet.
    part: Bytes,
    /// Whether more events are there already.
    has_more: bool,
}

impl Events {
    /// The body of the response. It ends if the service stops, and breaks off at a failure; a client then connects again, and
    /// is told what is wrong.
    fn stream(self) -> impl Stream<Item = Result<Bytes, Error>> {
        stream::try_unfold(self, |mut events| async move {
            let chunk = events.next_chunk().await?;
            Ok(chunk.map(|chunk| (chunk, events)))
        })
    }

    async fn next_chunk(&mut self) -> Result<Option<Bytes>, Failure> {
        let silent_until = Instant::now() + HEARTBEAT;
        while self.part.is_empty() {
            if self.has_more {
                // Without a turn for the timers and sockets of this thread, one that reads fast would keep others waiting.
                tokio::task::yield_now().await;
            } else {
                match self.news.wait_until(silent_until).await {
                    Wake::Events => {}
                    Wake::Late => self.part = self.heartbeat(),
                    Wake::Stopping => return Ok(None),
                }
            }
            self.caller.check_again().await?;
            if self.part.is_empty() {
                self.read().await?;
            }
        }
        Ok(Some(next_chunk(&mut self.part)))
    }

    /// A comment. An event without data only says where a client goes on: behind events that were not for it.
    fn heartbeat(&self) -> Bytes {
        let place = self.feed.cursor.as_ref().map(|cursor| format!("id: {cursor}\n")).unwrap_or_default();
        format!("{place}: nothing has happened\n\n").into()
    }

    /// Reads the next events.
    async fn read(&mut self) -> Result<(), Failure> {
        let feed = Feed { limit: self.size.next(), ..self.feed.clone() };
        let Part { text, events, has_more, next } = self.caller.list_events(feed, write).await??;
        self.size.note(events, text.len());
        (self.part, self.has_more, self.feed.cursor) = (text.into(), has_more, Some(next));
        Ok(())
    }
}

/// Some events as they are sent.
struct Part {
    text: Vec<u8>,
    events: usize,
    has_more: bool,
    /// The cursor of the next part.
    next: String,
}

fn write(
    page: &EventPage,
    cursors: &FeedCursors,
    customers: Option<&HashMap<CustomerId, Customer>>,
) -> Result<Part, Failure> {
    let mut text = Vec::new();
    for event in &page.events {
        let (id, kind) = (cursors.behind(event.seq), event.kind.as_str());
        text.extend_from_slice(format!("id: {id}\nevent: {kind}\ndata: ").as_bytes());
        let view = EventView::of(event, customers)?;
        serde_json::to_writer(&mut text, &view).map_err(|_| Failure::Internal)?;
        text.extend_from_slice(b"\n\n");
    }
    Ok(Part { text, events: page.events.len(), has_more: page.has_more, next: cursors.behind(page.next) })
}
