//! Before a database file is opened for writing: is it there, is it ours, is it whole, is it free?
//!
//! Promises that a file that is refused is left byte for byte as it was found: every question is asked through a
//! read-only connection. Never repairs anything.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions, Connection, SqliteConnection};

use super::error::sqlite_code;
pub(super) use super::schema::Applied;
use super::schema::{self, Unfit};
use super::server::ServerError;

/// Every SQLite database begins with these bytes (the file format's section 1.3).
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// Up to this size the whole file is checked before it is opened: well under a second. Beyond it, only what is read at
/// start (every key) is checked.
const WHOLE_CHECK_BYTES_MAX: u64 = 64 << 20;
/// How often, and how many times, a lock held by another process is tried again: an `operator` command holds it for
/// milliseconds while it sets up a new file, a running server for ever.
const LOCK_RETRY: Duration = Duration::from_millis(50);
const LOCK_ATTEMPTS: u32 = 40;

/// Why a database was not opened. Each message is one line that says what to do; the file was not changed.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The folder or the file could not be made or read.
    #[error("database {path}: cannot be opened ({source}); check the path and the permissions of its folder")]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        #[source]
        source: std::io::Error,
    },
    /// This process may not write it.
    #[error(
        "database {path}: is read-only for this user; give the user that runs keystile write access to the file and its folder"
    )]
    ReadOnly {
        /// The file.
        path: PathBuf,
    },
    /// Not a SQLite file.
    #[error(
        "database {path}: is not a SQLite database; point `database` to another file, or move this one away"
    )]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// SQLite, and another program's.
    #[error("database {path}: belongs to another program; point `database` to a file of its own")]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// Damaged pages.
    #[error(
        "database {path}: is damaged ({detail}); restore it from a backup, or recover it with `sqlite3 FILE .recover`"
    )]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What SQLite found.
        detail: String,
    },
    /// Written by a newer version.
    #[error(
        "database {path}: was written by a newer keystile (schema {found}, this one knows {known}); run that version or a later one"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// The newest migration in the file.
        found: i64,
        /// The newest migration of this program.
        known: i64,
    },
    /// A migration in the file is not the one that this program carries.
    #[error(
        "database {path}: schema step {version} is not the one of this keystile; run the version that made the file"
    )]
    Altered {
        /// The file.
        path: PathBuf,
        /// The migration.
        version: i64,
    },
    /// Another process serves it.
    #[error(
        "database {path}: is in use by another running keystile; stop that one first, or give this one its own `database`"
    )]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A running process serves it with an older schema.
    #[error(
        "database {path}: is served by an older keystile; stop it before this version brings the schema up to date"
    )]
    ServedByOlder {
        /// The file.
        path: PathBuf,
    },
    /// Anything else that SQLite says while opening.
    #[error("database {path}: cannot be opened; see the cause")]
    Failed {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: sqlx::Error,
    },
    /// The schema could not be brought up to date.
    #[error("database {path}: its schema could not be brought up to date; see the cause")]
    Migration {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        #[source]
        source: sqlx::migrate::MigrateError,
    },
    /// A database on a server was not opened.
    #[error(transparent)]
    Server(#[from] ServerError),
}

/// Makes the folder (only for this user) and an empty file (only for this user) where there is none, and returns the
/// file's real path.
pub(super) fn create_missing(path: &Path) -> Result<PathBuf, OpenError> {
    let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
    if let Some(folder) = path.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(unreachable)?;
    }
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(path) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
        Err(error) => return Err(unreachable(error)),
    }
    path.canonicalize().map_err(unreachable)
}

/// Refuses a file that this program cannot vouch for. An empty file is a new one.
pub(super) async fn inspect(path: &Path) -> Result<Applied, OpenError> {
    let unreachable = |source| OpenError::Unreachable { path: path.to_owned(), source };
    let mut start = Vec::with_capacity(MAGIC.len());
    let file = File::open(path).map_err(unreachable)?;
    let size_bytes = file.metadata().map_err(unreachable)?.len();
    file.take(MAGIC.len() as u64).read_to_end(&mut start).map_err(unreachable)?;
    if size_bytes > 0 && start != MAGIC {
        return Err(OpenError::NotADatabase { path: path.to_owned() });
    }
    if let Err(error) = OpenOptions::new().append(true).open(path) {
        let denied = matches!(error.kind(), ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem);
        return Err(if denied { OpenError::ReadOnly { path: path.to_owned() } } else { unreachable(error) });
    }
    if size_bytes == 0 {
        return Ok(Applied::Nothing);
    }
    let failed = |source| failed(path, source);
    let options = SqliteConnectOptions::new().filename(path).read_only(true).disable_statement_logging();
    let mut connection = options.connect().await.map_err(failed)?;
    let verdict = judge(&mut connection, path, size_bytes).await;
    connection.close().await.map_err(failed)?;
    verdict
}

async fn judge(
    connection: &mut SqliteConnection,
    path: &Path,
    size_bytes: u64,
) -> Result<Applied, OpenError> {
    let failed = |source| failed(path, source);
    let tables: Vec<String> = sqlx::query_scalar("SELECT name FROM sqlite_master WHERE type = 'table'")
        .fetch_all(&mut *connection)
        .await
        .map_err(failed)?;
    if tables.is_empty() {
        return Ok(Applied::Nothing);
    }
    if !tables.iter().any(|table| table == "_sqlx_migrations") {
        return Err(OpenError::Foreign { path: path.to_owned() });
    }
    let applied: Vec<(i64, Vec<u8>)> =
        sqlx::query_as("SELECT version, checksum FROM _sqlx_migrations ORDER BY version")
            .fetch_all(&mut *connection)
            .await
            .map_err(failed)?;
    let found = schema::judge(&schema::SQLITE, &applied).map_err(|unfit| {
        let path = path.to_owned();
        match unfit {
            Unfit::Newer { found, known } => OpenError::Newer { path, found, known },
            Unfit::Altered { version } => OpenError::Altered { path, version },
        }
    })?;
    if size_bytes <= WHOLE_CHECK_BYTES_MAX {
        let said: String =
            sqlx::query_scalar("PRAGMA quick_check(1)").fetch_one(&mut *connection).await.map_err(failed)?;
        if said != "ok" {
            let detail = said.lines().next_back().unwrap_or("damaged pages").to_owned();
            return Err(OpenError::Corrupt { path: path.to_owned(), detail });
        }
    }
    Ok(found)
}

/// Sorts what SQLite says while opening by what there is to do about it.
pub(super) fn failed(path: &Path, source: sqlx::Error) -> OpenError {
    let path = path.to_owned();
    match sqlite_code(&source) {
        // SQLITE_BUSY, SQLITE_LOCKED
        Some(5 | 6) => OpenError::InUse { path },
        // SQLITE_READONLY
        Some(8) => OpenError::ReadOnly { path },
        // SQLITE_CORRUPT
        Some(11) => OpenError::Corrupt { path, detail: "a page does not read".to_owned() },
        // SQLITE_NOTADB
        Some(26) => OpenError::NotADatabase { path },
        _ => OpenError::Failed { path, source },
    }
}

/// The right to serve a database file: an advisory lock on `FILE.lock`, gone with the process that holds it, so that a
/// crash leaves nothing to clean up. SQLite's own locks last for a transaction only.
#[derive(Debug)]
pub(super) struct ServeLock {
    _file: File,
}

impl ServeLock {
    /// Takes the lock; `None` where another process holds it and keeps it for longer than `attempts`.
    pub(super) async fn take(path: &Path, patience: Patience) -> Result<Option<ServeLock>, OpenError> {
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let unreachable = |source| OpenError::Unreachable { path: PathBuf::from(&lock_path), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&lock_path)
            .map_err(unreachable)?;
        let attempts = if patience == Patience::Waits { LOCK_ATTEMPTS } else { 1 };
        for attempt in 1..=attempts {
            match file.try_lock() {
                Ok(()) => return Ok(Some(ServeLock { _file: file })),
                Err(TryLockError::WouldBlock) if attempt < attempts => tokio::time::sleep(LOCK_RETRY).await,
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(unreachable(error)),
            }
        }
        Ok(None)
    }
}

/// Whether a held lock is worth waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Patience {
    /// Two seconds at most.
    Waits,
    /// Not at all.
    None,
}
