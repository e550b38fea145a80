use std::time::Duration;

use roster_domain::{Customer, CustomerId, Subscription, Tenant};

use crate::outcome::Outcome;
use crate::ports::{
    Attempt, CustomerKey, CustomerRef, CustomerState, EventQuery, ListOrder, SavedReply, StoreError,
    SubscriptionCursor, UnitOfWork,
};
use crate::{Event, PageSize, Roster};

/// Everything that is kept about one customer, as it is at one moment.
#[derive(Debug, Clone)]
pub struct Subject {
    /// The customer, live or deleted.
    pub customer: Customer,
    /// Its subscriptions.
    pub subscriptions: Vec<Subscription>,
    /// What happened to it, in that order.
    pub events: Vec<Event>,
    /// The saved replies that have its data; of those to batches that were done as a whole, its part.
    pub replies: Vec<SavedReply>,
    /// The attempts to send its events to webhook endpoints.
    pub attempts: Vec<Attempt>,
}

impl Roster {
    /// Everything that is kept about the customer with this key. `None`: there is none, and was none.
    ///
    /// It may take `age`: replies and attempts are looked through, as no index has their customers.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn export_subject(&self, key: &CustomerKey, age: Duration) -> Result<Option<Subject>, StoreError> {
        self.store.snapshot(age, |uow| {
            let state = match key.customer {
                CustomerRef::Id(_) => CustomerState::Any,
                CustomerRef::ExternalId(_) => CustomerState::Live,
            };
            let found = uow.customers().find(state, std::slice::from_ref(key))?.pop().flatten();
            found.map(|customer| subject(uow, customer)).transpose()
        })
    }
}

const SIZE: usize = PageSize::BULK.get();

fn subject(uow: &mut dyn UnitOfWork, customer: Customer) -> Result<Subject, StoreError> {
    let (tenant, id) = (customer.tenant(), customer.id());
    let subscriptions = all(|last: Option<&Subscription>| {
        let after = last.map(SubscriptionCursor::from);
        uow.subscriptions().list(tenant, id, after.as_ref(), SIZE)
    })?;
    let events = all(|last: Option<&Event>| {
        uow.events().list(&EventQuery {
            tenant,
            customer: Some(id),
            kind: None,
            order: ListOrder::Ascending,
            first: last.map_or(1, |last| last.seq + 1),
            last: i64::MAX,
            limit: SIZE,
        })
    })?;
    let mut replies = all(|last: Option<&SavedReply>| {
        uow.replies().of_customer(tenant, Some(id), last.map(|last| last.key.digest), SIZE)
    })?;
    replies.extend(replies_to_batches(uow, tenant, id)?);
    let attempts = attempts(uow, tenant, id)?;
    Ok(Subject { customer, subscriptions, events, replies, attempts })
}

/// The replies to atomic batches, which have many customers, with what they have of this one.
fn replies_to_batches(
    uow: &mut dyn UnitOfWork,
    tenant: Tenant,
    customer: CustomerId,
) -> Result<Vec<SavedReply>, StoreError> {
    let mut replies = Vec::new();
    let mut last = None;
    loop {
        let page = uow.replies().of_customer(tenant, None, last, SIZE)?;
        let is_last = page.len() < SIZE;
        last = page.last().map(|reply| reply.key.digest);
        for reply in page {
            if let Some(part) = Outcome::decode(&reply.key, &reply.outcome)?.part_of(customer) {
                replies.push(SavedReply { outcome: part.encode()?, ..reply });
            }
        }
        if is_last {
            return Ok(replies);
        }
    }
}

/// The attempts to send the events of a customer to any endpoint. There are few endpoints, and each keeps few attempts.
fn attempts(uow: &mut dyn UnitOfWork, tenant: Tenant, customer: CustomerId) -> Result<Vec<Attempt>, StoreError> {
    let mut attempts = Vec::new();
    let mut last_endpoint = None;
    loop {
        let endpoints = uow.webhooks().list(tenant, last_endpoint, SIZE)?;
        for stored in &endpoints {
            let id = stored.endpoint.id;
            let of_endpoint =
                all(|last: Option<&Attempt>| uow.webhooks().attempts(tenant, id, last.map(|last| last.id), SIZE))?;
            attempts.extend(of_endpoint.into_iter().filter(|attempt| attempt.customer == Some(customer)));
        }
        last_endpoint = endpoints.last().map(|stored| stored.endpoint.id);
        if endpoints.len() < SIZE {
            return Ok(attempts);
        }
    }
}

/// All items of a list whose pages follow their last item.
fn all<T>(mut page: impl FnMut(Option<&T>) -> Result<Vec<T>, StoreError>) -> Result<Vec<T>, StoreError> {
    let mut items: Vec<T> = Vec::new();
    loop {
        let next = page(items.last())?;
        let is_last = next.len() < SIZE;
        items.extend(next);
        if is_last {
            return Ok(items);
        }
    }
}
