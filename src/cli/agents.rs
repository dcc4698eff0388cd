//! `keystile agents …`: an organization's backend programs through the management API.

use clap::{Args, Subcommand};
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, items, print, print_json, segment, string};
use super::revocation::tell;
use super::table::table;

/// Agents: the backend programs of an organization.
#[derive(Debug, Args)]
pub(super) struct Agents {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Args)]
struct InOrganization {
    /// The organization's slug or id.
    #[arg(long)]
    org: String,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List an organization's agents.
    List {
        #[command(flatten)]
        place: InOrganization,
    },
    /// Create an agent.
    Create {
        #[command(flatten)]
        place: InOrganization,
        /// Its name in addresses.
        slug: String,
        /// What people call it; the slug, unless set.
        #[arg(long)]
        name: Option<String>,
    },
    /// Change what an agent is called.
    #[command(group = clap::ArgGroup::new("change").required(true).multiple(true))]
    Rename {
        #[command(flatten)]
        place: InOrganization,
        /// Its slug or id.
        agent: String,
        /// What people shall call it.
        #[arg(long, group = "change")]
        name: Option<String>,
        /// Its new name in addresses.
        #[arg(long, group = "change")]
        slug: Option<String>,
    },
    /// Delete an agent with its keys.
    Delete {
        #[command(flatten)]
        place: InOrganization,
        /// Its slug or id.
        agent: String,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the console cannot be reached or refuses.
pub(super) fn run(agents: Agents) -> anyhow::Result<()> {
    let client = Client::new(&agents.connection)?;
    match agents.command {
        Command::List { place } => {
            let agents = client.list(&collection(&place))?;
            if client.json() {
                return print_json(&agents);
            }
            let rows: Vec<Vec<String>> = items(&agents).iter().map(row).collect();
            print(&table(&HEADS, &rows))
        }
        Command::Create { place, slug, name } => {
            let body = json!({ "name": name.unwrap_or_else(|| slug.clone()), "slug": slug });
            show(&client, &client.post(&collection(&place), &body)?.body)
        }
        Command::Rename { place, agent, name, slug } => {
            let texts = [("name", name), ("slug", slug)];
            let body: Map<String, Value> = texts
                .into_iter()
                .filter_map(|(field, text)| Some((field.to_owned(), text?.into())))
                .collect();
            show(&client, &client.patch(&one(&place, &agent), &body.into(), None)?.body)
        }
        Command::Delete { place, agent } => {
            let answer = client.delete(&one(&place, &agent))?.body;
            tell(&client, &answer, "its keys are ")
        }
    }
}

fn collection(place: &InOrganization) -> String {
    format!("/organizations/{}/agents", segment(&place.org))
}

fn one(place: &InOrganization, agent: &str) -> String {
    format!("{}/{}", collection(place), segment(agent))
}

fn show(client: &Client, agent: &Value) -> anyhow::Result<()> {
    if client.json() { print_json(agent) } else { print(&table(&HEADS, &[row(agent)])) }
}

const HEADS: [&str; 4] = ["SLUG", "NAME", "CREATED", "ID"];

fn row(agent: &Value) -> Vec<String> {
    ["slug", "name", "createdAt", "id"].iter().map(|field| string(agent, field)).collect()
}
