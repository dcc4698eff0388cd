//! `/gateways`: which gateways there are and how far each is, for operators.
//!
//! Promises the facts of the API in words, none by colour alone. What gateways call themselves stays text. The page keeps
//! itself up to date with script; without, a reload does.

use std::sync::Arc;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::chart::{counted, grouped};
use super::failure::Failure;
use super::page;
use super::shell::{Place, Shell};
use super::time::{Reading, Stamp, span_words};
use crate::console::operations::Operations;
use crate::console::session::Visitor;
use crate::console::view::{FeedState, FeedView, GatewayState, GatewayView, GatewaysView, TrustView};
use crate::console::{Shared, Site};

/// Stands where there is nothing to tell.
const NOTHING: &str = "–";

/// The page of gateways.
pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/gateways", get(show))
}

#[derive(Template)]
#[template(config = "src/console/templates/askama.toml", path = "gateways.html")]
struct GatewaysPage {
    shell: Shell,
    as_of: Stamp,
    summary: String,
    /// Whether there is a feed to follow; without one most columns have nothing to tell.
    is_fleet: bool,
    rows: Vec<Row>,
}

struct Row {
    name: String,
    address: String,
    state: Standing,
    applied: String,
    /// How far that is behind.
    lag: Option<String>,
    trust: &'static str,
    goes_on: Option<String>,
    version: String,
    /// Where its version is not the console's: that one.
    console: Option<String>,
    generation: Option<u64>,
    holds: String,
}

/// How a gateway stands: a shape, a word, and what that means for it.
struct Standing {
    class: &'static str,
    words: String,
    more: Option<&'static str>,
    at: Option<Stamp>,
}

async fn show(
    State(operations): State<Operations>,
    State(site): State<Arc<Site>>,
    Visitor(visitor): Visitor,
) -> Result<Response, Failure> {
    let caller = &visitor.caller;
    let gateways = operations.gateways(caller).await?;
    let shell = Shell::read(&operations, caller, None, Place::Gateways).await?;
    Ok(page(StatusCode::OK, &GatewaysPage::new(shell, &gateways, &site.gateway_url)))
}

impl GatewaysPage {
    /// The page of `gateways`; `own_address` is where programs reach the gateway of this process.
    fn new(shell: Shell, gateways: &GatewaysView, own_address: &str) -> GatewaysPage {
        // Everything on the page is as of the instant that gateways were looked at.
        let reading = shell.reading.at(gateways.as_of.0);
        let reader = Reader { reading: &reading, gateways, own_address };
        GatewaysPage {
            as_of: reading.clock(gateways.as_of.0),
            summary: summary(gateways),
            is_fleet: gateways.feed.is_some(),
            rows: gateways.items.iter().map(|gateway| reader.row(gateway)).collect(),
            shell,
        }
    }
}

/// How all of them stand, in a sentence or two.
fn summary(gateways: &GatewaysView) -> String {
    let Some(FeedView { state, sequence, .. }) = gateways.feed else {
        return "There is no fleet: gateway and console are this one process, and a change holds on the gateway when it \
                is answered."
            .to_owned();
    };
    match (state, sequence) {
        (FeedState::Unreachable, _) => "Redis does not answer this console. These are the gateways on record; how they \
                                        stand cannot be seen from here."
            .to_owned(),
        (FeedState::Renewing, _) | (FeedState::Current, None) => {
            "What Redis holds has to be written anew by a console. Gateways go on with the keys that they have.".to_owned()
        }
        (FeedState::Current, Some(last)) if gateways.gateways == 0 => {
            format!("No gateway follows the feed; the last change is {}.", grouped(last))
        }
        (FeedState::Current, Some(last)) => {
            let (serving, all) = (u64::from(gateways.serving), u64::from(gateways.gateways));
            let follow = if serving == 1 { "follows" } else { "follow" };
            let all = counted(all, "gateway", "gateways");
            format!("{serving} of {all} {follow} the feed; the last change is {}.", grouped(last))
        }
    }
}

/// Whoever looks at the gateways.
struct Reader<'a> {
    reading: &'a Reading,
    gateways: &'a GatewaysView,
    /// Where programs reach the gateway of this process.
    own_address: &'a str,
}

impl Reader<'_> {
    fn row(&self, gateway: &GatewayView) -> Row {
        let is_loading = gateway.state == GatewayState::Loading;
        let is_over = gateway.state == GatewayState::Over;
        Row {
            name: gateway.name.clone(),
            address: gateway.address.clone().unwrap_or_else(|| self.own_address.to_owned()),
            state: self.standing(gateway),
            applied: gateway.applied.map_or(NOTHING.to_owned(), grouped),
            lag: gateway.lag.map(|lag| match lag {
                0 => "in step".to_owned(),
                lag => format!("{} behind", grouped(lag)),
            }),
            trust: match gateway.trust {
                Some(TrustView::Fresh) => "Fresh",
                Some(TrustView::OutOfTouch) => "Out of touch",
                None if is_loading => NOTHING,
                None => "Not known",
            },
            // Nothing goes on that has not begun, or is over.
            goes_on: gateway.goes_on_ms.filter(|_| !is_loading && !is_over).map(span_words),
            console: (gateway.version != self.gateways.version).then(|| self.gateways.version.clone()),
            version: gateway.version.clone(),
            generation: gateway.generation,
            holds: gateway.outstanding.map_or(NOTHING.to_owned(), grouped),
        }
    }

    fn standing(&self, gateway: &GatewayView) -> Standing {
        let plain = |class: &'static str, words: &str, more: Option<&'static str>| Standing {
            class,
            words: words.to_owned(),
            more,
            at: None,
        };
        let until = gateway.may_admit_until.map(|until| self.reading.moment(until.0));
        let may_go_on = until.is_some().then_some("may go on until");
        match gateway.state {
            GatewayState::Serving => plain("", "Serving", None),
            GatewayState::Loading => plain("off", "Loading", Some("admits nothing yet")),
            GatewayState::Behind => plain("wait", "Behind", self.why_behind(gateway)),
            GatewayState::Silent => {
                let silent_ms = self.gateways.as_of.0.0.saturating_sub(gateway.seen_at.0.0);
                let words = format!("Silent for {}", span_words(silent_ms));
                Standing { class: "silent", words, more: may_go_on, at: until }
            }
            GatewayState::Missing => {
                Standing { more: may_go_on, at: until, ..plain("missing", "Not seen", None) }
            }
            GatewayState::Over => Standing {
                at: Some(self.reading.relative(gateway.seen_at.0)),
                ..plain("over", "Stopped", Some("last sign"))
            },
        }
    }

    /// Why one is behind, where that is no number of changes.
    fn why_behind(&self, gateway: &GatewayView) -> Option<&'static str> {
        match (gateway.lag, self.gateways.feed.map(|feed| feed.state)) {
            (Some(_), _) => None,
            (None, Some(FeedState::Current)) => Some("has not loaded the present table"),
            (None, _) => Some("waits for the feed"),
        }
    }
}

#[cfg(test)]
mod tests;
