//! HTTP/1.1 for requests that `wrk` cannot send: one at a time, over one connection.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

/// The timeout of each read and write.
pub const TIMEOUT: Duration = Duration::from_secs(30);

/// A connection to the service, with the key of a merchant.
pub struct Client {
    stream: BufReader<TcpStream>,
    service: SocketAddr,
    key: String,
}

impl Client {
    /// Connects.
    pub fn connect(service: SocketAddr, key: &str) -> io::Result<Self> {
        let stream = TcpStream::connect_timeout(&service, TIMEOUT)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        stream.set_write_timeout(Some(TIMEOUT))?;
        stream.set_nodelay(true)?;
        Ok(Self { stream: BufReader::new(stream), service, key: key.to_owned() })
    }

    /// Sends a file as CSV, and returns the body of the response, as [`Client::send`] does.
    pub fn send_file(&mut self, path: &str, file: &Path) -> io::Result<Vec<u8>> {
        let mut file = File::open(file)?;
        let (service, key, length) = (self.service, &self.key, file.metadata()?.len());
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: {service}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: text/csv\r\nContent-Length: {length}\r\n\r\n"
        );
        self.stream.get_mut().write_all(head.as_bytes())?;
        io::copy(&mut file, self.stream.get_mut())?;
        self.receive()
    }

    /// Sends a request, with `body` as JSON, and returns the body of the response.
    ///
    /// # Errors
    /// If the response is not a success, is not complete, or takes longer than [`TIMEOUT`].
    pub fn send(&mut self, method: &str, path: &str, body: &str) -> io::Result<Vec<u8>> {
        let (service, key, length) = (self.service, &self.key, body.len());
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {service}\r\nAuthorization: Bearer {key}\r\n\
             Content-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}"
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        self.receive()
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        let (status, body) = read(&mut self.stream)?.ok_or_else(|| broken("a response"))?;
        if status.starts_with("HTTP/1.1 2") { Ok(body) } else { Err(broken(&format!("a success, but {status}"))) }
    }
}

/// Reads the first line and the body of a request or a response, which has a length, or no body. `None` at the end of the
/// connection.
pub fn read(stream: &mut impl BufRead) -> io::Result<Option<(String, Vec<u8>)>> {
    let Some(first) = line(stream)? else { return Ok(None) };
    let mut length = 0;
    loop {
        let header = line(stream)?.ok_or_else(|| broken("the end of the headers"))?;
        if header.is_empty() {
            break;
        }
        if let Some(value) = header.to_ascii_lowercase().strip_prefix("content-length: ") {
            length = value.parse().map_err(|_| broken("a length"))?;
        }
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body)?;
    Ok(Some((first, body)))
}

/// A line without its end. `None` at the end of the connection.
pub fn line(stream: &mut impl BufRead) -> io::Result<Option<String>> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 {
        return Ok(None);
    }
    line.truncate(line.trim_end().len());
    Ok(Some(line))
}

/// The error if something that is read is not `what`.
pub fn broken(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the service has not sent {what}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read_one_after_the_other() {
        let mut sent = &b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 204 No Content\r\n\r\n"[..];
        let mut next = || read(&mut sent).expect("a message");
        assert_eq!(next(), Some(("HTTP/1.1 200 OK".to_owned(), b"ok".to_vec())));
        assert_eq!(next(), Some(("HTTP/1.1 204 No Content".to_owned(), Vec::new())));
        assert_eq!(next(), None);
    }

    #[test]
    fn a_message_that_ends_too_early_is_an_error() {
        for mut sent in [&b"HTTP/1.1 200 OK\r\n"[..], b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\no"] {
            assert!(read(&mut sent).is_err());
        }
    }
}
