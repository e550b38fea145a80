use std::any::Any;
use std::sync::Arc;

use roster_application::ports::Store;

/// An empty store to try a case on, with what must outlive it.
pub struct Subject {
    store: Arc<dyn Store>,
    // Declared after the store: fields are dropped in their order, and a store is closed before its folder or server
    // goes away.
    _guard: Box<dyn Any>,
}

impl Subject {
    /// A store that needs nothing beside it.
    #[must_use]
    pub fn new(store: Arc<dyn Store>) -> Self {
        Self::guarded(store, ())
    }

    /// A store, and a value that is dropped once the store is, such as its temporary folder.
    #[must_use]
    pub fn guarded(store: Arc<dyn Store>, guard: impl Any) -> Self {
        Self { store, _guard: Box::new(guard) }
    }
}

/// Tries a case on the store that `make` makes, or skips it if that gives `None`.
///
/// This is what each test that [`store_contract_tests!`](crate::store_contract_tests) writes consists of.
pub fn run<S: Into<Option<Subject>>>(make: impl FnOnce() -> S, case: fn(&Arc<dyn Store>)) {
    if let Some(subject) = make().into() {
        case(&subject.store);
    }
}
