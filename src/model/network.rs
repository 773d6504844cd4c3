//! Networks from which somebody may call.

use std::{fmt, net::IpAddr};

/// A network such as `10.0.0.0/8` or `2001:db8::/32`; a single address is one of its full length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

/// A text that is no network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("expected a network such as 10.0.0.0/8 or 2001:db8::/32, or an address")]
pub struct InvalidNetwork;

impl Network {
    /// Reads `address/prefix`, or an address alone.
    ///
    /// # Errors
    /// [`InvalidNetwork`], also where the address has bits behind the prefix: `10.0.0.5/8` may mean one host or all.
    pub fn parse(text: &str) -> Result<Self, InvalidNetwork> {
        let (address, prefix) = match text.trim().split_once('/') {
            Some((address, prefix)) => (address, Some(prefix)),
            None => (text.trim(), None),
        };
        let address: IpAddr = address.parse().map_err(|_| InvalidNetwork)?;
        let longest = if address.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit()) => {
                digits.parse().ok().filter(|prefix| *prefix <= longest).ok_or(InvalidNetwork)?
            }
            Some(_) => return Err(InvalidNetwork),
        };
        let network = Self { address, prefix };
        // What is mapped into IPv6 would never fit: addresses are compared as what they stand for.
        if network.holds(address) && network.is_clean() { Ok(network) } else { Err(InvalidNetwork) }
    }

    /// Whether `address` is in it. An IPv4 address that came in the form of IPv6 is the IPv4 address.
    pub fn holds(&self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(ours), IpAddr::V4(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            (IpAddr::V6(ours), IpAddr::V6(theirs)) => {
                (ours.to_bits() ^ theirs.to_bits()).leading_zeros() >= u32::from(self.prefix)
            }
            _ => false,
        }
    }

    /// Whether nothing stands behind the prefix.
    fn is_clean(&self) -> bool {
        match self.address {
            IpAddr::V4(address) => address.to_bits().trailing_zeros() >= 32 - u32::from(self.prefix),
            IpAddr::V6(address) => address.to_bits().trailing_zeros() >= 128 - u32::from(self.prefix),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_holds_its_addresses_and_no_others() {
        for (network, within, outside) in [
            ("10.0.0.0/8", "10.255.0.1", "11.0.0.0"),
            ("192.168.1.0/24", "::ffff:192.168.1.9", "192.168.2.1"),
            ("203.0.113.7", "203.0.113.7", "203.0.113.6"),
            ("0.0.0.0/0", "8.8.8.8", "::1"),
            ("2001:db8::/32", "2001:db8:ffff::1", "2001:db9::1"),
            ("::/0", "2001:db8::1", "1.1.1.1"),
        ] {
            let parsed = Network::parse(network).expect(network);
            assert!(parsed.holds(within.parse().expect("address")), "{network} {within}");
            assert!(!parsed.holds(outside.parse().expect("address")), "{network} {outside}");
            assert_eq!(Network::parse(&parsed.to_string()), Ok(parsed));
        }
        let wrong =
            ["", "10", "10.0.0.0/33", "10.0.0.5/8", "::1/129", "10.0.0.0/", "10.0.0.0/+8", "::ffff:1.2.3.4", "a/8"];
        for text in wrong {
            assert_eq!(Network::parse(text), Err(InvalidNetwork), "{text}");
        }
    }
}
