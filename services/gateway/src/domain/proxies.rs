//! Whose `X-Forwarded-For` is believed. A proxy on Kubernetes has another address every day, so ranges count, too.

use ipnet::IpNet;
use serde::{Deserialize, Deserializer, de::Error};
use std::net::IpAddr;

/// Addresses and CIDR ranges (RFC 4632, RFC 4291) of our own proxies; empty = nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Proxies(Vec<IpNet>);

impl Proxies {
    /// Whether the address is a proxy of ours.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        // A dual-stack socket shows IPv4 peers as ::ffff:a.b.c.d.
        let address = address.to_canonical();
        self.0.iter().any(|range| range.contains(&address))
    }
}

impl<'de> Deserialize<'de> for Proxies {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let parse = |text: String| {
            let one = text
                .parse::<IpAddr>()
                .map(|address| IpNet::from(address.to_canonical()));
            one.or_else(|_| text.parse())
                .map_err(|_| D::Error::custom(format!("{text:?} is neither an IP address nor a range like 10.0.0.0/8")))
        };
        Vec::<String>::deserialize(from)?
            .into_iter()
            .map(parse)
            .collect::<Result<_, _>>()
            .map(Self)
    }
}

impl FromIterator<IpNet> for Proxies {
    fn from_iter<I: IntoIterator<Item = IpNet>>(ranges: I) -> Self {
        Self(ranges.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Proxies, String> {
        serde_json::from_str(text).map_err(|error| error.to_string())
    }

    #[test]
    fn addresses_and_ranges_count_and_anything_else_is_named() {
        let proxies = read(r#"["192.0.2.7", "10.0.0.0/8", "2001:db8::/32", "::1"]"#).expect("four");
        for ours in ["192.0.2.7", "10.255.0.1", "::ffff:10.1.2.3", "2001:db8:1::5", "::1"] {
            assert!(proxies.contains(ours.parse().expect("an address")), "{ours}");
        }
        for other in ["192.0.2.8", "11.0.0.1", "2001:db9::1", "::2", "::ffff:11.0.0.1"] {
            assert!(!proxies.contains(other.parse().expect("an address")), "{other}");
        }
        assert!(!Proxies::default().contains("127.0.0.1".parse().expect("an address")));
        for wrong in [r#"["10.0.0.0/33"]"#, r#"["proxy.example"]"#, r#"[""]"#] {
            let error = read(wrong).expect_err(wrong);
            assert!(error.contains("neither an IP address nor a range"), "{error}");
        }
    }
}
