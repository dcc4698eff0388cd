//! `/orgs/{org}/keys`: the table, searched, sorted and filtered by the address alone.

use std::cmp::{Ordering, Reverse};

use askama::Template;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::all_keys;
use crate::console::operations::Operations;
use crate::console::pages::chart::grouped;
use crate::console::pages::failure::Failure;
use crate::console::pages::form::Asked;
use crate::console::pages::notice::Told;
use crate::console::pages::page;
use crate::console::pages::scope::{AgentNames, ScopeWords};
use crate::console::pages::shell::{Place, Shell};
use crate::console::pages::time::{Reading, Stamp};
use crate::console::session::Visitor;
use crate::console::view::{KeyView, ScopeView};
use crate::domain::role::Role;
use crate::domain::scope::Access;

/// Pips are drawn up to this cap; beyond it they are too many to count.
const PIPS_MAX: u32 = 20;
/// The sparkline's frame, in its own units.
const SPARK: (f64, f64) = (84.0, 22.0);

/// What of the list to show, and in which order.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct ListQuery {
    q: String,
    scope: String,
    sort: String,
}

/// A column that can be sorted by: its name in addresses, and in words.
const COLUMNS: [(&str, &str); 6] = [
    ("name", "Name"),
    ("scope", "Scope"),
    ("state", "State"),
    ("created", "Created"),
    ("used", "Last used"),
    ("requests", "Requests, 24 h"),
];
/// Newest first, unless asked otherwise.
const SORT_DEFAULT: &str = "-created";

/// A heading of the table.
struct Heading {
    label: &'static str,
    address: String,
    /// `ascending` or `descending`, where the table is sorted by it.
    sorted: Option<&'static str>,
    is_number: bool,
}

/// A choice of a filter or an order.
struct Choice {
    label: &'static str,
    address: String,
    is_on: bool,
}

/// One key, with what stands beside it.
struct Entry {
    key: KeyView,
    scope: ScopeWords,
    /// Its requests in each of the last 24 hours.
    hours: [u64; 24],
}

/// One key, ready to be shown.
struct Row {
    name: String,
    address: String,
    hint: String,
    scope: ScopeWords,
    is_read_only: bool,
    state: &'static str,
    state_class: &'static str,
    /// When it expired or will.
    expiry: Option<(&'static str, Stamp)>,
    created: Stamp,
    created_by: String,
    used: Option<Stamp>,
    requests: String,
    /// Points of the sparkline; none where there was nothing.
    spark: Option<String>,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "keys.html")]
struct KeysPage {
    shell: Shell,
    base: String,
    q: String,
    scope: String,
    sort: String,
    count: u64,
    cap: u32,
    is_full: bool,
    /// One for each key there may be: whether it is there.
    pips: Vec<bool>,
    headings: Vec<Heading>,
    scopes: Vec<Choice>,
    orders: Vec<Choice>,
    rows: Vec<Row>,
    found: String,
    is_filtered: bool,
}

pub(super) async fn show(
    Visitor(visitor): Visitor,
    State(operations): State<Operations>,
    Path(organization): Path<String>,
    Asked(query): Asked<ListQuery>,
    Told(notice): Told,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let shell = Shell::read(&operations, caller, Some(&organization), Place::Keys).await?;
    let shell = shell.saying(notice);
    let keys = all_keys(&operations, caller, &organization).await?;
    let names = AgentNames::read(&operations, caller, &organization).await?;
    let recent = operations.recent_use(caller, &organization).await?;
    let base = format!("/orgs/{}/keys", shell.slug());
    let reading = &shell.reading;
    let entry = |key: KeyView| {
        let hours = recent.get(&key.id).copied().unwrap_or([0; 24]);
        Entry { scope: names.scope(&key.scope), hours, key }
    };
    let mut entries: Vec<Entry> = keys.items.into_iter().map(entry).collect();
    entries.retain(|entry| query.includes(entry));
    query.order(&mut entries, reading);
    let rows: Vec<Row> = entries.into_iter().map(|entry| Row::new(entry, reading, &base)).collect();
    // An agent admin knows of some keys only: pips would show room where others have taken it.
    let pips = if keys.cap <= PIPS_MAX && shell.role != Role::AgentAdmin {
        (0..keys.cap).map(|at| u64::from(at) < keys.count).collect()
    } else {
        Vec::new()
    };
    let found = if rows.len() == 1 { "1 key found".to_owned() } else { format!("{} keys found", rows.len()) };
    let filtered = query.is_filtered();
    let list = KeysPage {
        headings: query.headings(&base),
        scopes: query.scopes(&base),
        orders: query.orders(&base),
        sort: query.sort.clone(),
        q: query.q,
        scope: query.scope,
        count: keys.count,
        cap: keys.cap,
        is_full: keys.is_full,
        pips,
        rows,
        found,
        is_filtered: filtered,
        base,
        shell,
    };
    Ok(page(StatusCode::OK, &list))
}

impl ListQuery {
    fn is_filtered(&self) -> bool {
        !self.q.trim().is_empty() || matches!(self.scope.as_str(), "organization" | "agent")
    }

    fn includes(&self, Entry { key, scope, .. }: &Entry) -> bool {
        let is_in_scope = match (self.scope.as_str(), &key.scope) {
            ("organization", scope) => *scope == ScopeView::Organization,
            ("agent", scope) => *scope != ScopeView::Organization,
            _ => true,
        };
        let wanted = self.q.trim().to_lowercase();
        let texts = [key.name.as_str(), &key.hint, &key.created_by];
        let is_meant = |text: &&str| text.to_lowercase().contains(&wanted);
        is_in_scope && (wanted.is_empty() || texts.iter().any(is_meant) || scope.contains(&wanted))
    }

    /// The column, and whether downwards.
    fn column(&self) -> (&str, bool) {
        let sort = if self.sort.is_empty() { SORT_DEFAULT } else { &self.sort };
        let (column, down) = sort.strip_prefix('-').map_or((sort, false), |column| (column, true));
        match COLUMNS.iter().find(|(name, _)| *name == column) {
            Some((name, _)) => (name, down),
            None => ("created", true),
        }
    }

    fn order(&self, entries: &mut [Entry], reading: &Reading) {
        let (column, down) = self.column();
        let by = |one: &Entry, other: &Entry| -> Ordering {
            let name = |key: &KeyView| key.name.as_str().to_lowercase();
            match column {
                "name" => name(&one.key).cmp(&name(&other.key)),
                "scope" => one.scope.cmp(&other.scope),
                "state" => state(&one.key, reading).0.cmp(state(&other.key, reading).0),
                "used" => one.key.last_used_at.cmp(&other.key.last_used_at),
                "requests" => one.hours.iter().sum::<u64>().cmp(&other.hours.iter().sum::<u64>()),
                _ => (one.key.created_at, one.key.id).cmp(&(other.key.created_at, other.key.id)),
            }
        };
        // Whatever is alike stands newest first, in either direction.
        entries.sort_by_key(|entry| Reverse(entry.key.id));
        entries.sort_by(|one, other| if down { by(other, one) } else { by(one, other) });
    }

    /// The address of this list with another filter or order.
    fn address(&self, base: &str, scope: &str, sort: &str) -> String {
        let mut pairs = Vec::new();
        if !self.q.is_empty() {
            pairs.push(("q", self.q.as_str()));
        }
        for (name, value, usual) in [("scope", scope, ""), ("sort", sort, SORT_DEFAULT)] {
            if value != usual && !value.is_empty() {
                pairs.push((name, value));
            }
        }
        match serde_html_form::to_string(&pairs) {
            Ok(query) if !query.is_empty() => format!("{base}?{query}"),
            Ok(_) | Err(_) => base.to_owned(),
        }
    }

    fn headings(&self, base: &str) -> Vec<Heading> {
        let (sorted_by, down) = self.column();
        let heading = |(name, label): (&str, &'static str)| {
            let is_sorted = name == sorted_by;
            // Times and counts are asked for largest first, words from A on.
            let is_number = name == "requests";
            let begins_down = is_number || matches!(name, "created" | "used");
            let next_down = if is_sorted { !down } else { begins_down };
            let sort = if next_down { format!("-{name}") } else { name.to_owned() };
            let sorted = is_sorted.then_some(if down { "descending" } else { "ascending" });
            Heading { label, address: self.address(base, &self.scope, &sort), sorted, is_number }
        };
        COLUMNS.into_iter().map(heading).collect()
    }

    fn scopes(&self, base: &str) -> Vec<Choice> {
        let is_known = matches!(self.scope.as_str(), "organization" | "agent");
        [("All", ""), ("Organization", "organization"), ("Agent", "agent")]
            .map(|(label, scope)| Choice {
                label,
                address: self.address(base, scope, &self.sort),
                is_on: if scope.is_empty() { !is_known } else { self.scope == scope },
            })
            .into()
    }

    fn orders(&self, base: &str) -> Vec<Choice> {
        let (column, down) = self.column();
        [
            ("Newest first", "-created"),
            ("Oldest first", "created"),
            ("Name", "name"),
            ("Scope", "scope"),
            ("State", "state"),
            ("Last used", "-used"),
            ("Most requests", "-requests"),
        ]
        .map(|(label, sort)| Choice {
            label,
            address: self.address(base, &self.scope, sort),
            is_on: sort.strip_prefix('-').map_or((sort, false), |name| (name, true)) == (column, down),
        })
        .into()
    }
}

/// What a key's state is called, its class, and what is to be said of its expiry.
fn state(key: &KeyView, reading: &Reading) -> (&'static str, &'static str) {
    match key.expires_at {
        Some(expiry) if expiry.0 <= reading.now() => ("Expired", "over"),
        Some(_) | None if key.disabled => ("Disabled", "off"),
        Some(_) | None => ("Active", "on"),
    }
}

impl Row {
    fn new(Entry { key, scope, hours }: Entry, reading: &Reading, base: &str) -> Row {
        let (state, state_class) = state(&key, reading);
        let expiry = key.expires_at.map(|expiry| match expiry.0 <= reading.now() {
            true => ("", reading.relative(expiry.0)),
            false => ("until ", reading.date(expiry.0)),
        });
        Row {
            name: key.name.to_string(),
            address: format!("{base}/{}", key.id),
            hint: key.hint.clone(),
            scope,
            is_read_only: key.access == Access::Read,
            state,
            state_class,
            expiry,
            created: reading.date(key.created_at.0),
            created_by: key.created_by.clone(),
            used: key.last_used_at.map(|used| reading.relative(used.0)),
            requests: grouped(hours.iter().sum()),
            spark: spark(&hours),
        }
    }
}

/// The sparkline's points, its highest hour touching the top.
fn spark(hours: &[u64; 24]) -> Option<String> {
    let most = hours.iter().copied().max().filter(|most| *most > 0)?;
    let (width, height) = SPARK;
    let step = width / 23.0;
    let point = |(at, count): (usize, &u64)| {
        // A fraction of a pixel is all that the loss of precision can make.
        let y = (height - 2.0) - (*count as f64 / most as f64) * (height - 4.0);
        format!("{:.1},{y:.1}", at as f64 * step)
    };
    Some(hours.iter().enumerate().map(point).collect::<Vec<_>>().join(" "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sparkline_touches_the_top_at_its_highest_hour_and_stays_in_its_frame() {
        assert_eq!(spark(&[0; 24]), None);
        let mut hours = [0; 24];
        hours[23] = 10;
        hours[22] = 5;
        let points = spark(&hours).unwrap();
        assert!(points.starts_with("0.0,20.0 "), "{points}");
        assert!(points.ends_with("80.3,11.0 84.0,2.0"), "{points}");
    }

    #[test]
    fn an_unknown_order_is_newest_first_and_a_heading_turns_its_own_order_round() {
        let query = ListQuery { sort: "-secret".into(), ..ListQuery::default() };
        assert_eq!(query.column(), ("created", true));
        let by_name = ListQuery { sort: "name".into(), q: "a&b".into(), ..ListQuery::default() };
        let headings = by_name.headings("/k");
        assert_eq!(
            (headings[0].address.as_str(), headings[0].sorted),
            ("/k?q=a%26b&sort=-name", Some("ascending"))
        );
        assert_eq!((headings[4].address.as_str(), headings[4].sorted), ("/k?q=a%26b&sort=-used", None));
    }
}
