//! Another server takes over: by Sentinels, in a cluster.

use super::*;

fn unvouched<T>(answer: &Result<T, HubError>) -> bool {
    matches!(answer, Err(HubError::Unvouched))
}

/// Nobody trusts what the new primary holds, until a publisher has written it anew.
async fn is_noticed_and_mended(hub: &RedisHub, gateway: GatewayId) {
    let next = Lease { term: 1, epoch: hub.state().await.unwrap().map_or(1, |state| state.head.epoch) + 1 };
    until(
        async || {
            hub.begin(next).await?;
            hub.fill(next, &[key(KeyId::generate(), "b")]).await?;
            hub.open(next, 5).await
        },
        Result::is_ok,
    )
    .await
    .unwrap();
    let synced = until(async || hub.sync(&beat(gateway, 1_000, None)).await, Result::is_ok).await.unwrap();
    assert_eq!(synced.head, at(next.epoch, 5));
    assert_eq!(table(hub, next.epoch).await.unwrap().len(), 1);
    assert!(hub.state().await.unwrap().unwrap().vouched);
}

#[tokio::test]
async fn a_dead_primary_is_followed_by_the_one_that_sentinels_choose_and_its_copy_is_not_trusted() {
    let mut sentinels = Sentinels::start();
    let (hub, gateway) = (hub(&sentinels.url()), GatewayId::generate());
    open(&hub, FIRST, 1, &[key(KeyId::generate(), "a")]).await;
    hub.sync(&beat(gateway, 1, None)).await.unwrap();
    // The first Sentinel that is asked is dead as well.
    sentinels.sentinels()[2].kill();
    let copied = |told: &str| told.contains(":log:1");
    let feed = hub.redis.names().feed("log:1");
    for server in sentinels.servers() {
        server.until(&["keys", &feed], copied);
    }
    sentinels.servers()[2].kill();
    let mut number = 1;
    let mut sync = async || {
        number += 1;
        hub.sync(&beat(gateway, number, None)).await
    };
    until(&mut sync, unvouched).await.unwrap_err();
    is_noticed_and_mended(&hub, gateway).await;
}

#[tokio::test]
async fn a_primary_that_becomes_a_replica_is_left_for_the_new_one() {
    let sentinels = Sentinels::start();
    let (hub, gateway) = (hub(&sentinels.url()), GatewayId::generate());
    open(&hub, FIRST, 1, &[]).await;
    sentinels.fail_over();
    let mut number = 1;
    let mut sync = async || {
        number += 1;
        hub.sync(&beat(gateway, number, None)).await
    };
    until(&mut sync, unvouched).await.unwrap_err();
    is_noticed_and_mended(&hub, gateway).await;
    // And back: the first process is the primary again, with contents that another one may have changed.
    sentinels.fail_over();
    until(&mut sync, unvouched).await.unwrap_err();
    is_noticed_and_mended(&hub, gateway).await;
}

#[tokio::test]
async fn sentinels_that_do_not_know_the_service_are_told_of() {
    let sentinels = Sentinels::start();
    let hub = hub(&sentinels.url().replace("/mymaster", "/other"));
    let why = hub.state().await.unwrap_err().to_string();
    assert!(why.contains("no service `other`"), "{why}");
}

#[tokio::test]
async fn a_dead_master_of_a_cluster_takes_the_trust_in_its_shards_with_it() {
    let mut cluster = Cluster::with_replicas();
    let (hub, gateway) = (hub(&cluster.url()), GatewayId::generate());
    open(&hub, FIRST, 1, &[key(KeyId::generate(), "a")]).await;
    let feed = hub.redis.names().feed("head");
    let names = hub.redis.names().clone();
    let holder = cluster.holder(&feed).port();
    let other = (0..names.shards())
        .find(|shard| cluster.holder(&names.table(*shard, 1)).port() != holder)
        .expect("all shards are on one server");
    cluster.holder(&names.table(other, 1)).kill();
    let state = until(async || hub.state().await, |state| matches!(state, Ok(Some(state)) if !state.vouched));
    assert_eq!(state.await.unwrap().unwrap().head, at(1, 1));
    let page = until(async || hub.table(1, Part::Keys(other), 0).await, unvouched);
    page.await.unwrap_err();
    assert_eq!(hub.sync(&beat(gateway, 1, None)).await.unwrap().head, at(1, 1), "the feed lives");
    is_noticed_and_mended(&hub, gateway).await;
}

#[tokio::test]
async fn a_dead_master_of_the_feed_is_followed_and_its_copy_is_not_trusted() {
    let mut cluster = Cluster::with_replicas();
    let (hub, gateway) = (hub(&cluster.url()), GatewayId::generate());
    open(&hub, FIRST, 1, &[key(KeyId::generate(), "a")]).await;
    let head = hub.redis.names().feed("head");
    cluster.holder(&head).kill();
    let mut number = 0;
    let mut sync = async || {
        number += 1;
        hub.sync(&beat(gateway, number, None)).await
    };
    until(&mut sync, unvouched).await.unwrap_err();
    is_noticed_and_mended(&hub, gateway).await;
    assert_eq!(hub.changes(at(2, 5), Duration::from_millis(5)).await, Ok(vec![]));
}
