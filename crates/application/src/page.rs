//! Pages of lists.

/// The most items of a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// The size if the caller gives none: 25.
    pub const DEFAULT: Self = Self(25);
    /// The largest size that a caller may ask for: 100.
    pub const MAX: Self = Self(100);
    /// The size that the service uses when it reads a whole list itself: 500.
    pub const BULK: Self = Self(500);

    /// A size that a caller may ask for, 1 to [`PageSize::MAX`]. `None` for any other.
    #[must_use]
    pub fn new(size: u16) -> Option<Self> {
        (1..=Self::MAX.0).contains(&size).then_some(Self(size))
    }

    /// The size as a number of items.
    #[must_use]
    pub const fn get(self) -> usize {
        self.0 as usize
    }
}

/// Some items of a list, in the list's order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether more items follow.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of at most `limit` items. One item more than `limit` means that more items follow.
    #[must_use]
    pub fn cut(mut items: Vec<T>, limit: usize) -> Self {
        let has_more = items.len() > limit;
        items.truncate(limit);
        Self { items, has_more }
    }
}
