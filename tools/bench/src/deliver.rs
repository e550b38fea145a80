//! Receives webhooks: the service delivers the log of a merchant, from its beginning, to a receiver on this machine.

use std::io::{self, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{self, Client, broken};
use crate::workload::LoadResult;

/// The pause between two looks at the number of deliveries: short compared with a measurement.
const PAUSE: Duration = Duration::from_millis(5);

/// Receives until `seconds` have passed, or until everything is delivered. The endpoint is deleted afterwards.
///
/// # Errors
/// If the service refuses the endpoint, or delivers nothing for [`http::TIMEOUT`].
pub fn receive(service: SocketAddr, key: &str, seconds: u32) -> io::Result<LoadResult> {
    let receiver = Receiver::start()?;
    let mut client = Client::connect(service, key)?;
    let endpoint = json!({"url": format!("http://{}/", receiver.address), "events": ["*"]}).to_string();
    let endpoint: Value = serde_json::from_slice(&client.send("POST", "/v1/webhooks", &endpoint)?)?;
    let endpoint = endpoint["id"].as_str().ok_or_else(|| broken("an endpoint"))?;
    let newest: Value = serde_json::from_slice(&client.send("GET", "/v1/events?limit=1", "")?)?;
    let all = newest["data"][0]["seq"].as_u64().ok_or_else(|| broken("an event"))?;
    client.send("POST", &format!("/v1/webhooks/{endpoint}/replay"), r#"{"from_seq":1}"#)?;
    let started = Instant::now();
    let arrived = loop {
        thread::sleep(PAUSE);
        let arrived = receiver.count.load(Ordering::Relaxed);
        let is_over = arrived >= all || started.elapsed() >= Duration::from_secs(seconds.into());
        if arrived > 0 && is_over {
            break arrived;
        }
        if started.elapsed() > http::TIMEOUT {
            return Err(broken("a delivery"));
        }
    };
    let took = started.elapsed();
    client.send("DELETE", &format!("/v1/webhooks/{endpoint}"), "")?;
    #[expect(clippy::cast_precision_loss, reason = "there are fewer than 2^53 events")]
    Ok(LoadResult::of_number(arrived as f64, took.as_secs_f64()))
}

/// A receiver that answers every request with 200.
struct Receiver {
    address: SocketAddr,
    count: Arc<AtomicU64>,
}

impl Receiver {
    fn start() -> io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0")?;
        let receiver = Self { address: listener.local_addr()?, count: Arc::default() };
        let count = Arc::clone(&receiver.count);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let count = Arc::clone(&count);
                // The service ends a connection that it does not need any more.
                thread::spawn(move || answer(stream, &count));
            }
        });
        Ok(receiver)
    }
}

fn answer(mut stream: TcpStream, count: &AtomicU64) -> io::Result<()> {
    stream.set_read_timeout(Some(http::TIMEOUT))?;
    stream.set_nodelay(true)?;
    let mut reader = BufReader::new(stream.try_clone()?);
    while http::read(&mut reader)?.is_some() {
        stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")?;
        count.fetch_add(1, Ordering::Relaxed);
    }
    Ok(())
}
