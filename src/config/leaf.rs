//! Settings of one value: numbers with and without units, words, and the texts whose grammar is the domain's.
//!
//! Promises that each says what it expects, with its range, in the message and in the schema alike.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::setting::{Leaf, Mistake, PLAIN_NAME, PLAIN_NAME_PATTERN, Word, is_plain_name};
use super::units;
use crate::domain::limit::{Period, Window};
use crate::domain::route::{HostPattern, PathPattern, RouteAccess};
use crate::domain::secret::SecretFormat;

/// A schema of text.
pub(crate) fn text_schema() -> Value {
    json!({ "type": "string" })
}

/// A schema of text of a form; a variable may stand anywhere in it.
pub(crate) fn pattern_schema(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("{pattern}|\\$\\{{") })
}

impl Leaf for String {
    fn expected() -> String {
        "a text, in quotes where it begins with `{` or `*`".into()
    }

    fn parse(text: &str) -> Result<String, Mistake> {
        if text.is_empty() {
            return Err(Mistake::new("an empty text"));
        }
        Ok(text.to_owned())
    }

    fn schema() -> Value {
        text_schema()
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Debug)]
pub(crate) struct Whole<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> Leaf for Whole<MIN, MAX> {
    fn expected() -> String {
        format!("a whole number from {MIN} to {MAX}")
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        match units::whole(text) {
            Some(number) if (MIN..=MAX).contains(&number) => Ok(Whole(number)),
            None if text.is_empty() || !text.bytes().all(|b| b.is_ascii_digit()) => {
                Err(Mistake::new("not a whole number"))
            }
            Some(_) | None => Err(Mistake::new("out of range")),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": MIN, "maximum": MAX },
            { "type": "string", "pattern": "^[0-9]+$|\\$\\{" },
        ] })
    }
}

/// A number of bytes from `MIN` to `MAX`.
#[derive(Debug)]
pub(crate) struct Bytes<const MIN: u64, const MAX: u64>(pub(crate) u64);

impl<const MIN: u64, const MAX: u64> Leaf for Bytes<MIN, MAX> {
    fn expected() -> String {
        let (min, max) = (units::size_text(MIN), units::size_text(MAX));
        format!("a size such as `64KiB`, `1MiB`, `64kB` or a number of bytes, from {min} to {max}")
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        match units::size(text) {
            Some(bytes) if (MIN..=MAX).contains(&bytes) => Ok(Bytes(bytes)),
            Some(_) => Err(Mistake::new("out of range")),
            None => Err(Mistake::new("not a size")),
        }
    }

    fn schema() -> Value {
        json!({ "anyOf": [
            { "type": "integer", "minimum": MIN, "maximum": MAX },
            { "type": "string", "pattern": "^[0-9]+(B|kB|MB|GB|TB|KiB|MiB|GiB|TiB)?$|\\$\\{" },
        ] })
    }
}

/// A duration from `MIN_MS` to `MAX_MS` milliseconds.
#[derive(Debug)]
pub(crate) struct Time<const MIN_MS: u64, const MAX_MS: u64>(pub(crate) Duration);

impl<const MIN_MS: u64, const MAX_MS: u64> Leaf for Time<MIN_MS, MAX_MS> {
    fn expected() -> String {
        let (min, max) = (units::duration_text(MIN_MS), units::duration_text(MAX_MS));
        format!("a duration such as `10ms`, `10s`, `10m`, `2h` or `1d`, from {min} to {max}")
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        match units::duration(text) {
            Some(time) if (u128::from(MIN_MS)..=u128::from(MAX_MS)).contains(&time.as_millis()) => {
                Ok(Time(time))
            }
            Some(_) => Err(Mistake::new("out of range")),
            None if units::whole(text).is_some() => Err(Mistake::new("a duration without its unit")),
            None => Err(Mistake::new("not a duration")),
        }
    }

    fn schema() -> Value {
        pattern_schema("^[0-9]+(ms|s|m|h|d)$|^0$")
    }
}

/// A setting that is one of a few words.
pub(crate) trait Choice: Copy + 'static {
    /// Every word with what it means.
    const CHOICES: &'static [(&'static str, Self)];
}

/// One of the words of `T`.
#[derive(Debug)]
pub(crate) struct OneOf<T>(pub(crate) T);

impl<T: Choice> Leaf for OneOf<T> {
    fn expected() -> String {
        let words: Vec<String> = T::CHOICES.iter().map(|(word, _)| format!("`{word}`")).collect();
        match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.concat(),
        }
    }

    fn parse(text: &str) -> Result<Self, Mistake> {
        let found = T::CHOICES.iter().find(|(word, _)| *word == text);
        found.map(|(_, value)| OneOf(*value)).ok_or_else(|| Mistake::new("not a known word"))
    }

    fn schema() -> Value {
        let words: Vec<&str> = T::CHOICES.iter().map(|(word, _)| *word).collect();
        json!({ "anyOf": [{ "enum": words }, { "type": "string", "pattern": "\\$\\{" }] })
    }
}

impl Choice for Period {
    const CHOICES: &'static [(&'static str, Period)] = &[
        (Period::Second.as_str(), Period::Second),
        (Period::Minute.as_str(), Period::Minute),
        (Period::Hour.as_str(), Period::Hour),
        (Period::Day.as_str(), Period::Day),
    ];
}

impl Choice for Window {
    const CHOICES: &'static [(&'static str, Window)] = &[
        (Window::Minute.as_str(), Window::Minute),
        (Window::Hour.as_str(), Window::Hour),
        (Window::Day.as_str(), Window::Day),
        (Window::Week.as_str(), Window::Week),
        (Window::Month.as_str(), Window::Month),
    ];
}

impl Choice for RouteAccess {
    const CHOICES: &'static [(&'static str, RouteAccess)] =
        &[("key", RouteAccess::Key), ("public", RouteAccess::Public)];
}

/// Whether an encoded slash passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EncodedSlash {
    Refuse,
    Allow,
}

impl Choice for EncodedSlash {
    const CHOICES: &'static [(&'static str, EncodedSlash)] =
        &[("refuse", EncodedSlash::Refuse), ("allow", EncodedSlash::Allow)];
}

/// `auto`: as many as the machine has.
#[derive(Debug)]
pub(crate) struct Auto;
impl Word for Auto {
    const WORD: &'static str = "auto";
}

/// `off`: not done at all.
#[derive(Debug)]
pub(crate) struct Off;
impl Word for Off {
    const WORD: &'static str = "off";
}

/// `none`: no limit.
#[derive(Debug)]
pub(crate) struct Unlimited;
impl Word for Unlimited {
    const WORD: &'static str = "none";
}

impl Leaf for SecretFormat {
    fn expected() -> String {
        "1 to 16 letters and digits, such as `ks`".into()
    }

    fn parse(text: &str) -> Result<SecretFormat, Mistake> {
        let format = SecretFormat::with_prefix(text).map_err(|_| Mistake::new("not a prefix of keys"))?;
        if format == SecretFormat::management_tokens() {
            return Err(Mistake::with(
                "the prefix of management tokens",
                "expected another prefix: whoever finds a leaked secret must see which kind it is",
            ));
        }
        if SecretFormat::besides_keys().contains(&format) {
            return Err(Mistake::with(
                "the prefix of what people sign in with",
                "expected another prefix: whoever finds a leaked secret must see which kind it is",
            ));
        }
        Ok(format)
    }

    fn schema() -> Value {
        pattern_schema("^[A-Za-z0-9]{1,16}$")
    }
}

impl Leaf for HostPattern {
    fn expected() -> String {
        "a host name such as `api.example.com` or `*.example.com`, without a port".into()
    }

    fn parse(text: &str) -> Result<HostPattern, Mistake> {
        HostPattern::parse(text).map_err(|invalid| Mistake::with("not a host", invalid.0))
    }

    fn schema() -> Value {
        text_schema()
    }
}

impl Leaf for PathPattern {
    fn expected() -> String {
        "a path such as `/agents/{agent}/{*rest}`".into()
    }

    fn parse(text: &str) -> Result<PathPattern, Mistake> {
        PathPattern::parse(text)
            .map_err(|invalid| Mistake::with("not a path that a route can have", invalid.0))
    }

    fn schema() -> Value {
        pattern_schema("^/")
    }
}

/// What a route is called in metrics and logs.
#[derive(Debug)]
pub(crate) struct RouteName(pub(crate) String);

impl Leaf for RouteName {
    fn expected() -> String {
        PLAIN_NAME.into()
    }

    fn parse(text: &str) -> Result<RouteName, Mistake> {
        if is_plain_name(text) { Ok(RouteName(text.to_owned())) } else { Err(Mistake::new("not a name")) }
    }

    fn schema() -> Value {
        pattern_schema(PLAIN_NAME_PATTERN)
    }
}

/// A method of HTTP.
#[derive(Debug)]
pub(crate) struct Method(pub(crate) String);

impl Leaf for Method {
    fn expected() -> String {
        "a method of HTTP in capitals, such as `GET`".into()
    }

    fn parse(text: &str) -> Result<Method, Mistake> {
        if matches!(text, "CONNECT" | "TRACE") {
            return Err(Mistake::with(
                "a method that a gateway does not serve",
                "expected any method but CONNECT and TRACE",
            ));
        }
        let fits = |b: u8| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&text.len()) && text.bytes().all(fits) {
            return Ok(Method(text.to_owned()));
        }
        Err(Mistake::new("not a method"))
    }

    fn schema() -> Value {
        pattern_schema("^[A-Z0-9-]{1,32}$")
    }
}

/// A place of a request, besides its fields, where a key may stand: `query.NAME`.
#[derive(Debug)]
pub(crate) struct CredentialPlace(pub(crate) String);

impl Leaf for CredentialPlace {
    fn expected() -> String {
        "`query.` and the name of a query parameter, such as `query.api_key`".into()
    }

    fn parse(text: &str) -> Result<CredentialPlace, Mistake> {
        let name = text.strip_prefix("query.").unwrap_or("");
        if name.is_empty() || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~".contains(&b)) {
            return Err(Mistake::new("not a place for a key"));
        }
        Ok(CredentialPlace(name.to_owned()))
    }

    fn schema() -> Value {
        pattern_schema("^query\\.[A-Za-z0-9._~-]+$")
    }
}

/// A file that is written to; relative to the current directory.
#[derive(Debug)]
pub(crate) struct OutputFile(pub(crate) PathBuf);

impl Leaf for OutputFile {
    fn expected() -> String {
        "the path of a file; relative paths begin at the current directory".into()
    }

    fn parse(text: &str) -> Result<OutputFile, Mistake> {
        if text.is_empty() || text.ends_with('/') || text.contains('\0') {
            return Err(Mistake::new("not the path of a file"));
        }
        Ok(OutputFile(PathBuf::from(text)))
    }

    fn schema() -> Value {
        text_schema()
    }
}

/// A file that is read; relative to the current directory.
#[derive(Debug)]
pub(crate) struct InputFile(pub(crate) PathBuf);

impl Leaf for InputFile {
    fn expected() -> String {
        "the path of a file; relative paths begin at the current directory".into()
    }

    fn parse(text: &str) -> Result<InputFile, Mistake> {
        OutputFile::parse(text).map(|file| InputFile(file.0))
    }

    fn schema() -> Value {
        text_schema()
    }
}
