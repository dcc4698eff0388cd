//! Limits and expiry as fields of a form: read into what operations take, written from what a record holds.
//!
//! Promises that a field left empty is left to the organization's limits, and that what does not read is named beside
//! its field. Never judges whether a limit is allowed: operations do.

use serde::Deserialize;

use crate::console::pages::form::Problems;
use crate::console::pages::time::Reading;
use crate::domain::clock::UnixMillis;
use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

/// The fields, as written.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct LimitFields {
    pub(crate) expires: String,
    pub(crate) rate_requests: String,
    pub(crate) rate_per: String,
    pub(crate) rate_burst: String,
    pub(crate) concurrency: String,
    pub(crate) quota_minute: String,
    pub(crate) quota_hour: String,
    pub(crate) quota_day: String,
    pub(crate) quota_week: String,
    pub(crate) quota_month: String,
}

/// Names of all fields here.
pub(crate) const FIELDS: [&str; 10] = [
    "expires",
    "rate_requests",
    "rate_per",
    "rate_burst",
    "concurrency",
    "quota_minute",
    "quota_hour",
    "quota_day",
    "quota_week",
    "quota_month",
];

/// A quota's field, for the template.
pub(crate) struct QuotaField<'a> {
    pub(crate) name: &'static str,
    pub(crate) label: &'static str,
    pub(crate) value: &'a str,
    /// What holds where it is left empty.
    pub(crate) usual: String,
}

const PERIODS: [Period; 4] = [Period::Second, Period::Minute, Period::Hour, Period::Day];

impl LimitFields {
    /// The fields of a record.
    pub(crate) fn of(limits: &Limits, expires: Option<UnixMillis>, reading: &Reading) -> LimitFields {
        let expires = expires.map(|at| reading.local_field(at)).unwrap_or_default();
        LimitFields { expires, ..LimitFields::without_expiry(limits) }
    }

    /// Chooses the period that a rate left empty has anyway, so that what stands in the field reads with it.
    pub(crate) fn suggest(&mut self, given: &Limits) {
        if let (true, Some(rate)) = (self.rate_requests.is_empty(), given.rate) {
            self.rate_per = rate.per.as_str().to_owned();
        }
    }

    /// The fields of an organization's defaults, which have no expiry.
    pub(crate) fn without_expiry(limits: &Limits) -> LimitFields {
        let quota = |window: Window| {
            let quotas = limits.quotas.iter().flatten();
            let found = quotas.into_iter().find(|quota| quota.per == window);
            found.map(|quota| quota.requests.to_string()).unwrap_or_default()
        };
        let rate = limits.rate;
        LimitFields {
            expires: String::new(),
            rate_requests: rate.map(|rate| rate.requests.to_string()).unwrap_or_default(),
            rate_per: rate.map_or(Period::Second, |rate| rate.per).as_str().to_owned(),
            rate_burst: rate.map(|rate| rate.burst.to_string()).unwrap_or_default(),
            concurrency: limits.concurrency.map(|most| most.to_string()).unwrap_or_default(),
            quota_minute: quota(Window::Minute),
            quota_hour: quota(Window::Hour),
            quota_day: quota(Window::Day),
            quota_week: quota(Window::Week),
            quota_month: quota(Window::Month),
        }
    }

    /// The limits that the fields say. `before` is what holds: an explicit "no quota at all" has no field and stays.
    pub(crate) fn limits(&self, before: &Limits, problems: &mut Problems) -> Limits {
        let requests = number(&self.rate_requests, "rate_requests", problems);
        let burst = number(&self.rate_burst, "rate_burst", problems);
        if requests.is_none() && burst.is_some() && problems.is_empty() {
            problems.add("rate_requests", "Expected a number of requests for this burst.");
        }
        let per =
            PERIODS.into_iter().find(|period| period.as_str() == self.rate_per).unwrap_or(Period::Second);
        let rate = requests.map(|requests| Rate { requests, per, burst: burst.unwrap_or(requests) });
        let concurrency = number(&self.concurrency, "concurrency", problems);
        let concurrency = concurrency.map(|most| u32::try_from(most).unwrap_or(u32::MAX));
        let mut quotas = Vec::new();
        for (window, field, text) in self.quotas() {
            if let Some(requests) = number(text, field, problems) {
                quotas.push(Quota { requests, per: window });
            }
        }
        let none_at_all = before.quotas.as_ref().is_some_and(Vec::is_empty);
        let quotas = if quotas.is_empty() && !none_at_all { None } else { Some(quotas) };
        Limits { rate, concurrency, quotas }
    }

    /// The expiry that the field says.
    pub(crate) fn expiry(&self, reading: &Reading, problems: &mut Problems) -> Option<UnixMillis> {
        let text = self.expires.trim();
        if text.is_empty() {
            return None;
        }
        let read = reading.parse_local(text);
        if read.is_none() {
            problems.add("expires", "Expected a date and a time, such as 2027-01-31T18:00.");
        }
        read
    }

    fn quotas(&self) -> [(Window, &'static str, &str); 5] {
        [
            (Window::Minute, "quota_minute", &self.quota_minute),
            (Window::Hour, "quota_hour", &self.quota_hour),
            (Window::Day, "quota_day", &self.quota_day),
            (Window::Week, "quota_week", &self.quota_week),
            (Window::Month, "quota_month", &self.quota_month),
        ]
    }

    /// Fields of the quotas, with what the organization says.
    pub(crate) fn quota_fields(&self, organization: &Limits) -> Vec<QuotaField<'_>> {
        let usual = |window: Window| {
            let quotas = organization.quotas.iter().flatten();
            quotas.into_iter().find(|quota| quota.per == window).map(|quota| quota.requests.to_string())
        };
        let label = |window: Window| match window {
            Window::Minute => "Per minute",
            Window::Hour => "Per hour",
            Window::Day => "Per day",
            Window::Week => "Per week",
            Window::Month => "Per month",
        };
        let field = |(window, name, value)| QuotaField {
            name,
            label: label(window),
            value,
            usual: usual(window).unwrap_or_default(),
        };
        self.quotas().into_iter().map(field).collect()
    }

    /// The periods of a rate, and which one is chosen.
    pub(crate) fn periods(&self) -> Vec<(&'static str, bool)> {
        PERIODS.map(|period| (period.as_str(), period.as_str() == self.rate_per)).into()
    }

    /// Whether somebody wrote something into one of them.
    pub(crate) fn is_written(&self) -> bool {
        let texts = [&self.expires, &self.rate_requests, &self.rate_burst, &self.concurrency];
        texts.iter().any(|text| !text.is_empty()) || self.quotas().iter().any(|(_, _, text)| !text.is_empty())
    }

    /// The field that an operation's pointer is about. Quotas are counted in the order that [`LimitFields::limits`]
    /// gives them.
    pub(crate) fn field(&self, pointer: &str) -> Option<&'static str> {
        if let Some(rest) = pointer.strip_prefix("/limits/quotas/") {
            let at: usize = rest.split('/').next()?.parse().ok()?;
            let mut written = self.quotas().into_iter().filter(|(_, _, text)| !text.trim().is_empty());
            return written.nth(at).map(|(_, field, _)| field);
        }
        match pointer {
            "/expiresAt" => Some("expires"),
            "/limits/rate" | "/limits/rate/requests" => Some("rate_requests"),
            "/limits/rate/per" => Some("rate_per"),
            "/limits/rate/burst" => Some("rate_burst"),
            "/limits/concurrency" => Some("concurrency"),
            "/limits/quotas" => Some("quota_minute"),
            _ => None,
        }
    }
}

/// A whole number, however its thousands are set apart; none where the field is empty.
fn number(text: &str, field: &'static str, problems: &mut Problems) -> Option<u64> {
    let digits: String =
        text.chars().filter(|letter| !matches!(letter, ',' | '_' | ' ' | '\u{a0}' | '\u{202f}')).collect();
    if digits.is_empty() {
        return None;
    }
    let read = digits.parse().ok();
    if read.is_none() {
        problems.add(field, "Expected a whole number, such as 1000.");
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn empty_fields_are_left_to_the_organization_and_numbers_may_have_their_thousands_apart() {
        let mut problems = Problems::none();
        assert!(LimitFields::default().limits(&Limits::default(), &mut problems).is_empty());
        let fields = LimitFields {
            rate_requests: "1,000".into(),
            rate_per: "minute".into(),
            quota_day: " 2 000 ".into(),
            ..LimitFields::default()
        };
        let limits = fields.limits(&Limits::default(), &mut problems);
        assert_eq!(limits.rate, Some(Rate { requests: 1_000, per: Period::Minute, burst: 1_000 }));
        assert_eq!(limits.quotas, Some(vec![Quota { requests: 2_000, per: Window::Day }]));
        assert_eq!(fields.field("/limits/quotas/0/requests"), Some("quota_day"));
        assert!(problems.is_empty());
    }

    #[test]
    fn what_is_no_number_is_named_beside_its_field() {
        let mut problems = Problems::none();
        let fields =
            LimitFields { concurrency: "many".into(), rate_burst: "-1".into(), ..LimitFields::default() };
        fields.limits(&Limits::default(), &mut problems);
        assert!(problems.of("concurrency").is_some() && problems.of("rate_burst").is_some());
    }

    #[test]
    fn no_quota_at_all_stays_where_no_field_says_otherwise() {
        let before = Limits { quotas: Some(Vec::new()), ..Limits::default() };
        let after = LimitFields::default().limits(&before, &mut Problems::none());
        assert_eq!(after.quotas, Some(Vec::new()));
    }
}
