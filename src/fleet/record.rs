//! Records as the hub keeps them, from and into what the key table is told.
//!
//! Promises that what goes out comes back the same. Never holds a secret: a key is its hash.

use std::fmt::Write;

use super::hub::{HubError, KeyRecord, OrganizationRecord};
use crate::domain::scope::Scope;
use crate::domain::secret::SecretHash;
use crate::domain::zone::Zone;
use crate::keytable::{KeyFacts, OrganizationFacts};

impl From<&OrganizationFacts> for OrganizationRecord {
    fn from(facts: &OrganizationFacts) -> OrganizationRecord {
        OrganizationRecord {
            id: facts.id,
            slug: facts.slug.as_str().to_owned(),
            zone: facts.zone.iana_name().unwrap_or("UTC").to_owned(),
            limits: facts.limits.clone(),
            agents: facts.agents.iter().map(|(slug, id)| (slug.as_str().to_owned(), *id)).collect(),
        }
    }
}

impl TryFrom<OrganizationRecord> for OrganizationFacts {
    type Error = HubError;

    fn try_from(record: OrganizationRecord) -> Result<OrganizationFacts, HubError> {
        let foreign = |what: &str| HubError::Foreign(format!("organization {}: {what}", record.id));
        let zone: Zone = record.zone.parse().map_err(|_| foreign("its time zone"))?;
        let mut agents = Vec::with_capacity(record.agents.len());
        for (slug, id) in &record.agents {
            agents.push((slug.parse().map_err(|_| foreign("the slug of an agent"))?, *id));
        }
        Ok(OrganizationFacts {
            id: record.id,
            slug: record.slug.parse().map_err(|_| foreign("its slug"))?,
            zone: zone.rules().clone(),
            limits: record.limits,
            agents,
        })
    }
}

impl From<&KeyFacts> for KeyRecord {
    fn from(facts: &KeyFacts) -> KeyRecord {
        KeyRecord {
            id: facts.id,
            organization: facts.organization,
            hash: hash_text(&facts.hash),
            agent: match facts.scope {
                Scope::Organization => None,
                Scope::Agent(agent) => Some(agent),
            },
            access: facts.access,
            expires_at: facts.expires_at,
            disabled: facts.disabled,
            limits: facts.limits.clone(),
        }
    }
}

impl TryFrom<KeyRecord> for KeyFacts {
    type Error = HubError;

    fn try_from(record: KeyRecord) -> Result<KeyFacts, HubError> {
        let hash = parse_hash(&record.hash);
        Ok(KeyFacts {
            id: record.id,
            organization: record.organization,
            hash: hash.ok_or_else(|| HubError::Foreign(format!("key {}: its hash", record.id)))?,
            scope: record.agent.map_or(Scope::Organization, Scope::Agent),
            access: record.access,
            expires_at: record.expires_at,
            disabled: record.disabled,
            limits: record.limits,
        })
    }
}

/// A hash as 64 lower-case hexadecimal digits.
pub(super) fn hash_text(hash: &SecretHash) -> String {
    let mut text = String::with_capacity(64);
    for byte in hash.as_bytes() {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}

/// The hash that [`hash_text`] wrote.
pub(super) fn parse_hash(text: &str) -> Option<SecretHash> {
    let digits = text.as_bytes();
    if digits.len() != 64 {
        return None;
    }
    let mut bytes = [0_u8; 32];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        for digit in pair {
            let value = match digit {
                b'0'..=b'9' => digit - b'0',
                b'a'..=b'f' => digit - b'a' + 10,
                _ => return None,
            };
            *byte = *byte << 4 | value;
        }
    }
    Some(SecretHash::from(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::clock::UnixMillis;
    use crate::domain::id::{AgentId, KeyId, OrganizationId};
    use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
    use crate::domain::scope::Access;

    fn limits() -> Limits {
        Limits {
            rate: Some(Rate { requests: 10, per: Period::Minute, burst: 3 }),
            concurrency: Some(7),
            quotas: Some(vec![Quota { requests: 1_000, per: Window::Month }]),
        }
    }

    #[test]
    fn a_key_comes_back_as_it_went_out() {
        let full = KeyFacts {
            id: KeyId::generate(),
            organization: OrganizationId::generate(),
            hash: SecretHash::of(b"secret"),
            scope: Scope::Agent(AgentId::generate()),
            access: Access::Read,
            expires_at: Some(UnixMillis(5)),
            disabled: true,
            limits: limits(),
        };
        let plain = KeyFacts {
            scope: Scope::Organization,
            access: Access::All,
            expires_at: None,
            disabled: false,
            limits: Limits::default(),
            ..full.clone()
        };
        for facts in [full, plain] {
            let text = serde_json::to_string(&KeyRecord::from(&facts)).unwrap();
            let back: KeyRecord = serde_json::from_str(&text).unwrap();
            let back = KeyFacts::try_from(back).unwrap();
            assert_eq!(format!("{back:?}"), format!("{facts:?}"));
            assert_eq!(back.hash, facts.hash);
        }
    }

    #[test]
    fn an_organization_comes_back_as_it_went_out() {
        let facts = OrganizationFacts {
            id: OrganizationId::generate(),
            slug: "acme".parse().unwrap(),
            zone: "Europe/Berlin".parse::<Zone>().unwrap().rules().clone(),
            limits: limits(),
            agents: vec![("echo".parse().unwrap(), AgentId::generate())],
        };
        let text = serde_json::to_string(&OrganizationRecord::from(&facts)).unwrap();
        let back: OrganizationRecord = serde_json::from_str(&text).unwrap();
        assert_eq!(format!("{:?}", OrganizationFacts::try_from(back).unwrap()), format!("{facts:?}"));
    }

    #[test]
    fn what_this_version_does_not_understand_is_said_and_not_guessed() {
        assert_eq!(parse_hash(&"G".repeat(64)), None);
        assert_eq!(parse_hash(&"0".repeat(63)), None);
        let record = OrganizationRecord {
            id: OrganizationId::generate(),
            slug: "acme".to_owned(),
            zone: "Mars/Olympus".to_owned(),
            limits: Limits::default(),
            agents: Vec::new(),
        };
        assert!(matches!(OrganizationFacts::try_from(record), Err(HubError::Foreign(_))));
    }
}
