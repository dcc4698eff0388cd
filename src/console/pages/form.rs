//! Requests of pages into what handlers take: queries that may say anything, forms that must read.
//!
//! Promises that an address somebody mistyped still shows its page, and that a form which does not read changes nothing.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::failure::Failure;
use crate::console::body;
use crate::console::operations::FieldProblem;

/// The query of a page. What does not read is as if it were not there.
pub(crate) struct Asked<T>(pub(crate) T);

impl<T, S> FromRequestParts<S> for Asked<T>
where
    T: DeserializeOwned + Default,
    S: Send + Sync,
{
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Asked<T>, Self::Rejection> {
        let query = parts.uri.query().unwrap_or_default();
        Ok(Asked(serde_html_form::from_str(query).unwrap_or_default()))
    }
}

/// A form as browsers send it.
pub(crate) struct Filled<T>(pub(crate) T);

impl<T, S> FromRequest<S> for Filled<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Failure;

    async fn from_request(request: Request, state: &S) -> Result<Filled<T>, Failure> {
        if !body::is_of_type(request.headers(), "application/x-www-form-urlencoded") {
            return Err(Failure::Malformed);
        }
        let bytes = body::whole(request, state).await.map_err(|_| Failure::Malformed)?;
        serde_html_form::from_bytes(&bytes).map(Filled).map_err(|_| Failure::Malformed)
    }
}

/// What is wrong with the fields of a form, by their names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Problems(Vec<(&'static str, String)>);

impl Problems {
    /// A form with nothing wrong yet.
    pub(crate) fn none() -> Problems {
        Problems::default()
    }

    /// A form with one thing wrong.
    pub(crate) fn one(field: &'static str, text: impl Into<String>) -> Problems {
        Problems(vec![(field, text.into())])
    }

    /// Something more.
    pub(crate) fn add(&mut self, field: &'static str, text: impl Into<String>) {
        self.0.push((field, text.into()));
    }

    /// What an operation found, with its pointers as names of fields; what has no field goes to `form`.
    pub(crate) fn from_fields(
        found: Vec<FieldProblem>,
        name: impl Fn(&str) -> Option<&'static str>,
    ) -> Problems {
        let told =
            |problem: FieldProblem| (name(&problem.pointer).unwrap_or("form"), sentence(&problem.detail));
        Problems(found.into_iter().map(told).collect())
    }

    /// What is wrong with a field.
    pub(crate) fn of(&self, field: &str) -> Option<&str> {
        self.0.iter().find(|(name, _)| *name == field).map(|(_, text)| text.as_str())
    }

    /// Whether nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether something is wrong with one of `fields`.
    pub(crate) fn any_of(&self, fields: &[&str]) -> bool {
        self.0.iter().any(|(name, _)| fields.contains(name))
    }
}

/// "expected 1 or more" as people read it: "Expected 1 or more."
pub(crate) fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    let first: String = letters.next().map(|letter| letter.to_uppercase().collect()).unwrap_or_default();
    let end = if text.ends_with(['.', '?']) { "" } else { "." };
    format!("{first}{}{end}", letters.as_str())
}
