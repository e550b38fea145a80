use std::any::Any;
use std::sync::Arc;

use roster_application::ports::Store;
use roster_executor::Reads;

use crate::batched::BatchedStore;

/// An empty store that a case is run on, with what must outlive it.
pub struct Subject {
    /// What the case calls.
    store: Arc<dyn Store>,
    /// The store itself: the same one, unless `store` calls it in batches.
    unbatched: Arc<dyn Store>,
    // Declared after the stores: fields are dropped in their order, and a store is closed before its folder or server
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
        Self { unbatched: Arc::clone(&store), store, _guard: Box::new(guard) }
    }

    /// The same store, called through the batching of `roster-executor`: each write, and each row that is looked up,
    /// is a request of its own.
    #[must_use]
    pub fn batched(self, reads: Reads) -> Self {
        Self { store: Arc::new(BatchedStore::new(Arc::clone(&self.unbatched), reads)), ..self }
    }
}

impl<'a> From<&'a Subject> for &'a Arc<dyn Store> {
    fn from(subject: &'a Subject) -> Self {
        &subject.store
    }
}

/// The store itself, for the few cases about what one call does as a whole: the batching regroups the items of calls.
#[derive(Clone, Copy)]
pub struct Unbatched<'a>(pub &'a Arc<dyn Store>);

impl<'a> From<&'a Subject> for Unbatched<'a> {
    fn from(subject: &'a Subject) -> Self {
        Self(&subject.unbatched)
    }
}

/// Runs a case on the store that `make` makes, or skips it if that gives `None`.
///
/// Each test that [`store_contract_tests!`](crate::store_contract_tests) writes is one call of this.
pub fn run<S: Into<Option<Subject>>>(make: impl FnOnce() -> S, case: fn(&Subject)) {
    if let Some(subject) = make().into() {
        case(&subject);
    }
}
