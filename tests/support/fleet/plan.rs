//! What a fleet is made of, and the configuration of each of its processes.
//!
//! Written as an operator writes it: one file a process, which differ in their name and in where they reach Redis.

use std::net::SocketAddr;

use crate::support::fault_proxy::FaultProxy;
use crate::support::scene;
use crate::support::settings::Settings;
use crate::support::upstream::Upstream;

/// What a fleet is made of.
#[derive(Debug, Clone)]
pub(crate) struct Plan {
    hub: HubAt,
    user: String,
    pub(super) consoles: usize,
    pub(super) console_role: &'static str,
    pub(super) gateways: usize,
    trust: String,
    on_redis_loss: String,
    fleet_lines: Vec<String>,
    database: Option<(String, Vec<String>)>,
    keys_per_organization: u32,
    upstream: Option<String>,
}

/// Where Redis is.
#[derive(Debug, Clone)]
enum HubAt {
    /// One server; every process reaches it through its own link.
    Linked(SocketAddr),
    /// Whatever the address says; processes reach it directly, as they learn of servers by themselves.
    Direct(String),
}

impl Plan {
    /// Two gateways and a console around one server, with a trust that suits tests.
    pub(crate) fn around(server: &str) -> Plan {
        Plan::new(HubAt::Linked(server.parse().expect("an address and a port")))
    }

    /// The same around what `url` names: Sentinels, a cluster, a server with TLS.
    pub(crate) fn at(url: &str) -> Plan {
        Plan::new(HubAt::Direct(url.to_owned()))
    }

    fn new(hub: HubAt) -> Plan {
        Plan {
            hub,
            user: String::new(),
            consoles: 1,
            console_role: "console",
            gateways: 2,
            trust: String::from("1s"),
            on_redis_loss: String::from("{ serve_for: 10m }"),
            fleet_lines: Vec::new(),
            database: None,
            keys_per_organization: 1000,
            upstream: None,
        }
    }

    pub(crate) fn gateways(mut self, count: usize) -> Plan {
        self.gateways = count;
        self
    }

    pub(crate) fn consoles(mut self, count: usize) -> Plan {
        self.consoles = count;
        self
    }

    /// Consoles that are gateways too: `keystile serve`.
    pub(crate) fn serving(mut self) -> Plan {
        self.console_role = "serve";
        self
    }

    pub(crate) fn trust(mut self, trust: &str) -> Plan {
        trust.clone_into(&mut self.trust);
        self
    }

    /// `on_redis_loss: refuse`.
    pub(crate) fn refuse(mut self) -> Plan {
        self.on_redis_loss = String::from("refuse");
        self
    }

    /// `on_redis_loss: { serve_for: … }`.
    pub(crate) fn serve_for(mut self, duration: &str) -> Plan {
        self.on_redis_loss = format!("{{ serve_for: {duration} }}");
        self
    }

    /// The user that processes sign in to Redis as.
    pub(crate) fn user(mut self, name: &str) -> Plan {
        self.user = format!("{name}@");
        self
    }

    /// Another line of `fleet`, such as `password: secret`.
    pub(crate) fn line(mut self, line: &str) -> Plan {
        self.fleet_lines.push(line.to_owned());
        self
    }

    /// One of these lines replaced.
    pub(crate) fn instead(mut self, line: &str, by: &str) -> Plan {
        self.fleet_lines.retain(|own| own != line);
        self.line(by)
    }

    /// A database that consoles share, and further lines that go with it, such as its password.
    pub(crate) fn database(mut self, url: &str, lines: &[String]) -> Plan {
        self.database = Some((url.to_owned(), lines.to_vec()));
        self
    }

    /// Without links: what is measured is the way to Redis, and nothing in between.
    pub(crate) fn direct(mut self) -> Plan {
        if let HubAt::Linked(server) = self.hub {
            self.hub = HubAt::Direct(format!("redis://{}{server}", self.user));
        }
        self
    }

    /// Another upstream than the one that tells which requests reached it.
    pub(crate) fn upstream(mut self, url: &str) -> Plan {
        self.upstream = Some(url.to_owned());
        self
    }

    pub(crate) fn keys_per_organization(mut self, cap: u32) -> Plan {
        self.keys_per_organization = cap;
        self
    }

    /// The settings of one process, which reaches Redis at `redis` or wherever the plan says.
    pub(super) fn settings(
        &self,
        settings: &mut Settings,
        name: &str,
        link: Option<&FaultProxy>,
        upstream: &Upstream,
    ) {
        let user = &self.user;
        let redis = match (&self.hub, link) {
            (HubAt::Linked(_), Some(link)) => format!("redis://{user}{}", link.address()),
            (HubAt::Linked(server), None) => format!("redis://{user}{server}"),
            (HubAt::Direct(url), _) => url.clone(),
        };
        let upstream = self.upstream.clone().unwrap_or_else(|| upstream.url());
        settings.upstream("echo", &[upstream], "").route(scene::AGENTS_ROUTE);
        settings.keys_per_organization(self.keys_per_organization).gateway("workers: 1");
        let (trust, on_redis_loss) = (&self.trust, &self.on_redis_loss);
        let mut lines = vec![
            format!("redis: {redis}"),
            format!("name: {name}"),
            format!("trust: {trust}"),
            format!("on_redis_loss: {on_redis_loss}"),
        ];
        lines.extend(self.fleet_lines.iter().cloned());
        settings.section(&format!("fleet:\n  {}", lines.join("\n  ")));
        if let Some((url, more)) = self.database.as_ref().filter(|_| name.starts_with("console")) {
            settings.database(url);
            more.iter().for_each(|line| {
                settings.section(line);
            });
        }
    }

    pub(super) fn link(&self) -> Option<FaultProxy> {
        match self.hub {
            HubAt::Linked(server) => Some(FaultProxy::to(server)),
            HubAt::Direct(_) => None,
        }
    }
}
