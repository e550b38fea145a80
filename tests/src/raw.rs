//! A client that sends any bytes, also those that an HTTP library refuses to send, and reads as slowly as a test wants.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::client::Response;
use crate::deadline::TIMEOUT;

/// A TCP connection.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects. Each read and each write takes at most [`TIMEOUT`].
    ///
    /// # Errors
    /// If the service does not listen.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends all of `bytes`.
    ///
    /// # Errors
    /// If the service has closed the connection.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Closes the sending half of the connection.
    ///
    /// # Errors
    /// If the service has closed the connection.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(Shutdown::Write)
    }

    /// Reads one response. `None` if the service closes the connection instead.
    ///
    /// # Errors
    /// If the bytes are not HTTP/1, or none arrive.
    pub fn response(&mut self) -> io::Result<Option<Response>> {
        let Some(mut response) = self.head()? else { return Ok(None) };
        if response.status < 200 || response.status == 204 || response.status == 304 {
            return Ok(Some(response));
        }
        response.body = if response.header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = response.header("content-length").and_then(|length| length.parse().ok());
            self.exactly(length.ok_or_else(|| broken("a response without a length"))?)?
        };
        Ok(Some(response))
    }

    /// Reads the head of a response, and not its body. `None` if the service closes the connection instead.
    ///
    /// # Errors
    /// If the bytes are not HTTP/1, or none arrive.
    pub fn head(&mut self) -> io::Result<Option<Response>> {
        let Some(first) = self.line()? else { return Ok(None) };
        let status = first.strip_prefix("HTTP/1.1 ").or_else(|| first.strip_prefix("HTTP/1.0 "));
        let status = status.and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| broken(&first))?;
        let mut response = Response { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?.ok_or_else(|| broken("half a head"))?;
            if line.is_empty() {
                return Ok(Some(response));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            response.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads all that comes until the service closes the connection.
    ///
    /// # Errors
    /// If it breaks the connection instead, or does neither.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.stream.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// Whether something has arrived that was not read. An error counts as well.
    #[must_use]
    pub fn has_response(&self) -> bool {
        let stream = self.stream.get_ref();
        // `peek` waits unless the socket is told not to.
        let peeked = stream.set_nonblocking(true).and_then(|()| stream.peek(&mut [0]));
        let _ = stream.set_nonblocking(false);
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Reads the next chunk of a chunked body. `None` after the last.
    ///
    /// # Errors
    /// If the bytes are not a chunk, or none arrive.
    pub fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = self.line()?.ok_or_else(|| broken("half a body"))?;
        let size = usize::from_str_radix(&size, 16).map_err(|_| broken(&size))?;
        let chunk = self.exactly(size)?;
        self.line()?;
        Ok((size > 0).then_some(chunk))
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        while let Some(chunk) = self.chunk()? {
            body.extend(chunk);
        }
        Ok(body)
    }

    fn exactly(&mut self, length: usize) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; length];
        self.stream.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// Reads a line, without its line ending. `None` at the end of the stream.
    fn line(&mut self) -> io::Result<Option<String>> {
        let mut line = Vec::new();
        if self.stream.read_until(b'\n', &mut line)? == 0 {
            return Ok(None);
        }
        let text = String::from_utf8_lossy(&line);
        Ok(Some(text.trim_end_matches(['\r', '\n']).to_owned()))
    }
}

fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("not HTTP: {what:?}"))
}

/// Sends `request` on a new connection and reads the response. `None` if there is none.
///
/// An error of the sending is ignored: the service may respond and close the connection before it has read everything.
///
/// # Panics
/// If the service does not listen.
#[must_use]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<Response> {
    let mut connection = Connection::open(address).expect("a service that listens");
    let _sent = connection.send(request);
    connection.response().ok().flatten()
}

/// The bytes of a request with this body.
#[must_use]
pub fn request(method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut request = format!("{method} {path} HTTP/1.1\r\nhost: roster\r\n").into_bytes();
    for (name, value) in headers {
        request.extend(format!("{name}: {value}\r\n").into_bytes());
    }
    request.extend(format!("content-length: {}\r\n\r\n", body.len()).into_bytes());
    request.extend(body);
    request
}

/// Raises the limit of open files of this process as far as the system permits: a shell often starts with a thousand.
/// Returns the limit.
///
/// # Panics
/// If the system refuses what it permits.
#[expect(clippy::must_use_candidate, reason = "most callers need no number")]
pub fn allow_open_files() -> u64 {
    let maximum = getrlimit(Resource::Nofile).maximum;
    setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum }).expect("a limit within the hard one");
    maximum.unwrap_or(u64::MAX)
}
