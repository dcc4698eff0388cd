//! A sign-in that is under way, as the browser carries it in a cookie.
//!
//! Holds what the provider's answer must fit to: state, nonce, PKCE verifier, and where the sign-in leads. It lies
//! with the browser alone, so that any number of consoles can answer and nobody can fill a memory here. The `__Host-`
//! prefix keeps other hosts from planting one. Promises that a value is good for ten minutes and, because it is taken
//! away when it is used and a code is good once, for one sign-in.

use std::time::Duration;

use cookie::{Cookie, SameSite};
use openidconnect::url::Url;
use openidconnect::{CsrfToken, Nonce, PkceCodeChallenge, PkceCodeVerifier};
use serde::{Deserialize, Serialize};

use super::failed::Failed;
use crate::console::pages::local;
use crate::domain::clock::UnixMillis;

/// How long somebody may take at the provider.
const LIFETIME: Duration = Duration::from_secs(600);
/// Bytes of randomness in state and nonce.
const RANDOM_BYTES: u32 = 32;
/// Longest address to go to that is carried along; longer ones become `/`.
const NEXT_BYTES_MAX: usize = 1_024;

/// The name of the cookie, and whether it is sent over `https` only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CookieName {
    name: Box<str>,
    is_secure: bool,
}

impl CookieName {
    /// For a console whose address for answers is `redirect`.
    pub(super) fn of(redirect: &Url) -> CookieName {
        if redirect.scheme() == "https" {
            return CookieName { name: "__Host-keystile-openid".into(), is_secure: true };
        }
        // Cookies do not tell ports apart: the name does, for consoles beside each other on one machine.
        let port = redirect.port_or_known_default().unwrap_or_default();
        CookieName { name: format!("keystile-openid-{port}").into(), is_secure: false }
    }

    /// As requests name it.
    pub(crate) fn as_str(&self) -> &str {
        &self.name
    }

    /// The field that takes the cookie away.
    pub(crate) fn removal(&self) -> String {
        self.with(String::new(), Duration::ZERO)
    }

    fn with(&self, value: String, lifetime: Duration) -> String {
        let seconds = i64::try_from(lifetime.as_secs()).unwrap_or(0);
        Cookie::build((&*self.name, value))
            .path("/")
            .http_only(true)
            .secure(self.is_secure)
            // Lax, not Strict: the provider's redirect has to bring it back.
            .same_site(SameSite::Lax)
            .max_age(cookie::time::Duration::seconds(seconds))
            .build()
            .to_string()
    }
}

/// A sign-in under way. Not shown in `Debug`: the verifier is a secret between this browser and the provider.
#[derive(Serialize, Deserialize)]
pub(super) struct Pending {
    state: String,
    nonce: String,
    verifier: String,
    at: u64,
    next: String,
}

impl Pending {
    /// A new one, and the challenge that its verifier answers.
    pub(super) fn new(next: &str, now: UnixMillis) -> (Pending, PkceCodeChallenge) {
        let (challenge, verifier) = PkceCodeChallenge::new_random_sha256();
        let next = if next.len() <= NEXT_BYTES_MAX { local(next) } else { "/" };
        let pending = Pending {
            state: CsrfToken::new_random_len(RANDOM_BYTES).into_secret(),
            nonce: Nonce::new_random_len(RANDOM_BYTES).secret().clone(),
            verifier: verifier.into_secret(),
            at: now.0,
            next: next.to_owned(),
        };
        (pending, challenge)
    }

    /// The one that the browser carries, if it is the one that the provider's answer belongs to.
    pub(super) fn read(
        carried: Option<&str>,
        state: Option<&str>,
        now: UnixMillis,
    ) -> Result<Pending, Failed> {
        let pending: Pending =
            carried.and_then(|carried| serde_html_form::from_str(carried).ok()).ok_or(Failed::NotBegun)?;
        let begun = UnixMillis(pending.at);
        let in_time = begun <= now && now <= begun.plus(LIFETIME);
        // Hashes compare in constant time. An empty state would fit to a cookie that says nothing.
        let fits = state.is_some_and(|state| {
            !state.is_empty() && blake3::hash(state.as_bytes()) == blake3::hash(pending.state.as_bytes())
        });
        if in_time && fits { Ok(pending) } else { Err(Failed::NotBegun) }
    }

    pub(super) fn state(&self) -> CsrfToken {
        CsrfToken::new(self.state.clone())
    }

    pub(super) fn nonce(&self) -> Nonce {
        Nonce::new(self.nonce.clone())
    }

    pub(super) fn verifier(&self) -> PkceCodeVerifier {
        PkceCodeVerifier::new(self.verifier.clone())
    }

    /// Where the sign-in leads.
    pub(super) fn into_next(self) -> String {
        local(&self.next).to_owned()
    }

    /// The field that gives it to the browser.
    pub(super) fn into_cookie(self, name: &CookieName) -> String {
        let value = serde_html_form::to_string(&self).unwrap_or_default();
        name.with(value, LIFETIME)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixMillis = UnixMillis(1_000_000);

    fn name(redirect: &str) -> CookieName {
        CookieName::of(&Url::parse(redirect).unwrap())
    }

    fn carried(next: &str) -> (String, String) {
        let (pending, _) = Pending::new(next, NOW);
        let state = pending.state.clone();
        let field = pending.into_cookie(&name("https://keys.example.com/back"));
        let (pair, attributes) = field.split_once(';').unwrap();
        for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/", "Max-Age=600"] {
            assert!(attributes.contains(attribute), "{attribute} in {attributes}");
        }
        (pair.strip_prefix("__Host-keystile-openid=").unwrap().to_owned(), state)
    }

    fn next_of(carried: &str, state: &str, now: UnixMillis) -> Option<String> {
        Pending::read(Some(carried), Some(state), now).ok().map(Pending::into_next)
    }

    #[test]
    fn an_answer_belongs_to_the_sign_in_that_this_browser_began_in_the_last_ten_minutes() {
        let (carried, state) = carried("/orgs/acme/keys?q=a b;c");
        assert_eq!(next_of(&carried, &state, NOW).as_deref(), Some("/"), "a space is in no address");
        let (carried, state) = self::carried("/orgs/acme/keys?q=a&b=\"c\";d");
        assert_eq!(next_of(&carried, &state, NOW).as_deref(), Some("/orgs/acme/keys?q=a&b=\"c\";d"));
        assert!(next_of(&carried, &state, NOW.plus(LIFETIME)).is_some());
        assert!(next_of(&carried, &state, NOW.plus(LIFETIME + Duration::from_millis(1))).is_none());
        assert!(next_of(&carried, &state, UnixMillis(NOW.0 - 1)).is_none());
        let (_, other) = self::carried("/");
        for wrong in [other.as_str(), "", &state[1..]] {
            assert!(next_of(&carried, wrong, NOW).is_none());
        }
        assert!(Pending::read(Some(&carried), None, NOW).is_err());
        assert!(Pending::read(None, Some(&state), NOW).is_err());
        assert!(next_of("state=&nonce=&verifier=&at=1000000&next=/", "", NOW).is_none());
    }

    #[test]
    fn a_sign_in_leads_to_no_other_site_whatever_the_cookie_says() {
        let planted = "state=s&nonce=n&verifier=v&at=1000000&next=https://evil.example";
        assert_eq!(next_of(planted, "s", NOW).as_deref(), Some("/"));
        let (carried, state) = carried("//evil.example");
        assert_eq!(next_of(&carried, &state, NOW).as_deref(), Some("/"));
    }

    #[test]
    fn plain_http_on_this_machine_gets_a_cookie_that_browsers_send_there() {
        let name = name("http://[::1]:8081/back");
        assert_eq!(name.as_str(), "keystile-openid-8081");
        assert!(!name.removal().contains("Secure") && name.removal().contains("Max-Age=0"));
    }
}
