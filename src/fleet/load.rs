//! Bringing the whole table of an epoch into a replica.
//!
//! Promises that the replica then holds what the hub held at the head that was read before, or something later, which
//! the feed makes whole. Keys in use go on meanwhile, with what they have used. Never removes anything before all of the
//! table was seen.

use std::collections::HashSet;

use super::hub::{Hub, HubError, Part, Position, Record};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{KeyId, OrganizationId};
use crate::domain::secret::SecretHash;
use crate::keytable::{KeyFacts, KeyTable};

/// What a load has seen so far.
#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<SecretHash>,
    organizations: HashSet<OrganizationId>,
    /// Keys that pass no more, whatever runs with them.
    refused: Vec<KeyId>,
}

/// Loads the table of `head`'s epoch into `table` and cuts what passes no more.
///
/// # Errors
/// Where the hub does not give all of it; the replica then holds a mixture, each part of which was true, and the caller
/// loads again before it extends any trust.
pub(super) async fn load<H: Hub>(
    hub: &H,
    table: &KeyTable,
    head: Position,
    now: UnixMillis,
) -> Result<(), HubError> {
    let mut seen = Seen::default();
    // Organizations come first: keys need theirs.
    for part in hub.parts() {
        let mut cursor = 0;
        loop {
            let page = hub.table(head.epoch, part, cursor).await?;
            for record in page.records {
                take(table, &mut seen, record, now)?;
            }
            // A page of thousands of records is long for a runtime that has beats to send.
            tokio::task::yield_now().await;
            match page.next {
                Some(next) => cursor = next,
                None => break,
            }
        }
        if part == Part::Organizations {
            tracing::debug!(organizations = seen.organizations.len(), "organizations are loaded");
        }
    }
    let gone = table.retain(|hash| seen.keys.contains(hash), |id| seen.organizations.contains(&id));
    seen.refused.extend(gone);
    if !seen.refused.is_empty() {
        table.cut(&seen.refused).await;
    }
    Ok(())
}

fn take(table: &KeyTable, seen: &mut Seen, record: Record, now: UnixMillis) -> Result<(), HubError> {
    match record {
        Record::Organization(record) => {
            seen.organizations.insert(record.id);
            table.put_organization(record.try_into()?);
        }
        Record::Key(record) => {
            let facts = KeyFacts::try_from(record)?;
            seen.keys.insert(facts.hash);
            if table.holds(&facts) {
                return Ok(());
            }
            let refused = refuses(&facts, now).then_some(facts.id);
            // Without its organization it is younger than this load: it comes again with the feed.
            if table.put_key(facts).is_ok() {
                seen.refused.extend(refused);
            }
        }
        // Not in a table.
        Record::OrganizationGone(_) | Record::KeyGone { .. } => {}
    }
    Ok(())
}

/// Whether no request passes with such a key, so that what runs with it ends.
pub(super) fn refuses(facts: &KeyFacts, now: UnixMillis) -> bool {
    facts.disabled || facts.expires_at.is_some_and(|expires_at| now >= expires_at)
}
