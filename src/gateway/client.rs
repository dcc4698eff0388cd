//! Whose request it is by address: the peer's, or what proxies that are trusted say.

use std::net::IpAddr;

use super::http1::field::{Field, Meaning, list};
use super::snapshot::Snapshot;
use crate::domain::network::nearest_untrusted;

/// The nearest address that is not a trusted proxy's.
pub(crate) fn client_address(snapshot: &Snapshot, peer: IpAddr, fields: &[Field<'_>]) -> IpAddr {
    let chains = fields.iter().rev().filter(|field| field.meaning == Meaning::ForwardedFor);
    let named = chains.flat_map(|field| list(field.value).collect::<Vec<_>>().into_iter().rev());
    nearest_untrusted(peer, named, |address| snapshot.trusts(address))
}
