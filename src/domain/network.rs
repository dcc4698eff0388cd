//! IP networks, as `trusted_proxies` lists them.

use std::net::IpAddr;

/// A network: an address and how many of its leading bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Network {
    address: IpAddr,
    prefix_bits: u8,
}

impl Network {
    /// The network of the addresses that share the first `prefix_bits` bits of `address`: up to 32 for IPv4, 128 for
    /// IPv6. `None` for more.
    pub fn new(address: IpAddr, prefix_bits: u8) -> Option<Network> {
        let bits_max = if address.is_ipv4() { 32 } else { 128 };
        (prefix_bits <= bits_max).then_some(Network { address, prefix_bits })
    }

    /// Whether `address` lies in it. An IPv4 address in IPv6 notation (`::ffff:10.0.0.1`) is the IPv4 address.
    pub fn contains(&self, address: IpAddr) -> bool {
        let (own, own_width) = bits(self.address.to_canonical());
        let (other, other_width) = bits(address.to_canonical());
        own_width == other_width
            && masked(own, own_width, self.prefix_bits) == masked(other, own_width, self.prefix_bits)
    }

    /// Its first address.
    pub fn first(&self) -> IpAddr {
        let (own, width) = bits(self.address);
        let first = masked(own, width, self.prefix_bits);
        match self.address {
            IpAddr::V4(_) => IpAddr::V4(u32::try_from(first).unwrap_or(0).into()),
            IpAddr::V6(_) => IpAddr::V6(first.into()),
        }
    }
}

/// Whose request it is by address: the nearest one that `trusts` does not know for a proxy, read from the right;
/// whatever stands left of it is anybody's word. `named` are the elements of `x-forwarded-for`, the last one first.
pub fn nearest_untrusted<'a>(
    peer: IpAddr,
    mut named: impl Iterator<Item = &'a [u8]>,
    trusts: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let mut client = peer.to_canonical();
    // The question comes before the element: where the peer is nobody's proxy, the field is not even taken apart.
    while trusts(client) {
        let text = named.next().and_then(|element| std::str::from_utf8(element).ok());
        let Some(address) = text.and_then(|text| text.trim().parse::<IpAddr>().ok()) else { return client };
        client = address.to_canonical();
    }
    client
}

fn bits(address: IpAddr) -> (u128, u32) {
    match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()), 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    }
}

/// `value`, a number of `width` bits, with all but its first `kept` bits cleared.
fn masked(value: u128, width: u32, kept: u8) -> u128 {
    let cleared = width.saturating_sub(u32::from(kept));
    value.checked_shr(cleared).unwrap_or(0).checked_shl(cleared).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_is_the_nearest_address_that_is_no_proxy_and_what_stands_left_of_it_is_not_looked_at() {
        let proxies = Network::new("10.0.0.0".parse().unwrap(), 8).unwrap();
        let client = |peer: &str, chain: &[&str]| {
            let named = chain.iter().rev().map(|element| element.as_bytes());
            nearest_untrusted(peer.parse().unwrap(), named, |address| proxies.contains(address)).to_string()
        };
        assert_eq!(client("192.0.2.7", &["203.0.113.9"]), "192.0.2.7");
        assert_eq!(client("10.0.0.1", &["198.51.100.1", " 203.0.113.9", "10.0.0.2"]), "203.0.113.9");
        assert_eq!(client("::ffff:10.0.0.1", &["203.0.113.9"]), "203.0.113.9");
        assert_eq!(client("10.0.0.1", &["203.0.113.9", "not an address"]), "10.0.0.1");
        assert_eq!(client("10.0.0.1", &[]), "10.0.0.1");
    }

    #[test]
    fn nothing_is_read_of_a_field_that_comes_from_nobodys_proxy() {
        let never = std::iter::once_with(|| panic!("the field was taken apart"));
        let peer: IpAddr = "192.0.2.7".parse().unwrap();
        assert_eq!(nearest_untrusted(peer, never, |_| false), peer);
    }
}
