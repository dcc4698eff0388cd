//! Connections to a database server.
//!
//! Promises that nothing is waited for without end, whether the server is slow, silent or gone, and that a process that
//! is frozen or cut off does not hold locks for ever: the server ends what it leaves open.

use std::future::Future;
use std::io::{Error as IoError, ErrorKind};
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgPoolOptions, PgSslMode};
use sqlx::{AssertSqlSafe, Connection, PgConnection};

use super::Pool;
use crate::config::{PostgresTls, PostgresUrl};
use crate::store::database::Pools;

/// How long this side waits for an answer: longer than the server lets a statement take, so that a slow one is told
/// as such and only a silent server runs into this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection that comes back may take to say that it is whole.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(2);
/// Connections for changes: one holds the lock, others wait for it, and what needs no lock need not wait.
const WRITERS: u32 = 4;
/// Connections for counts.
const COUNTERS: u32 = 2;
/// Connections for reading: pages and lists, never a proxied request.
const READERS: u32 = 6;

macro_rules! bounds {
    () => {
        "SET statement_timeout = '10s'; SET lock_timeout = '5s';
         SET idle_in_transaction_session_timeout = '10s';
         SET tcp_keepalives_idle = 5; SET tcp_keepalives_interval = 2; SET tcp_keepalives_count = 3;
         SET tcp_user_timeout = 10000;"
    };
}

/// Bounds that the server keeps. The last four let it notice within seconds that a machine is gone, where its own
/// defaults take hours; they have no effect on a socket of the same machine.
const BOUNDS: &str = bounds!();
/// The same, for connections that only read.
const READING: &str = concat!(bounds!(), "SET default_transaction_read_only = on;");
/// For connections that bring the schema up to date: a step takes what it takes, and whoever comes second waits for it.
const PATIENT: &str = "SET statement_timeout = 0; SET lock_timeout = '60s';";
/// For connections that hold a lock and are asked for it every few seconds: a process that is frozen asks no more.
const LAPSING: &str = "SET idle_session_timeout = '15s';";

/// What a single connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::store) enum Purpose {
    /// To look, and to bring the schema up to date.
    Opening,
    /// To hold a lock until it is dropped.
    Holding,
    /// To hold a lock for as long as it is asked for.
    HoldingWhileAsked,
}

/// Waits for an answer of the server, and no longer than [`ANSWER_TIMEOUT`].
pub(in crate::store) async fn in_time<T>(answer: impl Future<Output = sqlx::Result<T>>) -> sqlx::Result<T> {
    within(ANSWER_TIMEOUT, answer).await
}

/// As [`in_time`], within `limit`. The connection that did not answer is not used again.
pub(in crate::store) async fn within<T>(
    limit: Duration,
    answer: impl Future<Output = sqlx::Result<T>>,
) -> sqlx::Result<T> {
    let silent = || sqlx::Error::Io(IoError::new(ErrorKind::TimedOut, "no answer in time"));
    tokio::time::timeout(limit, answer).await.unwrap_or_else(|_| Err(silent()))
}

/// A connection of its own.
pub(in crate::store) async fn single(url: &PostgresUrl, purpose: Purpose) -> sqlx::Result<PgConnection> {
    let settings = match purpose {
        Purpose::Opening => format!("{BOUNDS} {PATIENT}"),
        Purpose::Holding => BOUNDS.to_owned(),
        Purpose::HoldingWhileAsked => format!("{BOUNDS} {LAPSING}"),
    };
    in_time(async {
        let mut connection = PgConnection::connect_with(&options(url)).await?;
        sqlx::raw_sql(AssertSqlSafe(settings)).execute(&mut connection).await?;
        Ok(connection)
    })
    .await
}

/// The pools of a database whose schema is up to date. Connects as they are used.
pub(in crate::store) fn pools(url: &PostgresUrl) -> Pools {
    let pool = |connections_max, settings: &'static str| {
        let pool = super::pool(connections_max)
            .after_connect(move |connection, _| {
                Box::pin(async move { sqlx::raw_sql(settings).execute(connection).await.map(drop) })
            })
            .after_release(|connection, _| Box::pin(is_whole(connection)));
        let pool: PgPoolOptions = pool;
        Pool::Postgres(pool.connect_lazy_with(options(url)))
    };
    Pools { writer: pool(WRITERS, BOUNDS), counters: pool(COUNTERS, BOUNDS), readers: pool(READERS, READING) }
}

/// Whether a connection that comes back answers. One that does not is closed: waited for, it would keep its place in
/// the pool for as long as the server is silent.
async fn is_whole(connection: &mut PgConnection) -> Result<bool, sqlx::Error> {
    within(RELEASE_TIMEOUT, connection.ping()).await?;
    Ok(!connection.is_in_transaction())
}

fn options(url: &PostgresUrl) -> PgConnectOptions {
    let mode = match url.tls {
        PostgresTls::Disable => PgSslMode::Disable,
        PostgresTls::Prefer => PgSslMode::Prefer,
        PostgresTls::Require => PgSslMode::Require,
        PostgresTls::VerifyCa => PgSslMode::VerifyCa,
        PostgresTls::VerifyFull => PgSslMode::VerifyFull,
    };
    let mut options = PgConnectOptions::new_without_pgpass()
        .host(&url.host)
        .port(url.port)
        .username(&url.user)
        .database(&url.database)
        .ssl_mode(mode)
        .application_name("keystile");
    if let Some(password) = &url.password {
        options = options.password(password.expose());
    }
    if let Some(file) = &url.ca_file {
        options = options.ssl_root_cert(file);
    }
    options
}
