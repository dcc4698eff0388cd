//! Limits as people say them.

use super::chart::grouped;
use crate::domain::limit::{Limits, Quota, Rate, Window};

/// A rate, such as "100 per second, bursts up to 200".
pub(crate) fn rate(rate: Rate) -> String {
    let (requests, burst) = (grouped(rate.requests), grouped(rate.burst));
    format!("{requests} per {}, bursts up to {burst}", rate.per.as_str())
}

/// Quotas, shortest window first, such as "1,000 per day, 20,000 per month".
pub(crate) fn quotas(quotas: &[Quota]) -> String {
    if quotas.is_empty() {
        return "none".to_owned();
    }
    let mut sorted: Vec<(Window, u64)> = quotas.iter().map(|quota| (quota.per, quota.requests)).collect();
    sorted.sort_unstable();
    let words = sorted.iter().map(|(per, requests)| format!("{} per {}", grouped(*requests), per.as_str()));
    words.collect::<Vec<_>>().join(", ")
}

/// What one layer says, such as "10 per second, bursts up to 20; 5 in flight; quotas 1,000 per day".
pub(crate) fn limits(limits: &Limits) -> String {
    let parts = [
        limits.rate.map(rate),
        limits.concurrency.map(|most| format!("{} in flight", grouped(u64::from(most)))),
        limits.quotas.as_deref().map(|given| format!("quotas {}", quotas(given))),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::limit::Period;

    #[test]
    fn limits_are_said_whole_and_quotas_by_length() {
        let day = Quota { requests: 1_000, per: Window::Day };
        let month = Quota { requests: 20_000, per: Window::Month };
        let told = Limits {
            rate: Some(Rate { requests: 10, per: Period::Second, burst: 20 }),
            concurrency: Some(5),
            quotas: Some(vec![month, day]),
        };
        assert_eq!(
            limits(&told),
            "10 per second, bursts up to 20; 5 in flight; quotas 1,000 per day, 20,000 per month"
        );
        assert_eq!(limits(&Limits { quotas: Some(Vec::new()), ..Limits::default() }), "quotas none");
    }
}
