//! How keys end on record; where they are in force they end by [`InForce`](super::InForce).

use super::{Parts, Refused};
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
}
