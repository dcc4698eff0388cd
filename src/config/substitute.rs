//! `${NAME}` and `${NAME:-default}` in a value, taken from the environment; `$${` stands for `${`.
//!
//! Works on one parsed scalar at a time, so that what a variable holds is always text inside that scalar and can
//! never become YAML structure. Never reads the environment itself.

use super::problem::{Findings, Place};

/// Reads one environment variable.
pub(crate) type Environment<'e> = &'e dyn Fn(&str) -> Option<String>;

const FORMS: &str = "expected `${NAME}` or `${NAME:-default}`; write `$${` for a literal `${`";

/// What `text` says once its variables are filled in. Notes every variable that cannot be, and gives nothing then.
/// `place_of` finds a piece of the text in the file.
pub(crate) fn substitute(
    text: &str,
    environment: Environment<'_>,
    place_of: &dyn Fn(&str) -> Place,
    findings: &mut Findings,
) -> Option<String> {
    let mut filled = String::with_capacity(text.len());
    let mut complete = true;
    let mut rest = text;
    while let Some(at) = rest.find("${") {
        let (before, from) = rest.split_at(at);
        if let Some(before) = before.strip_suffix('$') {
            filled.push_str(before);
            filled.push_str("${");
            rest = from.get(2..).unwrap_or("");
            continue;
        }
        filled.push_str(before);
        let Some(end) = from.find('}') else {
            findings.refuse(place_of(from), "`${` without its `}`", FORMS);
            return None;
        };
        let (whole, after) = from.split_at(end + 1);
        let inner = whole.get(2..end).unwrap_or("");
        match value(inner, environment) {
            Ok(value) => filled.push_str(&value),
            Err(problem) => {
                problem.note(inner, place_of(whole), findings);
                complete = false;
            }
        }
        rest = after;
    }
    filled.push_str(rest);
    complete.then_some(filled)
}

enum Unfilled {
    Unset,
    NoName,
}

impl Unfilled {
    fn note(&self, inner: &str, place: Place, findings: &mut Findings) {
        match self {
            Unfilled::Unset => findings.refuse(
                place,
                format!("the environment variable `{inner}` is not set"),
                format!("set it, or write `${{{inner}:-default}}`"),
            ),
            Unfilled::NoName => findings.refuse(place, "not a variable", FORMS),
        }
    }
}

fn value(inner: &str, environment: Environment<'_>) -> Result<String, Unfilled> {
    let (name, default) = match inner.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (inner, None),
    };
    let first_fits = name.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    if !first_fits || !name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') {
        return Err(Unfilled::NoName);
    }
    match (environment(name), default) {
        // As in a shell, `:-` covers a variable that is set and empty too.
        (Some(value), Some(default)) if value.is_empty() => Ok(default.to_owned()),
        (Some(value), _) => Ok(value),
        (None, Some(default)) => Ok(default.to_owned()),
        (None, None) => Err(Unfilled::Unset),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn filled(text: &str) -> Option<String> {
        let environment = |name: &str| match name {
            "HOST" => Some("10.0.0.1".to_owned()),
            "EMPTY" => Some(String::new()),
            "NESTED" => Some("${HOST}".to_owned()),
            _ => None,
        };
        let place = Place { line: 1, column: 1, width: 1 };
        substitute(text, &environment, &|_| place, &mut Findings::default())
    }

    #[test]
    fn variables_are_filled_in_once_and_escapes_are_kept() {
        assert_eq!(filled("${HOST}:${PORT:-8080}").as_deref(), Some("10.0.0.1:8080"));
        assert_eq!(filled("${EMPTY}|${EMPTY:-x}|${UNSET:-}").as_deref(), Some("|x|"));
        assert_eq!(filled("$${HOST} $HOST $ {a}").as_deref(), Some("${HOST} $HOST $ {a}"));
        assert_eq!(filled("${NESTED}").as_deref(), Some("${HOST}"));
    }

    #[test]
    fn what_cannot_be_filled_in_gives_nothing() {
        for bad in ["${UNSET}", "${", "${}", "${1A}", "${HOST-x}", "${ HOST }"] {
            assert_eq!(filled(bad), None, "{bad}");
        }
    }
}
