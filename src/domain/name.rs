//! What people and programs call things: display names and slugs.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// Longest display name, in characters.
pub const NAME_CHARS_MAX: usize = 64;
/// Longest slug, in bytes: a DNS label, because an agent may be named by a host's first label.
pub const SLUG_BYTES_MAX: usize = 63;

/// A display name: 1–64 characters of any script after trimming, no control characters.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Name(String);

/// Why a text is not a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidName {
    /// Nothing is left after trimming.
    #[error("a name needs at least one character that is not white space")]
    Empty,
    /// More than [`NAME_CHARS_MAX`] characters.
    #[error("a name has at most 64 characters")]
    TooLong,
    /// A control character, which no page or terminal should be asked to show.
    #[error("a name has no control characters")]
    ControlCharacter,
}

impl Name {
    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = InvalidName;

    fn from_str(text: &str) -> Result<Name, InvalidName> {
        let trimmed = text.trim();
        if trimmed.is_empty() {
            return Err(InvalidName::Empty);
        }
        if trimmed.chars().any(char::is_control) {
            return Err(InvalidName::ControlCharacter);
        }
        if trimmed.chars().count() > NAME_CHARS_MAX {
            return Err(InvalidName::TooLong);
        }
        Ok(Name(trimmed.to_owned()))
    }
}

impl TryFrom<String> for Name {
    type Error = InvalidName;

    fn try_from(text: String) -> Result<Name, InvalidName> {
        text.parse()
    }
}

impl From<Name> for String {
    fn from(name: Name) -> String {
        name.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A name for addresses and paths: lower-case letters, digits and inner hyphens, at most 63 bytes, never the form
/// of an id (so that `{org}` and `{agent}` in a path may be either).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(Box<str>);

/// Why a text is not a slug.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidSlug {
    /// Characters, hyphens or length are not those of a slug.
    #[error("a slug has 1 to 63 lower-case letters, digits and hyphens, and no hyphen at its ends")]
    Form,
    /// It would be taken for an id.
    #[error("a slug must not look like an id")]
    LooksLikeId,
}

impl Slug {
    /// The slug as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = InvalidSlug;

    fn from_str(text: &str) -> Result<Slug, InvalidSlug> {
        let bytes = text.as_bytes();
        let inner = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit() || *b == b'-';
        let ends_well = |b: Option<&u8>| b.is_some_and(|b| *b != b'-');
        if bytes.len() > SLUG_BYTES_MAX
            || !bytes.iter().all(inner)
            || !ends_well(bytes.first())
            || !ends_well(bytes.last())
        {
            return Err(InvalidSlug::Form);
        }
        if text.parse::<super::id::KeyId>().is_ok() {
            return Err(InvalidSlug::LooksLikeId);
        }
        Ok(Slug(text.into()))
    }
}

impl TryFrom<String> for Slug {
    type Error = InvalidSlug;

    fn try_from(text: String) -> Result<Slug, InvalidSlug> {
        text.parse()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> String {
        slug.0.into()
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_trimmed_and_bounded() {
        assert_eq!("  Größe ✓ ".parse::<Name>().unwrap().as_str(), "Größe ✓");
        assert_eq!(" \t".parse::<Name>(), Err(InvalidName::Empty));
        assert_eq!("a\u{7}b".parse::<Name>(), Err(InvalidName::ControlCharacter));
        assert!("😀".repeat(64).parse::<Name>().is_ok());
        assert_eq!("😀".repeat(65).parse::<Name>(), Err(InvalidName::TooLong));
    }

    #[test]
    fn a_slug_fits_a_host_label_and_is_never_an_id() {
        for good in ["a", "7", "echo", "my-agent-2", &"x".repeat(63)] {
            assert!(good.parse::<Slug>().is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "A", "a_b", "a.b", "ä", &"x".repeat(64)] {
            assert_eq!(bad.parse::<Slug>(), Err(InvalidSlug::Form), "{bad}");
        }
        let id = super::super::id::KeyId::generate().to_string();
        assert_eq!(id.parse::<Slug>(), Err(InvalidSlug::LooksLikeId));
    }
}
