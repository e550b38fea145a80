//! Which IP addresses are on the public internet.
//!
//! The service sends requests to addresses that its callers choose. Without this check they could have it send requests
//! to what only the service reaches: its own machine, its network, and the metadata of its cloud.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

/// The ranges of IPv4 that are not public (IANA's registry of special-purpose addresses, and RFC 5771 for multicast).
///
/// The first that matches names an address, so a range is before those that contain it.
const IPV4: &[(Ipv4Net, &str)] = &[
    (v4([0, 0, 0, 0], 32), "unspecified"),
    (v4([0, 0, 0, 0], 8), "reserved"),
    (v4([10, 0, 0, 0], 8), "private"),
    (v4([100, 64, 0, 0], 10), "shared (CGNAT)"),
    (v4([127, 0, 0, 0], 8), "loopback"),
    // The metadata of cloud machines is here, at 169.254.169.254.
    (v4([169, 254, 0, 0], 16), "link-local"),
    (v4([172, 16, 0, 0], 12), "private"),
    (v4([192, 0, 0, 0], 24), "reserved"),
    (v4([192, 0, 2, 0], 24), "documentation"),
    (v4([192, 88, 99, 0], 24), "6to4"),
    (v4([192, 168, 0, 0], 16), "private"),
    (v4([198, 18, 0, 0], 15), "benchmarking"),
    (v4([198, 51, 100, 0], 24), "documentation"),
    (v4([203, 0, 113, 0], 24), "documentation"),
    (v4([224, 0, 0, 0], 4), "multicast"),
    (v4([255, 255, 255, 255], 32), "broadcast"),
    (v4([240, 0, 0, 0], 4), "reserved"),
];

/// The only part of IPv6 that is given out for public use (RFC 4291 §2.4).
const GLOBAL_UNICAST: Ipv6Net = v6([0x2000, 0, 0, 0, 0, 0, 0, 0], 3);

/// The ranges of IPv6 that are not public, ordered as [`IPV4`]. Those outside [`GLOBAL_UNICAST`] only have a name here:
/// all the rest of it is reserved.
///
/// Addresses that stand for an IPv4 address are refused whatever that address is: they lead to where only a translator
/// of the local network knows, and public hosts have no need of them.
const IPV6: &[(Ipv6Net, &str)] = &[
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 128), "unspecified"),
    (v6([0, 0, 0, 0, 0, 0, 0, 1], 128), "loopback"),
    (v6([0, 0, 0, 0, 0, 0xffff, 0, 0], 96), "IPv4-mapped"),
    (v6([0, 0, 0, 0, 0, 0, 0, 0], 96), "IPv4-compatible"),
    (v6([0x64, 0xff9b, 0, 0, 0, 0, 0, 0], 96), "NAT64"),
    (v6([0x64, 0xff9b, 1, 0, 0, 0, 0, 0], 48), "NAT64"),
    (v6([0x100, 0, 0, 0, 0, 0, 0, 0], 64), "discard-only"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 32), "Teredo"),
    (v6([0x2001, 2, 0, 0, 0, 0, 0, 0], 48), "benchmarking"),
    (v6([0x2001, 0, 0, 0, 0, 0, 0, 0], 23), "reserved"),
    (v6([0x2001, 0xdb8, 0, 0, 0, 0, 0, 0], 32), "documentation"),
    (v6([0x2002, 0, 0, 0, 0, 0, 0, 0], 16), "6to4"),
    (v6([0x3fff, 0, 0, 0, 0, 0, 0, 0], 20), "documentation"),
    (v6([0xfc00, 0, 0, 0, 0, 0, 0, 0], 7), "private"),
    (v6([0xfe80, 0, 0, 0, 0, 0, 0, 0], 10), "link-local"),
    (v6([0xfec0, 0, 0, 0, 0, 0, 0, 0], 10), "site-local"),
    (v6([0xff00, 0, 0, 0, 0, 0, 0, 0], 8), "multicast"),
];

/// The kind of address that `address` is instead of a public one, such as `loopback`. `None` if it is public.
#[must_use]
pub fn non_public_kind(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => IPV4.iter().find(|(range, _)| range.contains(&address)).map(|(_, kind)| *kind),
        IpAddr::V6(address) => {
            let named = IPV6.iter().find(|(range, _)| range.contains(&address)).map(|(_, kind)| *kind);
            named.or((!GLOBAL_UNICAST.contains(&address)).then_some("reserved"))
        }
    }
}

const fn v4(octets: [u8; 4], prefix: u8) -> Ipv4Net {
    Ipv4Net::new_assert(Ipv4Addr::from_octets(octets), prefix)
}

const fn v6(segments: [u16; 8], prefix: u8) -> Ipv6Net {
    Ipv6Net::new_assert(Ipv6Addr::from_segments(segments), prefix)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The kind of an address; of ranges, the first address and the last, and the public ones beside them.
    const TABLE: &[(&str, Option<&str>)] = &[
        ("0.0.0.0", Some("unspecified")),
        ("0.0.0.1", Some("reserved")),
        ("0.255.255.255", Some("reserved")),
        ("1.0.0.0", None),
        ("1.1.1.1", None),
        ("9.255.255.255", None),
        ("10.0.0.0", Some("private")),
        ("10.255.255.255", Some("private")),
        ("11.0.0.0", None),
        ("100.63.255.255", None),
        ("100.64.0.0", Some("shared (CGNAT)")),
        ("100.127.255.255", Some("shared (CGNAT)")),
        ("100.128.0.0", None),
        ("126.255.255.255", None),
        ("127.0.0.0", Some("loopback")),
        ("127.0.0.1", Some("loopback")),
        ("127.255.255.255", Some("loopback")),
        ("128.0.0.0", None),
        ("169.253.255.255", None),
        ("169.254.0.0", Some("link-local")),
        ("169.254.169.254", Some("link-local")),
        ("169.254.255.255", Some("link-local")),
        ("169.255.0.0", None),
        ("172.15.255.255", None),
        ("172.16.0.0", Some("private")),
        ("172.31.255.255", Some("private")),
        ("172.32.0.0", None),
        ("191.255.255.255", None),
        ("192.0.0.0", Some("reserved")),
        ("192.0.0.255", Some("reserved")),
        ("192.0.1.0", None),
        ("192.0.2.0", Some("documentation")),
        ("192.0.2.255", Some("documentation")),
        ("192.0.3.0", None),
        ("192.88.98.255", None),
        ("192.88.99.0", Some("6to4")),
        ("192.88.99.255", Some("6to4")),
        ("192.88.100.0", None),
        ("192.167.255.255", None),
        ("192.168.0.0", Some("private")),
        ("192.168.255.255", Some("private")),
        ("192.169.0.0", None),
        ("198.17.255.255", None),
        ("198.18.0.0", Some("benchmarking")),
        ("198.19.255.255", Some("benchmarking")),
        ("198.20.0.0", None),
        ("198.51.99.255", None),
        ("198.51.100.0", Some("documentation")),
        ("198.51.100.255", Some("documentation")),
        ("198.51.101.0", None),
        ("203.0.112.255", None),
        ("203.0.113.0", Some("documentation")),
        ("203.0.113.255", Some("documentation")),
        ("203.0.114.0", None),
        ("223.255.255.255", None),
        ("224.0.0.0", Some("multicast")),
        ("239.255.255.255", Some("multicast")),
        ("240.0.0.0", Some("reserved")),
        ("255.255.255.254", Some("reserved")),
        ("255.255.255.255", Some("broadcast")),
        ("::", Some("unspecified")),
        ("::1", Some("loopback")),
        ("::2", Some("IPv4-compatible")),
        ("::127.0.0.1", Some("IPv4-compatible")),
        ("::8.8.8.8", Some("IPv4-compatible")),
        ("::ffff:127.0.0.1", Some("IPv4-mapped")),
        ("::ffff:8.8.8.8", Some("IPv4-mapped")),
        // IPv4-translated (RFC 2765 §2.1).
        ("::ffff:0:8.8.8.8", Some("reserved")),
        ("64:ff9b::8.8.8.8", Some("NAT64")),
        ("64:ff9b::10.0.0.1", Some("NAT64")),
        ("64:ff9b:1::", Some("NAT64")),
        ("64:ff9b:1:ffff:ffff:ffff:ffff:ffff", Some("NAT64")),
        ("100::", Some("discard-only")),
        ("100::ffff:ffff:ffff:ffff", Some("discard-only")),
        ("100:0:0:1::", Some("reserved")),
        ("1fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("reserved")),
        ("2000::", None),
        ("2000:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2001::", Some("Teredo")),
        ("2001:0:ffff:ffff:ffff:ffff:ffff:ffff", Some("Teredo")),
        ("2001:1::1", Some("reserved")),
        ("2001:2::", Some("benchmarking")),
        ("2001:1ff:ffff:ffff:ffff:ffff:ffff:ffff", Some("reserved")),
        ("2001:200::", None),
        ("2001:db7:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2001:db8::", Some("documentation")),
        ("2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", Some("documentation")),
        ("2001:db9::", None),
        ("2001:4860:4860::8888", None),
        ("2001:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("2002::", Some("6to4")),
        ("2002:7f00:1::", Some("6to4")),
        ("2002:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("6to4")),
        ("2003::", None),
        ("2606:4700:4700::1111", None),
        ("3ffe:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("3fff::", Some("documentation")),
        ("3fff:fff:ffff:ffff:ffff:ffff:ffff:ffff", Some("documentation")),
        ("3fff:1000::", None),
        ("3fff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", None),
        ("4000::", Some("reserved")),
        ("5f00::", Some("reserved")),
        ("fbff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("reserved")),
        ("fc00::", Some("private")),
        ("fd00:ec2::254", Some("private")),
        ("fdff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("private")),
        ("fe00::", Some("reserved")),
        ("fe80::", Some("link-local")),
        ("fe80::1", Some("link-local")),
        ("febf:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("link-local")),
        ("fec0::", Some("site-local")),
        ("feff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("site-local")),
        ("ff00::", Some("multicast")),
        ("ff02::1", Some("multicast")),
        ("ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff", Some("multicast")),
    ];

    #[test]
    fn only_public_addresses_have_no_other_kind() {
        for (text, kind) in TABLE {
            assert_eq!(non_public_kind(text.parse().expect("an address")), *kind, "{text}");
        }
    }

    #[test]
    fn the_table_of_this_test_has_every_range() {
        let addresses: Vec<IpAddr> = TABLE.iter().map(|(text, _)| text.parse().expect("an address")).collect();
        for (range, kind) in IPV4 {
            assert!(
                addresses.contains(&range.network().into()) && addresses.contains(&range.broadcast().into()),
                "{kind}"
            );
        }
        for (range, kind) in IPV6 {
            assert!(addresses.iter().any(|address| matches!(address, IpAddr::V6(v6) if range.contains(v6))), "{kind}");
        }
    }
}
