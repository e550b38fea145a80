//! A receiver of webhooks: an HTTP server that keeps what it is sent and answers as the test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use serde_json::Value;

use crate::deadline::{TIMEOUT, until};

/// A request that a [`Receiver`] was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    headers: Vec<(String, String)>,
    body: String,
    /// The status of its answer.
    pub status: u16,
}

impl Received {
    /// The value of a header; the name in lower case.
    ///
    /// # Panics
    /// If there is none.
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.map_or_else(|| panic!("no {name} in {self:?}"), |(_, value)| value.as_str())
    }

    /// The body as it was sent.
    #[must_use]
    pub fn body(&self) -> &str {
        &self.body
    }

    /// The body, which is an event.
    ///
    /// # Panics
    /// If it is no JSON.
    #[must_use]
    pub fn event(&self) -> Value {
        serde_json::from_str(&self.body).expect("an event")
    }
}

/// An answer: its status, and further headers, each with the end of its line.
pub type Answer = (u16, &'static str);

type Respond = dyn Fn(&Received) -> Answer + Send + Sync;

/// A receiver. Its threads live until the test process ends.
pub struct Receiver {
    address: SocketAddr,
    received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// A receiver that answers every request with 200.
    #[must_use]
    pub fn start() -> Self {
        Self::answering(|_| (200, ""))
    }

    /// A receiver that answers as `respond` says, which may take its time: each connection has a thread.
    ///
    /// # Panics
    /// If there is no free port.
    #[must_use]
    pub fn answering(respond: impl Fn(&Received) -> Answer + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let received: Arc<Mutex<Vec<Received>>> = Arc::default();
        let (kept, respond): (_, Arc<Respond>) = (Arc::clone(&received), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, respond) = (Arc::clone(&kept), Arc::clone(&respond));
                // A connection that ends in the middle is that of a service that was killed.
                thread::spawn(move || serve(stream, &kept, respond.as_ref()));
            }
        });
        Self { address, received }
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/hooks", self.address)
    }

    /// What it was sent so far, in the order of its answers.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        self.lock().clone()
    }

    /// Waits until it was sent `count` requests, and returns them.
    ///
    /// # Panics
    /// If it is not sent so many.
    #[must_use]
    pub fn wait_for(&self, count: usize) -> Vec<Received> {
        until(&format!("{count} deliveries"), TIMEOUT, || Some(self.received()).filter(|all| all.len() >= count))
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Received>> {
        self.received.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn serve(mut stream: TcpStream, received: &Mutex<Vec<Received>>, respond: &Respond) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    loop {
        let mut request = read(&mut reader)?;
        let (status, headers) = respond(&request);
        request.status = status;
        received.lock().unwrap_or_else(PoisonError::into_inner).push(request);
        write!(stream, "HTTP/1.1 {status} X\r\n{headers}Content-Length: 2\r\n\r\nok").ok()?;
    }
}

/// `None` if the connection ends before a request is complete.
fn read(reader: &mut BufReader<TcpStream>) -> Option<Received> {
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        match line.trim_end() {
            "" => break,
            line => lines.push(line.to_owned()),
        }
    }
    let header = |line: &String| line.split_once(": ").map(|(name, value)| (name.to_lowercase(), value.to_owned()));
    let headers: Vec<_> = lines.iter().skip(1).filter_map(header).collect();
    let length = headers.iter().find(|(name, _)| name == "content-length")?.1.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { headers, body: String::from_utf8(body).ok()?, status: 0 })
}
