use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use roster_domain::metadata::MetadataError;
use roster_domain::{Customer, CustomerId, Edit, ExternalId, Subscription, SubscriptionId, Tenant, Timestamp};

use super::change_customer::CustomerChange;
use super::delete_customer::CustomerDeletion;
use super::idempotency::{Answer, Idempotency, Keyed, View, WriteRequest, is_saved, replay_in};
use super::record_subscription::SubscriptionReport;
use super::register_customer::Registration;
use super::upsert_customer::{Ensure, Upsert};
use crate::batch::serve_together;
use crate::outcome::Outcome;
use crate::ports::{
    CustomerKey, CustomerRef, CustomerState, ReplyKey, StoreError, SubscriptionKey, Taken, UnitOfWork, Write, Written,
};
use crate::{Attribution, Revision, Roster};

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
    /// Another request has had the same idempotency key.
    #[error("another request has had the same idempotency key")]
    KeyReused,
    /// The store failed. Unless it was out of reach, nothing was written.
    #[error("the customer could not be written")]
    Store(#[from] StoreError),
}

/// How often a command is decided anew at most because another writer was faster.
const REREADS: usize = 3;

impl Roster {
    /// Does what the commands say, in their order: a command sees what those before it did, and the failure of one is not
    /// the failure of another. All that is written commits together. The answers are in the order of the commands.
    ///
    /// Race-free: each command reads, decides in memory, and writes on condition that what it read is still stored. If it
    /// is not, the command starts again, at most [`REREADS`] times, the last time with its customer locked: while many
    /// processes change one customer, any of them could lose each race.
    ///
    /// A command whose request has an idempotency key is done once. Its outcome commits with what it writes, and repeats of
    /// the request are answered from that.
    #[must_use]
    pub fn write_customers(&self, requests: Vec<impl Into<WriteRequest>>) -> Vec<Answer> {
        let now = self.clock.now();
        let commands: Vec<Begun> =
            requests.into_iter().map(|request| self.begin_request(request.into(), now)).collect();
        let mut answers: Vec<Option<Answer>> = commands.iter().map(|_| None).collect();
        let mut losses = vec![0; commands.len()];
        let mut open: Vec<usize> = (0..commands.len()).collect();
        // Ends, as the first of the open commands never waits.
        while !open.is_empty() {
            for (place, answer) in self.replay(&keyed(&commands, &open), now) {
                answers[place] = Some(answer);
            }
            open.retain(|&place| answers[place].is_none());
            let mut attempts = self.attempt(&commands, &open, now);
            self.save_answers_alone(&commands, &open, &mut attempts, now);
            let mut again = Vec::new();
            for (place, attempt) in open.into_iter().zip(attempts) {
                match attempt {
                    Attempt::Settled { answer, .. } => answers[place] = Some(*answer),
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
                answers[place] = Some(self.settle_locked(&commands[place], now));
            }
            open = others;
        }
        let missing = || StoreError::internal("a command has no result");
        answers.into_iter().map(|answer| answer.unwrap_or_else(|| missing().into())).collect()
    }

    /// Does one command in a transaction that other writers of its customer wait for. If another request with the same
    /// idempotency key was faster, its reply is there the second time.
    fn settle_locked(&self, begun: &Begun, now: Timestamp) -> Answer {
        let is_lost = |answer: &Answer| matches!(&answer.result, Err(WriteError::Store(error)) if error.is_lost_race());
        match self.try_locked(begun, now) {
            answer if begun.idempotency.is_some() && is_lost(&answer) => self.try_locked(begun, now),
            answer => answer,
        }
    }

    fn try_locked(&self, begun: &Begun, now: Timestamp) -> Answer {
        let attempt = |uow: &mut dyn UnitOfWork| self.decide_locked(uow, begun, now);
        let mut answers =
            serve_together(std::slice::from_ref(begun), |_| self.store.transaction(attempt).map(|answer| vec![answer]));
        let missing = || Err(StoreError::internal("a command has no result"));
        answers.pop().unwrap_or_else(missing).unwrap_or_else(Answer::from)
    }

    fn decide_locked(&self, uow: &mut dyn UnitOfWork, begun: &Begun, now: Timestamp) -> Result<Answer, StoreError> {
        let lost = || StoreError::lost_race("other writers were faster each time");
        let keyed = begun.keyed(0);
        if let Some(answer) = keyed.as_ref().map(|keyed| replay_in(uow, keyed, now)).transpose()?.flatten() {
            return Ok(answer);
        }
        let read = begun.command.read_locked(uow)?;
        let subscription = match &read {
            Some(read) if begun.shows_subscription() => {
                let customer = (read.customer.tenant(), read.customer.id());
                uow.subscriptions().current(&[customer])?.pop().flatten()
            }
            _ => None,
        };
        let result = match begun.command.decide(read, now) {
            Ok(write) if write.is_needed() => {
                let write = self.complete(begun, write, subscription.as_ref(), now)?;
                match uow.customers().write(std::slice::from_ref(&write))?.pop() {
                    Some(Written::Done) => {
                        return Ok(Answer { subscription, ..Ok(write).into() });
                    }
                    Some(Written::Taken(taken)) => {
                        begun.command.refused(&write, taken, |key| find_live(uow, key)).ok_or_else(lost)?
                    }
                    Some(Written::Stale) => return Err(lost()),
                    None => return Err(StoreError::internal("a write has no result")),
                }
            }
            result => result,
        };
        let mut answer = Answer { subscription, ..result.into() };
        if let Some(Keyed { tenant, idempotency, .. }) = keyed {
            if let (View::Subscriber, Err(WriteError::Taken(Taken { external_id: Some(holder), .. }))) =
                (idempotency.view, &answer.result)
            {
                answer.subscription = uow.subscriptions().current(&[(tenant, holder.id())])?.pop().flatten();
            }
            if let Some(outcome) = idempotency.outcome_alone(&answer) {
                let reply = idempotency.reply(tenant, &outcome, now, self.reply_lifetime)?;
                if !is_saved(uow, reply)? {
                    return Err(StoreError::lost_race("another request with the same idempotency key was faster"));
                }
            }
        }
        Ok(answer)
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

    fn begin_request(&self, request: WriteRequest, now: Timestamp) -> Begun {
        let WriteRequest { command, idempotency, attribution } = request;
        Begun { command: self.begin(command, now), idempotency, attribution }
    }

    /// The write with who asks for it, and with the reply that is saved with it, if its request has a key.
    fn complete(
        &self,
        begun: &Begun,
        write: Write,
        shown: Option<&Subscription>,
        now: Timestamp,
    ) -> Result<Write, StoreError> {
        let write = write.asked_for_by(begun.attribution.clone());
        let Some(idempotency) = &begun.idempotency else { return Ok(write) };
        let outcome = Outcome::of_write(&write, shown);
        Ok(write.replying(idempotency.reply(begun.command.tenant(), &outcome, now, self.reply_lifetime)?))
    }

    /// Saves the answers to requests with keys for which nothing was written.
    fn save_answers_alone(&self, commands: &[Begun], open: &[usize], attempts: &mut [Attempt], now: Timestamp) {
        let unsaved = attempts.iter_mut().enumerate().filter_map(|(index, attempt)| match attempt {
            Attempt::Settled { answer, is_saved: false } => Some((commands[open[index]].keyed(index)?, &mut **answer)),
            _ => None,
        });
        for index in self.save_alone(unsaved.collect(), now) {
            attempts[index] = Attempt::Lost;
        }
    }

    /// Tries the commands at the `open` places once.
    ///
    /// A command whose customer depends on a write that may be refused waits for the next attempt, and so do all later
    /// ones of its tenant: decided now, it could turn out wrong after those behind it have been done. So does a command
    /// that may change a customer which one before it may return, and one that has the idempotency key of an earlier one,
    /// which it may be a repeat of.
    fn attempt(&self, commands: &[Begun], open: &[usize], now: Timestamp) -> Vec<Attempt> {
        let commands: Vec<&Begun> = open.iter().map(|&place| &commands[place]).collect();
        let mut drafts = Drafts::for_commands(commands.iter().map(|begun| &begun.command));
        let mut writes: Vec<Write> = Vec::with_capacity(commands.len());
        let mut waiting: HashSet<Tenant> = HashSet::new();
        let mut returning: HashSet<Tenant> = HashSet::new();
        let mut keys: HashSet<ReplyKey> = HashSet::new();
        let decisions: Vec<Decision> = commands
            .iter()
            .zip(self.read_begun(&commands))
            .map(|(begun, read)| {
                let command = &begun.command;
                if command.key().is_some() && returning.contains(&command.tenant()) {
                    waiting.insert(command.tenant());
                }
                if waiting.contains(&command.tenant()) {
                    return Decision::Wait;
                }
                if command.may_return_a_holder() {
                    returning.insert(command.tenant());
                }
                let is_repeat = begun.keyed(0).is_some_and(|keyed| !keys.insert(keyed.key()));
                let read = match read {
                    Ok(read) => read,
                    Err(error) => return Decision::settled(error.into(), None),
                };
                let shown = read.as_ref().and_then(|read| read.shown.clone());
                let seen = read.as_ref().map(|read| read.customer.id());
                let (read, depends_on) = drafts.latest(command, read);
                // What is shown is the subscription of the customer that was read.
                let is_another = begun.shows_subscription() && seen != read.as_ref().map(|read| read.customer.id());
                let may_be_refused = depends_on.is_some_and(|write| !writes[write].claims().is_empty());
                if is_repeat || is_another || may_be_refused {
                    waiting.insert(command.tenant());
                    return Decision::Wait;
                }
                let write = match command.decide(read, now) {
                    Ok(write) if write.is_needed() => write,
                    result => return Decision::settled(Answer { subscription: shown, ..result.into() }, depends_on),
                };
                match self.complete(begun, write, shown.as_ref(), now) {
                    Ok(write) => {
                        drafts.keep(&write, writes.len());
                        writes.push(write);
                        Decision::Write { shown }
                    }
                    Err(error) => Decision::settled(error.into(), None),
                }
            })
            .collect();
        let written = serve_together(&writes, |writes| self.store.direct(|uow| uow.customers().write(writes)));
        let done: Vec<bool> = written.iter().map(|written| matches!(written, Ok(Written::Done))).collect();
        let mut written = writes.into_iter().zip(written);
        let find = |key: &CustomerKey| self.store.direct(|uow| find_live(uow, key));
        let outcome = |(begun, decision): (&&Begun, Decision)| match decision {
            Decision::Write { shown } => match written.next() {
                Some((write, Ok(Written::Done))) => Attempt::done(write, shown),
                Some((write, Ok(Written::Taken(taken)))) => {
                    let refused = begun.command.refused(&write, taken, find);
                    refused.map_or(Attempt::Lost, |result| {
                        Attempt::settled(Answer { subscription: shown, ..result.into() })
                    })
                }
                Some((_, Ok(Written::Stale))) => Attempt::Lost,
                Some((_, Err(error))) => Attempt::settled(error.into()),
                None => Attempt::settled(StoreError::internal("a write has no result").into()),
            },
            // What was decided from a write of this batch holds only if that write was made.
            Decision::Settled { depends_on: Some(write), .. } if !done[write] => Attempt::Lost,
            Decision::Settled { answer, .. } => Attempt::Settled { answer, is_saved: false },
            Decision::Wait => Attempt::Waits,
        };
        commands.iter().zip(decisions).map(outcome).collect()
    }

    fn read_begun(&self, commands: &[&Begun]) -> Vec<Result<Option<Read>, StoreError>> {
        let mut read = self.read(&commands.iter().map(|begun| &begun.command).collect::<Vec<_>>());
        self.read_shown(commands, &mut read);
        read
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
                return Ok(found.map(|(customer, subscription)| Read { customer, subscription, shown: None }));
            }
            let customer = customers.next().ok_or_else(missing)??;
            Ok(customer.map(|customer| Read { customer, subscription: None, shown: None }))
        };
        commands.iter().map(read).collect()
    }

    /// Reads the subscriptions that are shown with customers that were read.
    fn read_shown(&self, commands: &[&Begun], read: &mut [Result<Option<Read>, StoreError>]) {
        let mut shown: Vec<_> = commands
            .iter()
            .zip(read)
            .filter(|(begun, read)| begun.shows_subscription() && matches!(read, Ok(Some(_))))
            .map(|(_, read)| read)
            .collect();
        let customer = |read: &Read| (read.customer.tenant(), read.customer.id());
        let customers: Vec<_> = shown.iter().filter_map(|read| read.as_ref().ok()?.as_ref().map(customer)).collect();
        for (read, found) in shown.iter_mut().zip(self.current_subscriptions(&customers)) {
            match (&mut **read, found) {
                (Ok(Some(read)), Ok(subscription)) => read.shown = subscription,
                (_, Ok(_)) => {}
                (read, Err(error)) => *read = Err(error),
            }
        }
    }
}

/// The live customer that `key` names.
pub(super) fn find_live(uow: &mut dyn UnitOfWork, key: &CustomerKey) -> Result<Option<Customer>, StoreError> {
    Ok(uow.customers().find(CustomerState::Live, std::slice::from_ref(key))?.pop().flatten())
}

/// The requests with idempotency keys among those at the `open` places.
fn keyed(commands: &[Begun], open: &[usize]) -> Vec<Keyed> {
    open.iter().filter_map(|&place| commands[place].keyed(place)).collect()
}

/// A command that has begun, how its repeats are recognised, and who asks for it.
struct Begun {
    command: Command,
    idempotency: Option<Idempotency>,
    attribution: Option<Arc<Attribution>>,
}

impl Begun {
    /// The request at `place`, if it has an idempotency key.
    fn keyed(&self, place: usize) -> Option<Keyed> {
        self.idempotency.map(|idempotency| Keyed { place, tenant: self.command.tenant(), idempotency })
    }

    /// Whether its saved reply has the current subscription of the customer.
    fn shows_subscription(&self) -> bool {
        self.idempotency.is_some_and(|idempotency| idempotency.view == View::Subscriber)
    }
}

/// A command of which all is fixed that must stay the same when it is tried again.
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
    /// The subscription that is shown with the customer.
    shown: Option<Subscription>,
}

/// What one attempt leads to.
enum Attempt {
    /// The command has its answer. `is_saved`: repeats of its request will get the same.
    Settled { answer: Box<Answer>, is_saved: bool },
    /// What it was decided from is not stored: it is decided anew.
    Lost,
    /// It waits for the next attempt.
    Waits,
}

enum Decision {
    /// It is not decided yet.
    Wait,
    /// The next of the writes of this attempt.
    Write {
        /// The subscription that is shown with its customer.
        shown: Option<Subscription>,
    },
    /// There is nothing to write.
    Settled {
        answer: Box<Answer>,
        /// The write of this attempt that it was decided from.
        depends_on: Option<usize>,
    },
}

impl Attempt {
    fn done(write: Write, subscription: Option<Subscription>) -> Self {
        Self::Settled { answer: Box::new(Answer { subscription, ..Ok(write).into() }), is_saved: true }
    }

    fn settled(answer: Answer) -> Self {
        Self::Settled { answer: Box::new(answer), is_saved: false }
    }
}

impl Decision {
    fn settled(answer: Answer, depends_on: Option<usize>) -> Self {
        Self::Settled { answer: Box::new(answer), depends_on }
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
        let Some(customer) = find_live(uow, key)? else { return Ok(None) };
        let Self::Record(report) = self else { return Ok(Some(Read { customer, subscription: None, shown: None })) };
        let found = uow.subscriptions().find(std::slice::from_ref(&report.key))?.into_iter().next().flatten();
        Ok(found.map(|(customer, subscription)| Read { customer, subscription, shown: None }))
    }

    /// Whether it may come to return a customer that it has not read.
    pub(super) fn may_return_a_holder(&self) -> bool {
        matches!(self, Self::Ensure(ensure) if ensure.may_return_a_holder())
    }

    /// Whether it gives an external identifier to a customer that was there before, and may have subscriptions.
    pub(super) fn moves_an_external_id(&self) -> bool {
        matches!(self, Self::Change(change) if matches!(change.edit.external_id, Edit::Set(_)))
    }

    /// Whether the subscription that it is about is found by the external identifier of its customer.
    pub(super) fn finds_a_subscription_by_external_id(&self) -> bool {
        matches!(self, Self::Record(report) if matches!(report.key.customer.customer, CustomerRef::ExternalId(_)))
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
    pub(super) fn for_commands<'a>(mut commands: impl ExactSizeIterator<Item = &'a Command>) -> Self {
        let are_many = commands.len() > 1;
        Self { is_needed: are_many && commands.any(|command| command.key().is_some()), ..Self::default() }
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
        let latest = Some(Read { customer: customer.clone(), subscription, shown: None });
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
