//! The table as requests and as the console meet it.

use std::time::Duration;

use jiff::tz::TimeZone;

use super::*;
use crate::domain::clock::UnixMillis;
use crate::domain::id::AgentId;
use crate::domain::limit::{Period, Rate};
use crate::domain::scope::{Access, Scope};

fn organization(id: OrganizationId, agents: &[(&str, AgentId)]) -> OrganizationFacts {
    OrganizationFacts {
        id,
        slug: "acme".parse().unwrap(),
        zone: TimeZone::UTC,
        limits: Limits { concurrency: Some(3), ..Limits::default() },
        agents: agents.iter().map(|(slug, id)| (slug.parse().unwrap(), *id)).collect(),
    }
}

fn key(organization: OrganizationId) -> KeyFacts {
    let id = KeyId::generate();
    KeyFacts {
        id,
        organization,
        hash: SecretHash::of(id.as_bytes()),
        scope: Scope::Organization,
        access: Access::All,
        expires_at: None,
        disabled: false,
        limits: Limits::default(),
    }
}

fn table() -> (KeyTable, OrganizationId) {
    let rate = Rate { requests: 5, per: Period::Second, burst: 5 };
    let table = KeyTable::new(Limits { rate: Some(rate), ..Limits::default() });
    let id = OrganizationId::generate();
    table.put_organization(organization(id, &[]));
    (table, id)
}

#[test]
fn a_key_is_found_by_its_hash_until_it_is_removed() {
    let (table, organization) = table();
    let facts = key(organization);
    assert!(table.lookup(&facts.hash).is_none());
    table.put_key(facts.clone()).unwrap();
    assert_eq!(table.lookup(&facts.hash).unwrap().id, facts.id);
    assert_eq!(table.len(), 1);
    let stray = key(OrganizationId::generate());
    assert_eq!(table.put_key(stray.clone()), Err(UnknownOrganization(stray.organization)));
}

#[test]
fn a_key_takes_each_part_of_its_limits_from_the_nearest_layer_and_shares_them_where_it_has_none() {
    let (table, organization) = table();
    let (plain, other) = (key(organization), key(organization));
    let own = KeyFacts { limits: Limits { concurrency: Some(1), ..Limits::default() }, ..key(organization) };
    for facts in [&plain, &other, &own] {
        table.put_key(facts.clone()).unwrap();
    }
    let plain = table.lookup(&plain.hash).unwrap();
    assert_eq!(plain.limits.limits().concurrency, Some(3));
    assert!(Arc::ptr_eq(&plain.limits, &table.lookup(&other.hash).unwrap().limits));
    let own = table.lookup(&own.hash).unwrap();
    assert_eq!(own.limits.limits().concurrency, Some(1));
    assert_eq!(own.limits.limits().rate.unwrap().requests, 5);
}

#[test]
fn a_request_that_holds_a_replaced_entry_is_counted_in_the_same_account() {
    let (table, organization) = table();
    let facts = key(organization);
    table.put_key(facts.clone()).unwrap();
    let held = table.lookup(&facts.hash).unwrap();
    table.put_key(KeyFacts { disabled: true, ..facts.clone() }).unwrap();
    let fresh = table.lookup(&facts.hash).unwrap();
    assert!(fresh.disabled && !held.disabled);
    assert!(Arc::ptr_eq(held.account(), fresh.account()));
}

#[test]
fn agents_change_for_the_keys_that_are_there_already() {
    let (table, id) = table();
    let facts = key(id);
    table.put_key(facts.clone()).unwrap();
    let held = table.lookup(&facts.hash).unwrap();
    assert_eq!(held.organization.agent("echo"), None);
    let (echo, clock) = (AgentId::generate(), AgentId::generate());
    table.put_organization(organization(id, &[("echo", echo), ("clock", clock)]));
    assert_eq!(held.organization.agent("echo"), Some(echo));
    assert_eq!(held.organization.agent("clock"), Some(clock));
    // A new slug makes a new entry; the old one goes on to see the agents.
    table.put_organization(OrganizationFacts { slug: "other".parse().unwrap(), ..organization(id, &[]) });
    assert_eq!(held.organization.agent("echo"), None);
    assert_eq!(held.organization.slug.as_str(), "acme");
    table.put_key(facts.clone()).unwrap();
    assert_eq!(table.lookup(&facts.hash).unwrap().organization.slug.as_str(), "other");
}

#[test]
fn expiry_is_exact_and_never_is_never() {
    let (table, organization) = table();
    let facts = KeyFacts { expires_at: Some(UnixMillis(1_000)), ..key(organization) };
    let forever = key(organization);
    table.put_key(facts.clone()).unwrap();
    table.put_key(forever.clone()).unwrap();
    let entry = table.lookup(&facts.hash).unwrap();
    assert!(!entry.is_expired(UnixMillis(999)) && entry.is_expired(UnixMillis(1_000)));
    let forever = table.lookup(&forever.hash).unwrap();
    assert_eq!(forever.expires_at(), None);
    assert!(!forever.is_expired(UnixMillis(1 << 62)));
}

#[tokio::test]
async fn revoking_removes_first_and_returns_after_every_worker_has_cut() {
    let (table, organization) = table();
    let facts = key(organization);
    table.put_key(facts.clone()).unwrap();
    let (mut first, mut second, left) = (table.subscribe(), table.subscribe(), table.subscribe());
    drop(left);
    let table = Arc::new(table);
    let revoking = {
        let (table, facts) = (Arc::clone(&table), facts.clone());
        tokio::spawn(async move { table.revoke(&[(facts.id, facts.hash)]).await })
    };
    let cut = first.recv().await.unwrap();
    assert!(table.lookup(&facts.hash).is_none());
    assert_eq!(cut.scope, CutScope::Keys([facts.id].into()));
    cut.done(2);
    let other = second.recv().await.unwrap();
    tokio::task::yield_now().await;
    assert!(!revoking.is_finished(), "one worker has not cut yet");
    other.done(3);
    let report = revoking.await.unwrap();
    assert_eq!(report, CutReport { gateways: 1, cut_connections: 5, workers_awaited: 0 });
}

#[tokio::test]
async fn a_worker_that_does_not_answer_is_not_waited_for_without_end() {
    let subscribers = Subscribers::default();
    let _silent = subscribers.subscribe();
    let report = subscribers.cut(CutScope::All, Duration::from_millis(1)).await;
    assert_eq!(report, CutReport { gateways: 1, cut_connections: 0, workers_awaited: 1 });
}

#[test]
fn an_idle_key_is_small() {
    // With the hash and the pointer in the map, at most 160 bytes for a key that waits for its first request.
    assert!(size_of::<KeyEntry>() <= 80, "{} bytes", size_of::<KeyEntry>());
}
