//! What is known of the provider: its discovery document and its keys.
//!
//! Promises to ask when first needed, so that a console starts without its provider, and to ask anew after an hour or
//! when a signature needs a key that is not here. Never uses what is older.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use openidconnect::core::{
    CoreAuthDisplay, CoreClaimName, CoreClaimType, CoreClientAuthMethod, CoreGrantType, CoreJsonWebKey,
    CoreJweContentEncryptionAlgorithm, CoreJweKeyManagementAlgorithm, CoreResponseMode, CoreResponseType,
    CoreSubjectIdentifierType,
};
use openidconnect::{AdditionalProviderMetadata, IssuerUrl, JsonWebKeySet, ProviderMetadata};
use serde::{Deserialize, Serialize};

use super::failed::Failed;
use super::fetch::Fetch;
use crate::domain::clock::{Clock, Moment};

/// How long what the provider said holds: a provider that moves is followed within it.
const AGE_MAX: Duration = Duration::from_secs(3_600);

/// What discovery documents say besides.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Besides {
    /// Whether every answer names the provider (RFC 9207 section 3).
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

impl AdditionalProviderMetadata for Besides {}

/// A discovery document, with the keys that it leads to.
pub(super) type Metadata = ProviderMetadata<
    Besides,
    CoreAuthDisplay,
    CoreClientAuthMethod,
    CoreClaimName,
    CoreClaimType,
    CoreGrantType,
    CoreJweContentEncryptionAlgorithm,
    CoreJweKeyManagementAlgorithm,
    CoreJsonWebKey,
    CoreResponseMode,
    CoreResponseType,
    CoreSubjectIdentifierType,
>;

/// Whether the provider promises to name itself in each answer.
pub(super) fn names_itself(metadata: &Metadata) -> bool {
    metadata.additional_metadata().authorization_response_iss_parameter_supported
}

/// What the provider said last, and when.
#[derive(Debug, Default)]
pub(super) struct Known(ArcSwapOption<(Arc<Metadata>, Moment)>);

impl Known {
    /// What the provider said of itself not long ago.
    pub(super) fn fresh(&self, clock: &Clock) -> Option<Arc<Metadata>> {
        let known = self.0.load_full()?;
        let age_ns = u128::from(clock.now().nanos_since(known.1));
        (age_ns < AGE_MAX.as_nanos()).then(|| Arc::clone(&known.0))
    }

    /// What the provider says of itself. Waits where it has to be asked.
    pub(super) fn metadata(
        &self,
        issuer: &IssuerUrl,
        fetch: &Fetch,
        clock: &Clock,
    ) -> Result<Arc<Metadata>, Failed> {
        if let Some(metadata) = self.fresh(clock) {
            return Ok(metadata);
        }
        let now = clock.now();
        let metadata = Metadata::discover(issuer, fetch).map_err(Failed::unreachable)?;
        Ok(self.keep(metadata, now))
    }

    /// The same with the keys that the provider has now: it may have changed them since.
    pub(super) fn with_new_keys(
        &self,
        metadata: &Metadata,
        fetch: &Fetch,
        clock: &Clock,
    ) -> Result<Arc<Metadata>, Failed> {
        let keys = JsonWebKeySet::fetch(metadata.jwks_uri(), fetch).map_err(Failed::unreachable)?;
        Ok(self.keep(metadata.clone().set_jwks(keys), clock.now()))
    }

    fn keep(&self, metadata: Metadata, at: Moment) -> Arc<Metadata> {
        let metadata = Arc::new(metadata);
        self.0.store(Some(Arc::new((Arc::clone(&metadata), at))));
        metadata
    }
}
