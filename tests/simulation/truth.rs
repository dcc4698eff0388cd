//! SQL, as consoles reach it: slow, sometimes away, and never wrong.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystile::domain::id::{GatewayId, KeyId, OrganizationId};
use keystile::fleet::hub::{Entry, KeyRecord, OrganizationRecord, Record, Registered};
use keystile::fleet::{Cursor, KnownGateway, Truth, TruthError};

use super::chance::Chance;

/// Longest way to SQL, and longest way back.
const WAY_MAX_MS: u64 = 8;
/// How long a call takes to fail.
const AWAY: Duration = Duration::from_millis(50);
/// Records of a page: few, so that a table takes several.
const PAGE: usize = 3;

#[derive(Debug, Clone)]
enum Change {
    Put(KeyId),
    Gone { id: KeyId, hash: String },
}

#[derive(Debug)]
struct Records {
    organization: OrganizationRecord,
    keys: BTreeMap<KeyId, KeyRecord>,
    changes: Vec<Change>,
    term: u64,
    epoch: u64,
    /// Whose the right to publish is: its number, and the console's seat.
    holder: Option<(u64, u64)>,
    next_holder: u64,
    known: BTreeMap<GatewayId, KnownGateway>,
}

/// The records, as the test itself sees them. Clones are the same.
#[derive(Debug, Clone)]
pub(crate) struct Sql(Arc<Mutex<Records>>);

impl Sql {
    pub(crate) fn new(id: OrganizationId) -> Sql {
        let organization = OrganizationRecord {
            id,
            slug: "acme".into(),
            zone: "UTC".into(),
            limits: Default::default(),
            agents: Vec::new(),
        };
        Sql(Arc::new(Mutex::new(Records {
            organization,
            keys: BTreeMap::new(),
            changes: Vec::new(),
            term: 0,
            epoch: 0,
            holder: None,
            next_holder: 0,
            known: BTreeMap::new(),
        })))
    }

    /// Commits a new key and gives the number of the change.
    pub(crate) fn create(&self, key: KeyRecord) -> u64 {
        let mut records = self.0.lock().unwrap();
        records.changes.push(Change::Put(key.id));
        records.keys.insert(key.id, key);
        records.changes.len() as u64
    }

    /// Commits that a key is gone; `None` where it is already.
    pub(crate) fn delete(&self, id: KeyId) -> Option<u64> {
        let mut records = self.0.lock().unwrap();
        let hash = records.keys.remove(&id)?.hash;
        records.changes.push(Change::Gone { id, hash });
        Some(records.changes.len() as u64)
    }

    pub(crate) fn keys(&self) -> Vec<KeyId> {
        self.0.lock().unwrap().keys.keys().copied().collect()
    }

    pub(crate) fn organization(&self) -> OrganizationId {
        self.0.lock().unwrap().organization.id
    }

    /// Takes the right to publish from whoever has it: the connection by which it was held is gone.
    pub(crate) fn lose_lock(&self) {
        self.0.lock().unwrap().holder = None;
    }

    pub(crate) fn epoch(&self) -> u64 {
        self.0.lock().unwrap().epoch
    }

    /// The seat of the console that has the right to publish.
    pub(crate) fn publisher(&self) -> Option<u64> {
        self.0.lock().unwrap().holder.map(|(_, seat)| seat)
    }
}

/// One console's way to the records.
#[derive(Debug, Clone)]
pub(crate) struct SimTruth {
    sql: Sql,
    seat: u64,
    is_away: Arc<AtomicBool>,
    chance: Arc<Mutex<Chance>>,
}

/// The right to publish.
#[derive(Debug)]
pub(crate) struct SimLock {
    sql: Sql,
    holder: (u64, u64),
}

impl Drop for SimLock {
    fn drop(&mut self) {
        let mut records = self.sql.0.lock().unwrap();
        if records.holder == Some(self.holder) {
            records.holder = None;
        }
    }
}

impl SimTruth {
    /// The way of the console at `seat`.
    pub(crate) fn new(sql: Sql, seat: u64, is_away: Arc<AtomicBool>, chance: Chance) -> SimTruth {
        SimTruth { sql, seat, is_away, chance: Arc::new(Mutex::new(chance)) }
    }

    async fn way(&self) -> Result<(), TruthError> {
        let way = self.chance.lock().unwrap().millis(0..WAY_MAX_MS);
        tokio::time::sleep(way).await;
        if self.is_away.load(Ordering::Relaxed) {
            tokio::time::sleep(AWAY).await;
            return Err(TruthError::Unavailable("away".into()));
        }
        Ok(())
    }

    /// One transaction. What it did stays done where its answer is lost.
    async fn transact<T>(&self, work: impl FnOnce(&mut Records) -> T) -> Result<T, TruthError> {
        self.way().await?;
        let answer = work(&mut self.sql.0.lock().unwrap());
        self.way().await?;
        Ok(answer)
    }
}

fn touched(records: &Records, change: &Change) -> Vec<Record> {
    match change {
        Change::Put(id) => records.keys.get(id).cloned().map(Record::Key).into_iter().collect(),
        Change::Gone { id, hash } => vec![Record::KeyGone { id: *id, hash: hash.clone() }],
    }
}

impl Truth for SimTruth {
    type Lock = SimLock;

    async fn lock(&self) -> Result<Option<SimLock>, TruthError> {
        self.way().await?;
        let lock = {
            let mut records = self.sql.0.lock().unwrap();
            if records.holder.is_some() {
                return Ok(None);
            }
            records.next_holder += 1;
            let holder = (records.next_holder, self.seat);
            records.holder = Some(holder);
            SimLock { sql: self.sql.clone(), holder }
        };
        self.way().await?;
        Ok(Some(lock))
    }

    async fn holds(&self, lock: &mut SimLock) -> bool {
        let holder = lock.holder;
        self.transact(|records| records.holder == Some(holder)).await.unwrap_or(false)
    }

    async fn next_term(&self) -> Result<u64, TruthError> {
        self.transact(|records| {
            records.term += 1;
            records.term
        })
        .await
    }

    async fn epoch(&self) -> Result<u64, TruthError> {
        self.transact(|records| records.epoch).await
    }

    async fn next_epoch(&self) -> Result<u64, TruthError> {
        self.transact(|records| {
            records.epoch += 1;
            records.epoch
        })
        .await
    }

    async fn last_change(&self) -> Result<u64, TruthError> {
        self.transact(|records| records.changes.len() as u64).await
    }

    async fn entries_after(&self, seq: u64, limit: u32) -> Result<Vec<Entry>, TruthError> {
        self.transact(|records| {
            let changes = (1_u64..).zip(&records.changes).skip(seq as usize).take(limit as usize);
            changes.map(|(seq, change)| Entry { seq, records: touched(records, change) }).collect()
        })
        .await
    }

    async fn records(&self, cursor: Cursor, _: u32) -> Result<(Vec<Record>, Option<Cursor>), TruthError> {
        self.transact(|records| match cursor {
            Cursor::Organizations(_) => {
                (vec![Record::Organization(records.organization.clone())], Some(Cursor::Keys(None)))
            }
            Cursor::Keys(after) => {
                let rest = records.keys.values().filter(|key| after.is_none_or(|after| key.id > after));
                let page: Vec<KeyRecord> = rest.take(PAGE).cloned().collect();
                let next = page.last().map(|last| Cursor::Keys(Some(last.id)));
                (page.into_iter().map(Record::Key).collect(), next)
            }
        })
        .await
    }

    async fn forget_changes(&self, _: u64) -> Result<(), TruthError> {
        // All are kept: what is too old to be told is the store's own tests' concern.
        self.transact(|_| ()).await
    }

    async fn remember(&self, gateways: &[Registered], epoch: u64) -> Result<bool, TruthError> {
        let known = |registered: &Registered| KnownGateway {
            gateway: registered.gateway,
            name: registered.presence.name.clone(),
            goes_on_ms: registered.presence.goes_on_ms,
        };
        self.transact(|records| {
            let is_same = records.epoch == epoch;
            if is_same {
                records.known.extend(gateways.iter().map(|one| (one.gateway, known(one))));
            }
            is_same
        })
        .await
    }

    async fn forget(&self, gateways: &[GatewayId]) -> Result<(), TruthError> {
        self.transact(|records| records.known.retain(|gateway, _| !gateways.contains(gateway))).await
    }

    async fn known(&self) -> Result<Vec<KnownGateway>, TruthError> {
        self.transact(|records| records.known.values().cloned().collect()).await
    }
}
