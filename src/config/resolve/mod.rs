//! From the file as written to the configuration as used: defaults, and every rule that joins two settings.
//!
//! Promises to go on after each problem and to tell all of them. What a field alone must be was checked when it was
//! read.

mod console;
mod database;
mod fleet;
mod limits;
mod listeners;
mod routes;
mod upstreams;

use super::file;
use super::problem::{At, Findings};
use super::resolved::{AccessLog, Config, Gateway, Guard, Metrics};
use crate::domain::secret::SecretFormat;

/// What the file means. Only to be used where `findings` stayed empty.
pub(crate) fn resolve(file: file::File, findings: &mut Findings) -> Config {
    let written_gateway = section(file.gateway);
    let written_console = section(file.console);
    let listeners = listeners::resolve(&written_gateway, &written_console, &section(file.ops), findings);
    let gateway = gateway(written_gateway, listeners.gateway, findings);
    let limits = section(file.limits);
    let written_upstreams = section(file.upstreams);
    let names = upstreams::Names::of(&written_upstreams);
    let routes = file.routes.map(|routes| routes.value.0).unwrap_or_default();
    Config {
        routes: routes::resolve(routes, &names, gateway.body_bytes_max, findings),
        upstreams: upstreams::resolve(written_upstreams, findings),
        gateway,
        console: console::resolve(written_console, listeners.console, findings),
        ops: listeners.ops,
        database: database::resolve(
            file.database,
            file.database_password,
            file.database_password_file,
            findings,
        ),
        fleet: file.fleet.and_then(|fleet| fleet::resolve(fleet, findings)),
        key_format: or(section(file.keys).prefix, SecretFormat::keys()),
        keys_per_organization: limits.keys_per_organization.map_or(10, |cap| clamp(cap.value.0)),
        key_limits: limits::resolve(section(limits.key), findings),
        guard: Guard {
            failures_per_minute: match section(file.guard).failures_per_minute {
                Some(failures) => failures.value.0.map(|failures| clamp(failures.0)),
                None => Some(60),
            },
        },
        metrics: Metrics { keys_max: section(file.metrics).keys_max.map_or(1_000, |max| clamp(max.value.0)) },
        access_log: or(file.access_log, AccessLog::Off),
    }
}

fn gateway(written: file::Gateway, listen: Vec<std::net::SocketAddr>, findings: &mut Findings) -> Gateway {
    let workers = match written.workers.and_then(|workers| workers.value.0) {
        Some(workers) => clamp(workers.0),
        None => std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
    };
    let head_bytes_max = written.head_bytes_max.map_or(32 << 10, |max| max.value.0);
    if let Some(target) = written.target_bytes_max.as_ref().filter(|max| max.value.0 > head_bytes_max) {
        findings.refuse(
            target.place,
            "a target longer than the whole head",
            format!(
                "expected at most `head_bytes_max`, which is {}",
                super::units::size_text(head_bytes_max)
            ),
        );
    }
    let target_bytes_max = written.target_bytes_max.map_or(head_bytes_max.min(8 << 10), |max| max.value.0);
    let proxies = written.trusted_proxies.map(|proxies| proxies.value.0).unwrap_or_default();
    let default_url = || listen.first().map(|first| listeners::url_of(*first)).unwrap_or_default();
    Gateway {
        public_url: written.public_url.map_or_else(default_url, |url| url.value.0),
        listen,
        workers,
        trusted_proxies: proxies.into_iter().map(|network| network.value).collect(),
        head_bytes_max: clamp(head_bytes_max),
        head_fields_max: written.head_fields_max.map_or(100, |max| clamp(max.value.0)),
        body_bytes_max: written.body_bytes_max.map_or(100 << 20, |max| max.value.0),
        target_bytes_max: clamp(target_bytes_max),
        head_timeout: written.head_timeout.map_or(seconds(10), |time| time.value.0),
        idle_timeout: written.idle_timeout.map_or(seconds(75), |time| time.value.0),
        connections_max: written.connections_max.map_or(10_000, |max| clamp(max.value.0)),
        leave_delay: written.leave_delay.map_or(seconds(0), |time| time.value.0),
        grace: written.grace.map_or(seconds(30), |time| time.value.0),
    }
}

/// A section that is absent is one with nothing in it.
fn section<T: Default>(written: Option<At<T>>) -> T {
    written.map(|at| at.value).unwrap_or_default()
}

fn or<T>(written: Option<At<T>>, default: T) -> T {
    written.map_or(default, |at| at.value)
}

fn seconds(count: u64) -> std::time::Duration {
    std::time::Duration::from_secs(count)
}

/// The number in the type it is used as. Ranges were checked when it was read, so nothing is lost.
fn clamp<T: TryFrom<u64> + From<u16>>(number: u64) -> T {
    T::try_from(number).unwrap_or_else(|_| T::from(u16::MAX))
}
