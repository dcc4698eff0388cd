//! The form for what has a name and a slug: an agent, an organization.

use askama::Template;
use axum::http::StatusCode;
use axum::response::Response;
use serde::Deserialize;

use super::failure::Failure;
use super::form::sentence;
use super::refusal::{STALE, wrong};
use super::shell::Shell;
use super::{page, time};
use crate::console::operations::Refused;
use crate::domain::name::{Name, Slug};

/// What the form sends.
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Fields {
    #[serde(default)]
    pub(crate) name: String,
    #[serde(default)]
    pub(crate) slug: String,
    #[serde(default)]
    pub(crate) time_zone: String,
    /// The state of the record that is changed.
    #[serde(default)]
    pub(crate) tag: String,
}

/// What is wrong with it.
#[derive(Debug, Default)]
pub(crate) struct Wrong {
    name: Option<String>,
    slug: Option<String>,
    other: Option<String>,
}

/// What the form is for.
pub(crate) struct Purpose<'a> {
    pub(crate) title: &'static str,
    /// What is changed; empty where something is made.
    pub(crate) subject: &'a str,
    pub(crate) verb: &'static str,
    pub(crate) action: String,
    pub(crate) back: &'a str,
    pub(crate) slug_hint: &'static str,
    pub(crate) with_zone: bool,
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "named_form.html")]
struct FormPage<'a> {
    shell: &'a Shell,
    back: &'a str,
    title: &'static str,
    subject: &'a str,
    verb: &'static str,
    action: &'a str,
    slug_hint: &'static str,
    problem: Option<&'a str>,
    fields: Shown<'a>,
    zone: Option<Zones<'a>>,
    tag: &'a str,
}

struct Shown<'a> {
    name: &'a str,
    slug: &'a str,
    name_wrong: Option<&'a str>,
    slug_wrong: Option<&'a str>,
}

struct Zones<'a> {
    chosen: &'a str,
    groups: Vec<(String, Vec<String>)>,
}

impl Fields {
    /// Name and slug, or what is wrong with them.
    pub(crate) fn read(&self) -> Result<(Name, Slug), Wrong> {
        match (self.name.parse::<Name>(), self.slug.trim().parse::<Slug>()) {
            (Ok(name), Ok(slug)) => Ok((name, slug)),
            (name, slug) => Err(Wrong {
                name: name.err().map(|error| sentence(&error.to_string())),
                slug: slug.err().map(|error| sentence(&error.to_string())),
                other: None,
            }),
        }
    }
}

impl Wrong {
    /// What `refused` says of the form.
    ///
    /// # Errors
    /// Where it says something else.
    pub(crate) fn of(refused: Refused) -> Result<Wrong, Failure> {
        if let Refused::Invalid(problems) = &refused {
            return Ok(Wrong {
                name: wrong(problems, "/name"),
                slug: wrong(problems, "/slug"),
                other: problems.first().map(|problem| sentence(&problem.detail)),
            });
        }
        if matches!(refused, Refused::Taken { .. }) {
            let slug = Some("This slug is taken. Choose another.".to_owned());
            return Ok(Wrong { slug, ..Wrong::default() });
        }
        if matches!(refused, Refused::Stale) {
            return Ok(Wrong { other: Some(STALE.to_owned()), ..Wrong::default() });
        }
        if matches!(refused, Refused::AgentsAtCap { .. }) {
            return Ok(Wrong { other: Some(sentence(&refused.to_string())), ..Wrong::default() });
        }
        Err(refused.into())
    }
}

/// The form with `fields`, and with what is wrong with them where something is.
pub(crate) fn form(shell: &Shell, purpose: &Purpose<'_>, fields: &Fields, wrong: Option<&Wrong>) -> Response {
    let status = if wrong.is_some() { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
    let name_wrong = wrong.and_then(|wrong| wrong.name.as_deref());
    let slug_wrong = wrong.and_then(|wrong| wrong.slug.as_deref());
    let other = wrong.and_then(|wrong| wrong.other.as_deref());
    let zone = purpose.with_zone.then(|| Zones {
        chosen: if fields.time_zone.is_empty() { "UTC" } else { &fields.time_zone },
        groups: time::zones(),
    });
    page(
        status,
        &FormPage {
            shell,
            back: purpose.back,
            title: purpose.title,
            subject: purpose.subject,
            verb: purpose.verb,
            action: &purpose.action,
            slug_hint: purpose.slug_hint,
            problem: other.filter(|_| name_wrong.is_none() && slug_wrong.is_none()),
            fields: Shown { name: &fields.name, slug: &fields.slug, name_wrong, slug_wrong },
            zone,
            tag: &fields.tag,
        },
    )
}
