//! Pages: no list is answered whole.

/// How many items a page may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageSize(u16);

impl PageSize {
    /// What a caller gets who asks for nothing: 25.
    pub const DEFAULT: Self = Self(25);
    /// The most a caller may ask for: 100.
    pub const MAX: Self = Self(100);
    /// What is read at a time of a list that is answered whole: 50. Whoever reads slowly keeps about two such pages in
    /// memory, as they are written.
    pub const STREAMED: Self = Self(50);
    /// What the service takes at a time when it walks a whole list itself: 500.
    pub const BULK: Self = Self(500);

    /// A size that a caller may ask for, 1 to [`PageSize::MAX`]. `None` for any other.
    #[must_use]
    pub fn new(size: u16) -> Option<Self> {
        (1..=Self::MAX.0).contains(&size).then_some(Self(size))
    }

    /// The size.
    #[must_use]
    pub fn get(self) -> usize {
        usize::from(self.0)
    }
}

/// Some items of a list, in its order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Whether the list goes on behind the last of them.
    pub has_more: bool,
}

impl<T> Page<T> {
    /// Makes a page of `size` from what was read, of which one item more than that says that the list goes on.
    #[must_use]
    pub fn cut(mut items: Vec<T>, size: PageSize) -> Self {
        let has_more = items.len() > size.get();
        items.truncate(size.get());
        Self { items, has_more }
    }
}
