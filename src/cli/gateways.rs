//! `keystile gateways …`: the gateways and how they stand, through the management API.

use clap::{Args, Subcommand};
use serde_json::Value;

use super::client::{Client, Connection, items, print, print_json, say, string};
use super::table::{table, visible};

/// Gateways: what admits requests.
#[derive(Debug, Args)]
pub(super) struct Gateways {
    #[command(flatten)]
    connection: Connection,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List all gateways and how far each is.
    List,
}

/// Runs the command.
///
/// # Errors
/// Where the console cannot be reached or refuses.
pub(super) fn run(gateways: &Gateways) -> anyhow::Result<()> {
    let client = Client::new(&gateways.connection)?;
    match gateways.command {
        Command::List => list(&client),
    }
}

fn list(client: &Client) -> anyhow::Result<()> {
    let gateways = client.get("/gateways")?.body;
    if client.json() {
        return print_json(&gateways);
    }
    let rows: Vec<Vec<String>> = items(&gateways).iter().map(row).collect();
    print(&table(&HEADS, &rows))?;
    say(&summary(&gateways));
    Ok(())
}

const HEADS: [&str; 11] = [
    "NAME",
    "STATE",
    "MAY ADMIT UNTIL",
    "APPLIED",
    "BEHIND",
    "TRUST",
    "HOLDS",
    "GOES ON MS",
    "VERSION",
    "CONFIGURATION",
    "ADDRESS",
];

fn row(gateway: &Value) -> Vec<String> {
    let fields = [
        "name",
        "state",
        "mayAdmitUntil",
        "applied",
        "lag",
        "trust",
        "outstanding",
        "goesOnMs",
        "version",
        "generation",
        "address",
    ];
    let or_dash = |text: String| if text.is_empty() { "-".to_owned() } else { text };
    fields.iter().map(|field| or_dash(string(gateway, field))).collect()
}

/// How all of them stand, in one line.
fn summary(gateways: &Value) -> String {
    let feed = gateways.get("feed").cloned().unwrap_or_default();
    let numbers = format!("{} of {} gateways", string(gateways, "serving"), string(gateways, "gateways"));
    let said = match string(&feed, "state").as_str() {
        "" => "no fleet: one gateway, in the console's own process".to_owned(),
        "current" => format!("{numbers} follow the feed; the last change is {}", string(&feed, "sequence")),
        "renewing" => {
            "the feed has to be written anew by a console; gateways go on with what they have".to_owned()
        }
        _ => "Redis does not answer the console; these are the gateways on record".to_owned(),
    };
    format!("{}; as of {}", visible(&said), visible(&string(gateways, "asOf")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_line_says_how_far_all_gateways_are() {
        let summary = |feed: Value| {
            summary(&json!({ "asOf": "T", "feed": feed, "serving": 2, "gateways": 3, "items": [] }))
        };
        let current = json!({ "state": "current", "epoch": 3, "sequence": 1204 });
        assert_eq!(summary(current), "2 of 3 gateways follow the feed; the last change is 1204; as of T");
        assert!(summary(Value::Null).starts_with("no fleet"));
        let unknown = |state: &str| json!({ "state": state, "epoch": null, "sequence": null });
        assert!(summary(unknown("unreachable")).starts_with("Redis does not answer"));
        assert!(summary(unknown("renewing")).starts_with("the feed has to be written anew"));
    }

    #[test]
    fn what_is_not_known_of_a_gateway_is_a_dash_and_no_name_commands_the_terminal() {
        let gateway =
            json!({ "name": "gw-\u{1b}[2J1", "state": "loading", "applied": null, "generation": 2 });
        let line = table(&HEADS, &[row(&gateway)]);
        assert!(line.contains("gw-\\u{1b}[2J1") && line.contains("  -  "), "{line}");
    }
}
