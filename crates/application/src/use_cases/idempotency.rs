//! Requests with an idempotency key: the first is done and its outcome saved with what it writes, repeats are answered from
//! that.

use std::sync::Arc;
use std::time::Duration;

use roster_domain::{Subscription, Tenant, Timestamp};

use super::write_customers::{CustomerCommand, WriteError};
use crate::batch::serve_together;
use crate::outcome::Outcome;
use crate::ports::{ReplyKey, SavedReply, StoreError, UnitOfWork, Write};
use crate::{Attribution, Digest, Roster};

/// How long a reply is kept by default: a day.
pub const DEFAULT_REPLY_LIFETIME: Duration = Duration::from_hours(24);

/// How repeats of a request are recognised, and what its saved reply must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// The SHA-256 of the key that the caller sent.
    pub key: Digest,
    /// The digest of everything that a repeat must have in common with the first request.
    pub fingerprint: Digest,
    /// What the caller is shown.
    pub view: View,
}

/// What the answer to a command shows, where surfaces differ.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum View {
    /// The customer. That its address is taken is a conflict.
    #[default]
    Customer,
    /// The customer with its current subscription, also if its external identifier is taken. That its address is taken
    /// means that the caller lacks a scope, which is no answer for good and so is not saved.
    Subscriber,
}

/// A command, how its repeats are recognised, and who asks for it.
#[derive(Debug, Clone)]
pub struct WriteRequest {
    /// The command.
    pub command: CustomerCommand,
    /// `None`: each request is done.
    pub idempotency: Option<Idempotency>,
    /// Who asks for it; `None`: the service itself.
    pub attribution: Option<Arc<Attribution>>,
}

impl From<CustomerCommand> for WriteRequest {
    fn from(command: CustomerCommand) -> Self {
        Self { command, idempotency: None, attribution: None }
    }
}

/// The answer to a [`WriteRequest`].
#[derive(Debug, Clone)]
pub struct Answer {
    /// The write that was made, or one whose `before` and `after` are equal if there was nothing to change. That of a
    /// repeat has what its caller is shown: the customer and the subscription after the write, and whether they were new.
    pub result: Result<Write, WriteError>,
    /// The current subscription of the customer, if a request with an idempotency key [shows](View::Subscriber) it.
    pub subscription: Option<Subscription>,
    /// Whether it was saved for an earlier request.
    pub is_replayed: bool,
}

impl From<Result<Write, WriteError>> for Answer {
    /// An answer to be shown for the first time, without a subscription.
    fn from(result: Result<Write, WriteError>) -> Self {
        Self { result, subscription: None, is_replayed: false }
    }
}

impl From<StoreError> for Answer {
    fn from(error: StoreError) -> Self {
        Self::from(Err(error.into()))
    }
}

impl Answer {
    /// What a repeat of the request with `idempotency` is answered from `reply`.
    fn replayed(idempotency: &Idempotency, reply: &SavedReply) -> Result<Self, StoreError> {
        match idempotency.saved(reply)? {
            Saved::ForAnother => Ok(Err(WriteError::KeyReused).into()),
            Saved::Outcome(outcome) => {
                let (result, subscription) = outcome.into_write(&reply.key)?;
                Ok(Self { result, subscription, is_replayed: true })
            }
        }
    }
}

/// What is saved under the key of a request.
pub(super) enum Saved {
    /// What the first such request led to.
    Outcome(Outcome),
    /// The reply to another request.
    ForAnother,
}

impl Idempotency {
    /// What `reply` has for this request.
    fn saved(&self, reply: &SavedReply) -> Result<Saved, StoreError> {
        if reply.fingerprint != self.fingerprint {
            return Ok(Saved::ForAnother);
        }
        Outcome::decode(&reply.key, &reply.outcome).map(Saved::Outcome)
    }

    /// Looks up what is saved under the key of this request.
    pub(super) fn find_saved(
        &self,
        uow: &mut dyn UnitOfWork,
        tenant: Tenant,
        now: Timestamp,
    ) -> Result<Option<Saved>, StoreError> {
        let found = uow.replies().find(&[self.reply_key(tenant)], now)?.into_iter().next().flatten();
        found.map(|reply| self.saved(&reply)).transpose()
    }

    /// What identifies the reply.
    pub(super) fn reply_key(&self, tenant: Tenant) -> ReplyKey {
        ReplyKey { tenant, digest: self.key }
    }

    /// The reply to be saved.
    pub(super) fn reply(
        &self,
        tenant: Tenant,
        outcome: &Outcome,
        now: Timestamp,
        lifetime: Duration,
    ) -> Result<SavedReply, StoreError> {
        Ok(SavedReply {
            key: self.reply_key(tenant),
            fingerprint: self.fingerprint,
            customer: outcome.customer(),
            outcome: outcome.encode()?,
            created_at: now,
            expires_at: now.plus(lifetime),
        })
    }

    /// What is saved of an answer for which nothing is written; `None` if it is no answer for good.
    pub(super) fn outcome_alone(&self, answer: &Answer) -> Option<Outcome> {
        let shown = answer.subscription.as_ref();
        match &answer.result {
            Ok(write) => Some(Outcome::of_write(write, shown)),
            Err(WriteError::Taken(taken)) if taken.external_id.is_none() && self.view == View::Subscriber => None,
            Err(error) => Outcome::of_error(error, shown),
        }
    }
}

/// A request with an idempotency key, by its place among others.
pub(super) struct Keyed {
    pub(super) place: usize,
    pub(super) tenant: Tenant,
    pub(super) idempotency: Idempotency,
}

impl Keyed {
    pub(super) fn key(&self) -> ReplyKey {
        self.idempotency.reply_key(self.tenant)
    }
}

impl Roster {
    /// Notes that a batch with an idempotency key has begun, each item of which is a request with a key of its own. Returns
    /// whether it had begun before. Repeats of it find by this that they are the same batch.
    ///
    /// # Errors
    /// [`WriteError::KeyReused`], or the store failed.
    pub fn begin_batch(&self, tenant: Tenant, idempotency: &Idempotency) -> Result<bool, WriteError> {
        let now = self.now();
        let reply = idempotency.reply(tenant, &Outcome::Begun {}, now, self.reply_lifetime)?;
        let earlier = self.store.direct(|uow| {
            if is_saved(uow, reply.clone())? { Ok(None) } else { idempotency.find_saved(uow, tenant, now) }
        })?;
        match earlier {
            None => Ok(false),
            Some(Saved::Outcome(_)) => Ok(true),
            Some(Saved::ForAnother) => Err(WriteError::KeyReused),
        }
    }

    /// Keeps a reply for `lifetime`, 1 minute to 30 days.
    #[must_use]
    pub fn with_reply_lifetime(self, lifetime: Duration) -> Self {
        Self { reply_lifetime: lifetime, ..self }
    }

    /// The answers to those requests that were answered before, each with its place, and to those whose replies cannot be
    /// read.
    pub(super) fn replay(&self, requests: &[Keyed], now: Timestamp) -> Vec<(usize, Answer)> {
        let keys: Vec<ReplyKey> = requests.iter().map(Keyed::key).collect();
        let found = serve_together(&keys, |keys| self.store.direct(|uow| uow.replies().find(keys, now)));
        let replayed = requests.iter().zip(found).filter_map(|(request, found)| {
            let answer =
                found.and_then(|reply| reply.map(|reply| Answer::replayed(&request.idempotency, &reply)).transpose());
            let answer = answer.unwrap_or_else(|error| Some(error.into()));
            answer.map(|answer| (request.place, answer))
        });
        replayed.collect()
    }

    /// Saves the answers for which nothing is written. Returns the places of those that another request with the same key
    /// was faster than: they are to be decided anew.
    pub(super) fn save_alone(&self, mut answers: Vec<(Keyed, &mut Answer)>, now: Timestamp) -> Vec<usize> {
        self.show_subscriptions(&mut answers);
        let mut replies = Vec::with_capacity(answers.len());
        let mut saving = Vec::with_capacity(answers.len());
        for (request, answer) in answers {
            let Some(outcome) = request.idempotency.outcome_alone(answer) else { continue };
            match request.idempotency.reply(request.tenant, &outcome, now, self.reply_lifetime) {
                Ok(reply) => {
                    replies.push(reply);
                    saving.push((request.place, answer));
                }
                Err(error) => *answer = error.into(),
            }
        }
        let saved = serve_together(&replies, |replies| self.store.direct(|uow| uow.replies().save(replies)));
        let mut lost = Vec::new();
        for ((place, answer), saved) in saving.into_iter().zip(saved) {
            match saved {
                Ok(true) => {}
                Ok(false) => lost.push(place),
                Err(error) => *answer = error.into(),
            }
        }
        lost
    }

    /// Looks up the subscriptions of the customers that have the external identifiers of refused requests.
    fn show_subscriptions(&self, answers: &mut [(Keyed, &mut Answer)]) {
        let mut shown: Vec<_> = answers
            .iter_mut()
            .filter(|(request, _)| request.idempotency.view == View::Subscriber)
            .filter_map(|(_, answer)| {
                let Err(WriteError::Taken(taken)) = &answer.result else { return None };
                let holder = taken.external_id.as_ref().map(|holder| (holder.tenant(), holder.id()))?;
                Some((holder, answer))
            })
            .collect();
        let holders: Vec<_> = shown.iter().map(|(holder, _)| *holder).collect();
        for ((_, answer), found) in shown.iter_mut().zip(self.current_subscriptions(&holders)) {
            match found {
                Ok(subscription) => answer.subscription = subscription,
                Err(error) => ***answer = error.into(),
            }
        }
    }
}

/// The answer to a request that was answered before, in a transaction.
pub(super) fn replay_in(
    uow: &mut dyn UnitOfWork,
    request: &Keyed,
    now: Timestamp,
) -> Result<Option<Answer>, StoreError> {
    let found = uow.replies().find(&[request.key()], now)?.into_iter().next().flatten();
    found.map(|reply| Answer::replayed(&request.idempotency, &reply)).transpose()
}

/// Saves one reply in a transaction. It is not saved if another request with the same key was faster.
pub(super) fn is_saved(uow: &mut dyn UnitOfWork, reply: SavedReply) -> Result<bool, StoreError> {
    Ok(uow.replies().save(&[reply])? == [true])
}
