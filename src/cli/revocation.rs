//! How far the end of keys has got, as commands tell it.
//!
//! Promises that whoever reads stdout alone is told no more than the gateways confirmed, and that what is still open
//! stands on stderr, with the names of those that are awaited. A deletion that is on record is done: it never fails a
//! command.

use serde_json::Value;

use super::client::{Client, print, print_json, say, string};
use super::table::visible;

/// Names that are told; of the others only how many they are.
const NAMES_MAX: usize = 5;

/// Prints what a deletion answered: `deleted`, then `what` it means for keys, such as `; its keys are `.
///
/// # Errors
/// Where nothing can be printed.
pub(super) fn tell(client: &Client, answer: &Value, what: &str) -> anyhow::Result<()> {
    let revocation = answer.get("revocation").cloned().unwrap_or_default();
    if client.json() {
        print_json(answer)?;
    } else {
        print(&format!("deleted; {what}{}\n", done(&revocation)))?;
    }
    if let Some(open) = open(&revocation) {
        say(&open);
    }
    Ok(())
}

/// What is done.
fn done(revocation: &Value) -> String {
    let (confirmed, gateways) = (string(revocation, "confirmed"), string(revocation, "gateways"));
    match (is_complete(revocation), gateways.as_str()) {
        (true, "0") => "refused everywhere (no gateway is registered)".to_owned(),
        (true, _) => format!(
            "refused everywhere ({confirmed} of {gateways} gateways confirmed, {} ms)",
            string(revocation, "tookMs")
        ),
        (false, _) if string(revocation, "effectiveBy").is_empty() => {
            "refused by no gateway yet, as far as is known".to_owned()
        }
        (false, _) => format!("refused by {confirmed} of {gateways} gateways so far"),
    }
}

/// What is still open; nothing where every gateway confirmed.
fn open(revocation: &Value) -> Option<String> {
    if is_complete(revocation) {
        return None;
    }
    let by = string(revocation, "effectiveBy");
    if by.is_empty() {
        return Some(
            "pending: the deletion is on record, and the gateways have not been told yet because Redis does not \
             answer; they will be as soon as it does"
                .to_owned(),
        );
    }
    let awaiting = revocation.get("awaiting").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let mut names: Vec<String> =
        awaiting.iter().take(NAMES_MAX).filter_map(Value::as_str).map(visible).collect();
    match awaiting.len().saturating_sub(NAMES_MAX) {
        0 => {}
        more => names.push(format!("{more} more")),
    }
    let names = if names.is_empty() { "the others".to_owned() } else { names.join(", ") };
    Some(format!(
        "pending: not confirmed by {names}; no gateway can accept what was deleted after {}",
        visible(&by)
    ))
}

fn is_complete(revocation: &Value) -> bool {
    string(revocation, "state") == "complete"
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn revocation(state: &str, confirmed: u32, awaiting: &[&str], by: Option<&str>) -> Value {
        json!({ "state": state, "gateways": 3, "confirmed": confirmed, "awaiting": awaiting, "tookMs": 4, "effectiveBy": by })
    }

    #[test]
    fn a_revocation_that_is_complete_leaves_nothing_open() {
        let whole = revocation("complete", 3, &[], Some("2026-11-23T14:02:31.000Z"));
        assert_eq!(done(&whole), "refused everywhere (3 of 3 gateways confirmed, 4 ms)");
        assert_eq!(open(&whole), None);
    }

    #[test]
    fn whoever_has_not_confirmed_is_named_harmlessly_and_with_the_instant_that_ends_it() {
        let late = revocation("pending", 2, &["gw-\u{1b}[2J1"], Some("2026-11-23T14:02:31.000Z"));
        assert_eq!(done(&late), "refused by 2 of 3 gateways so far");
        let said = open(&late).unwrap();
        assert!(said.contains("not confirmed by gw-\\u{1b}[2J1; no gateway can"), "{said}");
        assert!(said.ends_with("after 2026-11-23T14:02:31.000Z"), "{said}");
        let many: Vec<String> = (1..=12).map(|at| format!("gw-{at}")).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let said = open(&revocation("pending", 0, &many, Some("2026-11-23T14:02:31.000Z"))).unwrap();
        assert!(said.contains("gw-1, gw-2, gw-3, gw-4, gw-5, 7 more;"), "{said}");
    }

    #[test]
    fn where_gateways_were_not_told_no_instant_is_promised() {
        let said = open(&revocation("pending", 0, &["gw-1"], None)).unwrap();
        assert!(said.contains("on record") && !said.contains("after"), "{said}");
    }
}
