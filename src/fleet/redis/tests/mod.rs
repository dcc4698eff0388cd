//! The hub against real servers: one contract for every topology, and what breaks in each.

mod contract;
mod failover;
mod faults;
mod ledger;
mod rights;
#[path = "../../../../tests/support/redis.rs"]
mod servers;

use std::collections::BTreeMap;
use std::time::Duration;

use servers::{Cluster, RedisServer, Sentinels};

use super::RedisHub;
use crate::config::{Fleet, load_str};
use crate::domain::clock::UnixMillis;
use crate::domain::id::{AgentId, GatewayId, KeyId, OrganizationId};
use crate::domain::limit::Limits;
use crate::domain::scope::Access;
use crate::fleet::hub::{
    Beat, Entry, Hub, HubError, KeyRecord, Lease, OrganizationRecord, Part, Phase, Position, Presence,
    Record, UsageWay,
};

/// Most calls until something settles. Each waits for Redis, or for the breaker.
const CALLS_MAX: usize = 2_000;

/// The section `fleet` with that address, a prefix of its own, and further settings such as `password: hunter2`.
fn fleet(url: &str, more: &str) -> Fleet {
    let prefix = KeyId::generate();
    let text = format!("fleet: {{ redis: \"{url}\", name: test, key_prefix: {prefix}, {more} }}");
    load_str(&text, "test.yaml", &|_| None).unwrap_or_else(|problems| panic!("{problems}")).fleet.unwrap()
}

fn hub(url: &str) -> RedisHub {
    RedisHub::new(&fleet(url, "")).unwrap()
}

/// A lease of the first publisher.
const FIRST: Lease = Lease { term: 1, epoch: 1 };

fn at(epoch: u64, seq: u64) -> Position {
    Position { epoch, seq }
}

/// A key, told apart by `hash`.
fn key(id: KeyId, hash: &str) -> Record {
    Record::Key(KeyRecord {
        id,
        organization: OrganizationId::generate(),
        hash: hash.into(),
        agent: None,
        access: Access::All,
        expires_at: None,
        disabled: false,
        limits: Limits::default(),
    })
}

fn organization(id: OrganizationId, slug: &str) -> Record {
    Record::Organization(OrganizationRecord {
        id,
        slug: slug.into(),
        zone: "UTC".into(),
        limits: Limits::default(),
        agents: vec![("echo".into(), AgentId::generate())],
    })
}

fn entry(seq: u64, records: Vec<Record>) -> Entry {
    Entry { seq, records }
}

fn beat(gateway: GatewayId, number: u64, applied: Option<Position>) -> Beat {
    let presence = Presence {
        name: "gw-1".into(),
        version: "0.1.0".into(),
        address: "http://127.0.0.1:8080".into(),
        generation: 1,
        goes_on_ms: 602_000,
        phase: Phase::Following,
        epoch: applied.map_or(0, |applied| applied.epoch),
        applied,
        declared: 0,
        outstanding: 7,
        counted: UnixMillis(0),
    };
    Beat { gateway, number, presence }
}

/// Writes a table of `records` and opens it at `seq`.
async fn open(hub: &RedisHub, lease: Lease, seq: u64, records: &[Record]) {
    hub.begin(lease).await.unwrap();
    hub.fill(lease, records).await.unwrap();
    hub.open(lease, seq).await.unwrap();
}

/// The whole table of an epoch: id and record.
async fn table(hub: &RedisHub, epoch: u64) -> Result<BTreeMap<String, Record>, HubError> {
    let mut all = BTreeMap::new();
    for part in hub.parts() {
        let mut cursor = Some(0);
        while let Some(at) = cursor {
            let page = hub.table(epoch, part, at).await?;
            for record in page.records {
                all.insert(id_of(&record), record);
            }
            cursor = page.next;
        }
    }
    Ok(all)
}

fn id_of(record: &Record) -> String {
    match record {
        Record::Organization(one) => one.id.to_string(),
        Record::Key(key) => key.id.to_string(),
        Record::OrganizationGone(id) => id.to_string(),
        Record::KeyGone { id, .. } => id.to_string(),
    }
}

fn by_id(records: &[&Record]) -> BTreeMap<String, Record> {
    records.iter().map(|record| (id_of(record), (*record).clone())).collect()
}

/// Calls again until the answer is as wanted.
async fn until<T: std::fmt::Debug>(
    mut call: impl AsyncFnMut() -> Result<T, HubError>,
    wanted: impl Fn(&Result<T, HubError>) -> bool,
) -> Result<T, HubError> {
    // As a gateway does between two signs of life: the breaker and the servers go on meanwhile.
    let mut pace = tokio::time::interval(Duration::from_millis(20));
    let mut answer = call().await;
    for _ in 0..CALLS_MAX {
        if wanted(&answer) {
            return answer;
        }
        pace.tick().await;
        answer = call().await;
    }
    panic!("it stays at {answer:?}");
}
