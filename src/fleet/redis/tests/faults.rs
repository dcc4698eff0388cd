//! What breaks a single server: restarts, flushes, stops, refusals.

use super::*;

fn refusal<T: std::fmt::Debug>(answer: Result<T, HubError>) -> String {
    let Err(HubError::Refused(why)) = answer else { panic!("it was not refused: {answer:?}") };
    why
}

#[tokio::test]
async fn nobody_trusts_what_a_restarted_server_has_kept_on_its_disk() {
    let mut server = RedisServer::with(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let hub = hub(&server.url());
    let kept = key(KeyId::generate(), "a");
    open(&hub, FIRST, 1, std::slice::from_ref(&kept)).await;
    let gateway = GatewayId::generate();
    assert_eq!(hub.sync(&beat(gateway, 1, None)).await.unwrap().head, at(1, 1));
    server.restart();
    let unvouched = |answer: &Result<_, _>| *answer == Err(HubError::Unvouched);
    until(async || hub.sync(&beat(gateway, 2, None)).await, unvouched).await.unwrap_err();
    let state = hub.state().await.unwrap().unwrap();
    assert_eq!((state.head, state.vouched), (at(1, 1), false), "it is there, and not vouched for");
    assert_eq!(table(&hub, 1).await, Err(HubError::Unvouched));
    assert_eq!(hub.publish(FIRST, &[entry(2, vec![])]).await, Err(HubError::Unvouched));
    assert_eq!(hub.fill(FIRST, std::slice::from_ref(&kept)).await, Err(HubError::Unvouched));
    assert_eq!(hub.open_ledger(FIRST).await, Err(HubError::Unvouched));
    let next = Lease { term: 1, epoch: 2 };
    open(&hub, next, 1, std::slice::from_ref(&kept)).await;
    assert_eq!(hub.sync(&beat(gateway, 3, None)).await.unwrap().head, at(2, 1));
    assert_eq!(table(&hub, 2).await.unwrap(), by_id(&[&kept]));
    assert!(hub.counters().reconnects() > 0);
}

#[tokio::test]
async fn nobody_trusts_a_table_of_which_the_server_was_started_again_while_it_was_written() {
    let mut server = RedisServer::with(&[("appendonly", "yes"), ("appendfsync", "always")]);
    let hub = hub(&server.url());
    hub.begin(FIRST).await.unwrap();
    server.restart();
    let unvouched = |answer: &Result<(), _>| *answer == Err(HubError::Unvouched);
    until(async || hub.fill(FIRST, &[key(KeyId::generate(), "a")]).await, unvouched).await.unwrap_err();
    assert_eq!(hub.open(FIRST, 0).await, Err(HubError::Unvouched));
}

#[tokio::test]
async fn what_was_flushed_or_thrown_away_is_noticed_piece_by_piece() {
    let server = RedisServer::start();
    let gateway = GatewayId::generate();
    for (number, piece) in ["organizations:1", "log:1", "head", "table:1", ""].into_iter().enumerate() {
        let hub = hub(&server.url());
        open(&hub, FIRST, 0, &[key(KeyId::generate(), "a")]).await;
        let number = u64::try_from(number).unwrap();
        hub.sync(&beat(gateway, number, None)).await.unwrap();
        let names = hub.redis.names();
        let removed = match piece {
            "" => server.command(&["flushall"]),
            "table:1" => server.command(&["del", &names.table(0, 1)]),
            piece => server.command(&["del", &names.feed(piece)]),
        };
        assert!(removed == "1" || removed == "OK", "{removed}");
        let state = hub.state().await.unwrap();
        assert!(!state.is_some_and(|state| state.vouched), "{piece}");
        let publishes = hub.publish(FIRST, &[entry(1, vec![key(KeyId::generate(), "b")])]).await;
        assert_eq!(publishes, Err(HubError::Unvouched), "{piece}");
        if matches!(piece, "log:1" | "head" | "") {
            assert_eq!(hub.sync(&beat(gateway, 9, None)).await, Err(HubError::Unvouched), "{piece}");
        } else {
            assert_eq!(table(&hub, 1).await, Err(HubError::Unvouched), "{piece}");
        }
    }
}

#[tokio::test]
async fn a_server_that_took_over_anothers_contents_is_not_vouched_for() {
    let (server, other) = (RedisServer::start(), RedisServer::start());
    let hub = hub(&server.url());
    open(&hub, FIRST, 0, &[]).await;
    server.command(&["replicaof", "127.0.0.1", &other.port().to_string()]);
    let gateway = GatewayId::generate();
    assert!(refusal(hub.sync(&beat(gateway, 1, None)).await).contains("replica"));
    assert!(refusal(hub.publish(FIRST, &[]).await.and(hub.leave(gateway).await)).contains("replica"));
    server.command(&["replicaof", "no", "one"]);
    let answer = until(
        async || hub.sync(&beat(gateway, 2, None)).await,
        |answer| !matches!(answer, Err(HubError::Refused(_))),
    );
    assert_eq!(answer.await, Err(HubError::Unvouched));
}

#[tokio::test]
async fn a_server_without_memory_refuses_and_says_so_and_changes_nothing() {
    let server = RedisServer::start();
    let hub = hub(&server.url());
    open(&hub, FIRST, 0, &[]).await;
    server.command(&["config", "set", "maxmemory", "1"]);
    let change = [entry(1, vec![key(KeyId::generate(), "a")])];
    assert!(refusal(hub.publish(FIRST, &change).await).contains("out of memory"));
    assert!(refusal(hub.sync(&beat(GatewayId::generate(), 1, None)).await).contains("out of memory"));
    assert!(refusal(hub.push_usage(GatewayId::generate(), 1, 0, b"").await).contains("out of memory"));
    assert_eq!(hub.state().await.unwrap().unwrap().head, at(1, 0));
    server.command(&["config", "set", "maxmemory", "0"]);
    assert_eq!(hub.publish(FIRST, &change).await, Ok(1));
    assert_eq!(table(&hub, 1).await.unwrap(), by_id(&[&change[0].records[0]]));
}

#[tokio::test]
async fn a_server_that_may_throw_keys_away_is_refused() {
    let server = RedisServer::with(&[("maxmemory", "100mb"), ("maxmemory-policy", "allkeys-lru")]);
    assert!(refusal(hub(&server.url()).state().await).contains("noeviction"));
}

#[tokio::test]
async fn a_stopped_server_fails_calls_in_bounded_time_and_opens_the_breaker_until_it_goes_on() {
    let server = RedisServer::start();
    let hub = hub(&server.url());
    open(&hub, FIRST, 0, &[]).await;
    server.stop_process();
    let silent = |answer: &Result<_, HubError>| matches!(answer, Err(HubError::Unreachable(_)));
    let counters = hub.counters();
    while !counters.breaker_open() {
        assert!(silent(&hub.state().await.map(|_| ())));
    }
    assert!(silent(&hub.changes(at(1, 0), Duration::from_millis(50)).await.map(|_| ())));
    server.resume();
    until(async || hub.state().await, Result::is_ok).await.unwrap();
    assert!(!counters.breaker_open());
    let told = counters.calls().into_iter().find(|calls| calls.name == "state").unwrap();
    assert!(told.failures >= 3 && told.calls > told.failures, "{told:?}");
    let changes = async || hub.changes(at(1, 0), Duration::from_millis(5)).await;
    until(changes, Result::is_ok).await.unwrap();
}

#[tokio::test]
async fn callers_who_give_up_before_the_bound_find_the_breaker_open_too() {
    let server = RedisServer::start();
    let hub = hub(&server.url());
    open(&hub, FIRST, 0, &[]).await;
    server.stop_process();
    for _ in 0..3 {
        let given_up = tokio::time::timeout(Duration::from_millis(300), hub.state()).await;
        assert!(given_up.is_err(), "{given_up:?}");
    }
    assert!(hub.counters().breaker_open());
    server.resume();
    until(async || hub.state().await, Result::is_ok).await.unwrap();
    assert!(!hub.counters().breaker_open());
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_with_its_address() {
    let port = servers::free_port();
    let hub = hub(&format!("redis://127.0.0.1:{port}"));
    let why = hub.state().await.unwrap_err().to_string();
    assert!(why.contains(&format!("127.0.0.1:{port}")) && why.contains("does not answer"), "{why}");
}

#[tokio::test]
async fn many_records_are_filled_published_and_read_in_pages() {
    let server = RedisServer::start();
    let hub = hub(&server.url());
    let records: Vec<Record> = (0..5_000).map(|_| key(KeyId::generate(), "a")).collect();
    open(&hub, FIRST, 0, &records).await;
    assert!(hub.table(1, Part::Keys(0), 0).await.unwrap().next.is_some());
    assert_eq!(table(&hub, 1).await.unwrap().len(), 5_000);
    // A change with more records than go in one call, between two small ones.
    let one = |seq| entry(seq, vec![key(KeyId::generate(), "b")]);
    let large = entry(2, (0..3_000).map(|_| key(KeyId::generate(), "b")).collect());
    assert_eq!(hub.publish(FIRST, &[one(1), large, one(3)]).await, Ok(3));
    assert_eq!(table(&hub, 1).await.unwrap().len(), 8_002);
    assert_eq!(hub.changes(at(1, 0), Duration::ZERO).await.unwrap().len(), 3);
}
