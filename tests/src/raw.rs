//! What a well-behaved client library refuses to send, and reading no faster than one wishes.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::{Shutdown, SocketAddr, TcpStream};

use crate::client::Answer;
use crate::deadline::GENEROUS;

/// One connection, byte by byte.
#[derive(Debug)]
pub struct Connection {
    stream: BufReader<TcpStream>,
}

impl Connection {
    /// Connects; nothing on the connection takes longer than [`GENEROUS`] time from then on.
    ///
    /// # Errors
    /// If nobody listens.
    pub fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&address, GENEROUS)?;
        stream.set_read_timeout(Some(GENEROUS))?;
        stream.set_write_timeout(Some(GENEROUS))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream) })
    }

    /// Sends all of `bytes`, unless the other side hangs up.
    ///
    /// # Errors
    /// If it does.
    pub fn send(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes)
    }

    /// Says that nothing more is sent.
    ///
    /// # Errors
    /// If the other side hung up.
    pub fn finish(&mut self) -> io::Result<()> {
        self.stream.get_mut().shutdown(Shutdown::Write)
    }

    /// Reads one answer. `None` if the other side hangs up instead.
    ///
    /// # Errors
    /// If what comes is no HTTP/1.1, or nothing comes.
    pub fn answer(&mut self) -> io::Result<Option<Answer>> {
        let Some(mut answer) = self.head()? else { return Ok(None) };
        if answer.status < 200 || answer.status == 204 || answer.status == 304 {
            return Ok(Some(answer));
        }
        answer.body = if answer.header("transfer-encoding").is_some() {
            self.chunks()?
        } else {
            let length = answer.header("content-length").and_then(|length| length.parse().ok());
            self.exactly(length.ok_or_else(|| broken("an answer without a length"))?)?
        };
        Ok(Some(answer))
    }

    /// Reads the head of an answer, and leaves its body to be read. `None` if the other side hangs up instead.
    ///
    /// # Errors
    /// If what comes is no HTTP/1.1, or nothing comes.
    pub fn head(&mut self) -> io::Result<Option<Answer>> {
        let Some(first) = self.line()? else { return Ok(None) };
        let status = first.strip_prefix("HTTP/1.1 ").and_then(|rest| rest.get(..3)).and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| broken(&first))?;
        let mut answer = Answer { status, headers: Vec::new(), body: Vec::new() };
        loop {
            let line = self.line()?.ok_or_else(|| broken("half a head"))?;
            if line.is_empty() {
                return Ok(Some(answer));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| broken(&line))?;
            answer.headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads the next chunk of a chunked body. `None` behind the last.
    ///
    /// # Errors
    /// If what comes is no chunk, or nothing comes.
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

    /// A line without its end. `None` at the end of the stream.
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

/// Sends `request` on a connection of its own and reads the answer. `None` if there is none.
///
/// Whoever answers before it has read everything may hang up on the rest; that is no fault here.
///
/// # Panics
/// If nobody listens.
#[must_use]
pub fn exchange(address: SocketAddr, request: &[u8]) -> Option<Answer> {
    let mut connection = Connection::open(address).expect("a service that listens");
    let _sent = connection.send(request);
    connection.answer().ok().flatten()
}

/// A request with a body of exactly these bytes.
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
