//! A fleet in memory: gateways over one ledger, whose asks or answers can be lost, who can be cut off, die and leave.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::support::*;
use crate::domain::clock::Clock;
use crate::domain::id::{GatewayId, KeyId};
use crate::limits::slices::*;
use crate::limits::*;

/// Random numbers from a seed (splitmix64).
#[derive(Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % end
    }

    /// A place among so many.
    pub(crate) fn place(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).unwrap()
    }

    /// A number of fewer bits than that, small ones as often as large ones.
    pub(crate) fn of_any_size(&mut self, bits: u64) -> u64 {
        let end = 1 << self.below(bits);
        self.below(end)
    }
}

/// One gateway's way to the ledger. In 1,000 exchanges so many do not arrive, and of so many the answer is lost.
pub(super) struct Way {
    pub(super) ledger: Arc<ReferenceLedger>,
    pub(super) undelivered: AtomicU64,
    pub(super) lost: AtomicU64,
    pub(super) dice: std::sync::Mutex<Dice>,
    pub(super) lanes: usize,
    /// While set, answers are on their way.
    pub(super) slow: watch::Sender<bool>,
    /// Exchanges that were carried out.
    pub(super) done: AtomicU64,
}

impl SliceLedger for Way {
    async fn exchange(&self, asks: &[SliceAsk]) -> Result<Vec<SliceAnswer>, SliceError> {
        let (first, second) = {
            let mut dice = self.dice.lock().unwrap();
            (dice.below(1_000), dice.below(1_000))
        };
        let failed = || SliceError("broken on purpose".into());
        if first < self.undelivered.load(Ordering::SeqCst) {
            return Err(failed());
        }
        let answers = self.ledger.exchange(asks).await;
        self.done.fetch_add(1, Ordering::SeqCst);
        self.slow.subscribe().wait_for(|slow| !*slow).await.unwrap();
        if second < self.lost.load(Ordering::SeqCst) { Err(failed()) } else { answers }
    }

    fn lane(&self, key: KeyId) -> usize {
        usize::from(key.as_bytes()[15]) % self.lanes
    }

    fn lanes(&self) -> usize {
        self.lanes
    }
}

pub(super) struct Gateway {
    pub(super) limiter: Limiter,
    pub(super) accounts: HashMap<KeyId, Arc<Account>>,
    pub(super) way: Arc<Way>,
    pub(super) view: watch::Sender<FleetView>,
    pub(super) keeper: JoinHandle<()>,
    pub(super) leave: oneshot::Sender<()>,
}

pub(super) struct Scene {
    pub(super) clock: Clock,
    pub(super) ledger: Arc<ReferenceLedger>,
    pub(super) view: FleetView,
    pub(super) gateways: Vec<Gateway>,
    pub(super) seed: u64,
    pub(super) goes_on: Duration,
    /// One gateway that is cut off from everything, and since when.
    pub(super) cut_off: Option<(usize, u64)>,
    /// Whether Redis is away for everybody.
    pub(super) outage: bool,
}

impl Scene {
    pub(super) fn begin(gateways: u32, seed: u64) -> Scene {
        println!("seed {seed}");
        let clock = Clock::manual(START);
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        ledger.begin(1);
        // The lineage is old enough that buckets and windows begin as what they are.
        clock.advance(Duration::from_secs(100_000));
        let view = FleetView {
            epoch: 1,
            gateways,
            ledger_open: true,
            asked_at_ns: clock.mono_ns(),
            ..FleetView::default()
        };
        let goes_on = Duration::from_secs(600);
        let mut scene =
            Scene { clock, ledger, view, gateways: Vec::new(), seed, goes_on, cut_off: None, outage: false };
        for _ in 0..gateways {
            scene.start();
        }
        scene
    }

    pub(super) async fn floored(self) -> Scene {
        self.ledger.complete_floors(1).await.unwrap();
        self
    }

    fn start(&mut self) {
        let (limiter, keeper) = Limiter::fleet();
        let (leave, left) = oneshot::channel::<()>();
        let (view, views) = watch::channel(self.view);
        let way = Arc::new(Way {
            ledger: Arc::clone(&self.ledger),
            undelivered: AtomicU64::new(0),
            lost: AtomicU64::new(0),
            dice: std::sync::Mutex::new(Dice(self.seed.wrapping_add(self.gateways.len() as u64))),
            lanes: 1 + self.gateways.len() % 3,
            slow: watch::Sender::new(false),
            done: AtomicU64::new(0),
        });
        let seat = Seat { gateway: GatewayId::generate(), goes_on: self.goes_on };
        let shutdown = async {
            let _ = left.await;
        };
        let book = Arc::new(MemoryLedger::default());
        let keeper =
            tokio::spawn(keeper.run(Arc::clone(&way), book, self.clock.clone(), seat, views, shutdown));
        self.gateways.push(Gateway { limiter, accounts: HashMap::new(), way, view, keeper, leave });
    }

    /// Lets time pass on all clocks, with a sync of everybody every so often.
    pub(super) async fn pass(&mut self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(Duration::from_millis(500));
            left -= step;
            self.clock.advance(step);
            self.sync();
            tokio::time::advance(step).await;
            for _ in 0..20 {
                tokio::task::yield_now().await;
            }
        }
    }

    pub(super) fn sync(&mut self) {
        if self.outage {
            return;
        }
        self.view.asked_at_ns = self.clock.mono_ns();
        let cut_off_at = self.cut_off.map(|(at, _)| at);
        // The hub counts it as silent after a second, and half a second later everybody knows.
        let since_ns = self.cut_off.map_or(u64::MAX, |(_, since_ns)| since_ns);
        self.view.silent = u32::from(self.view.asked_at_ns >= since_ns.saturating_add(1_500_000_000));
        for (at, gateway) in self.gateways.iter().enumerate() {
            if cut_off_at != Some(at) {
                let _ = gateway.view.send(self.view);
            }
        }
    }

    /// Redis goes away for everybody, or comes back.
    pub(super) fn outage(&mut self, outage: bool) {
        self.outage = outage;
        for gateway in &self.gateways {
            gateway.way.undelivered.store(if outage { 1_000 } else { 0 }, Ordering::SeqCst);
        }
    }

    /// Lets keepers work while no time passes.
    pub(super) async fn settle(&self) {
        for _ in 0..50 {
            tokio::task::yield_now().await;
        }
    }

    pub(super) fn cut_off(&mut self, at: Option<usize>) {
        if let Some((before, _)) = self.cut_off {
            self.gateways[before].way.undelivered.store(0, Ordering::SeqCst);
        }
        self.cut_off = at.map(|at| (at, self.clock.mono_ns()));
        if let Some(at) = at {
            self.gateways[at].way.undelivered.store(1_000, Ordering::SeqCst);
        }
    }

    pub(super) async fn admit(
        &mut self,
        at: usize,
        key: KeyId,
        limits: &Arc<EffectiveLimits>,
    ) -> Result<Permit, Refusal> {
        let clock = self.clock.clone();
        let gateway = &mut self.gateways[at];
        let account = gateway.accounts.entry(key).or_insert_with(|| Arc::new(Account::new(key)));
        for _ in 0..64 {
            match gateway.limiter.admit(account, limits, clock.now()) {
                Admission::Admitted(permit) => return Ok(permit),
                Admission::Denied(refusal) => return Err(refusal),
                Admission::NeedsLease(wait) => wait.ready().await,
            }
        }
        panic!("waited for 64 leases");
    }

    pub(super) async fn admitted(
        &mut self,
        at: usize,
        key: KeyId,
        limits: &Arc<EffectiveLimits>,
        tries: u64,
    ) -> u64 {
        let mut admitted = 0;
        for _ in 0..tries {
            admitted += u64::from(self.admit(at, key, limits).await.is_ok());
        }
        admitted
    }

    /// As kill -9.
    pub(super) async fn kill(&mut self, at: usize) {
        let gateway = self.gateways.remove(at);
        gateway.keeper.abort();
        let _ = gateway.keeper.await;
    }

    pub(super) async fn leave(&mut self, at: usize) {
        let gateway = self.gateways.remove(at);
        gateway.leave.send(()).unwrap();
        gateway.keeper.await.unwrap();
    }
}
