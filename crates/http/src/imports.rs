//! What the surface of imports needs from outside.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use actix_web::{HttpRequest, web};
use roster_domain::{Tenant, UploadId};

use crate::failure::Failure;

/// How files are imported.
#[derive(Clone)]
pub struct ImportSettings {
    /// The most bytes of a file.
    pub max_bytes: u64,
    /// How long a file may take to be sent.
    pub timeout: Duration,
    /// What learns of a file that is there to be imported.
    pub begun: Arc<dyn Fn(Tenant, UploadId) + Send + Sync>,
}

impl fmt::Debug for ImportSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ImportSettings")
            .field("max_bytes", &self.max_bytes)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl ImportSettings {
    pub(crate) fn of(request: &HttpRequest) -> Result<&Self, Failure> {
        request.app_data::<web::Data<Self>>().map(|settings| settings.as_ref()).ok_or(Failure::Internal)
    }
}
