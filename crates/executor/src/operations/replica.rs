//! What is read from a replica, and the positions of the store. There are none of these without a replica.

use roster_application::ports::{CustomerKey, Position, StoreError};
use roster_application::{ReplicaRead, Roster};
use roster_domain::{Customer, CustomerId, Subscription, Tenant};

use super::{Job, one_thread, run_jobs};
use crate::Settings;
use crate::batched::{Batched, Limits, Local, Operation, Workers};
use crate::figures::Figures;
use crate::threads::Worker;

/// What to read, and the position that it must include. `None`: any state will do.
pub(crate) type Wanted<I> = (Option<Position>, I);

/// What came of a read from the replica.
#[derive(Debug)]
pub(crate) enum Attempt<T> {
    /// What was read, and a position that includes it.
    Read(T, Position),
    /// The replica does not include the position that is wanted.
    Behind,
    /// The replica failed.
    Failed(StoreError),
}

operations! {
    /// [`Roster::find_customers`]
    find_on_replica: FindOnReplica(Wanted<CustomerKey>) -> Attempt<Option<Customer>>,
        at most 128, by one_thread, |roster, wanted| attempt(roster, wanted, Roster::find_customers);
    /// [`Roster::current_subscriptions`]
    current_on_replica: CurrentOnReplica(Wanted<(Tenant, CustomerId)>) -> Attempt<Option<Subscription>>,
        at most 128, by one_thread, |roster, wanted| attempt(roster, wanted, Roster::current_subscriptions);
    /// Pages of lists.
    pages_on_replica: ReadPageOnReplica(Job) -> (), at most 1, by the_other_threads, run_jobs;
    /// [`Roster::position`]. On a thread of its own: an answer waits for it.
    position: ReadPosition(()) -> Result<Option<Position>, StoreError>,
        at most 128, by one_thread, |roster, asked| vec![roster.position(); asked.len()];
}

/// As many as the two others leave of [`Settings::threads`], at least one.
fn the_other_threads<I>(settings: Settings) -> Workers<I> {
    const BATCHED_READS: usize = 2;
    Workers::threads(settings.threads.saturating_sub(BATCHED_READS).max(1))
}

/// Reads all of a batch from the replica. What a request gets includes what it wants.
fn attempt<I, T>(
    roster: &Roster,
    wanted: Vec<Wanted<I>>,
    read: impl FnOnce(&Roster, &[I]) -> Vec<Result<T, StoreError>>,
) -> Vec<Attempt<T>> {
    let (positions, items): (Vec<_>, Vec<_>) = wanted.into_iter().unzip();
    match roster.read_replica(&positions, |roster| read(roster, &items)) {
        ReplicaRead::Shown(results, shown) => {
            let attempt = |(result, wanted)| match result {
                Ok(_) if !shown.includes(wanted) => Attempt::Behind,
                Ok(value) => Attempt::Read(value, shown.most),
                Err(error) => Attempt::Failed(error),
            };
            results.into_iter().zip(positions).map(attempt).collect()
        }
        ReplicaRead::Behind => positions.iter().map(|_| Attempt::Behind).collect(),
        ReplicaRead::Failed(error) => positions.iter().map(|_| Attempt::Failed(error.clone())).collect(),
    }
}
