//! Batches on a way that loses answers and forgets, into records that take each number once.

use std::collections::BTreeMap;

use super::super::hub::{Position, UsageBatch};
use super::*;

const MINUTE: UnixMillis = UnixMillis(1_795_442_520_000);

/// A hub and the records behind it. Every third answer is lost after the call was carried out.
#[derive(Debug, Clone, Default)]
struct Way(Arc<Mutex<Lossy>>);

#[derive(Debug, Default)]
struct Lossy {
    calls: u32,
    pushed: u64,
    lying: VecDeque<UsageBatch>,
    recorded: u64,
    requests: BTreeMap<KeyId, u64>,
}

impl Way {
    fn open(&self) -> MutexGuard<'_, Lossy> {
        self.0.lock().unwrap()
    }

    /// The hub loses everything.
    fn forget(&self) {
        let mut way = self.open();
        (way.pushed, way.lying) = (0, VecDeque::new());
    }

    /// Records what lies in the hub, as the drain does.
    fn drain(&self) -> u64 {
        let mut way = self.open();
        while let Some(batch) = way.lying.pop_front() {
            if batch.number <= way.recorded {
                continue;
            }
            way.recorded = batch.number;
            let contents: Batch = serde_json::from_slice(&batch.payload).unwrap();
            for (key, admitted) in contents.admitted() {
                *way.requests.entry(key).or_default() += admitted;
            }
        }
        way.recorded
    }
}

impl UsageWay for Way {
    async fn push_usage(
        &self,
        gateway: GatewayId,
        number: u64,
        recorded: u64,
        payload: &[u8],
    ) -> Result<(), HubError> {
        let mut way = self.open();
        way.calls += 1;
        let last = way.pushed.max(recorded);
        if number > last + 1 {
            return Err(HubError::OutOfOrder { at: last });
        }
        if number == last + 1 {
            way.pushed = number;
            way.lying.push_back(UsageBatch {
                id: number.to_string(),
                gateway,
                number,
                payload: payload.to_vec(),
            });
        }
        if way.calls.is_multiple_of(3) { Err(HubError::Unreachable("lost".into())) } else { Ok(()) }
    }

    async fn take_usage(&self, _: usize) -> Result<Vec<UsageBatch>, HubError> {
        Ok(self.open().lying.iter().cloned().collect())
    }

    async fn drop_usage(&self, _: &[String], _: &[(GatewayId, u64)]) -> Result<(), HubError> {
        Ok(())
    }
}

fn delta(key: KeyId, allowed: u64) -> UsageDelta {
    UsageDelta { key, counts: Totals { allowed, ..Totals::default() }, settled: 0 }
}

fn synced(usage_recorded: u64) -> Option<Synced> {
    Some(Synced {
        head: Position { epoch: 1, seq: 1 },
        usage_recorded,
        gateways: 1,
        silent: 0,
        ledger_open: true,
        remembered: true,
    })
}

#[tokio::test(start_paused = true)]
async fn every_count_is_recorded_once_though_answers_are_lost_and_the_hub_forgets() {
    let (way, book, key) = (Way::default(), FleetBook::default(), KeyId::generate());
    let (tell, told) = watch::channel(None);
    let (leave, left) = watch::channel(false);
    let sending =
        tokio::spawn(UsageSender::new(way.clone(), book.clone(), GatewayId::generate(), told).run(left));
    for turn in 1..=200_u64 {
        // Where too much waits, counts stay where they are and come again.
        while book.record_usage(&[delta(key, turn)], MINUTE, MINUTE).await.is_err() {
            tell.send_replace(synced(way.drain()));
            tokio::time::advance(Duration::from_millis(300)).await;
        }
        match turn % 17 {
            3 => way.forget(),
            5 | 11 => {
                tell.send_replace(synced(way.drain()));
            }
            _ => tokio::time::advance(Duration::from_millis(40)).await,
        }
    }
    while book.waiting() > 0 {
        tokio::time::advance(Duration::from_millis(500)).await;
        tell.send_replace(synced(way.drain()));
        tokio::task::yield_now().await;
    }
    assert_eq!(way.open().requests.get(&key), Some(&(200 * 201 / 2)));
    assert_eq!(book.unrecorded(key), 0);
    leave.send_replace(true);
    sending.await.unwrap();
}

#[tokio::test]
async fn what_is_not_on_record_is_known_and_bounded() {
    let (book, key) = (FleetBook::default(), KeyId::generate());
    for _ in 0..KEPT_MAX {
        book.record_usage(&[delta(key, 2)], MINUTE, MINUTE).await.unwrap();
    }
    book.record_usage(&[delta(key, 2)], MINUTE, MINUTE).await.unwrap_err();
    assert_eq!((book.waiting(), book.unrecorded(key)), (64, 128));
    book.recorded(60);
    assert_eq!((book.waiting(), book.unrecorded(key)), (4, 8));
}

#[tokio::test]
async fn counts_are_said_to_be_complete_up_to_where_sql_has_them() {
    let (book, key) = (FleetBook::default(), KeyId::generate());
    book.counted_until(UnixMillis(1_000));
    assert_eq!(book.counted(), UnixMillis(1_000), "there was nothing to count");
    book.record_usage(&[delta(key, 1)], MINUTE, MINUTE).await.unwrap();
    book.counted_until(UnixMillis(2_000));
    book.counted_until(UnixMillis(3_000));
    assert_eq!(book.counted(), UnixMillis(1_000), "a batch is on its way");
    book.recorded(1);
    assert_eq!(book.counted(), UnixMillis(3_000));
}
