//! What all tables share.

use roster_application::ports::StoreError;

/// A limit as SQL has it.
pub fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// Puts rows, each with the place of its key in a list of `count` keys, in the order of the keys. Places count from 1.
///
/// # Errors
/// [`StoreError::Corrupt`] if a row cannot be read, [`StoreError::Internal`] if a place is outside the list.
pub fn in_order<T, R>(count: usize, rows: Vec<(i64, R)>) -> Result<Vec<Option<T>>, StoreError>
where
    T: TryFrom<R, Error = StoreError>,
{
    let mut values: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for (place, row) in rows {
        let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
        let value = index.and_then(|index| values.get_mut(index));
        *value.ok_or_else(|| StoreError::internal("a row has a place that nothing was asked for"))? =
            Some(T::try_from(row)?);
    }
    Ok(values)
}
