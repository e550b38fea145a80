use diesel::prelude::*;
use roster_application::ports::{SecretRepository, StoreError};

use crate::error::Fault;
use crate::schema::secrets;
use crate::unit_of_work::PostgresUnitOfWork;

impl SecretRepository for PostgresUnitOfWork<'_> {
    fn get_or_insert(&mut self, name: &str, candidate: [u8; 32]) -> Result<[u8; 32], StoreError> {
        // Read first: a database that takes no writes has it, most likely.
        if let Some(secret) = self.run(|connection| find(connection, name))? {
            return Ok(secret);
        }
        self.run_write(|connection| {
            let new = (secrets::name.eq(name), secrets::value.eq(candidate.as_slice()));
            diesel::insert_into(secrets::table).values(new).on_conflict_do_nothing().execute(connection)?;
            // In a new statement, which sees the one that another instance has stored meanwhile.
            let stored = find(connection, name)?;
            stored.ok_or_else(|| Fault::Store(StoreError::internal("a secret is not there after it was stored")))
        })
    }
}

fn find(connection: &mut PgConnection, name: &str) -> Result<Option<[u8; 32]>, Fault> {
    let found: Option<Vec<u8>> = secrets::table.find(name).select(secrets::value).get_result(connection).optional()?;
    let secret = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes);
    found
        .map(secret)
        .transpose()
        .map_err(|_| Fault::Store(StoreError::internal("a secret has another length than 32 bytes")))
}
