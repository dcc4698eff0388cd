//! How to reach Redis in each of its topologies.
//!
//! Promises that a connection leads to a primary, checked where Sentinels named it, and that each step of connecting
//! ends in bounded time. TLS uses one named provider of cryptography. Never shows a password.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use redis::aio::{ConnectionLike, MultiplexedConnection};
use redis::cluster::ClusterClientBuilder;
use redis::cluster_async::ClusterConnection;
use redis::{
    AsyncConnectionConfig, Client, ConnectionAddr, ConnectionInfo, IntoConnectionInfo, RedisConnectionInfo,
    RedisResult, TlsCertificates, Value,
};

use super::refusal::Failure;
use crate::config::{Fleet, RedisUrl, SecretText, Topology};
use crate::fleet::hub::HubError;

/// To connect to a server, with TLS and password.
pub(super) const CONNECT: Duration = Duration::from_secs(1);
/// To ask one Sentinel: two that are silent leave time for the third.
const SENTINEL: Duration = Duration::from_millis(400);
/// For one server of a cluster to answer.
const NODE: Duration = Duration::from_secs(1);
/// How often a cluster is asked again, at another server where slots have moved.
const CLUSTER_RETRIES: u32 = 2;
/// Bounds of the waits between that, in milliseconds.
const CLUSTER_WAIT_MS: (u64, u64) = (20, 200);

/// A connection. Clones share it.
#[derive(Clone)]
pub(super) enum Wire {
    Single(MultiplexedConnection),
    Cluster(ClusterConnection),
}

impl Wire {
    pub(super) async fn run(&mut self, command: &redis::Cmd) -> RedisResult<Value> {
        let answer = match self {
            Wire::Single(connection) => connection.req_packed_command(command).await,
            Wire::Cluster(connection) => connection.req_packed_command(command).await,
        };
        answer.and_then(Value::extract_error)
    }

    /// Several commands in one round trip; in a cluster they are of one slot. Errors stand among the answers.
    pub(super) async fn run_all(&mut self, pipeline: &redis::Pipeline) -> RedisResult<Vec<Value>> {
        match self {
            Wire::Single(connection) => connection.req_packed_commands(pipeline, 0, pipeline.len()).await,
            Wire::Cluster(connection) => connection.req_packed_commands(pipeline, 0, pipeline.len()).await,
        }
    }
}

/// Where Redis is and who we are to it.
pub(super) struct Server {
    url: RedisUrl,
    password: Option<SecretText>,
    sentinel_password: Option<SecretText>,
    certificates: Option<TlsCertificates>,
    /// The Sentinel that answered last: it is asked first.
    sentinel: AtomicUsize,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("url", &self.url).finish_non_exhaustive()
    }
}

impl Server {
    /// # Errors
    /// [`HubError::Refused`] where the certificates cannot be read.
    pub(super) fn new(fleet: &Fleet) -> Result<Server, HubError> {
        if fleet.redis.tls {
            // Whoever was first named the provider; there is one in this program.
            let _ = rustls::crypto::ring::default_provider().install_default();
        }
        let certificates = match &fleet.ca_file {
            None => None,
            Some(path) => {
                let read = std::fs::read(path);
                let root_cert = read.map_err(|error| {
                    HubError::Refused(format!("fleet.ca_file {} cannot be read: {error}", path.display()))
                })?;
                Some(TlsCertificates { client_tls: None, root_cert: Some(root_cert) })
            }
        };
        Ok(Server {
            url: fleet.redis.clone(),
            password: fleet.password.clone(),
            sentinel_password: fleet.sentinel_password.clone(),
            certificates,
            sentinel: AtomicUsize::new(0),
        })
    }

    /// Whether the servers of a cluster are found, and found again, by the connection itself.
    pub(super) fn is_cluster(&self) -> bool {
        matches!(self.url.topology, Topology::Cluster { .. })
    }

    /// Connects.
    pub(super) async fn connect(&self) -> Result<Wire, Failure> {
        match &self.url.topology {
            Topology::Single { address } => Ok(Wire::Single(self.one(address, &self.settings()).await?)),
            Topology::Sentinel { sentinels, service } => self.primary(sentinels, service).await,
            Topology::Cluster { nodes } => self.cluster(nodes).await,
        }
    }

    fn settings(&self) -> RedisConnectionInfo {
        let mut settings = signed_in(self.url.username.as_deref(), self.password.as_ref());
        settings = settings.set_db(self.url.database);
        settings
    }

    async fn one(
        &self,
        address: &(String, u16),
        settings: &RedisConnectionInfo,
    ) -> Result<MultiplexedConnection, Failure> {
        let info = self.info(address, settings)?;
        let client = match &self.certificates {
            Some(certificates) => Client::build_with_tls(info, certificates.clone())?,
            None => Client::open(info)?,
        };
        // Answers are waited for by whoever asks, each for its own time.
        let config =
            AsyncConnectionConfig::new().set_connection_timeout(Some(CONNECT)).set_response_timeout(None);
        let connecting = client.get_multiplexed_async_connection_with_config(&config);
        let connected = tokio::time::timeout(CONNECT, connecting).await;
        let (host, port) = address;
        let silent = || Failure::silent(format!("{host}:{port} takes no connection in time"));
        connected.map_err(|_| silent())?.map_err(|error| at(host, *port, error.into()))
    }

    fn info(
        &self,
        (host, port): &(String, u16),
        settings: &RedisConnectionInfo,
    ) -> RedisResult<ConnectionInfo> {
        let addr = if self.url.tls {
            ConnectionAddr::TcpTls { host: host.clone(), port: *port, insecure: false, tls_params: None }
        } else {
            ConnectionAddr::Tcp(host.clone(), *port)
        };
        Ok(addr.into_connection_info()?.set_redis_settings(settings.clone()))
    }

    /// The primary that the first Sentinel to answer names, if it says that it is one.
    async fn primary(&self, sentinels: &[(String, u16)], service: &str) -> Result<Wire, Failure> {
        let first = self.sentinel.load(Ordering::Relaxed);
        let mut last = Failure::silent("no Sentinel is configured");
        for turn in 0..sentinels.len() {
            let at = (first + turn) % sentinels.len();
            let Some(sentinel) = sentinels.get(at) else { continue };
            let asked = tokio::time::timeout(SENTINEL, self.ask(sentinel, service)).await;
            match asked.unwrap_or_else(|_| Err(Failure::silent("the Sentinels do not answer in time"))) {
                Ok(address) => {
                    self.sentinel.store(at, Ordering::Relaxed);
                    return self.checked(&address).await;
                }
                Err(failure) => last = failure,
            }
        }
        Err(last)
    }

    async fn ask(&self, sentinel: &(String, u16), service: &str) -> Result<(String, u16), Failure> {
        let mut connection = self.one(sentinel, &signed_in(None, self.sentinel_password.as_ref())).await?;
        let mut command = redis::cmd("SENTINEL");
        command.arg("get-master-addr-by-name").arg(service);
        let answer = connection.req_packed_command(&command).await.and_then(Value::extract_error)?;
        let address: Option<(String, u16)> = redis::from_redis_value(answer).unwrap_or(None);
        address.ok_or_else(|| Failure::elsewhere(format!("the Sentinels know no service `{service}`")))
    }

    async fn checked(&self, address: &(String, u16)) -> Result<Wire, Failure> {
        let mut connection = self.one(address, &self.settings()).await?;
        let mut command = redis::cmd("INFO");
        command.arg("replication");
        let asked = tokio::time::timeout(CONNECT, connection.req_packed_command(&command)).await;
        let answer = asked
            .map_err(|_| Failure::silent("the primary does not answer in time"))?
            .and_then(Value::extract_error)?;
        let told: String = redis::from_redis_value(answer).unwrap_or_default();
        if !told.contains("role:master") {
            let why = "the server that the Sentinels name is not the primary yet";
            return Err(Failure::elsewhere(why));
        }
        Ok(Wire::Single(connection))
    }

    async fn cluster(&self, nodes: &[(String, u16)]) -> Result<Wire, Failure> {
        let settings = self.settings();
        let infos = nodes.iter().map(|node| self.info(node, &settings));
        let infos = infos.collect::<RedisResult<Vec<_>>>()?;
        let mut builder = ClusterClientBuilder::new(infos)
            .connection_timeout(CONNECT)
            .response_timeout(NODE)
            .retries(CLUSTER_RETRIES)
            .min_retry_wait(CLUSTER_WAIT_MS.0)
            .max_retry_wait(CLUSTER_WAIT_MS.1);
        if let Some(certificates) = &self.certificates {
            builder = builder.certs(certificates.clone());
        }
        let client = builder.build()?;
        let connected = tokio::time::timeout(2 * CONNECT, client.get_async_connection()).await;
        let silent = || Failure::silent("no server of the cluster takes a connection in time");
        Ok(Wire::Cluster(connected.map_err(|_| silent())??))
    }
}

fn signed_in(username: Option<&str>, password: Option<&SecretText>) -> RedisConnectionInfo {
    let mut settings = RedisConnectionInfo::default().set_skip_set_lib_name();
    if let Some(username) = username {
        settings = settings.set_username(username);
    }
    if let Some(password) = password {
        settings = settings.set_password(password.expose());
    }
    settings
}

/// Names the server in what is told of a connection that did not come about.
fn at(host: &str, port: u16, failure: Failure) -> Failure {
    match failure.error {
        HubError::Unreachable(why) => Failure::silent(format!("{host}:{port}: {why}")),
        HubError::Refused(_)
        | HubError::Unvouched
        | HubError::Superseded
        | HubError::OutOfOrder { .. }
        | HubError::Foreign(_) => failure,
    }
}
