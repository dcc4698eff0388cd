//! What operators did to keys, what they were told, and whether gateways keep to it.
//!
//! Holds the properties: once a revocation was said to be complete no gateway would admit the key, ever; and once a key
//! was said to be everywhere, none that knows all keys would say that it does not exist.

use std::collections::BTreeMap;

use keystile::domain::clock::Clock;
use keystile::domain::id::{KeyId, OrganizationId};
use keystile::domain::scope::Access;
use keystile::domain::secret::SecretHash;
use keystile::fleet::hub::KeyRecord;
use keystile::keytable::{KeyTable, Standing};

/// A change that an operator made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Act {
    pub(crate) key: KeyId,
    pub(crate) is_deletion: bool,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Book {
    keys_made: u64,
    /// By the number of the change: not said to be complete yet.
    pending: BTreeMap<u64, Act>,
    hashes: BTreeMap<KeyId, SecretHash>,
    /// Keys whose deletion was said to be complete, by which change and when.
    gone: BTreeMap<KeyId, (u64, u64)>,
    /// Keys whose creation was said to be complete, and that are not deleted.
    there: BTreeMap<KeyId, u64>,
}

/// An id of its own for each number of a kind, the same in each run.
pub(crate) fn id<T: std::str::FromStr<Err: std::fmt::Debug>>(kind: u32, number: u64) -> T {
    format!("{kind:08x}-0000-7000-8000-{number:012x}").parse().unwrap()
}

impl Book {
    /// A key that was never before.
    pub(crate) fn new_key(&mut self, organization: OrganizationId) -> KeyRecord {
        self.keys_made += 1;
        let (id, hash): (KeyId, _) = (id(3, self.keys_made), SecretHash::of(&self.keys_made.to_be_bytes()));
        self.hashes.insert(id, hash);
        let digits = hash.as_bytes().iter().map(|byte| format!("{byte:02x}"));
        KeyRecord {
            id,
            organization,
            hash: digits.collect(),
            agent: None,
            access: Access::All,
            expires_at: None,
            disabled: false,
            limits: Default::default(),
        }
    }

    /// Change `seq` was committed.
    pub(crate) fn committed(&mut self, seq: u64, act: Act) {
        self.pending.insert(seq, act);
        if act.is_deletion {
            self.there.remove(&act.key);
            self.pending.retain(|_, other| other.is_deletion || other.key != act.key);
        }
    }

    /// An operator was told that change `seq` is complete.
    pub(crate) fn completed(&mut self, seq: u64, now_ms: u64) {
        // Gone: another operator was told so before, or the key was deleted meanwhile.
        let Some(act) = self.pending.remove(&seq) else { return };
        if act.is_deletion {
            self.gone.insert(act.key, (seq, now_ms));
        } else {
            self.there.insert(act.key, seq);
        }
    }

    /// Changes that operators go on to ask after.
    pub(crate) fn pending(&self) -> Vec<u64> {
        self.pending.keys().copied().collect()
    }

    /// Whether that pending change deletes a key.
    pub(crate) fn is_deletion(&self, seq: u64) -> bool {
        self.pending.get(&seq).is_some_and(|act| act.is_deletion)
    }

    pub(crate) fn revoked(&self) -> usize {
        self.gone.len()
    }

    pub(crate) fn is_there(&self, table: &KeyTable, key: KeyId) -> bool {
        self.hashes.get(&key).is_some_and(|hash| table.lookup(hash).is_some())
    }

    /// Holds a gateway against what operators were told.
    ///
    /// # Errors
    /// What it does wrong.
    pub(crate) fn judge(&self, name: &str, table: &KeyTable, clock: &Clock) -> Result<(), String> {
        let standing = table.trust().standing(clock);
        if standing == Standing::Over {
            return Ok(());
        }
        for (key, (seq, told_ms)) in &self.gone {
            if self.is_there(table, *key) {
                return Err(format!(
                    "{name} ({standing:?}) admits {key}, which change {seq} deleted: said to be complete at {told_ms} ms"
                ));
            }
        }
        for (key, seq) in self.there.iter().filter(|_| standing == Standing::Fresh) {
            if !self.is_there(table, *key) {
                return Err(format!(
                    "{name} says that {key} does not exist, which change {seq} created everywhere"
                ));
            }
        }
        Ok(())
    }
}
