//! Many callers at one time.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use roster_application::ports::Store;

/// How long a race may take before it counts as a deadlock.
const DEADLINE: Duration = Duration::from_mins(1);

/// What one thread of a race does.
pub type Racer<T> = Box<dyn FnOnce(&Arc<dyn Store>) -> T + Send>;

/// Starts all racers at the same moment, each in its own thread, and gives their results in their order.
pub fn race<T: Send + 'static>(store: &Arc<dyn Store>, racers: Vec<Racer<T>>) -> Vec<T> {
    let count = racers.len();
    let start = Arc::new(Barrier::new(count));
    let (finish, finished) = mpsc::channel();
    let threads: Vec<_> = racers
        .into_iter()
        .enumerate()
        .map(|(place, racer)| {
            let (store, start, finish) = (Arc::clone(store), Arc::clone(&start), finish.clone());
            thread::spawn(move || {
                start.wait();
                let result = racer(&store);
                // The receiver is gone if another racer has failed the case.
                drop(finish.send((place, result)));
            })
        })
        .collect();
    drop(finish);
    let results = collect(&finished, count);
    // Each has sent its result, but may still hold the store, which must not outlive its case.
    for thread in threads {
        thread.join().expect("a racer that has finished");
    }
    results
}

fn collect<T>(finished: &mpsc::Receiver<(usize, T)>, count: usize) -> Vec<T> {
    let deadline = Instant::now() + DEADLINE;
    let mut results = Vec::with_capacity(count);
    while results.len() < count {
        match finished.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(result) => results.push(result),
            Err(RecvTimeoutError::Timeout) => panic!("{} racers still run: a deadlock", count - results.len()),
            Err(RecvTimeoutError::Disconnected) => panic!("a racer failed: its message is above"),
        }
    }
    results.sort_by_key(|(place, _)| *place);
    results.into_iter().map(|(_, result)| result).collect()
}
