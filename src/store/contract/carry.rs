//! What moving records promises: everything arrives, whatever the engines, or nothing does.

use std::sync::Arc;

use super::people::{member, person, session};
use super::{Engine, NOW, acme, hash, key};
use crate::config::DatabaseUrl;
use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::{GatewayId, TokenId};
use crate::domain::limit::Limits;
use crate::domain::member::{Member, MemberRole, MemberState};
use crate::domain::scope::Scope;
use crate::keytable::KeyTable;
use crate::limits::{PathCount, Totals, UsageDelta};
use crate::store::carry::{CarryError, TABLES, carry_over};
use crate::store::engine::{Kind, query};
use crate::store::{Action, Database, SeenGateway};

fn clock() -> Clock {
    Clock::manual(NOW)
}

async fn carry(from: &Engine, to: &DatabaseUrl) -> Result<(), CarryError> {
    carry_over(&from.url, to, &clock(), |_, _| ()).await
}

/// Every column with its kind, as the database has it.
async fn columns(database: &Database, of_sqlite: bool) -> Vec<(String, String, Kind)> {
    let rows: Vec<(String, String, String)> = if of_sqlite {
        query(
            "SELECT m.name, c.name, c.type FROM sqlite_master m JOIN pragma_table_info(m.name) c
             WHERE m.type = 'table' AND m.name <> '_sqlx_migrations' ORDER BY 1, 2",
        )
    } else {
        query(
            "SELECT table_name::TEXT, column_name::TEXT, data_type::TEXT FROM information_schema.columns
             WHERE table_schema = 'public' AND table_name <> '_sqlx_migrations'
             ORDER BY table_name COLLATE \"C\", column_name COLLATE \"C\"",
        )
    }
    .fetch_all(database.readers())
    .await
    .unwrap();
    let kind = |declared: &str| match declared.to_lowercase().as_str() {
        "text" => Kind::Text,
        "bigint" => Kind::Integer,
        "blob" | "bytea" => Kind::Bytes,
        "boolean" => Kind::Flag,
        other => panic!("{other}"),
    };
    rows.into_iter().map(|(table, column, declared)| (table, column, kind(&declared))).collect()
}

#[tokio::test]
async fn both_engines_have_the_same_columns_and_all_of_them_are_moved() {
    let mut moved: Vec<_> = TABLES
        .iter()
        .flat_map(|table| {
            let column = |(column, kind): &(&str, Kind)| (table.name.to_owned(), (*column).to_owned(), *kind);
            table.columns.iter().map(column)
        })
        .collect();
    moved.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
    for (engine, of_sqlite) in [(Engine::sqlite(), true), (Engine::postgres(), false)] {
        let database = engine.open(&clock()).await;
        assert_eq!(columns(&database, of_sqlite).await, moved);
    }
}

/// Puts something into every table; more rows of the audit log than are moved at once.
async fn fill(database: &Database) {
    let (acme, echo) = acme(database).await;
    let (ada, bob) = (person("ada@example.com"), person("bob@example.com"));
    let admin = Member {
        role: MemberRole::AgentAdmin,
        agents: vec![echo.id],
        ..member(acme.id, &ada, MemberState::Active)
    };
    let invited = member(acme.id, &bob, MemberState::Invited { until: NOW });
    let (one, gone) = (key(&acme, Scope::Agent(echo.id)), key(&acme, Scope::Organization));
    let mut change = database.change("test").await.unwrap();
    change.insert_key(&one, hash("secret")).await.unwrap();
    change.note_key_deleted(&gone, hash("gone")).await.unwrap();
    for one in [&ada, &bob] {
        change.insert_person(one).await.unwrap();
    }
    change.insert_member(&admin, None).await.unwrap();
    change.insert_member(&invited, Some(hash("link"))).await.unwrap();
    let until = UnixMillis(NOW.0 + 1);
    change.insert_session(&session(&ada, NOW, until), hash("session"), 9).await.unwrap();
    change.insert_browser(ada.person.id, hash("browser"), until, 9).await.unwrap();
    change.insert_form(hash("form"), UnixMillis(0)).await.unwrap();
    change.insert_management_token(TokenId::generate(), "token", hash("token")).await.unwrap();
    for _ in 0..1_100 {
        change.log(Action::KeyChanged, "k", "k", Some(acme.id), &[]).await.unwrap();
    }
    change.commit().await.unwrap();
    let counts = Totals { allowed: 3, ..Totals::default() };
    let delta = UsageDelta { key: one.id, counts, settled: 0 };
    let path = PathCount { route: Arc::from("/r"), agent: Some((echo.id, Arc::from("echo"))), requests: 3 };
    let gateway = GatewayId::generate();
    database.record_batch(gateway, 7, &[delta], &[(one.id, vec![path])], UnixMillis(0), NOW).await.unwrap();
    let seen = SeenGateway {
        gateway,
        name: "gw".to_owned(),
        version: "1".to_owned(),
        address: "http://gw".to_owned(),
        goes_on_ms: 1,
        first_seen: NOW,
        last_seen: NOW,
    };
    database.remember_gateways(&[seen], 0).await.unwrap();
    database.next_term().await.unwrap();
    database.next_epoch().await.unwrap();
    for statement in [
        "INSERT INTO ledger VALUES ('k', 'day', 1, 2, 3)",
        "INSERT INTO ledger_rates VALUES ('k', 1, 2)",
        "INSERT INTO ledger_meters VALUES ('k', 1, 2)",
        "INSERT INTO ledger_life VALUES (1, 2, 0)",
    ] {
        database.execute_on_writer(statement).await;
    }
}

/// Every row of every table.
async fn contents(database: &Database) -> Vec<String> {
    let mut from = database.readers().begin_instant().await.unwrap();
    let mut rows = Vec::new();
    for table in TABLES {
        let mut after = None;
        let before = rows.len();
        loop {
            let page = table.page(after.take(), from.connection()).await.unwrap();
            let Some(last) = page.last() else { break };
            after = Some(table.key_of(last));
            rows.extend(page.iter().map(|row| format!("{} {row:?}", table.name)));
        }
        assert!(rows.len() > before, "{} is empty: this test does not show that it arrives", table.name);
    }
    rows
}

async fn everything_arrives(from: Engine, to: Engine) {
    let database = from.open(&clock()).await;
    fill(&database).await;
    let before = contents(&database).await;
    let refused = carry(&from, &to.url).await.unwrap_err();
    assert!(matches!(refused, CarryError::Open(_)), "the source is served: {refused}");
    database.close().await;
    drop(database);
    carry(&from, &to.url).await.unwrap();

    let database = to.open(&clock()).await;
    assert_eq!(contents(&database).await, before);
    let table = KeyTable::new(Limits::default());
    database.load(&table).await.unwrap();
    assert!(table.lookup(&hash("secret")).is_some(), "a key that was made before opens after");
    assert_eq!(database.next_term().await.unwrap(), 2, "no term comes twice");
    let mut change = database.change("test").await.unwrap();
    change.note(Action::KeyCreated, "k", "k", None).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(database.last_change().await.unwrap(), 2, "numbers go on");
    let now = contents(&database).await;
    database.close().await;
    drop(database);

    let again = carry(&from, &to.url).await.unwrap_err();
    assert!(matches!(again, CarryError::NotEmpty { table: "organizations" }), "{again}");
    let database = to.open(&clock()).await;
    assert_eq!(contents(&database).await, now, "what was there is as it was");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_on_a_server_from_a_file() {
    everything_arrives(Engine::sqlite(), Engine::postgres()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_a_file_from_a_server() {
    everything_arrives(Engine::postgres(), Engine::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_arrives_in_a_file_from_another() {
    everything_arrives(Engine::sqlite(), Engine::sqlite()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_breaks_off_leaves_the_target_empty() {
    let (from, to) = (Engine::sqlite(), Engine::postgres());
    let database = from.open(&clock()).await;
    fill(&database).await;
    // Not a whole text any more: it does not read, and comes after much else has been moved.
    database.execute_on_writer("UPDATE usage_batches SET gateway_id = CAST(x'ff' AS TEXT)").await;
    database.close().await;
    drop(database);
    let broken = carry(&from, &to.url).await.unwrap_err();
    assert!(matches!(broken, CarryError::Read { table: "usage_batches", .. }), "{broken}");
    let database = to.open(&clock()).await;
    assert_eq!(database.count("SELECT COUNT(*) FROM organizations").await, 0);
    assert_eq!(database.last_change().await.unwrap(), 0);
}

#[tokio::test]
async fn a_source_that_is_not_there_is_not_made() {
    let (from, to) = (Engine::sqlite(), Engine::sqlite());
    let DatabaseUrl::Sqlite(path) = &from.url else { panic!("not a file") };
    assert!(matches!(carry(&from, &to.url).await, Err(CarryError::NoSource { .. })));
    assert!(!path.exists());
    assert!(matches!(carry(&from, &from.url).await, Err(CarryError::Same)));
    let empty = Engine::postgres();
    assert!(matches!(carry(&empty, &to.url).await, Err(CarryError::NoSource { .. })));
}
