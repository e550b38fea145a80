use std::collections::{HashMap, HashSet};

use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerId, ExternalId, Subscription, SubscriptionId, Tenant, Timestamp};

use super::change_customer::CustomerChange;
use super::delete_customer::CustomerDeletion;
use super::record_subscription::SubscriptionReport;
use super::register_customer::Registration;
use super::upsert_customer::{Ensure, Upsert};
use crate::batch::serve_together;
use crate::ports::{
    CustomerKey, CustomerRef, CustomerState, StoreError, SubscriptionKey, Taken, UnitOfWork, Write, Written,
};
use crate::{Revision, Roster};

/// Everything that writes to a customer.
#[derive(Debug, Clone)]
pub enum CustomerCommand {
    /// Registers a customer.
    Register(Registration),
    /// Registers a customer, or returns the live one that has its external identifier. If it has none, the one that has its
    /// e-mail address exclusively.
    GetOrRegister(Registration),
    /// Registers a customer, or replaces the profile of the live one that has its external identifier.
    Upsert(Upsert),
    /// Changes a live customer.
    Change(CustomerChange),
    /// Deletes a live customer.
    Delete(CustomerDeletion),
    /// Records a report of a subscription of a live customer.
    Record(SubscriptionReport),
}

impl CustomerCommand {
    /// The tenant it writes to.
    #[must_use]
    pub fn tenant(&self) -> Tenant {
        match self {
            Self::Register(registration) | Self::GetOrRegister(registration) => registration.tenant,
            Self::Upsert(upsert) => upsert.registration().tenant,
            Self::Change(CustomerChange { key, .. }) | Self::Delete(CustomerDeletion { key, .. }) => key.tenant,
            Self::Record(report) => report.key.customer.tenant,
        }
    }
}

/// Why nothing was written.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WriteError {
    /// No live customer of the tenant has that identifier.
    #[error("there is no such customer")]
    NotFound,
    /// What is stored is not what the [`Precondition`](crate::Precondition) asks for, but this; `None` if nothing is.
    #[error("what is stored is not what its writer expects")]
    PreconditionFailed(Option<Revision>),
    /// Other live customers of the tenant have its e-mail address or its external identifier.
    #[error("its e-mail address or its external identifier is in use")]
    Taken(Taken),
    /// The merged metadata breaks a limit.
    #[error("its merged metadata breaks a limit")]
    Metadata(#[source] MetadataError),
    /// The store failed. Unless it was out of reach, nothing was written.
    #[error("the customer could not be written")]
    Store(#[from] StoreError),
}

/// How often a command is decided anew at most because another writer was faster.
const REREADS: usize = 3;

impl Roster {
    /// Does what the commands say, in their order: a command sees what those before it did, and the failure of one is not
    /// the failure of another. All that is written commits together. The results are in the order of the commands: the
    /// write that was made, or one whose `before` and `after` are equal if there was nothing to change.
    ///
    /// Race-free: each command reads, decides in memory, and writes on condition that what it read is still stored. If it
    /// is not, the command starts again, at most [`REREADS`] times, the last time with its customer locked: while many
    /// processes change one customer, any of them could lose each race.
    #[must_use]
    pub fn write_customers(&self, commands: Vec<CustomerCommand>) -> Vec<Result<Write, WriteError>> {
        let now = self.clock.now();
        let commands: Vec<Command> = commands.into_iter().map(|command| self.begin(command, now)).collect();
        let mut results: Vec<Option<Result<Write, WriteError>>> = commands.iter().map(|_| None).collect();
        let mut losses = vec![0; commands.len()];
        let mut open: Vec<usize> = (0..commands.len()).collect();
        // Ends, as the first of the open commands never waits.
        while !open.is_empty() {
            let attempts = self.attempt(&commands, &open, now);
            let mut again = Vec::new();
            for (place, attempt) in open.into_iter().zip(attempts) {
                match attempt {
                    Attempt::Settled(result) => results[place] = Some(*result),
                    Attempt::Waits => again.push(place),
                    Attempt::Lost => {
                        losses[place] += 1;
                        again.push(place);
                    }
                }
            }
            // An earlier command of the same tenant has lost as often or is done: the order is kept.
            let (last_tries, others): (Vec<_>, Vec<_>) = again.into_iter().partition(|&place| losses[place] >= REREADS);
            for place in last_tries {
                results[place] = Some(self.settle_locked(&commands[place], now));
            }
            open = others;
        }
        let missing = || StoreError::internal("a command has no result");
        results.into_iter().map(|result| result.unwrap_or_else(|| Err(missing().into()))).collect()
    }

    /// Does one command in a transaction that other writers of its customer wait for.
    fn settle_locked(&self, command: &Command, now: Timestamp) -> Result<Write, WriteError> {
        let lost = || StoreError::lost_race("other writers were faster each time");
        let attempt = |uow: &mut dyn UnitOfWork| {
            let write = match command.decide(command.read_locked(uow)?, now) {
                Ok(write) if write.is_needed() => write,
                result => return Ok(result),
            };
            match uow.customers().write(std::slice::from_ref(&write))?.pop() {
                Some(Written::Done) => Ok(Ok(write)),
                Some(Written::Taken(taken)) => {
                    let find = |key: &CustomerKey| {
                        Ok(uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?.pop().flatten())
                    };
                    command.refused(&write, taken, find).ok_or_else(lost)
                }
                Some(Written::Stale) => Err(lost()),
                None => Err(StoreError::internal("a write has no result")),
            }
        };
        let mut results = serve_together(std::slice::from_ref(command), |_| {
            self.store.transaction(attempt).map(|result| vec![result])
        });
        let missing = || Err(StoreError::internal("a command has no result"));
        results.pop().unwrap_or_else(missing)?
    }

    pub(super) fn begin(&self, command: CustomerCommand, now: Timestamp) -> Command {
        match command {
            CustomerCommand::Register(registration) => Command::Create(registration.register(&*self.ids, now)),
            CustomerCommand::GetOrRegister(registration) => {
                Command::Ensure(Ensure::get_or_register(registration, &*self.ids, now))
            }
            CustomerCommand::Upsert(upsert) => Command::Ensure(Ensure::upsert(upsert, &*self.ids, now)),
            CustomerCommand::Change(change) => Command::Change(change),
            CustomerCommand::Delete(deletion) => Command::Delete(deletion),
            CustomerCommand::Record(report) => Command::Record(report),
        }
    }

    /// Tries the commands at the `open` places once.
    ///
    /// A command whose customer depends on a write that may be refused waits for the next attempt, and so do all later
    /// ones of its tenant: decided now, it could turn out wrong after those behind it have been done. So does a command
    /// that may change a customer which one before it may return.
    fn attempt(&self, commands: &[Command], open: &[usize], now: Timestamp) -> Vec<Attempt> {
        let commands: Vec<&Command> = open.iter().map(|&place| &commands[place]).collect();
        let mut drafts = Drafts::for_commands(&commands);
        let mut writes: Vec<Write> = Vec::with_capacity(commands.len());
        let mut waiting: HashSet<Tenant> = HashSet::new();
        let mut returning: HashSet<Tenant> = HashSet::new();
        let decisions: Vec<Decision> = commands
            .iter()
            .zip(self.read(&commands))
            .map(|(command, read)| {
                if command.key().is_some() && returning.contains(&command.tenant()) {
                    waiting.insert(command.tenant());
                }
                if waiting.contains(&command.tenant()) {
                    return Decision::Wait;
                }
                if command.may_return_a_holder() {
                    returning.insert(command.tenant());
                }
                let (read, depends_on) = match read {
                    Ok(read) => drafts.latest(command, read),
                    Err(error) => return Decision::settled(Err(error.into()), None),
                };
                if depends_on.is_some_and(|write| !writes[write].claims().is_empty()) {
                    waiting.insert(command.tenant());
                    return Decision::Wait;
                }
                match command.decide(read, now) {
                    Ok(write) if write.is_needed() => {
                        drafts.keep(&write, writes.len());
                        writes.push(write);
                        Decision::Write
                    }
                    result => Decision::settled(result, depends_on),
                }
            })
            .collect();
        let written = serve_together(&writes, |writes| self.store.direct(|uow| uow.customers().write(writes)));
        let done: Vec<bool> = written.iter().map(|written| matches!(written, Ok(Written::Done))).collect();
        let mut written = writes.into_iter().zip(written);
        let find = |key: &CustomerKey| {
            let keys = std::slice::from_ref(key);
            Ok(self.store.direct(|uow| uow.customers().find(CustomerState::Live, keys))?.pop().flatten())
        };
        let outcome = |(command, decision): (&&Command, Decision)| match decision {
            Decision::Write => match written.next() {
                Some((write, Ok(Written::Done))) => Attempt::settled(Ok(write)),
                Some((write, Ok(Written::Taken(taken)))) => {
                    command.refused(&write, taken, find).map_or(Attempt::Lost, Attempt::settled)
                }
                Some((_, Ok(Written::Stale))) => Attempt::Lost,
                Some((_, Err(error))) => Attempt::settled(Err(error.into())),
                None => Attempt::settled(Err(StoreError::internal("a write has no result").into())),
            },
            // What was decided from a write of this batch holds only if that write was made.
            Decision::Settled { depends_on: Some(write), .. } if !done[write] => Attempt::Lost,
            Decision::Settled { result, .. } => Attempt::Settled(result),
            Decision::Wait => Attempt::Waits,
        };
        commands.iter().zip(decisions).map(outcome).collect()
    }

    /// Reads what each command is about, each by itself.
    pub(super) fn read(&self, commands: &[&Command]) -> Vec<Result<Option<Read>, StoreError>> {
        let customer_keys: Vec<CustomerKey> = commands.iter().filter_map(|command| command.customer_key()).collect();
        let subscription_keys: Vec<SubscriptionKey> =
            commands.iter().filter_map(|command| command.subscription_key()).collect();
        let mut customers = serve_together(&customer_keys, |keys| {
            self.store.direct(|uow| uow.customers().find(CustomerState::Live, keys))
        })
        .into_iter();
        let mut subscriptions =
            serve_together(&subscription_keys, |keys| self.store.direct(|uow| uow.subscriptions().find(keys)))
                .into_iter();
        let missing = || StoreError::internal("a read has no result");
        let read = |command: &&Command| {
            if command.key().is_none() {
                return Ok(None);
            }
            if matches!(command, Command::Record(_)) {
                let found = subscriptions.next().ok_or_else(missing)??;
                return Ok(found.map(|(customer, subscription)| Read { customer, subscription }));
            }
            let customer = customers.next().ok_or_else(missing)??;
            Ok(customer.map(|customer| Read { customer, subscription: None }))
        };
        commands.iter().map(read).collect()
    }
}

/// A command that has begun: what must stay the same when it is tried again is fixed.
pub(super) enum Command {
    Create(Customer),
    Ensure(Ensure),
    Change(CustomerChange),
    Delete(CustomerDeletion),
    Record(SubscriptionReport),
}

/// What a command decides from.
#[derive(Clone)]
pub(super) struct Read {
    pub(super) customer: Customer,
    /// The subscription that the command is about.
    subscription: Option<Subscription>,
}

/// What one attempt leads to.
enum Attempt {
    /// The command has its result.
    Settled(Box<Result<Write, WriteError>>),
    /// What it was decided from is not stored: it is decided anew.
    Lost,
    /// It waits for the next attempt.
    Waits,
}

enum Decision {
    /// It is not decided yet.
    Wait,
    /// The next of the writes of this attempt.
    Write,
    /// There is nothing to write.
    Settled {
        result: Box<Result<Write, WriteError>>,
        /// The write of this attempt that it was decided from.
        depends_on: Option<usize>,
    },
}

impl Attempt {
    fn settled(result: Result<Write, WriteError>) -> Self {
        Self::Settled(Box::new(result))
    }
}

impl Decision {
    fn settled(result: Result<Write, WriteError>, depends_on: Option<usize>) -> Self {
        Self::Settled { result: Box::new(result), depends_on }
    }
}

impl Command {
    fn tenant(&self) -> Tenant {
        match self {
            Self::Create(customer) => customer.tenant(),
            Self::Ensure(ensure) => ensure.tenant(),
            Self::Change(CustomerChange { key, .. }) | Self::Delete(CustomerDeletion { key, .. }) => key.tenant,
            Self::Record(report) => report.key.customer.tenant,
        }
    }

    /// The customer that it is about, which is read first; `None` if it can only be a new one.
    pub(super) fn key(&self) -> Option<&CustomerKey> {
        match self {
            Self::Create(_) => None,
            Self::Ensure(ensure) => ensure.key(),
            Self::Change(CustomerChange { key, .. }) | Self::Delete(CustomerDeletion { key, .. }) => Some(key),
            Self::Record(report) => Some(&report.key.customer),
        }
    }

    /// The customer to be read for it alone; a report is read with its subscription.
    fn customer_key(&self) -> Option<CustomerKey> {
        self.key().filter(|_| !matches!(self, Self::Record(_))).cloned()
    }

    fn subscription_key(&self) -> Option<SubscriptionKey> {
        match self {
            Self::Record(report) => Some(report.key.clone()),
            Self::Create(_) | Self::Ensure(_) | Self::Change(_) | Self::Delete(_) => None,
        }
    }

    /// Reads what it is about in a transaction, in which nothing of it changes from then on: a
    /// subscription is only written with its customer locked.
    pub(super) fn read_locked(&self, uow: &mut dyn UnitOfWork) -> Result<Option<Read>, StoreError> {
        let Some(key) = self.key() else { return Ok(None) };
        let found = uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?;
        let Some(customer) = found.into_iter().next().flatten() else { return Ok(None) };
        let Self::Record(report) = self else { return Ok(Some(Read { customer, subscription: None })) };
        let found = uow.subscriptions().find(std::slice::from_ref(&report.key))?.into_iter().next().flatten();
        Ok(found.map(|(customer, subscription)| Read { customer, subscription }))
    }

    /// Whether it may come to return a customer that it has not read.
    pub(super) fn may_return_a_holder(&self) -> bool {
        matches!(self, Self::Ensure(ensure) if ensure.may_return_a_holder())
    }

    /// The result after its `write` was refused because of what is `taken`; `None` if it is to be decided anew.
    pub(super) fn refused(
        &self,
        write: &Write,
        taken: Taken,
        find: impl FnOnce(&CustomerKey) -> Result<Option<Customer>, StoreError>,
    ) -> Option<Result<Write, WriteError>> {
        match self {
            Self::Ensure(ensure) => ensure.refused(write, taken, find),
            _ => Some(Err(WriteError::Taken(taken))),
        }
    }

    pub(super) fn decide(&self, read: Option<Read>, now: Timestamp) -> Result<Write, WriteError> {
        match (self, read) {
            (Self::Create(customer), _) => Ok(Write::create(customer.clone())),
            (Self::Ensure(ensure), read) => ensure.decide(read.map(|read| read.customer), now),
            (_, None) => Err(WriteError::NotFound),
            (Self::Change(change), Some(read)) => change.decide(read.customer, now),
            (Self::Delete(deletion), Some(read)) => deletion.decide(read.customer, now),
            (Self::Record(report), Some(read)) => report.decide(read.customer, read.subscription, now),
        }
    }
}

/// What the writes of one attempt will have stored, each with the place of the last write that it comes from. Later
/// commands of the attempt decide from it.
#[derive(Default)]
pub(super) struct Drafts {
    /// Whether a later command may look. A lone command, and a batch of creations, never do.
    is_needed: bool,
    customers: HashMap<(Tenant, CustomerId), (Customer, usize)>,
    /// The holder of each external identifier that has changed hands; `None` if it is free.
    external_ids: HashMap<(Tenant, ExternalId), (Option<CustomerId>, usize)>,
    subscriptions: HashMap<(Tenant, CustomerId, SubscriptionId), Subscription>,
}

impl Drafts {
    pub(super) fn for_commands(commands: &[&Command]) -> Self {
        let looks = |command: &&Command| command.key().is_some();
        Self { is_needed: commands.len() > 1 && commands.iter().any(looks), ..Self::default() }
    }

    /// What `command` is about as the writes so far will leave it, and which of them it comes from.
    pub(super) fn latest(&self, command: &Command, read: Option<Read>) -> (Option<Read>, Option<usize>) {
        let Some(key) = command.key() else { return (None, None) };
        if !self.is_needed {
            return (read, None);
        }
        let (id, moved_by) = match &key.customer {
            CustomerRef::Id(id) => (Some(*id), None),
            CustomerRef::ExternalId(external_id) => match self.external_ids.get(&(key.tenant, external_id.clone())) {
                Some((holder, write)) => (*holder, Some(*write)),
                None => (read.as_ref().map(|read| read.customer.id()), None),
            },
        };
        let Some(id) = id else { return (None, moved_by) };
        let Some((customer, write)) = self.customers.get(&(key.tenant, id)) else {
            return (read.filter(|read| read.customer.id() == id), moved_by);
        };
        let subscription = match command {
            Command::Record(report) => {
                let drafted = self.subscriptions.get(&(key.tenant, id, report.key.id.clone())).cloned();
                let stored = || read.filter(|read| read.customer.id() == id).and_then(|read| read.subscription);
                drafted.or_else(stored)
            }
            _ => None,
        };
        let latest = Some(Read { customer: customer.clone(), subscription });
        (latest.filter(|read| read.customer.is_live()), Some(*write))
    }

    pub(super) fn keep(&mut self, write: &Write, place: usize) {
        if !self.is_needed {
            return;
        }
        let after = write.after();
        let (tenant, id) = (after.tenant(), after.id());
        let external_id = |customer: &Customer| customer.profile().external_id.clone().filter(|_| customer.is_live());
        let (given_up, taken) = (write.before().and_then(external_id), external_id(after));
        if given_up != taken {
            if let Some(given_up) = given_up {
                self.external_ids.insert((tenant, given_up), (None, place));
            }
            if let Some(taken) = taken {
                self.external_ids.insert((tenant, taken), (Some(id), place));
            }
        }
        if let Some(subscription) = write.subscription() {
            let after = subscription.after.clone();
            self.subscriptions.insert((tenant, id, after.id.clone()), after);
        }
        self.customers.insert((tenant, id), (after.clone(), place));
    }
}
