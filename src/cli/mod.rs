//! The command line: one file a command. Parses, runs, prints; decides nothing that the modules below do not.

mod agents;
mod check;
mod client;
mod completions;
mod demo;
mod gateways;
mod healthcheck;
mod keys;
mod members;
mod migrate;
mod operator;
mod orgs;
mod revocation;
mod schema;
mod serve;
mod table;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, Subcommand};

use crate::app::Role;

/// A turnstile for agent backends: it opens for a good API key and refuses the rest.
#[derive(Debug, Parser)]
#[command(name = "keystile", version, max_term_width = 100)]
struct CommandLine {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run everything with an example backend and a first key; records in a temporary folder.
    Demo(demo::Demo),
    /// Run gateway and console in one process; needs nothing else, unless `fleet.redis` makes it a member of a fleet.
    Serve {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run the data plane of a fleet: a gateway that follows Redis and needs no database.
    Gateway {
        /// The configuration, with `fleet.redis`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Run the control plane of a fleet: pages, management API, and what tells the gateways.
    Console {
        /// The configuration, with `fleet.redis`.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Say whether a configuration can be used, with every problem it has.
    Check {
        /// The configuration.
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
    /// Ask a running process whether it wants requests: exit code 0, or 1 with the reason. For container images.
    Healthcheck {
        /// What to ask: `/readyz` of its ops listener, or `/healthz`.
        #[arg(long, value_name = "URL", default_value = "http://127.0.0.1:8082/readyz")]
        url: String,
    },
    /// Print the JSON Schema of the configuration.
    Schema,
    /// Create operators, passwords and management tokens, directly on the database.
    #[command(subcommand)]
    Operator(operator::Operator),
    /// Move all records from one database to another, such as from a file to a server.
    Migrate(migrate::Migrate),
    /// Organizations, through the management API.
    Orgs(orgs::Orgs),
    /// Agents, through the management API.
    Agents(agents::Agents),
    /// Members: the people of an organization, through the management API.
    Members(members::Members),
    /// Keys, through the management API.
    Keys(keys::Keys),
    /// Gateways, as this console's fleet sees them, through the management API.
    Gateways(gateways::Gateways),
    /// Print the completions of a shell.
    Completions {
        /// Which shell.
        shell: clap_complete::Shell,
    },
}

fn checked(config: &std::path::Path) -> ExitCode {
    match check::check(config, &mut std::io::stdout(), &mut std::io::stderr()) {
        Ok(true) => ExitCode::SUCCESS,
        // Where nothing can be written, the exit code says it all.
        Ok(false) | Err(_) => ExitCode::FAILURE,
    }
}

fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    std::io::stdout().write_all(text.as_bytes()).context("cannot print")
}

/// Runs the command line and gives the exit code: 0 done, 1 refused or failed, 2 wrong usage.
pub fn run() -> ExitCode {
    let command = match CommandLine::try_parse() {
        Ok(line) => line.command,
        Err(error) => {
            // Help and version are asked for, everything else is wrong usage; where printing fails, nobody listens.
            let _ = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let done = match command {
        Command::Demo(demo) => demo::run(&demo),
        Command::Serve { config } => serve::run(&config, Role::Serve),
        Command::Gateway { config } => serve::run(&config, Role::Gateway),
        Command::Console { config } => serve::run(&config, Role::Console),
        Command::Check { config } => return checked(&config),
        Command::Healthcheck { url } => healthcheck::run(&url),
        Command::Schema => print(&schema::schema()),
        Command::Operator(command) => operator::run(command),
        Command::Migrate(command) => migrate::run(&command),
        Command::Orgs(command) => orgs::run(command),
        Command::Agents(command) => agents::run(command),
        Command::Members(command) => members::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Gateways(command) => gateways::run(&command),
        Command::Completions { shell } => completions::run(shell),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line: the error and its causes.
            eprintln!("keystile: {error:#}");
            ExitCode::FAILURE
        }
    }
}
