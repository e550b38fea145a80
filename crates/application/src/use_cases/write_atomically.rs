use std::ops::Range;

use roster_domain::{Customer, CustomerId, Tenant, Timestamp};

use super::write_customers::{Command, CustomerCommand, Drafts, Read, WriteError};
use crate::Roster;
use crate::ports::{CustomerKey, CustomerRef, CustomerState, StoreError, UnitOfWork, Write, Written};

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
    /// The store failed. Unless it was out of reach, nothing was written.
    #[error("the customers could not be written")]
    Store(#[from] StoreError),
}

/// How often all of it is decided anew at most because another writer was faster, the last time with its customers locked.
const RETRIES: usize = 3;

impl Roster {
    /// Does what the commands say, in their order, all of it or nothing: each sees what those before it did, in one
    /// transaction. The results are those of [`Roster::write_customers`].
    ///
    /// # Errors
    /// [`AtomicError`]
    pub fn write_atomically(&self, commands: Vec<CustomerCommand>) -> Result<Vec<Write>, AtomicError> {
        let now = self.now();
        let commands: Vec<Command> = commands.into_iter().map(|command| self.begin(command, now)).collect();
        for retry in 0..=RETRIES {
            let written =
                if retry < RETRIES { self.attempt_all(&commands, now) } else { self.settle_all(&commands, now) };
            match written {
                Ok(writes) => return Ok(writes),
                Err(Undone::Lost) => {}
                Err(Undone::Refused { place, error }) => return Err(AtomicError::Refused { place, error }),
                Err(Undone::Store(error)) => return Err(error.into()),
            }
        }
        Err(StoreError::lost_race("other writers were faster each time").into())
    }

    /// Tries the commands once. What the first part of them is about is read before the transaction, so that it is short
    /// and locks rows only as it writes them, in an order that all writers keep.
    fn attempt_all(&self, commands: &[Command], now: Timestamp) -> Result<Vec<Write>, Undone> {
        let mut segments = segments(commands);
        let first = segments.remove(0);
        let read = self.read_all(&commands[first.clone()])?;
        self.store.transaction(|uow| {
            let mut results = write_segment(uow, &commands[first.clone()], read.clone(), now)?;
            results.extend(write_segments(uow, commands, &segments, now)?);
            Ok(results)
        })
    }

    /// Does the commands in a transaction that other writers of their customers wait for.
    fn settle_all(&self, commands: &[Command], now: Timestamp) -> Result<Vec<Write>, Undone> {
        let read = self.read_all(commands)?;
        let mut found: Vec<_> = read.iter().flatten().map(|read| by_id(&read.customer)).collect();
        // In the order in which writes lock customers, too.
        found.sort_unstable_by_key(|(tenant, id)| (tenant.merchant.uuid(), id.uuid()));
        found.dedup();
        let found: Vec<_> =
            found.into_iter().map(|(tenant, id)| CustomerKey { tenant, customer: CustomerRef::Id(id) }).collect();
        self.store.transaction(|uow| {
            uow.customers().find(CustomerState::Live, &found)?;
            write_segments(uow, commands, &segments(commands), now)
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

/// Why a transaction is rolled back.
enum Undone {
    /// What it was decided from is not stored: all of it is decided anew.
    Lost,
    Refused {
        place: usize,
        error: WriteError,
    },
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

/// Does the commands of some parts, each of which is read in the transaction.
fn write_segments(
    uow: &mut dyn UnitOfWork,
    commands: &[Command],
    segments: &[Range<usize>],
    now: Timestamp,
) -> Result<Vec<Write>, Undone> {
    let mut results = Vec::new();
    for segment in segments {
        let first = segment.start;
        let commands = &commands[segment.clone()];
        let read = read(uow, commands)?;
        let written = write_segment(uow, commands, read, now).map_err(|undone| undone.behind(first));
        results.extend(written?);
    }
    Ok(results)
}

/// Parts of the commands, each of which is read at once. A command that may change a customer begins a new part if one
/// before it may return that customer, which is known only once that one is written.
fn segments(commands: &[Command]) -> Vec<Range<usize>> {
    let mut segments = Vec::new();
    let (mut start, mut may_return) = (0, false);
    for (place, command) in commands.iter().enumerate() {
        if may_return && command.key().is_some() {
            segments.push(start..place);
            (start, may_return) = (place, false);
        }
        may_return |= command.may_return_a_holder();
    }
    segments.push(start..commands.len());
    segments
}

/// Does the commands of one part with one write. Each is decided as if all writes before it were made; one that
/// is not undoes them all.
fn write_segment(
    uow: &mut dyn UnitOfWork,
    commands: &[Command],
    read: Vec<Option<Read>>,
    now: Timestamp,
) -> Result<Vec<Write>, Undone> {
    let commands: Vec<&Command> = commands.iter().collect();
    let mut drafts = Drafts::for_commands(&commands);
    let mut results: Vec<Write> = Vec::with_capacity(commands.len());
    let (mut writes, mut places) = (Vec::new(), Vec::new());
    let mut refused = None;
    for (command, read) in commands.iter().zip(read) {
        let place = results.len();
        let (read, _) = drafts.latest(command, read);
        match command.decide(read, now) {
            Ok(write) => results.push(write),
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
        let find = |key: &CustomerKey| {
            Ok(uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?.pop().flatten())
        };
        let result = commands[place].refused(write, taken, find).ok_or(Undone::Lost)?;
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
