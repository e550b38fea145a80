//! Measures how soon a change is in the stream of events: writers create customers at a steady rate, and one reader has the
//! stream of the same merchant open.

use std::collections::HashMap;
use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{self, Client, broken};
use crate::workload::LoadResult;

/// The writes per second of all writers together.
pub const RATE: u32 = 1000;

/// The time before the first write: the stream begins with the events that are there already.
const PAUSE: Duration = Duration::from_secs(1);

/// The writers. Each has a connection, and one request at a time.
const WRITERS: u32 = 20;

/// The time from the response to a create until its event is in the stream, which is 0 if the event is there first. An event
/// that does not come within [`http::TIMEOUT`] counts as failed. `number` must be different for each run.
///
/// # Errors
/// If the service cannot be reached, refuses a request, or ends the stream.
pub fn measure(service: SocketAddr, key: &str, seconds: u32, number: u32) -> io::Result<LoadResult> {
    let stream = open(service, key)?;
    let mark = format!("stream-{number}-");
    let started = Instant::now() + PAUSE;
    let (written, seen) = thread::scope(|scope| {
        let mark = &mark;
        let writer = |index| move || write(service, key, started, seconds, &format!("{mark}{index}-"), index);
        let writers: Vec<_> = (0..WRITERS).map(|index| scope.spawn(writer(index))).collect();
        let reader = scope.spawn(move || see(stream, mark, RATE * seconds));
        let written = writers.into_iter().map(|writer| writer.join().expect("no panic"));
        let written: io::Result<Vec<_>> = written.collect();
        (written, reader.join().expect("no panic"))
    });
    let (written, seen) = (written?, seen?);
    let written: Vec<_> = written.into_iter().flatten().collect();
    let last = written.iter().map(|(_, at)| *at).max().unwrap_or(started);
    let late = |(customer, acknowledged): &(String, Instant)| {
        let seen = seen.get(customer)?;
        Some(seen.saturating_duration_since(*acknowledged).as_secs_f64() * 1e6)
    };
    let took: Vec<f64> = written.iter().filter_map(late).collect();
    if took.is_empty() {
        return Err(broken("an event of a create"));
    }
    let failed = u32::try_from(written.len() - took.len()).unwrap_or(u32::MAX);
    let rows = took.len() as u64;
    Ok(LoadResult::of_times(took, (last - started).as_secs_f64(), failed, rows))
}

/// Creates customers until `seconds` have passed, each at its time and with an address that begins with `mark`. Returns their
/// ids, and when each was acknowledged.
fn write(
    service: SocketAddr,
    key: &str,
    started: Instant,
    seconds: u32,
    mark: &str,
    writer: u32,
) -> io::Result<Vec<(String, Instant)>> {
    let mut client = Client::connect(service, key)?;
    let mut written = Vec::new();
    for count in 0..RATE * seconds / WRITERS {
        let due = started + Duration::from_secs(1) * (count * WRITERS + writer) / RATE;
        thread::sleep(due.saturating_duration_since(Instant::now()));
        let email = format!("{mark}{count}@example.com");
        let body = client.send("POST", "/v1/customers", &json!({ "email": email, "name": "Streamed" }).to_string())?;
        let acknowledged = Instant::now();
        let created: Value = serde_json::from_slice(&body)?;
        let id = created["id"].as_str().ok_or_else(|| broken("a customer"))?;
        written.push((id.to_owned(), acknowledged));
    }
    Ok(written)
}

/// Opens the stream, as a client of HTTP/1.0, which the service answers without chunks.
fn open(service: SocketAddr, key: &str) -> io::Result<BufReader<TcpStream>> {
    let mut stream = TcpStream::connect_timeout(&service, http::TIMEOUT)?;
    stream.set_read_timeout(Some(http::TIMEOUT))?;
    write!(
        stream,
        "GET /v1/events HTTP/1.0\r\nHost: {service}\r\nAuthorization: Bearer {key}\r\nAccept: text/event-stream\r\n\r\n"
    )?;
    let mut stream = BufReader::new(stream);
    let status = http::line(&mut stream)?.unwrap_or_default();
    if !status.contains(" 200 ") {
        return Err(broken(&format!("a stream, but {status}")));
    }
    Ok(stream)
}

/// Reads the stream until it has had `count` events with `mark`, or none for [`http::TIMEOUT`]. Returns the customer of each,
/// and when its line was there.
fn see(mut stream: BufReader<TcpStream>, mark: &str, count: u32) -> io::Result<HashMap<String, Instant>> {
    let mut seen = HashMap::new();
    let mut last = Instant::now();
    while seen.len() < count as usize && last.elapsed() < http::TIMEOUT {
        let line = http::line(&mut stream)?.ok_or_else(|| broken("the stream to its end"))?;
        if let Some(data) = line.strip_prefix("data: ").filter(|data| data.contains(mark)) {
            last = Instant::now();
            let event: Value = serde_json::from_str(data)?;
            let customer = event["customer_id"].as_str().ok_or_else(|| broken("an event"))?;
            seen.insert(customer.to_owned(), last);
        }
    }
    Ok(seen)
}
