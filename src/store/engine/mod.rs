//! The two engines that records are kept in, behind one face: SQLite in a file, PostgreSQL on a server.
//!
//! Owns what differs between them in use: pools, transactions, how a statement is run. Promises that one text of SQL
//! does on both, and that no statement on a server is waited for without end. Never knows a table.

pub(super) mod postgres;
mod query;
pub(super) mod sqlite;

use std::time::Duration;

use sqlx::pool::PoolOptions;
use sqlx::postgres::PgPool;
use sqlx::sqlite::SqlitePool;
use sqlx::{PgConnection, Postgres, Sqlite, SqliteConnection};

pub(super) use self::query::{Kind, Query, Value, query};

/// How long a query waits for a connection of its pool: longer than one statement may take, so that one busy writer
/// does not fail those behind it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);

/// Connections of one kind.
#[derive(Debug, Clone)]
pub(crate) enum Pool {
    /// To a file.
    Sqlite(SqlitePool),
    /// To a server.
    Postgres(PgPool),
}

impl Pool {
    /// Begins a transaction for writing: on a file, it holds the lock from the start, so that what it reads holds.
    pub(crate) async fn begin(&self) -> sqlx::Result<Transaction> {
        match self {
            Pool::Sqlite(pool) => pool.begin_with("BEGIN IMMEDIATE").await.map(Transaction::Sqlite),
            Pool::Postgres(pool) => postgres::in_time(pool.begin()).await.map(Transaction::Postgres),
        }
    }

    /// Begins a transaction that sees one instant, whatever is committed meanwhile.
    pub(super) async fn begin_instant(&self) -> sqlx::Result<Transaction> {
        match self {
            Pool::Sqlite(pool) => pool.begin().await.map(Transaction::Sqlite),
            Pool::Postgres(pool) => {
                let begun = pool.begin_with("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY");
                postgres::in_time(begun).await.map(Transaction::Postgres)
            }
        }
    }

    pub(super) async fn close(&self) {
        match self {
            Pool::Sqlite(pool) => pool.close().await,
            // A server that does not answer must not keep the process from leaving.
            Pool::Postgres(pool) => drop(tokio::time::timeout(ACQUIRE_TIMEOUT, pool.close()).await),
        }
    }
}

/// An open transaction. One that is dropped did not happen.
#[derive(Debug)]
pub(crate) enum Transaction {
    /// On a file.
    Sqlite(sqlx::Transaction<'static, Sqlite>),
    /// On a server.
    Postgres(sqlx::Transaction<'static, Postgres>),
}

impl Transaction {
    pub(crate) async fn commit(self) -> sqlx::Result<()> {
        match self {
            Transaction::Sqlite(transaction) => transaction.commit().await,
            Transaction::Postgres(transaction) => postgres::in_time(transaction.commit()).await,
        }
    }

    /// The transaction's connection.
    pub(super) fn connection(&mut self) -> Connection<'_> {
        match self {
            Transaction::Sqlite(transaction) => Connection::Sqlite(transaction),
            Transaction::Postgres(transaction) => Connection::Postgres(transaction),
        }
    }
}

/// A borrowed connection.
#[derive(Debug)]
pub(super) enum Connection<'c> {
    /// To a file.
    Sqlite(&'c mut SqliteConnection),
    /// To a server.
    Postgres(&'c mut PgConnection),
}

impl Connection<'_> {
    /// The same connection, for a part of the time.
    pub(super) fn again(&mut self) -> Connection<'_> {
        match self {
            Connection::Sqlite(connection) => Connection::Sqlite(connection),
            Connection::Postgres(connection) => Connection::Postgres(connection),
        }
    }

    /// Whether several processes may change records at the same time, so that rows are locked one by one.
    pub(super) fn locks_rows(&self) -> bool {
        matches!(self, Connection::Postgres(_))
    }
}

/// What a statement runs on.
#[derive(Debug)]
pub(super) enum Target<'c> {
    /// Any connection of a pool.
    Pool(&'c Pool),
    /// This one.
    Connection(Connection<'c>),
}

impl<'c> From<&'c Pool> for Target<'c> {
    fn from(pool: &'c Pool) -> Target<'c> {
        Target::Pool(pool)
    }
}

impl<'c> From<Connection<'c>> for Target<'c> {
    fn from(connection: Connection<'c>) -> Target<'c> {
        Target::Connection(connection)
    }
}

impl<'c> From<&'c mut Transaction> for Target<'c> {
    fn from(transaction: &'c mut Transaction) -> Target<'c> {
        Target::Connection(transaction.connection())
    }
}

fn pool<DB: sqlx::Database>(connections_max: u32) -> PoolOptions<DB> {
    PoolOptions::new().max_connections(connections_max).acquire_timeout(ACQUIRE_TIMEOUT)
}
