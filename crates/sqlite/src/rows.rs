//! What all tables share: how a table is defined, and what its columns hold.

use diesel::backend::Backend;
use diesel::deserialize::{self, FromSql, FromSqlRow};
use diesel::expression::AsExpression;
use diesel::serialize::{self, IsNull, Output, ToSql};
use diesel::sql_types::{BigInt, Binary};
use diesel::sqlite::Sqlite;
use roster_domain::Timestamp;
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

/// An identifier as a column has it: the 16 bytes.
#[derive(Debug, Clone, Copy, AsExpression, FromSqlRow)]
#[diesel(sql_type = Binary)]
pub struct Id(pub Uuid);

impl ToSql<Binary, Sqlite> for Id {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0.as_bytes().as_slice());
        Ok(IsNull::No)
    }
}

impl FromSql<Binary, Sqlite> for Id {
    fn from_sql(mut value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        Ok(Self(Uuid::from_slice(value.read_blob())?))
    }
}

impl Column<Uuid> for Id {
    fn pack(id: Uuid) -> Self {
        Self(id)
    }

    fn unpack(self) -> Uuid {
        self.0
    }
}

impl Column<Option<Uuid>> for Option<Id> {
    fn pack(id: Option<Uuid>) -> Self {
        id.map(Id)
    }

    fn unpack(self) -> Option<Uuid> {
        self.map(Column::unpack)
    }
}

/// A time as a column has it: microseconds since 1970, always whole milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd, AsExpression, FromSqlRow)]
#[diesel(sql_type = BigInt)]
pub struct Time(i64);

impl Time {
    const MICROS_PER_MILLI: i64 = 1000;
}

/// Times: milliseconds since 1970 in a record.
impl Column<i64> for Time {
    fn pack(millis: i64) -> Self {
        // A Timestamp has a year of four digits, which cannot overflow.
        Self(millis.saturating_mul(Self::MICROS_PER_MILLI))
    }

    fn unpack(self) -> i64 {
        self.0.div_euclid(Self::MICROS_PER_MILLI)
    }
}

impl Column<Option<i64>> for Option<Time> {
    fn pack(millis: Option<i64>) -> Self {
        millis.map(Time::pack)
    }

    fn unpack(self) -> Option<i64> {
        self.map(Column::unpack)
    }
}

impl From<Timestamp> for Time {
    fn from(time: Timestamp) -> Self {
        Self::pack(time.as_millis())
    }
}

impl ToSql<BigInt, Sqlite> for Time {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Sqlite>) -> serialize::Result {
        out.set_value(self.0);
        Ok(IsNull::No)
    }
}

impl FromSql<BigInt, Sqlite> for Time {
    fn from_sql(value: <Sqlite as Backend>::RawValue<'_>) -> deserialize::Result<Self> {
        <i64 as FromSql<BigInt, Sqlite>>::from_sql(value).map(Self)
    }
}

/// Defines a table once: its columns, the type of its rows, and how rows become records and back.
///
/// `table (primary key) as Row from Record to Domain { column: type of the row => type of the column, … }`
macro_rules! table {
    (
        $table:ident ($($key:ident),+) as $row:ident from $record:ident to $domain:ident {
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

        #[allow(dead_code, reason = "not every table is written by statements of our own")]
        impl $row {
            /// The names of the columns, separated by commas.
            pub const COLUMNS: &str = concat!(stringify!($first), $(", ", stringify!($column),)+);
            /// The names of the columns, in order.
            pub const NAMES: &[&str] = &[stringify!($first), $(stringify!($column),)+];

            /// The value of the column called `name`.
            pub fn push_value<'b>(&'b self, name: &str, out: &mut AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
                match name {
                    stringify!($first) => out.push_bind_param::<$first_sql, _>(&self.$first),
                    $(stringify!($column) => out.push_bind_param::<$sql, _>(&self.$column),)+
                    _ => Ok(()),
                }
            }

            /// The values of the columns called `names`, separated by commas.
            pub fn push_values<'b, 'n>(
                &'b self,
                names: impl IntoIterator<Item = &'n str>,
                out: &mut AstPass<'_, 'b, Sqlite>,
            ) -> QueryResult<()> {
                for (place, name) in names.into_iter().enumerate() {
                    out.push_sql(if place > 0 { ", " } else { "" });
                    self.push_value(name, out)?;
                }
                Ok(())
            }
        }
    };
}
pub(crate) use table;

/// Makes a type a statement of several forms, each of which diesel keeps prepared under its text.
macro_rules! kept_by_text {
    ($statement:ty, $sql_type:ty) => {
        impl QueryId for $statement {
            type QueryId = ();

            const HAS_STATIC_QUERY_ID: bool = false;
        }

        impl Query for $statement {
            type SqlType = $sql_type;
        }

        impl RunQueryDsl<SqliteConnection> for $statement {}
    };
}
pub(crate) use kept_by_text;
