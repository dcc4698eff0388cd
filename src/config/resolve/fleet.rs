//! The fleet's settings: passwords in hand, and none without the thing it is for.
//!
//! Promises that a setting which would have no effect is a problem. Never shows a secret.

use super::seconds;
use crate::config::fleet as written;
use crate::config::problem::{At, Findings, Place};
use crate::config::resolved::{Fleet, RedisUrl, SecretText, Topology};
use crate::config::secret::SecretFile;
use crate::config::setting::is_plain_name;

pub(crate) fn resolve(fleet: At<written::Fleet>, findings: &mut Findings) -> Option<Fleet> {
    let written = fleet.value;
    let password = secret(("password", written.password), written.password_file, findings);
    let sentinel_place =
        place_of(written.sentinel_password.as_ref(), written.sentinel_password_file.as_ref());
    let sentinel_password =
        secret(("sentinel_password", written.sentinel_password), written.sentinel_password_file, findings);
    let redis = written.redis?;
    if redis.value.username.is_some() && matches!(password, Password::None) {
        let expected = "expected `fleet.password_file` (the path of a file) or `fleet.password`";
        findings.refuse(redis.place, "a user of Redis without a password", expected);
    }
    refuse_idle(&redis.value, sentinel_place, written.ca_file.as_ref().map(|file| file.place), findings);
    Some(Fleet {
        redis: redis.value,
        password: password.known(),
        sentinel_password: sentinel_password.known(),
        ca_file: written.ca_file.map(|file| file.value.0),
        name: written.name.map_or_else(host_name, |name| name.value.0),
        key_prefix: written.key_prefix.map_or_else(|| "keystile".into(), |prefix| prefix.value.0),
        trust: written.trust.map_or(seconds(2), |time| time.value.0),
        serve_for: match written.on_redis_loss {
            Some(loss) => loss.value.0.and_then(|loss| loss.serve_for).map(|time| time.value.0),
            None => Some(seconds(600)),
        },
        failover_overlap: written.failover_overlap.map_or(seconds(10), |time| time.value.0),
    })
}

/// Notes what is written and would change nothing.
fn refuse_idle(redis: &RedisUrl, sentinel: Option<Place>, ca: Option<Place>, findings: &mut Findings) {
    if let Some(place) = sentinel.filter(|_| !matches!(redis.topology, Topology::Sentinel { .. })) {
        let expected = "expected `fleet.redis` to name Sentinels: `redis+sentinel://HOST:PORT,…/NAME`";
        findings.refuse(place, "a password of Sentinels without Sentinels", expected);
    }
    if let Some(place) = ca.filter(|_| !redis.tls) {
        let expected = "expected `fleet.redis` to begin with `rediss`: certificates are for TLS";
        findings.refuse(place, "certificates for a Redis without TLS", expected);
    }
}

/// A password, or why there is none.
enum Password {
    None,
    /// It is written and was found wrong.
    Broken,
    Known(SecretText),
}

impl Password {
    fn known(self) -> Option<SecretText> {
        match self {
            Password::Known(secret) => Some(secret),
            Password::None | Password::Broken => None,
        }
    }
}

fn place_of(inline: Option<&At<SecretText>>, file: Option<&At<SecretFile>>) -> Option<Place> {
    inline.map(|inline| inline.place).or_else(|| file.map(|file| file.place))
}

/// The secret that is written, or read from the file that is named; at most one of the two.
fn secret(
    (name, inline): (&str, Option<At<SecretText>>),
    file: Option<At<SecretFile>>,
    findings: &mut Findings,
) -> Password {
    match (inline, file) {
        (None, None) => Password::None,
        (Some(secret), None) => Password::Known(secret.value),
        (None, Some(file)) => match file.value.read() {
            Ok(secret) => Password::Known(secret),
            Err(why) => {
                let expected =
                    "expected a file that holds the password and nothing else, and that this user may read";
                findings.refuse(file.place, why, expected);
                Password::Broken
            }
        },
        (Some(_), Some(file)) => {
            let expected = format!("expected one of the two: remove `{name}` or `{name}_file`");
            findings.refuse(file.place, "two passwords", expected);
            Password::Broken
        }
    }
}

/// What this machine is called, in letters that metrics and logs can show as they are.
fn host_name() -> String {
    let known = ["/proc/sys/kernel/hostname", "/etc/hostname"];
    let name = known.iter().find_map(|path| std::fs::read_to_string(path).ok()).unwrap_or_default();
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.trim().chars().take(64).map(plain).collect();
    if is_plain_name(&name) { name } else { "keystile".into() }
}
