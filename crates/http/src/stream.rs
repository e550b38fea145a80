//! Streaming a list of any length in parts, within one memory budget for all streams.
//!
//! A stream begins with small parts and doubles them as it goes on, because a large part costs less per item. What it
//! takes beyond a small part it reserves from a budget that all streams of the process share, and gives back once its
//! client has taken the part: many slow clients hold a small part each, not a large one.

use actix_web::web::Bytes;

use crate::memory::{Budget, Reserved};

/// Items of the first part, and of every part while the budget is used up.
pub(crate) const MIN_ITEMS: usize = 50;

/// The most items of a part.
const MAX_ITEMS: usize = 1000;

/// The size that parts grow to, in bytes.
const TARGET_BYTES: usize = 256 * 1024;

/// The most bytes that are given to the connection at a time. It copies them, and keeps a buffer as large as the largest.
const CHUNK_BYTES: usize = 32 * 1024;

/// The memory that all streams share for parts larger than the smallest.
#[derive(Debug, Clone)]
pub(crate) struct StreamBudget(pub(crate) Budget);

/// How large the next part of one stream is.
pub(crate) struct PartSize {
    budget: StreamBudget,
    /// How many items the last part was allowed.
    items: usize,
    /// Bytes of an item, as seen in the last part.
    item_bytes: usize,
    /// Held until the client has taken the part.
    reserved: Option<Reserved>,
}

impl PartSize {
    /// For a stream that has given nothing yet.
    pub(crate) fn new(budget: StreamBudget) -> Self {
        Self { budget, items: 0, item_bytes: 0, reserved: None }
    }

    /// Gives back what the last part had reserved, and decides how many items the next one may have.
    pub(crate) fn next(&mut self) -> usize {
        self.reserved = None;
        let wanted = (2 * self.items).min(MAX_ITEMS).min(TARGET_BYTES / self.item_bytes.max(1)).max(MIN_ITEMS);
        let beyond = (wanted - MIN_ITEMS) * self.item_bytes;
        self.items = MIN_ITEMS;
        if beyond > 0 {
            self.reserved = self.budget.0.reserve(beyond);
            if self.reserved.is_some() {
                self.items = wanted;
            }
        }
        self.items
    }

    /// Notes how large a part has become.
    pub(crate) fn note(&mut self, items: usize, bytes: usize) {
        if items > 0 {
            self.item_bytes = bytes.div_ceil(items);
        }
    }
}

/// Cuts the next chunk from a part.
pub(crate) fn next_chunk(part: &mut Bytes) -> Bytes {
    part.split_to(part.len().min(CHUNK_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The sizes of the parts of a stream whose items have so many bytes.
    fn sizes(budget: &StreamBudget, item_bytes: usize, parts: usize) -> Vec<usize> {
        let mut size = PartSize::new(budget.clone());
        let next = |_| {
            let items = size.next();
            size.note(items, items * item_bytes);
            items
        };
        (0..parts).map(next).collect()
    }

    #[test]
    fn parts_double_up_to_the_most_items() {
        assert_eq!(sizes(&StreamBudget(Budget::new(16 << 20)), 100, 8), [50, 100, 200, 400, 800, 1000, 1000, 1000]);
    }

    #[test]
    fn parts_of_large_items_stay_small() {
        assert_eq!(sizes(&StreamBudget(Budget::new(16 << 20)), 20_000, 3), [50, 50, 50]);
        assert_eq!(sizes(&StreamBudget(Budget::new(16 << 20)), 2000, 4), [50, 100, 131, 131]);
    }

    #[test]
    fn a_used_up_budget_leaves_the_smallest_parts_and_comes_back() {
        let budget = StreamBudget(Budget::new(300 * 1024));
        let mut one = PartSize::new(budget.clone());
        let grow = |size: &mut PartSize| {
            let items = size.next();
            size.note(items, items * 1000);
            items
        };
        assert_eq!([(); 4].map(|()| grow(&mut one)), [50, 100, 200, 262]);
        let mut other = PartSize::new(budget);
        assert_eq!([(); 4].map(|()| grow(&mut other)), [50, 100, 50, 100]);
        drop(one);
        assert_eq!([(); 2].map(|()| grow(&mut other)), [200, 262]);
    }

    #[test]
    fn chunks_make_up_the_part() {
        let mut part = Bytes::from(vec![7; 2 * CHUNK_BYTES + 1]);
        let lengths = [(); 3].map(|()| next_chunk(&mut part).len());
        assert_eq!((lengths, part.len()), ([CHUNK_BYTES, CHUNK_BYTES, 1], 0));
    }
}
