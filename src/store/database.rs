//! The database as opened: three ways in, one schema, one serving process.
//!
//! Promises that records are on disk when a change is acknowledged (`synchronous = FULL` on the writer), that counters
//! do not make records wait, and that at most one process serves a file. Never opens a file that
//! [`opening`](super::opening) would refuse.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::migrate::Migrator;
use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection, SqlitePool};

use super::opening::{self, Applied, OpenError, Patience, ServeLock};
use crate::config::DatabaseUrl;
use crate::domain::clock::Clock;

/// The schema, embedded.
pub(super) static MIGRATOR: Migrator = sqlx::migrate!("src/store/migrations");

/// How long a statement waits for another connection's write before it gives up as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a query waits for a connection of its pool: longer than [`BUSY_TIMEOUT`], so that one busy writer does not
/// fail those behind it.
const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections for reading: pages and lists, never a proxied request.
const READERS: u32 = 4;

/// The opened database. Cheap to clone; the last clone gives up the right to serve the file.
#[derive(Debug, Clone)]
pub struct Database {
    writer: SqlitePool,
    counters: SqlitePool,
    readers: SqlitePool,
    clock: Clock,
    _lock: Option<Arc<ServeLock>>,
}

impl Database {
    /// Opens the database for the process that serves it, creating it (readable by this user only) and bringing its
    /// schema up to date.
    ///
    /// # Errors
    /// Where it cannot be had, is not ours, damaged, newer than this program, or served by another process. An existing
    /// file is then as it was.
    pub async fn open(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
        let DatabaseUrl::Sqlite(path) = url;
        let path = opening::create_missing(path)?;
        let Some(lock) = ServeLock::take(&path, Patience::Waits).await? else {
            return Err(OpenError::InUse { path });
        };
        let applied = opening::inspect(&path).await?;
        let database = Database::connect(&path, applied, clock).await?;
        Ok(Database { _lock: Some(Arc::new(lock)), ..database })
    }

    /// Opens the database beside a process that may be serving it, for commands that add a record nobody keeps in
    /// memory (operators and their tokens). Creates it and brings its schema up to date only if nobody serves it.
    ///
    /// # Errors
    /// As [`Database::open`], and where a running process serves an older schema.
    pub async fn open_beside(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
        let DatabaseUrl::Sqlite(path) = url;
        let path = opening::create_missing(path)?;
        let lock = ServeLock::take(&path, Patience::None).await?;
        let mut applied = opening::inspect(&path).await?;
        let _held_while_migrating = match lock {
            Some(lock) => Some(lock),
            None if applied == Applied::All => None,
            // The holder may be starting on a new file right now: its schema is there once it serves or lets go.
            None => {
                let lock = ServeLock::take(&path, Patience::Waits).await?;
                applied = opening::inspect(&path).await?;
                if lock.is_none() && applied != Applied::All {
                    return Err(OpenError::ServedByOlder { path });
                }
                lock
            }
        };
        Database::connect(&path, applied, clock).await
    }

    async fn connect(path: &Path, applied: Applied, clock: Clock) -> Result<Database, OpenError> {
        let failed = |source| opening::failed(path, source);
        let options = SqliteConnectOptions::new()
            .filename(path)
            .journal_mode(SqliteJournalMode::Wal)
            .foreign_keys(true)
            .busy_timeout(BUSY_TIMEOUT);
        let full = options.clone().synchronous(SqliteSynchronous::Full);
        let writer = pool(1).connect_with(full).await.map_err(failed)?;
        if applied != Applied::All {
            let migrated = MIGRATOR.run(&writer).await;
            migrated.map_err(|source| OpenError::Migration { path: path.to_owned(), source })?;
        }
        let normal = options.clone().synchronous(SqliteSynchronous::Normal);
        let counters = pool(1).connect_with(normal).await.map_err(failed)?;
        let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(failed)?;
        Ok(Database { writer, counters, readers, clock, _lock: None })
    }

    /// Closes every connection, so that the last one writes the log back into the file.
    pub async fn close(&self) {
        self.readers.close().await;
        self.counters.close().await;
        self.writer.close().await;
    }

    /// The one connection that changes records; what it commits is on disk.
    pub(crate) fn writer(&self) -> &SqlitePool {
        &self.writer
    }

    /// The one connection that writes the ledger and usage; what it commits survives a killed process, and may lose its
    /// last moments to a power cut.
    pub(crate) fn counters(&self) -> &SqlitePool {
        &self.counters
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.readers
    }

    /// The clock that records are stamped with.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }
}

/// For tests that make the database fail, or count what is in it.
#[cfg(test)]
impl Database {
    pub(crate) async fn execute_on_writer(&self, statement: &str) {
        let statement = sqlx::AssertSqlSafe(statement.to_owned());
        sqlx::query(statement).fetch_all(&self.writer).await.unwrap();
    }

    pub(crate) async fn count(&self, query: &'static str) -> usize {
        let found: i64 = sqlx::query_scalar(query).fetch_one(&self.readers).await.unwrap();
        usize::try_from(found).unwrap()
    }
}

/// A pool whose connections stay: opening one costs more than any query, and a file's connections do not go stale.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    SqlitePoolOptions::new()
        .max_connections(connections_max)
        .acquire_timeout(ACQUIRE_TIMEOUT)
        .idle_timeout(None)
        .max_lifetime(None)
        .test_before_acquire(false)
        .after_release(|connection, _| Box::pin(is_at_rest(connection)))
}

/// Whether a connection that comes back is outside any transaction; one that is not must never be used again. SQLite
/// rolls back by itself where a disk refuses a commit, and sqlx, told so by the failure of its own rollback, goes on
/// counting the transaction as open: the next change would be a savepoint in it, acknowledged and never on disk.
async fn is_at_rest(connection: &mut SqliteConnection) -> Result<bool, sqlx::Error> {
    // The rollback of a dropped transaction is queued to the connection's thread: what comes after it, saw it.
    connection.ping().await?;
    Ok(!connection.is_in_transaction())
}
