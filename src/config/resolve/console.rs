//! The console's settings: how long sessions last, who may vouch for people.
//!
//! Promises that a console with OpenID Connect has its secret in hand, and that no answer of a provider is sent to a
//! URL without encryption, unless that is this machine itself. Never shows a secret.

use std::net::SocketAddr;
use std::time::Duration;

use super::{listeners, seconds};
use crate::config::address::is_loopback_url;
use crate::config::file;
use crate::config::problem::{At, Findings, Place};
use crate::config::resolved::{Console, OpenId, SecretText, Sessions};
use crate::config::units;

const HOUR_S: u64 = 3_600;

pub(crate) fn resolve(written: file::Console, listen: SocketAddr, findings: &mut Findings) -> Console {
    let public_url = written.public_url.map_or_else(|| listeners::url_of(listen), |url| url.value.0);
    let proxies = written.trusted_proxies.map(|proxies| proxies.value.0).unwrap_or_default();
    Console {
        listen,
        sessions: sessions(super::section(written.sessions), findings),
        trusted_proxies: proxies.into_iter().map(|network| network.value).collect(),
        openid: written.openid.and_then(|openid| self::openid(openid, &public_url, findings)),
        public_url,
    }
}

fn sessions(written: file::Sessions, findings: &mut Findings) -> Sessions {
    let idle_timeout = written.idle_timeout.as_ref().map_or(seconds(12 * HOUR_S), |time| time.value.0);
    let lifetime = written.lifetime.as_ref().map_or(seconds(7 * 24 * HOUR_S), |time| time.value.0);
    if lifetime < idle_timeout && !written.incomplete {
        // Whichever of the two is written is pointed at: the defaults are in order.
        if let Some(time) = &written.lifetime {
            let expected = format!("expected at least `idle_timeout`, which is {}", text(idle_timeout));
            findings.refuse(time.place, "a lifetime shorter than the idle timeout", expected);
        } else if let Some(time) = &written.idle_timeout {
            let expected = format!("expected at most `lifetime`, which is {}", text(lifetime));
            findings.refuse(time.place, "an idle timeout longer than the lifetime", expected);
        }
    }
    Sessions { idle_timeout, lifetime }
}

fn text(time: Duration) -> String {
    units::duration_text(u64::try_from(time.as_millis()).unwrap_or(u64::MAX))
}

fn openid(written: At<file::OpenId>, public_url: &str, findings: &mut Findings) -> Option<OpenId> {
    let At { value: written, place } = written;
    if !public_url.starts_with("https://") && !is_loopback_url(public_url) {
        let expected =
            "expected `console.public_url` to begin with `https://`: the provider sends people there";
        findings.refuse(place, "OpenID Connect without encryption", expected);
    }
    let client_secret = client_secret(&written, place, findings)?;
    let domains = written.allowed_domains.map(|domains| domains.value.0).unwrap_or_default();
    Some(OpenId {
        issuer: written.issuer?.value.0,
        client_id: written.client_id?.value,
        client_secret,
        allowed_domains: domains.into_iter().map(|domain| domain.value.0).collect(),
    })
}

/// The one secret that is written, or read from the file that is named.
fn client_secret(written: &file::OpenId, place: Place, findings: &mut Findings) -> Option<SecretText> {
    match (&written.client_secret, &written.client_secret_file) {
        (Some(secret), None) => Some(secret.value.clone()),
        (None, Some(file)) => match file.value.read() {
            Ok(secret) => Some(secret),
            Err(why) => {
                let expected =
                    "expected a file that holds the secret and nothing else, and that this user may read";
                findings.refuse(file.place, why, expected);
                None
            }
        },
        (Some(_), Some(file)) => {
            let expected = "expected one of the two: remove `client_secret` or `client_secret_file`";
            findings.refuse(file.place, "two client secrets", expected);
            None
        }
        (None, None) if written.incomplete => None,
        (None, None) => {
            let expected = "expected the field `client_secret_file` (the path of a file) or `client_secret`";
            findings.refuse(place, "no client secret in `console.openid`", expected);
            None
        }
    }
}
