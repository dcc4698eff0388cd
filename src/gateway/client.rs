//! Whose request it is by address: the peer's, or what proxies that are trusted say.

use std::net::IpAddr;

use super::http1::field::{Field, Meaning, list};
use super::snapshot::Snapshot;

/// The nearest address that is not a trusted proxy's, read from the right: whatever stands left of it is anybody's
/// word.
pub(crate) fn client_address(snapshot: &Snapshot, peer: IpAddr, fields: &[Field<'_>]) -> IpAddr {
    let mut client = peer.to_canonical();
    if !snapshot.trusts(client) {
        return client;
    }
    let chains = fields.iter().rev().filter(|field| field.meaning == Meaning::ForwardedFor);
    for element in chains.flat_map(|field| list(field.value).collect::<Vec<_>>().into_iter().rev()) {
        let Some(address) = std::str::from_utf8(element).ok().and_then(|text| text.parse::<IpAddr>().ok())
        else {
            return client;
        };
        client = address.to_canonical();
        if !snapshot.trusts(client) {
            return client;
        }
    }
    client
}
