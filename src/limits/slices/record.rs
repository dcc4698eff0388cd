//! The rules of the fleet's ledger, in Rust: what is kept of an account, and how an answer follows from an ask.
//!
//! Redis carries the same rules out in `fleet/redis/scripts/ledger.lua`; one contract test holds both against each
//! other. Promises that what is granted is never granted again, that an ask repeated changes nothing, and that all
//! numbers stay within 53 bits where the asks do. Never reads a clock.

use std::collections::BTreeMap;

use super::ask::{
    PlacesAnswer, PlacesPart, QuotaAnswer, QuotaPart, RateAnswer, RatePart, SliceAnswer, SliceAsk,
};
use crate::domain::id::GatewayId;
use crate::limits::quota::Span;

/// A window that began so much later than the lineage, in milliseconds, began empty: wall clocks may differ by less.
const CLOCKS_APART_MS: u64 = 60_000;
/// A bucket that fills sooner than this, in microseconds, begins empty without asking what SQL knows.
const FAST_US: u64 = 10_000_000;
/// Longest wait that is told, in microseconds: over eleven days.
const WAIT_US_MAX: u64 = 1_000_000_000_000;

/// One lineage of the ledger's contents.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lineage {
    /// Its number.
    pub epoch: u64,
    /// When it began, in microseconds of the ledger's clock.
    pub began_us: u64,
    /// Whether every account that SQL knows has its floor.
    pub floors_complete: bool,
}

/// What is counted of one window.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowRecord {
    /// The window.
    pub span: Span,
    /// Granted in total, and used before this lineage.
    pub total: u64,
    /// Of that, granted to gateways that died, and not used as far as they said.
    pub stranded: u64,
    /// Whether what was used before this lineage is contained.
    pub known: bool,
}

/// The bucket of a rate. A level is in time units, so that a token is an interval.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateRecord {
    /// Time units that one token takes.
    pub interval: u64,
    /// Time units in a microsecond.
    pub per_us: u64,
    /// Tokens in a full bucket.
    pub burst: u64,
    /// What is in the bucket; below 0 where more flowed in elsewhere than was left out here.
    pub level: i64,
    /// When the level was so, in microseconds of the ledger's clock.
    pub at_us: u64,
    /// Left out for gateways that are silent, and not claimed by them yet.
    pub withheld: u64,
    /// Whether what was used before this lineage is contained.
    pub known: bool,
}

/// What one gateway has of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayRecord {
    /// The number of its last ask.
    pub number: u64,
    /// When that came, in microseconds of the ledger's clock.
    pub at_us: u64,
    /// After so much silence it is forgotten.
    pub lapse_ms: u64,
    /// Tokens in its hand.
    pub tokens: u64,
    /// Places that it has.
    pub places: u32,
    /// For each window its start, what is granted and what is used of it.
    pub windows: [(u64, u64, u64); 5],
    /// What it was answered last.
    pub answer: SliceAnswer,
}

/// What is kept of an account.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct AccountRecord {
    /// The lineage.
    pub epoch: u64,
    /// Requests that gateways had admitted and SQL may not have had when this lineage began.
    pub unrecorded: u64,
    /// By window.
    pub windows: [Option<WindowRecord>; 5],
    /// The bucket.
    pub rate: Option<RateRecord>,
    /// For each window the start and what was admitted of it when the floor was read.
    pub floors: [Option<(u64, u64)>; 5],
    /// Admitted lately, with the floor.
    pub recent: Option<u64>,
    /// All gateways that have anything of it.
    pub gateways: BTreeMap<GatewayId, GatewayRecord>,
}

impl AccountRecord {
    /// Carries out one ask.
    pub fn exchange(&mut self, ask: &SliceAsk, now_us: u64, lineage: Lineage) -> SliceAnswer {
        if ask.epoch != lineage.epoch {
            return SliceAnswer::OtherEpoch(lineage.epoch);
        }
        if self.epoch != lineage.epoch {
            *self = AccountRecord { epoch: lineage.epoch, ..AccountRecord::default() };
        }
        match self.gateways.get(&ask.gateway) {
            Some(mine) if mine.number == ask.number => return mine.answer.clone(),
            Some(mine) if mine.number > ask.number => return SliceAnswer::Late,
            None if !ask.first => return SliceAnswer::Forgotten,
            Some(_) | None => {}
        }
        self.forget_silent(ask.gateway, now_us);
        let mut mine = self.gateways.remove(&ask.gateway).unwrap_or_else(GatewayRecord::empty);
        if ask.first {
            self.strand(&mine);
            mine = GatewayRecord::empty();
            self.unrecorded += ask.unrecorded;
        }
        let mut needs_floor = false;
        let quotas = ask.quotas.iter();
        let quotas =
            quotas.map(|part| self.quota(&mut mine, part, ask.first, lineage, &mut needs_floor)).collect();
        let rate = ask.rate.map(|part| self.draw(&mut mine, &part, ask, now_us, lineage, &mut needs_floor));
        let places = ask.places.map(|part| self.place(&mut mine, part, ask.first));
        let answer = SliceAnswer::Granted { quotas, rate, places, needs_floor };
        (mine.number, mine.at_us, mine.lapse_ms) = (ask.number, now_us, ask.lapse_ms);
        mine.answer = answer.clone();
        self.gateways.insert(ask.gateway, mine);
        answer
    }

    /// Takes in what SQL has counted. Says whether it was news.
    pub fn put_floor(&mut self, epoch: u64, floors: [Option<(u64, u64)>; 5], recent: u64) -> bool {
        if self.epoch != epoch {
            *self = AccountRecord { epoch, ..AccountRecord::default() };
        }
        let news = self.recent.is_none();
        // A later reading contains the earlier one, and what was declared was declared before both.
        (self.floors, self.recent) = (floors, Some(recent));
        news
    }

    /// Tokens in the hands of all gateways.
    pub fn tokens_out(&self) -> u64 {
        self.gateways.values().map(|gateway| gateway.tokens).sum()
    }

    /// Places of all gateways.
    pub fn places_out(&self) -> u32 {
        self.gateways.values().map(|gateway| gateway.places).sum()
    }

    /// Whoever has been silent for too long loses places and tokens; what it had of quotas is stranded.
    fn forget_silent(&mut self, asking: GatewayId, now_us: u64) {
        let gone = |gateway: &GatewayRecord| {
            now_us.saturating_sub(gateway.at_us) > gateway.lapse_ms.saturating_mul(1_000)
        };
        let gone: Vec<GatewayId> = self
            .gateways
            .iter()
            .filter(|(id, gateway)| **id != asking && gone(gateway))
            .map(|(id, _)| *id)
            .collect();
        for id in gone {
            if let Some(gateway) = self.gateways.remove(&id) {
                self.strand(&gateway);
            }
        }
    }

    fn strand(&mut self, gateway: &GatewayRecord) {
        for (window, (start, own, used)) in self.windows.iter_mut().zip(gateway.windows) {
            if let Some(window) = window.as_mut().filter(|window| window.span.start.0 == start) {
                window.stranded += own - used;
            }
        }
    }

    fn quota(
        &mut self,
        mine: &mut GatewayRecord,
        part: &QuotaPart,
        first: bool,
        lineage: Lineage,
        needs_floor: &mut bool,
    ) -> QuotaAnswer {
        let at = part.window.index();
        let floor = self.floors.get(at).copied().flatten();
        let others = self.gateways.values().filter_map(|gateway| gateway.windows.get(at).copied());
        let (Some(place), Some(own_place)) = (self.windows.get_mut(at), mine.windows.get_mut(at)) else {
            return QuotaAnswer { span: part.span, own: 0, total: 0, others_idle: 0 };
        };
        let goes_on = place.filter(|window| part.span.start < window.span.end);
        let mut window =
            goes_on.unwrap_or(WindowRecord { span: part.span, total: 0, stranded: 0, known: false });
        let start = window.span.start.0;
        let (mut own, mut used) = if own_place.0 == start { (own_place.1, own_place.2) } else { (0, 0) };
        if part.span.start.0 == start {
            if first {
                own = part.held;
                window.total += own;
            }
            used = used.max(part.used.min(own));
            let kept = own.min(part.want.max(used));
            window.total -= own - kept;
            own = kept;
            if part.want > own {
                let began_ms = lineage.began_us / 1_000;
                if let (false, Some((_, admitted))) = (window.known, floor.filter(|floor| floor.0 == start)) {
                    window.total += admitted;
                    window.known = true;
                }
                window.known |= lineage.floors_complete || start > began_ms + CLOCKS_APART_MS;
                if window.known {
                    let more = (part.want - own).min(part.limit.saturating_sub(window.total));
                    own += more;
                    window.total += more;
                } else {
                    *needs_floor = true;
                }
            }
        }
        let others_idle =
            others.filter(|other| other.0 == start).map(|(_, own, used)| own - used).sum::<u64>();
        *own_place = (start, own, used);
        *place = Some(window);
        QuotaAnswer { span: window.span, own, total: window.total, others_idle }
    }

    fn draw(
        &mut self,
        mine: &mut GatewayRecord,
        part: &RatePart,
        ask: &SliceAsk,
        now_us: u64,
        lineage: Lineage,
        needs_floor: &mut bool,
    ) -> RateAnswer {
        let others = self.tokens_out();
        let flow = Flow::of(ask);
        let began = now_us.saturating_sub(lineage.began_us);
        let mut rate = match self.rate {
            Some(rate) => rate.measured_in(part, others + mine.tokens, now_us, flow),
            None => RateRecord::begun(part, began, now_us),
        };
        let held = if ask.first { part.held } else { part.held.min(mine.tokens) };
        let passed = now_us.saturating_sub(rate.at_us);
        let after = if held < mine.tokens { part.quiet_us.min(passed) } else { 0 };
        rate.fill(passed - after, others + mine.tokens, flow);
        let returned = part.returned.min(rate.burst).min(mine.tokens.saturating_sub(held));
        rate.level += signed(returned * rate.interval);
        mine.tokens = held;
        rate.fill(after, others + held, flow);
        rate.at_us = rate.at_us.max(now_us);
        rate.claim(part.refilled.min(part.burst));
        if part.want > held {
            let floor = self.recent.or(lineage.floors_complete.then_some(0));
            if let (false, Some(recent)) = (rate.known, floor) {
                rate.resume(recent.saturating_add(self.unrecorded), others + held);
            }
            rate.known |= began >= rate.full() / rate.per_us;
            if rate.known || rate.full() / rate.per_us <= FAST_US {
                let more = (part.want - held).min(rate.left());
                rate.level -= signed(more * rate.interval);
                mine.tokens += more;
            } else {
                *needs_floor = true;
            }
        }
        self.rate = Some(rate);
        RateAnswer { own: mine.tokens, left: rate.left(), wait_us: rate.wait_us(flow) }
    }

    fn place(&self, mine: &mut GatewayRecord, part: PlacesPart, first: bool) -> PlacesAnswer {
        let others = self.places_out();
        let own = if first { part.held } else { mine.places };
        let free = part.limit.saturating_sub(others.saturating_add(own));
        mine.places = if part.want <= own { part.want } else { own + free.min(part.want - own) };
        PlacesAnswer { own: mine.places, total: others.saturating_add(mine.places) }
    }
}

impl GatewayRecord {
    fn empty() -> GatewayRecord {
        GatewayRecord {
            number: 0,
            at_us: 0,
            lapse_ms: 0,
            tokens: 0,
            places: 0,
            windows: [(0, 0, 0); 5],
            answer: SliceAnswer::Late,
        }
    }
}

/// How a bucket fills: silent gateways let their share flow in by themselves.
#[derive(Debug, Clone, Copy)]
struct Flow {
    gateways: u64,
    silent: u64,
}

impl Flow {
    fn of(ask: &SliceAsk) -> Flow {
        let gateways = u64::from(ask.gateways.max(1));
        // Who asks is not silent.
        Flow { gateways, silent: u64::from(ask.silent).min(gateways - 1) }
    }
}

impl RateRecord {
    /// As nobody knows what was used before, the bucket was empty when the lineage began.
    fn begun(part: &RatePart, began_us: u64, now_us: u64) -> RateRecord {
        let RatePart { interval, per_us, burst, .. } = *part;
        let mut rate =
            RateRecord { interval, per_us, burst, level: 0, at_us: now_us, withheld: 0, known: false };
        rate.fill(began_us, 0, Flow { gateways: 1, silent: 0 });
        rate
    }

    /// Time units of a full bucket.
    pub fn full(&self) -> u64 {
        self.interval * self.burst
    }

    /// Whole tokens in the bucket.
    pub fn left(&self) -> u64 {
        u64::try_from(self.level).unwrap_or(0) / self.interval
    }

    fn fill(&mut self, passed_us: u64, out: u64, flow: Flow) {
        let full = self.full();
        let mut gain = passed_us.min(full / self.per_us + 1) * self.per_us;
        if flow.silent > 0 {
            let kept = gain / flow.gateways * (flow.gateways - flow.silent);
            self.withheld = (self.withheld + gain - kept).min(full);
            gain = kept;
        }
        let brim = signed(full) - signed(out.min(2 * self.burst) * self.interval);
        self.level = (self.level + signed(gain)).min(brim).max(-signed(full));
    }

    /// Tokens that flowed in elsewhere: first out of what was left out for that.
    fn claim(&mut self, tokens: u64) {
        let claimed = tokens * self.interval;
        let covered = claimed.min(self.withheld);
        self.withheld -= covered;
        self.level = (self.level - signed(claimed - covered)).max(-signed(self.full()));
    }

    /// Goes on from what is known to have been used lately.
    fn resume(&mut self, used: u64, out: u64) {
        let missing = used.min(self.burst) + out.min(self.burst);
        let level = signed(self.full()) - signed(missing * self.interval);
        self.level = self.level.max(level);
        self.known = true;
    }

    /// The same bucket under another rule: what was used stays used.
    fn measured_in(mut self, part: &RatePart, out: u64, now_us: u64, flow: Flow) -> RateRecord {
        if (self.interval, self.per_us, self.burst) == (part.interval, part.per_us, part.burst) {
            return self;
        }
        self.fill(now_us.saturating_sub(self.at_us), out, flow);
        let missing = u64::try_from(signed(self.full()) - self.level).unwrap_or(0);
        let requests = missing.div_ceil(self.interval).min(2 * part.burst);
        (self.interval, self.per_us, self.burst) = (part.interval, part.per_us, part.burst);
        (self.at_us, self.withheld) = (self.at_us.max(now_us), 0);
        let empty = -signed(out.min(part.burst) * part.interval);
        self.level = (signed(self.full()) - signed(requests * part.interval)).max(empty);
        self
    }

    fn wait_us(&self, flow: Flow) -> u64 {
        if self.left() > 0 {
            return 0;
        }
        let missing = u64::try_from(signed(self.interval) - self.level).unwrap_or(0);
        let wait = missing.div_ceil(self.per_us).min(WAIT_US_MAX);
        (wait * flow.gateways).div_ceil(flow.gateways - flow.silent)
    }
}

/// Levels are within 53 bits.
fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}
