//! An endpoint: an HTTP/1.1 server over a real socket, which answers each request as the test says.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// Longer than any step of these tests takes.
pub const GENEROUS: Duration = Duration::from_secs(20);

/// A request as it came, with the header names in lower case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    pub line: String,
    pub headers: Vec<(String, String)>,
    pub body: String,
    /// The number of the connection that it came by, from 1.
    pub connection: usize,
}

impl Received {
    /// The value of a header that was sent once.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut values = self.headers.iter().filter(|(found, _)| found == name);
        let (_, value) = values.next()?;
        assert_eq!(values.next(), None, "{name} was sent twice");
        Some(value)
    }
}

pub struct Endpoint {
    address: SocketAddr,
    received: mpsc::Receiver<Received>,
    connections: Arc<Mutex<usize>>,
}

impl Endpoint {
    /// A server that writes `answer` to each request. Its threads live until the test process ends.
    pub fn answering(answer: impl Into<Vec<u8>>) -> Self {
        let answer = answer.into();
        Self::start(move |stream| stream.write_all(&answer).is_ok())
    }

    /// A server that calls `respond` for each request. The connection is closed if that returns false.
    pub fn start(respond: impl Fn(&mut TcpStream) -> bool + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("its address");
        let (sender, received) = mpsc::channel();
        let connections = Arc::new(Mutex::new(0));
        let (counted, respond) = (Arc::clone(&connections), Arc::new(respond));
        thread::spawn(move || {
            for stream in listener.incoming() {
                let stream = stream.expect("a connection");
                let connection = {
                    let mut count = counted.lock().expect("a count");
                    *count += 1;
                    *count
                };
                let (sender, respond) = (sender.clone(), Arc::clone(&respond));
                thread::spawn(move || serve(stream, connection, &sender, respond.as_ref()));
            }
        });
        Self { address, received, connections }
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The next request.
    pub fn next(&self) -> Received {
        self.received.recv_timeout(GENEROUS).expect("a request")
    }

    /// How many connections were made so far: to know that none is on its way, makes one itself and waits for it.
    pub fn connections(&self) -> usize {
        // Connections are accepted in the order in which they were made.
        let mut own = TcpStream::connect(self.address).expect("a connection");
        own.write_all(b"GET /count HTTP/1.1\r\n\r\n").expect("a written request");
        while self.next().line != "GET /count HTTP/1.1" {}
        *self.connections.lock().expect("a count") - 1
    }
}

fn serve(
    mut stream: TcpStream,
    connection: usize,
    sender: &mpsc::Sender<Received>,
    respond: &dyn Fn(&mut TcpStream) -> bool,
) {
    let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
    while let Some(request) = read(&mut reader, connection) {
        // The test may have ended.
        if sender.send(request).is_err() || !respond(&mut stream) {
            return;
        }
    }
}

/// `None` if the connection ends before a request is complete.
fn read(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Received> {
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
    let headers: Vec<_> = lines[1..]
        .iter()
        .map(|line| line.split_once(": ").expect("a header"))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.iter().find(|(name, _)| name == "content-length").map_or("0", |(_, value)| value);
    let mut body = vec![0; length.parse().expect("a length")];
    reader.read_exact(&mut body).ok()?;
    Some(Received { line: lines.swap_remove(0), headers, body: String::from_utf8(body).expect("UTF-8"), connection })
}

/// A complete answer.
pub fn answer(status: &str, headers: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n{headers}\r\n{body}", body.len())
}
