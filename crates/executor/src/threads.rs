//! The worker threads, and the watchdog that replaces those that hang.
//!
//! A call into a database may never return: a server that is frozen answers nothing and closes nothing. Nothing can end
//! such a thread from outside. It is left alone, and another one takes its place, so that its queue is served again. If
//! its call returns after all, it ends.

use std::convert::Infallible;
use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// The most threads that are left alone at a time. Beyond that none is replaced until one has ended.
const MAX_LEFT_ALONE: usize = 32;

/// The watchdog looks this many times in each time that a batch may take.
const LOOKS: u32 = 16;

/// How often a stopping executor looks whether a thread has ended.
const STOP_POLL: Duration = Duration::from_millis(1);

/// One worker.
pub struct Worker {
    /// The name of its thread.
    pub name: String,
    /// What it does: batches, each in a turn, until there are no more or its thread was replaced.
    pub work: Box<dyn Fn(&Turns) + Send + Sync>,
    /// Whether a thread that hangs is replaced.
    pub is_watched: bool,
}

/// The thread was replaced while it hung.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Replaced;

/// The batches of one thread.
pub struct Turns {
    place: Arc<Place>,
    /// Which of the threads that have had this place.
    number: u64,
}

/// The threads of an executor.
pub struct Threads {
    places: Vec<Arc<Place>>,
    watchdog: Watchdog,
}

struct Watchdog {
    /// Nothing is sent here: dropping it ends the thread.
    end: mpsc::Sender<Infallible>,
    thread: JoinHandle<()>,
}

/// The place of one worker, which one thread has at a time.
struct Place {
    worker: Worker,
    left_alone: Arc<AtomicUsize>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    thread: Option<JoinHandle<()>>,
    number: u64,
    /// When the current batch began.
    busy_since: Option<Instant>,
}

impl Threads {
    /// Starts a thread for each worker, and the watchdog, which replaces a thread whose batch takes longer than `limit`.
    ///
    /// # Errors
    /// If a thread cannot be started.
    pub fn start(workers: Vec<Worker>, limit: Duration) -> io::Result<Self> {
        let left_alone = Arc::<AtomicUsize>::default();
        let place = |worker| Place { worker, left_alone: Arc::clone(&left_alone), state: Mutex::default() };
        let places: Vec<_> = workers.into_iter().map(place).map(Arc::new).collect();
        places.iter().try_for_each(|place| place.fill(&mut place.lock()))?;
        let watched: Vec<_> = places.iter().filter(|place| place.worker.is_watched).cloned().collect();
        let (end, ended) = mpsc::channel();
        let watchdog = thread::Builder::new().name("watchdog".to_owned());
        let thread = watchdog.spawn(move || watch(&watched, limit, &ended))?;
        Ok(Self { places, watchdog: Watchdog { end, thread } })
    }

    /// Waits for the threads to end, whose queues must be closed, but not beyond `until`.
    pub fn join(self, until: Instant) {
        drop(self.watchdog.end);
        wait_for(&self.watchdog.thread, until);
        for place in self.places {
            let thread = place.lock().thread.take();
            if let Some(thread) = thread {
                wait_for(&thread, until);
            }
        }
    }
}

fn wait_for(thread: &JoinHandle<()>, until: Instant) {
    while !thread.is_finished() && Instant::now() < until {
        thread::sleep(STOP_POLL);
    }
}

/// Replaces threads that hang, until `end` is closed.
fn watch(places: &[Arc<Place>], limit: Duration, end: &mpsc::Receiver<Infallible>) {
    let pause = (limit / LOOKS).max(Duration::from_millis(1));
    while end.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
        for place in places {
            place.replace_if_hanging(limit);
        }
    }
}

impl Place {
    /// Starts a thread that has this place from now on.
    fn fill(self: &Arc<Self>, state: &mut State) -> io::Result<()> {
        let turns = Turns { place: Arc::clone(self), number: state.number + 1 };
        let work = move || (turns.place.worker.work)(&turns);
        state.thread = Some(thread::Builder::new().name(self.worker.name.clone()).spawn(work)?);
        state.number += 1;
        state.busy_since = None;
        Ok(())
    }

    fn replace_if_hanging(self: &Arc<Self>, limit: Duration) {
        let mut state = self.lock();
        let hangs = state.busy_since.is_some_and(|since| since.elapsed() > limit);
        if !hangs || self.left_alone.load(Ordering::SeqCst) >= MAX_LEFT_ALONE {
            return;
        }
        match self.fill(&mut state) {
            Ok(()) => {
                self.left_alone.fetch_add(1, Ordering::SeqCst);
                tracing::warn!(thread = self.worker.name, "a call into the database hangs; another thread goes on");
            }
            Err(error) => tracing::error!(%error, "a thread that hangs cannot be replaced"),
        }
    }

    /// Ignores lock poisoning: nothing that can panic is done under the lock.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turns {
    /// Runs one batch.
    ///
    /// # Errors
    /// [`Replaced`] if it took so long that another thread has the place now. This one must end.
    pub fn take(&self, batch: impl FnOnce()) -> Result<(), Replaced> {
        self.place.lock().busy_since = Some(Instant::now());
        batch();
        let mut state = self.place.lock();
        if state.number == self.number {
            state.busy_since = None;
            return Ok(());
        }
        drop(state);
        self.place.left_alone.fetch_sub(1, Ordering::SeqCst);
        Err(Replaced)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_mins(1);

    /// A worker whose batches are to wait for a message each, and the sender of these messages.
    fn worker(is_watched: bool) -> (Worker, mpsc::Sender<mpsc::Receiver<()>>, mpsc::Receiver<Result<(), Replaced>>) {
        let (send, batches) = mpsc::channel::<mpsc::Receiver<()>>();
        let (ended, ends) = mpsc::channel();
        let batches = Mutex::new(batches);
        let work = move |turns: &Turns| {
            loop {
                let next = batches.lock().expect("no panic").recv();
                let Ok(gate) = next else { return };
                let end = turns.take(|| gate.recv().unwrap_or_default());
                ended.send(end).expect("the test listens");
                if end.is_err() {
                    return;
                }
            }
        };
        (Worker { name: "test".to_owned(), work: Box::new(work), is_watched }, send, ends)
    }

    #[test]
    fn a_thread_that_hangs_is_replaced_and_ends_when_its_call_returns() {
        let (worker, batches, ends) = worker(true);
        let threads = Threads::start(vec![worker], Duration::from_millis(20)).expect("threads");
        let (release, gate) = mpsc::channel();
        batches.send(gate).expect("a thread");
        let (release_next, next_gate) = mpsc::channel();
        batches.send(next_gate).expect("a thread");
        release_next.send(()).expect("the next thread waits");
        assert_eq!(ends.recv_timeout(LONG), Ok(Ok(())), "the place is served again");
        release.send(()).expect("the first thread hangs there");
        assert_eq!(ends.recv_timeout(LONG), Ok(Err(Replaced)));
        drop(batches);
        threads.join(Instant::now() + LONG);
    }

    #[test]
    fn a_thread_that_may_take_long_is_not_replaced() {
        let (worker, batches, ends) = worker(false);
        let threads = Threads::start(vec![worker], Duration::from_millis(1)).expect("threads");
        let (release, gate) = mpsc::channel();
        batches.send(gate).expect("a thread");
        thread::sleep(Duration::from_millis(20));
        release.send(()).expect("the thread waits");
        assert_eq!(ends.recv_timeout(LONG), Ok(Ok(())));
        drop(batches);
        threads.join(Instant::now() + LONG);
    }

    #[test]
    fn the_number_of_threads_that_are_left_alone_is_bounded() {
        let (worker, batches, ends) = worker(true);
        let threads = Threads::start(vec![worker], Duration::from_millis(1)).expect("threads");
        let gates: Vec<_> = (0..=MAX_LEFT_ALONE)
            .map(|_| {
                let (release, gate) = mpsc::channel();
                batches.send(gate).expect("a thread");
                release
            })
            .collect();
        let place = Arc::clone(&threads.places[0]);
        let end = Instant::now() + LONG;
        let all_hang = |place: &Place| {
            let state = place.lock();
            usize::try_from(state.number).is_ok_and(|number| number == MAX_LEFT_ALONE + 1) && state.busy_since.is_some()
        };
        while !all_hang(&place) {
            assert!(Instant::now() < end, "threads were not replaced");
            thread::yield_now();
        }
        place.replace_if_hanging(Duration::ZERO);
        assert!(all_hang(&place));
        drop(gates);
        for _ in 0..=MAX_LEFT_ALONE {
            ends.recv_timeout(LONG).expect("a thread that goes on").ok();
        }
        drop(batches);
        threads.join(end);
    }
}
