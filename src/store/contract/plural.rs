//! What consoles in plural on one server promise each other.

use super::{Engine, NOW, acme, hash, key, sequence};
use crate::domain::clock::Clock;
use crate::domain::id::GatewayId;
use crate::domain::scope::Scope;
use crate::limits::{Totals, UsageDelta};
use crate::store::{Action, Database};

async fn console(engine: &Engine) -> Database {
    Database::open_shared(&engine.url, Clock::manual(NOW)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_of_changes_have_no_gaps_whichever_console_makes_them() {
    let engine = Engine::postgres();
    let consoles = [console(&engine).await, console(&engine).await, console(&engine).await];
    let tasks: Vec<_> = (0..30_usize)
        .map(|task| {
            let database = consoles[task % 3].clone();
            tokio::spawn(async move {
                let mut change = database.change("test").await.unwrap();
                change.note(Action::KeyCreated, "k", "k", None).await.unwrap();
                if !task.is_multiple_of(5) {
                    change.commit().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    assert_eq!(sequence(&consoles[0]).await, (1..=24).collect::<Vec<_>>());
    let notes = consoles[1].changes_after(0, 100).await.unwrap();
    assert!(notes.iter().map(|note| note.seq).eq(1..=24));
}

#[tokio::test(flavor = "multi_thread")]
async fn counts_and_deletions_of_the_same_keys_at_the_same_time_do_not_get_in_each_others_way() {
    let engine = Engine::postgres();
    let (one, two) = (console(&engine).await, console(&engine).await);
    let (acme, _) = acme(&one).await;
    let keys: Vec<_> = (0..200).map(|_| key(&acme, Scope::Organization)).collect();
    let mut change = one.change("test").await.unwrap();
    for key in &keys {
        change.insert_key(key, hash(&key.id.to_string())).await.unwrap();
    }
    change.commit().await.unwrap();
    let counts = Totals { allowed: 1, ..Totals::default() };
    let counted = keys.clone();
    let gateway = GatewayId::generate();
    let counting = tokio::spawn(async move {
        // Backwards, as a gateway may gather them.
        let delta = |key: &crate::domain::key::Key| UsageDelta { key: key.id, counts, settled: 0 };
        let deltas: Vec<_> = counted.iter().rev().map(delta).collect();
        for number in 1..=20 {
            let recorded = two.record_batch(gateway, number, &deltas, &[], NOW, NOW).await.unwrap();
            assert!(recorded);
        }
    });
    for some in keys.chunks(20) {
        let mut change = one.change("test").await.unwrap();
        for key in some {
            change.delete_key(key.id).await.unwrap();
            change.note_key_deleted(key, hash("gone")).await.unwrap();
        }
        change.commit().await.unwrap();
    }
    counting.await.unwrap();
    assert_eq!(one.key_count(acme.id).await.unwrap(), 0);
    let sum = crate::store::engine::query("SELECT CAST(SUM(allowed) AS BIGINT) FROM usage");
    assert_eq!(sum.fetch_number(one.readers()).await.unwrap(), 200 * 20);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_console_that_is_cut_off_in_mid_change_holds_up_nobody_and_changed_nothing() {
    let engine = Engine::postgres();
    let (one, two) = (console(&engine).await, console(&engine).await);
    let mut cut = one.change("test").await.unwrap();
    cut.note(Action::KeyCreated, "k", "k", None).await.unwrap();
    let other = tokio::spawn(async move {
        let mut change = two.change("test").await.unwrap();
        change.note(Action::KeyCreated, "l", "l", None).await.unwrap();
        change.commit().await.unwrap();
        two
    });
    // As the server does on its own with a transaction that is left open.
    let end =
        "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE state = 'idle in transaction'
               AND pid <> pg_backend_pid()";
    assert_eq!(one.count(end).await, 1);
    let two = other.await.unwrap();
    assert!(cut.commit().await.is_err());
    let notes = two.changes_after(0, 9).await.unwrap();
    assert_eq!((notes.len(), notes[0].subject.as_str()), (1, "l"));
    let mut change = one.change("test").await.unwrap();
    change.note(Action::KeyCreated, "m", "m", None).await.unwrap();
    change.commit().await.unwrap();
    assert_eq!(one.last_change().await.unwrap(), 2, "the console goes on");
}
