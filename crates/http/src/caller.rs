//! What whoever calls may do, which is the only way from a handler to the use cases.
//!
//! A handler says which scope it needs by the caller that it asks for: `Caller::<WriteCustomers>::of(&request)`. A caller
//! of that kind has the use cases of that scope and no others, so that a handler which forgot to ask, or asked for less
//! than it does, does not compile.

use std::marker::PhantomData;
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::ports::{CustomerKey, StoreError, SubscriptionCursor};
use roster_application::{
    ApiKey, ApiKeyOrder, ChangeError, CreateApiKeyError, CreatedApiKey, DeleteError, ListSubscriptionsError, Page,
    PageSize, Principal, RecordSubscriptionError, Recorded, RegisterError, Registration, Roster, RotateApiKeyError,
    Scope, SubscriptionReport,
};
use roster_domain::{ApiKeyId, Customer, CustomerEdit, CustomerId, EmailUse, Subscription, Tenant};

use crate::auth;
use crate::core::Handle;
use crate::failure::Failure;
use crate::limits::RateLimits;

/// A scope, as the type of the callers who have it.
pub(crate) trait Permission {
    /// The scope.
    const SCOPE: Scope;
}

/// Permissions with which customers are seen.
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

/// Somebody who may do what `P` stands for.
pub(crate) struct Caller<P> {
    principal: Principal,
    core: Handle,
    permission: PhantomData<P>,
}

impl<P: Permission> Caller<P> {
    /// Authenticates the request, and refuses whoever calls too often or lacks the scope.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let principal = auth::authenticate(request).await?;
        request.extensions_mut().insert(principal);
        let rates = request.app_data::<web::Data<RateLimits>>().ok_or(Failure::Internal)?;
        let (allowance, verdict) = rates.count(&principal);
        request.extensions_mut().insert(allowance);
        verdict.map_err(Failure::TooManyRequests)?;
        let caller = Self { principal, core: auth::core(request)?.clone(), permission: PhantomData };
        caller.require(P::SCOPE)?;
        Ok(caller)
    }

    /// Whose customers the caller works with.
    pub(crate) fn tenant(&self) -> Tenant {
        self.principal.tenant
    }

    fn require(&self, scope: Scope) -> Result<(), Failure> {
        if self.principal.scopes.contain(scope) { Ok(()) } else { Err(Failure::MissingScope(scope)) }
    }
}

impl<P: SeesCustomers> Caller<P> {
    /// The active subscription of a customer that started last.
    pub(crate) async fn current_subscription(&self, customer: CustomerId) -> Result<Option<Subscription>, Failure> {
        Ok(self.core.current_subscription(self.tenant(), customer).await??)
    }
}

impl Caller<ReadCustomers> {
    /// Finds a live customer.
    pub(crate) async fn find_customer(&self, key: CustomerKey) -> Result<Customer, Failure> {
        self.core.find_customer(key).await??.ok_or(Failure::NotFound)
    }

    /// [`Roster::list_customers`]
    pub(crate) async fn list_customers(
        &self,
        before: Option<CustomerId>,
        size: PageSize,
    ) -> Result<Page<Customer>, Failure> {
        self.show_customers(before, size, |page| page).await
    }

    /// [`Roster::list_customers`], with the page as `show` shows it, on the thread that has read it: where that is not the
    /// one that answers requests, what is large is made and freed there.
    pub(crate) async fn show_customers<T: Send + 'static>(
        &self,
        before: Option<CustomerId>,
        size: PageSize,
        show: impl FnOnce(Page<Customer>) -> T + Send + 'static,
    ) -> Result<T, Failure> {
        let tenant = self.tenant();
        Ok(self.core.read(move |roster| roster.list_customers(tenant, before, size).map(show)).await??)
    }

    /// [`Roster::list_customers`], each with its active subscription that started last.
    pub(crate) async fn list_subscribers(
        &self,
        before: Option<CustomerId>,
        size: PageSize,
    ) -> Result<Page<(Customer, Option<Subscription>)>, Failure> {
        let tenant = self.tenant();
        let list = move |roster: &Roster| {
            let page = roster.list_customers(tenant, before, size)?;
            let customers: Vec<_> = page.items.iter().map(|customer| (tenant, customer.id())).collect();
            let subscriptions = roster.current_subscriptions(&customers);
            let subscribers = page.items.into_iter().zip(subscriptions);
            let items = subscribers.map(|(customer, subscription)| Ok((customer, subscription?)));
            Ok::<_, StoreError>(Page { items: items.collect::<Result<_, StoreError>>()?, has_more: page.has_more })
        };
        Ok(self.core.read(list).await??)
    }

    /// [`Roster::list_subscriptions`]
    pub(crate) async fn list_subscriptions(
        &self,
        key: CustomerKey,
        after: Option<SubscriptionCursor>,
        size: PageSize,
    ) -> Result<Result<Page<Subscription>, ListSubscriptionsError>, Failure> {
        Ok(self.core.read(move |roster| roster.list_subscriptions(&key, after.as_ref(), size)).await?)
    }
}

impl Caller<WriteCustomers> {
    /// Registers a customer. To share its address takes a scope of its own.
    pub(crate) async fn register_customer(
        &self,
        registration: Registration,
    ) -> Result<Result<Customer, RegisterError>, Failure> {
        self.require_for(registration.email_use)?;
        Ok(self.core.register_customer(registration).await?)
    }

    /// [`Roster::change_customer`], after all that was written to it before. To share its address takes a scope of its own.
    pub(crate) async fn change_customer(
        &self,
        key: CustomerKey,
        edit: CustomerEdit,
    ) -> Result<Result<Customer, ChangeError>, Failure> {
        self.require_for(edit.email_use)?;
        Ok(self.core.run_in_order(key, move |roster, key| roster.change_customer(key, &edit)).await?)
    }

    /// [`Roster::delete_customer`], after all that was written to it before.
    pub(crate) async fn delete_customer(&self, key: CustomerKey) -> Result<Result<(), DeleteError>, Failure> {
        Ok(self.core.run_in_order(key, Roster::delete_customer).await?)
    }

    /// How far the caller may let customers share an address, for a surface on which they do so unasked.
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
    /// [`Roster::record_subscription`], after all that was written to the customer before.
    pub(crate) async fn record_subscription(
        &self,
        key: CustomerKey,
        report: SubscriptionReport,
    ) -> Result<Result<Recorded, RecordSubscriptionError>, Failure> {
        Ok(self.core.run_in_order(key, move |roster, key| roster.record_subscription(key, &report)).await?)
    }
}

impl Caller<ManageKeys> {
    /// [`Roster::create_api_key`]: the caller gives away nothing that they lack.
    pub(crate) async fn create_api_key(
        &self,
        order: ApiKeyOrder,
    ) -> Result<Result<CreatedApiKey, CreateApiKeyError>, Failure> {
        let granted = self.principal.scopes;
        Ok(self.core.run(move |roster| roster.create_api_key(order, granted)).await?)
    }

    /// [`Roster::list_api_keys`]
    pub(crate) async fn list_api_keys(&self, after: Option<ApiKeyId>, size: PageSize) -> Result<Page<ApiKey>, Failure> {
        let tenant = self.tenant();
        Ok(self.core.read(move |roster| roster.list_api_keys(tenant, after, size)).await??)
    }

    /// [`Roster::revoke_api_key`]
    pub(crate) async fn revoke_api_key(&self, id: ApiKeyId) -> Result<Option<ApiKey>, Failure> {
        let tenant = self.tenant();
        Ok(self.core.run(move |roster| roster.revoke_api_key(tenant, id)).await??)
    }

    /// [`Roster::rotate_api_key`]: the caller gives away nothing that they lack.
    pub(crate) async fn rotate_api_key(
        &self,
        id: ApiKeyId,
        overlap: Duration,
    ) -> Result<Result<CreatedApiKey, RotateApiKeyError>, Failure> {
        let (tenant, granted) = (self.tenant(), self.principal.scopes);
        Ok(self.core.run(move |roster| roster.rotate_api_key(tenant, id, overlap, granted)).await?)
    }
}
