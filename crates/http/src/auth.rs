//! Finding out who calls.

use actix_web::http::header;
use actix_web::{HttpMessage as _, HttpRequest, web};
use roster_application::{Principal, Roster};
use roster_domain::Tenant;

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
        let presented = bearer(request).ok_or(Failure::Unauthorized)?.to_owned();
        let principal = core.run(move |roster| roster.authenticate(&presented)).await??;
        request.extensions_mut().insert(principal.tenant);
        Ok(Self { principal, core })
    }

    /// Whose customers the caller works with.
    pub(crate) fn tenant(&self) -> Tenant {
        self.principal.tenant
    }

    /// Runs use cases, and says how their result is an answer.
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
