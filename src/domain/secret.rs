//! The secret of a key: how it is made, recognised, hashed, hinted at and forgotten.
//!
//! A secret is `prefix_` + 43 base62 characters (256 random bits) + 6 base62 characters (CRC32 of all that precedes).
//! The checksum refuses typos and scans without a hash or a lookup; it authenticates nothing. Promises that a
//! [`Secret`] never shows itself in `Debug` and is wiped when dropped. Never keeps anything but the BLAKE3 hash.

use std::fmt;

use zeroize::Zeroizing;

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
/// Characters of randomness: 62^43 is just above 2^256.
const RANDOM_CHARS: usize = 43;
/// Characters of checksum: 62^6 is just above 2^32.
const CHECKSUM_CHARS: usize = 6;
/// Longest prefix, in bytes, without its underscore.
pub const PREFIX_BYTES_MAX: usize = 16;
/// How many of the last characters people are shown.
const HINT_CHARS: usize = 4;

/// Where the randomness of secrets comes from.
pub trait SecretSource {
    /// Fills `bytes` with bytes that nobody can predict.
    ///
    /// # Errors
    /// Where the operating system has no randomness to give; nothing may be created then.
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness>;
}

/// The operating system gave no randomness.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error("the operating system gave no randomness")]
pub struct NoRandomness;

/// The operating system's generator.
#[derive(Debug, Default, Clone, Copy)]
pub struct SystemRandomness;

impl SecretSource for SystemRandomness {
    fn fill(&mut self, bytes: &mut [u8]) -> Result<(), NoRandomness> {
        getrandom::fill(bytes).map_err(|_| NoRandomness)
    }
}

/// A secret in full. Redacts itself in `Debug`, has no `Display`, and is wiped when dropped.
#[derive(Clone)]
pub struct Secret(Zeroizing<String>);

impl Secret {
    /// The secret itself: for the answer to its creation, and nothing else.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// What is stored and looked up.
    pub fn hash(&self) -> SecretHash {
        SecretHash::of(self.0.as_bytes())
    }

    /// What people are shown: prefix, an ellipsis, the last four characters.
    pub fn hint(&self) -> String {
        let text: &str = &self.0;
        let prefix_end = text.find('_').map_or(0, |at| at + 1);
        let tail_start = text.len().saturating_sub(HINT_CHARS);
        format!("{}…{}", text.get(..prefix_end).unwrap_or(""), text.get(tail_start..).unwrap_or(""))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// BLAKE3 of a secret: the only form in which one is kept.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Hashes the bytes that a client presented, prefix and checksum included.
    pub fn of(credential: &[u8]) -> SecretHash {
        SecretHash(*blake3::hash(credential).as_bytes())
    }

    /// The 32 bytes, as stored.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl From<[u8; 32]> for SecretHash {
    fn from(bytes: [u8; 32]) -> SecretHash {
        SecretHash(bytes)
    }
}

impl fmt::Debug for SecretHash {
    // A hash cannot be turned back, but it is a lookup key: logs have no use for it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretHash(…)")
    }
}

/// What secrets of one kind look like. Keys have a configurable prefix, management tokens always `ksm`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SecretFormat {
    prefix: Box<str>,
}

/// The text is no prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a key prefix has 1 to 16 letters and digits, such as `ks`")]
pub struct InvalidPrefix;

impl SecretFormat {
    /// Secrets that begin with `prefix` and an underscore.
    ///
    /// # Errors
    /// Where `prefix` is empty, too long, or not only ASCII letters and digits.
    pub fn with_prefix(prefix: &str) -> Result<SecretFormat, InvalidPrefix> {
        let fits = (1..=PREFIX_BYTES_MAX).contains(&prefix.len());
        if !fits || !prefix.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(InvalidPrefix);
        }
        Ok(SecretFormat { prefix: format!("{prefix}_").into() })
    }

    /// The format of keys unless a prefix is configured: `ks_…`.
    pub fn keys() -> SecretFormat {
        SecretFormat { prefix: "ks_".into() }
    }

    /// The format of management tokens: `ksm_…`.
    pub fn management_tokens() -> SecretFormat {
        SecretFormat { prefix: "ksm_".into() }
    }

    /// The format of what a session's cookie holds: `kss_…`.
    pub fn sessions() -> SecretFormat {
        SecretFormat { prefix: "kss_".into() }
    }

    /// The format of what an invitation's link ends with: `ksi_…`.
    pub fn invitations() -> SecretFormat {
        SecretFormat { prefix: "ksi_".into() }
    }

    /// The format of what a browser keeps to be known again: `ksb_…`.
    pub fn browsers() -> SecretFormat {
        SecretFormat { prefix: "ksb_".into() }
    }

    /// The formats of every secret that is not a key.
    pub fn besides_keys() -> [SecretFormat; 4] {
        [Self::management_tokens(), Self::sessions(), Self::invitations(), Self::browsers()]
    }

    /// The prefix without its underscore.
    pub fn prefix(&self) -> &str {
        self.prefix.trim_end_matches('_')
    }

    /// Length in bytes of every secret of this format.
    pub fn secret_bytes(&self) -> usize {
        self.prefix.len() + RANDOM_CHARS + CHECKSUM_CHARS
    }

    /// One regular expression that finds every leaked secret of this format.
    pub fn pattern(&self) -> String {
        format!("{}[0-9A-Za-z]{{{}}}", self.prefix, RANDOM_CHARS + CHECKSUM_CHARS)
    }

    /// Makes a new secret.
    ///
    /// # Errors
    /// Where `source` has no randomness to give.
    pub fn generate(&self, source: &mut dyn SecretSource) -> Result<Secret, NoRandomness> {
        let mut text = Zeroizing::new(String::with_capacity(self.secret_bytes()));
        text.push_str(&self.prefix);
        let mut drawn = Zeroizing::new([0_u8; 64]);
        let mut left = RANDOM_CHARS;
        while left > 0 {
            source.fill(drawn.as_mut())?;
            // Rejection sampling: 248 is the largest multiple of 62 in a byte, so no character is likelier.
            for byte in drawn.iter().filter(|byte| **byte < 248).take(left) {
                text.push(base62(u32::from(*byte)));
                left -= 1;
            }
        }
        let checksum = crc32fast::hash(text.as_bytes());
        text.push_str(std::str::from_utf8(&checksum_chars(checksum)).unwrap_or_default());
        Ok(Secret(text))
    }

    /// Whether `credential` has this format: prefix, length, alphabet and checksum. Says nothing about whether such
    /// a key exists.
    pub fn is_well_formed(&self, credential: &[u8]) -> bool {
        if credential.len() != self.secret_bytes() || !credential.starts_with(self.prefix.as_bytes()) {
            return false;
        }
        let (body, checksum) = credential.split_at(credential.len() - CHECKSUM_CHARS);
        let random = body.get(self.prefix.len()..).unwrap_or_default();
        random.iter().all(u8::is_ascii_alphanumeric) && checksum == checksum_chars(crc32fast::hash(body))
    }
}

fn base62(value: u32) -> char {
    let index = usize::try_from(value % 62).unwrap_or(0);
    ALPHABET.get(index).copied().map_or('0', char::from)
}

/// The CRC32 as six base62 digits, most significant first.
fn checksum_chars(checksum: u32) -> [u8; CHECKSUM_CHARS] {
    let mut digits = [b'0'; CHECKSUM_CHARS];
    let mut rest = checksum;
    for digit in digits.iter_mut().rev() {
        *digit = ALPHABET.get((rest % 62) as usize).copied().unwrap_or(b'0');
        rest /= 62;
    }
    digits
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_generated_secret_is_well_formed_and_told_by_its_pattern() {
        let format = SecretFormat::keys();
        let secret = format.generate(&mut SystemRandomness).unwrap();
        assert_eq!(secret.expose().len(), 3 + 43 + 6);
        assert!(format.is_well_formed(secret.expose().as_bytes()));
        assert!(!SecretFormat::management_tokens().is_well_formed(secret.expose().as_bytes()));
        assert_eq!(format.pattern(), "ks_[0-9A-Za-z]{49}");
    }

    #[test]
    fn debug_and_hint_do_not_give_a_secret_away() {
        let secret = SecretFormat::keys().generate(&mut SystemRandomness).unwrap();
        assert_eq!(format!("{secret:?}"), "Secret(…)");
        let hint = secret.hint();
        assert_eq!(hint.chars().count(), 3 + 1 + 4);
        assert!(hint.starts_with("ks_…") && secret.expose().ends_with(&hint["ks_…".len()..]));
        assert_eq!(format!("{:?}", secret.hash()), "SecretHash(…)");
    }

    #[test]
    fn a_secret_takes_every_character_of_its_alphabet() {
        let format = SecretFormat::keys();
        let mut seen = std::collections::BTreeSet::new();
        for _ in 0..200 {
            seen.extend(format.generate(&mut SystemRandomness).unwrap().expose()[3..46].chars());
        }
        assert_eq!(seen.len(), 62);
    }

    proptest! {
        #[test]
        fn one_changed_character_is_always_noticed(position in 0_usize..52, replacement in "[0-9A-Za-z_]") {
            let format = SecretFormat::keys();
            let secret = format.generate(&mut SystemRandomness).unwrap();
            let mut text = secret.expose().to_owned();
            text.replace_range(position..=position, &replacement);
            prop_assert_eq!(format.is_well_formed(text.as_bytes()), text == secret.expose());
        }

        #[test]
        fn no_bytes_make_the_format_check_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            prop_assert!(!SecretFormat::keys().is_well_formed(&bytes));
        }
    }
}
