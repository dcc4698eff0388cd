//! Connections to a database file.
//!
//! Promises that records are on disk when a change is acknowledged (`synchronous = FULL` on the writer), and that
//! counters do not make records wait. Never opens a file that [`opening`](crate::store::opening) would refuse.

use std::path::Path;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{Connection, SqliteConnection};

use super::Pool;
use crate::store::database::Pools;
use crate::store::opening::{self, Applied, OpenError};
use crate::store::schema;

/// How long a statement waits for another connection's write before it gives up as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections for reading: pages and lists, never a proxied request.
const READERS: u32 = 4;

/// Opens a file that was found good, and brings its schema up to date where `applied` says that it is not.
pub(in crate::store) async fn connect(path: &Path, applied: Applied) -> Result<Pools, OpenError> {
    let failed = |source| opening::failed(path, source);
    let options = SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT);
    let full = options.clone().synchronous(SqliteSynchronous::Full);
    let writer = pool(1).connect_with(full).await.map_err(failed)?;
    if applied != Applied::All {
        let migrated = schema::SQLITE.run(&writer).await;
        migrated.map_err(|source| OpenError::Migration { path: path.to_owned(), source })?;
    }
    let normal = options.clone().synchronous(SqliteSynchronous::Normal);
    let counters = pool(1).connect_with(normal).await.map_err(failed)?;
    let readers = pool(READERS).connect_with(options.pragma("query_only", "ON")).await.map_err(failed)?;
    Ok(Pools {
        writer: Pool::Sqlite(writer),
        counters: Pool::Sqlite(counters),
        readers: Pool::Sqlite(readers),
    })
}

/// A pool whose connections stay: opening one costs more than any query, and a file's connections do not go stale.
fn pool(connections_max: u32) -> SqlitePoolOptions {
    super::pool(connections_max)
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
