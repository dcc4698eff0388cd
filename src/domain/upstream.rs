//! A named pool of backends and the time they are given.

use std::time::Duration;

/// One address of an upstream, as connected to: `http://host:port`, no path.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// Host name or IP literal (IPv6 without brackets).
    pub host: String,
    /// TCP port.
    pub port: u16,
}

impl Endpoint {
    /// `host:port`, IPv6 in brackets: the `Host` field of forwarded requests and the label of metrics.
    pub fn authority(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }
}

/// How long an upstream may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timeouts {
    /// From the start of connecting until the connection stands.
    pub connect: Duration,
    /// From the whole request sent until the head of the response.
    pub response_head: Duration,
    /// Between two reads or writes that make progress, on running bodies and tunnels.
    pub idle: Duration,
    /// From the head of the request to the end of the response. None: bodies and event streams may go on for ever.
    pub total: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Timeouts {
        Timeouts {
            connect: Duration::from_secs(5),
            response_head: Duration::from_secs(60),
            idle: Duration::from_secs(300),
            total: None,
        }
    }
}

/// A named pool of backends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// Its name in `upstreams`.
    pub name: String,
    /// At least one; taken in turn.
    pub endpoints: Vec<Endpoint>,
    /// The time it is given.
    pub timeouts: Timeouts,
    /// Idle connections kept per endpoint and worker.
    pub idle_connections_max: u32,
    /// How long an idle connection is kept.
    pub idle_connection_timeout: Duration,
}
