//! What the hub promises whatever Redis consists of. Each check has a hub of its own that nothing was written to.

use super::*;

/// Makes each check a test on one server, and all of them one on Sentinels and one on a cluster, which take long to start.
macro_rules! contract {
    ($($check:ident),+ $(,)?) => {
        $(#[tokio::test]
        async fn $check() {
            let server = RedisServer::start();
            checks::$check(&server.url()).await;
        })+

        #[tokio::test]
        async fn the_whole_contract_holds_with_sentinels() {
            let sentinels = Sentinels::start();
            $(checks::$check(&sentinels.url()).await;)+
        }

        #[tokio::test]
        async fn the_whole_contract_holds_in_a_cluster() {
            let cluster = Cluster::start();
            $(checks::$check(&cluster.url()).await;)+
        }
    };
}

contract! {
    a_hub_that_was_never_opened_registers_gateways_and_vouches_for_nothing,
    a_table_is_read_as_it_was_filled_and_changed,
    changes_come_in_order_and_each_once,
    a_change_that_does_not_follow_is_refused_and_leaves_no_trace,
    a_later_term_shuts_earlier_ones_out,
    a_late_call_never_puts_an_older_record_over_a_newer_one,
    a_try_that_was_given_up_cannot_spoil_the_next_one,
    an_epoch_replaces_the_one_before_it_and_keeps_register_and_usage,
    a_gateway_is_registered_with_its_last_sign_until_it_leaves,
    the_ledger_opens_for_one_epoch_alone,
    usage_is_taken_in_order_and_each_batch_once,
    keys_that_are_wanted_are_taken_once,
}

mod checks {
    use super::*;

    pub(super) async fn a_hub_that_was_never_opened_registers_gateways_and_vouches_for_nothing(url: &str) {
        let hub = hub(url);
        assert_eq!(hub.state().await, Ok(None));
        let gateway = GatewayId::generate();
        for _ in 0..2 {
            assert_eq!(hub.sync(&beat(gateway, 1, None)).await, Err(HubError::Unvouched));
        }
        let known = hub.registry().await.unwrap().gateways;
        assert_eq!(known.len(), 1);
        assert_eq!((known[0].gateway, known[0].beat), (gateway, 1));
        assert_eq!(known[0].presence, beat(gateway, 1, None).presence);
        for part in hub.parts() {
            assert_eq!(hub.table(1, part, 0).await, Err(HubError::Unvouched));
        }
        assert_eq!(hub.publish(FIRST, &[entry(1, vec![])]).await, Err(HubError::Unvouched));
        assert_eq!(hub.open_ledger(FIRST).await, Err(HubError::Unvouched));
    }

    pub(super) async fn a_table_is_read_as_it_was_filled_and_changed(url: &str) {
        let hub = hub(url);
        let (org, gone_org) = (OrganizationId::generate(), OrganizationId::generate());
        let keys: Vec<Record> = (0..50).map(|_| key(KeyId::generate(), "a")).collect();
        let mut records = vec![organization(org, "acme"), organization(gone_org, "old")];
        records.extend(keys.clone());
        hub.begin(FIRST).await.unwrap();
        hub.fill(FIRST, &records).await.unwrap();
        assert_eq!(table(&hub, 1).await, Err(HubError::Unvouched), "it is not open yet");
        hub.fill(FIRST, &records).await.unwrap();
        hub.open(FIRST, 0).await.unwrap();
        assert_eq!(table(&hub, 1).await.unwrap(), by_id(&records.iter().collect::<Vec<_>>()));
        assert_eq!(hub.changes(at(1, 0), Duration::ZERO).await, Ok(vec![]));
        let Record::Key(first) = keys[0].clone() else { unreachable!() };
        let (renamed, added) = (organization(org, "acme-2"), key(KeyId::generate(), "b"));
        let changes = [
            entry(1, vec![renamed.clone(), added.clone()]),
            entry(2, vec![]),
            entry(
                3,
                vec![Record::KeyGone { id: first.id, hash: "a".into() }, Record::OrganizationGone(gone_org)],
            ),
        ];
        assert_eq!(hub.publish(FIRST, &changes).await, Ok(3));
        let expected: Vec<&Record> = keys.iter().skip(1).chain([&renamed, &added]).collect();
        assert_eq!(table(&hub, 1).await.unwrap(), by_id(&expected));
    }

    pub(super) async fn changes_come_in_order_and_each_once(url: &str) {
        let hub = hub(url);
        open(&hub, FIRST, 10, &[]).await;
        let entries: Vec<Entry> =
            (11..=30).map(|seq| entry(seq, vec![key(KeyId::generate(), "a")])).collect();
        for _ in 0..2 {
            assert_eq!(hub.publish(FIRST, &entries[..5]).await, Ok(15));
        }
        // What was applied is passed over, what follows is applied.
        for _ in 0..2 {
            assert_eq!(hub.publish(FIRST, &entries).await, Ok(30));
        }
        assert_eq!(hub.publish(FIRST, &[]).await, Ok(30));
        assert_eq!(hub.changes(at(1, 10), Duration::from_secs(1)).await.unwrap(), entries);
        assert_eq!(hub.changes(at(1, 25), Duration::ZERO).await.unwrap(), entries[15..]);
        assert_eq!(hub.changes(at(1, 30), Duration::from_millis(5)).await, Ok(vec![]));
        let state = hub.state().await.unwrap().unwrap();
        assert_eq!((state.head, state.term, state.vouched), (at(1, 30), 1, true));
        assert_eq!(hub.sync(&beat(GatewayId::generate(), 1, None)).await.unwrap().head, at(1, 30));
        // Who waits is told as soon as there is something.
        let next = [entry(31, vec![])];
        let waiting = until(
            async || hub.changes(at(1, 30), Duration::from_secs(1)).await,
            |read| read.as_ref().is_ok_and(|read| !read.is_empty()),
        );
        let (read, published) = tokio::join!(waiting, hub.publish(FIRST, &next));
        assert_eq!((read, published), (Ok(next.to_vec()), Ok(31)));
    }

    pub(super) async fn a_change_that_does_not_follow_is_refused_and_leaves_no_trace(url: &str) {
        let hub = hub(url);
        open(&hub, FIRST, 1, &[]).await;
        let (ahead, missing) = (key(KeyId::generate(), "a"), key(KeyId::generate(), "b"));
        let gaps: [&[u64]; 3] = [&[3], &[2, 4], &[2, 3, 3]];
        for gap in gaps {
            let entries: Vec<Entry> = gap.iter().map(|seq| entry(*seq, vec![ahead.clone()])).collect();
            assert_eq!(hub.publish(FIRST, &entries).await, Err(HubError::OutOfOrder { at: 1 }), "{gap:?}");
        }
        assert_eq!(table(&hub, 1).await, Ok(BTreeMap::new()));
        assert_eq!(hub.publish(FIRST, &[entry(2, vec![missing.clone()])]).await, Ok(2));
        assert_eq!(hub.publish(FIRST, &[entry(3, vec![ahead.clone()])]).await, Ok(3));
        assert_eq!(table(&hub, 1).await.unwrap(), by_id(&[&missing, &ahead]));
    }

    pub(super) async fn a_later_term_shuts_earlier_ones_out(url: &str) {
        let hub = hub(url);
        open(&hub, FIRST, 0, &[]).await;
        let later = Lease { term: 2, epoch: 1 };
        let first = entry(1, vec![key(KeyId::generate(), "a")]);
        assert_eq!(hub.publish(later, std::slice::from_ref(&first)).await, Ok(1));
        let second = entry(2, vec![key(KeyId::generate(), "a")]);
        assert_eq!(hub.publish(FIRST, std::slice::from_ref(&second)).await, Err(HubError::Superseded));
        assert_eq!(hub.open_ledger(FIRST).await, Err(HubError::Superseded));
        assert_eq!(hub.begin(Lease { term: 1, epoch: 2 }).await, Err(HubError::Superseded));
        assert_eq!(hub.begin(later).await, Err(HubError::Superseded), "its epoch is open");
        assert_eq!(table(&hub, 1).await.unwrap(), by_id(&[&first.records[0]]));
        // Who begins an epoch shuts out who writes the one before it.
        let (third, next) = (Lease { term: 3, epoch: 1 }, Lease { term: 3, epoch: 2 });
        hub.begin(next).await.unwrap();
        assert_eq!(hub.publish(later, std::slice::from_ref(&second)).await, Err(HubError::Superseded));
        assert_eq!(hub.publish(third, std::slice::from_ref(&second)).await, Ok(2));
        hub.open(next, 2).await.unwrap();
        assert_eq!(hub.publish(third, &[entry(3, vec![])]).await, Err(HubError::Superseded));
    }

    pub(super) async fn a_late_call_never_puts_an_older_record_over_a_newer_one(url: &str) {
        let hub = hub(url);
        let id = KeyId::generate();
        open(&hub, FIRST, 0, &[]).await;
        let (old, new) = (entry(1, vec![key(id, "old")]), entry(2, vec![key(id, "new")]));
        hub.publish(FIRST, &[old.clone(), new.clone()]).await.unwrap();
        assert_eq!(hub.publish(FIRST, std::slice::from_ref(&old)).await, Ok(2));
        assert_eq!(hub.fill(FIRST, &old.records).await, Err(HubError::Superseded), "the table is open");
        hub.open(FIRST, 0).await.unwrap();
        assert_eq!(hub.state().await.unwrap().unwrap().head, at(1, 2), "opening again sets nothing back");
        assert_eq!(table(&hub, 1).await.unwrap(), by_id(&[&new.records[0]]));
        assert_eq!(hub.changes(at(1, 0), Duration::ZERO).await.unwrap(), [old, new]);
    }

    pub(super) async fn a_try_that_was_given_up_cannot_spoil_the_next_one(url: &str) {
        let settings = fleet(url, "");
        let [one, other] = [(); 2].map(|()| RedisHub::new(&settings).unwrap());
        let (stale, fresh) = (key(KeyId::generate(), "stale"), key(KeyId::generate(), "fresh"));
        one.begin(FIRST).await.unwrap();
        one.fill(FIRST, std::slice::from_ref(&stale)).await.unwrap();
        other.begin(FIRST).await.unwrap();
        // The key lies in one shard; what it may not write to is there.
        assert_eq!(one.fill(FIRST, std::slice::from_ref(&stale)).await, Err(HubError::Superseded));
        assert_eq!(one.open(FIRST, 5).await, Err(HubError::Superseded));
        other.fill(FIRST, std::slice::from_ref(&fresh)).await.unwrap();
        other.open(FIRST, 5).await.unwrap();
        assert_eq!(table(&other, 1).await.unwrap(), by_id(&[&fresh]));
        assert_eq!(
            other.fill(Lease { term: 1, epoch: 2 }, &[]).await,
            Err(HubError::Superseded),
            "not begun"
        );
    }

    pub(super) async fn an_epoch_replaces_the_one_before_it_and_keeps_register_and_usage(url: &str) {
        let hub = hub(url);
        let gateway = GatewayId::generate();
        open(&hub, FIRST, 7, &[key(KeyId::generate(), "a"), organization(OrganizationId::generate(), "a")])
            .await;
        hub.sync(&beat(gateway, 1, None)).await.unwrap();
        hub.push_usage(gateway, 1, 0, b"counts").await.unwrap();
        hub.drop_usage(&[], &[(gateway, 4)]).await.unwrap();
        let (next, kept) = (Lease { term: 1, epoch: 2 }, key(KeyId::generate(), "b"));
        open(&hub, next, 9, std::slice::from_ref(&kept)).await;
        for part in hub.parts() {
            assert_eq!(hub.table(1, part, 0).await, Err(HubError::Unvouched));
        }
        assert_eq!(hub.changes(at(1, 0), Duration::ZERO).await, Ok(vec![]));
        assert_eq!(table(&hub, 2).await.unwrap(), by_id(&[&kept]));
        let synced = hub.sync(&beat(gateway, 2, Some(at(2, 9)))).await.unwrap();
        assert_eq!((synced.head, synced.gateways, synced.usage_recorded), (at(2, 9), 1, 4));
        assert_eq!(hub.take_usage(10).await.unwrap().len(), 1);
    }

    pub(super) async fn a_gateway_is_registered_with_its_last_sign_until_it_leaves(url: &str) {
        let hub = hub(url);
        open(&hub, FIRST, 3, &[]).await;
        let (one, other) = (GatewayId::generate(), GatewayId::generate());
        for _ in 0..2 {
            let synced = hub.sync(&beat(one, 2, Some(at(1, 3)))).await.unwrap();
            assert_eq!((synced.gateways, synced.silent, synced.usage_recorded), (1, 0, 0));
        }
        // One that arrives late changes nothing.
        hub.sync(&beat(one, 1, None)).await.unwrap();
        assert_eq!(hub.sync(&beat(other, 1, None)).await.unwrap().gateways, 2);
        let known = hub.registry().await.unwrap().gateways;
        let found = known.iter().find(|known| known.gateway == one).unwrap();
        assert_eq!((found.beat, found.presence.applied, known.len()), (2, Some(at(1, 3)), 2));
        for _ in 0..2 {
            hub.leave(one).await.unwrap();
        }
        assert!(matches!(hub.sync(&beat(one, 3, None)).await, Err(HubError::Refused(_))));
        assert_eq!(hub.sync(&beat(other, 2, None)).await.unwrap().gateways, 1);
        // Silence is told by Redis' own clock.
        let silent = until(
            async || hub.sync(&beat(GatewayId::generate(), 1, None)).await,
            |synced| synced.as_ref().is_ok_and(|synced| synced.silent > 0),
        );
        silent.await.unwrap();
    }

    pub(super) async fn the_ledger_opens_for_one_epoch_alone(url: &str) {
        let hub = hub(url);
        let gateway = GatewayId::generate();
        open(&hub, FIRST, 0, &[]).await;
        assert!(!hub.sync(&beat(gateway, 1, None)).await.unwrap().ledger_open);
        for _ in 0..2 {
            hub.open_ledger(FIRST).await.unwrap();
        }
        assert!(hub.sync(&beat(gateway, 2, None)).await.unwrap().ledger_open);
        let next = Lease { term: 1, epoch: 2 };
        assert_eq!(hub.open_ledger(next).await, Err(HubError::Superseded));
        open(&hub, next, 0, &[]).await;
        assert!(!hub.sync(&beat(gateway, 3, None)).await.unwrap().ledger_open);
    }

    pub(super) async fn usage_is_taken_in_order_and_each_batch_once(url: &str) {
        let hub = hub(url);
        let (one, other) = (GatewayId::generate(), GatewayId::generate());
        for _ in 0..2 {
            // SQL has those up to the fourth, and Redis knows nothing of them.
            hub.push_usage(one, 5, 4, b"five\0\xff").await.unwrap();
            hub.push_usage(one, 6, 4, b"six").await.unwrap();
        }
        assert_eq!(hub.push_usage(one, 8, 4, b"").await, Err(HubError::OutOfOrder { at: 6 }));
        assert_eq!(hub.push_usage(other, 2, 0, b"").await, Err(HubError::OutOfOrder { at: 0 }));
        hub.push_usage(other, 1, 0, b"one").await.unwrap();
        for _ in 0..2 {
            let taken = hub.take_usage(10).await.unwrap();
            let numbers: Vec<(GatewayId, u64)> =
                taken.iter().map(|batch| (batch.gateway, batch.number)).collect();
            assert_eq!(numbers, [(one, 5), (one, 6), (other, 1)]);
            assert_eq!(taken[0].payload, b"five\0\xff");
        }
        let ids: Vec<String> = hub.take_usage(2).await.unwrap().into_iter().map(|batch| batch.id).collect();
        assert_eq!(ids.len(), 2);
        for recorded in [6, 6, 5] {
            hub.drop_usage(&ids, &[(one, recorded)]).await.unwrap();
        }
        assert_eq!(hub.take_usage(10).await.unwrap().len(), 1);
        hub.push_usage(one, 6, 0, b"six").await.unwrap();
        assert_eq!(hub.take_usage(10).await.unwrap().len(), 1, "it was taken before");
        open(&hub, FIRST, 0, &[]).await;
        assert_eq!(hub.sync(&beat(one, 1, None)).await.unwrap().usage_recorded, 6);
    }

    pub(super) async fn keys_that_are_wanted_are_taken_once(url: &str) {
        let hub = hub(url);
        let mut wanted: Vec<KeyId> = (0..3).map(|_| KeyId::generate()).collect();
        for _ in 0..2 {
            hub.want_floors(&wanted).await.unwrap();
        }
        let mut taken = hub.take_wanted(2).await.unwrap();
        assert_eq!(taken.len(), 2);
        taken.extend(hub.take_wanted(10).await.unwrap());
        taken.sort();
        wanted.sort();
        assert_eq!(taken, wanted);
        assert_eq!(hub.take_wanted(10).await, Ok(vec![]));
    }
}
