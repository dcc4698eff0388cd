//! A statement with its values, run on either engine.
//!
//! Promises that values travel beside the text and never within it, and that a text with NUL, which PostgreSQL cannot
//! hold, finds nothing there instead of failing.

use std::borrow::Cow;

use sqlx::postgres::{PgArguments, PgRow};
use sqlx::sqlite::{SqliteArguments, SqliteRow};
use sqlx::{Arguments, AssertSqlSafe, ColumnIndex, Decode, FromRow, Row, Type};

use super::postgres::in_time;
use super::{Connection, Pool, Target};

/// A value of a statement, with the type that it has where it is absent.
#[derive(Debug, Clone)]
pub(in crate::store) enum Value {
    Text(Option<String>),
    Integer(Option<i64>),
    Bytes(Option<Vec<u8>>),
    Flag(bool),
}

/// What a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Kind {
    Text,
    Integer,
    Bytes,
    Flag,
}

/// Reads a row as values of these kinds.
fn values<'r, R: Row>(row: &'r R, kinds: &[Kind]) -> sqlx::Result<Vec<Value>>
where
    usize: ColumnIndex<R>,
    Option<String>: Decode<'r, R::Database> + Type<R::Database>,
    Option<i64>: Decode<'r, R::Database> + Type<R::Database>,
    Option<Vec<u8>>: Decode<'r, R::Database> + Type<R::Database>,
    bool: Decode<'r, R::Database> + Type<R::Database>,
{
    let value = |(at, kind): (usize, &Kind)| {
        Ok(match kind {
            Kind::Text => Value::Text(row.try_get(at)?),
            Kind::Integer => Value::Integer(row.try_get(at)?),
            Kind::Bytes => Value::Bytes(row.try_get(at)?),
            Kind::Flag => Value::Flag(row.try_get(at)?),
        })
    };
    kinds.iter().enumerate().map(value).collect()
}

macro_rules! value {
    ($($from:ty => $variant:ident($value:ident: $as:expr)),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from($value: $from) -> Value {
                Value::$variant($as)
            }
        })*
    };
}

value! {
    &str => Text(text: Some(text.to_owned())),
    &String => Text(text: Some(text.clone())),
    String => Text(text: Some(text)),
    Option<&str> => Text(text: text.map(str::to_owned)),
    &Option<String> => Text(text: text.clone()),
    Option<String> => Text(text: text),
    i64 => Integer(number: Some(number)),
    Option<i64> => Integer(number: number),
    &[u8] => Bytes(bytes: Some(bytes.to_owned())),
    Vec<u8> => Bytes(bytes: Some(bytes)),
    Option<Vec<u8>> => Bytes(bytes: bytes),
    bool => Flag(flag: flag),
}

/// What a row is read as, from both engines alike.
pub(in crate::store) trait Columns:
    for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin
{
}

impl<T> Columns for T where T: for<'r> FromRow<'r, SqliteRow> + for<'r> FromRow<'r, PgRow> + Send + Unpin {}

/// A statement with its values.
#[derive(Debug, Clone)]
pub(in crate::store) struct Query {
    text: Cow<'static, str>,
    values: Vec<Value>,
}

/// The statement `text`, whose values are `$1`, `$2` and so on.
pub(in crate::store) fn query(text: &'static str) -> Query {
    Query { text: Cow::Borrowed(text), values: Vec::new() }
}

/// Runs a query for rows by `$run` on whatever `$on` is.
macro_rules! rows {
    ($query:ident, $on:ident, $run:ident) => {{
        // A text that was put together is run once in this form: keeping it prepared would push others out.
        let remembered = matches!($query.text, Cow::Borrowed(_));
        macro_rules! run {
            ($arguments:ident, $connection:ident) => {{
                let arguments = $query.$arguments()?;
                let query = sqlx::query_as_with(AssertSqlSafe($query.text), arguments);
                query.persistent(remembered).$run($connection)
            }};
        }
        match $on.into() {
            Target::Pool(Pool::Sqlite(pool)) => run!(for_sqlite, pool).await,
            Target::Connection(Connection::Sqlite(connection)) => run!(for_sqlite, connection).await,
            Target::Pool(Pool::Postgres(pool)) => in_time(run!(for_postgres, pool)).await,
            Target::Connection(Connection::Postgres(connection)) => {
                in_time(run!(for_postgres, connection)).await
            }
        }
    }};
}

impl Query {
    /// Gives the next value.
    pub(in crate::store) fn bind(mut self, value: impl Into<Value>) -> Query {
        self.values.push(value.into());
        self
    }

    /// Adds to the text.
    pub(in crate::store) fn push(&mut self, text: &str) -> &mut Query {
        self.text.to_mut().push_str(text);
        self
    }

    /// Adds the next value to the text.
    pub(in crate::store) fn push_bind(&mut self, value: impl Into<Value>) -> &mut Query {
        self.values.push(value.into());
        let place = format!("${}", self.values.len());
        self.push(&place)
    }

    /// Adds values in a row, with commas between.
    pub(in crate::store) fn push_list<V: Into<Value>>(
        &mut self,
        values: impl IntoIterator<Item = V>,
    ) -> &mut Query {
        for (at, value) in values.into_iter().enumerate() {
            if at > 0 {
                self.push(", ");
            }
            self.push_bind(value);
        }
        self
    }

    /// Adds `VALUES (…), (…)`.
    pub(in crate::store) fn push_rows<R: IntoIterator<Item = Value>>(
        &mut self,
        rows: impl IntoIterator<Item = R>,
    ) -> &mut Query {
        for (at, row) in rows.into_iter().enumerate() {
            self.push(if at == 0 { "VALUES (" } else { ", (" }).push_list(row).push(")");
        }
        self
    }

    /// Runs it, and says how many rows it touched.
    pub(in crate::store) async fn execute(mut self, on: impl Into<Target<'_>>) -> sqlx::Result<u64> {
        let remembered = matches!(self.text, Cow::Borrowed(_));
        macro_rules! run {
            ($arguments:ident, $on:ident) => {{
                let arguments = self.$arguments()?;
                let query = sqlx::query_with(AssertSqlSafe(self.text), arguments).persistent(remembered);
                async { query.execute($on).await.map(|done| done.rows_affected()) }
            }};
        }
        match on.into() {
            Target::Pool(Pool::Sqlite(pool)) => run!(for_sqlite, pool).await,
            Target::Connection(Connection::Sqlite(connection)) => run!(for_sqlite, connection).await,
            Target::Pool(Pool::Postgres(pool)) => in_time(run!(for_postgres, pool)).await,
            Target::Connection(Connection::Postgres(connection)) => {
                in_time(run!(for_postgres, connection)).await
            }
        }
    }

    /// Every row.
    pub(in crate::store) async fn fetch_all<T: Columns>(
        mut self,
        on: impl Into<Target<'_>>,
    ) -> sqlx::Result<Vec<T>> {
        rows!(self, on, fetch_all)
    }

    /// The row, where there is one.
    pub(in crate::store) async fn fetch_optional<T: Columns>(
        mut self,
        on: impl Into<Target<'_>>,
    ) -> sqlx::Result<Option<T>> {
        rows!(self, on, fetch_optional)
    }

    /// The one row.
    pub(in crate::store) async fn fetch_one<T: Columns>(
        mut self,
        on: impl Into<Target<'_>>,
    ) -> sqlx::Result<T> {
        rows!(self, on, fetch_one)
    }

    /// The one number of the one row.
    pub(in crate::store) async fn fetch_number(self, on: impl Into<Target<'_>>) -> sqlx::Result<i64> {
        let (number,): (i64,) = self.fetch_one(on).await?;
        Ok(number)
    }

    /// The one text of each row.
    pub(in crate::store) async fn fetch_texts(self, on: impl Into<Target<'_>>) -> sqlx::Result<Vec<String>> {
        let rows: Vec<(String,)> = self.fetch_all(on).await?;
        Ok(rows.into_iter().map(|(text,)| text).collect())
    }

    /// Every row as values of these kinds.
    pub(in crate::store) async fn fetch_values(
        mut self,
        kinds: &[Kind],
        on: Connection<'_>,
    ) -> sqlx::Result<Vec<Vec<Value>>> {
        match on {
            Connection::Sqlite(connection) => {
                let arguments = self.for_sqlite()?;
                let query = sqlx::query_with(AssertSqlSafe(self.text), arguments).persistent(false);
                let rows = query.fetch_all(connection).await?;
                rows.iter().map(|row| values(row, kinds)).collect()
            }
            Connection::Postgres(connection) => {
                let arguments = self.for_postgres()?;
                let query = sqlx::query_with(AssertSqlSafe(self.text), arguments).persistent(false);
                let rows = in_time(query.fetch_all(connection)).await?;
                rows.iter().map(|row| values(row, kinds)).collect()
            }
        }
    }

    fn for_sqlite(&mut self) -> sqlx::Result<SqliteArguments> {
        let mut arguments = SqliteArguments::default();
        for value in self.values.drain(..) {
            let added = match value {
                Value::Text(text) => Arguments::add(&mut arguments, text),
                Value::Integer(number) => Arguments::add(&mut arguments, number),
                Value::Bytes(bytes) => Arguments::add(&mut arguments, bytes),
                Value::Flag(flag) => Arguments::add(&mut arguments, flag),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }

    fn for_postgres(&mut self) -> sqlx::Result<PgArguments> {
        let mut arguments = PgArguments::default();
        for value in self.values.drain(..) {
            let added = match value {
                // No text of ours holds NUL, so what is looked for with it is not there, and this is not there either.
                Value::Text(Some(text)) if text.contains('\0') => {
                    arguments.add(text.replace('\0', "\u{fffd}"))
                }
                Value::Text(text) => arguments.add(text),
                Value::Integer(number) => arguments.add(number),
                Value::Bytes(bytes) => arguments.add(bytes),
                Value::Flag(flag) => arguments.add(flag),
            };
            added.map_err(sqlx::Error::Encode)?;
        }
        Ok(arguments)
    }
}
