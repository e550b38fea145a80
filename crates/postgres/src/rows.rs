//! What all tables share: how a table is defined, and statements over lists of keys.

use chrono::{DateTime, Utc};
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::pg::{Pg, PgValue};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, QueryFragment};
use diesel::serialize::{self, Output, ToSql};
use diesel::sql_types::{self, Array, BigInt, Json, Text};
use roster_application::ports::StoreError;
use roster_domain::Tenant;
use uuid::Uuid;

/// A limit as SQL has it.
pub fn limit(size: usize) -> i64 {
    i64::try_from(size).unwrap_or(i64::MAX)
}

/// A value of a column, made from a field of a record, and back.
pub trait Column<T> {
    /// The value for the field.
    fn pack(field: T) -> Self;
    /// The field for the value.
    fn unpack(self) -> T;
}

impl<T> Column<T> for T {
    fn pack(field: T) -> Self {
        field
    }

    fn unpack(self) -> T {
        self
    }
}

/// Times: milliseconds since 1970 in a record.
impl Column<i64> for DateTime<Utc> {
    fn pack(millis: i64) -> Self {
        // A Timestamp has a year of four digits, which every database and this type can hold.
        Self::from_timestamp_millis(millis).unwrap_or_default()
    }

    fn unpack(self) -> i64 {
        self.timestamp_millis()
    }
}

impl Column<Option<i64>> for Option<DateTime<Utc>> {
    fn pack(millis: Option<i64>) -> Self {
        millis.map(DateTime::pack)
    }

    fn unpack(self) -> Option<i64> {
        self.map(Column::unpack)
    }
}

/// JSON as text. The binary form of `json` is its text, as for `text`.
#[derive(Debug, AsExpression, FromSqlRow)]
#[diesel(sql_type = Json)]
pub struct JsonText(String);

impl Column<String> for JsonText {
    fn pack(text: String) -> Self {
        Self(text)
    }

    fn unpack(self) -> String {
        self.0
    }
}

impl Column<Option<String>> for Option<JsonText> {
    fn pack(text: Option<String>) -> Self {
        text.map(JsonText)
    }

    fn unpack(self) -> Option<String> {
        self.map(Column::unpack)
    }
}

impl ToSql<Json, Pg> for JsonText {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        <String as ToSql<Text, Pg>>::to_sql(&self.0, out)
    }
}

impl FromSql<Json, Pg> for JsonText {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        <String as FromSql<Text, Pg>>::from_sql(value).map(Self)
    }
}

/// A row that an `INSERT` can list.
pub trait Row {
    /// The table.
    const TABLE: &'static str;

    /// Adds the names of the columns, separated by commas.
    fn push_columns(out: &mut AstPass<'_, '_, Pg>);

    /// Adds the values, in the order of the columns.
    ///
    /// # Errors
    /// Those of diesel.
    fn push_row<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()>;
}

/// Defines a table once: its columns, the type of its rows, how rows become records and back, and how lists of rows are
/// written.
///
/// `table (primary key) as Row, Rows from Record to Domain { column: type of the row => type of the column, … }`
macro_rules! table {
    (
        $table:ident ($($key:ident),+) as $row:ident, $rows:ident from $record:ident to $domain:ident {
            $first:ident: $first_rust:ty => $first_sql:ty,
            $($column:ident: $rust:ty => $sql:ty,)+
        }
    ) => {
        diesel::table! {
            $table ($($key),+) {
                $first -> $first_sql,
                $($column -> $sql,)+
            }
        }

        #[doc = concat!("A row of `", stringify!($table), "`.")]
        #[derive(Queryable, Insertable)]
        #[diesel(table_name = $table)]
        pub struct $row {
            pub $first: $first_rust,
            $(pub $column: $rust,)+
        }

        impl From<$record> for $row {
            fn from(record: $record) -> Self {
                Self { $first: Column::pack(record.$first), $($column: Column::pack(record.$column),)+ }
            }
        }

        impl TryFrom<$row> for $domain {
            type Error = StoreError;

            fn try_from(row: $row) -> Result<Self, StoreError> {
                let record =
                    $record { $first: Column::unpack(row.$first), $($column: Column::unpack(row.$column),)+ };
                Self::try_from(record)
            }
        }

        #[doc = concat!("Rows of `", stringify!($table), "` to be written, as one array per column.")]
        #[derive(Default)]
        #[allow(dead_code, reason = "not every table is written in batches")]
        pub struct $rows {
            $first: Vec<$first_rust>,
            $($column: Vec<$rust>,)+
        }

        impl crate::rows::Row for $row {
            const TABLE: &'static str = stringify!($table);

            fn push_columns(out: &mut AstPass<'_, '_, Pg>) {
                out.push_sql(Self::COLUMNS);
            }

            fn push_row<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                self.push_values(out)
            }
        }

        #[allow(dead_code, reason = "not every table is written in batches")]
        impl $row {
            /// The names of the columns, separated by commas.
            pub const COLUMNS: &str = concat!(stringify!($first), $(", ", stringify!($column),)+);
            /// The names of the columns, in order.
            pub const NAMES: &[&str] = &[stringify!($first), $(stringify!($column),)+];

            /// The values, in the order of the columns.
            pub fn push_values<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_bind_param::<$first_sql, _>(&self.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<$sql, _>(&self.$column)?;
                )+
                Ok(())
            }
        }

        #[allow(dead_code, reason = "not every table is written in batches")]
        impl $rows {
            /// The arrays, in the order of the columns.
            pub fn push_arrays<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
                out.push_bind_param::<Array<$first_sql>, _>(&self.$first)?;
                $(
                    out.push_sql(", ");
                    out.push_bind_param::<Array<$sql>, _>(&self.$column)?;
                )+
                Ok(())
            }
        }

        impl FromIterator<$row> for $rows {
            fn from_iter<I: IntoIterator<Item = $row>>(rows: I) -> Self {
                let mut all = Self::default();
                for row in rows {
                    all.$first.push(row.$first);
                    $(all.$column.push(row.$column);)+
                }
                all
            }
        }
    };
}
pub(crate) use table;

/// Makes a type a statement that diesel keeps prepared under the type's name: diesel prepares anything else again each
/// time, or builds its SQL each time to look it up.
macro_rules! kept_prepared {
    ($statement:ty, $sql_type:ty $(, for $parameter:ident $(and $other:ident)? $(, const $constant:ident)*)?) => {
        impl$(<$parameter: 'static $(, $other: 'static)? $(, const $constant: bool)*>)? QueryId for $statement {
            type QueryId = Self;

            const HAS_STATIC_QUERY_ID: bool = true;
        }

        impl$(<$parameter $(, $other)? $(, const $constant: bool)*>)? Query for $statement {
            type SqlType = $sql_type;
        }

        impl$(<$parameter $(, $other)? $(, const $constant: bool)*>)? RunQueryDsl<PgConnection> for &$statement {}
    };
}
pub(crate) use kept_prepared;

/// Puts rows, each with the place of its key in a list of `count` keys, in the order of the keys. Places count from 1.
///
/// # Errors
/// What `convert` met; [`StoreError::Internal`] if a place is outside the list.
pub fn in_order<T, R>(
    count: usize,
    rows: impl IntoIterator<Item = (i64, R)>,
    convert: impl Fn(R) -> Result<T, StoreError>,
) -> Result<Vec<Option<T>>, StoreError> {
    let mut values: Vec<Option<T>> = std::iter::repeat_with(|| None).take(count).collect();
    for (place, row) in rows {
        *at_place(&mut values, place)? = Some(convert(row)?);
    }
    Ok(values)
}

/// What a list has at a place that a row names, counted from 1.
///
/// # Errors
/// [`StoreError::Internal`] if it is outside the list.
pub fn at_place<T>(list: &mut [T], place: i64) -> Result<&mut T, StoreError> {
    let index = usize::try_from(place).ok().and_then(|place| place.checked_sub(1));
    let value = index.and_then(|index| list.get_mut(index));
    value.ok_or_else(|| StoreError::internal("a row has a place that was not asked for"))
}

/// A list of keys, each with its place in the list of a caller, counted from 1, and its tenant. In a statement it is the
/// table `wanted`.
#[derive(Default)]
pub struct Wanted {
    places: Vec<i64>,
    merchants: Vec<Uuid>,
    environments: Vec<&'static str>,
}

impl Wanted {
    /// Adds a key.
    pub fn push(&mut self, place: i64, tenant: Tenant) {
        self.places.push(place);
        self.merchants.push(tenant.merchant.uuid());
        self.environments.push(tenant.environment.as_str());
    }

    /// The place of each key.
    pub fn places(&self) -> &[i64] {
        &self.places
    }

    /// Whether there is no key.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// The arrays of the columns `place`, `merchant_id` and `environment`.
    ///
    /// # Errors
    /// Those of diesel.
    pub fn push_arrays<'b>(&'b self, out: &mut AstPass<'_, 'b, Pg>) -> QueryResult<()> {
        out.push_bind_param::<Array<BigInt>, _>(&self.places)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<sql_types::Uuid>, _>(&self.merchants)?;
        out.push_sql(", ");
        out.push_bind_param::<Array<Text>, _>(&self.environments)
    }

    /// `SELECT place, columns FROM unnest(` and the arrays, after which the arrays of further columns may follow.
    ///
    /// # Errors
    /// Those of diesel.
    pub fn push_select<'b>(
        &'b self,
        columns: &'b impl QueryFragment<Pg>,
        out: &mut AstPass<'_, 'b, Pg>,
    ) -> QueryResult<()> {
        out.push_sql("SELECT wanted.place, ");
        columns.walk_ast(out.reborrow())?;
        out.push_sql(" FROM unnest(");
        self.push_arrays(out)
    }
}
