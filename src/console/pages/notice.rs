//! What a page says about the change that led to it.
//!
//! Promises that an address can choose among these sentences and their numbers, and put no words of its own into a page:
//! names of gateways are shown only where this process has sealed them. And that nothing is said to have been done where
//! somebody only followed a link: the request must come from a page of this console (Fetch Metadata, section 2.3:
//! `Sec-Fetch-Site: same-origin`), as redirects of its forms do.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;

use super::form::Asked;
use super::time::{Reading, Stamp};
use crate::console::view::{RevocationState, RevocationView};
use crate::domain::clock::UnixMillis;

mod seal;

/// Names that are told; of the others only how many they are.
const NAMES_MAX: usize = 3;
/// Characters of a name that are shown: what gateways call themselves is not ours to trust.
const NAME_CHARS_MAX: usize = 64;
/// Said where nothing can be promised about when gateways learn of a deletion.
const UNTOLD: &str = "The deletion is on record. Gateways have not been told yet because Redis does not answer; they \
    will be as soon as it does.";

/// What the page has to say, from the query of a request that came from this console.
pub(crate) struct Told(pub(crate) Option<Notice>);

impl<S: Send + Sync> FromRequestParts<S> for Told {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Told, Infallible> {
        if parts.headers.get("sec-fetch-site").is_none_or(|site| site != "same-origin") {
            return Ok(Told(None));
        }
        let Asked(query) = Asked::<NoticeQuery>::from_request_parts(parts, state).await?;
        Ok(Told(query.notice()))
    }
}

/// How a notice looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tone {
    /// It is done.
    Done,
    /// Part of it is still under way.
    Waiting,
}

/// What is said of what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    said: Said,
    tone: Tone,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Said {
    /// The same for everybody.
    Sentence(String),
    /// Who is awaited, and until when, which everybody reads in a zone of their own.
    Awaited { head: String, awaited: Awaited },
}

/// A part of a notice, as a page writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    /// Words of this module.
    Words(String),
    /// A name that somebody else chose.
    Name(String),
    /// An instant.
    At(Stamp),
}

/// Gateways that have not confirmed a revocation.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Awaited {
    /// The names of the first of them.
    names: Vec<String>,
    /// How many others there are.
    more: u32,
    /// From when on none of them can accept the keys.
    until: UnixMillis,
    /// Whether it is about several keys.
    are_many: bool,
}

/// The part of a query that chooses a notice. Flattened into nothing: pages read it beside their own query.
#[derive(Debug, Clone, Default, Deserialize)]
struct NoticeQuery {
    /// Which sentence.
    done: Option<Done>,
    /// Gateways that confirmed a revocation.
    confirmed: Option<u32>,
    /// Gateways that had to.
    gateways: Option<u32>,
    /// How long it took.
    ms: Option<u64>,
    /// Those that did not confirm: [`Awaited`], sealed.
    #[serde(default)]
    awaiting: Vec<String>,
    #[serde(default)]
    more: u32,
    until: Option<u64>,
    #[serde(default)]
    many: bool,
    seal: Option<String>,
}

/// Sentences without numbers. The address spells them in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    /// A key, or what had keys, is gone.
    Revoked,
    /// It is gone from the records, and gateways do not know yet.
    Recorded,
    /// A record was changed.
    Saved,
    /// A record was made.
    Created,
    /// A record without keys is gone.
    Deleted,
    /// A member has no place any more.
    Removed,
    /// The person has a new password.
    PasswordChanged,
    /// Sessions ended.
    SessionsEnded,
}

impl NoticeQuery {
    /// The notice that the query chooses.
    fn notice(self) -> Option<Notice> {
        let text = match self.done? {
            Done::Revoked => return self.revoked(),
            Done::Recorded => return Some(Notice::waiting(UNTOLD.to_owned())),
            Done::Saved => "Saved.",
            Done::Created => "Created.",
            Done::Deleted => "Deleted.",
            Done::Removed => "Removed.",
            Done::PasswordChanged => "Password changed. Every other session of yours has ended.",
            Done::SessionsEnded => "Signed out there.",
        };
        Some(Notice::done(text.to_owned()))
    }

    fn revoked(self) -> Option<Notice> {
        let (confirmed, gateways, ms) = (self.confirmed?, self.gateways?, self.ms?);
        let awaited = self.awaited();
        if confirmed >= gateways && awaited.is_none() {
            return Some(Notice::done(match gateways {
                0 => "Revoked. No gateway is registered.".to_owned(),
                _ => format!("Revoked on {confirmed} of {gateways} gateways in {ms} ms."),
            }));
        }
        let head = format!("Revoked on {confirmed} of {gateways} gateways. ");
        Some(match awaited {
            Some(awaited) => Notice { said: Said::Awaited { head, awaited }, tone: Tone::Waiting },
            None => Notice::waiting(format!("{head}The others have not confirmed.")),
        })
    }

    /// Who is awaited, where this process said so.
    fn awaited(self) -> Option<Awaited> {
        let until = UnixMillis(self.until?);
        let awaited = Awaited { names: self.awaiting, more: self.more, until, are_many: self.many };
        (self.seal? == seal::of(&awaited)?).then_some(awaited)
    }
}

/// The query that says how far a revocation got: of one key, or of several.
pub(crate) fn revoked(revocation: &RevocationView, are_many: bool) -> String {
    let (confirmed, gateways, ms) = (revocation.confirmed, revocation.gateways, revocation.took_ms);
    let numbers = format!("done=revoked&confirmed={confirmed}&gateways={gateways}&ms={ms}");
    match (revocation.state, revocation.effective_by) {
        (RevocationState::Complete, _) => numbers,
        (RevocationState::Pending, None) => "done=recorded".to_owned(),
        (RevocationState::Pending, Some(until)) => {
            let names: Vec<String> =
                revocation.awaiting.iter().take(NAMES_MAX).map(|name| shortened(name)).collect();
            let more = revocation.awaiting.len().saturating_sub(NAMES_MAX);
            let more = u32::try_from(more).unwrap_or(u32::MAX);
            let awaited = Awaited { names, more, until: until.0, are_many };
            format!("{numbers}&{}", awaited.query())
        }
    }
}

/// A name of which nobody knows how long it is.
fn shortened(name: &str) -> String {
    match name.char_indices().nth(NAME_CHARS_MAX) {
        Some((end, _)) => format!("{}…", name.get(..end).unwrap_or_default()),
        None => name.to_owned(),
    }
}

impl Awaited {
    fn query(&self) -> String {
        let mut fields: Vec<(&str, String)> =
            self.names.iter().map(|name| ("awaiting", name.clone())).collect();
        fields.push(("more", self.more.to_string()));
        fields.push(("until", self.until.0.to_string()));
        fields.push(("many", self.are_many.to_string()));
        fields.extend(seal::of(self).map(|seal| ("seal", seal)));
        // Pairs of text, which cannot fail.
        serde_html_form::to_string(fields).unwrap_or_default()
    }

    /// "gw-1, gw-2 and 7 more have not confirmed; they cannot accept the key after 14:02:31 CET."
    fn pieces(&self, reading: &Reading) -> Vec<Piece> {
        let words = |text: &str| Piece::Words(text.to_owned());
        let count = self.names.len();
        let mut pieces = Vec::new();
        for (at, name) in self.names.iter().enumerate() {
            if at > 0 {
                pieces.push(words(if at + 1 == count && self.more == 0 { " and " } else { ", " }));
            }
            pieces.push(Piece::Name(name.clone()));
        }
        let is_one = count == 1 && self.more == 0;
        let (verb, they) = if is_one { ("has", "it") } else { ("have", "they") };
        let keys = if self.are_many { "the keys" } else { "the key" };
        let is_over = self.until <= reading.now();
        pieces.push(match (count, self.more) {
            (0, _) => words("Not every gateway has confirmed"),
            (_, 0) => Piece::Words(format!(" {verb} not confirmed")),
            (_, more) => Piece::Words(format!(" and {more} more have not confirmed")),
        });
        pieces.push(Piece::Words(match (count, is_over) {
            (0, false) => format!("; none can accept {keys} after "),
            (0, true) => format!("; none has been able to accept {keys} since "),
            (_, false) => format!("; {they} cannot accept {keys} after "),
            (_, true) => format!("; {they} {verb} not been able to accept {keys} since "),
        }));
        pieces.push(Piece::At(reading.moment(self.until)));
        pieces.push(words("."));
        pieces
    }
}

impl Notice {
    fn done(text: String) -> Notice {
        Notice { said: Said::Sentence(text), tone: Tone::Done }
    }

    fn waiting(text: String) -> Notice {
        Notice { said: Said::Sentence(text), tone: Tone::Waiting }
    }

    /// What it says, in order, as somebody reads it.
    pub(crate) fn pieces(&self, reading: &Reading) -> Vec<Piece> {
        match &self.said {
            Said::Sentence(text) => vec![Piece::Words(text.clone())],
            Said::Awaited { head, awaited } => {
                let mut pieces = vec![Piece::Words(head.clone())];
                pieces.extend(awaited.pieces(reading));
                pieces
            }
        }
    }

    /// Its class.
    pub(crate) fn tone(&self) -> &'static str {
        match self.tone {
            Tone::Done => "done",
            Tone::Waiting => "wait",
        }
    }

    /// The parameters that chose it, which script takes out of the address.
    pub(crate) fn params(&self) -> &'static str {
        "done confirmed gateways ms awaiting more until many seal"
    }
}

#[cfg(test)]
mod tests;
