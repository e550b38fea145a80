//! Callers of a crowd, for tests: all ask before any of them waits, and some go away without an answer.

use std::pin::Pin;

use futures_util::FutureExt as _;
use futures_util::future::{MaybeDone, join_all, maybe_done};

/// Those who have asked and stay.
pub struct Callers<F: Future>(Vec<Pin<Box<MaybeDone<F>>>>);

impl<F: Future> Callers<F> {
    /// Has all of `calls` ask, each with whether its caller leaves then. The first `at_once` of them, and no others, are
    /// answered at once.
    pub fn ask(calls: impl IntoIterator<Item = (F, bool)>, at_once: usize) -> Self {
        let mut staying = Vec::new();
        for (place, (call, leaves)) in calls.into_iter().enumerate() {
            let mut call = Box::pin(maybe_done(call));
            assert_eq!(call.as_mut().now_or_never().is_some(), place < at_once, "call {place}");
            if !leaves {
                staying.push(call);
            }
        }
        Self(staying)
    }

    /// What they are answered.
    pub async fn answers(mut self) -> Vec<F::Output> {
        join_all(&mut self.0).await;
        self.0.iter_mut().map(|call| call.as_mut().take_output().expect("a call that is done")).collect()
    }
}
