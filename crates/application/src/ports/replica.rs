use super::{StoreError, Work};

/// A copy of the database that follows it and can only be read.
///
/// It may be behind, go away, or be promoted at any time; its caller reads the store then.
pub trait Replica: Send + Sync {
    /// Runs `work`, which only reads, over one connection, if the replica includes one of `wanted` or if one of them is `None`.
    /// Returns what was read; `None` if the replica is behind all of `wanted`, and `work` was not run.
    ///
    /// # Errors
    /// The first [`StoreError`] of a call of the unit of work, even if `work` ignores it; [`StoreError::Unavailable`] if
    /// the replica does not answer, or follows the database no longer.
    fn run_read(&self, wanted: &[Option<Position>], work: &mut Work<'_>) -> Result<Option<Shown>, StoreError>;

    /// Looks at the replica. It waits behind no other call.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] if the replica does not answer.
    fn look(&self) -> Result<Standing, StoreError>;
}

/// What a database has taken in: all that was committed up to here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Identifies the database among all others. Its replicas have the same.
    pub database: u64,
    /// The number of its history. A replica that is promoted begins another one, in which places have other meanings.
    pub timeline: u32,
    /// The place in this history. It only grows.
    pub place: u64,
}

impl Position {
    /// Whether both are places of one history.
    #[must_use]
    pub fn is_comparable_to(self, other: Self) -> bool {
        (self.database, self.timeline) == (other.database, other.timeline)
    }

    /// Whether all up to `other` is up to here, too. Of another history that is not known.
    #[must_use]
    pub fn includes(self, other: Self) -> bool {
        self.is_comparable_to(other) && self.place >= other.place
    }

    /// The position in 20 bytes.
    #[must_use]
    pub fn to_bytes(self) -> Vec<u8> {
        [&self.database.to_be_bytes()[..], &self.timeline.to_be_bytes(), &self.place.to_be_bytes()].concat()
    }

    /// The position that [`Position::to_bytes`] has written.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (database, rest) = bytes.split_first_chunk()?;
        let (timeline, place) = rest.split_first_chunk()?;
        Some(Self {
            database: u64::from_be_bytes(*database),
            timeline: u32::from_be_bytes(*timeline),
            place: u64::from_be_bytes(place.try_into().ok()?),
        })
    }
}

/// Bounds of what was read from a replica.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// What was read includes this. `None`: it is not known, as it was not asked for.
    pub least: Option<Position>,
    /// This includes what was read.
    pub most: Position,
}

impl Shown {
    /// Whether what was read includes `wanted`. `None`: no matter what it includes.
    #[must_use]
    pub fn includes(&self, wanted: Option<Position>) -> bool {
        wanted.is_none_or(|wanted| self.least.is_some_and(|least| least.includes(wanted)))
    }

    /// The bounds of this and of what was read after it.
    #[must_use]
    pub fn and(self, later: Self) -> Self {
        // Two connections may lead to two replicas, one of which is behind the other.
        let least = match (self.least, later.least) {
            (Some(one), Some(other)) if other.includes(one) => Some(one),
            (Some(one), Some(other)) if one.includes(other) => Some(other),
            _ => None,
        };
        Self { least, most: if self.most.includes(later.most) { self.most } else { later.most } }
    }
}

/// What a replica is at present.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It follows a database, and includes this.
    Follows(Position),
    /// It takes writes: it was promoted, or never was a replica.
    TakesWrites,
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn position(timeline: u32, place: u64) -> Position {
        Position { database: 7, timeline, place }
    }

    #[test]
    fn a_position_includes_earlier_ones_of_its_own_history_only() {
        let here = position(1, 100);
        assert!(here.includes(here) && here.includes(position(1, 99)));
        assert!(!here.includes(position(1, 101)));
        assert!(!here.includes(position(2, 99)) && !position(2, 101).includes(here));
        assert!(!here.includes(Position { database: 8, ..position(1, 99) }));
    }

    #[test]
    fn a_position_is_read_from_its_own_bytes_only() {
        let here = Position { database: u64::MAX - 1, timeline: 3, place: 0x0102_0304_0506_0708 };
        let bytes = here.to_bytes();
        assert_eq!(Position::from_bytes(&bytes), Some(here));
        assert_eq!(Position::from_bytes(&[bytes.clone(), vec![0]].concat()), None);
        for length in 0..bytes.len() {
            assert_eq!(Position::from_bytes(&bytes[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn two_reads_show_what_both_include() {
        let shown = |least, most| Shown { least: Some(position(1, least)), most: position(1, most) };
        assert_eq!(shown(5, 6).and(shown(7, 8)), shown(5, 8));
        assert_eq!(shown(7, 8).and(shown(5, 6)), shown(5, 8));
        let unknown = Shown { least: None, most: position(1, 6) };
        assert_eq!(shown(5, 6).and(unknown).least, None);
        assert!(unknown.includes(None) && !unknown.includes(Some(position(1, 1))));
        assert!(shown(5, 6).includes(Some(position(1, 5))) && !shown(5, 6).includes(Some(position(1, 6))));
        assert_eq!(shown(5, 6).and(Shown { least: Some(position(2, 5)), most: position(2, 6) }).least, None);
    }
}
