//! How far a server has come in its write-ahead log (WAL).

use std::time::{Duration, Instant};

use diesel::pg::{Pg, PgConnection};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use roster_application::ports::{Position, StoreError};

use crate::error::Fault;
use crate::rows::kept_prepared;

/// The head of a page of the WAL, in bytes, except for the first page of a file.
const PAGE_HEAD: u64 = 24;

/// A page of the WAL in bytes, unless PostgreSQL was built otherwise.
const PAGE: u64 = 8192;

/// Where a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// On a standby all up to here was applied. On a primary all that was committed is before it.
    pub position: Position,
    /// Whether the server is a standby.
    pub is_standby: bool,
}

/// What is known of the server of a connection.
#[derive(Debug, Clone, Copy, Default)]
pub struct Server {
    history: Option<History>,
    /// What it has applied at least, if it is a standby. It only grows.
    pub applied: Option<Position>,
}

/// The history that a server is part of.
#[derive(Debug, Clone, Copy)]
struct History {
    database: u64,
    /// The timeline of a standby, at least. That of a primary is asked for with its place.
    timeline: u32,
    asked_at: Instant,
}

/// How long the timeline of a standby is not asked for again: it takes longer than to ask for the place. An old one makes positions
/// that are compared with none of the new one.
const HISTORY_LIFETIME: Duration = Duration::from_secs(1);

impl Server {
    /// Asks where the server is.
    pub fn read(&mut self, connection: &mut PgConnection) -> Result<Place, Fault> {
        let history = match self.history.filter(|history| history.asked_at.elapsed() < HISTORY_LIFETIME) {
            Some(history) => history,
            None => read_history(connection)?,
        };
        self.history = Some(history);
        let row: PlaceRow = (&ReadPlace).get_result(connection)?;
        let place = place(history, row);
        let place = place.ok_or_else(|| StoreError::unavailable("the server does not say how far it has come"))?;
        if place.is_standby {
            self.applied = Some(place.position);
        }
        Ok(place)
    }
}

/// One row: the identifier of the cluster, and the timeline that a standby has applied at least.
///
/// A standby cannot name the timeline that it applies. It has applied at least that of its last restart point and of its last
/// flush, and receives one that follows from what it has applied. A role without `pg_read_all_stats` does not see the last one: then
/// a standby that has followed a promotion may name the old timeline for some minutes, and is not read for newer positions.
struct ReadHistory;

const READ_HISTORY: &str = "
    SELECT system.system_identifier, greatest(checkpoint.timeline_id, recovery.min_recovery_end_timeline,
        (SELECT received_tli FROM pg_stat_wal_receiver LIMIT 1))::bigint
    FROM pg_control_system() AS system, pg_control_checkpoint() AS checkpoint, pg_control_recovery() AS recovery";

/// One row: whether the server is a standby, the file of the WAL that a primary writes, and the place in bytes.
struct ReadPlace;

const READ_PLACE: &str = "
    SELECT pg_is_in_recovery(), CASE WHEN NOT pg_is_in_recovery() THEN pg_walfile_name(pg_current_wal_insert_lsn()) END,
        (CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END
            - '0/0'::pg_lsn)::bigint";

type PlaceRow = (bool, Option<String>, Option<i64>);

impl QueryFragment<Pg> for ReadHistory {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(READ_HISTORY);
        Ok(())
    }
}

impl QueryFragment<Pg> for ReadPlace {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_sql(READ_PLACE);
        Ok(())
    }
}

kept_prepared!(ReadHistory, (BigInt, BigInt));
kept_prepared!(ReadPlace, (Bool, Nullable<Text>, Nullable<BigInt>));

fn read_history(connection: &mut PgConnection) -> Result<History, Fault> {
    let asked_at = Instant::now();
    let (database, timeline): (i64, i64) = (&ReadHistory).get_result(connection)?;
    let timeline = u32::try_from(timeline).map_err(|_| StoreError::internal("a timeline is out of range"))?;
    Ok(History { database: database.cast_unsigned(), timeline, asked_at })
}

fn place(history: History, (is_standby, wal_file, place): PlaceRow) -> Option<Place> {
    let mut place = u64::try_from(place?).ok()?;
    let timeline = match wal_file {
        // The name of a file of the WAL begins with the timeline in eight hexadecimal digits.
        Some(file) => u32::from_str_radix(file.get(..8)?, 16).ok()?,
        None => history.timeline,
    };
    // The next record of a primary begins behind the head of a page, which a standby has only with that record.
    if !is_standby && place % PAGE == PAGE_HEAD {
        place -= PAGE_HEAD;
    }
    Some(Place { position: Position { database: history.database, timeline, place }, is_standby })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn history() -> History {
        History { database: 7, timeline: 3, asked_at: Instant::now() }
    }

    #[test]
    fn the_place_of_a_primary_is_before_the_head_of_an_empty_page() {
        let row = |place| (false, Some("0000001A000000010000002B".to_owned()), Some(place));
        let at = |place| {
            let position = Position { database: 7, timeline: 26, place };
            Some(Place { position, is_standby: false })
        };
        assert_eq!(place(history(), row(8192 * 7 + 24)), at(8192 * 7));
        assert_eq!(place(history(), row(8192 * 7 + 32)), at(8192 * 7 + 32));
        assert_eq!(place(history(), row(8192 * 7)), at(8192 * 7));
    }

    #[test]
    fn the_place_of_a_standby_is_what_it_has_applied() {
        let position = Position { database: 7, timeline: 3, place: 8192 + 24 };
        let applied = place(history(), (true, None, Some(8192 + 24)));
        assert_eq!(applied, Some(Place { position, is_standby: true }));
        assert_eq!(place(history(), (true, None, None)), None, "it has applied nothing yet");
    }
}
