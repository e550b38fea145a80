//! Work that takes longer than a request may wait for, such as an export: each on a thread of its own, and few at a time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use roster_application::Roster;

use crate::ExecuteError;

/// The most such threads at a time: 4. Each may hold a connection to the database for long.
pub const MAX_ASIDE: usize = 4;

/// Counts the threads.
#[derive(Clone, Default)]
pub(crate) struct Aside(Arc<AtomicUsize>);

/// The right to one thread, until it is dropped.
struct Turn(Arc<AtomicUsize>);

impl Aside {
    /// Runs `work` on a thread of its own. Nothing waits for it: when the process ends, it is not finished.
    pub(crate) fn run(&self, roster: &Roster, work: impl FnOnce(&Roster) + Send + 'static) -> Result<(), ExecuteError> {
        let turn = self.turn().ok_or(ExecuteError::QueueFull)?;
        let roster = roster.clone();
        let work = move || {
            work(&roster);
            drop(turn);
        };
        thread::Builder::new().name("aside".to_owned()).spawn(work).map(drop).map_err(|_| ExecuteError::QueueFull)
    }

    fn turn(&self) -> Option<Turn> {
        let more = |running| (running < MAX_ASIDE).then_some(running + 1);
        self.0.try_update(Ordering::SeqCst, Ordering::SeqCst, more).ok().map(|_| Turn(Arc::clone(&self.0)))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;
    use crate::tests::roster;

    #[test]
    fn so_many_run_at_a_time_and_one_that_panics_gives_its_place_back() {
        let (roster, aside) = (roster(), Aside::default());
        let (ended, ends) = mpsc::channel::<()>();
        let (releases, hanging): (Vec<_>, Vec<_>) = (0..MAX_ASIDE).map(|_| mpsc::channel::<()>()).unzip();
        for hang in hanging {
            let ended = ended.clone();
            let work = move |_: &Roster| {
                let _ended = ended;
                let _ = hang.recv();
                panic!("on purpose");
            };
            aside.run(&roster, work).expect("a thread");
        }
        drop(ended);
        assert_eq!(aside.run(&roster, |_| ()), Err(ExecuteError::QueueFull));
        drop(releases);
        // Each thread drops its end before its turn.
        ends.recv().expect_err("nothing is sent");
        while aside.run(&roster, |_| ()).is_err() {
            thread::yield_now();
        }
    }
}
