use std::collections::HashMap;
use std::sync::Arc;

use roster_domain::{Customer, CustomerId, CustomerStatus, ExternalId, Subscription, Tenant};

use super::{Count, CustomerFilter, CustomerQuery, Listed, SavedReply, StoreError};
use crate::{Actor, Attribution};

/// Identifies one customer of a tenant.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CustomerRef {
    /// By our own identifier.
    Id(CustomerId),
    /// By the merchant's identifier, which only a live customer has.
    ExternalId(ExternalId),
}

/// Identifies one customer.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CustomerKey {
    /// The tenant it belongs to.
    pub tenant: Tenant,
    /// The customer.
    pub customer: CustomerRef,
}

/// Which customers a read returns. Deleted customers keep their rows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum CustomerState {
    /// Those that are not deleted.
    #[default]
    Live,
    /// Those of them that are active.
    Active,
    /// Those of them that are archived.
    Archived,
    /// Those that are deleted.
    Deleted,
    /// All.
    Any,
}

impl CustomerState {
    /// Whether a read in this state returns `customer`.
    #[must_use]
    pub fn includes(self, customer: &Customer) -> bool {
        match self {
            Self::Live => customer.is_live(),
            Self::Active => customer.is_live() && customer.status() == CustomerStatus::Active,
            Self::Archived => customer.is_live() && customer.status() == CustomerStatus::Archived,
            Self::Deleted => !customer.is_live(),
            Self::Any => true,
        }
    }
}

/// One change of one customer, and all that commits with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    before: Option<Customer>,
    after: Customer,
    subscription: Option<SubscriptionWrite>,
    reply: Option<SavedReply>,
    attribution: Option<Arc<Attribution>>,
}

/// A subscription before and after a report of the billing engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionWrite {
    /// As it was read; `None` if it is new.
    pub before: Option<Subscription>,
    /// As it will be.
    pub after: Subscription,
}

impl Write {
    /// Stores a new customer.
    #[must_use]
    pub fn create(after: Customer) -> Self {
        Self { before: None, after, subscription: None, reply: None, attribution: None }
    }

    /// Stores `after` in place of `before`, the same customer one version earlier. A deleted `after` is a deletion.
    #[must_use]
    pub fn change(before: Customer, after: Customer) -> Self {
        Self { before: Some(before), after, subscription: None, reply: None, attribution: None }
    }

    /// Stores nothing: `customer` is as it shall be.
    #[must_use]
    pub fn unchanged(customer: Customer) -> Self {
        Self::change(customer.clone(), customer)
    }

    /// Stores a subscription of `customer`, which stays as it is.
    #[must_use]
    pub fn record(customer: Customer, subscription: SubscriptionWrite) -> Self {
        Self { subscription: Some(subscription), ..Self::unchanged(customer) }
    }

    /// The same write, made only if `reply` can be saved with it: its key has no other reply.
    #[must_use]
    pub fn replying(self, reply: SavedReply) -> Self {
        Self { reply: Some(reply), ..self }
    }

    /// The same write with who asks for it; `None`: the service itself.
    #[must_use]
    pub fn asked_for_by(self, attribution: Option<Arc<Attribution>>) -> Self {
        Self { attribution, ..self }
    }

    /// Who asks for it.
    #[must_use]
    pub fn attribution(&self) -> &Attribution {
        static SYSTEM: Attribution = Attribution { actor: Actor::System, request_id: None, reason: None };
        self.attribution.as_deref().unwrap_or(&SYSTEM)
    }

    /// The customer as it was read; `None` if it is new.
    #[must_use]
    pub fn before(&self) -> Option<&Customer> {
        self.before.as_ref()
    }

    /// The customer as it will be.
    #[must_use]
    pub fn after(&self) -> &Customer {
        &self.after
    }

    /// The subscription that is stored with it.
    #[must_use]
    pub fn subscription(&self) -> Option<&SubscriptionWrite> {
        self.subscription.as_ref()
    }

    /// The reply that is saved with it.
    #[must_use]
    pub fn reply(&self) -> Option<&SavedReply> {
        self.reply.as_ref()
    }

    /// The customer as it will be.
    #[must_use]
    pub fn into_customer(self) -> Customer {
        self.after
    }

    /// The subscription that is stored with it.
    #[must_use]
    pub fn into_subscription(self) -> Option<SubscriptionWrite> {
        self.subscription
    }

    /// Whether the row of the customer changes.
    #[must_use]
    pub fn changes_customer(&self) -> bool {
        self.before.as_ref().is_none_or(|before| before.version() != self.after.version())
    }

    /// Whether there is anything to store.
    #[must_use]
    pub fn is_needed(&self) -> bool {
        self.changes_customer() || self.subscription.is_some()
    }

    /// The identifiers that must be free for the write to succeed: those that the customer has after it and not before.
    #[must_use]
    pub fn claims(&self) -> Claims<'_> {
        let before = self.before.as_ref().filter(|before| before.is_live());
        let Some(after) = Some(&self.after).filter(|after| after.is_live()) else { return Claims::default() };
        let held_key = before.and_then(Customer::email_key);
        let held_id = before.and_then(|before| before.profile().external_id.as_ref());
        Claims {
            email_key: after.exclusive_email_key().filter(|key| held_key != Some(*key)),
            external_id: after.profile().external_id.as_ref().filter(|id| held_id != Some(*id)),
        }
    }

    /// The identifiers that the customer has before or after the write, but not both. Two writes of one batch that share
    /// one of these depend on each other's order.
    pub fn moved_identifiers(&self) -> impl Iterator<Item = Identifier<'_>> {
        let before: Vec<_> = self.before.as_ref().map(identifiers).into_iter().flatten().collect();
        let after: Vec<_> = identifiers(&self.after).collect();
        let released: Vec<_> = before.iter().filter(|one| !after.contains(one)).copied().collect();
        after.into_iter().filter(move |one| !before.contains(one)).chain(released)
    }
}

/// The writes of a batch that later ones of it were decided from: those that leave what a later one has as `before`.
///
/// If none of them is made, the later one must not be made either. Its version alone does not tell: another writer may
/// have stored the same version with another content.
#[derive(Debug)]
pub struct Origins(Vec<[Vec<usize>; 2]>);

impl Origins {
    /// The origins of each of `writes`.
    #[must_use]
    pub fn of(writes: &[Write]) -> Self {
        if writes.len() < 2 {
            return Self(Vec::new());
        }
        let mut changes: HashMap<(Tenant, CustomerId), Vec<usize>> = HashMap::with_capacity(writes.len());
        let mut reports: HashMap<(Tenant, CustomerId), Vec<usize>> = HashMap::new();
        let none = Vec::new();
        let mut origins = Vec::with_capacity(writes.len());
        for (place, write) in writes.iter().enumerate() {
            let customer = (write.after.tenant(), write.after.id());
            let of_customer = changes.get(&customer).unwrap_or(&none).iter().copied();
            let of_customer = of_customer.filter(|&earlier| write.before.as_ref() == Some(&writes[earlier].after));
            let before = write.subscription.as_ref().and_then(|subscription| subscription.before.as_ref());
            let of_subscription = reports.get(&customer).unwrap_or(&none).iter().copied();
            let of_subscription = of_subscription.filter(|&earlier| {
                before.is_some() && before == writes[earlier].subscription.as_ref().map(|earlier| &earlier.after)
            });
            origins.push([of_customer.collect(), of_subscription.collect()]);
            if write.subscription.is_some() {
                reports.entry(customer).or_default().push(place);
            } else {
                changes.entry(customer).or_default().push(place);
            }
        }
        Self(origins)
    }

    /// Whether the write at `place` may be made, given the results of those before it.
    #[must_use]
    pub fn are_made(&self, place: usize, results: &[Written]) -> bool {
        let is_made = |origins: &Vec<usize>| {
            origins.is_empty() || origins.iter().any(|&earlier| results[earlier] == Written::Done)
        };
        self.0.get(place).is_none_or(|origins| origins.iter().all(is_made))
    }
}

/// The identifiers of a customer if it is live; a deleted one has none.
fn identifiers(customer: &Customer) -> impl Iterator<Item = Identifier<'_>> {
    let email = customer.email_key().map(Identifier::EmailKey);
    let external_id = customer.profile().external_id.as_ref().map(|id| Identifier::ExternalId(id.as_str()));
    [email, external_id].into_iter().flatten().filter(|_| customer.is_live())
}

/// An identifier of a live customer, unique in its tenant unless the e-mail address is shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Identifier<'a> {
    /// The key by which e-mail addresses are compared.
    EmailKey(&'a str),
    /// The merchant's identifier.
    ExternalId(&'a str),
}

/// The identifiers that a write takes, and that no other live customer of the tenant may have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Claims<'a> {
    /// The e-mail key.
    pub email_key: Option<&'a str>,
    /// The external identifier.
    pub external_id: Option<&'a ExternalId>,
}

impl Claims<'_> {
    /// Whether nothing is claimed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.email_key.is_none() && self.external_id.is_none()
    }
}

/// The customers that have the [`Claims`] of a write already.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Taken {
    /// A live customer with the e-mail key: the one that has it exclusively, else the oldest that shares it.
    pub email: Option<CustomerId>,
    /// The live customer with the external identifier, as it was stored when the write was refused: other writes of the
    /// same batch that do not move identifiers may have changed it already, or not yet.
    pub external_id: Option<Box<Customer>>,
}

impl Taken {
    /// Whether everything is free.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.email.is_none() && self.external_id.is_none()
    }
}

/// The result of one [`Write`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Written {
    /// It is stored.
    Done,
    /// Other customers have what it claims; at least one of the two is named. Nothing is stored.
    Taken(Taken),
    /// What is stored is not `before`: another writer was faster, or the customer that had what is claimed has just given
    /// it up; or the key of its reply has a reply already. Nothing is stored; read again and decide anew.
    Stale,
}

/// The customers.
pub trait CustomerRepository {
    /// Makes each write if what is stored is its `before` and its claims are free. The results are in the order of the
    /// writes; writes to one customer or one identifier behave as if made one after the other, in that order, and a write
    /// whose [origin](Origins) is not made is stale. Outside a transaction all that are done commit together
    /// before this returns. Each that is done makes one [event](super::EventRepository), which commits with it.
    ///
    /// Race-free: of any number of callers that claim one identifier, or change one version of a customer, at the same
    /// time and in any number of processes, exactly one gets [`Written::Done`]. [`Written::Stale`] is reported before
    /// [`Written::Taken`].
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed; nothing of it is stored then.
    fn write(&mut self, writes: &[Write]) -> Result<Vec<Written>, StoreError>;

    /// Finds customers in `state`; the results are in the order of the keys. By external identifier only live customers
    /// are found. In a transaction, other writers of what it finds wait until the transaction ends.
    ///
    /// # Errors
    /// [`StoreError`] if the whole batch failed.
    fn find(&mut self, state: CustomerState, keys: &[CustomerKey]) -> Result<Vec<Option<Customer>>, StoreError>;

    /// A page of customers. If the filter [is walked](CustomerFilter::is_walked), the store may stop looking after
    /// [`CustomerQuery::max_rows`] rows, before the page is full.
    ///
    /// # Errors
    /// [`StoreError`]
    fn list(&mut self, query: &CustomerQuery) -> Result<Listed, StoreError>;

    /// Several pages, in the order of `queries`: each as [`list`](Self::list) reads it. A store that is reached over a network asks
    /// for [plain](CustomerQuery::is_plain) pages of one form together.
    ///
    /// # Errors
    /// [`StoreError`] if one of them could not be read.
    fn list_many(&mut self, queries: &[CustomerQuery]) -> Result<Vec<Listed>, StoreError> {
        queries.iter().map(|query| self.list(query)).collect()
    }

    /// How many customers a list has, up to `most`, which is also the most rows that are looked at if the filter
    /// [is walked](CustomerFilter::is_walked).
    ///
    /// # Errors
    /// [`StoreError`]
    fn count(&mut self, tenant: Tenant, filter: &CustomerFilter, most: usize) -> Result<Count, StoreError>;

    /// Adds customers of `tenants` to an index for searches that does not have them yet as they are stored, at most `most`.
    /// Returns how many of them were found. Searches find them before, too.
    ///
    /// # Errors
    /// [`StoreError`]; none is added then.
    fn index_for_search(&mut self, tenants: &[Tenant], most: usize) -> Result<usize, StoreError>;
}
