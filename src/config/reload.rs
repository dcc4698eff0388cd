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
    let (old_console, new_console) = (&running.console, &next.console);
    // A URL that is not written follows the address: then the address alone is told.
    let url_alone = old.listen == new.listen && old.public_url != new.public_url;
    let console_url_alone =
        old_console.listen == new_console.listen && old_console.public_url != new_console.public_url;
    let password_alone = running.database.is_same_place(&next.database) && running.database != next.database;
    let differing = [
        ("gateway.listen", old.listen != new.listen),
        ("gateway.public_url", url_alone),
        ("gateway.workers", old.workers != new.workers),
        ("gateway.connections_max", old.connections_max != new.connections_max),
        ("console.listen", old_console.listen != new_console.listen),
        ("console.public_url", console_url_alone),
        ("console.sessions", old_console.sessions != new_console.sessions),
        ("console.trusted_proxies", old_console.trusted_proxies != new_console.trusted_proxies),
        ("console.openid", old_console.openid != new_console.openid),
        ("ops", running.ops != next.ops),
        ("database", !running.database.is_same_place(&next.database)),
        ("database_password", password_alone),
        ("fleet", running.fleet != next.fleet),
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
        let console = config(
            "limits: { key: { concurrency: 5 } }\nconsole: { sessions: { idle_timeout: 1h }, public_url: \"https://a\" }",
        );
        let refused = may_replace(&running, &console).unwrap_err();
        assert_eq!(refused.settings, ["console.public_url", "console.sessions"]);
        let fleet = config(
            "limits: { key: { concurrency: 5 } }\nfleet: { redis: \"redis://localhost\", name: a, trust: 3s }",
        );
        assert_eq!(may_replace(&running, &fleet).unwrap_err().settings, ["fleet"]);
        assert_eq!(may_replace(&fleet, &fleet), Ok(()));
    }

    #[test]
    fn another_password_of_the_database_needs_a_restart_and_is_told_by_its_own_name() {
        let with = |password| config(&format!("database: postgres://k@h/d\ndatabase_password: {password}"));
        let refused = may_replace(&with("one"), &with("two")).unwrap_err();
        assert_eq!(refused.settings, ["database_password"]);
        let moved = config("database: postgres://k@other/d\ndatabase_password: two");
        assert_eq!(may_replace(&with("one"), &moved).unwrap_err().settings, ["database"]);
    }
}
