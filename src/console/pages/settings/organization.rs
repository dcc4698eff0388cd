//! The organization's part of the settings: a form for operators, facts for everybody else.

use axum::extract::{Path, State};
use axum::response::Response;
use serde::Deserialize;

use super::show::{Shown, again};
use crate::console::operations::{Operations, OrganizationPatch, Refused};
use crate::console::pages::chart::grouped;
use crate::console::pages::failure::Failure;
use crate::console::pages::form::{Filled, Problems, sentence};
use crate::console::pages::keys::LimitFields;
use crate::console::pages::limit_words;
use crate::console::pages::refusal::{STALE, expected};
use crate::console::pages::see_other;
use crate::console::session::Visitor;
use crate::console::view::{OrganizationView, Tagged};
use crate::domain::limit::Limits;
use crate::domain::name::{Name, Slug};
use crate::domain::zone::Zone;

/// The fields as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct OrganizationFields {
    pub(super) tag: String,
    pub(super) name: String,
    pub(super) slug: String,
    pub(super) time_zone: String,
    #[serde(flatten)]
    pub(super) limits: LimitFields,
}

/// The form, with what is wrong with it.
pub(super) struct OrganizationForm {
    pub(super) fields: OrganizationFields,
    pub(super) problems: Problems,
}

impl OrganizationForm {
    /// The form of an organization as it is.
    pub(super) fn of(organization: &OrganizationView) -> OrganizationForm {
        let fields = OrganizationFields {
            tag: organization.tag().as_str().to_owned(),
            name: organization.name.to_string(),
            slug: organization.slug.to_string(),
            time_zone: organization.time_zone.to_string(),
            limits: LimitFields::without_expiry(&organization.limits),
        };
        OrganizationForm { fields, problems: Problems::none() }
    }
}

impl OrganizationFields {
    fn patch(&self, before: &Limits) -> Result<OrganizationPatch, Problems> {
        let mut problems = Problems::none();
        let name = self.name.parse::<Name>();
        if let Err(error) = &name {
            problems.add("org-name", sentence(&error.to_string()));
        }
        let slug = self.slug.trim().parse::<Slug>();
        if let Err(error) = &slug {
            problems.add("org-slug", sentence(&error.to_string()));
        }
        let zone = self.time_zone.parse::<Zone>();
        if let Err(error) = &zone {
            problems.add("org-zone", sentence(&error.to_string()));
        }
        let limits = self.limits.limits(before, &mut problems);
        match (name, slug, zone) {
            (Ok(name), Ok(slug), Ok(zone)) if problems.is_empty() => Ok(OrganizationPatch {
                slug: Some(slug),
                name: Some(name),
                time_zone: Some(zone),
                limits: Some(Some(limits)),
            }),
            _ => Err(problems),
        }
    }

    fn field(&self, pointer: &str) -> Option<&'static str> {
        match pointer {
            "/name" => Some("org-name"),
            "/slug" => Some("org-slug"),
            "/timeZone" => Some("org-zone"),
            limit => self.limits.field(limit),
        }
    }
}

pub(super) async fn change(
    State(operations): State<Operations>,
    Visitor(visitor): Visitor,
    Path(org): Path<String>,
    Filled(mut fields): Filled<OrganizationFields>,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    if !caller.is_operator() {
        // Who may know of it is told that they may not; the operation would say the same.
        operations.read_organization(caller, &org).await?;
        return Err(Failure::NotPermitted);
    }
    let before = operations.read_organization(caller, &org).await?;
    let problems = match fields.patch(&before.limits) {
        Ok(patch) => match operations.change_organization(caller, &org, expected(&fields.tag), patch).await {
            Ok(after) => return Ok(see_other(&format!("/orgs/{}/settings?done=saved", after.slug))),
            Err(Refused::Invalid(found)) => Problems::from_fields(found, |pointer| fields.field(pointer)),
            Err(Refused::Taken { .. }) => Problems::one("org-slug", "This slug is taken. Choose another."),
            Err(Refused::Stale) => Problems::one("form", STALE),
            Err(refused) => return Err(refused.into()),
        },
        Err(problems) => problems,
    };
    fields.tag = before.tag().as_str().to_owned();
    let shown = Shown { organization: Some(OrganizationForm { fields, problems }), ..Shown::default() };
    again(&operations, &visitor, &org, shown).await
}

/// What keys get where they have no limits of their own, in words, for those who only read it.
pub(super) fn facts(organization: &OrganizationView) -> Vec<(&'static str, String)> {
    let limits = &organization.effective_limits;
    let none = || "no limit".to_owned();
    let rate = limits.rate.map_or_else(none, limit_words::rate);
    let concurrency = limits.concurrency.map_or_else(none, |most| grouped(u64::from(most)));
    let quotas = limits.quotas.as_deref().map_or_else(none, limit_words::quotas);
    vec![("Rate of a key", rate), ("Requests in flight", concurrency), ("Quotas of a key", quotas)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organizations_fields_sent_back_unchanged_change_nothing() {
        let limits = Limits { concurrency: Some(7), quotas: Some(Vec::new()), ..Limits::default() };
        let fields = OrganizationFields {
            name: "Acme".into(),
            slug: "acme".into(),
            time_zone: "Europe/Berlin".into(),
            limits: LimitFields::without_expiry(&limits),
            ..OrganizationFields::default()
        };
        assert_eq!(fields.patch(&limits).unwrap().limits, Some(Some(limits)));
    }

    #[test]
    fn every_wrong_field_is_named_at_once() {
        let fields = OrganizationFields {
            name: " ".into(),
            slug: "A B".into(),
            time_zone: "Mars/Olympus".into(),
            ..OrganizationFields::default()
        };
        let problems = fields.patch(&Limits::default()).unwrap_err();
        for field in ["org-name", "org-slug", "org-zone"] {
            assert!(problems.of(field).is_some(), "{field}");
        }
    }
}
