//! From where a program calls.

use std::net::IpAddr;

use axum::http::{HeaderMap, request::Parts};

use crate::model::network::Network;

/// Who is at the other end of the connection.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// The address from which the request comes: that of the connection or, where it is a proxy of ours, what the proxy says.
/// Nobody else is believed. Where it is not known, it is one that no network of a key holds.
pub(in crate::web) fn address(parts: &Parts, proxies: &[Network]) -> IpAddr {
    let peer = parts.extensions.get::<Peer>().map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.0.to_canonical());
    behind(peer, &parts.headers, proxies)
}

/// From the nearest to the farthest as far as each was named by a proxy of ours.
fn behind(peer: IpAddr, headers: &HeaderMap, proxies: &[Network]) -> IpAddr {
    let is_ours = |address: IpAddr| proxies.iter().any(|network| network.holds(address));
    let named = headers.get_all("x-forwarded-for").iter().rev();
    let named = named.flat_map(|value| value.to_str().unwrap_or("?").rsplit(',').map(str::trim).collect::<Vec<_>>());
    let mut address = peer;
    for text in named {
        if !is_ours(address) {
            break;
        }
        // What cannot be read hides who is behind it: it counts as nobody, and ends the way.
        address = text.parse::<IpAddr>().map_or(IpAddr::from([0, 0, 0, 0]), |address| address.to_canonical());
    }
    address
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_our_proxies_are_believed() {
        let proxies = ["10.0.0.0/8", "127.0.0.1"].map(|text| Network::parse(text).expect("network"));
        for (peer, said, expected) in [
            ("203.0.113.1", &[][..], "203.0.113.1"),
            ("203.0.113.1", &["198.51.100.1"], "203.0.113.1"),
            ("10.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, 198.51.100.1, 10.2.3.4"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
            ("::ffff:127.0.0.1", &["198.51.100.1"], "198.51.100.1"),
            ("10.0.0.1", &["1.1.1.1, nonsense"], "0.0.0.0"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            let mut headers = HeaderMap::new();
            for text in said {
                headers.append("x-forwarded-for", text.parse().expect("value"));
            }
            let peer: IpAddr = peer.parse().expect("address");
            let expected: IpAddr = expected.parse().expect("address");
            assert_eq!(behind(peer.to_canonical(), &headers, &proxies), expected, "{peer} {said:?}");
        }
    }
}
