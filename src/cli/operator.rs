//! `keystile operator create|password|token`: what must work while nobody can sign in, on the database directly.
//!
//! Works whether or not a server runs on that database. Promises that a token is printed alone on stdout, and that a
//! password is read from stdin, never from the command line, where every process could see it.

use std::io::{BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Subcommand;
use zeroize::Zeroizing;

use crate::config;
use crate::console::operations::{Caller, Login, Refused, create_operator, create_token, reset_password};
use crate::domain::clock::Clock;
use crate::domain::name::Name;
use crate::store::Database;

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
}

/// Runs the command.
///
/// # Errors
/// Where the configuration has problems, the database cannot be had, or it refuses the record.
pub(super) fn run(command: Operator) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.context("cannot start")?;
    let caller = Caller::operator(ACTOR);
    match command {
        Operator::Create { email, config } => {
            let password = read_password()?;
            runtime.block_on(async {
                let database = open(&config).await?;
                let created = create_operator(&database, &caller, Login { email, password }).await;
                database.close().await;
                created.map_err(explained)?;
                Ok(())
            })
        }
        Operator::Password { email, config } => {
            let password = read_password()?;
            runtime.block_on(async {
                let database = open(&config).await?;
                let reset = reset_password(&database, &caller, Login { email, password }).await;
                database.close().await;
                reset.map_err(explained)
            })
        }
        Operator::Token { name, config } => {
            let secret = runtime.block_on(async {
                let database = open(&config).await?;
                let created = create_token(&database, &caller, name).await;
                database.close().await;
                created.map_err(explained)
            })?;
            writeln!(std::io::stdout(), "{}", secret.expose()).context("cannot print the token")
        }
    }
}

async fn open(config: &Path) -> anyhow::Result<Database> {
    let config = config::load(config).map_err(|problems| anyhow::anyhow!("{problems}"))?;
    Ok(Database::open_beside(&config.database, Clock::system()).await?)
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
