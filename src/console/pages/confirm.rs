//! The dialog that asks before something is lost: what happens, what is lost, what is to be typed, one button.
//!
//! Promises that a question which cannot be answered with yes says so instead of offering a button.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::breakable::Breakable;
use super::page;
use super::shell::Shell;

/// What is asked.
#[derive(Debug, Clone, Default)]
pub(crate) struct Question {
    /// What is about to be done.
    pub(crate) title: &'static str,
    /// To whom or what. Where it is lost, the heading asks for it in quotes.
    pub(crate) name: String,
    /// What happens and what is lost.
    pub(crate) sentences: Vec<String>,
    /// Why it cannot be done.
    pub(crate) refusal: Option<String>,
    /// What has to be typed.
    pub(crate) typed: Option<String>,
    /// The state of the record that was asked about.
    pub(crate) tag: String,
    /// The button.
    pub(crate) verb: &'static str,
    /// The button's class: `danger` or `primary`.
    pub(crate) tone: &'static str,
}

/// What the dialog sends.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Answer {
    /// What was typed.
    #[serde(default)]
    pub(crate) typed: String,
    /// The state of the record that was asked about.
    #[serde(default)]
    pub(crate) tag: String,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "confirm.html")]
struct ConfirmPage<'a> {
    shell: &'a Shell,
    back: &'a str,
    action: &'a str,
    question: &'a Question,
    name: Breakable,
    is_loss: bool,
    problem: Option<&'a str>,
    given: &'a str,
    is_mistyped: bool,
}

impl Question {
    /// The page that asks at `action` and leads back to `back`.
    pub(crate) fn page(&self, shell: &Shell, action: &str, back: &str) -> Response {
        self.render(StatusCode::OK, shell, action, back, None, "")
    }

    /// The same after an answer that did not do.
    pub(crate) fn again(
        &self,
        shell: &Shell,
        action: &str,
        back: &str,
        problem: Option<&str>,
        given: &str,
    ) -> Response {
        self.render(StatusCode::UNPROCESSABLE_ENTITY, shell, action, back, problem, given)
    }

    /// Whether `answer` has what is to be typed. Blanks around it do not matter.
    pub(crate) fn is_answered_by(&self, answer: &Answer) -> bool {
        self.refusal.is_none() && self.typed.as_deref().is_none_or(|wanted| answer.typed.trim() == wanted)
    }

    fn render(
        &self,
        status: StatusCode,
        shell: &Shell,
        action: &str,
        back: &str,
        problem: Option<&str>,
        given: &str,
    ) -> Response {
        let is_mistyped =
            status != StatusCode::OK && self.typed.as_deref().is_some_and(|wanted| given.trim() != wanted);
        let name = Breakable::new(&self.name);
        let is_loss = self.tone == "danger";
        page(
            status,
            &ConfirmPage { shell, back, action, question: self, name, is_loss, problem, given, is_mistyped },
        )
    }
}
