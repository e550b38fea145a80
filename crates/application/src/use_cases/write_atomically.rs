use std::ops::Range;
use std::sync::Arc;

use roster_domain::{Customer, CustomerId, Tenant, Timestamp};

use super::idempotency::{Idempotency, Keyed, Saved, is_saved};
use super::once::Repeatable;
use super::write_customers::{Command, CustomerCommand, Drafts, Read, WriteError, find_live};
use crate::outcome::Outcome;
use crate::ports::{CustomerKey, CustomerRef, CustomerState, ReplyKey, StoreError, UnitOfWork, Write, Written};
use crate::records::corrupt_reply;
use crate::{Attribution, Roster};

/// Why none of several commands was done.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AtomicError {
    /// One of them was refused.
    #[error("command {place} was refused")]
    Refused {
        /// Its place, from 0. It is the first of those that would have been refused one after the other.
        place: usize,
        /// Why.
        #[source]
        error: WriteError,
    },
    /// Another request has had the same idempotency key.
    #[error("another request has had the same idempotency key")]
    KeyReused,
    /// The store failed. Unless it was out of reach, nothing was written.
    #[error("the customers could not be written")]
    Store(#[from] StoreError),
}

/// How often all of it is decided anew at most because another writer was faster, the last time with its customers locked.
const RETRIES: usize = 3;

impl Roster {
    /// Does what the commands say, in their order, all of it or nothing: each sees what those before it did, in one
    /// transaction. The results are those of [`Roster::write_customers`]. With `idempotency`, it is done once, and repeats
    /// have the same result. `attribution` says who asks for them.
    #[must_use]
    pub fn write_atomically(
        &self,
        tenant: Tenant,
        commands: Vec<CustomerCommand>,
        idempotency: Option<Idempotency>,
        attribution: Option<Arc<Attribution>>,
    ) -> Repeatable<Result<Vec<Write>, AtomicError>> {
        let now = self.now();
        let once = idempotency.map(|idempotency| Keyed { place: 0, tenant, idempotency });
        let commands = commands.into_iter().map(|command| self.begin(command, now)).collect();
        let batch = Batch { commands, attribution };
        for retry in 0..=RETRIES {
            let written = if retry < RETRIES {
                self.attempt_all(&batch, once.as_ref(), now)
            } else {
                self.settle_all(&batch, once.as_ref(), now)
            };
            let result = match written {
                Ok(writes) => Ok(writes),
                Err(Undone::Lost) => continue,
                Err(Undone::Replayed(result)) => return Repeatable { result: *result, is_replayed: true },
                Err(Undone::Refused { place, error }) => match self.save_refused(once.as_ref(), place, &error, now) {
                    Ok(true) => Err(AtomicError::Refused { place, error }),
                    // The reply of the request that was faster is there the next time.
                    Ok(false) => continue,
                    Err(error) => Err(error.into()),
                },
                Err(Undone::Store(error)) => Err(error.into()),
            };
            return Repeatable { result, is_replayed: false };
        }
        let lost = StoreError::lost_race("other writers were faster each time");
        Repeatable { result: Err(lost.into()), is_replayed: false }
    }

    /// Saves that a batch was refused, if it is to be done once. `false`: another request with its key was faster.
    fn save_refused(
        &self,
        once: Option<&Keyed>,
        place: usize,
        error: &WriteError,
        now: Timestamp,
    ) -> Result<bool, StoreError> {
        let (Some(once), Some(refused)) = (once, Outcome::of_error(error, None)) else { return Ok(true) };
        let outcome = Outcome::BatchRefused { place, refused: Box::new(refused) };
        let reply = once.idempotency.reply(once.tenant, &outcome, now, self.reply_lifetime)?;
        self.store.direct(|uow| is_saved(uow, reply.clone()))
    }

    /// Saves what a batch led to with its writes, if it is to be done once.
    fn save_done(
        &self,
        uow: &mut dyn UnitOfWork,
        once: Option<&Keyed>,
        writes: &[Write],
        now: Timestamp,
    ) -> Result<(), Undone> {
        let Some(once) = once else { return Ok(()) };
        let items = writes.iter().map(|write| Outcome::of_write(write, None)).collect();
        let reply = once.idempotency.reply(once.tenant, &Outcome::Batch { items }, now, self.reply_lifetime)?;
        if is_saved(uow, reply)? { Ok(()) } else { Err(Undone::Lost) }
    }

    /// Tries the commands once. What the first part of them is about is read before the transaction, so that it is short
    /// and locks rows only as it writes them, in an order that all writers keep.
    fn attempt_all(&self, batch: &Batch, once: Option<&Keyed>, now: Timestamp) -> Result<Vec<Write>, Undone> {
        let mut segments = segments(&batch.commands);
        let first = segments.remove(0);
        let read = self.read_all(&batch.commands[first.clone()])?;
        self.store.transaction(|uow| {
            replay(uow, once, now)?;
            let mut results = write_segment(uow, batch, first.clone(), read.clone(), now)?;
            results.extend(write_segments(uow, batch, &segments, now)?);
            self.save_done(uow, once, &results, now)?;
            Ok(results)
        })
    }

    /// Does the commands in a transaction that other writers of their customers wait for.
    fn settle_all(&self, batch: &Batch, once: Option<&Keyed>, now: Timestamp) -> Result<Vec<Write>, Undone> {
        let read = self.read_all(&batch.commands)?;
        let mut found: Vec<_> = read.iter().flatten().map(|read| by_id(&read.customer)).collect();
        // In the order in which writes lock customers, too.
        found.sort_unstable_by_key(|(tenant, id)| (tenant.merchant.uuid(), id.uuid()));
        found.dedup();
        let found: Vec<_> =
            found.into_iter().map(|(tenant, id)| CustomerKey { tenant, customer: CustomerRef::Id(id) }).collect();
        self.store.transaction(|uow| {
            replay(uow, once, now)?;
            uow.customers().find(CustomerState::Live, &found)?;
            let results = write_segments(uow, batch, &segments(&batch.commands), now)?;
            self.save_done(uow, once, &results, now)?;
            Ok(results)
        })
    }

    fn read_all(&self, commands: &[Command]) -> Result<Vec<Option<Read>>, StoreError> {
        let commands: Vec<&Command> = commands.iter().collect();
        self.read(&commands).into_iter().collect()
    }
}

fn by_id(customer: &Customer) -> (Tenant, CustomerId) {
    (customer.tenant(), customer.id())
}

/// Commands that are done together, and who asks for them; `None`: the service itself.
struct Batch {
    commands: Vec<Command>,
    attribution: Option<Arc<Attribution>>,
}

/// Why a transaction is rolled back.
enum Undone {
    /// What it was decided from is not stored: all of it is decided anew.
    Lost,
    Refused {
        place: usize,
        error: WriteError,
    },
    /// It was done before, with this result.
    Replayed(Box<Result<Vec<Write>, AtomicError>>),
    Store(StoreError),
}

impl From<StoreError> for Undone {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Undone {
    /// The same, with so many commands before those that it counts.
    fn behind(self, first: usize) -> Self {
        match self {
            Self::Refused { place, error } => Self::Refused { place: first + place, error },
            other => other,
        }
    }
}

/// Ends the transaction if the batch was done before.
fn replay(uow: &mut dyn UnitOfWork, once: Option<&Keyed>, now: Timestamp) -> Result<(), Undone> {
    let Some(once) = once else { return Ok(()) };
    let result = match once.idempotency.find_saved(uow, once.tenant, now)? {
        None => return Ok(()),
        Some(Saved::ForAnother) => Err(AtomicError::KeyReused),
        Some(Saved::Outcome(outcome)) => replayed(outcome, &once.key())?,
    };
    Err(Undone::Replayed(Box::new(result)))
}

/// The result of a batch that was done before.
fn replayed(outcome: Outcome, key: &ReplyKey) -> Result<Result<Vec<Write>, AtomicError>, StoreError> {
    let corrupt = || corrupt_reply(key, "outcome");
    match outcome {
        Outcome::Batch { items } => {
            let write = |item: Outcome| item.into_write(key)?.0.map_err(|_| corrupt());
            items.into_iter().map(write).collect::<Result<_, _>>().map(Ok)
        }
        Outcome::BatchRefused { place, refused } => match refused.into_write(key)?.0 {
            Err(error) => Ok(Err(AtomicError::Refused { place, error })),
            Ok(_) => Err(corrupt()),
        },
        _ => Err(corrupt()),
    }
}

/// Does the commands of some parts, each of which is read in the transaction.
fn write_segments(
    uow: &mut dyn UnitOfWork,
    batch: &Batch,
    segments: &[Range<usize>],
    now: Timestamp,
) -> Result<Vec<Write>, Undone> {
    let mut results = Vec::new();
    for segment in segments {
        let first = segment.start;
        let read = read(uow, &batch.commands[segment.clone()])?;
        let written = write_segment(uow, batch, segment.clone(), read, now).map_err(|undone| undone.behind(first));
        results.extend(written?);
    }
    Ok(results)
}

/// Parts of the commands, each of which is read at once. A command begins a new part if it is known only once those before it
/// are written what it is about: a customer that one of them may return, or the subscription of a customer to which one of
/// them gives the external identifier.
fn segments(commands: &[Command]) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let mut start = 0;
    for (place, command) in commands.iter().enumerate() {
        let before = &commands[start..place];
        let may_be_returned = command.key().is_some() && before.iter().any(Command::may_return_a_holder);
        let may_be_moved =
            command.finds_a_subscription_by_external_id() && before.iter().any(Command::moves_an_external_id);
        if may_be_returned || may_be_moved {
            segments.push(start..place);
            start = place;
        }
    }
    segments.push(start..commands.len());
    segments
}

/// Does the commands of one part with one write. Each is decided as if all writes before it were made; one that
/// is not undoes them all.
fn write_segment(
    uow: &mut dyn UnitOfWork,
    batch: &Batch,
    segment: Range<usize>,
    read: Vec<Option<Read>>,
    now: Timestamp,
) -> Result<Vec<Write>, Undone> {
    let commands: Vec<&Command> = batch.commands[segment].iter().collect();
    let mut drafts = Drafts::for_commands(commands.iter().copied());
    let mut results: Vec<Write> = Vec::with_capacity(commands.len());
    let (mut writes, mut places) = (Vec::new(), Vec::new());
    let mut refused = None;
    for (command, read) in commands.iter().zip(read) {
        let place = results.len();
        let (read, _) = drafts.latest(command, read);
        match command.decide(read, now) {
            Ok(write) => results.push(write.asked_for_by(batch.attribution.clone())),
            Err(error) => {
                refused = Some(Undone::Refused { place, error });
                break;
            }
        }
        let write = &results[place];
        if write.is_needed() {
            drafts.keep(write, writes.len());
            writes.push(write.clone());
            places.push(place);
        }
    }
    let written = if writes.is_empty() { Vec::new() } else { uow.customers().write(&writes)? };
    for ((write, written), place) in writes.iter().zip(written).zip(places) {
        let taken = match written {
            Written::Done => continue,
            Written::Stale => return Err(Undone::Lost),
            Written::Taken(taken) => taken,
        };
        let result = commands[place].refused(write, taken, |key| find_live(uow, key)).ok_or(Undone::Lost)?;
        results[place] = result.map_err(|error| Undone::Refused { place, error })?;
    }
    // Only now: it may have been refused because of a write before it that could not be made.
    refused.map_or(Ok(results), Err)
}

/// What each command is about. No other writer changes it until the transaction ends: a subscription is only written with
/// its customer locked.
fn read(uow: &mut dyn UnitOfWork, commands: &[Command]) -> Result<Vec<Option<Read>>, StoreError> {
    commands.iter().map(|command| command.read_locked(uow)).collect()
}
