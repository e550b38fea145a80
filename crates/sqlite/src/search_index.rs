//! The index for searches: how it is kept up to date and complete.
//!
//! A customer has a document in a full-text table without contents: its words are what the domain computes from the texts of
//! the customer. A row whose document is of another version is in `customers_unsearched`: it was written before there was an
//! index, without it, or by a program that does not know it. So a search can tell which rows the index has, and no row is missed.

use std::fmt::Write as _;

use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Binary, Nullable, Text};
use diesel::sqlite::Sqlite;
use roster_domain::{Customer, Tenant, search_hashes};

use crate::error::Fault;
use crate::rows::{Id, kept_by_text, limit};
use crate::schema::{CustomerRow, customers, push_customer_columns};

/// Words, as they are indexed and as they are searched for: a document has all of them.
pub fn words(hashes: &[i32]) -> String {
    let mut words = String::with_capacity(9 * hashes.len());
    for (place, hash) in hashes.iter().enumerate() {
        // Writing to a text cannot fail.
        let _ = write!(words, "{}{hash:08x}", if place > 0 { " " } else { "" });
    }
    words
}

/// The place of the next document.
pub fn next_document(connection: &mut SqliteConnection) -> QueryResult<i64> {
    RunQueryDsl::get_result(NextDocument, connection)
}

/// Adds the document of a customer at a place that is free.
pub fn add(connection: &mut SqliteConnection, document: i64, customer: &Customer) -> QueryResult<()> {
    let words = words(&search_hashes(customer));
    run(connection, Statement::AddDocument { id: document, words })
}

/// Brings the index up to date after `after` has been stored in the place of `before`.
pub fn update(connection: &mut SqliteConnection, before: &Customer, after: &Customer) -> QueryResult<()> {
    let (id, version) = RunQueryDsl::get_result::<(Option<i64>, Option<i64>)>(FindDocument(key(after)), connection)?;
    let is_current = id.is_some() && version == Some(before.version());
    if is_current && after.is_live() && search_hashes(before) == search_hashes(after) {
        return mark(connection, after, Document::Same);
    }
    replace(connection, id, after)
}

/// Adds at most `most` customers that the index lacks. Returns how many it has found.
pub fn add_missing(connection: &mut SqliteConnection, tenants: &[Tenant], most: usize) -> Result<usize, Fault> {
    let mut number = 0;
    for customer in find_missing(connection, tenants, most)? {
        let (id, _) = RunQueryDsl::get_result::<(Option<i64>, Option<i64>)>(FindDocument(key(&customer)), connection)?;
        replace(connection, id, &customer)?;
        number += 1;
    }
    Ok(number)
}

/// At most `most` customers of some tenants that the index lacks.
pub fn find_missing(
    connection: &mut SqliteConnection,
    tenants: &[Tenant],
    most: usize,
) -> Result<Vec<Customer>, Fault> {
    let mut missing: Vec<Customer> = Vec::new();
    for tenant in tenants {
        let find = FindMissing {
            tenant: (Id(tenant.merchant.uuid()), tenant.environment.as_str()),
            limit: limit(most - missing.len()),
        };
        let rows: Vec<CustomerRow> = RunQueryDsl::load(find, connection)?;
        for row in rows {
            missing.push(Customer::try_from(row).map_err(Fault::Store)?);
        }
        if missing.len() == most {
            break;
        }
    }
    Ok(missing)
}

/// Makes the document of a customer anew, in the place of the document `id`.
fn replace(connection: &mut SqliteConnection, id: Option<i64>, customer: &Customer) -> QueryResult<()> {
    if let Some(id) = id {
        run(connection, Statement::RemoveDocument { id })?;
    }
    if !customer.is_live() {
        return mark(connection, customer, Document::None);
    }
    let document = next_document(connection)?;
    add(connection, document, customer)?;
    mark(connection, customer, Document::New(document))
}

fn mark(connection: &mut SqliteConnection, customer: &Customer, document: Document) -> QueryResult<()> {
    let version = (document != Document::None).then(|| customer.version());
    run(connection, Statement::Mark { document, version, key: key(customer) })
}

fn run(connection: &mut SqliteConnection, statement: Statement) -> QueryResult<()> {
    RunQueryDsl::execute(statement, connection).map(drop)
}

/// The primary key of a customer.
type Key = (Id, &'static str, Id);

fn key(customer: &Customer) -> Key {
    let tenant = customer.tenant();
    (Id(tenant.merchant.uuid()), tenant.environment.as_str(), Id(customer.id().uuid()))
}

fn push_key<'b>((merchant_id, environment, id): &'b Key, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
    out.push_sql(" WHERE merchant_id = ");
    out.push_bind_param::<Binary, _>(merchant_id)?;
    out.push_sql(" AND environment = ");
    out.push_bind_param::<Text, _>(environment)?;
    out.push_sql(" AND id = ");
    out.push_bind_param::<Binary, _>(id)
}

/// Which document a customer has from now on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Document {
    New(i64),
    /// The one that it had.
    Same,
    None,
}

enum Statement {
    AddDocument { id: i64, words: String },
    RemoveDocument { id: i64 },
    Mark { document: Document, version: Option<i64>, key: Key },
}

impl QueryFragment<Sqlite> for Statement {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        match self {
            Self::AddDocument { id, words } => {
                out.push_sql("INSERT INTO customers_search (rowid, hashes) VALUES (");
                out.push_bind_param::<BigInt, _>(id)?;
                out.push_sql(", ");
                out.push_bind_param::<Text, _>(words)?;
                out.push_sql(")");
                Ok(())
            }
            Self::RemoveDocument { id } => {
                out.push_sql("DELETE FROM customers_search WHERE rowid = ");
                out.push_bind_param::<BigInt, _>(id)
            }
            Self::Mark { document, version, key } => {
                out.push_sql("UPDATE customers SET ");
                match document {
                    Document::New(id) => {
                        out.push_sql("search_id = ");
                        out.push_bind_param::<BigInt, _>(id)?;
                        out.push_sql(", ");
                    }
                    Document::Same => {}
                    Document::None => out.push_sql("search_id = NULL, "),
                }
                out.push_sql("search_version = ");
                out.push_bind_param::<Nullable<BigInt>, _>(version)?;
                push_key(key, &mut out)
            }
        }
    }
}

/// The place behind the last document. The full-text table itself could only be scanned for it.
struct NextDocument;

impl QueryFragment<Sqlite> for NextDocument {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT coalesce(max(id), 0) + 1 FROM customers_search_docsize");
        Ok(())
    }
}

/// The document of a customer, and the version that it was made from.
struct FindDocument(Key);

impl QueryFragment<Sqlite> for FindDocument {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql("SELECT search_id, search_version FROM customers");
        push_key(&self.0, &mut out)
    }
}

/// Customers of a tenant that the index lacks.
struct FindMissing {
    tenant: (Id, &'static str),
    limit: i64,
}

/// The condition of the index `customers_unsearched`, besides that on deleted customers.
pub const IS_UNINDEXED: &str = "customers.search_version IS NOT customers.version";

impl QueryFragment<Sqlite> for FindMissing {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        push_customer_columns(&mut out);
        out.push_sql(" FROM customers INDEXED BY customers_unsearched WHERE customers.merchant_id = ");
        out.push_bind_param::<Binary, _>(&self.tenant.0)?;
        out.push_sql(" AND customers.environment = ");
        out.push_bind_param::<Text, _>(&self.tenant.1)?;
        out.push_sql(" AND customers.deleted_at IS NULL AND ");
        out.push_sql(IS_UNINDEXED);
        out.push_sql(" LIMIT ");
        out.push_bind_param::<BigInt, _>(&self.limit)
    }
}

kept_by_text!(Statement, ());
kept_by_text!(NextDocument, BigInt);
kept_by_text!(FindDocument, (Nullable<BigInt>, Nullable<BigInt>));
kept_by_text!(FindMissing, customers::SqlType);
