//! What a page says about the change that led to it.
//!
//! Promises that an address can choose among these sentences and their numbers, and put no words of its own into a page;
//! and that nothing is said to have been done where somebody only followed a link: the request must come from a page of
//! this console (Fetch Metadata, section 2.3: `Sec-Fetch-Site: same-origin`), as redirects of its forms do.

use std::convert::Infallible;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use serde::Deserialize;

use super::form::Asked;

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

/// One sentence about what was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Notice {
    text: String,
    tone: Tone,
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
}

/// Sentences without numbers. The address spells them in kebab case.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Done {
    /// A key, or what had keys, is gone.
    Revoked,
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
    fn notice(&self) -> Option<Notice> {
        let text = match self.done? {
            Done::Revoked => return self.revoked(),
            Done::Saved => "Saved.",
            Done::Created => "Created.",
            Done::Deleted => "Deleted.",
            Done::Removed => "Removed.",
            Done::PasswordChanged => "Password changed. Every other session of yours has ended.",
            Done::SessionsEnded => "Signed out there.",
        };
        Some(Notice { text: text.to_owned(), tone: Tone::Done })
    }

    fn revoked(&self) -> Option<Notice> {
        let (confirmed, gateways, ms) = (self.confirmed?, self.gateways?, self.ms?);

        let head = format!("Revoked on {confirmed} of {gateways} gateways in {ms} ms.");
        Some(if confirmed < gateways {
            let text = format!("{head} The others refuse the key as soon as they answer again.");
            Notice { text, tone: Tone::Waiting }
        } else {
            Notice { text: head, tone: Tone::Done }
        })
    }
}

/// The query that says how far a revocation got.
pub(crate) fn revoked(revocation: &crate::console::view::RevocationView) -> String {
    let (confirmed, gateways, ms) = (revocation.confirmed, revocation.gateways, revocation.took_ms);
    format!("done=revoked&confirmed={confirmed}&gateways={gateways}&ms={ms}")
}

impl Notice {
    /// The sentence.
    pub(crate) fn text(&self) -> &str {
        &self.text
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
        "done confirmed gateways ms"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_revocation_says_what_is_true_and_an_address_cannot_add_words() {
        let said = |query: &str| {
            serde_html_form::from_str::<NoticeQuery>(query)
                .ok()
                .and_then(|query| query.notice())
                .map(|n| n.text)
        };
        let all = "done=revoked&confirmed=1&gateways=1&ms=3";
        assert_eq!(said(all).as_deref(), Some("Revoked on 1 of 1 gateways in 3 ms."));
        assert!(said("done=revoked&confirmed=1&gateways=3&ms=3").unwrap().contains("1 of 3 gateways"));
        for bad in ["done=call-us-now", "done=revoked&confirmed=x&gateways=1&ms=3", "done=revoked", ""] {
            assert_eq!(said(bad), None, "{bad}");
        }
    }
}
