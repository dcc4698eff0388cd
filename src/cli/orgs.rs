//! `keystile orgs …`: organizations through the management API.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, items, print, print_json, segment, string};
use super::keys::{LimitArgs, limits_text};
use super::revocation::tell;
use super::table::table;

/// Organizations: the tenants.
#[derive(Debug, Args)]
pub(super) struct Orgs {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all organizations.
    List,
    /// Create an organization.
    #[command(group = clap::ArgGroup::new("change").multiple(true))]
    Create {
        /// Its name in addresses.
        slug: String,
        /// What people call it; the slug, unless set.
        #[arg(long)]
        name: Option<String>,
        /// The zone of its calendar windows, such as Europe/Berlin; UTC, unless set.
        #[arg(long, value_name = "ZONE")]
        time_zone: Option<String>,
        #[command(flatten)]
        limits: LimitArgs,
    },
    /// Show an organization.
    Show {
        /// Its slug or id.
        org: String,
    },
    /// Change an organization.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Update {
        /// Its slug or id.
        org: String,
        /// What people shall call it.
        #[arg(long, group = "change")]
        name: Option<String>,
        /// Its new name in addresses.
        #[arg(long, group = "change")]
        slug: Option<String>,
        /// The zone of its calendar windows.
        #[arg(long, value_name = "ZONE", group = "change")]
        time_zone: Option<String>,
        #[command(flatten)]
        limits: LimitArgs,
        /// Drop its default limits before setting others.
        #[arg(long, group = "change")]
        clear_limits: bool,
    },
    /// Delete an organization with its agents and keys.
    Delete {
        /// Its slug or id.
        org: String,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the console cannot be reached or refuses.
pub(super) fn run(orgs: Orgs) -> anyhow::Result<()> {
    let client = Client::new(&orgs.connection)?;
    match orgs.command {
        Command::List => list(&client),
        Command::Create { slug, name, time_zone, limits } => {
            let name = name.unwrap_or_else(|| slug.clone());
            let limits = limits.over(&Value::Null)?;
            let body = json!({ "slug": slug, "name": name, "timeZone": time_zone, "limits": limits });
            show(&client, &client.post("/organizations", &body)?.body)
        }
        Command::Show { org } => show(&client, &client.get(&path(&org))?.body),
        Command::Update { org, name, slug, time_zone, limits, clear_limits } => {
            let before = client.get(&path(&org))?;
            let mut body = Map::new();
            let texts = [("name", name), ("slug", slug), ("timeZone", time_zone)];
            body.extend(texts.into_iter().filter_map(|(field, text)| Some((field.to_owned(), text?.into()))));
            let own =
                before.body.get("limits").filter(|_| !clear_limits).cloned().unwrap_or_else(|| json!({}));
            body.extend(limits.over(&own)?.map(|limits| ("limits".to_owned(), limits)));
            show(&client, &client.patch(&path(&org), &body.into(), before.tag.as_deref())?.body)
        }
        Command::Delete { org } => {
            let answer = client.delete(&path(&org))?.body;
            tell(&client, &answer, "its keys are ")
        }
    }
}

fn path(org: &str) -> String {
    format!("/organizations/{}", segment(org))
}

fn list(client: &Client) -> anyhow::Result<()> {
    let organizations = client.list("/organizations")?;
    if client.json() {
        return print_json(&organizations);
    }
    let rows: Vec<Vec<String>> = items(&organizations).iter().map(row).collect();
    print(&table(&HEADS, &rows))
}

fn show(client: &Client, organization: &Value) -> anyhow::Result<()> {
    if client.json() { print_json(organization) } else { print(&table(&HEADS, &[row(organization)])) }
}

const HEADS: [&str; 5] = ["SLUG", "NAME", "TIME ZONE", "LIMITS", "ID"];

fn row(organization: &Value) -> Vec<String> {
    let mut row: Vec<String> =
        ["slug", "name", "timeZone"].iter().map(|field| string(organization, field)).collect();
    row.push(limits_text(organization.get("limits").unwrap_or(&Value::Null)));
    row.push(string(organization, "id"));
    row
}
