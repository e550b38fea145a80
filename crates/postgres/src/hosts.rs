//! Opens a connection to one of the hosts of a connection string.
//!
//! libpq asks one host after the other, and waits for one that is silent until its timeout, with each connection anew. Where
//! the string names several hosts and says which kind it wants (`target_session_attrs`), each host is asked by itself here: one
//! that is silent keeps no other from being asked, and the one that was right the last time is asked first.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::{Duration, Instant};

use crate::conninfo::Conninfo;
use crate::session::{Opened, SessionError, connect, set_up};

/// How long a host may be silent before the next is asked, too, and before those are asked again that have refused: one of
/// them may have become the primary meanwhile.
const HEAD_START: Duration = Duration::from_millis(250);

/// The most attempts to connect that wait at the same time, those included that were given up.
const MAX_ATTEMPTS: usize = 32;

/// The hosts of a connection string.
pub struct Hosts {
    /// The connection string with each host alone.
    each: Vec<Conninfo>,
    /// The place of the host that is asked first.
    first: AtomicUsize,
    /// How long the setting up of a connection may take.
    deadline: Duration,
    /// Each attempt to connect that has not ended holds a clone.
    running: Arc<()>,
}

/// A step of an attempt at one host.
enum Step {
    /// libpq has made a connection, or has given up.
    Connected,
    /// The end of the attempt at the host in this place.
    Ended(usize, Result<Opened, SessionError>),
}

/// Reports [`Step::Connected`] when it is dropped, also by a panic.
struct Connecting(Sender<Step>);

impl Drop for Connecting {
    fn drop(&mut self) {
        // An error, here and below, means that nothing waits for the attempt any more.
        let _ = self.0.send(Step::Connected);
    }
}

impl Hosts {
    /// The hosts of `conninfo`, whose connections may take `deadline` to be set up.
    pub fn new(conninfo: &Conninfo, deadline: Duration) -> Self {
        Self { each: conninfo.hosts(), first: AtomicUsize::new(0), deadline, running: Arc::default() }
    }

    /// Opens a connection.
    ///
    /// It does so on threads that are left alone if the connection is not there in time: libpq's own timeout ends with the
    /// handshake, and a server may freeze right after it.
    ///
    /// # Errors
    /// The error of the host that has ended last, or [`SessionError::Silent`] if one is silent after the handshake.
    pub fn establish(&self) -> Result<Opened, SessionError> {
        let first = self.first.load(Ordering::Relaxed);
        let outcome = self.establish_beginning_with(first);
        let next = match &outcome {
            Ok((host, ..)) => *host,
            // The next attempt waits for no silent host first.
            Err(_) => (first + 1) % self.each.len(),
        };
        self.first.store(next, Ordering::Relaxed);
        outcome.map(|(_, opened)| opened)
    }

    fn establish_beginning_with(&self, first: usize) -> Result<(usize, Opened), SessionError> {
        let count = self.each.len();
        let (sender, steps) = mpsc::channel();
        let begun = Instant::now();
        // Attempts that have not ended, and those of them that libpq has not ended.
        let (mut open, mut connecting) = (0, 0);
        let mut not_asked = (0..count).map(|place| (first + place) % count);
        let mut to_ask: Vec<usize> = not_asked.next().into_iter().collect();
        let (mut refused, mut connected_at) = (Vec::new(), begun);
        loop {
            for host in to_ask.drain(..) {
                self.ask(host, &sender)?;
                (open, connecting) = (open + 1, connecting + 1);
            }
            match steps.recv_timeout(HEAD_START) {
                Ok(Step::Connected) => {
                    connecting -= 1;
                    connected_at = Instant::now();
                }
                Ok(Step::Ended(host, Ok(opened))) => return Ok((host, opened)),
                Ok(Step::Ended(host, Err(error))) => {
                    open -= 1;
                    refused.push(host);
                    to_ask.extend(not_asked.next());
                    if open == 0 && to_ask.is_empty() {
                        return Err(error);
                    }
                }
                // libpq ends the wait for a handshake, by the timeout of the connection string.
                Err(_) if connecting == 0 && connected_at.elapsed() >= self.deadline => {
                    return Err(SessionError::Silent);
                }
                Err(_) => {
                    to_ask.extend(not_asked.by_ref());
                    if begun.elapsed() < self.deadline {
                        to_ask.append(&mut refused);
                    }
                }
            }
        }
    }

    /// Starts an attempt at the host in this place.
    fn ask(&self, host: usize, steps: &Sender<Step>) -> Result<(), SessionError> {
        let running = Arc::clone(&self.running);
        if Arc::strong_count(&running) > MAX_ATTEMPTS + 1 {
            return Err(SessionError::Silent);
        }
        let (conninfo, deadline, steps) = (self.each[host].clone(), self.deadline, steps.clone());
        let attempt = move || {
            let connecting = Connecting(steps.clone());
            let connection = connect(&conninfo);
            drop(connecting);
            let _ = steps.send(Step::Ended(host, connection.and_then(|connection| set_up(connection, deadline))));
            // It has counted as an attempt until now.
            drop(running);
        };
        thread::Builder::new().name("connect".to_owned()).spawn(attempt).map_err(|_| SessionError::Silent)?;
        Ok(())
    }
}
