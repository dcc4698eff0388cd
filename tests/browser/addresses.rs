//! Every address that the console has for an organization, pages and API alike.
//!
//! A page that is added belongs here: what walks this list then judges it, and keeps strangers out of it.

/// What stands in addresses, as ids or slugs.
pub(crate) struct Places<'a> {
    pub(crate) organization: &'a str,
    pub(crate) key: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) member: &'a str,
}

impl Places<'_> {
    /// Every page of an organization, from `/orgs/…` on.
    pub(crate) fn pages(&self) -> Vec<String> {
        let Places { organization, key, agent, member } = self;
        [
            String::from("keys"),
            String::from("keys/new"),
            format!("keys/{key}/edit"),
            format!("keys/{key}/usage"),
            format!("keys/{key}/delete"),
            String::from("members"),
            String::from("members/new"),
            format!("members/{member}/edit"),
            format!("members/{member}/delete"),
            format!("members/{member}/invitation"),
            String::from("agents"),
            String::from("agents/new"),
            format!("agents/{agent}/edit"),
            format!("agents/{agent}/delete"),
            String::from("audit"),
            String::from("audit.csv"),
            String::from("settings"),
        ]
        .map(|page| format!("/orgs/{organization}/{page}"))
        .to_vec()
    }

    /// Pages whose forms change something.
    pub(crate) fn forms(&self) -> Vec<String> {
        let changing = ["/new", "/edit", "/delete", "/invitation"];
        self.pages().into_iter().filter(|page| changing.iter().any(|end| page.ends_with(end))).collect()
    }

    /// Every endpoint of the API that is an organization's own, with its method and a body that would be right.
    pub(crate) fn endpoints(&self) -> Vec<(&'static str, String, &'static str)> {
        let Places { organization, key, agent, member } = self;
        let scope = r#"{"name":"k","scope":{"type":"organization"}}"#;
        [
            ("GET", String::new(), ""),
            ("PATCH", String::new(), r#"{"name":"n"}"#),
            ("GET", String::from("/keys"), ""),
            ("POST", String::from("/keys"), scope),
            ("GET", format!("/keys/{key}"), ""),
            ("PATCH", format!("/keys/{key}"), r#"{"name":"n"}"#),
            ("DELETE", format!("/keys/{key}"), ""),
            ("GET", format!("/keys/{key}/usage"), ""),
            ("GET", String::from("/agents"), ""),
            ("POST", String::from("/agents"), r#"{"slug":"a","name":"n"}"#),
            ("PATCH", format!("/agents/{agent}"), r#"{"name":"n"}"#),
            ("DELETE", format!("/agents/{agent}"), ""),
            ("GET", String::from("/members"), ""),
            ("POST", String::from("/members"), r#"{"email":"a@example.org","role":"organization-admin"}"#),
            ("PATCH", format!("/members/{member}"), r#"{"disabled":true}"#),
            ("DELETE", format!("/members/{member}"), ""),
            ("GET", String::from("/audit"), ""),
        ]
        .map(|(method, rest, body)| (method, format!("/api/v1/organizations/{organization}{rest}"), body))
        .to_vec()
    }
}
