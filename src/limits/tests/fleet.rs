//! A fleet in memory: gateways over one ledger, with answers that are lost, gateways that die, and a ledger that forgets.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use super::support::*;
use crate::domain::clock::Clock;
use crate::domain::denial::Denial;
use crate::domain::id::{GatewayId, KeyId};
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
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
struct Way {
    ledger: Arc<ReferenceLedger>,
    undelivered: AtomicU64,
    lost: AtomicU64,
    dice: std::sync::Mutex<Dice>,
    lanes: usize,
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
        if second < self.lost.load(Ordering::SeqCst) { Err(failed()) } else { answers }
    }

    fn lane(&self, key: KeyId) -> usize {
        usize::from(key.as_bytes()[15]) % self.lanes
    }

    fn lanes(&self) -> usize {
        self.lanes
    }
}

struct Gateway {
    limiter: Limiter,
    accounts: HashMap<KeyId, Arc<Account>>,
    way: Arc<Way>,
    view: watch::Sender<FleetView>,
    keeper: JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

struct Scene {
    clock: Clock,
    ledger: Arc<ReferenceLedger>,
    view: FleetView,
    gateways: Vec<Gateway>,
    seed: u64,
    goes_on: Duration,
    /// One gateway that is cut off from everything, and since when.
    cut_off: Option<(usize, u64)>,
}

impl Scene {
    fn begin(gateways: u32, seed: u64) -> Scene {
        println!("seed {seed}");
        let clock = Clock::manual(START);
        let ledger = Arc::new(ReferenceLedger::new(clock.clone()));
        ledger.begin(1);
        // The lineage is old enough that buckets and windows begin as what they are.
        clock.advance(Duration::from_secs(100_000));
        let view =
            FleetView { epoch: 1, gateways, silent: 0, ledger_open: true, asked_at_ns: clock.mono_ns() };
        let goes_on = Duration::from_secs(600);
        let mut scene = Scene { clock, ledger, view, gateways: Vec::new(), seed, goes_on, cut_off: None };
        for _ in 0..gateways {
            scene.start();
        }
        scene
    }

    async fn floored(self) -> Scene {
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
    async fn pass(&mut self, time: Duration) {
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

    fn sync(&mut self) {
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

    fn cut_off(&mut self, at: Option<usize>) {
        if let Some((before, _)) = self.cut_off {
            self.gateways[before].way.undelivered.store(0, Ordering::SeqCst);
        }
        self.cut_off = at.map(|at| (at, self.clock.mono_ns()));
        if let Some(at) = at {
            self.gateways[at].way.undelivered.store(1_000, Ordering::SeqCst);
        }
    }

    async fn admit(
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

    async fn admitted(&mut self, at: usize, key: KeyId, limits: &Arc<EffectiveLimits>, tries: u64) -> u64 {
        let mut admitted = 0;
        for _ in 0..tries {
            admitted += u64::from(self.admit(at, key, limits).await.is_ok());
        }
        admitted
    }

    /// As kill -9.
    async fn kill(&mut self, at: usize) {
        let gateway = self.gateways.remove(at);
        gateway.keeper.abort();
        let _ = gateway.keeper.await;
    }

    async fn leave(&mut self, at: usize) {
        let gateway = self.gateways.remove(at);
        gateway.leave.send(()).unwrap();
        gateway.keeper.await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_fleet_under_skewed_load_admits_exactly_the_quota() {
    for seed in 0..8 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, limits, mut dice) = (KeyId::generate(), compiled(&quota(1_000, Window::Day)), Dice(seed));
        let mut admitted = 0;
        for _ in 0..2_000 {
            let at = [0, 0, 0, 0, 0, 0, 0, 1, 1, 2][dice.place(10)];
            admitted += scene.admitted(at, key, &limits, 1).await;
            scene.pass(Duration::from_millis(dice.below(20))).await;
        }
        assert!(admitted <= 1_000, "{admitted} admitted");
        // What one of them did not use comes back, and the others get it.
        for _ in 0..4 {
            scene.pass(Duration::from_secs(20)).await;
            admitted += scene.admitted(0, key, &limits, 1_000).await;
        }
        assert_eq!(admitted, 1_000);
    }
}

#[tokio::test(start_paused = true)]
async fn lost_answers_and_dead_gateways_cost_at_most_what_they_held_and_grant_nothing_twice() {
    for seed in 0..8 {
        let mut scene = Scene::begin(4, seed).floored().await;
        for gateway in &scene.gateways {
            gateway.way.lost.store(200, Ordering::SeqCst);
            gateway.way.undelivered.store(100, Ordering::SeqCst);
        }
        let (key, limits, mut dice) = (KeyId::generate(), compiled(&quota(2_000, Window::Day)), Dice(seed));
        let (mut admitted, mut stranded) = (0, 0);
        for turn in 0..3_000 {
            let at = dice.place(scene.gateways.len());
            admitted += scene.admitted(at, key, &limits, 1).await;
            scene.pass(Duration::from_millis(dice.below(30))).await;
            if turn == 300 || turn == 600 {
                let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
                stranded += record
                    .gateways
                    .values()
                    .map(|gateway| gateway.windows[2].1 - gateway.windows[2].2)
                    .max()
                    .unwrap();
                scene.kill(at).await;
            }
        }
        assert!(admitted <= 2_000, "{admitted} admitted");
        for gateway in &scene.gateways {
            gateway.way.lost.store(0, Ordering::SeqCst);
            gateway.way.undelivered.store(0, Ordering::SeqCst);
        }
        for _ in 0..4 {
            scene.pass(Duration::from_secs(20)).await;
            admitted += scene.admitted(0, key, &limits, 2_000).await;
        }
        assert!(
            admitted <= 2_000 && admitted + stranded >= 2_000,
            "{admitted} admitted, {stranded} stranded"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_admits_over_all_gateways_no_more_than_its_bucket_and_little_less() {
    for seed in 0..8 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, mut dice) = (KeyId::generate(), Dice(seed));
        let rule = Rate { requests: 50, per: Period::Second, burst: 1 + dice.below(100) };
        let limits = compiled(&Limits { rate: Some(rule), ..Limits::default() });
        let interval = 1_000_000_000 / 50;
        let mut times = Vec::new();
        // What one bucket for all would admit of the same requests.
        let (mut ideal, mut full_at) = (0, 0);
        for turn in 0..4_000 {
            let (at, now_ns) = (dice.place(3), scene.clock.mono_ns());
            if scene.admit(at, key, &limits).await.is_ok() {
                times.push(now_ns);
            }
            let next = now_ns.max(full_at) + interval;
            if next <= now_ns + rule.burst * interval {
                (ideal, full_at) = (ideal + 1, next);
            }
            let pause = if turn % 400 == 399 { 3_000_000 } else { dice.below(8_000) };
            scene.pass(Duration::from_micros(pause)).await;
        }
        for (from, first) in times.iter().enumerate() {
            for (more, last) in times[from..].iter().enumerate().take(400) {
                let allowed = rule.burst + (last - first) / interval + 1;
                assert!((more as u64) < allowed, "{} in {} ns", more + 1, last - first);
            }
        }
        let admitted = times.len();
        assert!(admitted * 100 >= ideal * 90, "{admitted} admitted of {ideal}, burst {}", rule.burst);
    }
}

#[tokio::test(start_paused = true)]
async fn a_gateway_that_is_cut_off_goes_on_with_its_share_of_a_rate_and_all_together_with_no_more_than_the_rate()
 {
    for seed in 0..4 {
        let mut scene = Scene::begin(3, seed).floored().await;
        let (key, mut dice) = (KeyId::generate(), Dice(seed));
        let rule = Rate { requests: 60, per: Period::Second, burst: 60 };
        let limits = compiled(&Limits { rate: Some(rule), ..Limits::default() });
        let (mut times, mut by_cut_off) = (Vec::new(), 0);
        for turn in 0..6_000 {
            match turn {
                1_000 => scene.cut_off(Some(1)),
                5_000 => scene.cut_off(None),
                _ => {}
            }
            let at = dice.place(3);
            if scene.admit(at, key, &limits).await.is_ok() {
                times.push(scene.clock.mono_ns());
                by_cut_off += u64::from(at == 1 && (2_000..5_000).contains(&turn));
            }
            scene.pass(Duration::from_micros(dice.below(8_000))).await;
        }
        let interval = 1_000_000_000 / 60;
        for (from, first) in times.iter().enumerate() {
            for (more, last) in times[from..].iter().enumerate() {
                let allowed = rule.burst + (last - first) / interval + 1;
                assert!((more as u64) < allowed, "{} in {} ns", more + 1, last - first);
            }
        }
        // 20 a second for about ten seconds.
        assert!(by_cut_off > 120, "{by_cut_off} admitted by the one that was cut off");
    }
}

#[tokio::test(start_paused = true)]
async fn places_of_all_gateways_together_are_the_concurrency_and_come_back() {
    let mut scene = Scene::begin(3, 1).floored().await;
    let key = KeyId::generate();
    let limits = compiled(&Limits { concurrency: Some(10), ..Limits::default() });
    let mut permits = Vec::new();
    for round in 0..3 {
        for _ in 0..40 {
            for at in 0..3 {
                permits.extend(scene.admit(at, key, &limits).await.ok());
            }
            scene.pass(Duration::from_millis(500)).await;
        }
        assert_eq!(permits.len(), 10, "round {round}");
        let refusal = scene.admit(0, key, &limits).await.unwrap_err();
        assert_eq!(refusal, Refusal { denial: Denial::ConcurrencyExceeded, retry_after_s: 1 });
        permits.clear();
        scene.pass(Duration::from_secs(20)).await;
    }
    for _ in 0..40 {
        permits.extend(scene.admit(2, key, &limits).await.ok());
        scene.pass(Duration::from_millis(500)).await;
    }
    assert_eq!(permits.len(), 10, "one gateway alone gets all");
    scene.kill(2).await;
    scene.pass(Duration::from_secs(900)).await;
    assert!(scene.admit(0, key, &limits).await.is_err(), "it may go on until then");
    scene.pass(Duration::from_secs(60)).await;
    assert!(scene.admit(0, key, &limits).await.is_ok(), "places of the dead lapse");
}

#[tokio::test(start_paused = true)]
async fn without_the_ledger_slices_go_on_and_then_the_answer_is_unavailable_and_not_a_refusal_by_the_limit() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(10_000, Window::Day)));
    let mut admitted = scene.admitted(0, key, &limits, 10).await;
    scene.gateways[0].way.undelivered.store(1_000, Ordering::SeqCst);
    let refusal = loop {
        match scene.admit(0, key, &limits).await {
            Ok(_) => admitted += 1,
            Err(refusal) => break refusal,
        }
    };
    assert_eq!(refusal, Refusal { denial: Denial::Unavailable, retry_after_s: 1 });
    assert!((11..5_000).contains(&admitted), "{admitted}");
    let standing = scene.gateways[0].limiter.fleet_standing().unwrap();
    assert!(standing.away && standing.undecided > 0);
    scene.gateways[0].way.undelivered.store(0, Ordering::SeqCst);
    scene.pass(Duration::from_secs(1)).await;
    admitted += scene.admitted(0, key, &limits, 20_000).await;
    scene.pass(Duration::from_secs(20)).await;
    admitted += scene.admitted(0, key, &limits, 1).await;
    assert_eq!(admitted, 10_000);
    assert!(!scene.gateways[0].limiter.fleet_standing().unwrap().away);
}

#[tokio::test(start_paused = true)]
async fn leaving_gives_back_what_was_not_used() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let key = KeyId::generate();
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 100, per: Period::Hour, burst: 100 }),
        quotas: Some(vec![Quota { requests: 60, per: Window::Day }]),
        concurrency: Some(4),
    });
    let mut admitted = scene.admitted(0, key, &limits, 7).await;
    scene.leave(0).await;
    admitted += scene.admitted(0, key, &limits, 1_000).await;
    assert_eq!(admitted, 60);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    assert_eq!(record.windows[2].unwrap().stranded, 0);
}

#[tokio::test(start_paused = true)]
async fn busy_keys_cost_less_than_one_call_in_a_hundred_requests() {
    let mut scene = Scene::begin(3, 1).floored().await;
    let keys: Vec<KeyId> = (0..100).map(|_| KeyId::generate()).collect();
    let limits = compiled(&Limits {
        rate: Some(Rate { requests: 200, per: Period::Second, burst: 400 }),
        concurrency: Some(100),
        quotas: Some(vec![
            Quota { requests: 10_000_000, per: Window::Day },
            Quota { requests: 200_000_000, per: Window::Month },
        ]),
    });
    // 10,000 requests a second over all of them.
    for second in 0..12 {
        let before = scene.ledger.exchanges();
        for turn in 0..100_u64 {
            for (at, key) in keys.iter().enumerate() {
                let gateway = (at as u64 + turn) % 3;
                assert!(scene.admit(gateway as usize, *key, &limits).await.is_ok());
            }
            scene.pass(Duration::from_millis(10)).await;
        }
        let calls = scene.ledger.exchanges() - before;
        println!("second {second}: {calls} calls");
        assert!(second < 2 || calls <= 100, "{calls} calls for 10,000 requests");
    }
}

#[tokio::test(start_paused = true)]
async fn a_ledger_that_lost_its_data_goes_on_from_what_sql_knows_and_what_gateways_say() {
    let mut scene = Scene::begin(2, 1).floored().await;
    let (key, limits) = (KeyId::generate(), compiled(&quota(1_000, Window::Day)));
    let before = scene.admitted(0, key, &limits, 300).await + scene.admitted(1, key, &limits, 40).await;
    assert_eq!(before, 340);
    scene.ledger.begin(2);
    scene.view = FleetView { epoch: 2, ledger_open: false, ..scene.view };
    scene.pass(Duration::from_secs(1)).await;
    for gateway in &scene.gateways {
        assert_eq!(gateway.limiter.fleet_standing().unwrap().declared_epoch, 2);
    }
    scene.view.ledger_open = true;
    scene.sync();
    let mut after = scene.admitted(0, key, &limits, 1_000).await;
    assert!(after < 1_000 - before, "only what is held, until SQL has spoken");
    assert_eq!(scene.admit(0, key, &limits).await.unwrap_err().denial, Denial::Unavailable);
    assert_eq!(scene.ledger.wanted(10).await.unwrap(), [key]);
    let (record, _) = scene.ledger.account(key).await.unwrap().unwrap();
    let span = record.windows[2].unwrap().span;
    let floor = Floor { key, quotas: vec![(Window::Day, span, before)], recent: before };
    assert_eq!(scene.ledger.put_floors(2, &[floor]).await.unwrap(), 1);
    scene.pass(Duration::from_secs(1)).await;
    after += scene.admitted(0, key, &limits, 1_000).await;
    scene.pass(Duration::from_secs(20)).await;
    after += scene.admitted(1, key, &limits, 1_000).await + scene.admitted(0, key, &limits, 1_000).await;
    assert_eq!(before + after, 1_000);
}
