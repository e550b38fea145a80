//! Reads one complete response after another, however long each takes. `wrk` counts only responses that are complete
//! when its time is over, but the list of the largest merchant may take longer than a measurement.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::workload::LoadResult;

/// The timeout of each read and write.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest time of a response.
const LONGEST: Duration = Duration::from_mins(2);

/// The end of a chunked body (RFC 9112 §7.1).
const END: &[u8] = b"\r\n0\r\n\r\n";

/// Requests `path` with `key` again and again until `seconds` have passed, but at least once.
///
/// A response that is an error, incomplete or too slow is counted as failed, and its rows are not counted.
///
/// # Errors
/// If the service cannot be reached.
pub fn read(service: SocketAddr, path: &str, key: &str, seconds: u32) -> io::Result<LoadResult> {
    let (started, mut took, mut failed, mut rows) = (Instant::now(), Vec::new(), 0, 0);
    while took.is_empty() || started.elapsed() < Duration::from_secs(seconds.into()) {
        let sent = Instant::now();
        match count_rows(request(service, path, key)?, sent + LONGEST) {
            Some(counted) => rows += counted,
            None => failed += 1,
        }
        took.push(sent.elapsed().as_secs_f64() * 1e6);
    }
    Ok(LoadResult::of_times(took, started.elapsed().as_secs_f64(), failed, rows))
}

fn request(service: SocketAddr, path: &str, key: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&service, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {service}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Reads to the end and returns the number of rows. `None` if the response is not a complete success. Only its
/// beginning and its end are kept.
///
/// A row is an object without objects inside, in one object around all rows, and no value of the benchmark has a brace.
/// So the rows can be counted by single bytes, which a boundary between two chunks does not divide.
fn count_rows(mut stream: impl Read, until: Instant) -> Option<u64> {
    let (mut buffer, mut begin, mut end) = (vec![0; 1 << 16], Vec::new(), Vec::new());
    let mut objects = 0_u64;
    while Instant::now() < until {
        let length = stream.read(&mut buffer).ok()?;
        if length == 0 {
            let is_complete = begin.starts_with(b"HTTP/1.1 200 ") && end.ends_with(END);
            return is_complete.then_some(objects.saturating_sub(1));
        }
        objects += buffer[..length].iter().map(|byte| u64::from(*byte == b'{')).sum::<u64>();
        begin.extend_from_slice(&buffer[..length.min(64 - begin.len().min(64))]);
        end.extend_from_slice(&buffer[..length]);
        end.drain(..end.len().saturating_sub(END.len()));
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// The result if the service sends these bytes.
    fn read_from(response: &'static [u8]) -> LoadResult {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut request = [0; 1024];
            let length = stream.read(&mut request).expect("a request");
            stream.write_all(response).expect("a client that reads");
            String::from_utf8_lossy(&request[..length]).into_owned()
        });
        let result = read(address, "/api/customers", "a-key", 0).expect("a service that listens");
        let request = service.join().expect("no panic");
        assert!(request.starts_with("GET /api/customers HTTP/1.1\r\n"), "{request}");
        assert!(request.contains(" Bearer a-key\r\n"), "{request}");
        result
    }

    #[test]
    fn a_response_is_read_to_its_end_and_its_rows_are_counted() {
        let result = read_from(
            b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n\
              13\r\n{\"customers\":[{\"id\"\r\n10\r\n:\"1\"},{\"id\":2}]}\r\n0\r\n\r\n",
        );
        assert_eq!((result.requests.to_string(), result.failed.to_string()), ("1".to_owned(), "0".to_owned()));
        assert_eq!(result.rows, Some(2.0));
        assert!(result.p999 > 0.0 && result.mean <= result.seconds * 1e6, "{result:?}");
    }

    #[test]
    fn an_error_or_an_incomplete_response_has_failed() {
        for response in [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n"[..],
            b"HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            b"",
        ] {
            let result = read_from(response);
            assert_eq!((result.failed.to_string(), result.rows), ("1".to_owned(), Some(0.0)));
        }
    }
}
