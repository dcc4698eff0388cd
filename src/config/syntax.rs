//! What an operator is told where a file is not YAML at all.
//!
//! Promises to name the usual cause, such as a tab or a missing quote, in our words. Never decides what is YAML: that
//! is the parser's.

use granit_parser::ErrorKind;

/// What is wrong in `line`, and what was expected.
#[expect(clippy::wildcard_enum_match_arm, reason = "most of the parser's errors are told in its words")]
pub(super) fn explain(kind: &ErrorKind, line: &str) -> (String, String) {
    let (message, expected) = match kind {
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabInPlainScalar
        | ErrorKind::TabAtBlockScalarStart => ("a tab", "expected spaces: YAML is not indented with tabs"),
        ErrorKind::UnclosedQuotedScalar => ("this quote is never closed", "expected a closing quote"),
        ErrorKind::UnclosedFlowCollection { open } => {
            return (format!("this `{open}` is never closed"), "expected its closing bracket".into());
        }
        ErrorKind::RecursionLimitExceeded => {
            ("nested too deeply", "expected at most 32 mappings and lists inside each other")
        }
        ErrorKind::DirectiveDisallowed => {
            ("a directive", "expected none: lines that begin with `%` have no meaning")
        }
        _ if holds_unquoted_variable(line) => (
            "not YAML",
            "a value with `${…}` needs quotes inside `{ }` and `[ ]`, as in { address: \"${HOST}:8080\" }",
        ),
        ErrorKind::MappingValueNotAllowed
        | ErrorKind::InvalidIndentation
        | ErrorKind::ExpectedBlockMappingKey => (
            "not YAML: this line does not go with those above it",
            "expected fields of one mapping at one indentation, a space behind every `field:`, and quotes around a text that holds `: ` or ends in `:`",
        ),
        ErrorKind::SimpleKeyExpected => {
            ("not YAML: a field without its `:`", "expected `field: value`, with a space behind the colon")
        }
        ErrorKind::UnexpectedCharacter { .. } => (
            "not YAML: a character that cannot stand here",
            "expected no control characters, and quotes around a text that begins with a special character",
        ),
        other => {
            let expected = "expected YAML; is a bracket or a quote still open in a line above?";
            return (format!("not YAML: {other}"), expected.into());
        }
    };
    (message.into(), expected.into())
}

/// Whether the line holds a variable and, besides, a bracket that gives the variable's braces another meaning.
fn holds_unquoted_variable(line: &str) -> bool {
    line.contains("${") && line.replace("${", "").contains(['{', '['])
}
