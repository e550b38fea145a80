//! Delivers events to the webhook endpoints of all tenants, beside the requests.
//!
//! A thread of its own leases endpoints, sends what is due, and records what came of it. Several processes do that on one
//! database: an endpoint is leased by one of them at a time. What a process has not recorded when it ends is sent again by the
//! next one that leases the endpoint.

use std::cell::Cell;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_util::future::{Either, select};
use roster_application::ports::{AttemptOutcome, StoreError};
use roster_application::{
    Delivery, DeliveryOutcome, Event, LeaseEnd, LeasedEndpoint, NextDelivery, Roster, Sent, TestEvent,
};
use roster_domain::{Customer, Endpoint, EventId, Excerpt, PayloadForm, Timestamp};
use roster_executor::{Handle, Handles};
use tokio::runtime;
use tokio::sync::watch;
use tokio::task::{JoinSet, LocalSet};
use tokio::time::{Instant, sleep, timeout};

use crate::schedule::Schedule;
use crate::sender::{self, Attempt, Outcome, Sender, StartError};
use crate::signing::{Ed25519Key, Secret, SigningKeys};

/// The most endpoints that a process delivers to at the same time. Each has at most some hundred events in memory.
const MAX_ENDPOINTS: usize = 256;

/// The most that are leased by one statement.
const LEASED_AT_ONCE: usize = 32;

/// How long an endpoint that always has events is delivered to while others wait for its place.
const TURN: Duration = Duration::from_secs(10);

/// How many of the longest attempts fit into a lease: if a process is killed, others deliver to its endpoints after so long.
const LEASE_IN_ATTEMPTS: u32 = 4;

/// How long it is until endpoints are looked for again, after some were found.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The same after none were found for a while.
const IDLE_LOOK_INTERVAL: Duration = Duration::from_millis(250);

/// How long it is until an endpoint that waits for answers is looked at for further events. It doubles while there are none.
const READ_INTERVAL: Duration = Duration::from_millis(50);

/// The longest it gets.
const MAX_READ_INTERVAL: Duration = Duration::from_secs(2);

/// How long it is until the database is asked again after it has failed.
const RETRY_INTERVAL: Duration = Duration::from_secs(1);

/// How long attempts that are being made when the process stops may take to end.
const DRAIN: Duration = Duration::from_secs(5);

/// How deliveries are made.
pub struct Settings {
    /// How requests are sent.
    pub sender: sender::Options,
    /// When attempts are made.
    pub schedule: Schedule,
    /// The most attempts that are made for one endpoint at the same time.
    pub concurrency: usize,
    /// The key of signatures that endpoints can check without a secret.
    pub ed25519: Option<Arc<Ed25519Key>>,
    /// Writes the body of a delivery.
    pub write_body: WriteBody,
}

/// Writes an event and, if the endpoint wants that, the customer as it is now, if there is one.
pub type WriteBody = fn(&Event, wants_customer: bool, Option<&Customer>) -> String;

/// The thread that delivers.
pub struct Worker {
    courier: Courier,
    stop: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
}

impl Worker {
    /// Starts to deliver what the use cases behind `handles` say.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn start(handles: Handles, settings: Settings) -> Result<Self, StartError> {
        let runtime = runtime::Builder::new_current_thread().enable_all().build().map_err(StartError::Thread)?;
        let Settings { sender, schedule, concurrency, ed25519, write_body } = settings;
        let courier = Courier::new(sender, ed25519, runtime.handle().clone())?;
        let shared = Arc::clone(&courier.shared);
        let (stop, stopping) = watch::channel(false);
        let (end, ended) = mpsc::channel();
        let work = move || {
            let deliverer = |handle| Deliverer {
                handle,
                shared,
                schedule,
                concurrency,
                lease: LEASE_IN_ATTEMPTS * sender.timeout,
                write_body,
                stopping,
                is_full: Cell::new(false),
            };
            LocalSet::new().block_on(&runtime, async { Rc::new(deliverer(handles.handle())).run().await });
            // An error means that `stop` has not waited so long.
            let _ = end.send(());
        };
        thread::Builder::new().name("webhooks".to_owned()).spawn(work).map_err(StartError::Thread)?;
        Ok(Self { courier, stop, ended })
    }

    /// What sends test events over the connections of this worker.
    #[must_use]
    pub fn courier(&self) -> Courier {
        self.courier.clone()
    }

    /// Begins nothing more, lets attempts end for 5 s, and gives all endpoints back to other processes. What is not recorded
    /// after `patience` more, because the database does not answer, is sent again by the next process.
    pub fn stop(self, patience: Duration) {
        self.stop.send_replace(true);
        if self.ended.recv_timeout(DRAIN + patience).is_err() {
            tracing::warn!("deliveries to webhooks have not ended; those that were not recorded are made again");
        }
    }
}

/// Sends test events: those that are sent at once, and once.
#[derive(Clone)]
pub struct Courier {
    /// The connections of the sender belong to this runtime.
    runtime: runtime::Handle,
    shared: Arc<Shared>,
}

struct Shared {
    sender: Sender,
    ed25519: Option<Arc<Ed25519Key>>,
}

impl Courier {
    /// What sends test events on `runtime`, which needs I/O and time, while that runs.
    ///
    /// # Errors
    /// [`StartError`]
    pub fn new(
        options: sender::Options,
        ed25519: Option<Arc<Ed25519Key>>,
        runtime: runtime::Handle,
    ) -> Result<Self, StartError> {
        Ok(Self { runtime, shared: Arc::new(Shared { sender: Sender::new(options)?, ed25519 }) })
    }

    /// Sends a test event. `body` is what it says.
    pub async fn send_test(&self, test: TestEvent, body: String) -> (AttemptOutcome, Sent) {
        let (shared, at) = (Arc::clone(&self.shared), test.created_at);
        let attempt = async move { shared.send(&test.endpoint, test.id, &body, at).await };
        let Ok(attempt) = self.runtime.spawn(attempt).await else {
            let error = Some(Excerpt::of(b"the service stops"));
            let sent = Sent { at, duration: Duration::ZERO, status: None, answer: None, error };
            return (AttemptOutcome::Failed, sent);
        };
        let outcome = match attempt.outcome {
            Outcome::Delivered => AttemptOutcome::Delivered,
            Outcome::Failed { .. } => AttemptOutcome::Failed,
            Outcome::Gone => AttemptOutcome::Gone,
        };
        (outcome, sent(attempt, at))
    }
}

impl Shared {
    async fn send(&self, endpoint: &Endpoint, event: EventId, body: &str, now: Timestamp) -> Attempt {
        // A secret that this service has made is one.
        let mut secrets = endpoint.secrets(now).filter_map(|secret| Secret::parse(secret.reveal()).ok());
        let Some(secret) = secrets.next() else {
            return Attempt::without_answer(Duration::ZERO, "the secret of the endpoint cannot be used");
        };
        let former_secrets: Vec<_> = secrets.collect();
        let keys = SigningKeys { secret: &secret, former_secrets: &former_secrets, ed25519: self.ed25519.as_deref() };
        let event_id = event.to_string();
        let delivery = sender::Delivery { url: &endpoint.settings.url, event_id: &event_id, body, keys, now };
        self.sender.send(&delivery).await
    }
}

fn sent(attempt: Attempt, at: Timestamp) -> Sent {
    let Attempt { status, duration, answer, error, .. } = attempt;
    let excerpt = |text: String| Excerpt::of(text.as_bytes());
    Sent { at, duration, status, answer: status.map(|_| excerpt(answer)), error: error.map(excerpt) }
}

/// What delivers, on its thread.
struct Deliverer {
    handle: Handle,
    shared: Arc<Shared>,
    schedule: Schedule,
    concurrency: usize,
    /// How long it has an endpoint without recording anything.
    lease: Duration,
    write_body: WriteBody,
    stopping: watch::Receiver<bool>,
    /// Whether endpoints may be waiting for a place.
    is_full: Cell<bool>,
}

/// A delivery to be made, with its body.
type Outgoing = (Delivery, String);

/// A delivery that was made.
type Made = (Delivery, DeliveryOutcome, Sent);

/// What is to be done with an endpoint after a step.
enum Next {
    /// These deliveries are to be made, perhaps none.
    Send(Vec<Outgoing>),
    /// No more are to be made. Those that are being made are recorded.
    Finish,
    /// Nothing: it is another worker's now, or may be.
    Leave,
}

impl Deliverer {
    async fn run(self: Rc<Self>) {
        let mut endpoints = JoinSet::new();
        let mut interval = LOOK_INTERVAL;
        while !self.is_stopping() {
            let room = MAX_ENDPOINTS.saturating_sub(endpoints.len()).min(LEASED_AT_ONCE);
            let leased = if room > 0 { self.lease(room).await } else { Some(Vec::new()) };
            self.is_full.set(room == 0);
            interval = match &leased {
                None => RETRY_INTERVAL,
                Some(leased) if !leased.is_empty() => LOOK_INTERVAL,
                Some(_) => (2 * interval).min(IDLE_LOOK_INTERVAL),
            };
            for leased in leased.into_iter().flatten() {
                endpoints.spawn_local(Rc::clone(&self).deliver(leased));
            }
            self.pause(interval).await;
            while endpoints.try_join_next().is_some() {}
        }
        while endpoints.join_next().await.is_some() {}
    }

    /// `None`: the database has failed.
    async fn lease(&self, room: usize) -> Option<Vec<LeasedEndpoint>> {
        let lease = self.lease;
        match self.handle.work_on_deliveries(move |roster| roster.lease_endpoints(room, lease)).await {
            Ok(Ok(leased)) => Some(leased),
            Ok(Err(error)) => {
                tracing::warn!(%error, "webhook endpoints cannot be leased");
                None
            }
            Err(error) => {
                tracing::warn!(%error, "webhook endpoints cannot be leased");
                None
            }
        }
    }

    fn is_stopping(&self) -> bool {
        *self.stopping.borrow()
    }

    /// Waits, at most until the process stops.
    async fn pause(&self, interval: Duration) {
        let mut stopping = self.stopping.clone();
        // Either way it is over.
        let _ = timeout(interval, stopping.wait_for(|stops| *stops)).await;
    }

    /// Delivers to an endpoint until nothing is due, or until it is another's turn.
    async fn deliver(self: Rc<Self>, mut leased: LeasedEndpoint) {
        let end_of_turn = Instant::now() + TURN;
        let mut attempts = JoinSet::new();
        let mut made: Vec<Made> = Vec::new();
        let (mut is_unrecorded, mut is_finishing, mut interval) = (false, false, READ_INTERVAL);
        loop {
            is_finishing |= self.is_stopping() || (self.is_full.get() && Instant::now() >= end_of_turn);
            is_unrecorded |= !made.is_empty();
            let step = Step {
                made: std::mem::take(&mut made),
                is_unrecorded,
                limit: (!is_finishing).then_some(self.concurrency),
                write_body: self.write_body,
            };
            let id = leased.endpoint().id;
            let done = self.handle.work_on_deliveries(move |roster| step.run(roster, leased)).await;
            let next = match done {
                Ok((returned, next)) => {
                    leased = returned;
                    next
                }
                Err(error) => {
                    // What is known of the deliveries went with the call; the lease ends by itself.
                    tracing::warn!(%error, endpoint = %id, "deliveries are not recorded, and are made again");
                    return;
                }
            };
            match next {
                Ok(Next::Leave) => return,
                Ok(Next::Finish) => (is_finishing, is_unrecorded) = (true, false),
                Ok(Next::Send(outgoing)) => {
                    is_unrecorded = false;
                    interval = if outgoing.is_empty() { (2 * interval).min(MAX_READ_INTERVAL) } else { READ_INTERVAL };
                    for outgoing in outgoing {
                        let endpoint = leased.endpoint().clone();
                        attempts.spawn_local(Rc::clone(&self).attempt(endpoint, outgoing));
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, endpoint = %id, "deliveries cannot be read or recorded");
                    is_unrecorded = true;
                    sleep(RETRY_INTERVAL).await;
                }
            }
            let first = timeout(interval, attempts.join_next()).await.ok().flatten();
            let others = std::iter::from_fn(|| attempts.try_join_next());
            for result in first.into_iter().chain(others) {
                match result {
                    Ok(result) => made.push(result),
                    Err(error) => {
                        tracing::error!(%error, endpoint = %id, "an attempt to deliver has failed inside the service");
                        return;
                    }
                }
            }
        }
    }

    async fn attempt(self: Rc<Self>, endpoint: Endpoint, (delivery, body): Outgoing) -> Made {
        let at = self.handle.now();
        let attempt = pin!(self.shared.send(&endpoint, delivery.event.id(), &body, at));
        let Either::Left((attempt, _)) = select(attempt, pin!(self.drained())).await else {
            let sent = Sent { at, duration: Duration::ZERO, status: None, answer: None, error: None };
            return (delivery, DeliveryOutcome::Unsent, sent);
        };
        let outcome = match attempt.outcome {
            Outcome::Delivered => DeliveryOutcome::Delivered,
            Outcome::Gone => DeliveryOutcome::Gone,
            Outcome::Failed { retry_after } => {
                let wait = self.schedule.next(delivery.number, retry_after, random());
                DeliveryOutcome::Failed { retry_at: wait.map(|wait| self.handle.now().plus(wait)) }
            }
        };
        (delivery, outcome, sent(attempt, at))
    }

    /// Waits until the process stops, and for [`DRAIN`] more.
    async fn drained(&self) {
        let mut stopping = self.stopping.clone();
        // An error means that the worker was dropped: that is a stop, too.
        let _ = stopping.wait_for(|stops| *stops).await;
        sleep(DRAIN).await;
    }
}

/// One call of the use cases for an endpoint.
struct Step {
    made: Vec<Made>,
    /// Whether there is something to record, of now or before.
    is_unrecorded: bool,
    /// How many deliveries may be made at the same time; `None`: no more are to be made.
    limit: Option<usize>,
    write_body: WriteBody,
}

impl Step {
    fn run(self, roster: &Roster, mut leased: LeasedEndpoint) -> (LeasedEndpoint, Result<Next, StoreError>) {
        let next = self.next(roster, &mut leased);
        (leased, next)
    }

    fn next(self, roster: &Roster, leased: &mut LeasedEndpoint) -> Result<Next, StoreError> {
        let Self { made, is_unrecorded, limit, write_body } = self;
        let Some(limit) = limit else {
            let is_held = roster.record_deliveries(leased, made, LeaseEnd::GiveBack)?;
            return Ok(if is_held { Next::Finish } else { Next::Leave });
        };
        if is_unrecorded && !roster.record_deliveries(leased, made, LeaseEnd::Keep)? {
            return Ok(Next::Leave);
        }
        let Some(deliveries) = roster.next_deliveries(leased, limit)? else { return Ok(Next::Finish) };
        if deliveries.is_empty() && leased.is_idle() {
            roster.record_deliveries(leased, Vec::new(), LeaseEnd::GiveBack)?;
            return Ok(Next::Leave);
        }
        let wants_customer = leased.endpoint().settings.form == PayloadForm::WithCustomer;
        let outgoing = |next: NextDelivery| {
            let body = write_body(&next.delivery.event, wants_customer, next.customer.as_ref());
            (next.delivery, body)
        };
        Ok(Next::Send(deliveries.into_iter().map(outgoing).collect()))
    }
}

/// A number from 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness, every wait is as the schedule has it.
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        return 0.5;
    }
    f64::from(u32::from_le_bytes(bytes)) / f64::from(u32::MAX)
}
