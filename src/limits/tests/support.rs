//! A ledger in memory, and a process on it that can leave or be killed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use jiff::tz::TimeZone;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use crate::domain::clock::{Clock, UnixMillis};
use crate::domain::id::KeyId;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};
use crate::limits::*;

/// 2026-11-23T14:02:31Z, a Monday.
pub(crate) const START: UnixMillis = UnixMillis(1_795_442_551_000);

pub(crate) fn quota(requests: u64, per: Window) -> Limits {
    Limits { quotas: Some(vec![Quota { requests, per }]), ..Limits::default() }
}

pub(crate) fn rate(requests: u64, per: Period, burst: u64) -> Limits {
    Limits { rate: Some(Rate { requests, per, burst }), ..Limits::default() }
}

pub(crate) fn compiled(limits: &Limits) -> Arc<EffectiveLimits> {
    Arc::new(EffectiveLimits::compile(limits, TimeZone::UTC))
}

#[derive(Debug, Default)]
struct Records {
    windows: HashMap<(KeyId, Window), (Span, u64)>,
    rates: HashMap<KeyId, (u64, u64)>,
    meters: HashMap<KeyId, (u64, u64)>,
    usage: HashMap<KeyId, u64>,
    paths: HashMap<KeyId, u64>,
    /// By key and minute: admitted requests, and those of which the path is known.
    minutes: HashMap<(KeyId, UnixMillis), (u64, u64)>,
    life: Option<(UnixMillis, bool)>,
    renewals: u64,
}

#[derive(Debug, Default)]
pub(crate) struct MemoryLedger {
    records: Mutex<Records>,
    pub(crate) failing: AtomicBool,
}

impl MemoryLedger {
    fn open(&self) -> Result<MutexGuard<'_, Records>, LedgerError> {
        if self.failing.load(Ordering::SeqCst) {
            return Err(LedgerError("disk full".into()));
        }
        Ok(self.records.lock().unwrap())
    }

    pub(crate) fn renewals(&self) -> u64 {
        self.records.lock().unwrap().renewals
    }

    pub(crate) fn recorded(&self, key: KeyId) -> u64 {
        self.records.lock().unwrap().usage.get(&key).copied().unwrap_or(0)
    }
}

impl MemoryLedger {
    /// Admitted requests on record, and those of them of which route and agent are.
    pub(crate) fn recorded_with_paths(&self, key: KeyId) -> (u64, u64) {
        let records = self.records.lock().unwrap();
        let of = |counts: &HashMap<KeyId, u64>| counts.get(&key).copied().unwrap_or(0);
        (of(&records.usage), of(&records.paths))
    }
}

impl UsageBook for MemoryLedger {
    async fn begin(&self, _: UnixMillis, until: UnixMillis) -> Result<Boot, LedgerError> {
        let mut records = self.open()?;
        let died_before = records.life.and_then(|(until, left)| (!left).then_some(until));
        for (key, (granted, settled)) in std::mem::take(&mut records.meters) {
            *records.usage.entry(key).or_default() += granted - settled;
        }
        records.life = Some((until, false));
        Ok(Boot { died_before })
    }

    async fn record_usage(
        &self,
        deltas: &[UsageDelta],
        at_minute: UnixMillis,
        _: UnixMillis,
    ) -> Result<(), LedgerError> {
        let mut records = self.open()?;
        for delta in deltas {
            *records.usage.entry(delta.key).or_default() += delta.counts.admitted();
            records.minutes.entry((delta.key, at_minute)).or_default().0 += delta.counts.admitted();
            if let Some(meter) = records.meters.get_mut(&delta.key) {
                meter.1 = delta.settled;
            }
        }
        Ok(())
    }

    async fn record_paths(
        &self,
        paths: &[(KeyId, Vec<PathCount>)],
        at_minute: UnixMillis,
    ) -> Result<(), LedgerError> {
        let mut records = self.open()?;
        for (key, paths) in paths {
            let requests = paths.iter().map(|path| path.requests).sum::<u64>();
            *records.paths.entry(*key).or_default() += requests;
            let (admitted, with_path) = records.minutes.get_mut(&(*key, at_minute)).unwrap();
            *with_path += requests;
            assert!(with_path <= admitted, "{with_path} by path, {admitted} admitted");
        }
        Ok(())
    }

    async fn beat(&self, until: UnixMillis) -> Result<(), LedgerError> {
        self.open()?.life = Some((until, false));
        Ok(())
    }

    async fn prune(&self, _: UnixMillis) -> Result<(), LedgerError> {
        Ok(())
    }
}

impl Ledger for MemoryLedger {
    async fn renew(&self, asks: &Asks, now_unix_ns: u64) -> Result<Grants, LedgerError> {
        let mut records = self.open()?;
        records.renewals += 1;
        let mut grants = Grants::default();
        for ask in &asks.quotas {
            let place = (ask.key, ask.window);
            let grant = ask.grant(records.windows.get(&place).copied(), UnixMillis(now_unix_ns / 1_000_000));
            records.windows.insert(place, (grant.span, grant.granted));
            grants.quotas.push(grant);
        }
        for ask in &asks.rates {
            let grant = ask.grant(records.rates.get(&ask.key).copied(), now_unix_ns);
            if ask.want > 0 {
                records.rates.insert(ask.key, (grant.ceiling_unix_ns, ask.interval_ns));
            }
            grants.rates.push(grant);
        }
        for meter in &asks.meters {
            records.meters.entry(meter.key).or_default().0 = meter.granted;
        }
        Ok(grants)
    }

    async fn return_leases(&self, returns: &Returns) -> Result<(), LedgerError> {
        let mut records = self.open()?;
        for (key, window, span, used) in &returns.quotas {
            records.windows.insert((*key, *window), (*span, *used));
        }
        for (key, full_at, interval) in &returns.rates {
            records.rates.insert(*key, (*full_at, *interval));
        }
        for meter in &returns.meters {
            records.meters.entry(meter.key).or_default().0 = meter.granted;
        }
        Ok(())
    }

    async fn end(&self) -> Result<(), LedgerError> {
        let mut records = self.open()?;
        records.life = records.life.map(|(until, _)| (until, true));
        Ok(())
    }
}

/// One life of the gateway: limiter, keeper, and the account of one key.
pub(crate) struct Life {
    pub(crate) limiter: Limiter,
    pub(crate) account: Arc<Account>,
    clock: Clock,
    keeper: JoinHandle<()>,
    leave: oneshot::Sender<()>,
}

impl Life {
    pub(crate) fn begin<L: Ledger>(ledger: &Arc<L>, clock: &Clock, key: KeyId) -> Life {
        let (limiter, keeper) = Limiter::new();
        let (leave, left) = oneshot::channel::<()>();
        let shutdown = async {
            let _ = left.await;
        };
        let keeper = tokio::spawn(keeper.run(Arc::clone(ledger), clock.clone(), shutdown));
        Life { limiter, account: Arc::new(Account::new(key)), clock: clock.clone(), keeper, leave }
    }

    /// Asks until there is an answer.
    pub(crate) async fn admit(&self, limits: &Arc<EffectiveLimits>) -> Result<Permit, Refusal> {
        loop {
            match self.limiter.admit(&self.account, limits, self.clock.now()) {
                Admission::Admitted(permit) => return Ok(permit),
                Admission::Denied(refusal) => return Err(refusal),
                Admission::NeedsLease(wait) => wait.ready().await,
            }
        }
    }

    /// How many of `tries` requests, one after the other, are admitted and counted.
    pub(crate) async fn admitted(&self, limits: &Arc<EffectiveLimits>, tries: u64) -> u64 {
        let mut admitted = 0;
        for _ in 0..tries {
            match self.admit(limits).await {
                Ok(_) => {
                    admitted += 1;
                    self.limiter.count(&self.account, Outcome::Allowed);
                }
                Err(refusal) => self.limiter.count(&self.account, Outcome::Denied(refusal.denial)),
            }
        }
        admitted
    }

    pub(crate) async fn leave(self) {
        self.leave.send(()).unwrap();
        self.keeper.await.unwrap();
    }

    /// As kill -9: nothing more is written.
    pub(crate) async fn kill(self) {
        self.keeper.abort();
        let _ = self.keeper.await;
    }
}
