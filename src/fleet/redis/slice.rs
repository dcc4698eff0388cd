//! How asks, answers and accounts of the ledger are written in Redis: whole numbers with spaces between them.
//!
//! Promises that what one side writes the other reads, and that anything else is an error. The Lua side stands in
//! `scripts/ledger.lua`.

use std::fmt::Write;
use std::str::{FromStr, SplitAsciiWhitespace};

use super::answer::strange;
use crate::domain::clock::UnixMillis;
use crate::domain::limit::Window;
use crate::fleet::hub::HubError;
use crate::limits::Span;
use crate::limits::slices::{
    AccountRecord, Floor, GatewayRecord, PlacesAnswer, QuotaAnswer, RateAnswer, RateRecord, SliceAnswer,
    SliceAsk, WindowRecord,
};

/// An ask, as the script reads it.
pub(super) fn written(ask: &SliceAsk) -> String {
    let mut text = format!(
        "{} {} {} {} {} {} {} {} {}",
        ask.gateway,
        ask.number,
        ask.epoch,
        u8::from(ask.first),
        ask.unrecorded,
        ask.lapse_ms,
        ask.gateways,
        ask.silent,
        ask.quotas.len()
    );
    let mut add = |numbers: &[u64]| {
        for number in numbers {
            // Writing into a string does not fail.
            let _ = write!(text, " {number}");
        }
    };
    for part in &ask.quotas {
        let window = u64::try_from(part.window.index()).unwrap_or(0);
        let span = part.span;
        add(&[window, span.start.0, span.end.0, part.limit, part.held, part.used, part.want]);
    }
    match &ask.rate {
        Some(part) => add(&[
            1,
            part.interval,
            part.per_us,
            part.burst,
            part.held,
            part.quiet_us,
            part.refilled,
            part.returned,
            part.want,
        ]),
        None => add(&[0]),
    }
    match &ask.places {
        Some(part) => add(&[1, part.limit.into(), part.held.into(), part.want.into()]),
        None => add(&[0]),
    }
    text
}

/// A floor, as the script reads it.
pub(super) fn written_floor(floor: &Floor) -> String {
    let mut text = floor.recent.to_string();
    for (window, span, admitted) in &floor.quotas {
        // Writing into a string does not fail.
        let _ = write!(text, " {} {} {admitted}", window.index(), span.start.0);
    }
    text
}

/// An answer of the script.
pub(super) fn read(text: &str) -> Result<SliceAnswer, HubError> {
    let mut words = Words(text.split_ascii_whitespace());
    let answer = match words.next::<u8>()? {
        0 => granted(&mut words)?,
        1 => SliceAnswer::Forgotten,
        2 => SliceAnswer::Late,
        3 => SliceAnswer::OtherEpoch(words.next()?),
        _ => return Err(strange()),
    };
    if words.0.next().is_some() {
        return Err(strange());
    }
    Ok(answer)
}

fn granted(words: &mut Words<'_>) -> Result<SliceAnswer, HubError> {
    let needs_floor = words.truth()?;
    let count = words.next::<usize>()?;
    if count > Window::ALL.len() {
        return Err(strange());
    }
    let mut quotas = Vec::with_capacity(count);
    for _ in 0..count {
        let span = words.span()?;
        quotas.push(QuotaAnswer {
            span,
            own: words.next()?,
            total: words.next()?,
            others_idle: words.next()?,
        });
    }
    let rate = match words.truth()? {
        true => Some(RateAnswer { own: words.next()?, left: words.next()?, wait_us: words.next()? }),
        false => None,
    };
    let places = match words.truth()? {
        true => Some(PlacesAnswer { own: words.next()?, total: words.next()? }),
        false => None,
    };
    Ok(SliceAnswer::Granted { quotas, rate, places, needs_floor })
}

/// Takes one field of an account in.
pub(super) fn read_field(account: &mut AccountRecord, field: &str, value: &str) -> Result<(), HubError> {
    let (kind, rest) = field.split_at_checked(1).ok_or_else(strange)?;
    let mut words = Words(value.split_ascii_whitespace());
    match kind {
        "e" => account.epoch = words.next()?,
        "u" => account.unrecorded = words.next()?,
        "n" => account.recent = Some(words.next()?),
        "q" => {
            let place = window_place(&mut account.windows, rest)?;
            let span = words.span()?;
            let (total, stranded) = (words.next()?, words.next()?);
            *place = Some(WindowRecord { span, total, stranded, known: words.truth()? });
        }
        "f" => *window_place(&mut account.floors, rest)? = Some((words.next()?, words.next()?)),
        "r" => {
            account.rate = Some(RateRecord {
                interval: words.next::<u64>()?.max(1),
                per_us: words.next::<u64>()?.max(1),
                burst: words.next()?,
                level: words.next()?,
                at_us: words.next()?,
                withheld: words.next()?,
                known: words.truth()?,
            });
        }
        "g" => {
            let mut gateway = GatewayRecord {
                number: words.next()?,
                at_us: words.next()?,
                lapse_ms: words.next()?,
                tokens: words.next()?,
                places: words.next()?,
                windows: [(0, 0, 0); 5],
                answer: SliceAnswer::Late,
            };
            for window in &mut gateway.windows {
                *window = (words.next()?, words.next()?, words.next()?);
            }
            account.gateways.insert(rest.parse().map_err(|_| strange())?, gateway);
        }
        // Answers are for those who asked.
        "a" => {}
        _ => return Err(strange()),
    }
    Ok(())
}

fn window_place<'a, T>(places: &'a mut [T; 5], number: &str) -> Result<&'a mut T, HubError> {
    let number: usize = number.parse().map_err(|_| strange())?;
    places.get_mut(number).ok_or_else(strange)
}

struct Words<'a>(SplitAsciiWhitespace<'a>);

impl Words<'_> {
    fn next<T: FromStr>(&mut self) -> Result<T, HubError> {
        self.0.next().and_then(|word| word.parse().ok()).ok_or_else(strange)
    }

    fn truth(&mut self) -> Result<bool, HubError> {
        Ok(self.next::<u8>()? == 1)
    }

    fn span(&mut self) -> Result<Span, HubError> {
        Ok(Span { start: UnixMillis(self.next()?), end: UnixMillis(self.next()?) })
    }
}
