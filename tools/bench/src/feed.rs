//! Reads the log of a merchant as a consumer does: one page after the other, over one connection.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::http::{Client, broken};
use crate::workload::LoadResult;

/// The events of a page.
const LIMIT: u32 = 1000;

/// Reads pages until `seconds` have passed, and begins anew at the end of the log.
///
/// # Errors
/// If the service cannot be reached or answers anything but a page.
pub fn read(service: SocketAddr, key: &str, seconds: u32) -> io::Result<LoadResult> {
    let mut client = Client::connect(service, key)?;
    let (started, mut took, mut rows, mut after) = (Instant::now(), Vec::new(), 0, String::new());
    while took.is_empty() || started.elapsed() < Duration::from_secs(seconds.into()) {
        let sent = Instant::now();
        let body = client.send("GET", &format!("/v1/events?order=asc&limit={LIMIT}{after}"), "")?;
        let Page { events, has_more, next } = Page::read(&body).ok_or_else(|| broken("a page"))?;
        rows += events;
        after = if has_more { format!("&after={next}") } else { String::new() };
        took.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(LoadResult::of_times(took, started.elapsed().as_secs_f64(), 0, rows))
}

/// What a reader needs of a page. Its events are counted and not parsed: the consumer is not what is measured.
#[derive(Debug, PartialEq)]
struct Page {
    events: u64,
    has_more: bool,
    next: String,
}

impl Page {
    fn read(body: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(body).ok()?;
        // Behind the events, of which no field has this name.
        let (events, end) = text.rsplit_once("],\"has_more\":")?;
        let end: Value = serde_json::from_str(&format!("{{\"has_more\":{end}")).ok()?;
        let events = u64::try_from(events.matches("\"event_id\":").count()).ok()?;
        Some(Self { events, has_more: end["has_more"].as_bool()?, next: end["next_cursor"].as_str()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_of_a_page_are_counted() {
        let page = br#"{"data":[{"id":"evt_1","event_id":"evt_1"},{"id":"evt_2","event_id":"evt_2"}],"has_more":true,"next_cursor":"x"}"#;
        assert_eq!(Page::read(page), Some(Page { events: 2, has_more: true, next: "x".to_owned() }));
        assert_eq!(Page::read(b"{}"), None);
    }
}
