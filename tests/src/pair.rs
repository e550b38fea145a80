//! Two instances of the service over one database: a lock within one process decides no race between them.

use crate::client::{Surface, agent};
use crate::program::Program;
use crate::{App, Caller, Database};

/// Two instances.
pub struct Pair {
    /// The one that tests look at.
    pub app: App,
    other: Program,
}

impl Pair {
    /// Starts both on `database`.
    ///
    /// # Panics
    /// If one of them does not start.
    #[must_use]
    pub fn start(database: Database) -> Self {
        let app = App::start(database);
        let other = Program::serve(app.database().url(), &[]);
        Self { app, other }
    }

    /// A caller of each instance.
    #[must_use]
    pub fn callers(&self, surface: Surface) -> [Caller; 2] {
        let other = Caller::new(agent(), self.other.address(), surface.base());
        [self.app.surface(surface), other.with_key(&self.app.tenants().ours.live)]
    }
}
