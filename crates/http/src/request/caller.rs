//! The caller of a request and what it may do: the only way from a handler to the use cases.
//!
//! A handler names the scope it needs by the type of its caller: `Caller::<WriteCustomers>::of(&request)`. A caller of that
//! type has the use cases of that scope and no others, so that a handler which asks for less than it does does not
//! compile.

use std::marker::PhantomData;
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::ports::{
    CustomerFilter, CustomerKey, CustomerQuery, StoreError, SubscriptionCursor, SubscriptionWrite, Write,
};
use roster_application::{
    ApiKey, ApiKeyOrder, CreatedApiKey, CustomerChange, CustomerCommand, CustomerDeletion, Grant, Page, PageSize,
    Precondition, Principal, Registration, Roster, Scope, SubscriptionReport, Upsert,
};
use roster_domain::{ApiKeyId, Customer, CustomerEdit, CustomerId, EmailUse, Subscription, Tenant};
use roster_executor::Handle;

use crate::failure::Failure;
use crate::middleware::limits::RateLimits;
use crate::request::auth;

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
}

impl SeesCustomers for ReadCustomers {}
impl SeesCustomers for WriteCustomers {}

/// An authenticated caller that has the scope of `P`.
pub(crate) struct Caller<P> {
    principal: Principal,
    handle: Handle,
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
        let caller = Self { principal, handle: auth::handle(request)?.clone(), permission: PhantomData };
        caller.require(P::SCOPE)?;
        Ok(caller)
    }

    /// Refuses a caller whose credential has ended since it was checked last.
    pub(crate) async fn check_again(&self, request: &HttpRequest) -> Result<(), Failure> {
        let principal = auth::authenticate(request).await?;
        if principal == self.principal { Ok(()) } else { Err(Failure::Unauthorized) }
    }

    /// The tenant of the caller.
    pub(crate) fn tenant(&self) -> Tenant {
        self.principal.tenant
    }

    fn require(&self, scope: Scope) -> Result<(), Failure> {
        if self.principal.scopes.contain(scope) { Ok(()) } else { Err(Failure::MissingScope(scope)) }
    }
}

impl<P: SeesCustomers> Caller<P> {
    /// The active or trialing subscription of a customer that started last.
    pub(crate) async fn current_subscription(&self, customer: CustomerId) -> Result<Option<Subscription>, Failure> {
        Ok(self.handle.current_subscription(self.tenant(), customer).await??)
    }
}

/// A customer, and its active or trialing subscription that started last.
pub(crate) type Subscriber = (Customer, Option<Subscription>);

/// The part of the list of a tenant's customers that a request asks for.
#[derive(Debug, Clone)]
pub(crate) struct CustomerList {
    /// Which of them.
    pub(crate) filter: CustomerFilter,
    /// Only customers registered before this one.
    pub(crate) before: Option<CustomerId>,
    /// How many of them are skipped.
    pub(crate) offset: usize,
    /// The most customers of the page.
    pub(crate) limit: usize,
}

impl CustomerList {
    fn of(self, tenant: Tenant) -> CustomerQuery {
        let Self { filter, before, offset, limit } = self;
        CustomerQuery { tenant, filter, before, offset, limit }
    }
}

impl Caller<ReadCustomers> {
    /// Finds a live customer.
    pub(crate) async fn find_customer(&self, key: CustomerKey) -> Result<Customer, Failure> {
        self.handle.find_customer(key).await??.ok_or(Failure::NotFound)
    }

    /// A page of customers, newest first, as `write` writes it on the thread that has read it: what is large is made and
    /// freed there.
    pub(crate) async fn list_customers<T: Send + 'static>(
        &self,
        list: CustomerList,
        write: impl FnOnce(Page<Customer>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let query = list.of(self.tenant());
        Ok(self.handle.read(move |roster| roster.list_customers(&query).map(write)).await??)
    }

    /// The same, each customer with its active or trialing subscription that started last.
    pub(crate) async fn list_subscribers<T: Send + 'static>(
        &self,
        list: CustomerList,
        write: impl FnOnce(Page<Subscriber>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let query = list.of(self.tenant());
        let list = move |roster: &Roster| {
            let page = roster.list_customers(&query)?;
            let customers: Vec<_> = page.items.iter().map(|customer| (query.tenant, customer.id())).collect();
            let subscriptions = roster.current_subscriptions(&customers);
            let subscribers = page.items.into_iter().zip(subscriptions);
            let items = subscribers.map(|(customer, subscription)| Ok((customer, subscription?)));
            let items = items.collect::<Result<_, StoreError>>()?;
            Ok::<_, StoreError>(write(Page { items, has_more: page.has_more }))
        };
        Ok(self.handle.read(list).await??)
    }

    /// A page of the subscriptions of one customer.
    pub(crate) async fn list_subscriptions(
        &self,
        key: CustomerKey,
        after: Option<SubscriptionCursor>,
        size: PageSize,
    ) -> Result<Page<Subscription>, Failure> {
        Ok(self.handle.read(move |roster| roster.list_subscriptions(&key, after.as_ref(), size)).await??)
    }
}

impl Caller<WriteCustomers> {
    /// Registers a customer. Sharing an address takes a scope of its own.
    pub(crate) async fn register_customer(&self, registration: Registration) -> Result<Customer, Failure> {
        self.require_for(registration.email_use)?;
        self.write(CustomerCommand::Register(registration)).await.map(Write::into_customer)
    }

    /// Registers a customer, or returns the one that has its identifiers: the write then changes nothing.
    pub(crate) async fn get_or_register_customer(&self, registration: Registration) -> Result<Write, Failure> {
        self.require_for(registration.email_use)?;
        self.write(CustomerCommand::GetOrRegister(registration)).await
    }

    /// Registers a customer, or replaces the one that has its external identifier.
    pub(crate) async fn upsert_customer(&self, upsert: Upsert) -> Result<Write, Failure> {
        self.require_for(upsert.registration().email_use)?;
        self.write(CustomerCommand::Upsert(upsert)).await
    }

    /// Changes a live customer. Sharing an address takes a scope of its own.
    pub(crate) async fn change_customer(
        &self,
        key: CustomerKey,
        edit: CustomerEdit,
        precondition: Precondition,
    ) -> Result<Customer, Failure> {
        self.require_for(edit.email_use)?;
        self.write(CustomerCommand::Change(CustomerChange { key, edit, precondition })).await.map(Write::into_customer)
    }

    /// Deletes a live customer.
    pub(crate) async fn delete_customer(&self, key: CustomerKey, precondition: Precondition) -> Result<(), Failure> {
        self.write(CustomerCommand::Delete(CustomerDeletion { key, precondition })).await.map(drop)
    }

    /// The widest use of an address that the caller may allow, for a surface on which addresses are shared unasked.
    pub(crate) fn widest_email_use(&self) -> EmailUse {
        if self.require_for(EmailUse::Shared).is_ok() { EmailUse::Shared } else { EmailUse::Exclusive }
    }

    fn require_for(&self, email_use: EmailUse) -> Result<(), Failure> {
        match email_use {
            EmailUse::Exclusive => Ok(()),
            EmailUse::Shared => self.require(Scope::AllowDuplicateEmail),
        }
    }
}

impl Caller<WriteSubscriptions> {
    /// Records what the billing engine reports of a subscription.
    pub(crate) async fn record_subscription(&self, report: SubscriptionReport) -> Result<SubscriptionWrite, Failure> {
        let write = self.write(CustomerCommand::Record(report)).await?;
        write.into_subscription().ok_or(Failure::Internal)
    }
}

impl<P: Permission> Caller<P> {
    async fn write(&self, command: CustomerCommand) -> Result<Write, Failure> {
        Ok(self.handle.write_customer(command).await??)
    }
}

impl Caller<ManageKeys> {
    /// Makes a key with no scope that the caller lacks, and that does not outlive it.
    pub(crate) async fn create_api_key(&self, order: ApiKeyOrder) -> Result<CreatedApiKey, Failure> {
        let granted = Grant::from(&self.principal);
        Ok(self.handle.run(move |roster| roster.create_api_key(order, granted)).await??)
    }

    /// A page of the keys of the tenant.
    pub(crate) async fn list_api_keys(&self, after: Option<ApiKeyId>, size: PageSize) -> Result<Page<ApiKey>, Failure> {
        let tenant = self.tenant();
        Ok(self.handle.read(move |roster| roster.list_api_keys(tenant, after, size)).await??)
    }

    /// Revokes a key.
    pub(crate) async fn revoke_api_key(&self, id: ApiKeyId) -> Result<ApiKey, Failure> {
        let tenant = self.tenant();
        self.handle.run(move |roster| roster.revoke_api_key(tenant, id)).await??.ok_or(Failure::KeyNotFound)
    }

    /// Makes a key in the place of another that has no scope that the caller lacks, and does not outlive it.
    pub(crate) async fn rotate_api_key(&self, id: ApiKeyId, overlap: Duration) -> Result<CreatedApiKey, Failure> {
        let (tenant, granted) = (self.tenant(), Grant::from(&self.principal));
        Ok(self.handle.run(move |roster| roster.rotate_api_key(tenant, id, overlap, granted)).await??)
    }
}
