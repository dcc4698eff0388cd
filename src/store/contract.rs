//! What records promise on every engine: one suite, run for each. A new engine adds a line to `on_every_engine!`.

mod carry;
mod fleet;
mod people;
mod plural;
#[path = "../../tests/support/postgres.rs"]
mod postgres;

use self::fleet::{
    a_batch_counts_once_whatever_is_recorded_again, gateways_are_known_until_they_leave_or_are_long_silent,
    old_lines_of_the_audit_log_are_forgotten_and_recent_ones_kept, terms_and_epochs_only_grow,
    the_facts_of_records_are_those_of_the_table_that_is_loaded,
    the_outbox_tells_whose_a_record_is_and_which_hash_is_gone,
};
use self::people::{
    a_form_is_sent_once_and_browsers_are_known_for_one_person,
    a_person_has_one_address_and_one_company_account, a_person_is_kept_for_a_place_or_as_an_operator_only,
    a_place_is_held_by_who_has_come_and_is_not_disabled,
    a_session_that_is_over_is_not_found_and_goes_as_others_come,
    members_are_listed_with_their_own_agents_and_lose_those_that_are_deleted,
    the_audit_log_pages_from_the_newest_and_finds_text_as_it_is_written,
};
use self::postgres::Postgres;
use super::audit::AuditQuery;
use super::engine::query;
use super::{Action, Database, StoreError};
use crate::config::DatabaseUrl;
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::{AgentId, KeyId, OrganizationId};
use crate::domain::key::Key;
use crate::domain::limit::{Limits, Quota, Window};
use crate::domain::organization::{Agent, Organization};
use crate::domain::scope::{Access, Scope};
use crate::domain::secret::SecretHash;

const NOW: UnixMillis = UnixMillis(1_800_000_000_123);

/// An engine with one new database, gone when dropped.
pub(super) struct Engine {
    pub(super) url: DatabaseUrl,
    _folder: Option<tempfile::TempDir>,
    _server: Option<Postgres>,
}

impl Engine {
    pub(super) fn sqlite() -> Engine {
        let folder = tempfile::tempdir().unwrap();
        let url = DatabaseUrl::Sqlite(folder.path().join("keystile.db"));
        Engine { url, _folder: Some(folder), _server: None }
    }

    pub(super) fn postgres() -> Engine {
        let server = Postgres::start();
        let url = server.url().parse().unwrap();
        Engine { url, _folder: None, _server: Some(server) }
    }

    pub(super) async fn open(&self, clock: &Clock) -> Database {
        Database::open(&self.url, clock.clone()).await.unwrap()
    }
}

macro_rules! on_every_engine {
    ($($test:ident),* $(,)?) => {
        mod on_sqlite {
            $(#[tokio::test] async fn $test() {
                let engine = super::Engine::sqlite();
                super::$test(&engine.open(&super::Clock::manual(super::NOW)).await).await;
            })*
        }

        mod on_postgres {
            $(#[tokio::test] async fn $test() {
                let engine = super::Engine::postgres();
                super::$test(&engine.open(&super::Clock::manual(super::NOW)).await).await;
            })*
        }
    };
}

on_every_engine!(
    records_read_back_as_they_were_written,
    a_change_that_is_dropped_did_not_happen,
    a_slug_is_taken_within_its_reach_only,
    updates_touch_what_may_change_and_nothing_else,
    numbers_of_changes_have_no_gaps_and_follow_the_commits,
    lists_go_on_behind_the_last_record_seen,
    counts_of_use_are_summed_by_span,
    what_is_looked_for_with_nul_is_not_there,
    a_person_has_one_address_and_one_company_account,
    a_person_is_kept_for_a_place_or_as_an_operator_only,
    a_place_is_held_by_who_has_come_and_is_not_disabled,
    members_are_listed_with_their_own_agents_and_lose_those_that_are_deleted,
    a_session_that_is_over_is_not_found_and_goes_as_others_come,
    a_form_is_sent_once_and_browsers_are_known_for_one_person,
    the_audit_log_pages_from_the_newest_and_finds_text_as_it_is_written,
    the_outbox_tells_whose_a_record_is_and_which_hash_is_gone,
    terms_and_epochs_only_grow,
    gateways_are_known_until_they_leave_or_are_long_silent,
    a_batch_counts_once_whatever_is_recorded_again,
    the_facts_of_records_are_those_of_the_table_that_is_loaded,
    old_lines_of_the_audit_log_are_forgotten_and_recent_ones_kept,
);

fn organization(slug: &str) -> Organization {
    Organization {
        id: OrganizationId::generate(),
        slug: slug.parse().unwrap(),
        name: "Größe ✓ 'quoted\"".parse().unwrap(),
        zone: "Europe/Berlin".parse().unwrap(),
        limits: Limits {
            quotas: Some(vec![Quota { requests: (1 << 40) - 1, per: Window::Week }]),
            ..Limits::default()
        },
        created_at: NOW,
        revision: 1,
    }
}

fn agent(organization: &Organization, slug: &str) -> Agent {
    Agent {
        id: AgentId::generate(),
        organization: organization.id,
        slug: slug.parse().unwrap(),
        name: "Echo".parse().unwrap(),
        created_at: NOW,
        revision: 1,
    }
}

fn key(organization: &Organization, scope: Scope) -> Key {
    Key {
        id: KeyId::generate(),
        organization: organization.id,
        name: "k".parse().unwrap(),
        scope,
        access: Access::Read,
        hint: "ks_…abcd".to_owned(),
        created_at: NOW,
        created_by: "ada@example.com".to_owned(),
        last_used_at: None,
        expires_at: Some(UnixMillis(1_900_000_000_000)),
        disabled: true,
        limits: Limits { concurrency: Some(3), quotas: Some(vec![]), ..Limits::default() },
        revision: 1,
    }
}

fn hash(secret: &str) -> SecretHash {
    SecretHash::of(secret.as_bytes())
}

async fn acme(database: &Database) -> (Organization, Agent) {
    let organization = organization("acme");
    let agent = agent(&organization, "echo");
    let mut change = database.change("test").await.unwrap();
    change.insert_organization(&organization).await.unwrap();
    change.insert_agent(&agent).await.unwrap();
    change.commit().await.unwrap();
    (organization, agent)
}

async fn records_read_back_as_they_were_written(database: &Database) {
    let (organization, agent) = acme(database).await;
    let keys = [key(&organization, Scope::Organization), key(&organization, Scope::Agent(agent.id))];
    let mut change = database.change("test").await.unwrap();
    for (key, secret) in keys.iter().zip(["a", "b"]) {
        change.insert_key(key, hash(secret)).await.unwrap();
    }
    assert_eq!(
        change.keys_of_agent(organization.id, agent.id).await.unwrap(),
        [(keys[1].clone(), hash("b"))]
    );
    assert_eq!(change.key_count(organization.id).await.unwrap(), 2);
    change.commit().await.unwrap();
    for reference in ["acme", &organization.id.to_string()] {
        assert_eq!(database.organization(reference).await.unwrap(), Some(organization.clone()));
    }
    for reference in ["echo", &agent.id.to_string()] {
        assert_eq!(database.agent(organization.id, reference).await.unwrap(), Some(agent.clone()));
    }
    assert_eq!(database.key(organization.id, keys[0].id).await.unwrap(), Some((keys[0].clone(), hash("a"))));
    assert_eq!(database.key(OrganizationId::generate(), keys[0].id).await.unwrap(), None);
    assert_eq!(database.keys(organization.id, None, 10).await.unwrap(), keys);
    let mut change = database.change("test").await.unwrap();
    for key in &keys {
        change.delete_key(key.id).await.unwrap();
    }
    change.delete_agent(agent.id).await.unwrap();
    change.delete_organization(organization.id).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(database.organization("acme").await.unwrap(), None);
}

async fn a_change_that_is_dropped_did_not_happen(database: &Database) {
    let mut change = database.change("test").await.unwrap();
    change.insert_organization(&organization("acme")).await.unwrap();
    change.note(Action::OrganizationCreated, "x", "x", None).await.unwrap();
    drop(change);
    assert_eq!(database.organization("acme").await.unwrap(), None);
    assert_eq!(sequence(database).await, [] as [i64; 0]);
}

async fn a_slug_is_taken_within_its_reach_only(database: &Database) {
    let (_, _) = acme(database).await;
    let other = organization("other");
    let mut change = database.change("test").await.unwrap();
    change.insert_organization(&other).await.unwrap();
    change.insert_agent(&agent(&other, "echo")).await.unwrap();
    assert!(matches!(change.insert_agent(&agent(&other, "echo")).await, Err(StoreError::Taken(_))));
    drop(change);
    let mut change = database.change("test").await.unwrap();
    assert!(matches!(change.insert_organization(&organization("acme")).await, Err(StoreError::Taken(_))));
}

async fn updates_touch_what_may_change_and_nothing_else(database: &Database) {
    let (organization, agent) = acme(database).await;
    let before = key(&organization, Scope::Agent(agent.id));
    let mut change = database.change("test").await.unwrap();
    change.insert_key(&before, hash("a")).await.unwrap();
    let wished = Key {
        name: "new".parse().unwrap(),
        expires_at: None,
        disabled: false,
        limits: Limits::default(),
        revision: 2,
        scope: Scope::Organization,
        access: Access::All,
        hint: "other".to_owned(),
        ..before.clone()
    };
    change.update_key(&wished).await.unwrap();
    change.commit().await.unwrap();
    let (after, kept) = database.key(organization.id, before.id).await.unwrap().unwrap();
    assert_eq!(after, Key { scope: before.scope, access: before.access, hint: before.hint, ..wished });
    assert_eq!(kept, hash("a"));
}

async fn sequence(database: &Database) -> Vec<i64> {
    let rows: Vec<(i64,)> =
        query("SELECT seq FROM changes ORDER BY seq").fetch_all(database.readers()).await.unwrap();
    rows.into_iter().map(|(seq,)| seq).collect()
}

async fn numbers_of_changes_have_no_gaps_and_follow_the_commits(database: &Database) {
    let tasks: Vec<_> = (0..20)
        .map(|task: usize| {
            let database = database.clone();
            tokio::spawn(async move {
                let mut change = database.change("test").await.unwrap();
                for _ in 0..=task % 3 {
                    change.note(Action::KeyCreated, &task.to_string(), "k", None).await.unwrap();
                }
                if !task.is_multiple_of(4) {
                    change.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let committed: usize =
        (0..20).filter(|task: &usize| !task.is_multiple_of(4)).map(|task| task % 3 + 1).sum();
    assert_eq!(sequence(database).await, (1..=i64::try_from(committed).unwrap()).collect::<Vec<_>>());
}

async fn what_is_looked_for_with_nul_is_not_there(database: &Database) {
    let (acme, _) = acme(database).await;
    assert_eq!(database.organization("acme\0").await.unwrap(), None);
    assert_eq!(database.agent(acme.id, "ec\0ho").await.unwrap(), None);
    let nul = || Some("\0".to_owned());
    let sought =
        AuditQuery { actor: nul(), subject: nul(), action: nul(), actor_id: nul(), ..AuditQuery::default() };
    assert!(database.audit(acme.id, &sought, None, 9).await.unwrap().is_empty());
}

async fn lists_go_on_behind_the_last_record_seen(database: &Database) {
    let (organization, first) = acme(database).await;
    let mut change = database.change("test").await.unwrap();
    let second = agent(&organization, "second");
    change.insert_agent(&second).await.unwrap();
    change.commit().await.unwrap();
    let ids = async |after| {
        let page = database.agents(organization.id, after, 1).await.unwrap();
        page.into_iter().map(|agent| agent.id).collect::<Vec<_>>()
    };
    assert_eq!(ids(None).await, [first.id]);
    assert_eq!(ids(Some(first.id)).await, [second.id]);
    assert!(ids(Some(second.id)).await.is_empty());
}

async fn counts_of_use_are_summed_by_span(database: &Database) {
    let key = KeyId::generate();
    for minute in [0_i64, 60_000, 900_000] {
        query("INSERT INTO usage VALUES ($1, $2, 1, 2, 3, 4, 5, 6)")
            .bind(key.to_string())
            .bind(minute)
            .execute(database.counters())
            .await
            .unwrap();
    }
    let found = database.usage(key, UnixMillis(0), UnixMillis(900_001), 900_000).await.unwrap();
    let read: Vec<_> =
        found.counts.iter().map(|c| (c.at.0, c.totals.allowed, c.totals.denied(), c.totals.failed)).collect();
    assert_eq!(read, [(0, 2, 36, 4), (900_000, 1, 18, 2)]);
    assert!(database.usage(KeyId::generate(), UnixMillis(0), NOW, 60_000).await.unwrap().counts.is_empty());
}
