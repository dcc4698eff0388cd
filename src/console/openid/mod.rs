//! Sign-in with a company account: OpenID Connect, authorization code flow with PKCE (S256), state and nonce.
//!
//! Owns what is said between this console and the provider. Promises that whoever is vouched for was vouched for by
//! the configured provider, to this console, for this browser, just now, with a verified e-mail address of an allowed
//! domain. Keeps nothing of a sign-in that is under way: the browser does. Never decides who may come in: operations do.

mod exchange;
mod failed;
mod fetch;
mod known;
mod pending;
mod vouched;

use std::sync::Arc;
use std::time::Duration;

use openidconnect::core::{CoreAuthenticationFlow, CoreClient, CoreClientAuthMethod};
use openidconnect::{AuthType, ClientId, ClientSecret, IssuerUrl, RedirectUrl, Scope};
use serde::Deserialize;
use tokio::sync::Semaphore;

use crate::config::OpenId;
use crate::domain::clock::Clock;

pub(crate) use failed::Failed;
use fetch::Fetch;
use known::{Known, Metadata};
pub(crate) use pending::CookieName;
use pending::Pending;
pub(crate) use vouched::Vouched;

/// Where the provider sends people back to.
pub(crate) const CALLBACK: &str = "/sign-in/openid/callback";
/// Most sign-ins that wait for the provider's answers at once; each holds a thread.
const EXCHANGES_MAX: usize = 8;
/// How long one waits to be among them.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(5);

/// The settings are no provider's.
#[derive(Debug, thiserror::Error)]
#[error("console.openid: {0}")]
pub struct InvalidProvider(#[from] openidconnect::url::ParseError);

/// The provider that vouches for people. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Provider(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    issuer: IssuerUrl,
    client_id: ClientId,
    client_secret: ClientSecret,
    redirect: RedirectUrl,
    allowed_domains: Vec<String>,
    cookie: CookieName,
    fetch: Fetch,
    known: Known,
    exchanges: Arc<Semaphore>,
    clock: Clock,
}

/// A sign-in that begins: where the browser goes, and the cookie it takes along.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) location: String,
    pub(crate) cookie: String,
}

/// What the provider says of a sign-in, in the address that it sends the browser to (RFC 6749 section 4.1.2, RFC 9207).
#[derive(Debug, Default, Deserialize)]
pub(crate) struct Returned {
    pub(crate) code: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) iss: Option<String>,
    pub(crate) error: Option<String>,
    pub(crate) error_description: Option<String>,
}

impl Provider {
    /// The provider of `settings`, for a console that people reach under `public_url`. Asks nobody anything.
    ///
    /// # Errors
    /// Where a URL of the settings is none. What configuration accepts is one.
    pub fn new(settings: &OpenId, public_url: &str, clock: Clock) -> Result<Provider, InvalidProvider> {
        let redirect = RedirectUrl::new(format!("{public_url}{CALLBACK}"))?;
        Ok(Provider(Arc::new(Inner {
            issuer: IssuerUrl::new(settings.issuer.clone())?,
            client_id: ClientId::new(settings.client_id.clone()),
            client_secret: ClientSecret::new(settings.client_secret.expose().to_owned()),
            cookie: CookieName::of(redirect.url()),
            redirect,
            allowed_domains: settings.allowed_domains.clone(),
            fetch: Fetch::new(),
            known: Known::default(),
            exchanges: Arc::new(Semaphore::new(EXCHANGES_MAX)),
            clock,
        })))
    }

    /// The cookie of a sign-in that is under way.
    pub(crate) fn cookie(&self) -> &CookieName {
        &self.0.cookie
    }

    /// Begins a sign-in that leads to `next`, an address of ours.
    ///
    /// # Errors
    /// Where the provider cannot be asked where it signs people in.
    pub(crate) async fn begin(&self, next: &str) -> Result<Begun, Failed> {
        let inner = &self.0;
        let metadata = match inner.known.fresh(&inner.clock) {
            Some(metadata) => metadata,
            None => self.blocking(Inner::metadata).await?,
        };
        let (pending, challenge) = Pending::new(next, inner.clock.now().unix);
        let (state, nonce) = (pending.state(), pending.nonce());
        let (location, _, _) = inner
            .client(&metadata)
            .authorize_url(CoreAuthenticationFlow::AuthorizationCode, move || state, move || nonce)
            .add_scope(Scope::new("email".into()))
            .add_scope(Scope::new("profile".into()))
            .set_pkce_challenge(challenge)
            .url();
        Ok(Begun { location: location.into(), cookie: pending.into_cookie(&inner.cookie) })
    }

    /// Ends a sign-in: `carried` is what the browser's cookie says. Gives whom the provider vouches for, and where
    /// the sign-in was to lead.
    ///
    /// # Errors
    /// Where the answer is not to a sign-in that this browser began, or the provider vouches for nobody that may
    /// come in.
    pub(crate) async fn finish(
        &self,
        returned: Returned,
        carried: Option<&str>,
    ) -> Result<(Vouched, String), Failed> {
        let pending = Pending::read(carried, returned.state.as_deref(), self.0.clock.now().unix)?;
        self.blocking(move |inner| {
            let vouched = exchange::exchange(inner, returned, &pending)?;
            Ok((vouched, pending.into_next()))
        })
        .await
    }

    /// Runs what asks the provider on a thread that may wait, of which there is a bounded number.
    async fn blocking<T: Send + 'static>(
        &self,
        ask: impl FnOnce(&Inner) -> Result<T, Failed> + Send + 'static,
    ) -> Result<T, Failed> {
        let permit = tokio::time::timeout(QUEUE_TIMEOUT, Arc::clone(&self.0.exchanges).acquire_owned());
        let permit = permit.await.map_err(|_| Failed::Busy)?;
        let inner = Arc::clone(&self.0);
        let asked = tokio::task::spawn_blocking(move || {
            let _held_until_answered = permit;
            ask(&inner)
        });
        asked.await.unwrap_or(Err(Failed::Interrupted))
    }
}

/// The client as the protocol's library has it, with every address that is needed.
type Client = CoreClient<
    openidconnect::EndpointSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointNotSet,
    openidconnect::EndpointMaybeSet,
    openidconnect::EndpointMaybeSet,
>;

impl Inner {
    fn metadata(&self) -> Result<Arc<Metadata>, Failed> {
        self.known.metadata(&self.issuer, &self.fetch, &self.clock)
    }

    fn client(&self, metadata: &Metadata) -> Client {
        // Basic authentication unless the provider says that it knows only the other (RFC 8414 section 2).
        let methods = metadata.token_endpoint_auth_methods_supported();
        let by_body = methods.is_some_and(|methods| {
            methods.contains(&CoreClientAuthMethod::ClientSecretPost)
                && !methods.contains(&CoreClientAuthMethod::ClientSecretBasic)
        });
        CoreClient::from_provider_metadata(
            metadata.clone(),
            self.client_id.clone(),
            Some(self.client_secret.clone()),
        )
        .set_redirect_uri(self.redirect.clone())
        .set_auth_type(if by_body { AuthType::RequestBody } else { AuthType::BasicAuth })
    }
}
