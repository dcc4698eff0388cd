//! `keystile operator create|password|token|tokens|revoke`: what must work while nobody can sign in, on the database directly.
//!
//! Works whether or not a server runs on that database. Promises that a token is printed alone on stdout, and that a
//! password is read from stdin, never from the command line, where every process could see it.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use zeroize::Zeroizing;

use super::client::print;
use super::table::table;
use crate::config;
use crate::console::operations::{
    Caller, Login, Refused, create_operator, create_token, list_tokens, reset_password, revoke_token,
};
use crate::domain::clock::Clock;
use crate::domain::id::TokenId;
use crate::domain::name::Name;
use crate::store::{Database, ManagementToken};

/// Longest line read as a password; what is longer is refused by the rule for passwords.
const PASSWORD_LINE_BYTES_MAX: u64 = 4_096;
/// Who the audit log says it was: whoever may write the database file.
const ACTOR: &str = "command line";

/// Create operators and management tokens, directly on the database.
#[derive(Debug, Subcommand)]
pub(super) enum Operator {
    /// Create an operator; the password is the first line of stdin.
    Create {
        /// The address they sign in with.
        #[arg(long)]
        email: String,
        /// The configuration that names the database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Give a person another password, the first line of stdin; every sign-in of theirs ends.
    Password {
        /// The address they sign in with.
        #[arg(long)]
        email: String,
        /// The configuration that names the database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Print a new management token for programs, alone on stdout.
    Token {
        /// What the audit log calls it; its last characters, unless set.
        #[arg(long)]
        name: Option<Name>,
        /// The configuration that names the database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// List management tokens, without their secrets.
    Tokens {
        /// The configuration that names the database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Revoke a management token.
    Revoke {
        /// Its id, as `operator tokens` shows it.
        id: TokenId,
        /// The configuration that names the database.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the configuration has problems, the database cannot be had, or it refuses the record.
pub(super) fn run(command: Operator) -> anyhow::Result<()> {
    let caller = Caller::operator(ACTOR);
    match command {
        Operator::Create { email, config } => {
            let password = read_password()?;
            on(&config, async |database| {
                create_operator(database, &caller, Login { email, password }).await.map(drop)
            })
        }
        Operator::Password { email, config } => {
            let password = read_password()?;
            on(&config, async |database| reset_password(database, &caller, Login { email, password }).await)
        }
        Operator::Token { name, config } => {
            let secret = on(&config, async |database| create_token(database, &caller, name).await)?;
            writeln!(std::io::stdout(), "{}", secret.expose()).context("cannot print the token")
        }
        Operator::Tokens { config } => {
            let tokens = on(&config, async |database| list_tokens(database).await)?;
            let row = |token: &ManagementToken| {
                vec![token.name.clone(), token.created_at.to_rfc3339(), token.id.to_string()]
            };
            print(&table(&["NAME", "CREATED", "ID"], &tokens.iter().map(row).collect::<Vec<_>>()))
        }
        Operator::Revoke { id, config } => on(&config, async |database| {
            let revoked = revoke_token(database, &caller, id).await;
            if matches!(revoked, Err(Refused::NotFound)) {
                return Err(Refused::field("/id", "no management token has it: see `operator tokens`"));
            }
            revoked
        }),
    }
}

/// Does `work` on the database that a configuration names.
fn on<T>(config: &Path, work: impl AsyncFnOnce(&Database) -> Result<T, Refused>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.context("cannot start")?.block_on(async {
        let config = config::load(config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
        let database = Database::open_beside(&config.database, Clock::system()).await?;
        let done = work(&database).await;
        database.close().await;
        done.map_err(explained)
    })
}

fn read_password() -> anyhow::Result<Zeroizing<String>> {
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        // Nobody has to wonder why nothing happens. The terminal shows what is typed; a pipe does not.
        write!(std::io::stderr(), "password (shown as typed): ").context("cannot ask for the password")?;
    }
    let mut line = Zeroizing::new(String::new());
    let read = stdin.lock().take(PASSWORD_LINE_BYTES_MAX).read_line(&mut line);
    read.context("cannot read the password from stdin; pass it as one line of text")?;
    let password = line.trim_end_matches(['\r', '\n']);
    Ok(Zeroizing::new(password.to_owned()))
}

/// A refusal as one line that names the field.
fn explained(refused: Refused) -> anyhow::Error {
    let Refused::Invalid(problems) = refused else { return anyhow::Error::new(refused) };
    let said: Vec<String> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.pointer.trim_start_matches('/'), problem.detail))
        .collect();
    anyhow::anyhow!("{}", said.join("; "))
}
