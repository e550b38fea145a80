//! Serving many items with one call, so that no item fails because of another.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ports::StoreError;

/// Serves `items` with one call of `serve`, or one by one if that failed for a reason that may lie in one of them: a row
/// that cannot be read, or that makes the store panic, must not fail the others. `serve` does nothing if it fails. A store
/// that is not available is not asked again for each.
///
/// `serve` gives one output for each item, in their order. It is not called for no items.
pub fn serve_together<I, O>(
    items: &[I],
    serve: impl Fn(&[I]) -> Result<Vec<O>, StoreError>,
) -> Vec<Result<O, StoreError>> {
    if items.is_empty() {
        return Vec::new();
    }
    let serve_one = |item| {
        let mut outputs = serve(std::slice::from_ref(item))?;
        outputs.pop().ok_or_else(|| StoreError::internal("a batch of one has no result"))
    };
    match catching_panics(|| serve(items)) {
        Ok(outputs) if outputs.len() == items.len() => outputs.into_iter().map(Ok).collect(),
        Err(error) if items.len() < 2 || error.is_outage() => items.iter().map(|_| Err(error.clone())).collect(),
        Ok(_) | Err(_) => items.iter().map(|item| catching_panics(|| serve_one(item))).collect(),
    }
}

/// A store that panics has undone what it did, so that nothing is left half-changed.
fn catching_panics<T>(ask: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|_| Err(StoreError::internal("the store panicked")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cell::Cell;

    fn spoilt() -> StoreError {
        StoreError::Corrupt { table: "customers", column: "name", id: uuid::Uuid::nil() }
    }

    proptest! {
        #[test]
        fn an_item_that_fails_a_batch_fails_alone(items in prop::collection::vec(0u8..12, 0..20)) {
            let serve = |items: &[u8]| match items.iter().find(|item| **item < 3) {
                Some(0) => Err(spoilt()),
                Some(1) => panic!("on purpose"),
                Some(_) => Ok(Vec::new()),
                None => Ok(items.iter().map(|item| item * 2).collect()),
            };
            let results: Vec<_> = serve_together(&items, serve).into_iter().map(Result::ok).collect();
            let expected: Vec<_> = items.iter().map(|item| (*item >= 3).then_some(item * 2)).collect();
            prop_assert_eq!(results, expected);
        }
    }

    #[test]
    fn an_unavailable_store_is_asked_once_for_all_items() {
        let asked = Cell::new(0);
        let results = serve_together(&[1, 2, 3], |_: &[i32]| -> Result<Vec<()>, _> {
            asked.set(asked.get() + 1);
            Err(StoreError::unavailable("gone"))
        });
        assert_eq!((results.len(), asked.get()), (3, 1));
    }
}
