//! Phase 3: where the credential is in a request, and that there is only one.
//!
//! Promises that two readings of a request never find two different keys: duplicates, lists and contradictions are
//! refused. Never decides whether a key is good.

use std::borrow::Cow;

use super::http1::field::{Field, Meaning};
use crate::domain::denial::Denial;
use crate::domain::secret::SecretFormat;

/// The bytes that a client presented.
#[derive(Clone, Copy)]
pub(crate) struct Credential<'b>(pub(crate) &'b [u8]);

/// Finds the one credential. `allowed` are the query parameters that may carry it on this route.
#[expect(clippy::wildcard_enum_match_arm, reason = "fields that carry no credential are passed over")]
pub(crate) fn find<'b>(
    fields: &[Field<'b>],
    path: &str,
    query: Option<&'b str>,
    allowed: &[String],
    format: &SecretFormat,
) -> Result<Credential<'b>, Denial> {
    let mut found: Option<&'b [u8]> = None;
    let mut api_keys = 0;
    let mut authorizations = 0;
    for field in fields {
        let presented = match field.meaning {
            // `x_api_key` is no credential here, and is cut like one, so that no backend takes it for one either.
            Meaning::ApiKey if field.name.contains('_') => continue,
            Meaning::ApiKey => {
                api_keys += 1;
                Some(field.value)
            }
            Meaning::Authorization => {
                authorizations += 1;
                bearer(field.value)
            }
            _ => None,
        };
        if let Some(presented) = presented {
            agree(&mut found, presented)?;
        }
    }
    if api_keys > 1 || authorizations > 1 {
        return Err(Denial::MalformedKey);
    }
    if contains_key(path.as_bytes(), format) {
        return Err(Denial::MalformedKey);
    }
    if let Some(query) = query {
        let mut carried = 0;
        for (name, value) in parameters(query) {
            let plain = decoded(name);
            if allowed.iter().any(|allowed| *allowed == plain) {
                carried += 1;
                agree(&mut found, value.as_bytes())?;
            } else if contains_key(decoded(value).as_bytes(), format)
                || contains_key(plain.as_bytes(), format)
            {
                return Err(Denial::MalformedKey);
            }
        }
        if carried > 1 {
            return Err(Denial::MalformedKey);
        }
    }
    found.map(Credential).ok_or(Denial::MissingKey)
}

/// The same credential twice is one; two different ones are none.
fn agree<'b>(found: &mut Option<&'b [u8]>, presented: &'b [u8]) -> Result<(), Denial> {
    match found {
        Some(before) if *before != presented => Err(Denial::MalformedKey),
        _ => {
            *found = Some(presented);
            Ok(())
        }
    }
}

/// What follows `Bearer` (RFC 6750 section 2.1); `None` for another scheme.
fn bearer(value: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = value.split_at_checked(6)?;
    let is_bearer = scheme.eq_ignore_ascii_case(b"bearer");
    let separated = rest.is_empty() || rest.first() == Some(&b' ');
    (is_bearer && separated).then(|| rest.trim_ascii())
}

/// Whether `value` of an `Authorization` field is a key, or may be one: it is never forwarded then.
pub(crate) fn is_bearer_of_key(value: &[u8], format: &SecretFormat) -> bool {
    bearer(value).is_some_and(|token| contains_key(token, format))
}

/// Whether a well-formed key stands anywhere in `bytes`.
pub(crate) fn contains_key(bytes: &[u8], format: &SecretFormat) -> bool {
    let length = format.secret_bytes();
    if bytes.len() < length {
        return false;
    }
    let prefix = format.prefix().as_bytes();
    memchr::memmem::find_iter(bytes, prefix)
        .any(|at| bytes.get(at..at + length).is_some_and(|candidate| format.is_well_formed(candidate)))
}

/// `text` with its percent-encodings of ASCII decoded: as a backend reads it, as far as names and keys go.
pub(crate) fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('%') {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('%') {
        plain.push_str(before);
        let byte = after.get(..2).and_then(|digits| u8::from_str_radix(digits, 16).ok()).filter(u8::is_ascii);
        match byte {
            Some(byte) => {
                plain.push(char::from(byte));
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                plain.push('%');
                rest = after;
            }
        }
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}

/// Name and value of each query parameter, undecoded.
pub(crate) fn parameters(query: &str) -> impl Iterator<Item = (&str, &str)> {
    query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")))
}

/// `query` without the parameters that carried the credential.
pub(crate) fn without_credentials(query: &str, allowed: &[String]) -> String {
    let kept: Vec<&str> = query
        .split('&')
        .filter(|pair| {
            let name = decoded(pair.split_once('=').map_or(*pair, |(name, _)| name));
            !allowed.iter().any(|allowed| *allowed == name)
        })
        .collect();
    kept.join("&")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::secret::SystemRandomness;

    fn key() -> String {
        SecretFormat::keys().generate(&mut SystemRandomness).unwrap().expose().to_owned()
    }

    fn find_in(
        fields: &[(&'static str, String)],
        query: Option<&str>,
        allowed: &[&str],
    ) -> Result<Vec<u8>, Denial> {
        let fields: Vec<Field<'_>> =
            fields.iter().map(|(name, value)| Field::new(name, value.as_bytes())).collect();
        let allowed: Vec<String> = allowed.iter().map(|name| (*name).to_owned()).collect();
        find(&fields, "/", query, &allowed, &SecretFormat::keys()).map(|credential| credential.0.to_vec())
    }

    #[test]
    fn a_key_is_found_in_either_field_and_both_when_they_agree() {
        let key = key();
        let bearer = || ("Authorization", format!("bearer  {key}"));
        let plain = || ("X-Api-Key", key.clone());
        assert_eq!(find_in(&[plain()], None, &[]).unwrap(), key.as_bytes());
        assert_eq!(find_in(&[bearer()], None, &[]).unwrap(), key.as_bytes());
        assert_eq!(find_in(&[plain(), bearer()], None, &[]).unwrap(), key.as_bytes());
        let basic = ("authorization", "Basic eDp5".to_owned());
        assert_eq!(find_in(&[plain(), basic.clone()], None, &[]).unwrap(), key.as_bytes());
        assert_eq!(find_in(&[basic], None, &[]), Err(Denial::MissingKey));
        assert_eq!(find_in(&[("x_api_key", key.clone())], None, &[]), Err(Denial::MissingKey));
    }

    #[test]
    fn contradictions_and_duplicates_are_refused() {
        let (one, other) = (key(), key());
        let field = |value: &str| ("x-api-key", value.to_owned());
        assert_eq!(find_in(&[field(&one), field(&one)], None, &[]), Err(Denial::MalformedKey));
        let bearer = ("authorization", format!("Bearer {other}"));
        assert_eq!(find_in(&[field(&one), bearer.clone()], None, &[]), Err(Denial::MalformedKey));
        assert_eq!(find_in(&[bearer.clone(), bearer], None, &[]), Err(Denial::MalformedKey));
    }

    #[test]
    fn a_key_in_the_query_is_refused_unless_the_route_takes_it_there() {
        let key = key();
        let query = format!("a=1&api_key={key}&b=2");
        assert_eq!(find_in(&[], Some(&query), &[]), Err(Denial::MalformedKey));
        assert_eq!(find_in(&[], Some(&query), &["api_key"]).unwrap(), key.as_bytes());
        let encoded = format!("a=1&b=ks%5f{}", &key["ks_".len()..]);
        assert_eq!(find_in(&[], Some(&encoded), &[]), Err(Denial::MalformedKey));
        let twice_named = format!("api_key={key}&api%5Fkey={key}");
        assert_eq!(find_in(&[], Some(&twice_named), &["api_key"]), Err(Denial::MalformedKey));
        let twice = format!("api_key={key}&api_key={key}");
        assert_eq!(find_in(&[], Some(&twice), &["api_key"]), Err(Denial::MalformedKey));
        assert_eq!(without_credentials(&query, &["api_key".to_owned()]), "a=1&b=2");
    }
}
