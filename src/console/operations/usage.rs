//! What a key has used and may still use, and what became of its requests over time.
//!
//! Promises that limits and counts are exact as of the instant it names: counts in memory are recorded before they are
//! read. Buckets of days and hours follow the calendar of the organization's zone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::buckets::{HOUR_MS, began, edges};
use super::{Caller, Operations, Refused};
use crate::console::view::Instant;
use crate::domain::clock::UnixMillis;
use crate::domain::id::KeyId;
use crate::limits::{LimitUse, Totals};
use crate::store::UsageCounts;

/// What is shown unless asked otherwise: the last day, by the hour.
pub(super) const SPAN_MS: u64 = 24 * 60 * 60 * 1_000;
/// Hours of [`Operations::recent_use`].
const HOURS: usize = 24;
/// Keys listed at once.
const KEYS_A_PAGE: u32 = 1_000;
const MINUTE_MS: u32 = 60_000;
/// Every zone of today is off UTC by a multiple of this: it is the coarsest grain that hours and days can be made of.
const QUARTER_MS: u32 = 15 * MINUTE_MS;

/// The length of a bucket.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Step {
    /// From second 0 of a minute.
    Minute,
    /// From minute 0 of a local hour.
    #[default]
    Hour,
    /// From local midnight.
    Day,
}

/// The time to show.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct UsageSpan {
    /// From the bucket that holds this instant; a day before `to` unless set.
    pub from: Option<UnixMillis>,
    /// To before this instant; now unless set.
    pub to: Option<UnixMillis>,
    /// In buckets of this length.
    pub step: Step,
}

/// A key's use.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = Usage)]
pub struct UsageView {
    /// The instant that all numbers are of.
    pub as_of: Instant,
    /// Each limit in force.
    pub limits: Vec<LimitView>,
    /// The sum of the series.
    pub totals: UsageTotals,
    /// Every bucket of the span, oldest first, empty ones included.
    pub series: Vec<UsagePoint>,
    /// The routes that most requests took, most used first, at most ten. Counted are admitted requests (`allowed` and
    /// `failed`) once they are settled. What fell out of the ten is summed under nothing, and so is what a crash left
    /// without its route: the sum is at most `allowed + failed` of the totals.
    pub routes: Vec<RouteUse>,
    /// The agents that most requests went to, counted as `routes` are. Requests of routes without an agent are not in
    /// it. A deleted agent is shown by the slug that it had when it was counted, and beside another of that slug made
    /// since: they are two.
    pub agents: Vec<AgentUse>,
}

/// Admitted requests that took one route.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RouteUse {
    /// Its name, or host and path as configured: the label of metrics and access log.
    pub route: String,
    /// How many.
    pub requests: u64,
}

/// Admitted requests that went to one agent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct AgentUse {
    /// Its slug.
    pub agent: String,
    /// How many.
    pub requests: u64,
}

/// One limit and its use.
#[derive(Debug, Clone, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
#[schema(as = LimitUse)]
pub struct LimitView {
    /// `rate`, `concurrency` or `quota`.
    pub kind: &'static str,
    /// The period of a rate or the window of a quota.
    pub per: Option<&'static str>,
    /// A rate's requests per `per`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// The most that may be used; a rate's burst.
    pub limit: u64,
    /// Used now.
    pub used: u64,
    /// Left now.
    pub remaining: u64,
    /// When all of it is there again.
    pub resets_at: Option<Instant>,
}

impl From<LimitUse> for LimitView {
    fn from(line: LimitUse) -> LimitView {
        LimitView {
            kind: line.kind.as_str(),
            per: line.per,
            requests: line.requests,
            limit: line.limit,
            used: line.used,
            remaining: line.remaining,
            resets_at: line.resets_at.map(Instant),
        }
    }
}

/// Counts of refused requests, by what refused them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
pub struct DeniedBy {
    /// The rate.
    pub rate: u64,
    /// A quota.
    pub quota: u64,
    /// The concurrency.
    pub concurrency: u64,
    /// Something else, such as an agent that the key does not open.
    pub other: u64,
}

/// Counts of requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsageTotals {
    /// Admitted and answered.
    pub allowed: u64,
    /// Refused: the sum of `deniedBy`.
    pub denied: u64,
    /// Admitted, then failed.
    pub failed: u64,
    /// Refused, by what refused.
    pub denied_by: DeniedBy,
}

impl From<&Totals> for UsageTotals {
    fn from(counts: &Totals) -> UsageTotals {
        UsageTotals {
            allowed: counts.allowed,
            denied: counts.denied(),
            failed: counts.failed,
            denied_by: DeniedBy {
                rate: counts.denied_rate,
                quota: counts.denied_quota,
                concurrency: counts.denied_concurrency,
                other: counts.denied_other,
            },
        }
    }
}

/// One bucket of the series.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub struct UsagePoint {
    /// Where it begins.
    pub at: Instant,
    /// Admitted and answered.
    pub allowed: u64,
    /// Refused: the sum of `deniedBy`.
    pub denied: u64,
    /// Admitted, then failed.
    pub failed: u64,
    /// Refused, by what refused.
    pub denied_by: DeniedBy,
}

impl UsagePoint {
    fn new(at: UnixMillis, counts: &Totals) -> UsagePoint {
        let UsageTotals { allowed, denied, failed, denied_by } = UsageTotals::from(counts);
        UsagePoint { at: Instant(at), allowed, denied, failed, denied_by }
    }
}

impl Operations {
    /// A key's use over `span`.
    ///
    /// # Errors
    /// Where there is no such key, the span has too many buckets, or the database does not answer.
    pub async fn read_usage(
        &self,
        caller: &Caller,
        organization: &str,
        key: &str,
        span: UsageSpan,
    ) -> Result<UsageView, Refused> {
        let parts = &self.0;
        let id: KeyId = key.parse().map_err(|_| Refused::NotFound)?;
        let organization = self.organization_of(organization).await?;
        let reach = caller.reach(organization.id)?;
        let (key, hash) = parts.database.key(organization.id, id).await?.ok_or(Refused::NotFound)?;
        reach.must_cover(&key)?;
        let now = parts.clock.now();
        let to = span.to.unwrap_or(now.unix);
        let from = span.from.unwrap_or(UnixMillis(to.0.saturating_sub(SPAN_MS)));
        let edges = edges(from, to, span.step, organization.zone.rules())?;
        let as_of = parts.in_force.settle_counts(now.unix).await;
        let now = parts.clock.now();
        let limits = parts.in_force.uses(&key, &hash, &organization, now).await?;
        let limits = limits.into_iter().map(LimitView::from).collect();
        let grain_ms = if span.step == Step::Minute { MINUTE_MS } else { QUARTER_MS };
        let start = edges.first().copied().unwrap_or(from);
        let usage = parts.database.usage(id, start, to, grain_ms).await?;
        let buckets = buckets(&edges, &usage.counts);
        let totals = UsageTotals::from(&buckets.iter().copied().sum::<Totals>());
        let series = edges.iter().zip(&buckets).map(|(at, counts)| UsagePoint::new(*at, counts)).collect();
        let routes = usage.routes.into_iter().map(|(route, requests)| RouteUse { route, requests }).collect();
        let agents = usage.agents.into_iter().map(|(agent, requests)| AgentUse { agent, requests }).collect();
        Ok(UsageView { as_of: Instant(as_of), limits, totals, series, routes, agents })
    }

    /// How many requests each key of an organization had (admitted or refused) in each of the last 24 hours by the
    /// organization's calendar, oldest first; the last one has just begun. Of the keys that [`Operations::list_keys`]
    /// shows the caller, those without any included; exact as of the call.
    ///
    /// # Errors
    /// Where there is no such organization, or the database does not answer.
    pub async fn recent_use(
        &self,
        caller: &Caller,
        organization: &str,
    ) -> Result<BTreeMap<KeyId, [u64; HOURS]>, Refused> {
        let parts = &self.0;
        let found = self.organization_of(organization).await?;
        let mut recent = BTreeMap::new();
        let mut after = None;
        loop {
            let page = self.list_keys(caller, organization, after, KEYS_A_PAGE).await?;
            recent.extend(page.items.iter().map(|key| (key.id, [0; HOURS])));
            after = page.next.and_then(|next| next.parse().ok());
            if after.is_none() {
                break;
            }
        }
        parts.in_force.settle_counts(parts.clock.now().unix).await;
        let this_hour = began(parts.clock.now().unix, Step::Hour, found.zone.rules())?;
        // Hours of sixty minutes, back from this one: clocks that change give one of them another name.
        let hour = u64::from(HOUR_MS);
        let from = UnixMillis(this_hour.0.saturating_sub((HOURS as u64 - 1) * hour));
        let to = UnixMillis(this_hour.0.saturating_add(hour));
        for counted in parts.database.requests_by_span(found.id, from, to, HOUR_MS).await? {
            let hours = recent.get_mut(&counted.key);
            let place = usize::try_from(counted.span).ok();
            if let Some(requests) = hours.zip(place).and_then(|(hours, place)| hours.get_mut(place)) {
                *requests += counted.requests;
            }
        }
        Ok(recent)
    }

    /// How many requests a key had (admitted or refused) since midnight by the organization's calendar; exact as of
    /// the call.
    ///
    /// # Errors
    /// Where there is no such key, or the database does not answer.
    pub async fn requests_today(
        &self,
        caller: &Caller,
        organization: &str,
        key: &str,
    ) -> Result<u64, Refused> {
        let parts = &self.0;
        let key = self.read_key(caller, organization, key).await?.id;
        let organization = self.organization_of(organization).await?;
        parts.in_force.settle_counts(parts.clock.now().unix).await;
        let midnight = began(parts.clock.now().unix, Step::Day, organization.zone.rules())?;
        Ok(parts.database.requests_since(key, midnight).await?)
    }
}

/// Puts counts into the buckets that begin at `edges`.
fn buckets(edges: &[UnixMillis], counts: &[UsageCounts]) -> Vec<Totals> {
    let mut buckets = vec![Totals::default(); edges.len()];
    for count in counts {
        let behind = edges.partition_point(|edge| *edge <= count.at);
        if let Some(bucket) = behind.checked_sub(1).and_then(|at| buckets.get_mut(at)) {
            *bucket += count.totals;
        }
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_fall_into_the_bucket_that_holds_them() {
        let edges = [UnixMillis(0), UnixMillis(100)];
        let count = |at, totals| UsageCounts { at: UnixMillis(at), totals };
        let some = Totals {
            allowed: 1,
            failed: 3,
            denied_rate: 4,
            denied_quota: 5,
            denied_concurrency: 6,
            denied_other: 7,
        };
        let one = Totals { allowed: 10, ..Totals::default() };
        let filled = buckets(&edges, &[count(0, some), count(99, one), count(100, one)]);
        assert_eq!(filled, [Totals { allowed: 11, ..some }, one]);
        let all = UsageTotals::from(&filled.into_iter().sum::<Totals>());
        let denied_by = DeniedBy { rate: 4, quota: 5, concurrency: 6, other: 7 };
        assert_eq!(all, UsageTotals { allowed: 21, denied: 22, failed: 3, denied_by });
    }
}
