//! A person: somebody who signs in, whatever they may do and in however many organizations.
//!
//! Promises that an address has one spelling, so that nobody is two people by the case of a letter. Never holds a
//! password or its hash.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::clock::UnixMillis;
use super::id::PersonId;
use super::name::Name;
use super::zone::Zone;

/// Longest e-mail address, in bytes (RFC 5321 section 4.5.3.1).
pub const EMAIL_BYTES_MAX: usize = 254;

/// An e-mail address in lower case, trimmed. Whether mail arrives there is not known.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Email(Box<str>);

/// The text is no e-mail address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected an e-mail address such as ada@example.com")]
pub struct InvalidEmail;

impl Email {
    /// The address as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands behind the `@`.
    pub fn host(&self) -> &str {
        self.0.rsplit_once('@').map_or("", |(_, host)| host)
    }
}

impl FromStr for Email {
    type Err = InvalidEmail;

    fn from_str(text: &str) -> Result<Email, InvalidEmail> {
        let email = text.trim().to_lowercase();
        let (local, host) = email.split_once('@').ok_or(InvalidEmail)?;
        let is_plain = !email.chars().any(|c| c.is_control() || c.is_whitespace());
        let is_address = !local.is_empty() && !host.is_empty() && !host.contains('@');
        if !is_plain || !is_address || email.len() > EMAIL_BYTES_MAX {
            return Err(InvalidEmail);
        }
        Ok(Email(email.into()))
    }
}

impl TryFrom<String> for Email {
    type Error = InvalidEmail;

    fn try_from(text: String) -> Result<Email, InvalidEmail> {
        text.parse()
    }
}

impl From<Email> for String {
    fn from(email: Email) -> String {
        email.0.into()
    }
}

impl fmt::Display for Email {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A person's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Person {
    /// Their id.
    pub id: PersonId,
    /// The address they sign in with.
    pub email: Email,
    /// What they want to be called.
    pub name: Option<Name>,
    /// The zone they want to read times in; the organization's, unless set.
    pub zone: Option<Zone>,
    /// Whether they run the deployment.
    pub is_operator: bool,
    /// When they were first invited or made an operator.
    pub created_at: UnixMillis,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_one_spelling() {
        assert_eq!(" Ada@Example.COM ".parse::<Email>().unwrap().as_str(), "ada@example.com");
        assert_eq!("ada@example.com".parse::<Email>().unwrap().host(), "example.com");
        for bad in [
            "",
            "ada",
            "@example.com",
            "ada@",
            "a@b@c",
            "a b@c",
            "a\u{7}@b",
            &format!("a@{}", "b".repeat(300)),
        ] {
            assert!(bad.parse::<Email>().is_err(), "{bad:?}");
        }
    }
}
