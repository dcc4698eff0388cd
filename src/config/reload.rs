//! What of a configuration may change while the process runs.
//!
//! Promises that a reload takes whole or not at all (guarantee G8): where one setting needs a restart, none changes.

use super::Config;

/// Settings that differ and are read at start only.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{} can change only by a restart; nothing was changed", settings.join(", "))]
pub struct NeedsRestart {
    /// Their names, as in the file.
    pub settings: Vec<&'static str>,
}

/// Whether `next` can replace `running` while it runs: routes, upstreams, limits of keys, and the sizes, timeouts and
/// trusted proxies of the gateway can.
///
/// # Errors
/// Names what else differs.
pub fn may_replace(running: &Config, next: &Config) -> Result<(), NeedsRestart> {
    let (old, new) = (&running.gateway, &next.gateway);
    let differing = [
        ("gateway.listen", old.listen != new.listen),
        ("gateway.workers", old.workers != new.workers),
        ("gateway.connections_max", old.connections_max != new.connections_max),
        ("console", running.console != next.console),
        ("ops", running.ops != next.ops),
        ("database", running.database != next.database),
        ("keys.prefix", running.key_format != next.key_format),
        ("limits.keys_per_organization", running.keys_per_organization != next.keys_per_organization),
        ("guard", running.guard != next.guard),
        ("metrics", running.metrics != next.metrics),
        ("access_log", running.access_log != next.access_log),
    ];
    let settings: Vec<_> =
        differing.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name).collect();
    if settings.is_empty() { Ok(()) } else { Err(NeedsRestart { settings }) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(text: &str) -> Config {
        crate::config::load_str(text, "test.yaml", &|_| None).unwrap()
    }

    #[test]
    fn routes_and_limits_may_change_while_running_and_ports_may_not() {
        let running = config("limits: { key: { concurrency: 5 } }");
        let limits = config("limits: { key: { concurrency: 6 } }\ngateway: { head_timeout: 3s }");
        assert_eq!(may_replace(&running, &limits), Ok(()));
        let ports = config("gateway: { listen: [{ address: 127.0.0.1:1 }] }\nkeys: { prefix: kk }");
        let refused = may_replace(&running, &ports).unwrap_err();
        assert_eq!(refused.settings, ["gateway.listen", "keys.prefix"]);
    }
}
