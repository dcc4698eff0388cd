//! `keystile keys …`: an organization's keys through the management API.
//!
//! Promises that `keys create` prints the secret alone on stdout, so that a script can take it into a variable, and
//! that it prints it nowhere else.

mod limit_args;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::client::{Client, Connection, items, print, print_json, say, segment, string};
use super::revocation::tell;
use super::table::{table, visible};
use crate::domain::clock::UnixMillis;
pub(super) use limit_args::{LimitArgs, limits_text};

/// Keys: the credentials of an organization.
#[derive(Debug, Args)]
pub(super) struct Keys {
    #[command(flatten)]
    connection: Connection,
    /// The organization's slug or id.
    #[arg(long, global = true)]
    org: Option<String>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Access {
    /// Every method.
    All,
    /// GET, HEAD and OPTIONS only.
    Read,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Step {
    Minute,
    Hour,
    Day,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List an organization's keys.
    List,
    /// Create a key; its secret is the only line on stdout.
    #[command(group = clap::ArgGroup::new("change").multiple(true))]
    Create {
        /// What people call it.
        #[arg(long)]
        name: String,
        /// Open this agent only; every agent of the organization, unless set.
        #[arg(long, value_name = "SLUG")]
        agent: Option<String>,
        /// Which methods it may use.
        #[arg(long, value_enum, default_value_t = Access::All)]
        access: Access,
        /// From when on it is refused, such as 2027-01-31T18:00:00Z.
        #[arg(long, value_name = "TIME", value_parser = instant)]
        expires_at: Option<String>,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Show a key.
    Show {
        /// Its id.
        key: String,
    },
    /// Change what a key is called.
    Rename {
        /// Its id.
        key: String,
        /// What people shall call it.
        #[arg(long)]
        name: String,
    },
    /// Change a key's own limits; what is not named stays.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Limits {
        /// Its id.
        key: String,
        #[command(flatten)]
        limits: LimitArgs,
        /// Drop the key's own limits before setting others.
        #[arg(long, group = "change")]
        clear: bool,
    },
    /// Refuse a key until it is enabled again; cuts what it has running.
    Disable {
        /// Its id.
        key: String,
    },
    /// Let a disabled key pass again.
    Enable {
        /// Its id.
        key: String,
    },
    /// Delete a key; when this returns, it is refused.
    Delete {
        /// Its id.
        key: String,
    },
    /// Show what a key has used.
    Usage {
        /// Its id.
        key: String,
        /// From when; a day before the end, unless set.
        #[arg(long, value_name = "TIME", value_parser = instant)]
        from: Option<String>,
        /// To before when; now, unless set.
        #[arg(long, value_name = "TIME", value_parser = instant)]
        to: Option<String>,
        /// In steps of what length.
        #[arg(long, value_enum, default_value_t = Step::Hour)]
        step: Step,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the console cannot be reached or refuses.
pub(super) fn run(keys: Keys) -> anyhow::Result<()> {
    // Global arguments cannot be required ones; this is the same message and exit code.
    let Some(org) = keys.org else {
        use clap::{CommandFactory, error::ErrorKind};
        let message = "the following required arguments were not provided:\n  --org <ORG>";
        Line::command().error(ErrorKind::MissingRequiredArgument, message).exit()
    };
    let client = Client::new(&keys.connection)?;
    let all = format!("/organizations/{}/keys", segment(&org));
    let one = |key: &str| format!("{all}/{}", segment(key));
    match keys.command {
        Command::List => list(&client, &all),
        Command::Create { name, agent, access, expires_at, limits } => {
            create(&client, &all, &new_key(name, agent, access, expires_at, limits)?)
        }
        Command::Show { key } => show(&client, &client.get(&one(&key))?.body),
        Command::Rename { key, name } => change(&client, &one(&key), &json!({ "name": name })),
        Command::Disable { key } => change(&client, &one(&key), &json!({ "disabled": true })),
        Command::Enable { key } => change(&client, &one(&key), &json!({ "disabled": false })),
        Command::Limits { key, limits, clear } => {
            // What is not named is written back as it was read: only if it still is as it was read.
            let before = client.get(&one(&key))?;
            let own = before.body.get("limits").filter(|_| !clear).cloned().unwrap_or_else(|| json!({}));
            let body = json!({ "limits": limits.over(&own)? });
            show(&client, &client.patch(&one(&key), &body, before.tag.as_deref())?.body)
        }
        Command::Delete { key } => {
            let answer = client.delete(&one(&key))?.body;
            tell(&client, &answer, "")
        }
        Command::Usage { key, from, to, step } => {
            let step = match step {
                Step::Minute => "minute",
                Step::Hour => "hour",
                Step::Day => "day",
            };
            let instants =
                [("from", from), ("to", to)].into_iter().filter_map(|(name, at)| Some((name, at?)));
            let query: String = instants.map(|(name, at)| format!("&{name}={}", segment(&at))).collect();
            usage(&client, &format!("{}/usage?step={step}{query}", one(&key)))
        }
    }
}

/// Stands in for the whole command line where only its way of refusing is needed.
#[derive(clap::Parser)]
#[command(name = "keystile keys")]
struct Line {}

fn instant(text: &str) -> Result<String, String> {
    let instant = UnixMillis::parse_rfc3339(text);
    instant
        .map(UnixMillis::to_rfc3339)
        .ok_or_else(|| "expected a time such as 2027-01-31T18:00:00Z".to_owned())
}

fn new_key(
    name: String,
    agent: Option<String>,
    access: Access,
    expires_at: Option<String>,
    limits: LimitArgs,
) -> anyhow::Result<Value> {
    let scope = match agent {
        Some(agent) => json!({ "type": "agent", "agent": agent }),
        None => json!({ "type": "organization" }),
    };
    let access = if matches!(access, Access::Read) { "read" } else { "all" };
    let limits = limits.over(&Value::Null)?;
    Ok(json!({ "name": name, "scope": scope, "access": access, "expiresAt": expires_at, "limits": limits }))
}

fn create(client: &Client, all: &str, body: &Value) -> anyhow::Result<()> {
    let answer = client.post(all, body)?.body;
    if client.json() {
        return print_json(&answer);
    }
    let key = answer.get("key").cloned().unwrap_or_default();
    say(&format!("key {} created: {}", visible(&string(&key, "id")), visible(&string(&key, "name"))));
    say("its secret follows and is not shown again");
    print(&format!("{}\n", visible(&string(&answer, "secret"))))
}

fn change(client: &Client, one: &str, body: &Value) -> anyhow::Result<()> {
    show(client, &client.patch(one, body, None)?.body)
}

fn list(client: &Client, all: &str) -> anyhow::Result<()> {
    let keys = client.list(all)?;
    if client.json() {
        return print_json(&keys);
    }
    let rows: Vec<Vec<String>> = items(&keys).iter().map(row).collect();
    print(&table(&HEADS, &rows))?;
    say(&format!("{} of {} keys", string(&keys, "count"), string(&keys, "cap")));
    Ok(())
}

fn show(client: &Client, key: &Value) -> anyhow::Result<()> {
    if client.json() { print_json(key) } else { print(&table(&HEADS, &[row(key)])) }
}

const HEADS: [&str; 8] = ["NAME", "SCOPE", "ACCESS", "STATE", "HINT", "LAST USED", "LIMITS", "ID"];

fn row(key: &Value) -> Vec<String> {
    let scope = key.get("scope").cloned().unwrap_or_default();
    let opens =
        if string(&scope, "type") == "agent" { string(&scope, "agent") } else { "(all agents)".to_owned() };
    let expires_at = string(key, "expiresAt");
    let state = match (string(key, "disabled") == "true", expires_at.is_empty()) {
        (true, _) => "disabled".to_owned(),
        (false, true) => "active".to_owned(),
        (false, false) => format!("until {expires_at}"),
    };
    let last_used_at = string(key, "lastUsedAt");
    vec![
        string(key, "name"),
        opens,
        string(key, "access"),
        state,
        string(key, "hint"),
        if last_used_at.is_empty() { "never".to_owned() } else { last_used_at },
        limits_text(key.get("limits").unwrap_or(&Value::Null)),
        string(key, "id"),
    ]
}

fn usage(client: &Client, path: &str) -> anyhow::Result<()> {
    let usage = client.get(path)?.body;
    if client.json() {
        return print_json(&usage);
    }
    let records = |name: &str| usage.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let columns = |record: &Value, names: &[&str]| names.iter().map(|name| string(record, name)).collect();
    let limits: Vec<Vec<String>> = records("limits")
        .iter()
        .map(|limit| columns(limit, &["kind", "per", "limit", "used", "remaining", "resetsAt"]))
        .collect();
    let is_quiet =
        |point: &Value| ["allowed", "denied", "failed"].iter().all(|name| string(point, name) == "0");
    let mut series: Vec<Vec<String>> = records("series")
        .iter()
        .filter(|point| !is_quiet(point))
        .map(|point| columns(point, &["at", "allowed", "denied", "failed"]))
        .collect();
    let totals = usage.get("totals").cloned().unwrap_or_default();
    let mut sum: Vec<String> = vec!["total".to_owned()];
    sum.extend(["allowed", "denied", "failed"].iter().map(|name| string(&totals, name)));
    series.push(sum);
    print(&format!(
        "{}\n{}",
        table(&["LIMIT", "PER", "AT MOST", "USED", "LEFT", "RESETS"], &limits),
        table(&["FROM", "ALLOWED", "DENIED", "FAILED"], &series)
    ))?;
    say(&format!("as of {}", visible(&string(&usage, "asOf"))));
    Ok(())
}
