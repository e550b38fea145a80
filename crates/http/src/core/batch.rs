//! Natural batching: requests that wait for a thread at the same time are served by one call.
//!
//! Nobody waits for a batch to fill. A thread that becomes free takes all who wait, up to a bound, so that a lone request
//! goes alone, and a crowd shares a statement, a commit and a sync of the disk. Everybody gets their own result.

use std::iter;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::line::Line;
use super::{NotDone, wait};

/// Something that can be done for many with one call.
pub(super) trait Batch: 'static {
    /// The most requests that one call serves, at least one.
    const MAX_BATCH: usize = 128;
    /// Who does it.
    type Service;
    /// What one request asks for.
    type Input: Send;
    /// What it gets.
    type Output: Send;

    /// Serves each of `inputs`; the outputs stand in their order, and the fault of one is not the fault of another.
    fn run(service: &Self::Service, inputs: Vec<Self::Input>) -> Vec<Self::Output>;
}

/// A request that waits for its turn.
pub(super) struct Waiting<B: Batch> {
    pub(super) input: B::Input,
    pub(super) until: Instant,
    pub(super) answer: oneshot::Sender<Result<B::Output, NotDone>>,
}

/// Has `input` served together with whatever waits beside it, and waits for its output.
pub(super) async fn run<B: Batch>(
    line: &Line<Waiting<B>>,
    deadline: Duration,
    input: B::Input,
) -> Result<B::Output, NotDone> {
    let (answer, answered) = oneshot::channel();
    line.join(Waiting { input, until: Instant::now() + deadline, answer })?;
    wait(deadline, answered).await
}

/// What a thread does until the line is closed.
pub(super) fn serve<B: Batch>(service: &B::Service, line: &Line<Waiting<B>>) {
    while let Some(taken) = line.take(B::MAX_BATCH) {
        serve_all(service, taken);
    }
}

/// Serves all who were taken together with one call.
pub(super) fn serve_all<B: Batch>(service: &B::Service, taken: Vec<Waiting<B>>) {
    let now = Instant::now();
    // Whoever is too late, or has left, is not served: nobody would look at the result.
    let served = taken.into_iter().filter(|waiting| now < waiting.until && !waiting.answer.is_closed());
    let (inputs, answers): (Vec<_>, Vec<_>) = served.map(|waiting| (waiting.input, waiting.answer)).unzip();
    if inputs.is_empty() {
        return;
    }
    for (answer, output) in answers.into_iter().zip(outputs::<B>(service, inputs)) {
        // Whoever waited may have left meanwhile; what was done is done all the same.
        let _gone = answer.send(output);
    }
}

/// Serves somebody alone.
pub(super) fn serve_one<B: Batch>(service: &B::Service, input: B::Input) -> Result<B::Output, NotDone> {
    outputs::<B>(service, vec![input]).next().unwrap_or(Err(NotDone::Panicked))
}

/// What each of `inputs` gets. A panic that gets here lies in none of them: it ends these requests, not the thread that
/// others wait for.
fn outputs<B: Batch>(service: &B::Service, inputs: Vec<B::Input>) -> impl Iterator<Item = Result<B::Output, NotDone>> {
    let outputs = catch_unwind(AssertUnwindSafe(|| B::run(service, inputs)));
    outputs.into_iter().flatten().map(Ok).chain(iter::repeat_with(|| Err(NotDone::Panicked)))
}

#[cfg(test)]
pub(super) mod tests {
    use std::sync::mpsc;
    use std::sync::{Arc, Mutex};
    use std::thread;

    use futures_util::FutureExt as _;

    use super::super::callers::Callers;
    use super::*;

    pub const DEADLINE: Duration = Duration::from_secs(50);

    /// Doubles numbers, and panics at 13.
    pub struct Double;

    /// A number, and what the test wants to know of the call that doubles it.
    pub struct Number {
        pub value: u32,
        /// How many were doubled by each call.
        pub calls: Arc<Mutex<Vec<usize>>>,
        /// Keeps the call from ending before the test says so.
        pub gate: Option<mpsc::Receiver<()>>,
    }

    impl Batch for Double {
        type Service = ();
        type Input = Number;
        type Output = u32;

        fn run((): &(), numbers: Vec<Number>) -> Vec<u32> {
            numbers[0].calls.lock().expect("a whole list").push(numbers.len());
            for gate in numbers.iter().filter_map(|number| number.gate.as_ref()) {
                gate.recv().expect("the test opens it");
            }
            assert!(numbers.iter().all(|number| number.value != 13), "on purpose");
            numbers.into_iter().map(|number| number.value * 2).collect()
        }
    }

    /// Sends numbers while the only thread is busy with another one, and says what each is answered, and how many were
    /// doubled by each call.
    fn behind_a_busy_thread(values: &[u32], leave: impl Fn(u32) -> bool) -> (Vec<Result<u32, NotDone>>, Vec<usize>) {
        let line = Arc::new(Line::new(values.len() + 1));
        let served = Arc::clone(&line);
        let thread = thread::spawn(move || serve::<Double>(&(), &served));
        let calls = Arc::<Mutex<Vec<usize>>>::default();
        let (open, gate) = mpsc::channel();
        let number = |value, gate| Number { value, calls: Arc::clone(&calls), gate };
        let answers = actix_web::rt::System::new().block_on(async {
            let mut busy = Box::pin(run(&line, DEADLINE, number(0, Some(gate))));
            assert_eq!(busy.as_mut().now_or_never(), None);
            while calls.lock().expect("a whole list").is_empty() {
                thread::yield_now();
            }
            let asked = values.iter().map(|&value| (run(&line, DEADLINE, number(value, None)), leave(value)));
            let callers = Callers::ask(asked, 0);
            open.send(()).expect("the thread waits for it");
            assert_eq!(busy.await, Ok(0));
            callers.answers().await
        });
        line.close();
        thread.join().expect("the thread ends when nobody can join any more");
        let calls = calls.lock().expect("a whole list").split_off(1);
        (answers, calls)
    }

    #[test]
    fn who_waits_together_is_served_together_and_each_gets_their_own() {
        let values: Vec<u32> = (100..400).collect();
        let (answers, calls) = behind_a_busy_thread(&values, |_| false);
        assert_eq!(answers, values.iter().map(|value| Ok(value * 2)).collect::<Vec<_>>());
        assert_eq!(calls, [Double::MAX_BATCH, Double::MAX_BATCH, 300 - 2 * Double::MAX_BATCH]);
    }

    #[test]
    fn who_has_left_is_not_served() {
        let (answers, calls) = behind_a_busy_thread(&[1, 2, 3, 4, 5], |value| value % 2 == 0);
        assert_eq!((answers, calls), (vec![Ok(2), Ok(6), Ok(10)], vec![3]));
    }

    #[test]
    fn a_panic_ends_the_requests_of_its_batch_and_the_thread_goes_on() {
        let mut values: Vec<u32> = (100..100 + u32::try_from(Double::MAX_BATCH).expect("a small number")).collect();
        values[5] = 13;
        values.push(1);
        let (answers, _) = behind_a_busy_thread(&values, |_| false);
        let (last, panicked) = answers.split_last().expect("answers");
        assert!(panicked.iter().all(|answer| *answer == Err(NotDone::Panicked)));
        assert_eq!(*last, Ok(2));
    }
}
