//! Upstreams, and what routes may call them.

use super::seconds;
use crate::config::file;
use crate::config::problem::{At, Findings};
use crate::config::setting::Named;
use crate::domain::route::{Template, TemplatePart};
use crate::domain::upstream::{Endpoint, Timeouts, Upstream};

/// The names that routes may refer to.
pub(crate) struct Names {
    names: Vec<String>,
    complete: bool,
}

impl Names {
    pub(crate) fn of(upstreams: &Named<file::Upstream>) -> Names {
        let names = upstreams.entries.iter().map(|(name, _)| name.value.clone()).collect();
        Names { names, complete: upstreams.complete }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(String::as_str)
    }

    /// Whether some upstream may be meant by `template`, whose only parameter is the agent.
    pub(crate) fn may_hold(&self, template: &Template) -> bool {
        !self.complete || self.names.iter().any(|name| may_be(&template.0, name))
    }
}

/// Whether `name` begins and ends as the template does, with room for an agent in between.
fn may_be(parts: &[TemplatePart], name: &str) -> bool {
    let (first, rest) = match parts {
        [TemplatePart::Literal(only)] => return name == only,
        [TemplatePart::Literal(first), rest @ ..] => (first.as_str(), rest),
        rest => ("", rest),
    };
    let last = match rest {
        [.., TemplatePart::Literal(last)] => last.as_str(),
        _ => "",
    };
    name.strip_prefix(first).and_then(|name| name.strip_suffix(last)).is_some_and(|agent| !agent.is_empty())
}

pub(crate) fn resolve(written: Named<file::Upstream>, findings: &mut Findings) -> Vec<Upstream> {
    written
        .entries
        .into_iter()
        .map(|(name, upstream)| Upstream {
            name: name.value,
            endpoints: endpoints(upstream.endpoints.map(|list| list.value.0).unwrap_or_default(), findings),
            timeouts: timeouts(upstream.timeouts),
            idle_connections_max: upstream.idle_connections_max.map_or(64, |max| super::clamp(max.value.0)),
            idle_connection_timeout: upstream
                .idle_connection_timeout
                .map_or(seconds(60), |time| time.value.0),
        })
        .collect()
}

fn endpoints(written: Vec<At<Endpoint>>, findings: &mut Findings) -> Vec<Endpoint> {
    let mut endpoints = Vec::new();
    for At { value, place } in written {
        if endpoints.contains(&value) {
            findings.refuse(
                place,
                "the same endpoint twice",
                "expected each endpoint once: they are taken in turn",
            );
        }
        endpoints.push(value);
    }
    endpoints
}

fn timeouts(written: Option<At<file::Timeouts>>) -> Timeouts {
    let default = Timeouts::default();
    let Some(At { value: written, .. }) = written else { return default };
    Timeouts {
        connect: written.connect.map_or(default.connect, |time| time.value.0),
        response_head: written.response_head.map_or(default.response_head, |time| time.value.0),
        idle: written.idle.map_or(default.idle, |time| time.value.0),
        total: match written.total {
            Some(total) => total.value.0.map(|time| time.0),
            None => default.total,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_template_may_mean_the_names_that_have_its_form() {
        let means =
            |template: &str, name: &str| may_be(&Template::parse(template, &["agent"]).unwrap().0, name);
        assert!(means("echo", "echo") && !means("echo", "echo2"));
        assert!(means("{agent}", "anything"));
        assert!(means("pool-{agent}-a", "pool-x-a") && !means("pool-{agent}-a", "pool--a"));
        assert!(!means("pool-{agent}", "pool-") && !means("pool-{agent}", "other"));
    }
}
