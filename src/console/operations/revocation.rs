//! How keys end: deleted on record, then refused and cut everywhere, and only then said to be.

use super::{Parts, Refused, ids_and_hashes};
use crate::console::view::{Instant, RevocationState, RevocationView};
use crate::domain::clock::Moment;
use crate::domain::key::Key;
use crate::domain::secret::SecretHash;
use crate::store::Change;

impl Parts {
    /// Deletes `keys` within `change`.
    pub(super) async fn delete_keys(
        &self,
        change: &mut Change,
        keys: &[(Key, SecretHash)],
    ) -> Result<(), Refused> {
        for (key, hash) in keys {
            change.delete_key(key.id).await?;
            change.note_key_deleted(key, *hash).await?;
        }
        Ok(())
    }

    /// Ends keys whose deletion is committed, and says how far that got since `started`.
    pub(super) async fn revoke(&self, keys: &[(Key, SecretHash)], started: Moment) -> RevocationView {
        let report = self.keys.revoke(&ids_and_hashes(keys)).await;
        let now = self.clock.now();
        // The keys are out of the table either way; what may be left is a worker that has not yet said it cut.
        let complete = report.workers_awaited == 0;
        RevocationView {
            state: if complete { RevocationState::Complete } else { RevocationState::Pending },
            gateways: report.gateways,
            confirmed: if complete { report.gateways } else { 0 },
            awaiting: if complete { Vec::new() } else { vec!["this gateway".to_owned()] },
            took_ms: now.nanos_since(started) / 1_000_000,
            effective_by: Instant(now.unix),
        }
    }
}
