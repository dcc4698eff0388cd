//! Management tokens: made, listed, revoked, and whose they are.
//!
//! Promises that a token is kept as its BLAKE3 hash and returned once.

use super::{Caller, Operations, Refused};
use crate::domain::id::TokenId;
use crate::domain::name::Name;
use crate::domain::secret::{Secret, SecretFormat, SecretHash, SystemRandomness};
use crate::store::{Action, Database, ManagementToken};

impl Operations {
    /// Who presents `credential` as a management token; nobody where it is none.
    ///
    /// # Errors
    /// Where the database does not answer.
    pub async fn authenticate(&self, credential: &[u8]) -> Result<Option<Caller>, Refused> {
        // Format and checksum first: scans and typos cost neither a hash nor a query.
        if !SecretFormat::management_tokens().is_well_formed(credential) {
            return Ok(None);
        }
        let found = self.0.database.management_token(SecretHash::of(credential)).await?;
        Ok(found.map(|(id, name)| Caller::token(&id.to_string(), &name)))
    }
}

/// Makes a management token called `name`, or after its own last characters.
///
/// # Errors
/// Where there is no randomness, or the database does not do it.
pub async fn create_token(
    database: &Database,
    caller: &Caller,
    name: Option<Name>,
) -> Result<Secret, Refused> {
    let secret = SecretFormat::management_tokens().generate(&mut SystemRandomness)?;
    let name = name.map_or_else(|| secret.hint(), String::from);
    let id = TokenId::generate();
    let mut change = database.change(caller.actor()).await?;
    change.insert_management_token(id, &name, secret.hash()).await?;
    change.note(Action::TokenCreated, &id.to_string(), &name, None).await?;
    change.commit().await?;
    Ok(secret)
}

/// Every management token, oldest first, without its secret.
///
/// # Errors
/// Where the database does not answer.
pub async fn list_tokens(database: &Database) -> Result<Vec<ManagementToken>, Refused> {
    Ok(database.management_tokens().await?)
}

/// Revokes a management token: the next request that presents it is refused.
///
/// # Errors
/// Where there is none with this id, or the database does not do it.
pub async fn revoke_token(database: &Database, caller: &Caller, id: TokenId) -> Result<(), Refused> {
    let mut change = database.change(caller.actor()).await?;
    let name = change.delete_management_token(id).await?.ok_or(Refused::NotFound)?;
    change.note(Action::TokenRevoked, &id.to_string(), &name, None).await?;
    change.commit().await?;
    Ok(())
}
