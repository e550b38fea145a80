//! The writes of one merchant, which wait for its feed head one batch after the other.
//!
//! A process takes all writes that wait, at most [`BATCH`], and makes them one statement and one commit. The statement numbers
//! its events last, and the row of the feed head is locked from then until the commit is done. So batches of several
//! processes overlap except in that part.

use std::collections::VecDeque;

use crate::random::Random;
use crate::{index, to_f64};

/// The most writes of a batch: `docs/adr/0007-natural-batching.md`.
const BATCH: usize = 128;

/// What a write takes before the head is locked, in milliseconds: of the 174 µs of a create for one merchant, as
/// `docs/benchmarks/throughput.md` has it at 64 requests, all but the insertion of its event.
const BEFORE_MS: f64 = 0.159;

/// What a write takes while the head is locked: its event and the two entries in the indexes of `events`. An assumption.
const LOCKED_MS: f64 = 0.015;

/// A feed head and its writers.
pub struct Head {
    /// The processes that write to this merchant, each with one batch at a time.
    pub processes: usize,
    /// What a commit takes: the flush of the WAL, and the way to a synchronous standby and back, if there is one.
    pub commit_ms: f64,
}

/// The writes that come.
#[derive(Clone, Copy)]
pub struct Load {
    /// On average; the pauses between them are exponential.
    pub per_second: f64,
    /// The number of writes that are simulated.
    pub writes: usize,
}

/// How long writes took, and how many of them shared a commit.
pub struct Outcome {
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub mean_batch: f64,
}

impl Head {
    /// Writes a second if every batch is full: the lock, or one process that is never idle, is the limit.
    pub fn most_per_second(&self) -> f64 {
        let (writes, processes) = (to_f64(BATCH), to_f64(self.processes));
        let locked = writes * LOCKED_MS + self.commit_ms;
        let whole = writes * BEFORE_MS + locked;
        writes * 1000.0 / locked.max(whole / processes)
    }

    /// Simulates writes that come to the processes in turn.
    pub fn run(&self, load: Load, random: &mut Random) -> Outcome {
        let mut waiting = vec![VecDeque::new(); self.processes];
        let mut now = 0.0;
        for number in 0..load.writes {
            now -= random.fraction().ln() * 1000.0 / load.per_second;
            waiting[number % self.processes].push_back(now);
        }
        let mut idle_at = vec![0.0_f64; self.processes];
        let mut head_free_at = 0.0_f64;
        let (mut took, mut batches) = (Vec::with_capacity(load.writes), 0);
        // The process that comes to the head next is the one whose batch is ready first.
        while let Some((process, begin)) = next(&waiting, &idle_at) {
            let queue = &mut waiting[process];
            let count = queue.iter().take(BATCH).take_while(|came| **came <= begin).count();
            let ready = begin + to_f64(count) * BEFORE_MS;
            let done = ready.max(head_free_at) + to_f64(count) * LOCKED_MS + self.commit_ms;
            took.extend(queue.drain(..count).map(|came| done - came));
            (head_free_at, idle_at[process], batches) = (done, done, batches + 1);
        }
        took.sort_by(f64::total_cmp);
        let at = |part| took[index(part, took.len())];
        Outcome { p50_ms: at(0.5), p99_ms: at(0.99), mean_batch: to_f64(took.len()) / to_f64(batches) }
    }
}

/// The process that begins a batch next, and when.
fn next(waiting: &[VecDeque<f64>], idle_at: &[f64]) -> Option<(usize, f64)> {
    let begins = waiting.iter().zip(idle_at).enumerate();
    let begins = begins.filter_map(|(process, (queue, idle))| Some((process, queue.front()?.max(*idle))));
    begins.min_by(|(_, one), (_, other)| one.total_cmp(other))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(commit_ms: f64, part: f64) -> (f64, Outcome) {
        let head = Head { processes: 4, commit_ms };
        let most = head.most_per_second();
        (most, head.run(Load { per_second: most * part, writes: 20_000 }, &mut Random::new(1)))
    }

    #[test]
    fn a_slower_commit_lowers_the_limit_less_than_in_proportion() {
        let (fast, _) = run(1.0, 0.5);
        let (slow, _) = run(10.0, 0.5);
        assert!(slow > fast / 10.0 * 2.0, "{fast} and {slow}");
    }

    #[test]
    fn at_half_of_the_limit_a_write_waits_for_a_few_commits() {
        for commit_ms in [1.0, 10.0] {
            let (_, outcome) = run(commit_ms, 0.5);
            assert!(outcome.p99_ms < 10.0 * commit_ms + 20.0, "{commit_ms}: {}", outcome.p99_ms);
        }
    }

    #[test]
    fn batches_grow_with_the_load() {
        let (_, low) = run(5.0, 0.1);
        let (_, high) = run(5.0, 0.9);
        assert!(low.mean_batch < high.mean_batch && high.mean_batch <= to_f64(BATCH), "{}", high.mean_batch);
    }
}
