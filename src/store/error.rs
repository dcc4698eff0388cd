//! What can go wrong between a query and its answer, sorted by what the caller can do about it.

use sqlx::postgres::PgDatabaseError;

/// A query failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk is full or failing: nothing was written, and trying again helps only once there is room.
    #[error("the database could not be written: no room or a failing disk")]
    NoRoom(#[source] sqlx::Error),
    /// The database is busy, locked or gone: nothing was written, and trying again may help.
    #[error("the database did not answer")]
    Unavailable(#[source] sqlx::Error),
    /// A unique value is already taken, such as a slug.
    #[error("the value is already taken")]
    Taken(#[source] sqlx::Error),
    /// A record does not read back as what was written.
    #[error("the record {record} is damaged: {detail}")]
    Damaged {
        /// Which record.
        record: String,
        /// What does not read.
        detail: String,
    },
}

/// SQLITE_IOERR and SQLITE_FULL: primary result codes of writes that found no room or a failing disk.
const SQLITE_NO_ROOM: [i32; 2] = [10, 13];
/// The same of PostgreSQL: disk_full and io_error.
const POSTGRES_NO_ROOM: [&str; 2] = ["53100", "58030"];

impl From<sqlx::Error> for StoreError {
    fn from(error: sqlx::Error) -> StoreError {
        if let Some(database) = error.as_database_error() {
            if database.is_unique_violation() {
                return StoreError::Taken(error);
            }
            let no_room = match database.try_downcast_ref::<PgDatabaseError>() {
                Some(error) => POSTGRES_NO_ROOM.contains(&error.code()),
                None => sqlite_code(&error).is_some_and(|code| SQLITE_NO_ROOM.contains(&code)),
            };
            if no_room {
                return StoreError::NoRoom(error);
            }
        }
        StoreError::Unavailable(error)
    }
}

/// SQLite's primary result code: the low byte of the extended one.
pub(super) fn sqlite_code(error: &sqlx::Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    code.parse::<i32>().ok().map(|code| code & 0xff)
}
