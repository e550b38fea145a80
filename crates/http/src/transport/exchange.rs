//! What a connection and the requests on it know of each other.
//!
//! actix-http reads requests from a connection and calls the service with each, but tells neither of the other. The
//! connection must know how far a request has come, to bound what it reads and to end when nothing is owed to the client;
//! a request must know whether it is the last one.

use std::cell::Cell;
use std::sync::Arc;

use tokio::time::Instant;

use crate::transport::stop::Stop;

/// How far the current request of a connection has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    /// Its head is being read, or the connection is idle.
    Head,
    /// Its body is being read.
    Body,
    /// It is being answered.
    Answer,
}

/// The state that a connection and its requests share.
#[derive(Debug)]
pub(crate) struct Exchange {
    phase: Cell<Phase>,
    requests: Cell<u64>,
    is_last: Cell<bool>,
    /// When the current request has last shown that it goes on.
    went_on: Cell<Option<Instant>>,
    stop: Arc<Stop>,
}

impl Exchange {
    /// For a new connection.
    pub(crate) fn new(stop: Arc<Stop>) -> Self {
        Self {
            phase: Cell::new(Phase::Head),
            requests: Cell::new(0),
            is_last: Cell::new(false),
            went_on: Cell::new(None),
            stop,
        }
    }

    /// How far the current request has come.
    pub(crate) fn phase(&self) -> Phase {
        self.phase.get()
    }

    /// How many heads have been read.
    pub(crate) fn requests(&self) -> u64 {
        self.requests.get()
    }

    /// Whether the service is stopping and each answer is the last on its connection.
    pub(crate) fn is_stopping(&self) -> bool {
        self.stop.is_closing()
    }

    /// Whether the connection ends with the answer to the current request, or to the previous one if that is answered.
    pub(crate) fn is_last(&self) -> bool {
        self.is_last.get()
    }

    /// The connection is to end with the answer to the current request.
    pub(crate) fn make_last(&self) {
        self.is_last.set(true);
    }

    /// The body goes on to be received, however long it takes: the time until the answer begins anew.
    pub(crate) fn goes_on(&self) {
        self.went_on.set(Some(Instant::now()));
    }

    /// When the body of a request last went on.
    pub(crate) fn went_on(&self) -> Option<Instant> {
        self.went_on.get()
    }

    /// A head has been read.
    pub(crate) fn head_received(&self) {
        self.requests.set(self.requests.get() + 1);
        self.phase.set(Phase::Body);
    }

    /// The body has been read, or as much of it as ever will be.
    pub(crate) fn body_received(&self) {
        self.phase.set(Phase::Answer);
    }

    /// The whole answer has been given to the connection.
    pub(crate) fn answered(&self) {
        self.phase.set(Phase::Head);
    }
}
