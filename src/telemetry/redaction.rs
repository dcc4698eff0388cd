//! The last defence against a secret in a log: text that looks like one is not written.
//!
//! Promises that no run of characters in the form of a key or of any other secret of ours passes, in plain spelling or
//! percent-encoded, checksum right or wrong. It decides by form alone and never looks anything up; that no secret is
//! handed to the log in the first place is the gateway's duty.

use std::borrow::Cow;

use memchr::memmem::Finder;

use crate::domain::secret::SecretFormat;

/// What stands in a secret's place.
pub(crate) const REDACTED: &str = "[redacted]";
/// How often a percent-encoding is taken off: twice encoded is what proxies in front make by mistake.
const DECODINGS_MAX: usize = 3;

/// Finds what looks like a secret.
#[derive(Debug, Clone)]
pub(crate) struct Redaction {
    forms: Vec<Form>,
    /// Length of the shortest secret: most texts are shorter and need no search.
    secret_bytes_min: usize,
}

#[derive(Debug, Clone)]
struct Form {
    prefix: Finder<'static>,
    /// Letters and digits that follow the prefix in a secret.
    tail_bytes: usize,
}

impl Redaction {
    /// Redacts every kind of secret there is. Links of invitations come too: a proxy that sends a path of the console to
    /// the gateway is a mistake soon made.
    pub(crate) fn of_all(key_format: &SecretFormat) -> Redaction {
        let mut formats = vec![key_format.clone()];
        formats.extend(SecretFormat::besides_keys());
        Redaction::of(&formats)
    }

    /// Redacts secrets of all these formats.
    pub(super) fn of(formats: &[SecretFormat]) -> Redaction {
        let form = |format: &SecretFormat| {
            let prefix = format!("{}_", format.prefix());
            let tail_bytes = format.secret_bytes().saturating_sub(prefix.len());
            Form { prefix: Finder::new(prefix.as_bytes()).into_owned(), tail_bytes }
        };
        let secret_bytes_min = formats.iter().map(SecretFormat::secret_bytes).min().unwrap_or(usize::MAX);
        Redaction { forms: formats.iter().map(form).collect(), secret_bytes_min }
    }

    /// `text` without what looks like a secret. Allocates only where there is one or something is percent-encoded.
    pub(crate) fn apply<'a>(&self, text: &'a [u8]) -> Cow<'a, [u8]> {
        // An encoded secret is longer than a plain one.
        if text.len() < self.secret_bytes_min {
            return Cow::Borrowed(text);
        }
        if self.is_hidden_in(text) {
            return Cow::Borrowed(REDACTED.as_bytes());
        }
        let Some(mut found) = self.find(text, 0) else {
            return Cow::Borrowed(text);
        };
        let mut clean = Vec::with_capacity(text.len());
        let mut copied = 0;
        loop {
            clean.extend_from_slice(text.get(copied..found.start).unwrap_or_default());
            clean.extend_from_slice(REDACTED.as_bytes());
            copied = found.end;
            match self.find(text, copied) {
                Some(next) => found = next,
                None => break,
            }
        }
        clean.extend_from_slice(text.get(copied..).unwrap_or_default());
        Cow::Owned(clean)
    }

    /// Whether taking off percent-encodings shows a secret that `text` itself does not show as one.
    fn is_hidden_in(&self, text: &[u8]) -> bool {
        let mut decoded = Cow::Borrowed(text);
        for _ in 0..DECODINGS_MAX {
            if memchr::memchr(b'%', &decoded).is_none() {
                return false;
            }
            decoded = Cow::Owned(percent_decoded(&decoded));
            if self.find(&decoded, 0).is_some() {
                return true;
            }
        }
        false
    }

    /// The first stretch from `from` on that looks like a secret, with all letters, digits and underscores that
    /// follow it.
    fn find(&self, text: &[u8], from: usize) -> Option<std::ops::Range<usize>> {
        self.forms.iter().filter_map(|form| form.find(text, from)).min_by_key(|range| range.start)
    }
}

impl Form {
    fn find(&self, text: &[u8], from: usize) -> Option<std::ops::Range<usize>> {
        let mut searched = from;
        loop {
            let start = searched + self.prefix.find(text.get(searched..)?)?;
            let tail = start + self.prefix.needle().len();
            let rest = text.get(tail..)?;
            if rest.iter().take_while(|byte| byte.is_ascii_alphanumeric()).count() >= self.tail_bytes {
                // What follows without a break may be the rest of another secret.
                let is_secret = |byte: &&u8| byte.is_ascii_alphanumeric() || **byte == b'_';
                return Some(start..tail + rest.iter().take_while(is_secret).count());
            }
            searched = tail;
        }
    }
}

/// One percent-encoding taken off; what is no encoding stays as it is.
fn percent_decoded(text: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(value) if *byte == b'%' => {
                decoded.push(value);
                rest = after.get(2..).unwrap_or_default();
            }
            Some(_) | None => {
                decoded.push(*byte);
                rest = after;
            }
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::SystemRandomness;

    fn redaction() -> Redaction {
        Redaction::of_all(&SecretFormat::keys())
    }

    fn applied(text: &str) -> String {
        String::from_utf8(redaction().apply(text.as_bytes()).into_owned()).unwrap()
    }

    fn secret(format: &SecretFormat) -> String {
        format.generate(&mut SystemRandomness).unwrap().expose().to_owned()
    }

    #[test]
    fn keys_and_tokens_are_replaced_wherever_they_stand() {
        let key = secret(&SecretFormat::keys());
        let token = secret(&SecretFormat::management_tokens());
        assert_eq!(applied(&format!("/a/{key}/b")), "/a/[redacted]/b");
        assert_eq!(applied(&format!("/{token}{key}")), "/[redacted]");
        assert_eq!(applied(&format!("/{key};{token}.json")), "/[redacted];[redacted].json");
        assert_eq!(applied(&format!("/ks_short/{key}")), "/ks_short/[redacted]");
        assert_eq!(applied(&format!("/{key}more")), "/[redacted]");
    }

    #[test]
    fn what_people_sign_in_with_is_replaced_too() {
        for format in SecretFormat::besides_keys() {
            assert_eq!(applied(&format!("/invitations/{}", secret(&format))), "/invitations/[redacted]");
        }
    }

    #[test]
    fn a_percent_encoded_key_is_not_written() {
        let key = secret(&SecretFormat::keys());
        let encoded: String = key.bytes().map(|byte| format!("%{byte:02X}")).collect();
        assert_eq!(applied(&format!("/a/{encoded}")), REDACTED);
        assert_eq!(applied(&format!("/a/{}", encoded.replace('%', "%25"))), REDACTED);
        assert_eq!(applied(&format!("/a/%6Bs_{}", &key[3..])), REDACTED);
    }

    #[test]
    fn other_text_is_left_as_it_is() {
        for text in ["", "/", "/agents/echo/run", "/ks_", "/100%", "/%zz/%4", "/ks_0123456789", "/%E2%82%AC"]
        {
            assert_eq!(applied(text), text);
        }
    }

    #[test]
    fn a_configured_prefix_is_what_is_looked_for() {
        let format = SecretFormat::with_prefix("acme").unwrap();
        let redaction = Redaction::of(std::slice::from_ref(&format));
        let path = format!("/{}", secret(&format));
        assert_eq!(&*redaction.apply(path.as_bytes()), b"/[redacted]");
    }
}
