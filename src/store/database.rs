//! The database as opened: four ways in, one schema, two engines.
//!
//! Promises that at most one process that keeps the ledger of limits in memory serves a database. Never opens what
//! [`opening`](super::opening) or [`server`](super::server) would refuse.

use std::sync::Arc;

use super::engine::{Pool, postgres, sqlite};
use super::opening::{self, Applied, OpenError, Patience, ServeLock};
use super::server::{self, ServerLock, Share};
use crate::config::{DatabaseUrl, PostgresUrl};
use crate::domain::clock::Clock;

/// The connections of a database, by what they are for.
#[derive(Debug, Clone)]
pub(super) struct Pools {
    pub(super) writer: Pool,
    pub(super) counters: Pool,
    pub(super) readers: Pool,
}

/// What keeps others from serving the same database; nothing for one that works beside whoever serves.
#[derive(Debug, Clone, Default)]
struct Held {
    _file: Option<Arc<ServeLock>>,
    _server: Option<Arc<ServerLock>>,
}

/// The opened database. Cheap to clone; the last clone gives up the right to serve it.
#[derive(Debug, Clone)]
pub struct Database {
    pools: Pools,
    clock: Clock,
    server: Option<Arc<PostgresUrl>>,
    _held: Held,
}

impl Database {
    /// Opens the database for the one process that serves it, creating a file (readable by this user only) and bringing
    /// the schema up to date.
    ///
    /// # Errors
    /// Where it cannot be had, is not ours, damaged, newer than this program, or served by another process. What is
    /// there is then as it was.
    pub async fn open(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
        Database::open_to_serve(url, clock, Share::Alone).await
    }

    /// Opens the database for a console of a fleet: on a server, beside other consoles, and never beside a process that
    /// serves it alone. For a file the same as [`Database::open`].
    ///
    /// # Errors
    /// As [`Database::open`].
    pub async fn open_shared(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
        Database::open_to_serve(url, clock, Share::Fleet).await
    }

    async fn open_to_serve(url: &DatabaseUrl, clock: Clock, share: Share) -> Result<Database, OpenError> {
        match url {
            DatabaseUrl::Sqlite(path) => {
                let path = opening::create_missing(path)?;
                let Some(lock) = ServeLock::take(&path, Patience::Waits).await? else {
                    return Err(OpenError::InUse { path });
                };
                let applied = opening::inspect(&path).await?;
                let pools = sqlite::connect(&path, applied).await?;
                Ok(Database {
                    pools,
                    clock,
                    server: None,
                    _held: Held { _file: Some(Arc::new(lock)), _server: None },
                })
            }
            DatabaseUrl::Postgres(url) => {
                let lock = server::open_to_serve(url, share).await?;
                Ok(Database::on_server(url, clock, Held { _file: None, _server: Some(Arc::new(lock)) }))
            }
        }
    }

    /// Opens the database beside a process that may be serving it, for commands that add a record nobody keeps in
    /// memory (operators and their tokens). Creates it and brings its schema up to date only if nobody serves it.
    ///
    /// # Errors
    /// As [`Database::open`], and where a running process serves an older schema.
    pub async fn open_beside(url: &DatabaseUrl, clock: Clock) -> Result<Database, OpenError> {
        let path = match url {
            DatabaseUrl::Sqlite(path) => opening::create_missing(path)?,
            DatabaseUrl::Postgres(url) => {
                server::open_beside(url).await?;
                return Ok(Database::on_server(url, clock, Held::default()));
            }
        };
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
        let pools = sqlite::connect(&path, applied).await?;
        Ok(Database { pools, clock, server: None, _held: Held::default() })
    }

    fn on_server(url: &PostgresUrl, clock: Clock, held: Held) -> Database {
        let server = Some(Arc::new(url.clone()));
        Database { pools: postgres::pools(url), clock, server, _held: held }
    }

    /// Closes every connection, so that the last one to a file writes the log back into it.
    pub async fn close(&self) {
        self.pools.readers.close().await;
        self.pools.counters.close().await;
        self.pools.writer.close().await;
    }

    /// Where changes of records go; what is committed there survives a power cut.
    pub(crate) fn writer(&self) -> &Pool {
        &self.pools.writer
    }

    /// Where the ledger and usage go; what is committed there survives a killed process, and in a file may lose its
    /// last moments to a power cut.
    pub(crate) fn counters(&self) -> &Pool {
        &self.pools.counters
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> &Pool {
        &self.pools.readers
    }

    /// The clock that records are stamped with.
    pub(crate) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Where the server is, for connections beside the pools; none for a file.
    pub(super) fn server(&self) -> Option<&PostgresUrl> {
        self.server.as_deref()
    }
}

/// For tests that make the database fail, or count what is in it.
#[cfg(test)]
impl Database {
    pub(crate) async fn execute_on_writer(&self, statement: &str) {
        let mut query = super::engine::query("");
        query.push(statement);
        query.execute(self.writer()).await.unwrap();
    }

    pub(crate) async fn count(&self, query: &'static str) -> usize {
        let found = super::engine::query(query).fetch_number(self.readers()).await.unwrap();
        usize::try_from(found).unwrap()
    }
}
