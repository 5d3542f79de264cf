//! MariaDB's UUID, INET4 and INET6: stored as bytes, selected as text, and UUIDs sorted by segments.

use std::{
    fmt::Write as _,
    net::{Ipv4Addr, Ipv6Addr},
};

use crate::position::gtid_set::{format_uuid, parse_uuid};

/// Which of the three types.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Network {
    Uuid,
    Inet4,
    Inet6,
}

/// The bytes of a value in the order in which they are printed; INET4 fills the first four.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Address(pub(super) [u8; 16]);

impl Network {
    fn length(self) -> usize {
        if self == Network::Inet4 { 4 } else { 16 }
    }

    /// The log drops trailing zero bytes.
    pub(super) fn read_stored(self, cell: &[u8]) -> Option<Address> {
        let mut bytes = [0; 16];
        bytes.get_mut(..self.length())?.get_mut(..cell.len())?.copy_from_slice(cell);
        Some(Address(bytes))
    }

    pub(super) fn read_text(self, cell: &[u8]) -> Option<Address> {
        let text = std::str::from_utf8(cell).ok()?;
        let mut bytes = [0; 16];
        match self {
            Network::Uuid => bytes = parse_uuid(text)?,
            Network::Inet4 => bytes[..4].copy_from_slice(&text.parse::<Ipv4Addr>().ok()?.octets()),
            Network::Inet6 => bytes = text.parse::<Ipv6Addr>().ok()?.octets(),
        }
        Some(Address(bytes))
    }

    pub(super) fn put_key(self, address: &Address, out: &mut Vec<u8>) {
        let bytes = match self {
            Network::Uuid => sortable_uuid(&address.0),
            _ => address.0,
        };
        out.extend_from_slice(&bytes[..self.length()]);
    }

    pub(super) fn literal(self, address: &Address) -> String {
        let [a, b, c, d, ..] = address.0;
        match self {
            Network::Uuid => {
                let mut literal = String::from("CAST('");
                format_uuid(&address.0, &mut literal).expect("writing to a String never fails");
                literal + "' AS UUID)"
            }
            Network::Inet4 => format!("CAST('{}' AS INET4)", Ipv4Addr::new(a, b, c, d)),
            Network::Inet6 => {
                let mut literal = String::from("CAST('");
                write!(literal, "{}", Ipv6Addr::from(address.0))
                    .expect("writing to a String never fails");
                literal + "' AS INET6)"
            }
        }
    }
}

/// The server stores and compares RFC 4122 UUIDs of the versions below 6 with their segments in reverse order, so that
/// version 1 sorts by node, then by time; all others as they are printed, also those that merely begin like version 0.
fn sortable_uuid(printed: &[u8; 16]) -> [u8; 16] {
    let is_reversed = printed[8] & 0x80 != 0 && (1..0x60).contains(&printed[6]);
    if !is_reversed {
        return *printed;
    }
    let mut sortable = [0; 16];
    sortable[..6].copy_from_slice(&printed[10..]);
    sortable[6..8].copy_from_slice(&printed[8..10]);
    sortable[8..10].copy_from_slice(&printed[6..8]);
    sortable[10..12].copy_from_slice(&printed[4..6]);
    sortable[12..].copy_from_slice(&printed[..4]);
    sortable
}

#[cfg(test)]
mod tests {
    use super::*;

    /// In the order in which MariaDB 10.11.19 returned them.
    const SORTED: [&str; 13] = [
        "00000000-0000-0000-0000-000000000000",
        "ffffffff-2222-1333-8444-005566667777",
        "0234c510-bc6d-008b-88c7-0ff313743079",
        "0245952e-cff5-b018-b2a4-59517fdb40e3",
        "11111111-2222-1333-0444-555566667777",
        "11111111-2222-6333-8444-555566667777",
        "11111111-2222-7333-8444-555566667777",
        "11111111-2222-8333-8444-555566667777",
        "11111111-2222-1333-8444-555566667700",
        "11111111-2222-0333-8444-555566667777",
        "11111111-2222-4333-8444-555566667777",
        "11111111-2222-5333-b444-555566667777",
        "ffffffff-ffff-ffff-ffff-ffffffffffff",
    ];

    #[test]
    fn uuids_sort_as_the_server_sorts_them() {
        let keys: Vec<Vec<u8>> = SORTED
            .iter()
            .map(|text| {
                let mut key = Vec::new();
                Network::Uuid.put_key(&Network::Uuid.read_text(text.as_bytes()).unwrap(), &mut key);
                key
            })
            .collect();
        assert!(keys.is_sorted());
    }

    #[test]
    fn both_forms_are_one_value_with_one_literal() {
        let check = |network: Network, text: &str, stored: &[u8], literal: &str| {
            let value = network.read_text(text.as_bytes()).unwrap();
            assert_eq!(network.read_stored(stored), Some(value));
            assert_eq!(network.literal(&value), literal);
        };
        check(Network::Inet4, "1.2.3.0", &[1, 2, 3], "CAST('1.2.3.0' AS INET4)");
        check(Network::Inet6, "1:2::", &[0, 1, 0, 2], "CAST('1:2::' AS INET6)");
        let uuid = "11111111-2222-1333-8444-555566667700";
        let stored = parse_uuid(uuid).unwrap();
        check(Network::Uuid, uuid, &stored[..15], &format!("CAST('{uuid}' AS UUID)"));
        assert_eq!(Network::Inet4.read_stored(&[1, 2, 3, 4, 5]), None);
        assert_eq!(Network::Uuid.read_text(b"x"), None);
    }
}
