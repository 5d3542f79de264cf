//! Which topic a table's records go to, and the checks of its name.

use cdc_api::{Error, Result, TableId, pattern::Selectors};

/// A topic that is there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Topic {
    pub(crate) name: String,
    /// As many as it had when it was looked at.
    pub(crate) partitions: i32,
}

/// From tables to topic names: one for all, else the first pattern of the mapping that matches, else the table's name.
#[derive(Debug, Clone, Default)]
pub(crate) struct TopicNames {
    pub(crate) one_for_all: Option<String>,
    pub(crate) mapping: Vec<(Selectors, String)>,
}

/// Kafka's own limit.
const NAME_BYTES_MAX: usize = 249;

impl TopicNames {
    /// The topic of a table.
    ///
    /// # Errors
    /// `Config` when the table's name cannot be a topic's and nothing maps it to one that can.
    pub(crate) fn of(&self, table: &TableId) -> Result<String> {
        if let Some(name) = &self.one_for_all {
            return Ok(name.clone());
        }
        for (pattern, name) in &self.mapping {
            if pattern.is_match(table)? {
                return Ok(name.clone());
            }
        }
        let name = table.to_string();
        match name_fault(&name) {
            None => Ok(name),
            Some(fault) => Err(Error::config(format!(
                "table \"{table}\" has no topic: its name {fault}"
            ))
            .hint("map it to a topic with `sink.tableId-to-topic.mapping`, or give it another name with a route")),
        }
    }
}

/// Why a text cannot be a topic's name.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name {
        "" => Some("is empty"),
        "." | ".." => Some("is not allowed"),
        _ if name.len() > NAME_BYTES_MAX => Some("is longer than 249 characters"),
        _ if !name.bytes().all(allowed) => {
            Some("has other characters than letters, digits, `.`, `_` and `-`")
        }
        _ => None,
    }
}

/// Kafka's hash of a key, as its Java clients compute it: 32-bit MurmurHash2 with a fixed seed. librdkafka has the same under
/// `partitioner=murmur2_random`; this one places what has no key.
pub(crate) fn murmur2(bytes: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    let mut hash = SEED ^ bytes.len() as u32;
    let chunks = bytes.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let mut k = u32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]).wrapping_mul(M);
        k = (k ^ (k >> 24)).wrapping_mul(M);
        hash = hash.wrapping_mul(M) ^ k;
    }
    for (i, byte) in rest.iter().enumerate() {
        hash ^= u32::from(*byte) << (8 * i);
    }
    if !rest.is_empty() {
        hash = hash.wrapping_mul(M);
    }
    hash = (hash ^ (hash >> 13)).wrapping_mul(M);
    hash ^ (hash >> 15)
}

/// The partition of a key among so many.
pub(crate) fn partition_of(key: &[u8], partitions: i32) -> i32 {
    let positive = murmur2(key) & 0x7fff_ffff;
    (positive % partitions.max(1).unsigned_abs()) as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values of Kafka's own test of its hash.
    #[test]
    fn hashes_as_the_java_client_does() {
        for (text, expected) in [
            ("21", -973_932_308_i32),
            ("foobar", -790_332_482),
            ("a-little-bit-long-string", -985_981_536),
            ("a-little-bit-longer-string", -1_486_304_829),
            ("lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            ("abc", 479_470_107),
        ] {
            assert_eq!(murmur2(text.as_bytes()) as i32, expected, "{text}");
        }
    }

    #[test]
    fn tables_find_their_topics() {
        let mut names = TopicNames::default();
        let orders = TableId::new("shop", "orders");
        assert_eq!(names.of(&orders).unwrap(), "shop.orders");
        let odd = names.of(&TableId::new("shop", "größe")).unwrap_err();
        assert!(odd.to_string().contains("größe"), "{odd}");
        names.mapping.push((Selectors::parse("shop.\\.*").unwrap(), "all-shops".into()));
        assert_eq!(names.of(&orders).unwrap(), "all-shops");
        assert_eq!(names.of(&TableId::new("crm", "orders")).unwrap(), "crm.orders");
        names.one_for_all = Some("everything".into());
        assert_eq!(names.of(&orders).unwrap(), "everything");
    }
}
