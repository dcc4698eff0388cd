//! Operators, their tokens, and who a token belongs to.
//!
//! Promises that a password is kept as its argon2id hash and a token as its BLAKE3 hash; the token is returned once.

use argon2::{Argon2, PasswordHasher};
use zeroize::Zeroizing;

use super::{Caller, Operations, Refused};
use crate::domain::id::{MemberId, TokenId};
use crate::domain::name::Name;
use crate::domain::secret::{Secret, SecretFormat, SecretHash, SystemRandomness};
use crate::store::{Action, Database};

/// Shortest password of a person. NIST SP 800-63B section 3.1.1 asks for 8 and no rules of composition; an operator
/// holds every key of a deployment.
pub const PASSWORD_CHARS_MIN: usize = 12;
/// Longest, so that hashing has a bound.
const PASSWORD_BYTES_MAX: usize = 1_024;
/// Longest e-mail address (RFC 5321 section 4.5.3.1).
const EMAIL_BYTES_MAX: usize = 254;

/// An operator to create.
pub struct NewOperator {
    /// Under which address they sign in.
    pub email: String,
    /// Their password; wiped when dropped.
    pub password: Zeroizing<String>,
}

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
        Ok(found.map(|(_, name)| Caller::operator(&name)))
    }
}

/// Adds an operator to the database of a deployment.
///
/// # Errors
/// Where the address or the password breaks a rule, the address is taken, or the database does not do it.
pub async fn create_operator(
    database: &Database,
    caller: &Caller,
    new: NewOperator,
) -> Result<MemberId, Refused> {
    let email = new.email.trim().to_lowercase();
    let (local, host) = email.split_once('@').unwrap_or_default();
    let is_address = !local.is_empty() && !host.is_empty() && !host.contains('@');
    let is_plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
    if !is_address || !is_plain || email.len() > EMAIL_BYTES_MAX {
        return Err(Refused::field("/email", "expected an e-mail address such as ada@example.com"));
    }
    if new.password.chars().count() < PASSWORD_CHARS_MIN {
        let detail = format!("expected a password of {PASSWORD_CHARS_MIN} or more characters");
        return Err(Refused::field("/password", detail));
    }
    if new.password.len() > PASSWORD_BYTES_MAX {
        return Err(Refused::field("/password", format!("expected at most {PASSWORD_BYTES_MAX} bytes")));
    }
    let hash = hash_password(new.password).await?;
    let id = MemberId::generate();
    let mut change = database.change(caller.name()).await?;
    let inserted = change.insert_operator(id, &email, &hash).await;
    inserted.map_err(|error| Refused::taken(error, "e-mail address"))?;
    change.note(Action::OperatorCreated, &id.to_string(), &email, None).await?;
    change.commit().await?;
    Ok(id)
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
    let mut change = database.change(caller.name()).await?;
    change.insert_management_token(id, &name, secret.hash()).await?;
    change.note(Action::TokenCreated, &id.to_string(), &name, None).await?;
    change.commit().await?;
    Ok(secret)
}

/// argon2id with the crate's parameters (those that OWASP recommends), off the threads that serve.
async fn hash_password(password: Zeroizing<String>) -> Result<String, Refused> {
    let hashed = tokio::task::spawn_blocking(move || {
        Argon2::default().hash_password(password.as_bytes()).map(|hash| hash.to_string())
    });
    match hashed.await {
        Ok(Ok(hash)) => Ok(hash),
        // The only failure of hashing a bounded password is that no salt could be drawn.
        Ok(Err(_)) => Err(crate::domain::secret::NoRandomness.into()),
        Err(_) => Err(Refused::Interrupted),
    }
}
