//! Ids as types, so that a key's id cannot be passed where an organization's is meant.
//!
//! Every id is a UUID of version 7 (RFC 9562 section 5.7): unique without coordination, and sorting by id sorts by
//! time of creation, which is what lists page by.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: expected a UUID such as 0190b5c8-7d1e-7c3a-9a55-3a1f0c9d2b11")]
pub struct InvalidId;

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id, later in order than those made before it.
            pub fn generate() -> $name {
                $name(Uuid::now_v7())
            }

            /// The 16 bytes of the UUID.
            pub fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.hyphenated().fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0.hyphenated())
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<$name, InvalidId> {
                // Only the hyphenated form: one id has one spelling.
                if text.len() != 36 {
                    return Err(InvalidId);
                }
                Uuid::try_parse(text).map($name).map_err(|_| InvalidId)
            }
        }
    };
}

id! {
    /// A tenant.
    OrganizationId
}
id! {
    /// A backend program of an organization.
    AgentId
}
id! {
    /// A key; not its secret, and safe to log.
    KeyId
}
id! {
    /// A person, whatever they may do and wherever.
    PersonId
}
id! {
    /// A person's place in one organization.
    MemberId
}
id! {
    /// A sign-in of a person; not its secret, and safe to show.
    SessionId
}
id! {
    /// A line of the audit log.
    AuditId
}
id! {
    /// A management token `ksm_…`; not its secret.
    TokenId
}
id! {
    /// One life of a gateway of a fleet: each start is another.
    GatewayId
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_has_one_spelling() {
        let id = KeyId::generate();
        assert_eq!(id.to_string().parse::<KeyId>(), Ok(id));
        assert_eq!(id.to_string().replace('-', "").parse::<KeyId>(), Err(InvalidId));
        assert_eq!("".parse::<KeyId>(), Err(InvalidId));
    }

    #[test]
    fn ids_sort_by_time_of_creation() {
        let ids: Vec<KeyId> = (0..100).map(|_| KeyId::generate()).collect();
        assert!(ids.is_sorted());
    }
}
