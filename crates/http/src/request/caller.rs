//! The caller of a request and what it may do: the only way from a handler to the use cases.
//!
//! A handler names the scope it needs by the type of its caller: `Caller::<WriteCustomers>::of(&request)`. A caller of that
//! type has the use cases of that scope and no others, so that a handler which asks for less than it does does not
//! compile.

use std::collections::HashMap;
use std::io;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::ports::{
    Attempt, AttemptOutcome, Count, CustomerFilter, CustomerKey, CustomerQuery, CustomerRef, ListOrder, Place,
    StoreError, SubscriptionCursor, SubscriptionWrite, Taken, Write,
};
use roster_application::{
    Actor, Answer, ApiKey, ApiKeyOrder, AtomicError, Attribution, CreatedApiKey, CursorKey, CursorScope,
    CustomerChange, CustomerCommand, CustomerDeletion, CustomerPage, Digest, EndpointBacklog, EndpointCommand,
    EndpointTest, Event, EventList, EventPage, EventsOfDay, Export, ExportError, ExportPart, Grant, Import, Once, Page,
    PartKind, Precondition, Principal, Registration, Repeatable, Roster, Scope, Sent, SubscriptionReport, TestEvent,
    Upload, Upsert, View, WriteError, WriteRequest,
};
use roster_domain::{
    ApiKeyId, AttemptId, Customer, CustomerEdit, CustomerId, EmailUse, Endpoint, EndpointId, EventId, EventType,
    Subscription, Tenant, UploadId,
};
use roster_executor::{Handle, RequestReads};
use roster_transfer::ImportOptions;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, watch};
use tokio::time::{timeout, timeout_at};
use uuid::Uuid;

use crate::failure::Failure;
use crate::imports::ImportSettings;
use crate::middleware::limits::RateLimits;
use crate::request::attribution;
use crate::request::auth;
use crate::request::body::File;
use crate::request::consistency;
use crate::request::idempotency::{self, IdempotencyKey};
use crate::request::query::PageQuery;

/// A scope, as a type.
pub(crate) trait Permission {
    /// The scope.
    const SCOPE: Scope;
}

/// Permissions whose callers see customers.
pub(crate) trait SeesCustomers: Permission {}

macro_rules! permissions {
    ($($name:ident,)+) => {$(
        #[doc = concat!("[`Scope::", stringify!($name), "`]")]
        pub(crate) struct $name;

        impl Permission for $name {
            const SCOPE: Scope = Scope::$name;
        }
    )+};
}

permissions! {
    ReadCustomers,
    WriteCustomers,
    WriteSubscriptions,
    ManageKeys,
    ReadEvents,
    ManageWebhooks,
    WriteImports,
}

impl SeesCustomers for ReadCustomers {}
impl SeesCustomers for WriteCustomers {}

/// An authenticated caller that has the scope of `P`.
pub(crate) struct Caller<P> {
    request: HttpRequest,
    principal: Principal,
    handle: Handle,
    reads: Rc<RequestReads>,
    idempotency_key: Option<IdempotencyKey>,
    attribution: Option<Arc<Attribution>>,
    permission: PhantomData<P>,
}

impl<P: Permission> Caller<P> {
    /// Authenticates the request, counts it, and refuses it if a limit is reached or the scope is missing.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let principal = auth::authenticate(request).await?;
        request.extensions_mut().insert(principal.clone());
        let rates = request.app_data::<web::Data<RateLimits>>().ok_or(Failure::Internal)?;
        let (allowance, verdict) = rates.count(&principal);
        request.extensions_mut().insert(allowance);
        verdict.map_err(Failure::TooManyRequests)?;
        let (request, handle) = (request.clone(), auth::handle(request)?.clone());
        let mut caller = Self {
            request,
            principal,
            handle,
            reads: Rc::default(),
            idempotency_key: None,
            attribution: None,
            permission: PhantomData,
        };
        caller.require(P::SCOPE)?;
        // All else, and what changes something, reads the primary.
        if P::SCOPE == Scope::ReadCustomers {
            caller.reads = consistency::reads(&caller.request, &caller.handle, caller.tenant())?;
        }
        caller.idempotency_key = IdempotencyKey::of(&caller.request)?;
        caller.attribution = attribution::of(&caller.request, &caller.principal)?.map(Arc::new);
        Ok(caller)
    }

    /// Counts the request as so many more, and refuses it if a limit is reached.
    pub(crate) fn count_more(&self, requests: NonZeroU32) -> Result<(), Failure> {
        let rates = self.request.app_data::<web::Data<RateLimits>>().ok_or(Failure::Internal)?;
        let (allowance, verdict) = rates.count_more(&self.principal, requests);
        self.request.extensions_mut().insert(allowance);
        verdict.map_err(Failure::TooManyRequests)
    }

    /// Refuses a caller whose credential has ended since it was checked last.
    pub(crate) async fn check_again(&self) -> Result<(), Failure> {
        let principal = auth::authenticate(&self.request).await?;
        if principal == self.principal { Ok(()) } else { Err(Failure::Unauthorized) }
    }

    /// The tenant of the caller.
    pub(crate) fn tenant(&self) -> Tenant {
        self.principal.tenant
    }

    /// The key that the caller sent; `None` for a token.
    pub(crate) fn api_key(&self) -> Option<ApiKeyId> {
        self.principal.api_key
    }

    fn require(&self, scope: Scope) -> Result<(), Failure> {
        if self.principal.scopes.contain(scope) { Ok(()) } else { Err(Failure::MissingScope(scope)) }
    }
}

impl<P: SeesCustomers> Caller<P> {
    /// The active or trialing subscription of a customer that started last.
    pub(crate) async fn current_subscription(&self, customer: CustomerId) -> Result<Option<Subscription>, Failure> {
        Ok(self.handle.current_subscription(&self.reads, self.tenant(), customer).await??)
    }
}

/// A customer, and its active or trialing subscription that started last.
pub(crate) type Subscriber = (Customer, Option<Subscription>);

/// The part of the list of a tenant's customers that a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct CustomerList {
    /// Which of them.
    pub(crate) filter: CustomerFilter,
    /// In which order.
    pub(crate) order: ListOrder,
    /// Where it begins: the cursor of an earlier page of the same list.
    pub(crate) cursor: Option<String>,
    /// How many of them are skipped.
    pub(crate) offset: usize,
    /// The most customers of the page.
    pub(crate) limit: usize,
    /// Whether the number of all is asked for.
    pub(crate) with_total: bool,
}

/// Some items of a list.
#[derive(Debug)]
pub(crate) struct ListPage<T> {
    /// The items.
    pub(crate) items: Vec<T>,
    /// The cursor of the next page, if more items follow.
    pub(crate) next: Option<String>,
    /// How many items the whole list has, if that was asked for.
    pub(crate) total: Option<Count>,
}

impl<P: Permission> Caller<P> {
    /// Opens the cursor of a list, and seals those of its next pages.
    fn cursors(&self, scope: CursorScope) -> Result<Cursors, Failure> {
        Ok(Cursors { key: self.handle.cursor_key()?, scope })
    }
}

/// The cursors of one list.
#[derive(Clone)]
pub(super) struct Cursors {
    pub(super) key: CursorKey,
    pub(super) scope: CursorScope,
}

impl Cursors {
    pub(super) fn open<T>(
        &self,
        cursor: Option<&str>,
        read: impl FnOnce(&[u8]) -> Option<T>,
    ) -> Result<Option<T>, Failure> {
        let place = |cursor| self.key.open(&self.scope, cursor).and_then(|bytes| read(&bytes));
        cursor.map(|cursor| place(cursor).ok_or(Failure::InvalidCursor)).transpose()
    }

    fn seal(&self, place: &[u8]) -> String {
        self.key.seal(&self.scope, place)
    }

    /// The page, with the cursor for the place of its last item if more items follow.
    pub(super) fn page<T>(&self, page: Page<T>, place: impl FnOnce(&T) -> Vec<u8>) -> ListPage<T> {
        let last = page.items.last().filter(|_| page.has_more);
        let next = last.map(|last| self.seal(&place(last)));
        ListPage { items: page.items, next, total: None }
    }
}

impl Caller<ReadCustomers> {
    /// Finds a live customer.
    pub(crate) async fn find_customer(&self, key: CustomerKey) -> Result<Customer, Failure> {
        self.handle.find_customer(&self.reads, key).await??.ok_or(Failure::NotFound)
    }

    /// A page of customers as `write` writes it on the thread that has read it: what is large is made and freed there.
    pub(crate) async fn list_customers<T: Send + 'static>(
        &self,
        list: CustomerList,
        write: impl FnOnce(ListPage<Customer>) -> T + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        self.list_with(list, |_, _, customers| Ok(customers), write).await
    }

    /// The same, each customer with its active or trialing subscription that started last.
    pub(crate) async fn list_subscribers<T: Send + 'static>(
        &self,
        list: CustomerList,
        write: impl FnOnce(ListPage<Subscriber>) -> T + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let subscribers = |roster: &Roster, tenant, customers: Vec<Customer>| {
            let keys: Vec<_> = customers.iter().map(|customer| (tenant, customer.id())).collect();
            let subscribers = customers.into_iter().zip(roster.current_subscriptions(&keys));
            subscribers.map(|(customer, subscription)| Ok((customer, subscription?))).collect()
        };
        self.list_with(list, subscribers, write).await
    }

    async fn list_with<I: 'static, T: Send + 'static>(
        &self,
        list: CustomerList,
        items: impl FnOnce(&Roster, Tenant, Vec<Customer>) -> Result<Vec<I>, StoreError> + Clone + Send + 'static,
        write: impl FnOnce(ListPage<I>) -> T + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let (tenant, with_total) = (self.tenant(), list.with_total);
        let cursors = self.cursors(CursorScope::of_customers(tenant, &list.filter, list.order))?;
        let after = cursors.open(list.cursor.as_deref(), Place::from_bytes)?;
        let CustomerList { filter, order, offset, limit, .. } = list;
        let query = CustomerQuery { filter, order, after, offset, ..CustomerQuery::newest(tenant, limit) };
        let then = move |roster: &Roster, page: CustomerPage| {
            let CustomerPage { customers, next, total } = page;
            let next = next.map(|place| cursors.seal(&place.to_bytes()));
            let items = items(roster, tenant, customers)?;
            Ok(write(ListPage { items, next, total }))
        };
        Ok(self.handle.list_customers(&self.reads, query, with_total, then).await??)
    }

    /// A part of a list without cursors, the newest first: at most `limit` customers that follow `after`.
    pub(crate) async fn read_part<T: Send + 'static>(
        &self,
        filter: CustomerFilter,
        after: Option<Place>,
        limit: usize,
        write: impl FnOnce(CustomerPage) -> T + Clone + Send + 'static,
    ) -> Result<T, Failure> {
        let query = CustomerQuery { filter, after, ..CustomerQuery::newest(self.tenant(), limit) };
        let then = move |_: &Roster, page| Ok(write(page));
        Ok(self.handle.list_customers(&self.reads, query, false, then).await??)
    }

    /// All customers that `filter` includes, as they are at one moment, as `write` writes them on a thread of its own: part by
    /// part, each with whether it is the last.
    pub(crate) fn export_customers(
        &self,
        filter: CustomerFilter,
        mut write: impl FnMut(&[Customer], bool) -> io::Result<Vec<u8>> + Send + 'static,
    ) -> Result<Exported, Failure> {
        let tenant = self.tenant();
        let age = self.request.app_data::<ExportTimeout>().ok_or(Failure::Internal)?.0;
        let cursors = FeedCursors(self.cursors(CursorScope::new("events", tenant))?);
        let (sender, parts) = mpsc::channel(EXPORTED_PARTS);
        self.handle.run_aside(move |roster| {
            let end = Instant::now() + age;
            let mut take = |part: ExportPart| {
                let text = write(&part.customers, part.is_last).map_err(|error| {
                    tracing::error!(%error, "an export could not be written");
                    Failure::Internal
                });
                let is_written = text.is_ok();
                let (is_last, feed) = (part.is_last, cursors.behind(part.position));
                let part = text.map(|text| ExportedPart { text: text.into(), is_last, feed });
                if give(&sender, part, end) && is_written { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            };
            match roster.export_customers(&Export { tenant, filter, age }, &mut take) {
                Ok(()) | Err(ExportError::Stopped) => {}
                Err(error) => {
                    give(&sender, Err(error.into()), end);
                }
            }
        })?;
        Ok(Exported { parts, patience: self.handle.deadline() })
    }

    /// A page of the subscriptions of one customer.
    pub(crate) async fn list_subscriptions(
        &self,
        customer: CustomerId,
        page: PageQuery,
    ) -> Result<ListPage<Subscription>, Failure> {
        let scope = CursorScope::new("subscriptions", self.tenant()).with("customer", &customer.to_string());
        let cursors = self.cursors(scope)?;
        let after = cursors.open(page.cursor.as_deref(), SubscriptionCursor::from_bytes)?;
        let key = CustomerKey { tenant: self.tenant(), customer: CustomerRef::Id(customer) };
        let list = move |roster: &Roster| roster.list_subscriptions(&key, after.as_ref(), page.size);
        let page = self.handle.read_for(&self.reads, list).await??;
        Ok(cursors.page(page, |last| SubscriptionCursor::from(last).to_bytes()))
    }
}

/// How long an export may take.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ExportTimeout(pub(crate) Duration);

/// How many parts of an export wait for its client, besides the one that is made.
const EXPORTED_PARTS: usize = 1;

/// How long to wait before trying again to hand over a part.
const EXPORT_PAUSE: Duration = Duration::from_millis(1);

/// The parts of an export.
pub(crate) struct Exported {
    parts: mpsc::Receiver<Result<ExportedPart, Failure>>,
    /// How long a part may take to be read.
    patience: Duration,
}

/// A part of an export.
pub(crate) struct ExportedPart {
    pub(crate) text: Bytes,
    /// Whether no other follows.
    pub(crate) is_last: bool,
    /// The cursor behind the last event of the log that the export includes.
    pub(crate) feed: String,
}

impl Exported {
    /// The next part.
    pub(crate) async fn next(&mut self) -> Result<ExportedPart, Failure> {
        match timeout(self.patience, self.parts.recv()).await {
            Ok(Some(part)) => part,
            // The thread has panicked.
            Ok(None) => Err(Failure::Internal),
            Err(_) => Err(Failure::Unavailable),
        }
    }
}

/// Hands over a part until `end`: a snapshot must not be kept for a client that does not read. Returns whether it was taken.
fn give(
    parts: &mpsc::Sender<Result<ExportedPart, Failure>>,
    mut part: Result<ExportedPart, Failure>,
    end: Instant,
) -> bool {
    loop {
        match parts.try_send(part) {
            Ok(()) => return true,
            Err(TrySendError::Full(back)) if Instant::now() < end => part = back,
            Err(TrySendError::Full(_) | TrySendError::Closed(_)) => return false,
        }
        thread::sleep(EXPORT_PAUSE);
    }
}

/// The cursors of a log.
pub(crate) struct FeedCursors(Cursors);

impl FeedCursors {
    /// The cursor behind a place.
    pub(crate) fn behind(&self, seq: i64) -> String {
        self.0.seal(&seq.to_be_bytes())
    }
}

/// The part of the log that a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct Feed {
    /// Only the events of this customer.
    pub(crate) customer: Option<CustomerId>,
    /// Only events of this type.
    pub(crate) kind: Option<EventType>,
    /// In which order.
    pub(crate) order: ListOrder,
    /// Where it begins: a cursor of the log.
    pub(crate) cursor: Option<String>,
    /// The most events of the page.
    pub(crate) limit: usize,
    /// Whether the customers are shown as they stand now.
    pub(crate) with_customers: bool,
}

impl Caller<ReadEvents> {
    /// A page of the log as `write` writes it on the thread that has read it, with what makes cursors of places in the log, and
    /// the customers if they are asked for.
    ///
    /// A cursor is a place in the log of the tenant, for any filters and in either order, and stays valid.
    pub(crate) async fn list_events<T: Send + 'static>(
        &self,
        feed: Feed,
        write: impl FnOnce(&EventPage, &FeedCursors, Option<&HashMap<CustomerId, Customer>>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let tenant = self.tenant();
        let cursors = self.cursors(CursorScope::new("events", tenant))?;
        let place = |bytes: &[u8]| Some(i64::from_be_bytes(bytes.try_into().ok()?)).filter(|seq| *seq >= 0);
        let after = cursors.open(feed.cursor.as_deref(), place)?;
        let Feed { customer, kind, order, limit, with_customers, .. } = feed;
        let list = EventList { tenant, customer, kind, order, after, limit };
        let read = move |roster: &Roster| {
            let page = roster.list_events(&list)?;
            let customers = with_customers.then(|| roster.customers_of_events(tenant, &page.events)).transpose()?;
            Ok::<_, Failure>(write(&page, &FeedCursors(cursors), customers.as_ref()))
        };
        self.handle.read(read).await?
    }

    /// The last place of the log, as it grows. To be asked for before a page is read: it changes after each event that was not
    /// read.
    pub(crate) fn watch_events(&self) -> watch::Receiver<i64> {
        self.handle.watch_feed(self.tenant())
    }

    /// Fails if the tenant has no such customer and never had one.
    pub(crate) async fn require_customer(&self, id: CustomerId) -> Result<(), Failure> {
        let tenant = self.tenant();
        let is_known = self.handle.read(move |roster| roster.knows_customer(tenant, id)).await??;
        if is_known { Ok(()) } else { Err(Failure::NotFound) }
    }

    /// How many events happened on each of the last `days` days.
    pub(crate) async fn count_events_by_day(&self, days: u32) -> Result<Vec<EventsOfDay>, Failure> {
        let tenant = self.tenant();
        Ok(self.handle.read(move |roster| roster.count_events_by_day(tenant, days)).await??)
    }

    /// Finds an event.
    pub(crate) async fn find_event(&self, id: EventId) -> Result<Event, Failure> {
        let tenant = self.tenant();
        self.handle.read(move |roster| roster.find_event(tenant, id)).await??.ok_or(Failure::EventNotFound)
    }
}

impl Caller<WriteCustomers> {
    /// Registers a customer. Sharing an address takes a scope of its own.
    pub(crate) async fn register_customer(&self, registration: Registration) -> Result<Customer, Failure> {
        self.write(CustomerCommand::Register(registration)).await.map(Write::into_customer)
    }

    /// Registers a customer, or returns the one that has its identifiers: the write then changes nothing.
    pub(crate) async fn get_or_register_customer(&self, registration: Registration) -> Result<Write, Failure> {
        self.write(CustomerCommand::GetOrRegister(registration)).await
    }

    /// Registers a customer, or replaces the one that has its external identifier.
    pub(crate) async fn upsert_customer(&self, upsert: Upsert) -> Result<Write, Failure> {
        self.write(CustomerCommand::Upsert(upsert)).await
    }

    /// Changes a live customer. Sharing an address takes a scope of its own.
    pub(crate) async fn change_customer(
        &self,
        key: CustomerKey,
        edit: CustomerEdit,
        precondition: Precondition,
    ) -> Result<Customer, Failure> {
        self.write(CustomerCommand::Change(CustomerChange { key, edit, precondition })).await.map(Write::into_customer)
    }

    /// Registers a customer, or finds the one that has its external identifier already. Returns it with its active or
    /// trialing subscription that started last, and whether it is new.
    pub(crate) async fn register_subscriber(&self, registration: Registration) -> Result<(Subscriber, bool), Failure> {
        let Answer { result, subscription, .. } =
            self.answer(CustomerCommand::Register(registration), View::Subscriber).await?;
        match result {
            Ok(write) => Ok(((write.into_customer(), None), true)),
            Err(WriteError::Taken(Taken { external_id: Some(customer), .. })) => {
                let subscription = self.shown(subscription, customer.id()).await?;
                Ok(((*customer, subscription), false))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// As [`Caller::change_customer`]. Returns the customer with its active or trialing subscription that started last.
    pub(crate) async fn change_subscriber(&self, key: CustomerKey, edit: CustomerEdit) -> Result<Subscriber, Failure> {
        let change = CustomerCommand::Change(CustomerChange { key, edit, precondition: Precondition::default() });
        let Answer { result, subscription, .. } = self.answer(change, View::Subscriber).await?;
        let customer = result?.into_customer();
        let subscription = self.shown(subscription, customer.id()).await?;
        Ok((customer, subscription))
    }

    /// The subscription to be shown with a customer: that of the answer to a request with an idempotency key, whose repeats
    /// show the same, and the current one in any other answer.
    async fn shown(
        &self,
        answered: Option<Subscription>,
        customer: CustomerId,
    ) -> Result<Option<Subscription>, Failure> {
        if self.idempotency_key.is_some() { Ok(answered) } else { self.current_subscription(customer).await }
    }

    /// Deletes a live customer.
    pub(crate) async fn delete_customer(&self, key: CustomerKey, precondition: Precondition) -> Result<(), Failure> {
        self.write(CustomerCommand::Delete(CustomerDeletion { key, precondition })).await.map(drop)
    }

    /// Does what the commands say, in their order, each for itself. They must be [permitted](Self::permits). Each has its
    /// place in the batch, by which its repeats are recognised if the batch has an idempotency key.
    pub(crate) async fn write_each(
        &self,
        commands: Vec<(usize, CustomerCommand)>,
    ) -> Result<Vec<Result<Write, Failure>>, Failure> {
        let had_begun = self.begin_batch().await?;
        let request = |(place, command)| WriteRequest {
            command,
            idempotency: self.idempotency_key.as_ref().map(|key| key.of_item(&self.request, place)),
            attribution: self.attribution.clone(),
        };
        let answers = self.handle.write_customers(commands.into_iter().map(request).collect()).await;
        if had_begun && answers.iter().all(|answer| matches!(answer, Ok(Answer { is_replayed: true, .. }))) {
            idempotency::mark_replayed(&self.request);
        }
        Ok(answers.into_iter().map(|answer| Ok(answer?.result?)).collect())
    }

    /// Notes that a batch with an idempotency key has begun. Returns whether it had begun before.
    async fn begin_batch(&self) -> Result<bool, Failure> {
        let Some(key) = &self.idempotency_key else { return Ok(false) };
        let (tenant, idempotency) = (self.tenant(), key.idempotency(&self.request, View::default()));
        Ok(self.handle.run(move |roster| roster.begin_batch(tenant, &idempotency)).await??)
    }

    /// Does what the commands say, in their order, all of it or nothing. They must be [permitted](Self::permits).
    pub(crate) async fn write_all(&self, commands: Vec<CustomerCommand>) -> Result<Vec<Write>, BatchFailure> {
        let key = self.idempotency_key.as_ref();
        let idempotency = key.map(|key| key.idempotency(&self.request, View::default()));
        let (tenant, attribution) = (self.tenant(), self.attribution.clone());
        let write = move |roster: &Roster| roster.write_atomically(tenant, commands, idempotency, attribution);
        let written = self.handle.run(write).await;
        let written = written.map_err(|error| BatchFailure::Whole(error.into()))?;
        if written.is_replayed {
            idempotency::mark_replayed(&self.request);
        }
        written.result.map_err(|error| match error {
            AtomicError::Refused { place, error } => BatchFailure::Item(place, error.into()),
            AtomicError::KeyReused => BatchFailure::Whole(Failure::IdempotencyKeyReused),
            AtomicError::Store(error) => BatchFailure::Whole(error.into()),
        })
    }

    /// The widest use of an address that the caller may allow, for a surface on which addresses are shared unasked.
    pub(crate) fn widest_email_use(&self) -> EmailUse {
        if self.require_for(EmailUse::Shared).is_ok() { EmailUse::Shared } else { EmailUse::Exclusive }
    }
}

/// Why nothing of a batch was done.
pub(crate) enum BatchFailure {
    /// The item at this place, from 0, failed.
    Item(usize, Failure),
    /// The request failed.
    Whole(Failure),
}

impl Caller<WriteSubscriptions> {
    /// Records what the billing engine reports of a subscription.
    pub(crate) async fn record_subscription(&self, report: SubscriptionReport) -> Result<SubscriptionWrite, Failure> {
        let write = self.write(CustomerCommand::Record(report)).await?;
        write.into_subscription().ok_or(Failure::Internal)
    }
}

impl<P: Permission> Caller<P> {
    /// Refuses a command that shares an address if the caller lacks the scope for it.
    pub(crate) fn permits(&self, command: CustomerCommand) -> Result<CustomerCommand, Failure> {
        self.require_for(match &command {
            CustomerCommand::Register(registration) | CustomerCommand::GetOrRegister(registration) => {
                registration.email_use
            }
            CustomerCommand::Upsert(upsert) => upsert.registration().email_use,
            CustomerCommand::Change(change) => change.edit.email_use,
            CustomerCommand::Delete(_) | CustomerCommand::Record(_) => EmailUse::Exclusive,
        })?;
        Ok(command)
    }

    fn require_for(&self, email_use: EmailUse) -> Result<(), Failure> {
        match email_use {
            EmailUse::Exclusive => Ok(()),
            EmailUse::Shared => self.require(Scope::AllowDuplicateEmail),
        }
    }

    async fn write(&self, command: CustomerCommand) -> Result<Write, Failure> {
        Ok(self.answer(command, View::Customer).await?.result?)
    }

    async fn answer(&self, command: CustomerCommand, view: View) -> Result<Answer, Failure> {
        let command = self.permits(command)?;
        let idempotency = self.idempotency_key.as_ref().map(|key| key.idempotency(&self.request, view));
        let answer = self
            .handle
            .write_customer(WriteRequest { command, idempotency, attribution: self.attribution.clone() })
            .await?;
        if answer.is_replayed {
            idempotency::mark_replayed(&self.request);
        }
        Ok(answer)
    }
}

impl Caller<ManageKeys> {
    /// Makes a key with no scope that the caller lacks, and that does not outlive it.
    pub(crate) async fn create_api_key(&self, order: ApiKeyOrder) -> Result<CreatedApiKey, Failure> {
        let (granted, once) = (Grant::from(&self.principal), self.once()?);
        let create = move |roster: &Roster| roster.create_api_key_once(order, granted, once.as_ref());
        self.repeatable(self.handle.run(create).await?)
    }

    /// A page of the keys of the tenant.
    pub(crate) async fn list_api_keys(&self, page: PageQuery) -> Result<ListPage<ApiKey>, Failure> {
        let tenant = self.tenant();
        let cursors = self.cursors(CursorScope::new("api_keys", tenant))?;
        let read = |bytes: &[u8]| Some(ApiKeyId::new(Uuid::from_slice(bytes).ok()?));
        let after = cursors.open(page.cursor.as_deref(), read)?;
        let page = self.handle.read(move |roster| roster.list_api_keys(tenant, after, page.size)).await??;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// Revokes a key.
    pub(crate) async fn revoke_api_key(&self, id: ApiKeyId) -> Result<(), Failure> {
        let (tenant, once) = (self.tenant(), self.once()?);
        let revoke = move |roster: &Roster| roster.revoke_api_key_once(tenant, id, once.as_ref());
        self.repeatable(self.handle.run(revoke).await?)
    }

    /// Makes a key in the place of another that has no scope that the caller lacks, and does not outlive it.
    pub(crate) async fn rotate_api_key(&self, id: ApiKeyId, overlap: Duration) -> Result<CreatedApiKey, Failure> {
        let (tenant, granted, once) = (self.tenant(), Grant::from(&self.principal), self.once()?);
        let rotate = move |roster: &Roster| roster.rotate_api_key_once(tenant, id, overlap, granted, once.as_ref());
        self.repeatable(self.handle.run(rotate).await?)
    }
}

impl Caller<ManageWebhooks> {
    /// Does what `command` says. Returns the endpoint that it has made or changed.
    pub(crate) async fn write_endpoint(&self, command: EndpointCommand) -> Result<Option<Endpoint>, Failure> {
        let (tenant, once) = (self.tenant(), self.once()?);
        let write = move |roster: &Roster| roster.write_endpoint(tenant, &command, once.as_ref());
        self.repeatable(self.handle.run(write).await?)
    }

    /// Finds an endpoint, and what is not delivered to it.
    pub(crate) async fn find_endpoint(&self, id: EndpointId) -> Result<(Endpoint, EndpointBacklog), Failure> {
        let tenant = self.tenant();
        let find = move |roster: &Roster| {
            let endpoint = roster.find_endpoint(tenant, id)?;
            Ok::<_, StoreError>(endpoint.zip(roster.endpoint_backlog(tenant, id)?))
        };
        self.handle.read(find).await??.ok_or(Failure::WebhookNotFound)
    }

    /// A page of the endpoints of the tenant.
    pub(crate) async fn list_endpoints(&self, page: PageQuery) -> Result<ListPage<Endpoint>, Failure> {
        let tenant = self.tenant();
        let cursors = self.cursors(CursorScope::new("webhooks", tenant))?;
        let read = |bytes: &[u8]| Some(EndpointId::new(Uuid::from_slice(bytes).ok()?));
        let after = cursors.open(page.cursor.as_deref(), read)?;
        let page = self.handle.read(move |roster| roster.list_endpoints(tenant, after, page.size)).await??;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// A page of the attempts to deliver to an endpoint.
    pub(crate) async fn list_attempts(&self, id: EndpointId, page: PageQuery) -> Result<ListPage<Attempt>, Failure> {
        let tenant = self.tenant();
        let cursors = self.cursors(CursorScope::new("webhook_attempts", tenant).with("webhook", &id.to_string()))?;
        let read = |bytes: &[u8]| Some(AttemptId::new(Uuid::from_slice(bytes).ok()?));
        let before = cursors.open(page.cursor.as_deref(), read)?;
        let list = move |roster: &Roster| roster.list_attempts(tenant, id, before, page.size);
        let page = self.handle.read(list).await??.ok_or(Failure::WebhookNotFound)?;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// Makes a test event for an endpoint, unless the request is a repeat.
    pub(crate) async fn test_event(&self, id: EndpointId) -> Result<EndpointTest, Failure> {
        let (tenant, once) = (self.tenant(), self.once()?);
        let test = move |roster: &Roster| roster.test_event_once(tenant, id, once.as_ref());
        self.repeatable(self.handle.run(test).await?)
    }

    /// Logs what came of a test event.
    pub(crate) async fn log_test(
        &self,
        test: TestEvent,
        sent: Sent,
        outcome: AttemptOutcome,
    ) -> Result<Attempt, Failure> {
        let once = self.once()?;
        let log = move |roster: &Roster| roster.log_test_once(&test, sent, outcome, once.as_ref());
        self.repeatable(self.handle.run(log).await?)
    }
}

/// The bytes of a file that are stored together.
const FILE_PART: usize = 256 << 10;

impl Caller<WriteImports> {
    /// Keeps a file within the limits of `settings`, and begins to import it. Returns the upload, and how far its import has come.
    pub(crate) async fn import_file(
        &self,
        mut file: File,
        options: &ImportOptions,
        anew: bool,
        settings: &ImportSettings,
    ) -> Result<(Upload, Option<Import>), Failure> {
        self.require_for(if options.allow_duplicate_emails { EmailUse::Shared } else { EmailUse::Exclusive })?;
        let text = serde_json::to_string(options).map_err(|_| Failure::Internal)?;
        let actor = self.attribution.as_ref().map_or(Actor::System, |attribution| attribution.actor.clone());
        let tenant = self.tenant();
        let upload = self.handle.run(move |roster| roster.begin_upload(tenant, &text, &actor)).await??;
        let id = upload.id;
        match self.keep_file(upload, &mut file, options.rules(None), anew, settings).await {
            Ok((upload, import)) => Ok((upload, Some(import))),
            Err(failure) => {
                // What stays here if the store fails makes way for the next upload later.
                let _ = self.handle.run(move |roster| roster.abandon_upload(tenant, id)).await;
                Err(failure)
            }
        }
    }

    async fn keep_file(
        &self,
        mut upload: Upload,
        file: &mut File,
        rules: String,
        anew: bool,
        settings: &ImportSettings,
    ) -> Result<(Upload, Import), Failure> {
        let end = tokio::time::Instant::now() + settings.timeout;
        let mut hash = Sha256::new();
        let mut part = Vec::with_capacity(FILE_PART);
        let mut size = 0;
        loop {
            let bytes = timeout_at(end, file.next()).await.map_err(|_| Failure::FileTooSlow(settings.timeout))??;
            let is_last = bytes.is_none();
            for bytes in bytes.iter().flat_map(|bytes| bytes.chunks(FILE_PART)) {
                size += bytes.len() as u64;
                if size > settings.max_bytes {
                    return Err(Failure::FileTooLarge(settings.max_bytes));
                }
                hash.update(bytes);
                part.extend_from_slice(bytes);
            }
            let is_full = part.len() >= FILE_PART;
            if is_full || is_last {
                // A file may come for a long time: a key that is revoked meanwhile imports nothing.
                self.check_again().await?;
            }
            if is_full || is_last && !part.is_empty() {
                let full = std::mem::replace(&mut part, Vec::with_capacity(FILE_PART));
                let add = move |roster: &Roster| roster.add_upload_part(&upload, &full);
                upload = self.handle.run(add).await??;
            }
            if is_last {
                break;
            }
        }
        let digest = Digest(hash.finalize().into());
        Ok(self.handle.run(move |roster| roster.complete_upload(&upload, digest, &rules, anew)).await??)
    }

    /// A page of the imports of the tenant, each with how far it has come.
    pub(crate) async fn list_imports(&self, page: PageQuery) -> Result<ListPage<(Upload, Option<Import>)>, Failure> {
        let tenant = self.tenant();
        let cursors = self.cursors(CursorScope::new("imports", tenant))?;
        let read = |bytes: &[u8]| Some(UploadId::new(Uuid::from_slice(bytes).ok()?));
        let before = cursors.open(page.cursor.as_deref(), read)?;
        let page = self.handle.read(move |roster| roster.list_uploads(tenant, before, page.size)).await??;
        Ok(cursors.page(page, |(last, _)| last.id.uuid().as_bytes().to_vec()))
    }

    /// An import, and the first of its errors, as NDJSON.
    pub(crate) async fn find_import(&self, id: UploadId) -> Result<(Upload, Option<Import>, Vec<u8>), Failure> {
        let tenant = self.tenant();
        let find = move |roster: &Roster| {
            let found = roster.find_upload(tenant, id)?;
            let errors = roster.upload_part(tenant, id, PartKind::Errors, 0)?;
            Ok::<_, StoreError>(found.map(|(upload, import)| (upload, import, errors.unwrap_or_default())))
        };
        self.handle.read(find).await??.ok_or(Failure::ImportNotFound)
    }

    /// A part of the errors of an import, as NDJSON. `None`: there is none.
    pub(crate) async fn import_errors(&self, id: UploadId, number: u32) -> Result<Option<Vec<u8>>, Failure> {
        let tenant = self.tenant();
        Ok(self.handle.read(move |roster| roster.upload_part(tenant, id, PartKind::Errors, number)).await??)
    }

    /// Ends an import.
    pub(crate) async fn cancel_import(&self, id: UploadId) -> Result<(), Failure> {
        let tenant = self.tenant();
        let cancelled = self.handle.run(move |roster| roster.cancel_upload(tenant, id)).await??;
        cancelled.map(drop).ok_or(Failure::ImportNotFound)
    }
}

impl<P: Permission> Caller<P> {
    /// How repeats of the request are recognised and answered, if it has a key.
    fn once(&self) -> Result<Option<Once>, Failure> {
        let Some(key) = &self.idempotency_key else { return Ok(None) };
        let credential = auth::bearer(&self.request).ok_or(Failure::Unauthorized)?;
        let idempotency = key.idempotency(&self.request, View::default());
        Ok(Some(Once { idempotency, seed: key.seed(credential) }))
    }

    fn repeatable<T, E: Into<Failure>>(&self, answer: Repeatable<Result<T, E>>) -> Result<T, Failure> {
        if answer.is_replayed {
            idempotency::mark_replayed(&self.request);
        }
        answer.result.map_err(Into::into)
    }
}
