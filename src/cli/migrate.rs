//! `keystile migrate`: all records from one database to another.
//!
//! Promises that a password comes from a file or the environment, never from the command line, where every process could
//! see it, and that an address with one is refused without being shown. Progress goes to stderr.

use std::path::PathBuf;

use anyhow::{Context, anyhow, bail};
use clap::Args;

use crate::config::{DatabaseUrl, SecretText};
use crate::domain::clock::Clock;
use crate::store::carry_over;

/// Move all records from one database to another: keys, people, sign-ins, the audit log, what is used of limits, usage.
/// Nobody may serve either, and the target must be empty.
#[derive(Debug, Args)]
pub(super) struct Migrate {
    /// Where the records are: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "DATABASE")]
    from: String,
    /// Where they go: `sqlite:PATH` or `postgres://USER@HOST/DATABASE`.
    #[arg(long, value_name = "DATABASE")]
    to: String,
    /// A file that holds the password of the source; else KEYSTILE_FROM_PASSWORD.
    #[arg(long, value_name = "FILE")]
    from_password_file: Option<PathBuf>,
    /// A file that holds the password of the target; else KEYSTILE_TO_PASSWORD.
    #[arg(long, value_name = "FILE")]
    to_password_file: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// Where an address or a password is wrong, a database cannot be had, or the target is not empty: then nothing was moved.
pub(super) fn run(migrate: &Migrate) -> anyhow::Result<()> {
    let from =
        database("--from", &migrate.from, migrate.from_password_file.as_ref(), "KEYSTILE_FROM_PASSWORD")?;
    let to = database("--to", &migrate.to, migrate.to_password_file.as_ref(), "KEYSTILE_TO_PASSWORD")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let mut moved = 0;
    runtime.context("cannot start")?.block_on(carry_over(&from, &to, &Clock::system(), |table, rows| {
        moved += rows;
        eprintln!("{table}: {rows}");
    }))?;
    eprintln!("moved {moved} rows; set `database` to the new one and start");
    Ok(())
}

fn database(
    option: &str,
    text: &str,
    password_file: Option<&PathBuf>,
    variable: &str,
) -> anyhow::Result<DatabaseUrl> {
    let mut url: DatabaseUrl = text.parse().map_err(|error: String| anyhow!("{option}: {error}"))?;
    let password = match (password_file, std::env::var(variable)) {
        (Some(path), _) => {
            let read = SecretText::read(path);
            Some(read.map_err(|why| anyhow!("{option}-password-file {}: {why}", path.display()))?)
        }
        (None, Ok(text)) => {
            let read = SecretText::new(&text);
            Some(read.with_context(|| format!("{variable} is not a password: expected one line"))?)
        }
        (None, Err(_)) => None,
    };
    match (&mut url, password) {
        (DatabaseUrl::Postgres(server), password) => server.password = password,
        (DatabaseUrl::Sqlite(_), Some(_)) if password_file.is_some() => {
            bail!("{option}-password-file: a SQLite file has no password")
        }
        (DatabaseUrl::Sqlite(_), _) => {}
    }
    Ok(url)
}
