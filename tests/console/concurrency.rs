//! Many callers at once, and callers that hang up.

use axum::body::Body;
use tower::ServiceExt;

use crate::harness::{CAP, Console};

const KEYS: &str = "/organizations/acme/keys";
const BODY: &str = r#"{"name":"k","scope":{"type":"organization"}}"#;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_creations_at_nine_keys_give_exactly_one_key() {
    for _ in 0..5 {
        let console = Console::with_acme().await;
        for at in 0..CAP - 1 {
            console.key(&format!("k{at}")).await;
        }
        let (one, two) = tokio::join!(console.post(KEYS, BODY), console.post(KEYS, BODY));
        let mut statuses = [one.status.as_u16(), two.status.as_u16()];
        statuses.sort_unstable();
        assert_eq!(statuses, [201, 409]);
        assert_eq!(console.count("keys").await, i64::from(CAP));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn table_and_records_agree_after_many_changes_at_once() {
    let console = std::sync::Arc::new(Console::with_acme().await);
    let tasks: Vec<_> = (0..8)
        .map(|task| {
            let console = std::sync::Arc::clone(&console);
            tokio::spawn(async move {
                for round in 0..5 {
                    let made = console.post(KEYS, BODY).await;
                    if made.status == 409 {
                        continue;
                    }
                    let id = made.json["key"]["id"].as_str().unwrap();
                    console.patch(&format!("{KEYS}/{id}"), r#"{"disabled":true}"#).await.is(200);
                    if (task + round) % 2 == 0 {
                        console.delete(&format!("{KEYS}/{id}")).await.is(200);
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap();
    }
    let records = console.count("keys").await;
    assert_eq!(i64::try_from(console.keys.len()).unwrap(), records);
    assert!(records <= i64::from(CAP));
    let sequence: Vec<i64> =
        sqlx::query_scalar("SELECT seq FROM changes ORDER BY seq").fetch_all(&console.tables).await.unwrap();
    assert!(sequence.iter().copied().eq(1..=i64::try_from(sequence.len()).unwrap()));
}

#[tokio::test]
async fn a_caller_that_hangs_up_leaves_no_key_committed_and_unknown_to_the_gateway() {
    let console = Console::with_acme().await;
    for polls in 1..40 {
        let request = console.request("POST", KEYS).header("content-type", "application/json");
        let mut answer = Box::pin(console.router.clone().oneshot(request.body(Body::from(BODY)).unwrap()));
        for _ in 0..polls {
            let waker = std::task::Waker::noop();
            let mut context = std::task::Context::from_waker(waker);
            if answer.as_mut().poll(&mut context).is_ready() {
                break;
            }
            tokio::task::yield_now().await;
        }
        drop(answer);
        // The next change waits for the one left behind.
        console.patch("/organizations/acme", &format!(r#"{{"name":"A{polls}"}}"#)).await.is(200);
        assert_eq!(i64::try_from(console.keys.len()).unwrap(), console.count("keys").await);
    }
}

#[tokio::test]
async fn callers_that_hang_up_by_the_hundred_leave_a_bounded_number_of_changes_behind() {
    let console = Console::with_acme().await;
    // Somebody else writes: nothing that is begun now can end.
    let mut held = console.tables.acquire().await.unwrap();
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *held).await.unwrap();
    let running = || tokio::runtime::Handle::current().metrics().num_alive_tasks();
    let before = running();
    let mut most = 0;
    for _ in 0..500 {
        let request = console.request("POST", KEYS).header("content-type", "application/json");
        let mut answer = Box::pin(console.router.clone().oneshot(request.body(Body::from(BODY)).unwrap()));
        // Far enough for the token to be looked up and the change to be asked for.
        for _ in 0..20 {
            let waker = std::task::Waker::noop();
            assert!(answer.as_mut().poll(&mut std::task::Context::from_waker(waker)).is_pending());
            if running() > before + most {
                break;
            }
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        }
        most = most.max(running().saturating_sub(before));
        drop(answer);
    }
    assert!(most > 1, "no caller came far enough for this to show anything");
    assert!(most <= 80, "{most} changes wait for nobody");
    sqlx::query("ROLLBACK").execute(&mut *held).await.unwrap();
}
