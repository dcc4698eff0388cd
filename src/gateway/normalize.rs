//! Phase 1: one canonical form of the path. What matched is what is forwarded.
//!
//! Owns dot segments, percent-encodings and duplicate slashes (RFC 3986 section 6.2.2). Promises that no two spellings
//! of a path are routed differently, and that nothing a backend could read as a step upwards gets through.

use std::borrow::Cow;

use crate::domain::denial::Denial;

/// A path in its one spelling.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct CanonicalPath<'b> {
    pub(crate) text: Cow<'b, str>,
    /// Holds `%2F` or `%5C`, which only some routes pass on.
    pub(crate) has_encoded_slash: bool,
}

/// Canonicalises `path`, which begins with a slash.
pub(crate) fn canonical(path: &str) -> Result<CanonicalPath<'_>, Denial> {
    let bytes = path.as_bytes();
    let plain =
        memchr::memchr(b'%', bytes).is_none() && bytes.windows(2).all(|pair| pair != b"//" && pair != b"/.");
    if plain {
        return Ok(CanonicalPath { text: Cow::Borrowed(path), has_encoded_slash: false });
    }
    let mut has_encoded_slash = false;
    let mut kept: Vec<String> = Vec::new();
    let mut ends_open = false;
    for segment in path.get(1..).unwrap_or_default().split('/') {
        ends_open = false;
        match segment {
            "" | "." => ends_open = true,
            ".." => {
                // A step above the root has no meaning that all recipients share.
                kept.pop().ok_or(Denial::BadRequest)?;
                ends_open = true;
            }
            _ => {
                let decoded = decode(segment)?;
                has_encoded_slash |= decoded.has_encoded_slash;
                kept.push(decoded.text);
            }
        }
    }
    let mut text = String::with_capacity(path.len());
    for segment in &kept {
        text.push('/');
        text.push_str(segment);
    }
    if ends_open || kept.is_empty() {
        text.push('/');
    }
    Ok(CanonicalPath { text: Cow::Owned(text), has_encoded_slash })
}

struct Decoded {
    text: String,
    has_encoded_slash: bool,
}

/// Decodes what needs no encoding, writes the rest in upper case, refuses what is dangerous in any spelling.
fn decode(segment: &str) -> Result<Decoded, Denial> {
    let mut text = String::with_capacity(segment.len());
    let mut has_encoded_slash = false;
    let mut rest = segment.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        rest = after;
        if *first != b'%' {
            text.push(char::from(*first));
            continue;
        }
        let [high, low, after @ ..] = rest else { return Err(Denial::BadRequest) };
        let byte = hex(*high).zip(hex(*low)).map(|(high, low)| high * 16 + low).ok_or(Denial::BadRequest)?;
        rest = after;
        match byte {
            0 => return Err(Denial::BadRequest),
            b'/' | b'\\' => {
                has_encoded_slash = true;
                push_encoded(byte, &mut text);
            }
            b if b.is_ascii_alphanumeric() || b"-._~".contains(&b) => text.push(char::from(b)),
            b => push_encoded(b, &mut text),
        }
    }
    // Backends that cut parameters, or decode slashes, would see these as dot segments. So would they `%2e%2e`, and
    // so would those that decode before they cut see `..%3b`.
    let pieces = text.split("%2F").flat_map(|piece| piece.split("%5C")).flat_map(|piece| piece.split("%3B"));
    let is_dots = |piece: &str| matches!(piece.split(';').next(), Some("." | ".."));
    if pieces.into_iter().any(is_dots) {
        return Err(Denial::BadRequest);
    }
    Ok(Decoded { text, has_encoded_slash })
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok())
}

fn push_encoded(byte: u8, text: &mut String) {
    text.push('%');
    for nibble in [byte >> 4, byte & 0xf] {
        text.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0').to_ascii_uppercase());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_spelling_of_a_path_becomes_one() {
        for (path, canonical_path) in [
            ("/", "/"),
            ("/a/b", "/a/b"),
            ("/a/b/", "/a/b/"),
            ("//a///b", "/a/b"),
            ("/a/./b/.", "/a/b/"),
            ("/a/x/../b", "/a/b"),
            ("/a/..", "/"),
            ("/%61/%7Eb", "/a/~b"),
            ("/a%20b%e4", "/a%20b%E4"),
            ("/%3a", "/%3A"),
            ("/a/...", "/a/..."),
            ("/a;x=1/b", "/a;x=1/b"),
            ("/.well-known/x", "/.well-known/x"),
        ] {
            assert_eq!(canonical(path).unwrap().text, canonical_path, "{path}");
        }
        assert!(canonical("/a%2fb").unwrap().has_encoded_slash);
        assert_eq!(canonical("/a%2fb").unwrap().text, "/a%2Fb");
    }

    #[test]
    fn what_a_backend_could_read_as_a_step_upwards_is_refused() {
        for path in [
            "/..",
            "/a/../../b",
            "/%2e%2e/a",
            "/a/%2e.",
            "/.%2e/",
            "/%2e",
            "/..;x/a",
            "/.;/a",
            "/a/%2e%2e;a",
            "/..%3bx/a",
            "/%00",
            "/a%",
            "/a%2",
            "/a%zz",
            "/..%2fa",
            "/a%5c..",
            "/%2e%2e%2fetc",
        ] {
            assert_eq!(canonical(path).err(), Some(Denial::BadRequest), "{path}");
        }
    }

    proptest! {
        #[test]
        fn a_canonical_path_is_its_own_canonical_form(path in "/[a-zA-Z0-9%/.;~_-]{0,40}") {
            if let Ok(once) = canonical(&path) {
                let twice = canonical(&once.text).unwrap();
                prop_assert_eq!(&twice.text, &once.text);
                prop_assert!(once.text.starts_with('/') && !once.text.contains("//"));
                prop_assert!(once.text.split('/').all(|segment| segment != "." && segment != ".."));
            }
        }
    }
}
