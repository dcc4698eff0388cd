//! What Redis' errors mean: for whoever reads them, and for the connection they came by.
//!
//! Promises a text that says what to do, and that no such text holds a password. Where Redis says that another server
//! is to be asked, the connection is given up, so that the next call looks for it.

use redis::{ErrorKind, RedisError};

use crate::fleet::hub::HubError;

/// An error of a call.
#[derive(Debug, Clone)]
pub(super) struct Failure {
    /// For the caller.
    pub(super) error: HubError,
    /// No answer came: counts towards the breaker.
    pub(super) silent: bool,
    /// The connection leads to the wrong server, or nowhere.
    pub(super) give_up: bool,
}

impl Failure {
    /// No answer came.
    pub(super) fn silent(why: impl Into<String>) -> Failure {
        Failure { error: HubError::Unreachable(why.into()), silent: true, give_up: true }
    }

    fn refused(why: impl Into<String>, give_up: bool) -> Failure {
        Failure { error: HubError::Refused(why.into()), silent: false, give_up }
    }

    /// The server is there, and not the one to talk to.
    pub(super) fn elsewhere(why: impl Into<String>) -> Failure {
        Failure::refused(why, true)
    }
}

impl From<RedisError> for Failure {
    fn from(error: RedisError) -> Failure {
        let detail = error.detail().unwrap_or_default();
        // Rights that a script lacks are told in words of their own, behind a code that means anything.
        if detail.contains("ACL failure in script") || detail.contains("user executing the script") {
            return Failure::refused(RIGHTS, false);
        }
        if let Some((code, what_to_do)) =
            error.code().and_then(|code| KNOWN.iter().find(|(known, ..)| *known == code).map(|k| (k.0, k.1)))
        {
            return Failure::refused(what_to_do, GIVES_UP.contains(&code));
        }
        if error.kind() == ErrorKind::AuthenticationFailed {
            return Failure::refused(PASSWORD, true);
        }
        if error.kind() == ErrorKind::InvalidClientConfig {
            return Failure::refused(format!("the connection cannot be made: {error}"), true);
        }
        if error.code().is_some() {
            let error = HubError::Foreign(error.to_string());
            return Failure { error, silent: false, give_up: false };
        }
        Failure::silent(error.to_string())
    }
}

const PASSWORD: &str =
    "it does not accept the user or the password: look at fleet.redis and fleet.password_file";
const RIGHTS: &str = "the user lacks a right: compare its rules with those in docs/fleet.md";
const CLUSTER: &str = "the cluster is moving this part of it, or it is a cluster and fleet.redis does not begin with redis+cluster://";

/// Codes of Redis' errors and what to do about them.
const KNOWN: &[(&str, &str)] = &[
    ("READONLY", "it is a replica: fleet.redis has to lead to the primary, or to Sentinels that know it"),
    ("MASTERDOWN", "it is a replica that has lost its primary"),
    ("NOREPLICAS", "it takes no writes with so few replicas (min-replicas-to-write): bring them back"),
    ("LOADING", "it is still loading its contents: wait"),
    ("CLUSTERDOWN", "the cluster is down: see what `redis-cli cluster info` says"),
    ("TRYAGAIN", "the cluster is moving slots: wait"),
    ("MOVED", CLUSTER),
    ("ASK", CLUSTER),
    ("CROSSSLOT", CLUSTER),
    ("OOM", "it is out of memory: raise its maxmemory"),
    ("MISCONF", "it takes no writes because it cannot save its contents: look at its log"),
    ("BUSY", "a script runs on it and does not end"),
    ("NOPERM", RIGHTS),
    ("NOAUTH", "it wants a password: set fleet.password_file"),
    ("WRONGPASS", PASSWORD),
];

/// Codes of servers that should not be asked again: another one may have become the primary.
const GIVES_UP: &[&str] = &["READONLY", "MASTERDOWN", "NOREPLICAS", "NOAUTH", "WRONGPASS"];
