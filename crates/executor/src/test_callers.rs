//! Concurrent callers, for tests: all call before any of them waits, and some go away without an answer.

use std::pin::Pin;

use futures_util::FutureExt as _;
use futures_util::future::{MaybeDone, join_all, maybe_done};
use tokio::runtime;
use tokio::task::LocalSet;

/// Runs `future` as the HTTP server runs its requests: on one thread, which can spawn local tasks.
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    LocalSet::new().block_on(&runtime, future)
}

/// The callers that wait for their answer.
pub struct Callers<F: Future>(Vec<Pin<Box<MaybeDone<F>>>>);

impl<F: Future> Callers<F> {
    /// Starts all of `calls`, each with whether its caller goes away then. The first `at_once` of them, and no others,
    /// are answered at once.
    pub fn start(calls: impl IntoIterator<Item = (F, bool)>, at_once: usize) -> Self {
        let mut waiting = Vec::new();
        for (place, (call, goes_away)) in calls.into_iter().enumerate() {
            let mut call = Box::pin(maybe_done(call));
            assert_eq!(call.as_mut().now_or_never().is_some(), place < at_once, "call {place}");
            if !goes_away {
                waiting.push(call);
            }
        }
        Self(waiting)
    }

    /// Their answers.
    pub async fn answers(mut self) -> Vec<F::Output> {
        join_all(&mut self.0).await;
        self.0.iter_mut().map(|call| call.as_mut().take_output().expect("a call that is done")).collect()
    }
}
