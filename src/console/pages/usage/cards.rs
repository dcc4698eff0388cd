//! A key's limits as cards: how much of each is used, what is left, and when all of it is there again.

use crate::console::operations::LimitView;
use crate::console::pages::chart::{grouped, percent};
use crate::console::pages::time::{Reading, Stamp};

/// From this share on a limit is said to be getting close.
const NEAR_PERCENT: u8 = 80;

/// One limit, ready to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Card {
    /// Which limit, in words.
    pub(crate) title: String,
    /// Used now.
    pub(crate) used: String,
    /// Of how much.
    pub(crate) of: String,
    /// What is left, or what this limit counts.
    pub(crate) left: String,
    /// How `reset` is introduced.
    pub(crate) resets: &'static str,
    /// When all of it is there again, where it is not there now.
    pub(crate) reset: Option<Stamp>,
    /// Used, in percent.
    pub(crate) percent: u8,
    /// Class of the bar: `near`, `full` or nothing.
    pub(crate) class: &'static str,
    /// The class in words, because colour alone says nothing.
    pub(crate) state: Option<String>,
}

/// The cards of `limits`, in their order.
pub(crate) fn cards(limits: &[LimitView], reading: &Reading) -> Vec<Card> {
    limits.iter().map(|limit| card(limit, reading)).collect()
}

fn card(limit: &LimitView, reading: &Reading) -> Card {
    let percent = percent(limit.used, limit.limit);
    let (class, state) = match percent {
        100 => ("full", Some("Used up".to_owned())),
        NEAR_PERCENT.. => ("near", Some(format!("{percent} % used"))),
        _ => ("", None),
    };
    let words = words(limit);
    let reset = limit.resets_at.filter(|_| limit.used > 0 || limit.kind == "quota");
    Card {
        title: words.title,
        used: grouped(limit.used),
        of: words.of,
        left: words.left,
        resets: if limit.kind == "rate" { "all of it" } else { "resets" },
        reset: reset.map(|at| reading.reset(at.0)),
        percent,
        class,
        state,
    }
}

struct Words {
    title: String,
    of: String,
    left: String,
}

fn words(limit: &LimitView) -> Words {
    let most = grouped(limit.limit);
    let left = format!("{} left", grouped(limit.remaining));
    match limit.kind {
        "rate" => Words {
            title: format!(
                "{} per {}",
                grouped(limit.requests.unwrap_or(limit.limit)),
                limit.per.unwrap_or("second")
            ),
            of: format!("of a burst of {most}"),
            left,
        },
        "concurrency" => Words {
            title: "In flight".to_owned(),
            of: format!("of {most}"),
            left: "streams count while they are open".to_owned(),
        },
        _ => Words { title: window(limit.per).to_owned(), of: format!("of {most}"), left },
    }
}

fn window(per: Option<&str>) -> &'static str {
    match per {
        Some("minute") => "This minute",
        Some("hour") => "This hour",
        Some("day") => "Today",
        Some("week") => "This week",
        Some("month") => "This month",
        _ => "Quota",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::view::Instant;
    use crate::domain::clock::UnixMillis;

    fn at(text: &str) -> UnixMillis {
        UnixMillis::parse_rfc3339(text).unwrap()
    }

    fn quota(used: u64, limit: u64) -> LimitView {
        LimitView {
            kind: "quota",
            per: Some("day"),
            requests: None,
            limit,
            used,
            remaining: limit.saturating_sub(used),
            resets_at: Some(Instant(at("2026-11-23T23:00:00Z"))),
        }
    }

    fn shown(limit: &LimitView) -> Card {
        card(limit, &Reading::new(at("2026-11-23T13:02:31Z"), None, &"Europe/Berlin".parse().unwrap()))
    }

    #[test]
    fn a_quota_says_what_is_left_and_when_it_resets_in_the_readers_zone() {
        let card = shown(&quota(84_210, 100_000));
        assert_eq!(
            (card.title.as_str(), card.used.as_str(), card.of.as_str()),
            ("Today", "84,210", "of 100,000")
        );
        assert_eq!(card.left, "15,790 left");
        let reset = card.reset.unwrap();
        assert_eq!(reset.words(), "in 9 h 57 min, at 00:00 CET");
        assert_eq!(reset.exact(), "2026-11-23 23:00:00 UTC");
    }

    #[test]
    fn a_limit_that_gets_close_or_is_used_up_says_so_in_words() {
        assert_eq!((shown(&quota(79, 100)).class, shown(&quota(79, 100)).state), ("", None));
        assert_eq!(
            (shown(&quota(80, 100)).class, shown(&quota(80, 100)).state),
            ("near", Some("80 % used".into()))
        );
        assert_eq!(
            (shown(&quota(100, 100)).class, shown(&quota(100, 100)).state),
            ("full", Some("Used up".into()))
        );
    }
}
