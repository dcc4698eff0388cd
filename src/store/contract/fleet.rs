//! What the records of a fleet promise on every engine.

use std::sync::Arc;

use super::{NOW, acme, agent, hash, key, organization};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{GatewayId, KeyId, OrganizationId};
use crate::domain::key::Key;
use crate::domain::limit::Limits;
use crate::domain::scope::Scope;
use crate::keytable::{KeyFacts, KeyTable};
use crate::limits::{PathCount, Totals, UsageDelta};
use crate::store::{Action, Database, SeenGateway};

const DAY_MS: u64 = 86_400_000;
const MINUTE: UnixMillis = UnixMillis(NOW.0 - NOW.0 % 60_000);

pub(super) async fn the_outbox_tells_whose_a_record_is_and_which_hash_is_gone(database: &Database) {
    let (acme, _) = acme(database).await;
    assert_eq!(database.last_change().await.unwrap(), 0);
    let gone = key(&acme, Scope::Organization);
    let mut change = database.change("test").await.unwrap();
    change.note(Action::KeyCreated, "k", "k", Some(acme.id)).await.unwrap();
    change.note(Action::OperatorCreated, "o", "o", None).await.unwrap();
    change.note_key_deleted(&gone, hash("a")).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(database.last_change().await.unwrap(), 3);
    let notes = database.changes_after(0, 9).await.unwrap();
    let told: Vec<_> = notes.iter().map(|n| (n.seq, n.action, n.organization, n.key_hash)).collect();
    assert_eq!(
        told,
        [
            (1, Action::KeyCreated, Some(acme.id), None),
            (2, Action::OperatorCreated, None, None),
            (3, Action::KeyDeleted, Some(acme.id), Some(hash("a"))),
        ]
    );
    assert_eq!(notes[2].subject, gone.id.to_string());
    assert_eq!(database.changes_after(1, 1).await.unwrap(), notes[1..2]);
    let lines = database.audit(acme.id, &Default::default(), None, 1).await.unwrap();
    assert_eq!((lines[0].action.as_str(), lines[0].subject_name.as_str()), ("key.deleted", "k"));

    assert_eq!(database.prune_changes(3).await.unwrap(), 2);
    assert_eq!(database.changes_after(0, 9).await.unwrap(), notes[2..]);
    assert_eq!(database.last_change().await.unwrap(), 3, "what is forgotten is not numbered anew");
}

pub(super) async fn terms_and_epochs_only_grow(database: &Database) {
    let both = async || (database.next_term().await.unwrap(), database.next_epoch().await.unwrap());
    assert_eq!((both().await, both().await), ((1, 1), (2, 2)));
    let taken = (0..8).map(|_| {
        let database = database.clone();
        tokio::spawn(async move { database.next_term().await.unwrap() })
    });
    let mut terms = Vec::new();
    for term in taken.collect::<Vec<_>>() {
        terms.push(term.await.unwrap());
    }
    terms.sort_unstable();
    assert_eq!(terms, (3..11).collect::<Vec<_>>(), "no two publishers have the same term");
}

fn seen(last_seen: UnixMillis) -> SeenGateway {
    SeenGateway {
        gateway: GatewayId::generate(),
        name: "gw-1 größer".to_owned(),
        version: "0.1.0".to_owned(),
        address: "http://gw-1:8080".to_owned(),
        goes_on_ms: 602_000,
        first_seen: last_seen,
        last_seen,
    }
}

pub(super) async fn gateways_are_known_until_they_leave_or_are_long_silent(database: &Database) {
    let (one, two) = (seen(NOW), seen(NOW));
    let silent = seen(UnixMillis(NOW.0 - 31 * DAY_MS));
    database.remember_gateways(&[one.clone(), two.clone(), silent], 0).await.unwrap();
    assert_eq!(database.known_gateways().await.unwrap(), [one.clone(), two.clone()]);
    let later = SeenGateway {
        goes_on_ms: 1,
        first_seen: UnixMillis(NOW.0 + 5),
        last_seen: UnixMillis(NOW.0 + 5),
        ..one.clone()
    };
    database
        .remember_gateways(&[later.clone(), SeenGateway { goes_on_ms: 1, ..one.clone() }], 0)
        .await
        .unwrap();
    let now = SeenGateway { first_seen: NOW, ..later };
    assert_eq!(database.known_gateways().await.unwrap(), [now, two.clone()], "the latest sign holds");
    database.gateway_left(one.gateway).await.unwrap();
    assert_eq!(database.known_gateways().await.unwrap(), std::slice::from_ref(&two));
    assert!(database.remember_gateways(std::slice::from_ref(&one), 0).await.unwrap());
    assert_eq!(database.known_gateways().await.unwrap().len(), 2, "it was given up and came back");
    database.gateway_left(one.gateway).await.unwrap();
    let epoch = database.next_epoch().await.unwrap();
    assert!(!database.remember_gateways(std::slice::from_ref(&one), epoch - 1).await.unwrap());
    assert_eq!(
        database.known_gateways().await.unwrap(),
        [two],
        "what was read under an earlier epoch is not believed"
    );
    assert!(database.remember_gateways(&[one], epoch).await.unwrap());
}

async fn last_used(database: &Database, key: &Key) -> Option<UnixMillis> {
    database.key(key.organization, key.id).await.unwrap().unwrap().0.last_used_at
}

pub(super) async fn a_batch_counts_once_whatever_is_recorded_again(database: &Database) {
    let (acme, echo) = acme(database).await;
    let one = key(&acme, Scope::Organization);
    let mut change = database.change("test").await.unwrap();
    change.insert_key(&one, hash("a")).await.unwrap();
    change.commit().await.unwrap();
    let (first, second) = (GatewayId::generate(), GatewayId::generate());
    let counts = Totals { allowed: 3, failed: 1, denied_rate: 7, ..Totals::default() };
    let delta = |key| UsageDelta { key, counts, settled: 0 };
    let path = |agent| PathCount { route: Arc::from("/r"), agent, requests: 2 };
    let paths = [(one.id, vec![path(None), path(Some((echo.id, Arc::from("echo"))))])];
    let record = async |gateway, number, used_at| {
        let deltas = [delta(one.id), delta(KeyId::generate())];
        database.record_batch(gateway, number, &deltas, &paths, MINUTE, used_at).await.unwrap()
    };
    assert!(record(first, 1, NOW).await);
    assert!(!record(first, 1, UnixMillis(NOW.0 + 9)).await, "the answer was lost, and it comes again");
    assert!(record(first, 2, NOW).await);
    assert!(!record(first, 1, NOW).await, "an earlier one comes late");
    assert!(record(second, 1, UnixMillis(NOW.0 - 5)).await, "each gateway has its own numbers");
    assert_eq!(last_used(database, &one).await, Some(NOW), "the last use is never set back");
    assert_eq!(database.recorded_batches().await.unwrap(), [(first, 2), (second, 1)]);
    assert_eq!(database.admitted_since(one.id, MINUTE).await.unwrap(), 12);
    assert_eq!(database.admitted_since(one.id, UnixMillis(MINUTE.0 + 1)).await.unwrap(), 0);
    let usage = database.usage(one.id, MINUTE, UnixMillis(MINUTE.0 + 1), 60_000).await.unwrap();
    assert_eq!(usage.counts[0].totals.denied_rate, 21);
    assert_eq!((usage.routes, usage.agents), (vec![("/r".to_owned(), 12)], vec![("echo".to_owned(), 6)]));

    let together = (0..4).map(|_| {
        let database = database.clone();
        let deltas = [delta(one.id)];
        let batch = async move { database.record_batch(second, 2, &deltas, &[], MINUTE, NOW).await.unwrap() };
        tokio::spawn(batch)
    });
    let mut recorded = 0;
    for batch in together.collect::<Vec<_>>() {
        recorded += usize::from(batch.await.unwrap());
    }
    assert_eq!((recorded, database.admitted_since(one.id, MINUTE).await.unwrap()), (1, 16));
}

/// What distinguishes keys in these tests.
fn told(facts: &[KeyFacts]) -> Vec<(KeyId, Scope, bool)> {
    facts.iter().map(|facts| (facts.id, facts.scope, facts.disabled)).collect()
}

pub(super) async fn the_facts_of_records_are_those_of_the_table_that_is_loaded(database: &Database) {
    let (acme, echo) = acme(database).await;
    let (other, empty) = (organization("other"), organization("empty"));
    let of_other = agent(&other, "theirs");
    let keys = [key(&acme, Scope::Agent(echo.id)), key(&acme, Scope::Organization)];
    let foreign = Key { disabled: false, ..key(&other, Scope::Organization) };
    let mut change = database.change("test").await.unwrap();
    for one in [&other, &empty] {
        change.insert_organization(one).await.unwrap();
    }
    change.insert_agent(&of_other).await.unwrap();
    for (key, secret) in keys.iter().chain([&foreign]).zip(["a", "b", "c"]) {
        change.insert_key(key, hash(secret)).await.unwrap();
    }
    change.commit().await.unwrap();

    let facts = database.organization_facts(acme.id).await.unwrap().unwrap();
    assert_eq!((facts.slug.clone(), facts.limits.clone()), (acme.slug.clone(), acme.limits.clone()));
    assert_eq!(facts.zone.iana_name(), Some("Europe/Berlin"));
    assert_eq!(facts.agents, [(echo.slug.clone(), echo.id)]);
    assert!(database.organization_facts(OrganizationId::generate()).await.unwrap().is_none());
    let page = database.organization_facts_page(None, 2).await.unwrap();
    let agents: Vec<_> = page.iter().map(|facts| (facts.id, facts.agents.clone())).collect();
    assert_eq!(agents, [(acme.id, facts.agents), (other.id, vec![(of_other.slug, of_other.id)])]);
    let rest = database.organization_facts_page(Some(other.id), 2).await.unwrap();
    assert_eq!((rest.len(), rest[0].id, rest[0].agents.len()), (1, empty.id, 0));

    let one = database.key_facts(keys[0].id).await.unwrap().unwrap();
    assert_eq!((one.hash, one.access, one.expires_at), (hash("a"), keys[0].access, keys[0].expires_at));
    assert!(database.key_facts(KeyId::generate()).await.unwrap().is_none());
    let own = database.keys_of(acme.id).await.unwrap();
    assert_eq!(told(&own), keys.each_ref().map(|key| (key.id, key.scope, true)));
    let page = database.key_facts_page(None, 2).await.unwrap();
    assert_eq!(told(&page), told(&own));
    let rest = database.key_facts_page(Some(keys[1].id), 2).await.unwrap();
    assert_eq!(told(&rest), [(foreign.id, foreign.scope, false)]);

    let table = KeyTable::new(Limits::default());
    database.load(&table).await.unwrap();
    let found = ["a", "b", "c"].map(|secret| table.lookup(&hash(secret)).unwrap().id);
    assert_eq!(found, [keys[0].id, keys[1].id, foreign.id]);
}

pub(super) async fn old_lines_of_the_audit_log_are_forgotten_and_recent_ones_kept(database: &Database) {
    let (acme, _) = acme(database).await;
    let mut change = database.change("test").await.unwrap();
    change.log(Action::KeyCreated, "1", "k", Some(acme.id), &[]).await.unwrap();
    change.commit().await.unwrap();
    database.remember_gateways(&[seen(NOW)], 0).await.unwrap();
    database.record_batch(GatewayId::generate(), 1, &[], &[], MINUTE, NOW).await.unwrap();
    let left = async || {
        let lines = database.audit(acme.id, &Default::default(), None, 9).await.unwrap().len();
        let gateways = database.count("SELECT COUNT(*) FROM fleet_gateways").await;
        (lines, gateways, database.recorded_batches().await.unwrap().len())
    };
    database.prune(UnixMillis(NOW.0 + 400 * DAY_MS)).await.unwrap();
    assert_eq!(left().await, (1, 1, 1));
    database.prune(UnixMillis(NOW.0 + 400 * DAY_MS + 1)).await.unwrap();
    assert_eq!(left().await, (0, 0, 0));
}
