//! Serving many with one call, and none of them at the cost of another.

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::ports::StoreError;

/// Serves `items` with one call of `serve`, or one by one if that failed for a reason that may lie in one of them: a row
/// that cannot be read, or that makes the store panic, is the fault of nobody else. A store that is not available is not
/// asked again for each.
///
/// `serve` gives one output for each item, in their order.
pub fn serve_together<I, O>(
    items: &[I],
    serve: impl Fn(&[I]) -> Result<Vec<O>, StoreError>,
) -> Vec<Result<O, StoreError>> {
    serve_together_or_each(items, &serve, |item| {
        let mut outputs = serve(std::slice::from_ref(item))?;
        outputs.pop().ok_or_else(|| StoreError::internal("a batch of one has no result"))
    })
}

/// As [`serve_together`], but with another way to serve each of them by itself, for what may have been done already before
/// the one call failed.
pub fn serve_together_or_each<I, O>(
    items: &[I],
    serve: impl Fn(&[I]) -> Result<Vec<O>, StoreError>,
    serve_one: impl Fn(&I) -> Result<O, StoreError>,
) -> Vec<Result<O, StoreError>> {
    match unless_panicking(|| serve(items)) {
        Ok(outputs) if outputs.len() == items.len() => outputs.into_iter().map(Ok).collect(),
        Err(error) if items.len() < 2 || error.is_outage() => items.iter().map(|_| Err(error.clone())).collect(),
        Ok(_) | Err(_) => items.iter().map(|item| unless_panicking(|| serve_one(item))).collect(),
    }
}

/// A store that unwinds has undone what it did, so that nothing is left half-changed.
fn unless_panicking<T>(ask: impl FnOnce() -> Result<T, StoreError>) -> Result<T, StoreError> {
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
        fn only_who_spoils_a_batch_is_told_so(items in prop::collection::vec(0u8..12, 0..20)) {
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
    fn a_store_that_is_not_available_is_asked_once_for_all() {
        let asked = Cell::new(0);
        let results = serve_together(&[1, 2, 3], |_: &[i32]| -> Result<Vec<()>, _> {
            asked.set(asked.get() + 1);
            Err(StoreError::unavailable("gone"))
        });
        assert_eq!((results.len(), asked.get()), (3, 1));
    }
}
