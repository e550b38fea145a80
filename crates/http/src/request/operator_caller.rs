//! The operator who sends a request, and what it may do: the only way from a handler of operators to the use cases.
//!
//! As with [`Caller`](super::caller::Caller), a handler names the permission that it needs by a type. There is no use case here that
//! reads customers.

use std::marker::PhantomData;
use std::time::Duration;

use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::ports::StoreError;
use roster_application::{
    ApiKey, ApiKeyOrder, CreateApiKeyError, CreatedApiKey, CursorScope, LogEntry, MerchantChange, Operation,
    OperatorError, OperatorPrincipal, Role, Roster,
};
use roster_domain::{ApiKeyId, Environment, LogEntryId, Merchant, MerchantId, MerchantName, Tenant, Timestamp};
use roster_executor::Handle;
use uuid::Uuid;

use crate::failure::Failure;
use crate::middleware::limits::RateLimits;
use crate::request::attribution::request_id;
use crate::request::auth;
use crate::request::caller::{Cursors, ListPage};
use crate::request::idempotency::HEADER;
use crate::request::query::PageQuery;

/// What an operator may do, as a type.
pub(crate) trait AdminPermission {
    /// The least role that allows it.
    const ROLE: Role;
}

/// Looking at merchants, keys and the operator log: [`Role::Read`]
pub(crate) struct ReadAdmin;

/// Changing merchants and keys: [`Role::Admin`]
pub(crate) struct WriteAdmin;

impl AdminPermission for ReadAdmin {
    const ROLE: Role = Role::Read;
}

impl AdminPermission for WriteAdmin {
    const ROLE: Role = Role::Admin;
}

/// An authenticated operator that has the role of `P`.
pub(crate) struct OperatorCaller<P> {
    request: HttpRequest,
    principal: OperatorPrincipal,
    handle: Handle,
    permission: PhantomData<P>,
}

/// Refuses every request while there is no operator, as one for a path that does not exist.
pub(crate) async fn require_operators(request: HttpRequest) -> Result<(), Failure> {
    let exist = auth::handle(&request)?.has_operators().await??;
    if exist { Ok(()) } else { Err(Failure::UnknownPath) }
}

impl<P: AdminPermission> OperatorCaller<P> {
    /// Authenticates the request, counts it, and refuses it if a limit is reached or the role is missing.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let handle = auth::handle(request)?.clone();
        let credential = auth::bearer(request).ok_or(Failure::Unauthorized)?;
        let principal = handle.authenticate_operator(credential).await??;
        request.extensions_mut().insert(principal.clone());
        let rates = request.app_data::<web::Data<RateLimits>>().ok_or(Failure::Internal)?;
        let (allowance, verdict) = rates.count_operator(principal.id);
        request.extensions_mut().insert(allowance);
        verdict.map_err(Failure::TooManyRequests)?;
        if principal.role < P::ROLE {
            return Err(Failure::MissingRole(P::ROLE));
        }
        // Its sender relies on it: if it were ignored, a repeat could be done twice.
        if request.headers().contains_key(HEADER) {
            return Err(Failure::IdempotencyKey("is not supported by this API: leave it out"));
        }
        Ok(Self { request: request.clone(), principal, handle, permission: PhantomData })
    }

    fn cursors(&self, list: &'static str, filters: &[(&'static str, &str)]) -> Result<Cursors, Failure> {
        let scope = CursorScope::of_operators(list);
        let scope = filters.iter().fold(scope, |scope, (name, value)| scope.with(name, value));
        Ok(Cursors { key: self.handle.cursor_key()?, scope })
    }
}

impl OperatorCaller<ReadAdmin> {
    /// A page of the merchants, or of those that have `search` in their names.
    pub(crate) async fn list_merchants(
        &self,
        search: Option<String>,
        page: PageQuery,
    ) -> Result<ListPage<Merchant>, Failure> {
        let filters: Vec<_> = search.as_deref().map(|text| ("search", text)).into_iter().collect();
        let cursors = self.cursors("merchants", &filters)?;
        let after =
            cursors.open(page.cursor.as_deref(), |bytes| Some(MerchantId::new(Uuid::from_slice(bytes).ok()?)))?;
        let list = move |roster: &Roster| match search {
            Some(text) => roster.search_merchants(&text, after, page.size),
            None => roster.list_merchants(after, page.size),
        };
        let page = self.handle.read(list).await??;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// Finds a merchant.
    pub(crate) async fn find_merchant(&self, id: MerchantId) -> Result<Merchant, Failure> {
        self.handle.read(move |roster| roster.find_merchant(id)).await??.ok_or(Failure::MerchantNotFound)
    }

    /// A page of the API keys of a merchant, in one environment or in both.
    pub(crate) async fn list_api_keys(
        &self,
        merchant: MerchantId,
        environment: Option<Environment>,
        page: PageQuery,
    ) -> Result<ListPage<ApiKey>, Failure> {
        let id = merchant.to_string();
        let mut filters = vec![("merchant", id.as_str())];
        filters.extend(environment.map(|environment| ("environment", environment.as_str())));
        let cursors = self.cursors("merchant_api_keys", &filters)?;
        let after = cursors.open(page.cursor.as_deref(), |bytes| Some(ApiKeyId::new(Uuid::from_slice(bytes).ok()?)))?;
        let list = move |roster: &Roster| roster.list_merchant_api_keys(merchant, environment, after, page.size);
        let page = self.handle.read(list).await??.ok_or(Failure::MerchantNotFound)?;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// A page of the operator log.
    pub(crate) async fn list_log(&self, page: PageQuery) -> Result<ListPage<LogEntry>, Failure> {
        let cursors = self.cursors("operator_log", &[])?;
        let before =
            cursors.open(page.cursor.as_deref(), |bytes| Some(LogEntryId::new(Uuid::from_slice(bytes).ok()?)))?;
        let page = self.handle.read(move |roster| roster.list_operator_log(before, page.size)).await??;
        Ok(cursors.page(page, |last| last.id.uuid().as_bytes().to_vec()))
    }

    /// The operator.
    pub(crate) fn principal(&self) -> &OperatorPrincipal {
        &self.principal
    }

    /// The time of the service's clock.
    pub(crate) fn now(&self) -> Timestamp {
        self.handle.now()
    }
}

impl OperatorCaller<WriteAdmin> {
    /// Creates a merchant.
    pub(crate) async fn create_merchant(&self, name: MerchantName) -> Result<Merchant, Failure> {
        let by = self.operation();
        Ok(self.handle.run(move |roster| roster.create_merchant(name, &by)).await??)
    }

    /// Changes a merchant.
    pub(crate) async fn change_merchant(&self, id: MerchantId, change: MerchantChange) -> Result<Merchant, Failure> {
        let by = self.operation();
        let changed = self.handle.run(move |roster| roster.change_merchant(id, &change, &by)).await??;
        changed.ok_or(Failure::MerchantNotFound)
    }

    /// Creates an API key.
    pub(crate) async fn create_api_key(&self, order: ApiKeyOrder) -> Result<CreatedApiKey, Failure> {
        let by = self.operation();
        let created = self.handle.run(move |roster| roster.create_api_key(order, &by)).await?;
        created.map_err(|error| match error {
            CreateApiKeyError::UnknownMerchant => Failure::MerchantNotFound,
            error => error.into(),
        })
    }

    /// Revokes an API key of a merchant.
    pub(crate) async fn revoke_api_key(&self, merchant: MerchantId, id: ApiKeyId) -> Result<(), Failure> {
        let by = self.operation();
        let revoke = move |roster: &Roster| match tenant_of_key(roster, merchant, id)? {
            Some(tenant) => roster.revoke_api_key(tenant, id, &by),
            None => Ok(None),
        };
        self.handle.run(revoke).await??.map(drop).ok_or(Failure::KeyNotFound)
    }

    /// Creates an API key in the place of another of a merchant.
    pub(crate) async fn rotate_api_key(
        &self,
        merchant: MerchantId,
        id: ApiKeyId,
        overlap: Duration,
    ) -> Result<CreatedApiKey, Failure> {
        let by = self.operation();
        let rotate = move |roster: &Roster| {
            let tenant = tenant_of_key(roster, merchant, id)?.ok_or(Failure::KeyNotFound)?;
            Ok::<_, Failure>(roster.rotate_api_key(tenant, id, overlap, &by)?)
        };
        self.handle.run(rotate).await?
    }

    /// What the operator log says of who does something, and in which request.
    fn operation(&self) -> Operation {
        Operation { operator: Some(self.principal.id), request_id: request_id(&self.request) }
    }
}

fn tenant_of_key(roster: &Roster, merchant: MerchantId, id: ApiKeyId) -> Result<Option<Tenant>, StoreError> {
    Ok(roster.tenant_of_api_key(id)?.filter(|tenant| tenant.merchant == merchant))
}

impl From<OperatorError> for Failure {
    fn from(error: OperatorError) -> Self {
        match error {
            OperatorError::Refused => Self::Unauthorized,
            OperatorError::Store(error) => error.into(),
        }
    }
}
