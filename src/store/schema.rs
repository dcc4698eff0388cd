//! The schema, embedded: the same steps under the same numbers for each engine.

use sqlx::migrate::Migrator;

/// For SQLite. What stands in these files is compared with what older versions have run: they never change.
pub(super) static SQLITE: Migrator = sqlx::migrate!("src/store/migrations/sqlite");
/// For PostgreSQL.
pub(super) static POSTGRES: Migrator = sqlx::migrate!("src/store/migrations/postgres");

/// What keeps a schema from being used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unfit {
    /// It has steps beyond those that this program knows.
    Newer {
        /// Its last one.
        found: i64,
        /// Ours.
        known: i64,
    },
    /// A step is not the one of that number.
    Altered {
        /// Its number.
        version: i64,
    },
}

/// How much of a schema is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Applied {
    /// Nothing.
    Nothing,
    /// Ours, with steps to do.
    Older,
    /// Ours and up to date.
    All,
}

/// Compares the steps that were done, in order, with ours.
pub(super) fn judge(own: &Migrator, done: &[(i64, Vec<u8>)]) -> Result<Applied, Unfit> {
    let known = own.iter().map(|migration| migration.version).max().unwrap_or(0);
    if let Some((found, _)) = done.last().filter(|(version, _)| *version > known) {
        return Err(Unfit::Newer { found: *found, known });
    }
    for (version, checksum) in done {
        let same = own.iter().any(|own| own.version == *version && *own.checksum == **checksum);
        if !same {
            return Err(Unfit::Altered { version: *version });
        }
    }
    Ok(if done.len() == own.iter().count() { Applied::All } else { Applied::Older })
}
