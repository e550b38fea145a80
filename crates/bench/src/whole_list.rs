//! Reading one whole answer after another, however long one takes. `wrk` counts answers that are whole when its time is
//! up, which the list of the largest merchant never is where it takes longer than a round.

use std::io::{self, Read, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::workload::Answers;

/// How long an answer may take to go on.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long an answer may take in all.
const LONGEST: Duration = Duration::from_mins(2);

/// What a chunked body ends with (RFC 9112 §7.1).
const END: &[u8] = b"\r\n0\r\n\r\n";

/// Gets `path` with `key`, again and again, until `seconds` have passed, but once at least.
///
/// # Errors
/// If the service cannot be reached. An answer that is refused, cut off or too slow is counted as failed.
pub fn read(service: SocketAddr, path: &str, key: &str, seconds: u32) -> io::Result<Answers> {
    let (started, mut took, mut failed) = (Instant::now(), Vec::new(), 0);
    while took.is_empty() || started.elapsed() < Duration::from_secs(seconds.into()) {
        let asked = Instant::now();
        if !is_whole(ask(service, path, key)?, asked + LONGEST) {
            failed += 1;
        }
        took.push(asked.elapsed().as_secs_f64() * 1e6);
    }
    let seconds = started.elapsed().as_secs_f64();
    took.sort_by(f64::total_cmp);
    let at = |permille: usize| took[(took.len() * permille).div_ceil(1000).max(1) - 1];
    let requests = f64::from(u32::try_from(took.len()).unwrap_or(u32::MAX));
    Ok(Answers {
        requests,
        seconds,
        failed: f64::from(failed),
        mean: took.iter().sum::<f64>() / requests,
        p50: at(500),
        p99: at(990),
        p999: at(999),
    })
}

fn ask(service: SocketAddr, path: &str, key: &str) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect_timeout(&service, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let head =
        format!("GET {path} HTTP/1.1\r\nHost: {service}\r\nAuthorization: Bearer {key}\r\nConnection: close\r\n\r\n");
    stream.write_all(head.as_bytes())?;
    Ok(stream)
}

/// Reads to the end, and says whether that is a good answer and all of it. None of it is kept but its beginning and its
/// end.
fn is_whole(mut stream: impl Read, until: Instant) -> bool {
    let (mut buffer, mut begin, mut end) = (vec![0; 1 << 16], Vec::new(), Vec::new());
    while Instant::now() < until {
        let Ok(length) = stream.read(&mut buffer) else { return false };
        if length == 0 {
            return begin.starts_with(b"HTTP/1.1 200 ") && end.ends_with(END);
        }
        begin.extend_from_slice(&buffer[..length.min(64 - begin.len().min(64))]);
        end.extend_from_slice(&buffer[..length]);
        end.drain(..end.len().saturating_sub(END.len()));
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::thread;

    /// What is said of the first answer, if the service sends this.
    fn read_from(answer: &'static [u8]) -> Answers {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("an address");
        let service = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("a connection");
            let mut asked = [0; 1024];
            let length = stream.read(&mut asked).expect("a request");
            stream.write_all(answer).expect("somebody reads");
            String::from_utf8_lossy(&asked[..length]).into_owned()
        });
        let answers = read(address, "/api/customers", "a-key", 0).expect("somebody listens");
        let asked = service.join().expect("no panic");
        assert!(asked.starts_with("GET /api/customers HTTP/1.1\r\n") && asked.contains(" Bearer a-key\r\n"), "{asked}");
        answers
    }

    #[test]
    fn an_answer_is_waited_for_to_its_end() {
        let answers = read_from(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n");
        assert_eq!((answers.requests.to_string(), answers.failed.to_string()), ("1".to_owned(), "0".to_owned()));
        assert!(answers.p999 > 0.0 && answers.mean <= answers.seconds * 1e6, "{answers:?}");
    }

    #[test]
    fn what_is_refused_or_cut_off_has_failed() {
        for answer in [
            &b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n"[..],
            b"HTTP/1.1 503 Service Unavailable\r\ntransfer-encoding: chunked\r\n\r\n2\r\n[]\r\n0\r\n\r\n",
            b"",
        ] {
            assert_eq!(read_from(answer).failed.to_string(), "1");
        }
    }
}
