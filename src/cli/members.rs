//! `keystile members …`: the people of an organization through the management API.

use clap::{ArgGroup, Args, Subcommand, ValueEnum};
use serde_json::{Map, Value, json};

use super::client::{Client, Connection, items, print, print_json, segment, string};
use super::table::table;

/// Members: the people of an organization.
#[derive(Debug, Args)]
pub(super) struct Members {
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

/// What a member may do.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum MemberRole {
    /// Everything inside the organization.
    OrganizationAdmin,
    /// The keys of some of its agents.
    AgentAdmin,
}

impl MemberRole {
    fn as_str(self) -> &'static str {
        match self {
            MemberRole::OrganizationAdmin => "organization-admin",
            MemberRole::AgentAdmin => "agent-admin",
        }
    }
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List an organization's members.
    List {
        #[command(flatten)]
        place: InOrganization,
    },
    /// Invite a person; prints the link for them, alone on stdout unless --json.
    Invite {
        #[command(flatten)]
        place: InOrganization,
        /// Their e-mail address.
        email: String,
        /// What they may do.
        #[arg(long, value_enum)]
        role: MemberRole,
        /// An agent of an agent admin, by slug or id; may be given more than once.
        #[arg(long = "agent", value_name = "AGENT")]
        agents: Vec<String>,
    },
    /// Print another link for somebody who has not come yet; the one before is over.
    Link {
        #[command(flatten)]
        place: InOrganization,
        /// The member's id or e-mail address.
        member: String,
    },
    /// Change what a member may do.
    #[command(group = ArgGroup::new("change").required(true).multiple(true))]
    Edit {
        #[command(flatten)]
        place: InOrganization,
        /// The member's id or e-mail address.
        member: String,
        /// What they may do.
        #[arg(long, value_enum, group = "change")]
        role: Option<MemberRole>,
        /// All agents of an agent admin, by slug or id; may be given more than once.
        #[arg(long = "agent", value_name = "AGENT", group = "change")]
        agents: Vec<String>,
        /// Whether they may not come in until enabled again.
        #[arg(long, group = "change")]
        disabled: Option<bool>,
    },
    /// Remove a member. The keys that they made stay.
    Remove {
        #[command(flatten)]
        place: InOrganization,
        /// The member's id or e-mail address.
        member: String,
    },
}

/// Runs the command.
///
/// # Errors
/// Where the console cannot be reached or refuses.
pub(super) fn run(members: Members) -> anyhow::Result<()> {
    let client = Client::new(&members.connection)?;
    match members.command {
        Command::List { place } => {
            let members = client.list(&collection(&place))?;
            if client.json() {
                return print_json(&members);
            }
            let rows: Vec<Vec<String>> = items(&members).iter().map(row).collect();
            print(&table(&HEADS, &rows))
        }
        Command::Invite { place, email, role, agents } => {
            let mut body = json!({ "email": email, "role": role.as_str() });
            if let (Some(fields), false) = (body.as_object_mut(), agents.is_empty()) {
                fields.insert("agents".to_owned(), agents.into());
            }
            link(&client, &client.post(&collection(&place), &body)?.body)
        }
        Command::Link { place, member } => {
            let path = format!("{}/invitation", one(&client, &place, &member)?);
            link(&client, &client.post(&path, &json!({}))?.body)
        }
        Command::Edit { place, member, role, agents, disabled } => {
            let mut body = Map::new();
            if let Some(role) = role {
                body.insert("role".to_owned(), role.as_str().into());
            }
            if !agents.is_empty() {
                body.insert("agents".to_owned(), agents.into());
            }
            if let Some(disabled) = disabled {
                body.insert("disabled".to_owned(), disabled.into());
            }
            let path = one(&client, &place, &member)?;
            show(&client, &client.patch(&path, &body.into(), None)?.body)
        }
        Command::Remove { place, member } => {
            let answer = client.delete(&one(&client, &place, &member)?)?.body;
            if client.json() { print_json(&answer) } else { print("removed; their sign-ins have ended\n") }
        }
    }
}

fn collection(place: &InOrganization) -> String {
    format!("/organizations/{}/members", segment(&place.org))
}

/// The path of a member by id, or by address: people know addresses, the API knows ids.
fn one(client: &Client, place: &InOrganization, member: &str) -> anyhow::Result<String> {
    let collection = collection(place);
    if !member.contains('@') {
        return Ok(format!("{collection}/{}", segment(member)));
    }
    let members = client.list(&collection)?;
    let wanted = member.trim().to_lowercase();
    let found = items(&members).iter().find(|found| string(found, "email") == wanted);
    let found =
        found.ok_or_else(|| anyhow::anyhow!("no member has the address {member}: see `members list`"))?;
    Ok(format!("{collection}/{}", segment(&string(found, "id"))))
}

fn link(client: &Client, invited: &Value) -> anyhow::Result<()> {
    if client.json() { print_json(invited) } else { print(&format!("{}\n", string(invited, "inviteUrl"))) }
}

fn show(client: &Client, member: &Value) -> anyhow::Result<()> {
    if client.json() { print_json(member) } else { print(&table(&HEADS, &[row(member)])) }
}

const HEADS: [&str; 6] = ["EMAIL", "ROLE", "AGENTS", "STATE", "CREATED", "ID"];

fn row(member: &Value) -> Vec<String> {
    let agents = member.get("agents").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let agents: Vec<&str> = agents.iter().filter_map(Value::as_str).collect();
    let text = |field| string(member, field);
    vec![text("email"), text("role"), agents.join(", "), text("state"), text("createdAt"), text("id")]
}
