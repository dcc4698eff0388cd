//! Management tokens in SQL: a token as its BLAKE3 hash.

use super::change::Change;
use super::column::parse;
use super::database::Database;
use super::engine::query;
use super::error::StoreError;
use crate::domain::clock::UnixMillis;
use crate::domain::id::TokenId;
use crate::domain::secret::SecretHash;

impl Database {
    /// The id and name of the management token with this hash.
    pub(crate) async fn management_token(
        &self,
        hash: SecretHash,
    ) -> Result<Option<(TokenId, String)>, StoreError> {
        let row: Option<(String, String)> = query("SELECT id, name FROM management_tokens WHERE hash = $1")
            .bind(hash.as_bytes().as_slice())
            .fetch_optional(self.readers())
            .await?;
        row.map(|(id, name)| Ok((parse("management token", "id", &id)?, name))).transpose()
    }
}

/// A management token, without its hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementToken {
    /// Its id.
    pub id: TokenId,
    /// What the audit log calls it.
    pub name: String,
    /// When it was made.
    pub created_at: UnixMillis,
}

impl Database {
    /// Every management token, oldest first.
    pub(crate) async fn management_tokens(&self) -> Result<Vec<ManagementToken>, StoreError> {
        let rows: Vec<(String, String, i64)> =
            query("SELECT id, name, created_at FROM management_tokens ORDER BY id")
                .fetch_all(self.readers())
                .await?;
        let read = |(id, name, created_at): (String, String, i64)| {
            let created_at = UnixMillis::from_i64(created_at);
            Ok(ManagementToken { id: parse("management token", "id", &id)?, name, created_at })
        };
        rows.into_iter().map(read).collect()
    }
}

impl Change {
    /// Deletes a management token; its name, where there was one.
    pub(crate) async fn delete_management_token(
        &mut self,
        id: TokenId,
    ) -> Result<Option<String>, StoreError> {
        let deleted: Option<(String,)> = query("DELETE FROM management_tokens WHERE id = $1 RETURNING name")
            .bind(id.to_string())
            .fetch_optional(self.connection())
            .await?;
        Ok(deleted.map(|(name,)| name))
    }

    /// Adds a management token under the hash of its secret.
    pub(crate) async fn insert_management_token(
        &mut self,
        id: TokenId,
        name: &str,
        hash: SecretHash,
    ) -> Result<(), StoreError> {
        let at = self.at().as_i64();
        query("INSERT INTO management_tokens (id, name, hash, created_at) VALUES ($1, $2, $3, $4)")
            .bind(id.to_string())
            .bind(name)
            .bind(hash.as_bytes().as_slice())
            .bind(at)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
