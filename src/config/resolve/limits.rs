//! The limits of keys: what the file says of each part, else the defaults.

use crate::config::file;
use crate::config::leaf::{OneOf, Unlimited};
use crate::config::problem::{At, Findings, Place};
use crate::config::setting::Or;
use crate::domain::limit::{InvalidLimit, Limits, Period, Quota, Rate, Window};

pub(crate) fn resolve(written: file::KeyLimits, findings: &mut Findings) -> Limits {
    let places = Places::of(&written);
    let limits = Limits {
        rate: part(written.rate).map_or(Some(DEFAULT_RATE), |rate| rate.and_then(resolve_rate)),
        concurrency: part(written.concurrency)
            .map_or(Some(100), |count| count.and_then(|count| u32::try_from(count.0).ok())),
        quotas: Some(part(written.quotas).map_or_else(
            || DEFAULT_QUOTAS.to_vec(),
            |quotas| {
                quotas
                    .map(|quotas| quotas.0.iter().filter_map(|quota| resolve_quota(&quota.value)).collect())
                    .unwrap_or_default()
            },
        )),
    };
    for InvalidLimit { pointer, message } in limits.problems() {
        if let Some(place) = places.find(&pointer) {
            findings.refuse(place, "one quota too many", message);
        }
    }
    limits
}

const DEFAULT_RATE: Rate = Rate { requests: 100, per: Period::Second, burst: 200 };
const DEFAULT_QUOTAS: [Quota; 2] =
    [Quota { requests: 100_000, per: Window::Day }, Quota { requests: 2_000_000, per: Window::Month }];

/// None: not written. Some(None): `none`.
fn part<T>(written: Option<At<Or<Unlimited, T>>>) -> Option<Option<T>> {
    written.map(|at| at.value.0)
}

fn resolve_rate(written: file::Rate) -> Option<Rate> {
    let file::RateFields { requests, per, burst, .. } = written.0;
    let requests = requests?.value.0;
    let OneOf(per) = per?.value;
    Some(Rate { requests, per, burst: burst.map_or(requests, |burst| burst.value.0) })
}

fn resolve_quota(written: &file::Quota) -> Option<Quota> {
    let requests = written.requests.as_ref()?.value.0;
    let per = written.per.as_ref()?.value.0;
    Some(Quota { requests, per })
}

/// Where the windows of quotas are written, in the order in which [`Limits::quotas`] holds them. The other rules of
/// [`Limits::problems`] are ranges, which the file's fields checked with their own places.
struct Places(Vec<Place>);

impl Places {
    fn of(written: &file::KeyLimits) -> Places {
        let quotas =
            written.quotas.iter().filter_map(|quotas| quotas.value.0.as_ref()).flat_map(|list| &list.0);
        Places(
            quotas
                .filter(|quota| resolve_quota(&quota.value).is_some())
                .filter_map(|quota| quota.value.per.as_ref().map(|per| per.place))
                .collect(),
        )
    }

    /// The place of a pointer such as `/quotas/1/per`.
    fn find(&self, pointer: &str) -> Option<Place> {
        let at = pointer.strip_prefix("/quotas/")?.split('/').next()?;
        self.0.get(at.parse::<usize>().ok()?).copied()
    }
}
