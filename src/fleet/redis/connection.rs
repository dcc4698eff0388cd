//! Calls to Redis: one or a batch, each within its time.
//!
//! Promises that a call ends in bounded time whatever Redis does, that no more than [`UNDER_WAY_MAX`] are under way at
//! once, and that repeated failures are answered at once instead of waited for. A call that failed may have been
//! carried out. Never shows what was sent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::{ErrorKind, RedisError, ServerErrorKind, Value};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

use super::breaker::Breaker;
use super::counters::RedisCounters;
use super::link::{Link, Opened};
use super::names::Names;
use super::refusal::Failure;
use super::script::{Invocation, Script};
use super::server::{CONNECT, Server, Wire};
use crate::config::Fleet;
use crate::fleet::hub::HubError;

/// Calls at once. A process makes a few each second; more are waiting for a Redis that is slow.
const UNDER_WAY_MAX: usize = 256;
/// For the answer to a call.
const ANSWER: Duration = Duration::from_millis(500);
/// For the answer to a call in a cluster, which may have to be asked at another server.
const ANSWER_OF_CLUSTER: Duration = Duration::from_millis(1_500);
/// A call that is given up sooner says nothing about Redis.
const PATIENCE: Duration = Duration::from_millis(200);
/// A batch with more arguments than this carries many records.
const BULK_ARGS: usize = 500;
/// For the answer to a call that carries thousands of records.
const BULK_ANSWER: Duration = Duration::from_secs(5);

/// What one answer to a batch is: the answer, or why this one was refused.
pub(crate) type Answers = Vec<Result<Value, HubError>>;

/// The connection to Redis. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Redis(Arc<Inner>);

struct Inner {
    server: Arc<Server>,
    names: Names,
    link: Link,
    breaker: Mutex<Breaker>,
    under_way: Semaphore,
    counters: Arc<RedisCounters>,
    /// A connection for blocking reads, while nobody reads.
    reader: Mutex<(Option<Wire>, Breaker)>,
}

impl std::fmt::Debug for Inner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Redis").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Redis {
    /// Connects to nothing yet: the first call does.
    ///
    /// # Errors
    /// [`HubError::Refused`] where the certificates cannot be read.
    pub(crate) fn new(fleet: &Fleet) -> Result<Redis, HubError> {
        Ok(Redis(Arc::new(Inner {
            server: Arc::new(Server::new(fleet)?),
            names: Names::new(&fleet.key_prefix, &fleet.redis.topology),
            link: Link::new(),
            breaker: Mutex::new(Breaker::new()),
            under_way: Semaphore::new(UNDER_WAY_MAX),
            counters: Arc::default(),
            reader: Mutex::new((None, Breaker::new())),
        })))
    }

    /// What things are called, and which shard a key lives in.
    pub(crate) fn names(&self) -> &Names {
        &self.0.names
    }

    /// What metrics tell.
    pub(crate) fn counters(&self) -> &Arc<RedisCounters> {
        &self.0.counters
    }

    /// Runs a script on `keys`, which are of one slot, and gives its answer.
    pub(crate) async fn call<A: AsRef<[u8]>>(
        &self,
        script: &'static Script,
        keys: &[String],
        args: &[A],
    ) -> Result<Value, HubError> {
        self.run(Invocation::new(script, keys, args), self.answer_time()).await
    }

    /// Runs a script that carries thousands of records: it is given more time.
    pub(crate) async fn call_bulk(&self, invocation: Invocation) -> Result<Value, HubError> {
        self.run(invocation, BULK_ANSWER).await
    }

    /// Runs several scripts in one round trip; in a cluster, in one for each hash tag. Those of one hash tag are carried
    /// out in their order, except that one which Redis did not know yet comes last. Gives an answer for each.
    pub(crate) async fn call_all(&self, invocations: Vec<Invocation>) -> Result<Answers, HubError> {
        if invocations.is_empty() {
            // A pipeline of nothing would be an error.
            return Ok(Vec::new());
        }
        if !self.0.server.is_cluster() {
            return self.batch(invocations).await;
        }
        let mut groups: BTreeMap<String, Vec<(usize, Invocation)>> = BTreeMap::new();
        let count = invocations.len();
        for (at, invocation) in invocations.into_iter().enumerate() {
            groups.entry(tag(&invocation)).or_default().push((at, invocation));
        }
        let mut running = JoinSet::new();
        for group in groups.into_values() {
            let redis = self.clone();
            running.spawn(async move {
                let (places, group): (Vec<usize>, Vec<Invocation>) = group.into_iter().unzip();
                (places, redis.batch(group).await)
            });
        }
        let mut answers: Answers = vec![Err(HubError::Unreachable("the call was broken off".into())); count];
        while let Some(done) = running.join_next().await {
            let Ok((places, batch)) = done else { continue };
            match batch {
                Ok(batch) => {
                    places.into_iter().zip(batch).for_each(|(at, answer)| put(&mut answers, at, answer))
                }
                Err(error) => places.into_iter().for_each(|at| put(&mut answers, at, Err(error.clone()))),
            }
        }
        Ok(answers)
    }

    async fn run(&self, invocation: Invocation, limit: Duration) -> Result<Value, HubError> {
        let name = invocation.script.name();
        self.guarded(&[name], limit, async |mut wire| one(&mut wire, &invocation).await).await
    }

    async fn batch(&self, invocations: Vec<Invocation>) -> Result<Answers, HubError> {
        let names: Vec<&'static str> = invocations.iter().map(|one| one.script.name()).collect();
        let many = invocations.iter().map(|one| one.args.len()).sum::<usize>() > BULK_ARGS;
        let limit = if many { BULK_ANSWER } else { self.answer_time() };
        let answers =
            self.guarded(&names, limit, async |mut wire| several(&mut wire, &invocations).await).await?;
        Ok(answers.into_iter().map(|answer| answer.map_err(|failure| failure.error)).collect())
    }

    fn answer_time(&self) -> Duration {
        if self.0.server.is_cluster() { ANSWER_OF_CLUSTER } else { ANSWER }
    }

    /// Everything around a call: the breaker, the bound, the connection, the time, the counters.
    async fn guarded<T>(
        &self,
        names: &[&'static str],
        limit: Duration,
        call: impl AsyncFnOnce(Wire) -> Result<T, Failure>,
    ) -> Result<T, HubError> {
        let outcome = self.admitted(limit, call).await;
        names.iter().for_each(|name| self.0.counters.count(name, outcome.is_err()));
        outcome.map_err(|failure| failure.error)
    }

    async fn admitted<T>(
        &self,
        limit: Duration,
        call: impl AsyncFnOnce(Wire) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        if !self.breaker().admits(now()) {
            return Err(Failure::silent("the last calls failed; it is tried again within a second"));
        }
        let _permit = timeout(limit, self.0.under_way.acquire())
            .await
            .map_err(|_| Failure::silent(format!("{UNDER_WAY_MAX} calls are under way already")))?
            .map_err(|_| Failure::silent("the connection was closed"))?;
        let connecting = timeout(2 * CONNECT, self.0.link.wire(&self.0.server, &self.0.counters)).await;
        let connecting =
            connecting.unwrap_or_else(|_| Err(Failure::silent("it takes no connection in time")));
        // Whatever keeps a connection from coming about, trying again at once will not help.
        let opened = connecting.inspect_err(|_| self.failed(None))?;
        let waiting = Waiting::begin(self);
        let answer = timeout(limit, call(opened.wire.clone())).await;
        waiting.end();
        let outcome = answer.unwrap_or_else(|_| Err(Failure::silent("no answer in time")));
        match &outcome {
            Ok(_) => self.succeeded(),
            Err(failure) if failure.silent => self.failed(Some(&opened)),
            Err(failure) => {
                self.succeeded();
                if failure.give_up {
                    self.0.link.give_up(&opened);
                }
            }
        }
        outcome
    }

    fn succeeded(&self) {
        self.breaker().succeeded();
        self.0.counters.set_breaker(false);
    }

    fn failed(&self, opened: Option<&Opened>) {
        let open = self.breaker().failed(now());
        self.0.counters.set_breaker(open);
        // A cluster's connection looks for other servers by itself; one that keeps failing is given up too.
        if let Some(opened) = opened.filter(|_| open || !self.0.server.is_cluster()) {
            self.0.link.give_up(opened);
        }
    }

    fn breaker(&self) -> MutexGuard<'_, Breaker> {
        self.0.breaker.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs a command that waits in Redis for up to `wait`, on a connection that nobody else uses meanwhile.
    pub(super) async fn wait_for(
        &self,
        name: &'static str,
        command: &redis::Cmd,
        wait: Duration,
    ) -> Result<Value, HubError> {
        // What the breaker itself refuses is no failure of Redis': counted as one, it would never be tried again.
        if !self.reader().1.admits(now()) {
            self.0.counters.count(name, true);
            return Err(Failure::silent("the last calls failed; it is tried again within a second").error);
        }
        let outcome = self.waited_for(command, wait).await;
        self.0.counters.count(name, outcome.is_err());
        let mut reader = self.reader();
        match outcome {
            Ok((value, wire)) => {
                reader.1.succeeded();
                reader.0 = Some(wire);
                Ok(value)
            }
            Err(failure) => {
                reader.1.failed(now());
                Err(failure.error)
            }
        }
    }

    async fn waited_for(&self, command: &redis::Cmd, wait: Duration) -> Result<(Value, Wire), Failure> {
        // Taken out, so that another reader does not wait behind this one; dropped where this one is given up.
        let kept = self.reader().0.take();
        let mut wire = match kept {
            Some(wire) => wire,
            None => self.0.server.connect().await?,
        };
        let answer = timeout(wait + self.answer_time(), wire.run(command)).await;
        let value = answer.map_err(|_| Failure::silent("no answer in time"))??;
        Ok((value, wire))
    }

    fn reader(&self) -> MutexGuard<'_, (Option<Wire>, Breaker)> {
        self.0.reader.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A call that waits for its answer. Where whoever made it gives it up after a while, that is a failure too; otherwise
/// callers who are less patient than [`ANSWER`] would find a Redis that hangs as often as they ask.
struct Waiting<'a> {
    /// Not in a cluster, where one server that hangs must not shut the way to the others.
    redis: Option<&'a Redis>,
    since: Instant,
}

impl<'a> Waiting<'a> {
    fn begin(redis: &'a Redis) -> Waiting<'a> {
        Waiting { redis: Some(redis).filter(|redis| !redis.0.server.is_cluster()), since: now() }
    }

    fn end(mut self) {
        self.redis = None;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        if let Some(redis) = self.redis.filter(|_| self.since.elapsed() >= PATIENCE) {
            redis.failed(None);
        }
    }
}

fn now() -> Instant {
    Instant::now()
}

fn put(answers: &mut Answers, at: usize, answer: Result<Value, HubError>) {
    if let Some(place) = answers.get_mut(at) {
        *place = answer;
    }
}

/// What stands between the braces of the first key's name.
fn tag(invocation: &Invocation) -> String {
    let key = invocation.keys.first().map_or("", String::as_str);
    let inside = key.split_once('{').and_then(|(_, rest)| rest.split_once('}'));
    inside.map_or(key, |(tag, _)| tag).to_owned()
}

fn is_unknown(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Server(ServerErrorKind::NoScript)
}

/// One script, by its hash, or with its text where Redis does not know it.
async fn one(wire: &mut Wire, invocation: &Invocation) -> Result<Value, Failure> {
    match wire.run(&invocation.command(false)).await {
        Err(error) if is_unknown(&error) => Ok(wire.run(&invocation.command(true)).await?),
        answer => Ok(answer?),
    }
}

async fn several(
    wire: &mut Wire,
    invocations: &[Invocation],
) -> Result<Vec<Result<Value, Failure>>, Failure> {
    let mut pipeline = redis::Pipeline::with_capacity(invocations.len());
    for invocation in invocations {
        pipeline.add_command(invocation.command(false));
    }
    let values = wire.run_all(&pipeline).await?;
    if values.len() != invocations.len() {
        return Err(Failure::silent("the answers are not those to the calls"));
    }
    let mut answers = Vec::with_capacity(values.len());
    for (value, invocation) in values.into_iter().zip(invocations) {
        answers.push(match value.extract_error() {
            Err(error) if is_unknown(&error) => one(wire, invocation).await,
            answer => answer.map_err(Failure::from),
        });
    }
    // Where all are refused in the same way, the connection leads to the wrong server.
    match answers.first() {
        Some(Err(failure)) if failure.give_up => Err(failure.clone()),
        _ => Ok(answers),
    }
}
