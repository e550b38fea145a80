//! A pooler in transaction mode between this program and the server, such as `PgBouncer`: whether there is one, and what it
//! lacks.
//!
//! It gives a connection to the server to another client after each transaction. A setting of a session would stay with
//! that client and be missing here, so the role must have all settings; and a prepared statement exists on one of many
//! connections, unless the pooler prepares it on the others, too.

use std::collections::BTreeSet;

use diesel::dsl::sql;
use diesel::pg::PgConnection;
use diesel::prelude::*;
use diesel::sql_types::{Bool, Integer, Text};
use roster_application::ports::StoreError;

use crate::error::store_error;
use crate::session::{Connector, lacking_settings};

/// How often two connections are asked which process of the server they have. On a busy pooler others may have taken the
/// process of the one before the other has its turn.
const LOOKS: usize = 5;

/// The process of the server, also told apart from one of another server with the same number.
const PROCESS: &str = "pg_backend_pid() || ' since ' || pg_postmaster_start_time()";

/// Whether the server knows a prepared statement under the name that diesel gave it. A pooler that can prepare statements
/// on all its connections gives them names of its own.
const HAS_OUR_NAMES: &str =
    "EXISTS (SELECT FROM pg_prepared_statements WHERE starts_with(name, '__diesel_stmt_') AND NOT from_sql)";

/// What is wrong with a pooler, and what to do.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(
        "a pooler in transaction mode is between, which does not keep prepared statements: PgBouncer must be 1.21 or \
         later, with max_prepared_statements above 0; or use a pool in session mode (docs/scale.md)"
    )]
    Statements,
    #[error(
        "a pooler in transaction mode is between, and the role lacks settings that sessions cannot have there. Run as that \
         role, and have the pooler make its connections anew (RECONNECT): {0}"
    )]
    Settings(String),
}

/// Refuses a pooler in transaction mode through which statements would fail, or run without their settings, at random.
///
/// # Errors
/// [`StoreError::Internal`] with a source that says what to do; [`StoreError::Unavailable`] if there is no connection.
pub fn check(connector: &Connector) -> Result<(), StoreError> {
    let mut connections = [open(connector)?, open(connector)?];
    if !share_processes(&mut connections).map_err(|error| store_error(&error))? {
        return Ok(());
    }
    let [connection, _] = &mut connections;
    if !keeps_statements(connection) {
        return Err(StoreError::internal(Unusable::Statements));
    }
    let lacking = lacking_settings(connection, connector.deadline()).map_err(|error| store_error(&error))?;
    if lacking.is_empty() {
        return Ok(());
    }
    let alter: Vec<String> = lacking.iter().map(|setting| format!("ALTER ROLE CURRENT_USER SET {setting};")).collect();
    Err(StoreError::internal(Unusable::Settings(alter.join(" "))))
}

/// Whether a pooler in transaction mode is between this program and the server.
///
/// # Errors
/// [`StoreError::Unavailable`] if there is no connection.
pub fn is_in_transaction_mode(connector: &Connector) -> Result<bool, StoreError> {
    let mut connections = [open(connector)?, open(connector)?];
    share_processes(&mut connections).map_err(|error| store_error(&error))
}

fn open(connector: &Connector) -> Result<PgConnection, StoreError> {
    connector.connect_as_it_is().map_err(StoreError::unavailable)
}

/// Whether two connections that are open at the same time have had one process of the server, or one of them several.
fn share_processes(connections: &mut [PgConnection; 2]) -> QueryResult<bool> {
    let mut seen = [BTreeSet::new(), BTreeSet::new()];
    for _ in 0..LOOKS {
        for (connection, seen) in connections.iter_mut().zip(&mut seen) {
            let process: String = diesel::select(sql::<Text>(PROCESS)).get_result(connection)?;
            seen.insert(process);
        }
    }
    let [one, other] = &seen;
    Ok(one.len() > 1 || other.len() > 1 || !one.is_disjoint(other))
}

/// Whether a statement that is prepared here is prepared on every connection of the pooler. An error means that it is not,
/// as when another client has prepared one of the same name on the same connection.
fn keeps_statements(connection: &mut PgConnection) -> bool {
    let has_our_names = connection.transaction(|connection| {
        // diesel gives it a name, as it is no text of SQL.
        diesel::select(1.into_sql::<Integer>()).execute(connection)?;
        diesel::select(sql::<Bool>(HAS_OUR_NAMES)).get_result::<bool>(connection)
    });
    matches!(has_our_names, Ok(false))
}
