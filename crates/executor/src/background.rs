//! What is done now and then, without a request.

use std::convert::Infallible;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use roster_application::ports::StoreError;
use roster_application::{Roster, Sweep};

use crate::backlog::{Backlog, Walk};
use crate::feeds::Feeds;
use crate::replica::{self, Replica};
use crate::threads::{Turns, Worker};

/// How long the uses of keys are collected before they are written.
const KEY_USES_INTERVAL: Duration = Duration::from_secs(1);

/// How long what writes leave to do for the index for searches may wait while there is some of it.
const FLUSH_INTERVAL: Duration = Duration::from_millis(50);

/// The same after there was none.
const IDLE_FLUSH_INTERVAL: Duration = Duration::from_secs(1);

/// How long what has expired, and customers that are not indexed, may wait until they are looked for.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);

/// Ends the jobs when it is dropped. Nothing is sent.
pub(crate) struct Background {
    _ends: Vec<mpsc::Sender<Infallible>>,
}

impl Background {
    /// The jobs, each of which is to be run by a thread of its own.
    pub(crate) fn of(
        roster: &Roster,
        feeds: &Arc<Feeds>,
        backlog: &Arc<Backlog>,
        replica: Option<&Arc<Replica>>,
    ) -> (Self, Vec<Worker>) {
        let mut jobs = Jobs { roster: roster.clone(), turn: Arc::default(), ends: Vec::new(), workers: Vec::new() };
        jobs.repeat("key-uses", |roster| {
            move || {
                if let Err(error) = roster.record_api_key_uses() {
                    tracing::warn!(%error, "when keys were last used is not written");
                }
                KEY_USES_INTERVAL
            }
        });
        jobs.sweep("reply-sweeps", Roster::sweep_replies, "replies that have expired are not deleted");
        jobs.sweep("event-sweeps", Roster::prune_events, "events that are too old are not deleted");
        jobs.sweep("attempt-sweeps", Roster::sweep_attempts, "old attempts of deliveries are not deleted");
        jobs.sweep("operator-log", Roster::sweep_operator_log, "old entries of the operator log are not deleted");
        jobs.sweep("search-index", Roster::index_customers, "customers are not added to the index for searches");
        jobs.repeat("search-flushes", |roster| {
            move || {
                let was_needed = roster.flush_search_index().unwrap_or_else(|error| {
                    tracing::warn!(%error, "the index for searches is not flushed");
                    false
                });
                if was_needed { FLUSH_INTERVAL } else { IDLE_FLUSH_INTERVAL }
            }
        });
        let backlog = Arc::clone(backlog);
        jobs.repeat("webhook-backlog", move |roster| {
            let (backlog, mut walk) = (Arc::clone(&backlog), Walk::default());
            move || {
                backlog.look(&roster, &mut walk).unwrap_or_else(|error| {
                    tracing::warn!(%error, "what is not delivered to webhooks is not known");
                    SWEEP_INTERVAL
                })
            }
        });
        let feeds = Arc::clone(feeds);
        // Requests wait for it, so it waits for no other job.
        jobs.turn = Arc::default();
        jobs.repeat("feeds", move |roster| {
            let feeds = Arc::clone(&feeds);
            move || feeds.look(&roster)
        });
        if let Some(replica) = replica.cloned() {
            // It waits for a replica that does not answer, and no other job for it.
            jobs.turn = Arc::default();
            jobs.repeat("replica", move |roster| replica::looks(Arc::clone(&replica), roster));
        }
        (Self { _ends: jobs.ends }, jobs.workers)
    }
}

struct Jobs {
    roster: Roster,
    /// Held during a step: together the jobs take one connection to the database from the requests, and not one each.
    turn: Arc<Mutex<()>>,
    ends: Vec<mpsc::Sender<Infallible>>,
    workers: Vec<Worker>,
}

impl Jobs {
    /// Adds a job that does one step after the other until all merchants were looked through, and again some time later.
    fn sweep(
        &mut self,
        name: &str,
        step: fn(&Roster, Sweep) -> Result<Option<Sweep>, StoreError>,
        failure: &'static str,
    ) {
        self.repeat(name, move |roster| {
            let mut next = None;
            move || {
                let begun = Instant::now();
                next = step(&roster, next.unwrap_or_default()).unwrap_or_else(|error| {
                    tracing::warn!(%error, "{failure}");
                    None
                });
                // As long as the step took: a SQLite file has one writer at a time, and other processes look only now and
                // then whether it is their turn.
                if next.is_some() { begun.elapsed() } else { SWEEP_INTERVAL }
            }
        });
    }

    /// Adds a job whose steps say how long it is until the next. It does a last one when it ends. `begin` is called once for
    /// each thread that has the job: one that hangs is replaced.
    fn repeat<S: FnMut() -> Duration>(&mut self, name: &str, begin: impl Fn(Roster) -> S + Send + Sync + 'static) {
        let (end, ended) = mpsc::channel::<Infallible>();
        let ended = Mutex::new(ended);
        let wait = move |interval| ended.lock().unwrap_or_else(PoisonError::into_inner).recv_timeout(interval);
        let (roster, turn) = (self.roster.clone(), Arc::clone(&self.turn));
        let work = move |turns: &Turns| {
            let mut step = begin(roster.clone());
            let mut interval = Duration::ZERO;
            loop {
                let has_ended = wait(interval) == Err(RecvTimeoutError::Disconnected);
                let _turn = turn.lock().unwrap_or_else(PoisonError::into_inner);
                if turns.take(|| interval = step()).is_err() || has_ended {
                    return;
                }
            }
        };
        self.ends.push(end);
        self.workers.push(Worker { name: name.to_owned(), work: Box::new(work), is_watched: true });
    }
}
