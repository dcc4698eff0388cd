//! Header fields: a borrowed name and value with the name's meaning looked up once.
//!
//! Promises that a [`Field`] has a token name (RFC 9110 section 5.6.2) and a value without control bytes, because
//! the tokenizer lets nothing else through.

/// What a field means to a gateway. Everything not listed is passed on as it came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meaning {
    /// Passed on as it is.
    EndToEnd,
    Host,
    ContentLength,
    TransferEncoding,
    Connection,
    Upgrade,
    Expect,
    Te,
    Authorization,
    ApiKey,
    ForwardedFor,
    /// Removed on the way: `keep-alive`, `proxy-*`, `http2-settings`.
    HopByHop,
    /// Names that the gateway injects, in any spelling.
    Injected,
    /// `forwarded`, `x-forwarded-*` but `-for`, `x-real-ip`: a client's word on who it is.
    ForwardedOther,
    /// `ratelimit`, `ratelimit-policy`, `x-request-id` in responses.
    Answered,
    Date,
}

/// One field line.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'b> {
    pub(crate) name: &'b str,
    pub(crate) value: &'b [u8],
    pub(crate) meaning: Meaning,
}

impl<'b> Field<'b> {
    pub(crate) fn new(name: &'b str, value: &'b [u8]) -> Field<'b> {
        Field { name, value, meaning: meaning(name) }
    }
}

fn meaning(name: &str) -> Meaning {
    let is = |other: &str| name.eq_ignore_ascii_case(other);
    match name.len() {
        2 if is("te") => Meaning::Te,
        4 if is("host") => Meaning::Host,
        4 if is("date") => Meaning::Date,
        6 if is("expect") => Meaning::Expect,
        7 if is("upgrade") => Meaning::Upgrade,
        9 if is("ratelimit") => Meaning::Answered,
        9 if is("forwarded") => Meaning::ForwardedOther,
        9 if like(name, "x-api-key") => Meaning::ApiKey,
        9 if like(name, "x-real-ip") => Meaning::ForwardedOther,
        10 if is("connection") => Meaning::Connection,
        10 if is("keep-alive") => Meaning::HopByHop,
        12 if like(name, "x-request-id") => Meaning::Injected,
        13 if is("authorization") => Meaning::Authorization,
        14 if is("content-length") => Meaning::ContentLength,
        14 if is("http2-settings") => Meaning::HopByHop,
        15 if is("x-forwarded-for") => Meaning::ForwardedFor,
        16 if is("ratelimit-policy") => Meaning::Answered,
        16 if is("proxy-connection") => Meaning::HopByHop,
        17 if is("transfer-encoding") => Meaning::TransferEncoding,
        18 if is("proxy-authenticate") => Meaning::HopByHop,
        19 if is("proxy-authorization") => Meaning::HopByHop,
        _ => by_prefix(name),
    }
}

fn by_prefix(name: &str) -> Meaning {
    if !name.as_bytes().first().is_some_and(|first| first.eq_ignore_ascii_case(&b'x')) {
        // A framing field spelled with an underscore is read as the real one by backends that map names to
        // variables (CGI, WSGI): it never goes through.
        let smuggled = ["content-length", "transfer-encoding"].iter().any(|framing| like(name, framing));
        return if smuggled { Meaning::HopByHop } else { Meaning::EndToEnd };
    }
    if starts_like(name, "x-keystile-") {
        return Meaning::Injected;
    }
    if starts_like(name, "x-forwarded-") {
        return Meaning::ForwardedOther;
    }
    Meaning::EndToEnd
}

/// Equal but for case and for underscores in place of hyphens.
pub(crate) fn like(name: &str, canonical: &str) -> bool {
    name.len() == canonical.len() && starts_like(name, canonical)
}

fn starts_like(name: &str, canonical: &str) -> bool {
    name.len() >= canonical.len()
        && name
            .bytes()
            .zip(canonical.bytes())
            .all(|(have, want)| have.eq_ignore_ascii_case(&want) || (have == b'_' && want == b'-'))
}

/// The elements of a comma-separated list, trimmed, empty ones left out (RFC 9110 section 5.6.1).
pub(crate) fn list(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|b| *b == b',').map(<[u8]>::trim_ascii).filter(|element| !element.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_spelling_of_an_injected_field_is_recognised() {
        for name in ["X-Keystile-Agent", "x_keystile_agent", "X-KEYSTILE_anything", "X_Request-Id"] {
            assert_eq!(meaning(name), Meaning::Injected, "{name}");
        }
        assert_eq!(meaning("X_API_KEY"), Meaning::ApiKey);
        assert_eq!(meaning("x_forwarded_for"), Meaning::ForwardedOther);
        assert_eq!(meaning("content_length"), Meaning::HopByHop);
        assert_eq!(meaning("x-custom"), Meaning::EndToEnd);
    }

    #[test]
    fn a_list_has_no_empty_elements() {
        let elements: Vec<&[u8]> = list(b" close, ,x-a ,").collect();
        assert_eq!(elements, [b"close".as_slice(), b"x-a"]);
    }
}
