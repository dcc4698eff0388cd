//! The hub as gateways and consoles reach it: over a network that loses, delays and cuts.
//!
//! Every call ends in time. One that was given up may still arrive.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use keystile::domain::id::GatewayId;
use keystile::fleet::hub::{
    Beat, Entry, Hub, HubError, HubState, Lease, Page, Part, Position, Record, Registered, Registry, Synced,
};
use turmoil::net::TcpStream;

use super::server::PORT;
use super::wire::{self, Answer, Request, Right};

const CALL_MAX: Duration = Duration::from_millis(200);

/// Servers by number, and which of them clients of one host take for the primary.
#[derive(Debug, Clone)]
pub(crate) struct View {
    pub(crate) servers: &'static [&'static str],
    pub(crate) primary: Arc<AtomicUsize>,
}

/// A client. Clones share its connections.
#[derive(Debug, Clone)]
pub(crate) struct SimHub(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    view: View,
    idle: Mutex<Vec<(usize, TcpStream)>>,
    /// Numbers for tries at an epoch, shared by all clients.
    attempts: Arc<AtomicU64>,
    writing: Mutex<Option<Right>>,
    /// A planted fault: says that it has applied whatever the feed was last seen at.
    is_hasty: bool,
    head: Mutex<Option<Position>>,
}

impl SimHub {
    pub(crate) fn new(view: View, attempts: Arc<AtomicU64>, is_hasty: bool) -> SimHub {
        let (idle, writing, head) = Default::default();
        SimHub(Arc::new(Inner { view, idle, attempts, writing, is_hasty, head }))
    }

    async fn call(&self, request: Request, wait: Duration) -> Result<Answer, HubError> {
        let primary = self.0.view.primary.load(Ordering::Relaxed);
        let exchange = async {
            let mut stream = match self.take_idle(primary) {
                Some(stream) => stream,
                None => TcpStream::connect((self.0.view.servers[primary], PORT)).await?,
            };
            wire::write(&mut stream, &request).await?;
            Ok::<_, std::io::Error>((wire::read(&mut stream).await?, stream))
        };
        let unreachable = |why: &str| Err(HubError::Unreachable(why.to_owned()));
        match tokio::time::timeout(CALL_MAX + wait, exchange).await {
            Ok(Ok((answer, stream))) => {
                self.0.idle.lock().unwrap().push((primary, stream));
                understand(answer)
            }
            Ok(Err(error)) => {
                self.0.idle.lock().unwrap().clear();
                unreachable(&error.to_string())
            }
            Err(_) => unreachable("no answer in time"),
        }
    }

    fn take_idle(&self, primary: usize) -> Option<TcpStream> {
        let mut idle = self.0.idle.lock().unwrap();
        idle.retain(|(server, _)| *server == primary);
        idle.pop().map(|(_, stream)| stream)
    }

    async fn ask(&self, request: Request) -> Result<Answer, HubError> {
        self.call(request, Duration::ZERO).await
    }

    async fn order(&self, request: Request) -> Result<(), HubError> {
        match self.ask(request).await? {
            Answer::Done => Ok(()),
            answer => Err(strange(answer)),
        }
    }

    /// What was begun by `begin`.
    fn begun(&self, lease: Lease) -> Result<Right, HubError> {
        let writing = *self.0.writing.lock().unwrap();
        let is_same = |right: &Right| right.term == lease.term && right.epoch == lease.epoch;
        writing.filter(is_same).ok_or(HubError::Superseded)
    }
}

fn understand(answer: Answer) -> Result<Answer, HubError> {
    match answer {
        Answer::Unvouched => Err(HubError::Unvouched),
        Answer::Superseded => Err(HubError::Superseded),
        Answer::OutOfOrder { at } => Err(HubError::OutOfOrder { at }),
        Answer::Refused(why) => Err(HubError::Refused(why)),
        answer => Ok(answer),
    }
}

fn strange(answer: Answer) -> HubError {
    HubError::Foreign(format!("{answer:?}"))
}

fn right(lease: Lease) -> Right {
    Right { term: lease.term, epoch: lease.epoch, attempt: 0 }
}

impl Hub for SimHub {
    async fn sync(&self, beat: &Beat) -> Result<Synced, HubError> {
        let Beat { gateway, number, mut presence } = beat.clone();
        if self.0.is_hasty && presence.applied.is_some() {
            presence.applied = presence.applied.max(*self.0.head.lock().unwrap());
        }
        match self.ask(Request::Sync { gateway, number, presence }).await? {
            Answer::Synced { head, gateways, silent, ledger_open, remembered } => {
                *self.0.head.lock().unwrap() = Some(head);
                Ok(Synced { head, usage_recorded: 0, gateways, silent, ledger_open, remembered })
            }
            answer => Err(strange(answer)),
        }
    }

    async fn leave(&self, gateway: GatewayId) -> Result<(), HubError> {
        self.order(Request::Leave { gateway }).await
    }

    async fn expel(&self, gateway: GatewayId, beat: u64) -> Result<bool, HubError> {
        match self.ask(Request::Expel { gateway, beat }).await? {
            Answer::Whether(is_expelled) => Ok(is_expelled),
            answer => Err(strange(answer)),
        }
    }

    async fn changes(&self, after: Position, wait: Duration) -> Result<Vec<Entry>, HubError> {
        let wait_ms = wait.as_millis() as u64;
        match self.call(Request::Changes { after, wait_ms }, wait).await? {
            Answer::Changes(entries) => Ok(entries),
            answer => Err(strange(answer)),
        }
    }

    fn parts(&self) -> Vec<Part> {
        vec![Part::Organizations, Part::Keys(0)]
    }

    async fn table(&self, epoch: u64, part: Part, cursor: u64) -> Result<Page, HubError> {
        let keys = part != Part::Organizations;
        match self.ask(Request::Table { epoch, keys, cursor }).await? {
            Answer::Page { records, next } => Ok(Page { records, next }),
            answer => Err(strange(answer)),
        }
    }

    async fn state(&self) -> Result<Option<HubState>, HubError> {
        let (head, term, vouched) = match self.ask(Request::State).await? {
            Answer::Nothing => return Ok(None),
            Answer::State { head, term, vouched } => (head, term, vouched),
            answer => return Err(strange(answer)),
        };
        match self.ask(Request::StateOfKeys { epoch: head.epoch }).await? {
            Answer::Whether(keys) => Ok(Some(HubState { head, term, vouched: vouched && keys })),
            answer => Err(strange(answer)),
        }
    }

    async fn begin(&self, lease: Lease) -> Result<(), HubError> {
        let right = Right { attempt: self.0.attempts.fetch_add(1, Ordering::Relaxed) + 1, ..right(lease) };
        *self.0.writing.lock().unwrap() = Some(right);
        self.order(Request::Begin(right)).await?;
        self.order(Request::BeginKeys(right)).await
    }

    async fn fill(&self, lease: Lease, records: &[Record]) -> Result<(), HubError> {
        let right = self.begun(lease)?;
        self.order(Request::Fill { right, records: records.to_vec() }).await
    }

    async fn open(&self, lease: Lease, seq: u64) -> Result<(), HubError> {
        let right = self.begun(lease)?;
        self.order(Request::OpenKeys { right, seq }).await?;
        self.order(Request::Open { right, seq }).await
    }

    async fn publish(&self, lease: Lease, entries: &[Entry]) -> Result<u64, HubError> {
        let right = right(lease);
        let at = match self.ask(Request::At(right)).await? {
            Answer::At(at) => at,
            answer => return Err(strange(answer)),
        };
        let entries: Vec<Entry> = entries.iter().filter(|entry| entry.seq > at).cloned().collect();
        let Some(first) = entries.first() else { return Ok(at) };
        if first.seq != at + 1 {
            return Err(HubError::OutOfOrder { at });
        }
        // The table before the feed: whoever loads the one at a point of the other has all changes up to there.
        self.order(Request::Apply { right, entries: entries.clone() }).await?;
        match self.ask(Request::Append { right, entries }).await? {
            Answer::At(at) => Ok(at),
            answer => Err(strange(answer)),
        }
    }

    async fn open_ledger(&self, lease: Lease) -> Result<(), HubError> {
        self.order(Request::OpenLedger(right(lease))).await
    }

    async fn registry(&self) -> Result<Registry, HubError> {
        match self.ask(Request::Registry).await? {
            Answer::Registry { head, signs } => {
                let registered = |sign: wire::Sign| Registered {
                    gateway: sign.gateway,
                    beat: sign.beat,
                    silent_ms: sign.silent_ms,
                    remembered: sign.remembered,
                    presence: sign.presence,
                };
                Ok(Registry { head, gateways: signs.into_iter().map(registered).collect() })
            }
            answer => Err(strange(answer)),
        }
    }

    async fn mark(&self, gateways: &[GatewayId]) -> Result<(), HubError> {
        self.order(Request::Mark { gateways: gateways.to_vec() }).await
    }
}
