//! What an operation refused, as sentences beside the fields of a form; and the state that a form was filled in for.

use super::form::sentence;
use crate::console::operations::{Expected, FieldProblem};

/// What is said where a record changed between a form and its answer.
pub(crate) const STALE: &str =
    "It has changed since this was opened. Look at what it is now, then decide again.";

/// The state of a record that a form was filled in for, from its hidden field `tag`.
pub(crate) fn expected(tag: &str) -> Expected {
    if tag.is_empty() { Expected::Anything } else { Expected::OneOf(vec![tag.to_owned()]) }
}

/// What is wrong with the field at `pointer` or below it, as a sentence.
pub(crate) fn wrong(problems: &[FieldProblem], pointer: &str) -> Option<String> {
    let is_below = |problem: &&FieldProblem| {
        problem.pointer.strip_prefix(pointer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    problems.iter().find(is_below).map(|problem| sentence(&problem.detail))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_found_at_its_field_or_below_it_and_nowhere_else() {
        let problems = [FieldProblem::new("/agents/0", "no such agent"), FieldProblem::new("/namely", "x")];
        assert_eq!(wrong(&problems, "/agents").as_deref(), Some("No such agent."));
        assert_eq!(wrong(&problems, "/name"), None);
    }
}
