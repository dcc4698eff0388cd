//! Management tokens in SQL: a token as its BLAKE3 hash.

use super::change::Change;
use super::column::parse;
use super::database::Database;
use super::error::StoreError;
use crate::domain::id::TokenId;
use crate::domain::secret::SecretHash;

impl Database {
    /// The id and name of the management token with this hash.
    pub(crate) async fn management_token(
        &self,
        hash: SecretHash,
    ) -> Result<Option<(TokenId, String)>, StoreError> {
        let row: Option<(String, String)> =
            sqlx::query_as("SELECT id, name FROM management_tokens WHERE hash = $1")
                .bind(hash.as_bytes().as_slice())
                .fetch_optional(self.readers())
                .await?;
        row.map(|(id, name)| Ok((parse("management token", "id", &id)?, name))).transpose()
    }
}

impl Change {
    /// Adds a management token under the hash of its secret.
    pub(crate) async fn insert_management_token(
        &mut self,
        id: TokenId,
        name: &str,
        hash: SecretHash,
    ) -> Result<(), StoreError> {
        let at = self.at().as_i64();
        sqlx::query("INSERT INTO management_tokens (id, name, hash, created_at) VALUES ($1, $2, $3, $4)")
            .bind(id.to_string())
            .bind(name)
            .bind(hash.as_bytes().as_slice())
            .bind(at)
            .execute(self.connection())
            .await?;
        Ok(())
    }
}
