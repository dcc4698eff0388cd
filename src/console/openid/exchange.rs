//! From the provider's answer to whom it vouches for: the code for tokens, the ID token verified (OpenID Connect Core
//! section 3.1.3.7).
//!
//! Promises that a token counts only if issuer, audience, signature, expiry, nonce and, where it is there, the hash of
//! the access token are right. Never accepts a token signed with the client's secret, or with nothing.

use openidconnect::core::{
    CoreIdToken, CoreIdTokenClaims, CoreIdTokenVerifier, CoreJwsSigningAlgorithm, CoreUserInfoClaims,
};
use openidconnect::{
    AccessToken, AccessTokenHash, AuthorizationCode, ClaimsVerificationError, Nonce, OAuth2TokenResponse,
    TokenResponse,
};

use super::failed::Failed;
use super::known::{Metadata, names_itself};
use super::pending::Pending;
use super::vouched::{Said, Vouched};
use super::{Client, Inner, Returned};

/// What may sign a token: keys of which the provider alone has the private half.
const ALGORITHMS: [CoreJwsSigningAlgorithm; 9] = [
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha256,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha384,
    CoreJwsSigningAlgorithm::RsaSsaPkcs1V15Sha512,
    CoreJwsSigningAlgorithm::RsaSsaPssSha256,
    CoreJwsSigningAlgorithm::RsaSsaPssSha384,
    CoreJwsSigningAlgorithm::RsaSsaPssSha512,
    CoreJwsSigningAlgorithm::EcdsaP256Sha256,
    CoreJwsSigningAlgorithm::EcdsaP384Sha384,
    CoreJwsSigningAlgorithm::EdDsa,
];

/// Why a token does not count, where the protocol's library does not say it.
#[derive(Debug, thiserror::Error)]
enum Wrong {
    #[error("no ID token")]
    NoIdToken,
    #[error("an ID token that was made for another client")]
    OtherParty,
    #[error("an ID token that goes with another access token")]
    OtherAccessToken,
}

/// Whom the provider vouches for with `returned`, the answer to `pending`.
pub(super) fn exchange(inner: &Inner, returned: Returned, pending: &Pending) -> Result<Vouched, Failed> {
    let metadata = inner.metadata()?;
    // Before the code is used: it goes to the provider that gave it, or nowhere (RFC 9207 section 2.4).
    match &returned.iss {
        Some(issuer) if *issuer != **inner.issuer => return Err(Failed::OtherProvider),
        None if names_itself(&metadata) => return Err(Failed::OtherProvider),
        Some(_) | None => {}
    }
    if let Some(error) = returned.error {
        let description = returned.error_description.unwrap_or_default();
        return Err(Failed::Declined(format!("{error}: {description}")));
    }
    let code = returned.code.ok_or_else(|| Failed::Declined("no code".into()))?;
    let client = inner.client(&metadata);
    let tokens = client
        .exchange_code(AuthorizationCode::new(code))
        .map_err(Failed::unreachable)?
        .set_pkce_verifier(pending.verifier())
        .request(&inner.fetch)
        .map_err(refused)?;
    let id_token = tokens.id_token().ok_or_else(|| Failed::unverified(Wrong::NoIdToken))?;
    let claims = verify(inner, &metadata, id_token, &pending.nonce(), tokens.access_token())?;
    let said = said(inner, &client, &claims, tokens.access_token())?;
    Ok(Vouched {
        issuer: inner.issuer.as_str().to_owned(),
        subject: claims.subject().as_str().to_owned(),
        email: said.email(&inner.allowed_domains)?,
        name: said.name,
    })
}

/// The claims of the token, verified. Where its signature fits to no key that is known, the provider's keys are asked
/// for anew, once: it may have changed them.
fn verify(
    inner: &Inner,
    metadata: &Metadata,
    token: &CoreIdToken,
    nonce: &Nonce,
    access_token: &AccessToken,
) -> Result<CoreIdTokenClaims, Failed> {
    let mut client = inner.client(metadata);
    let first = token.claims(&verifier(&client), nonce).err();
    if matches!(first, Some(ClaimsVerificationError::SignatureVerification(_))) {
        let metadata = inner.known.with_new_keys(metadata, &inner.fetch, &inner.clock)?;
        client = inner.client(&metadata);
    }
    let verifier = verifier(&client);
    let claims = token.claims(&verifier, nonce).map_err(Failed::unverified)?;
    bound(&client, &verifier, token, claims, access_token)?;
    Ok(claims.clone())
}

fn verifier(client: &Client) -> CoreIdTokenVerifier<'_> {
    client.id_token_verifier().set_allowed_algs(ALGORITHMS)
}

/// Whether the token is for this client and goes with the access token that came with it.
fn bound(
    client: &Client,
    verifier: &CoreIdTokenVerifier<'_>,
    token: &CoreIdToken,
    claims: &CoreIdTokenClaims,
    access_token: &AccessToken,
) -> Result<(), Failed> {
    if claims.authorized_party().is_some_and(|party| party.as_str() != client.client_id().as_str()) {
        return Err(Failed::unverified(Wrong::OtherParty));
    }
    if let Some(expected) = claims.access_token_hash() {
        let algorithm = token.signing_alg().map_err(Failed::unverified)?;
        let key = token.signing_key(verifier).map_err(Failed::unverified)?;
        let actual = AccessTokenHash::from_token(access_token, algorithm, key).map_err(Failed::unverified)?;
        if actual != *expected {
            return Err(Failed::unverified(Wrong::OtherAccessToken));
        }
    }
    Ok(())
}

/// What the provider says of the person: in the token or, where that names no address, at its endpoint for it.
fn said(
    inner: &Inner,
    client: &Client,
    claims: &CoreIdTokenClaims,
    access_token: &AccessToken,
) -> Result<Said, Failed> {
    let said = Said::of(claims.email(), claims.email_verified(), claims.name());
    if said.email.is_some() && said.verified.is_some() {
        return Ok(said);
    }
    // The library holds the answer to the subject of the token.
    let Ok(request) = client.user_info(access_token.clone(), Some(claims.subject().clone())) else {
        return Ok(said);
    };
    let person: CoreUserInfoClaims = request.request(&inner.fetch).map_err(Failed::unverified)?;
    Ok(Said::of(person.email(), person.email_verified(), person.name()))
}

/// Where a code buys nothing: the provider's word, or that it has none.
fn refused<R, T>(error: openidconnect::RequestTokenError<R, T>) -> Failed
where
    R: std::error::Error + Send + Sync + 'static,
    T: openidconnect::ErrorResponse + Send + Sync + 'static,
{
    match error {
        openidconnect::RequestTokenError::ServerResponse(response) => {
            Failed::Declined(format!("{response:?}"))
        }
        error @ (openidconnect::RequestTokenError::Request(_)
        | openidconnect::RequestTokenError::Parse(..)
        | openidconnect::RequestTokenError::Other(_)) => Failed::unreachable(error),
    }
}
