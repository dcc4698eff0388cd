//! Limits on the command line: `--rate 100/s --burst 200 --concurrency 10 --quota 1000/day`.

use clap::Args;
use serde_json::{Value, json};

use crate::domain::limit::{Limits, Period, Quota, Rate, Window};

/// Limits to set; what is not named stays.
#[derive(Debug, Args)]
pub(crate) struct LimitArgs {
    /// Requests per time, such as 100/s or 5000/hour.
    #[arg(long, value_name = "N/TIME", value_parser = rate, group = "change")]
    rate: Option<Rate>,
    /// How many requests may come at once; as many as the rate names, unless set.
    #[arg(long, value_name = "N", requires = "rate")]
    burst: Option<u64>,
    /// Requests in flight at once.
    #[arg(long, value_name = "N", group = "change")]
    concurrency: Option<u32>,
    /// Requests per calendar window, such as 1000/day; may be given for several windows.
    #[arg(long, value_name = "N/WINDOW", value_parser = quota, group = "change")]
    quota: Vec<Quota>,
    /// No quota at all, whatever the organization or the configuration says.
    #[arg(long, conflicts_with = "quota", group = "change")]
    no_quotas: bool,
}

impl LimitArgs {
    /// `own`, with what is named here in its place; `None` where nothing is named.
    pub(crate) fn over(self, own: &Value) -> anyhow::Result<Option<Value>> {
        let LimitArgs { rate, burst, concurrency, quota, no_quotas } = self;
        if rate.is_none() && concurrency.is_none() && quota.is_empty() && !no_quotas {
            // A limit that was cleared is still written, as none.
            return Ok(if own.as_object().is_some_and(serde_json::Map::is_empty) {
                Some(json!({}))
            } else {
                None
            });
        }
        let named = Limits {
            rate: rate.map(|rate| Rate { burst: burst.unwrap_or(rate.burst), ..rate }),
            concurrency,
            quotas: (no_quotas || !quota.is_empty()).then_some(quota),
        };
        let own: Limits =
            if own.is_null() { Limits::default() } else { serde_json::from_value(own.clone())? };
        Ok(Some(serde_json::to_value(named.or(&own))?))
    }
}

/// Limits as they are written on the command line; what is absent is left to the next layer.
pub(crate) fn limits_text(limits: &Value) -> String {
    let Ok(limits) = serde_json::from_value::<Limits>(limits.clone()) else { return "?".to_owned() };
    let mut parts = Vec::new();
    if let Some(rate) = limits.rate {
        parts.push(format!("{}/{} burst {}", rate.requests, rate.per.as_str(), rate.burst));
    }
    if let Some(concurrency) = limits.concurrency {
        parts.push(format!("{concurrency} in flight"));
    }
    match limits.quotas {
        Some(quotas) if quotas.is_empty() => parts.push("no quota".to_owned()),
        quotas => {
            parts.extend(
                quotas.iter().flatten().map(|quota| format!("{}/{}", quota.requests, quota.per.as_str())),
            );
        }
    }
    if parts.is_empty() { "default".to_owned() } else { parts.join(", ") }
}

fn rate(text: &str) -> Result<Rate, String> {
    let (requests, unit) =
        split(text).ok_or("expected a rate such as 100/s, 60/minute, 5000/hour or 10000/day")?;
    let per = match unit {
        "s" | "sec" | "second" => Period::Second,
        "m" | "min" | "minute" => Period::Minute,
        "h" | "hour" => Period::Hour,
        "d" | "day" => Period::Day,
        _ => return Err("expected a time of second, minute, hour or day".to_owned()),
    };
    Ok(Rate { requests, per, burst: requests })
}

fn quota(text: &str) -> Result<Quota, String> {
    let (requests, unit) = split(text).ok_or("expected a quota such as 1000/day")?;
    let per = match unit {
        "m" | "min" | "minute" => Window::Minute,
        "h" | "hour" => Window::Hour,
        "d" | "day" => Window::Day,
        "w" | "week" => Window::Week,
        "month" => Window::Month,
        _ => return Err("expected a window of minute, hour, day, week or month".to_owned()),
    };
    Ok(Quota { requests, per })
}

fn split(text: &str) -> Option<(u64, &str)> {
    let (requests, unit) = text.split_once('/')?;
    Some((requests.trim().replace('_', "").parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_on_the_command_line_take_the_place_of_those_they_name_only() {
        let args = LimitArgs {
            rate: Some(rate("100/s").unwrap()),
            burst: Some(200),
            concurrency: None,
            quota: vec![quota("1_000/day").unwrap()],
            no_quotas: false,
        };
        let own = json!({ "concurrency": 3, "quotas": [{ "requests": 5, "per": "month" }] });
        let merged = args.over(&own).unwrap().unwrap();
        assert_eq!(limits_text(&merged), "100/second burst 200, 3 in flight, 1000/day");
        assert_eq!(limits_text(&json!({})), "default");
    }

    #[test]
    fn a_rate_or_quota_that_does_not_read_is_refused() {
        for bad in ["100", "/s", "x/s", "1/fortnight", "-1/s", "1/week"] {
            assert!(rate(bad).is_err(), "{bad}");
        }
        assert!(quota("10/week").is_ok() && quota("10/second").is_err());
    }
}
