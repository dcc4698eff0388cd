//! Before a database on a server is used: does it answer, is it ours, is it free?
//!
//! Promises that a database that is refused is left as it was found, that starting several at once is safe, and that no
//! error shows a password. Never creates a database: that is the server's operator's to do.

use std::time::Duration;

use sqlx::postgres::PgDatabaseError;
use sqlx::{Connection, PgConnection};
use tokio::task::AbortHandle;

use super::engine::postgres::{Purpose, in_time, single};
use super::schema::{self, Applied, Unfit};
use crate::config::PostgresUrl;

/// The oldest version that keeps the bounds that connections ask for, as the server numbers it.
const VERSION_MIN: u32 = 140_000;
/// How often, and how many times, a lock that another process holds is tried again: the connection of a process that
/// has just ended may linger.
const LOCK_RETRY: Duration = Duration::from_millis(50);
const LOCK_ATTEMPTS: u32 = 40;
/// How often whoever serves makes sure that it still has its lock.
const LOCK_WATCH: Duration = Duration::from_secs(5);

/// Why a database on a server was not opened. Each message is one line that says what to do; nothing was changed.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Nobody answers there.
    #[error("database {at}: the server does not answer ({detail}); check host and port, and that it runs")]
    Unreachable {
        /// Which database.
        at: String,
        /// What the operating system said.
        detail: String,
    },
    /// The connection could not be encrypted as asked for.
    #[error("database {at}: no encrypted connection as `sslmode` asks for ({detail})")]
    Encryption {
        /// Which database.
        at: String,
        /// What was wrong.
        detail: String,
    },
    /// The server does not let this user in.
    #[error(
        "database {at}: the server refuses this user or password; check the user in `database`, and `database_password_file`"
    )]
    Denied {
        /// Which database.
        at: String,
    },
    /// There is no such database.
    #[error("database {at}: the server has no database `{name}`; create it, owned by the user in `database`")]
    Missing {
        /// Which database.
        at: String,
        /// Its name.
        name: String,
    },
    /// The user may not make tables.
    #[error("database {at}: this user may not use it; make the user in `database` its owner")]
    Forbidden {
        /// Which database.
        at: String,
    },
    /// It has no more connections to give.
    #[error("database {at}: the server takes no more connections; raise its `max_connections`, or try later")]
    Full {
        /// Which database.
        at: String,
    },
    /// A copy that takes no changes.
    #[error("database {at}: the server is a standby and takes no changes; point `database` to the primary")]
    ReadOnly {
        /// Which database.
        at: String,
    },
    /// Not in UTF-8.
    #[error("database {at}: its encoding is {encoding}; create it with `ENCODING 'UTF8' TEMPLATE template0`")]
    Encoding {
        /// Which database.
        at: String,
        /// What it has.
        encoding: String,
    },
    /// Too old a server.
    #[error("database {at}: the server is PostgreSQL {found}; use version 14 or later")]
    OldServer {
        /// Which database.
        at: String,
        /// Its version.
        found: u32,
    },
    /// Another program's tables.
    #[error("database {at}: belongs to another program; create one of its own for `database`")]
    Foreign {
        /// Which database.
        at: String,
    },
    /// Written by a newer version.
    #[error(
        "database {at}: was written by a newer keystile (schema {found}, this one knows {known}); run that version or a later one"
    )]
    Newer {
        /// Which database.
        at: String,
        /// Its newest migration.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// A migration in the database is not the one that this program carries.
    #[error(
        "database {at}: schema step {version} is not the one of this keystile; run the version that made it"
    )]
    Altered {
        /// Which database.
        at: String,
        /// The migration.
        version: i64,
    },
    /// Another process serves it.
    #[error(
        "database {at}: is in use by another running keystile; stop that one first, or set `fleet.redis` for all of them"
    )]
    InUse {
        /// Which database.
        at: String,
    },
    /// A running process serves it with an older schema.
    #[error(
        "database {at}: is served by an older keystile; stop it before this version brings the schema up to date"
    )]
    ServedByOlder {
        /// Which database.
        at: String,
    },
    /// Anything else that the server says while opening.
    #[error("database {at}: cannot be opened; see the cause")]
    Failed {
        /// Which database.
        at: String,
        /// What the server said.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("database {at}: its schema could not be brought up to date; see the cause")]
    Migration {
        /// Which database.
        at: String,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
}

/// Sorts what is said while opening by what there is to do about it.
fn failed(url: &PostgresUrl, source: sqlx::Error) -> ServerError {
    let at = url.to_string();
    if let sqlx::Error::Io(error) = &source {
        return ServerError::Unreachable { at, detail: error.to_string() };
    }
    if let sqlx::Error::Tls(error) = &source {
        return ServerError::Encryption { at, detail: error.to_string() };
    }
    match postgres_code(&source) {
        // invalid_password, invalid_authorization_specification
        Some("28P01" | "28000") => ServerError::Denied { at },
        // invalid_catalog_name
        Some("3D000") => ServerError::Missing { at, name: url.database.clone() },
        // insufficient_privilege
        Some("42501") => ServerError::Forbidden { at },
        // too_many_connections
        Some("53300") => ServerError::Full { at },
        // read_only_sql_transaction
        Some("25006") => ServerError::ReadOnly { at },
        // cannot_connect_now: it is starting or stopping
        Some("57P03") => ServerError::Unreachable { at, detail: "it is starting or stopping".to_owned() },
        _ => ServerError::Failed { at, source },
    }
}

/// With whom a database is served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Share {
    /// By nobody else: this process keeps limits in its memory.
    Alone,
    /// By the consoles of a fleet.
    Fleet,
}

/// Takes the right to serve, and brings the schema up to date.
pub(super) async fn open_to_serve(url: &PostgresUrl, share: Share) -> Result<ServerLock, ServerError> {
    let applied = inspect(url).await?;
    for attempt in 1..=LOCK_ATTEMPTS {
        if let Some(lock) = SessionLock::serve(url, share).await.map_err(|error| failed(url, error))? {
            if applied != Applied::All {
                migrate(url).await?;
            }
            return Ok(ServerLock::watched(lock, url.clone(), share));
        }
        if attempt < LOCK_ATTEMPTS {
            tokio::time::sleep(LOCK_RETRY).await;
        }
    }
    Err(ServerError::InUse { at: url.to_string() })
}

/// Sees to it that the schema is there. Brings it up to date only if nobody serves the database.
pub(super) async fn open_beside(url: &PostgresUrl) -> Result<(), ServerError> {
    for attempt in 1..=LOCK_ATTEMPTS {
        if inspect(url).await? == Applied::All {
            return Ok(());
        }
        let lock = SessionLock::serve(url, Share::Alone).await.map_err(|error| failed(url, error))?;
        if let Some(_held_while_migrating) = lock {
            return migrate(url).await;
        }
        // The holder may be starting on a new database right now: its schema is there once it serves.
        if attempt < LOCK_ATTEMPTS {
            tokio::time::sleep(LOCK_RETRY).await;
        }
    }
    Err(ServerError::ServedByOlder { at: url.to_string() })
}

/// Refuses a database that this program cannot vouch for. Changes nothing.
pub(super) async fn inspect(url: &PostgresUrl) -> Result<Applied, ServerError> {
    let mut connection = single(url, Purpose::Opening).await.map_err(|error| failed(url, error))?;
    let at = || url.to_string();
    if let Some(found) = connection.server_version_num().filter(|version| *version < VERSION_MIN) {
        return Err(ServerError::OldServer { at: at(), found: found / 10_000 });
    }
    let facts = look(&mut connection).await.map_err(|error| failed(url, error))?;
    drop(in_time(connection.close()).await);
    if facts.encoding != "UTF8" {
        return Err(ServerError::Encoding { at: at(), encoding: facts.encoding });
    }
    if facts.is_standby {
        return Err(ServerError::ReadOnly { at: at() });
    }
    match facts.applied {
        None if facts.tables == 0 => Ok(Applied::Nothing),
        None => Err(ServerError::Foreign { at: at() }),
        Some(applied) => schema::judge(&schema::POSTGRES, &applied).map_err(|unfit| match unfit {
            Unfit::Newer { found, known } => ServerError::Newer { at: at(), found, known },
            Unfit::Altered { version } => ServerError::Altered { at: at(), version },
        }),
    }
}

/// What a database says of itself.
struct Facts {
    encoding: String,
    is_standby: bool,
    tables: i64,
    /// The steps of the schema that were done; none where nothing counts them.
    applied: Option<Vec<(i64, Vec<u8>)>>,
}

async fn look(connection: &mut PgConnection) -> sqlx::Result<Facts> {
    const FACTS: &str = "SELECT current_setting('server_encoding'), pg_is_in_recovery(),
         (SELECT COUNT(*) FROM pg_catalog.pg_tables WHERE schemaname = current_schema()),
         EXISTS (SELECT 1 FROM pg_catalog.pg_tables
                 WHERE schemaname = current_schema() AND tablename = '_sqlx_migrations')";
    let (encoding, is_standby, tables, counted): (String, bool, i64, bool) =
        in_time(sqlx::query_as(FACTS).fetch_one(&mut *connection)).await?;
    let applied = if counted {
        let steps = sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version");
        Some(in_time(steps.fetch_all(connection)).await?)
    } else {
        None
    };
    Ok(Facts { encoding, is_standby, tables, applied })
}

/// Brings the schema up to date. Of several at once one does it, and the others wait for it.
async fn migrate(url: &PostgresUrl) -> Result<(), ServerError> {
    let mut connection = single(url, Purpose::Opening).await.map_err(|error| failed(url, error))?;
    let migrated = schema::POSTGRES.run_direct(None, &mut connection, false).await;
    drop(in_time(connection.close()).await);
    migrated.map_err(|source| {
        let said = std::error::Error::source(&source).and_then(|cause| cause.downcast_ref::<sqlx::Error>());
        let code = said.and_then(postgres_code);
        let at = url.to_string();
        if code == Some("42501") {
            ServerError::Forbidden { at }
        } else {
            ServerError::Migration { at, source }
        }
    })
}

/// The five letters and digits by which PostgreSQL tells errors apart.
fn postgres_code(error: &sqlx::Error) -> Option<&str> {
    let said = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    Some(said.code())
}

/// The numbers of the locks, ours alone within a database; they spell `keystil`, and which one.
const SERVE: i64 = 0x6b65_7973_7469_6c01;
const PUBLISH: i64 = 0x6b65_7973_7469_6c02;

/// A lock that a connection holds for as long as it lives.
#[derive(Debug)]
pub(super) struct SessionLock {
    connection: PgConnection,
}

impl SessionLock {
    async fn serve(url: &PostgresUrl, share: Share) -> sqlx::Result<Option<SessionLock>> {
        let take = match share {
            Share::Alone => "SELECT pg_try_advisory_lock($1)",
            Share::Fleet => "SELECT pg_try_advisory_lock_shared($1)",
        };
        SessionLock::take(url, Purpose::Holding, take, SERVE).await
    }

    /// The right to publish. The server takes it back from whoever does not ask for it for 15 s, so that a process that
    /// is frozen does not keep others from publishing.
    pub(super) async fn publish(url: &PostgresUrl) -> sqlx::Result<Option<SessionLock>> {
        let take = "SELECT pg_try_advisory_lock($1)";
        SessionLock::take(url, Purpose::HoldingWhileAsked, take, PUBLISH).await
    }

    async fn take(
        url: &PostgresUrl,
        purpose: Purpose,
        statement: &'static str,
        number: i64,
    ) -> sqlx::Result<Option<SessionLock>> {
        let mut connection = single(url, purpose).await?;
        let take = sqlx::query_scalar(statement).bind(number);
        let taken: bool = in_time(take.fetch_one(&mut connection)).await?;
        if !taken {
            drop(in_time(connection.close()).await);
            return Ok(None);
        }
        Ok(Some(SessionLock { connection }))
    }

    /// Whether the server still knows the connection, and with it the lock.
    pub(super) async fn is_held(&mut self) -> bool {
        in_time(self.connection.ping()).await.is_ok()
    }
}

/// The right to serve a database on a server, taken again where its connection was lost.
#[derive(Debug)]
pub(super) struct ServerLock {
    watch: AbortHandle,
}

impl ServerLock {
    fn watched(lock: SessionLock, url: PostgresUrl, share: Share) -> ServerLock {
        ServerLock { watch: tokio::spawn(watch(lock, url, share)).abort_handle() }
    }
}

impl Drop for ServerLock {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

async fn watch(mut lock: SessionLock, url: PostgresUrl, share: Share) {
    let mut told = false;
    loop {
        tokio::time::sleep(LOCK_WATCH).await;
        if lock.is_held().await {
            continue;
        }
        tracing::warn!(database = %url, "the connection that holds the right to serve was lost: taking it again");
        lock = loop {
            match SessionLock::serve(&url, share).await {
                Ok(Some(lock)) => break lock,
                Ok(None) if !told => {
                    told = true;
                    tracing::error!(
                        database = %url,
                        "another keystile serves this database too: stop one of them, or make both a fleet with `fleet.redis`"
                    );
                }
                Ok(None) | Err(_) => {}
            }
            tokio::time::sleep(LOCK_WATCH).await;
        };
    }
}
