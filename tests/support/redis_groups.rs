//! Redis servers that belong together: a primary with replicas and Sentinels, a cluster.

use std::process::{Command, Stdio};

use super::{RedisServer, free_port};

/// What Sentinels call the primary.
const SERVICE: &str = "mymaster";

/// A primary, two replicas, and three Sentinels that notice its death within a second.
#[derive(Debug)]
pub(crate) struct Sentinels {
    servers: Vec<RedisServer>,
    sentinels: Vec<RedisServer>,
}

impl Sentinels {
    /// Starts them, and waits until replicas follow and Sentinels know each other.
    pub(crate) fn start() -> Sentinels {
        let quick = ("repl-diskless-sync-delay", "0");
        let primary = RedisServer::with(&[quick]);
        let replica_of = format!("127.0.0.1 {}", primary.port());
        let replica = || RedisServer::with(&[quick, ("replicaof", &replica_of)]);
        let servers = vec![replica(), replica(), primary];
        let primary = &servers[2];
        primary.until(&["info", "replication"], |told| told.matches("state=online").count() == 2);
        let sentinels: Vec<RedisServer> = (0..3).map(|_| sentinel(primary.port())).collect();
        for sentinel in &sentinels {
            let told = |told: &str| told.starts_with("OK 3 usable");
            sentinel.until(&["sentinel", "ckquorum", SERVICE], told);
            sentinel.until(&["sentinel", "replicas", SERVICE], |told| told.matches("runid").count() == 2);
        }
        Sentinels { servers, sentinels }
    }

    /// Where they are, for `fleet.redis`.
    pub(crate) fn url(&self) -> String {
        let addresses: Vec<String> = self.sentinels.iter().map(RedisServer::address).collect();
        format!("redis+sentinel://{}/{SERVICE}", addresses.join(","))
    }

    /// The server that the Sentinels take for the primary.
    pub(crate) fn primary(&self) -> &RedisServer {
        let at = self.primary_at();
        &self.servers[at]
    }

    /// All servers of data, dead ones too.
    pub(crate) fn servers(&mut self) -> &mut [RedisServer] {
        &mut self.servers
    }

    /// The Sentinels.
    pub(crate) fn sentinels(&mut self) -> &mut [RedisServer] {
        &mut self.sentinels
    }

    /// Kills the primary, and waits until the Sentinels have chosen another one. Gives the dead one's place among the
    /// servers.
    pub(crate) fn kill_primary(&mut self) -> usize {
        let dead = self.primary_at();
        self.servers[dead].kill();
        self.await_another(dead);
        dead
    }

    /// Has the Sentinels choose another primary while the old one lives, and waits until that is done.
    pub(crate) fn fail_over(&self) {
        let old = self.primary_at();
        self.sentinels[0].until(&["sentinel", "failover", SERVICE], |told| told.starts_with("OK"));
        self.await_another(old);
        self.servers[old].until(&["role"], |told| told.starts_with("slave"));
    }

    /// Waits until every Sentinel names another primary than the one at that place, and it says that it is one.
    pub(crate) fn await_another(&self, old: usize) {
        let port = self.servers[old].port().to_string();
        for sentinel in &self.sentinels {
            sentinel.until(&["sentinel", "get-master-addr-by-name", SERVICE], |told| {
                told.lines().nth(1).is_some_and(|named| named != port)
            });
        }
        self.primary().until(&["role"], |told| told.starts_with("master"));
    }

    fn primary_at(&self) -> usize {
        let told = self.sentinels[0].command(&["sentinel", "get-master-addr-by-name", SERVICE]);
        let port: u16 = told.lines().nth(1).unwrap().parse().unwrap();
        self.servers.iter().position(|server| server.port() == port).unwrap()
    }
}

fn sentinel(primary: u16) -> RedisServer {
    let folder = tempfile::tempdir().unwrap();
    let configuration = format!(
        "sentinel monitor {SERVICE} 127.0.0.1 {primary} 2\n\
         sentinel down-after-milliseconds {SERVICE} 500\n\
         sentinel failover-timeout {SERVICE} 2000\n\
         sentinel parallel-syncs {SERVICE} 2\n"
    );
    std::fs::write(folder.path().join("sentinel.conf"), configuration).unwrap();
    RedisServer::begin(folder, &[], true, false)
}

/// A cluster of three masters.
#[derive(Debug)]
pub(crate) struct Cluster {
    servers: Vec<RedisServer>,
}

impl Cluster {
    /// Three masters.
    pub(crate) fn start() -> Cluster {
        Cluster::of(3, 0)
    }

    /// Three masters with a replica each.
    pub(crate) fn with_replicas() -> Cluster {
        Cluster::of(6, 1)
    }

    fn of(count: usize, replicas: usize) -> Cluster {
        let server = |_| {
            let bus = free_port().to_string();
            let settings = [
                ("cluster-enabled", "yes"),
                ("cluster-port", &bus),
                ("cluster-node-timeout", "1000"),
                ("repl-diskless-sync-delay", "0"),
            ];
            RedisServer::with(&settings)
        };
        let servers: Vec<RedisServer> = (0..count).map(server).collect();
        let mut create = Command::new("redis-cli");
        create.args(["--cluster", "create"]).args(servers.iter().map(RedisServer::address));
        create.args(["--cluster-replicas", &replicas.to_string(), "--cluster-yes"]);
        let output = create.stdin(Stdio::null()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        let cluster = Cluster { servers };
        cluster.await_health();
        cluster
    }

    /// Where it is, for `fleet.redis`.
    pub(crate) fn url(&self) -> String {
        let addresses: Vec<String> = self.servers.iter().map(RedisServer::address).collect();
        format!("redis+cluster://{}", addresses.join(","))
    }

    /// All servers: the masters first, as long as none was killed.
    pub(crate) fn servers(&mut self) -> &mut [RedisServer] {
        &mut self.servers
    }

    /// The server that holds the slot of a key, or of anything with its hash tag.
    pub(crate) fn holder(&mut self, key: &str) -> &mut RedisServer {
        let slot = self.servers[0].command(&["cluster", "keyslot", key]);
        let holds = |server: &RedisServer| server.command(&["cluster", "countkeysinslot", &slot]) != "0";
        let masters: Vec<usize> = (0..self.servers.len())
            .filter(|at| self.servers[*at].command(&["role"]).starts_with("master"))
            .collect();
        let found = masters.into_iter().find(|at| holds(&self.servers[*at]));
        &mut self.servers[found.expect("no server has keys in that slot")]
    }

    /// Waits until every server that lives finds the cluster whole.
    pub(crate) fn await_health(&self) {
        let count = self.servers.len();
        for server in self.servers.iter().filter(|server| server.child.is_some()) {
            server.until(&["cluster", "info"], |told| {
                told.contains("cluster_state:ok") && told.contains(&format!("cluster_known_nodes:{count}"))
            });
        }
    }
}
