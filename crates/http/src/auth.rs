//! Finding out who calls.

use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::ports::CustomerKey;
use roster_application::{ApiKeySecret, Principal, RegisterError, Registration, Roster};
use roster_domain::{Customer, Tenant};

use crate::core::Handle;
use crate::failure::Failure;

/// Somebody whose credential opens something, and their way to the use cases. Handlers have no other.
pub(crate) struct Caller {
    principal: Principal,
    core: Handle,
}

impl Caller {
    /// Authenticates the request by its `Authorization: Bearer` header.
    pub(crate) async fn of(request: &HttpRequest) -> Result<Self, Failure> {
        let core = core(request)?;
        // What does not look like a key is refused here, before it costs anybody anything.
        let key = bearer(request).and_then(ApiKeySecret::parse).ok_or(Failure::Unauthorized)?;
        let principal = core.authenticate(key).await??;
        request.extensions_mut().insert(principal.tenant);
        Ok(Self { principal, core })
    }

    /// Whose customers the caller works with.
    pub(crate) fn tenant(&self) -> Tenant {
        self.principal.tenant
    }

    /// Finds a live customer.
    pub(crate) async fn find_customer(&self, key: CustomerKey) -> Result<Customer, Failure> {
        self.core.find_customer(key).await??.ok_or(Failure::NotFound)
    }

    /// Registers a customer.
    pub(crate) async fn register_customer(
        &self,
        registration: Registration,
    ) -> Result<Result<Customer, RegisterError>, Failure> {
        Ok(self.core.register_customer(registration).await?)
    }

    /// Runs other use cases.
    pub(crate) async fn run<T, F>(&self, work: F) -> Result<T, Failure>
    where
        T: Send + 'static,
        F: FnOnce(&Roster) -> T + Send + 'static,
    {
        Ok(self.core.run(work).await?)
    }
}

/// The way to the use cases, for what needs no caller.
pub(crate) fn core(request: &HttpRequest) -> Result<Handle, Failure> {
    let core = request.app_data::<web::Data<Handle>>().ok_or(Failure::Internal)?;
    Ok(core.get_ref().clone())
}

/// The credential of RFC 6750 §2.1. The scheme is read in any case (RFC 9110 §11.1).
fn bearer(request: &HttpRequest) -> Option<&str> {
    let value = request.headers().get(header::AUTHORIZATION)?.to_str().ok()?;
    let (scheme, credential) = value.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| credential.trim())
}
