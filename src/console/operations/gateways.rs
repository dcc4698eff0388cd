//! Which gateways there are and how they stand, for operators.
//!
//! Promises that what is said of a gateway follows from its last sign alone: nothing is guessed. Decides nothing for
//! anybody: a revocation does its own waiting.

use std::collections::HashMap;
use std::time::Duration;

use super::{Caller, InForce, Operations, Parts, Refused};
use crate::console::view::{
    FeedState, FeedView, GatewayState, GatewayView, GatewaysView, Instant, TrustView,
};
use crate::domain::clock::UnixMillis;
use crate::domain::id::GatewayId;
use crate::fleet::hub::{Phase, Position, Registered, SILENT_AFTER};

/// What this console sees of gateways.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Seen {
    /// There is no fleet: one gateway, in this process, reads the very table that the console writes.
    Alone,
    /// A fleet around Redis, whether or not one of its gateways runs in this process.
    Fleet(Sight),
}

/// What this console sees of a fleet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sight {
    /// `fleet.trust`, which is the same throughout a fleet.
    pub trust: Duration,
    /// What Redis answered.
    pub register: Register,
    /// Gateways on record in SQL that have not left, registered ones included.
    pub known: Vec<Known>,
}

/// What Redis answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Register {
    /// Nothing, or a refusal.
    Unreachable,
    /// Who is registered.
    Read {
        /// Where its feed is; nothing where what it holds is not vouched for.
        head: Option<Position>,
        /// The gateways.
        gateways: Vec<Registered>,
    },
}

/// A life of a gateway on record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// This life.
    pub gateway: GatewayId,
    /// What people call it.
    pub name: String,
    /// Of the program.
    pub version: String,
    /// Where programs reach it.
    pub address: String,
    /// How long it may go on admitting after its last sync, in milliseconds.
    pub goes_on_ms: u64,
    /// Its last sign that was written down, by a console's clock.
    pub last_seen: UnixMillis,
}

impl Operations {
    /// The gateways and how they stand.
    ///
    /// # Errors
    /// [`Refused::NotFound`] for everybody but operators: how the deployment is built is not theirs to know. Where the
    /// database does not answer. That Redis does not is no error: the answer says so.
    pub async fn gateways(&self, caller: &Caller) -> Result<GatewaysView, Refused> {
        if !caller.is_operator() {
            return Err(Refused::NotFound);
        }
        let seen = self.0.seen().await?;
        Ok(view(seen, self.now()))
    }
}

impl Parts {
    /// What there is to see now.
    ///
    /// # Errors
    /// Where the database does not answer.
    async fn seen(&self) -> Result<Seen, Refused> {
        let InForce::Fleet(desk) = &self.in_force else { return Ok(Seen::Alone) };
        let known = self.database.known_gateways().await?.into_iter().map(|seen| Known {
            gateway: seen.gateway,
            name: seen.name,
            version: seen.version,
            address: seen.address,
            goes_on_ms: seen.goes_on_ms,
            last_seen: seen.last_seen,
        });
        let register = match desk.look().await {
            Some(snapshot) => Register::Read {
                head: snapshot.head,
                gateways: snapshot.gateways.iter().map(|sight| sight.registered.clone()).collect(),
            },
            None => Register::Unreachable,
        };
        Ok(Seen::Fleet(Sight { trust: desk.trust(), register, known: known.collect() }))
    }
}

/// How gateways stand at `now`, by what was seen of them just before.
fn view(seen: Seen, now: UnixMillis) -> GatewaysView {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    let (feed, mut items) = match seen {
        Seen::Alone => (None, vec![alone(&version, now)]),
        Seen::Fleet(sight) => {
            let feed = feed(&sight.register);
            (Some(feed), fleet(sight, now))
        }
    };
    // Who is over by id last: of several lives of one name the latest, which serves, comes first.
    items.sort_by(|one, other| (&one.name, one.state, other.id).cmp(&(&other.name, other.state, one.id)));
    let count = |counts: fn(GatewayState) -> bool| {
        u32::try_from(items.iter().filter(|gateway| counts(gateway.state)).count()).unwrap_or(u32::MAX)
    };
    GatewaysView {
        as_of: Instant(now),
        version,
        feed,
        gateways: count(|state| state != GatewayState::Over),
        serving: count(|state| state == GatewayState::Serving),
        items,
    }
}

fn alone(version: &str, now: UnixMillis) -> GatewayView {
    GatewayView {
        id: None,
        name: "this process".to_owned(),
        address: None,
        version: version.to_owned(),
        state: GatewayState::Serving,
        seen_at: Instant(now),
        applied: None,
        lag: None,
        trust: Some(TrustView::Fresh),
        generation: None,
        outstanding: None,
        goes_on_ms: None,
        may_admit_until: None,
    }
}

fn feed(register: &Register) -> FeedView {
    match register {
        Register::Unreachable => FeedView { state: FeedState::Unreachable, epoch: None, sequence: None },
        Register::Read { head: None, .. } => {
            FeedView { state: FeedState::Renewing, epoch: None, sequence: None }
        }
        Register::Read { head: Some(head), .. } => {
            FeedView { state: FeedState::Current, epoch: Some(head.epoch), sequence: Some(head.seq) }
        }
    }
}

fn fleet(sight: Sight, now: UnixMillis) -> Vec<GatewayView> {
    let (head, registered) = match sight.register {
        Register::Unreachable => (None, Vec::new()),
        Register::Read { head, gateways } => (head, gateways),
    };
    let mut items: HashMap<GatewayId, GatewayView> =
        sight.known.into_iter().map(|known| (known.gateway, missing(known, now))).collect();
    // What a gateway says itself is newer than what is written down of it.
    items.extend(
        registered.into_iter().map(|one| (one.gateway, registered_view(one, head, sight.trust, now))),
    );
    let mut items: Vec<GatewayView> = items.into_values().collect();
    // A gateway that was killed and started again under its name has several lives on record; of those that are over,
    // the present one says enough.
    let latest = latest_lives(&items);
    items.retain(|one| one.state != GatewayState::Over || latest.get(&one.name) == one.id.as_ref());
    items
}

/// The last life of each name: ids grow with time.
fn latest_lives(items: &[GatewayView]) -> HashMap<String, GatewayId> {
    let mut latest: HashMap<String, GatewayId> = HashMap::new();
    for (name, id) in items.iter().filter_map(|one| Some((&one.name, one.id?))) {
        let last = latest.entry(name.clone()).or_insert(id);
        *last = id.max(*last);
    }
    latest
}

/// A gateway that is on record only.
fn missing(known: Known, now: UnixMillis) -> GatewayView {
    let until = known.last_seen.plus(Duration::from_millis(known.goes_on_ms));
    let is_over = until <= now;
    GatewayView {
        id: Some(known.gateway),
        name: known.name,
        address: Some(known.address),
        version: known.version,
        state: if is_over { GatewayState::Over } else { GatewayState::Missing },
        seen_at: Instant(known.last_seen),
        applied: None,
        lag: None,
        trust: None,
        generation: None,
        outstanding: None,
        goes_on_ms: Some(known.goes_on_ms),
        may_admit_until: Some(Instant(until)),
    }
}

/// A gateway that is on the register.
fn registered_view(one: Registered, head: Option<Position>, trust: Duration, now: UnixMillis) -> GatewayView {
    let presence = one.presence;
    let seen_at = UnixMillis(now.0.saturating_sub(one.silent_ms));
    let until = seen_at.plus(Duration::from_millis(presence.goes_on_ms));
    let is_loading = presence.phase == Phase::Loading;
    // Four beats make a trust: two that fail to come are no accident.
    let silent_after = SILENT_AFTER.max(trust / 2);
    let is_silent = Duration::from_millis(one.silent_ms) > silent_after;
    let lag = match (presence.applied, head) {
        (Some(applied), Some(head)) if applied.epoch == head.epoch => {
            Some(head.seq.saturating_sub(applied.seq))
        }
        _ => None,
    };
    let state = match (is_silent, is_loading) {
        // One without a table has nothing to go on with.
        (true, true) => GatewayState::Over,
        (true, false) if until <= now => GatewayState::Over,
        (true, false) => GatewayState::Silent,
        (false, true) => GatewayState::Loading,
        (false, false) if lag == Some(0) => GatewayState::Serving,
        (false, false) => GatewayState::Behind,
    };
    GatewayView {
        id: Some(one.gateway),
        name: presence.name,
        address: Some(presence.address),
        version: presence.version,
        state,
        seen_at: Instant(seen_at),
        applied: presence.applied.map(|applied| applied.seq),
        lag,
        trust: if is_loading { None } else { trust_of(one.silent_ms, lag, trust) },
        generation: Some(presence.generation),
        outstanding: Some(presence.outstanding),
        goes_on_ms: Some(presence.goes_on_ms),
        may_admit_until: (is_silent && !is_loading).then_some(Instant(until)),
    }
}

/// Whether a gateway that has a table knows it up to date, as far as that can be told from its last sign.
fn trust_of(silent_ms: u64, lag: Option<u64>, trust: Duration) -> Option<TrustView> {
    match lag {
        _ if Duration::from_millis(silent_ms) > trust => Some(TrustView::OutOfTouch),
        Some(0) => Some(TrustView::Fresh),
        // When it last had applied everything, it does not say.
        _ => None,
    }
}

#[cfg(test)]
mod tests;
