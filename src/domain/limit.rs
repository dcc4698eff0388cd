//! Limits as they are written and how three layers of them become the one in force.
//!
//! A limit is a rate (requests per time, with burst), a concurrency, or a quota (requests per calendar window). The
//! shapes here are those of the configuration and of the API alike.

use std::borrow::Cow;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::object::Object;

/// Most requests a rate, burst or quota may name: what 40 bits hold, over a trillion.
pub const REQUESTS_MAX: u64 = (1 << 40) - 1;

/// The time that a rate counts per.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Period {
    /// One second.
    Second,
    /// 60 seconds.
    Minute,
    /// 3,600 seconds.
    Hour,
    /// 86,400 seconds.
    Day,
}

impl Period {
    /// Its length.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(match self {
            Period::Second => 1,
            Period::Minute => 60,
            Period::Hour => 3_600,
            Period::Day => 86_400,
        })
    }

    /// As written in configuration and API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Period::Second => "second",
            Period::Minute => "minute",
            Period::Hour => "hour",
            Period::Day => "day",
        }
    }
}

/// A calendar window in the organization's time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Window {
    /// From second 0 of a minute.
    Minute,
    /// From minute 0 of an hour.
    Hour,
    /// From local midnight.
    Day,
    /// From local midnight of a Monday.
    Week,
    /// From local midnight of the first.
    Month,
}

impl Window {
    /// All windows, shortest first; a window's place here is its index everywhere.
    pub const ALL: [Window; 5] = [Window::Minute, Window::Hour, Window::Day, Window::Week, Window::Month];

    /// Its place in [`Window::ALL`].
    pub const fn index(self) -> usize {
        match self {
            Window::Minute => 0,
            Window::Hour => 1,
            Window::Day => 2,
            Window::Week => 3,
            Window::Month => 4,
        }
    }

    /// As written in configuration, API and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Window::Minute => "minute",
            Window::Hour => "hour",
            Window::Day => "day",
            Window::Week => "week",
            Window::Month => "month",
        }
    }

    /// Its length in seconds where it does not depend on the date (daylight saving aside); `None` for a month.
    pub const fn nominal_seconds(self) -> Option<u64> {
        match self {
            Window::Minute => Some(60),
            Window::Hour => Some(3_600),
            Window::Day => Some(86_400),
            Window::Week => Some(604_800),
            Window::Month => None,
        }
    }
}

/// Requests per time, with a burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rate {
    /// Requests per [`Rate::per`], at least 1.
    pub requests: u64,
    /// The time they are counted per.
    pub per: Period,
    /// How many may come at once, at least 1; `requests` unless written.
    pub burst: u64,
}

/// Requests per calendar window.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Quota {
    /// Requests per window; 0 refuses every request.
    pub requests: u64,
    /// The window.
    pub per: Window,
}

/// What one layer says: a key, an organization, or the configuration. An absent part is left to the next layer.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Limits {
    /// Requests per time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate: Option<Rate>,
    /// Requests in flight at once, at least 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub concurrency: Option<u32>,
    /// At most one quota a window. An empty list means no quota, whatever the next layer says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quotas: Option<Vec<Quota>>,
}

/// What is wrong with a limit, and where (a JSON pointer below the limits object).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct InvalidLimit {
    /// Such as `/rate/requests` or `/quotas/1/per`.
    pub pointer: String,
    /// What was expected.
    pub message: Cow<'static, str>,
}

impl Limits {
    /// Checks every rule, returning every breach.
    pub fn problems(&self) -> Vec<InvalidLimit> {
        let mut found = Vec::new();
        let mut breach = |pointer: String, message: &'static str| {
            found.push(InvalidLimit { pointer, message: message.into() });
        };
        if let Some(rate) = self.rate {
            if !(1..=REQUESTS_MAX).contains(&rate.requests) {
                breach("/rate/requests".into(), "expected 1 or more requests");
            }
            if !(1..=REQUESTS_MAX).contains(&rate.burst) {
                breach("/rate/burst".into(), "expected a burst of 1 or more");
            }
        }
        if self.concurrency == Some(0) {
            breach("/concurrency".into(), "expected 1 or more requests in flight");
        }
        for (at, quota) in self.quotas.iter().flatten().enumerate() {
            if quota.requests > REQUESTS_MAX {
                breach(format!("/quotas/{at}/requests"), "expected at most 1,099,511,627,775 requests");
            }
            if self.quotas.iter().flatten().take(at).any(|earlier| earlier.per == quota.per) {
                breach(format!("/quotas/{at}/per"), "expected at most one quota for each window");
            }
        }
        found
    }

    /// The limits in force: part by part this layer's, else `next`'s.
    #[must_use]
    pub fn or(&self, next: &Limits) -> Limits {
        Limits {
            rate: self.rate.or(next.rate),
            concurrency: self.concurrency.or(next.concurrency),
            quotas: self.quotas.clone().or_else(|| next.quotas.clone()),
        }
    }

    /// Where these limits, laid over `outer`, would allow more than `outer` does: what an admin may not set.
    pub fn wider_than(&self, outer: &Limits) -> Vec<InvalidLimit> {
        let mut found = Vec::new();
        let mut breach = |pointer: String, message: String| {
            found.push(InvalidLimit { pointer, message: message.into() });
        };
        if let (Some(own), Some(outer)) = (self.rate, outer.rate) {
            if own.is_faster_than(outer) {
                let (requests, per) = (outer.requests, outer.per.as_str());
                breach(
                    "/rate/requests".into(),
                    format!("expected at most the organization's {requests} per {per}"),
                );
            }
            if own.burst > outer.burst {
                breach("/rate/burst".into(), format!("expected at most the organization's {}", outer.burst));
            }
        }
        if let (Some(own), Some(outer)) = (self.concurrency, outer.concurrency)
            && own > outer
        {
            breach("/concurrency".into(), format!("expected at most the organization's {outer}"));
        }
        if let (Some(own), Some(outer)) = (&self.quotas, &outer.quotas) {
            for outer in outer {
                let (requests, per) = (outer.requests, outer.per.as_str());
                match own.iter().position(|own| own.per == outer.per) {
                    None => breach(
                        "/quotas".into(),
                        format!("expected a quota per {per} too, of at most the organization's {requests}"),
                    ),
                    Some(at) if own.get(at).is_some_and(|own| own.requests > outer.requests) => breach(
                        format!("/quotas/{at}/requests"),
                        format!("expected at most the organization's {requests} per {per}"),
                    ),
                    Some(_) => {}
                }
            }
        }
        found
    }

    /// Whether no part is set.
    pub fn is_empty(&self) -> bool {
        *self == Limits::default()
    }
}

impl Rate {
    fn is_faster_than(self, other: Rate) -> bool {
        let own = u128::from(self.requests) * u128::from(other.per.duration().as_secs());
        let others = u128::from(other.requests) * u128::from(self.per.duration().as_secs());
        own > others
    }
}

impl<'de> Deserialize<'de> for Rate {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Rate, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            requests: u64,
            per: Period,
            burst: Option<u64>,
        }
        let Object(written) = Object::<Written>::deserialize(deserializer)?;
        Ok(Rate {
            requests: written.requests,
            per: written.per,
            burst: written.burst.unwrap_or(written.requests),
        })
    }
}

impl<'de> Deserialize<'de> for Quota {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Quota, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            requests: u64,
            per: Window,
        }
        let Object(written) = Object::<Written>::deserialize(deserializer)?;
        Ok(Quota { requests: written.requests, per: written.per })
    }
}

impl<'de> Deserialize<'de> for Limits {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Limits, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Written {
            rate: Option<Rate>,
            concurrency: Option<u32>,
            quotas: Option<Vec<Quota>>,
        }
        let Object(written) = Object::<Written>::deserialize(deserializer)?;
        Ok(Limits { rate: written.rate, concurrency: written.concurrency, quotas: written.quotas })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(requests: u64, per: Period, burst: u64) -> Limits {
        Limits { rate: Some(Rate { requests, per, burst }), ..Limits::default() }
    }

    #[test]
    fn each_part_of_a_limit_comes_from_the_nearest_layer_that_names_it() {
        let key = rate(5, Period::Second, 5);
        let organization = Limits { concurrency: Some(3), ..rate(50, Period::Second, 50) };
        let configured = Limits {
            concurrency: Some(100),
            quotas: Some(vec![Quota { requests: 10, per: Window::Day }]),
            ..Limits::default()
        };
        let effective = key.or(&organization).or(&configured);
        assert_eq!(effective.rate, key.rate);
        assert_eq!(effective.concurrency, Some(3));
        assert_eq!(effective.quotas, configured.quotas);
    }

    #[test]
    fn an_admin_may_narrow_and_never_widen() {
        let outer = rate(60, Period::Minute, 10);
        assert!(rate(1, Period::Second, 10).wider_than(&outer).is_empty());
        assert_eq!(rate(2, Period::Second, 10).wider_than(&outer)[0].pointer, "/rate/requests");
        assert_eq!(rate(1, Period::Second, 11).wider_than(&outer)[0].pointer, "/rate/burst");
        let no_quota = Limits { quotas: Some(vec![]), ..Limits::default() };
        let daily =
            Limits { quotas: Some(vec![Quota { requests: 5, per: Window::Day }]), ..Limits::default() };
        assert_eq!(no_quota.wider_than(&daily)[0].pointer, "/quotas");
        assert!(Limits::default().wider_than(&daily).is_empty());
    }

    #[test]
    fn burst_is_the_requests_unless_written_and_every_breach_is_told() {
        let read: Limits = serde_json::from_str(r#"{"rate":{"requests":7,"per":"second"}}"#).unwrap();
        assert_eq!(read, rate(7, Period::Second, 7));
        let wrong: Limits = serde_json::from_str(
            r#"{"rate":{"requests":0,"per":"day"},"concurrency":0,"quotas":[{"requests":1,"per":"day"},{"requests":2,"per":"day"}]}"#,
        )
        .unwrap();
        let pointers: Vec<_> = wrong.problems().into_iter().map(|problem| problem.pointer).collect();
        assert_eq!(pointers, ["/rate/requests", "/rate/burst", "/concurrency", "/quotas/1/per"]);
    }
}
