//! MariaDB's GTIDs: `domain-server-sequence`, and a position as the last of each domain.

use std::{collections::BTreeMap, fmt, str::FromStr};

use serde::{Deserialize, Serialize};

use super::PositionError;

/// One MariaDB transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariaGtid {
    /// The replication domain.
    pub domain: u32,
    /// The server that first committed it.
    pub server: u32,
    /// Its number in the domain.
    pub sequence: u64,
}

impl FromStr for MariaGtid {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let parse = || {
            let mut parts = text.trim().split('-');
            let gtid = MariaGtid {
                domain: number(parts.next()?)?,
                server: number(parts.next()?)?,
                sequence: number(parts.next()?)?,
            };
            parts.next().is_none().then_some(gtid)
        };
        parse().ok_or_else(|| PositionError::MariaGtid(text.trim().into()))
    }
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    if text.starts_with('+') { None } else { text.parse().ok() }
}

impl fmt::Display for MariaGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl TryFrom<String> for MariaGtid {
    type Error = PositionError;

    fn try_from(text: String) -> Result<Self, PositionError> {
        text.parse()
    }
}

impl From<MariaGtid> for String {
    fn from(gtid: MariaGtid) -> Self {
        gtid.to_string()
    }
}

/// The last GTID of each domain. Its text is what `@slave_connect_state` takes.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MariaGtidPosition {
    domains: BTreeMap<u32, (u32, u64)>,
}

impl MariaGtidPosition {
    /// Whether no transaction was seen yet.
    pub fn is_empty(&self) -> bool {
        self.domains.is_empty()
    }

    /// Makes `gtid` the last of its domain.
    pub fn advance(&mut self, gtid: MariaGtid) {
        self.domains.insert(gtid.domain, (gtid.server, gtid.sequence));
    }

    /// The last GTIDs, in the order of their domains.
    pub fn gtids(&self) -> impl Iterator<Item = MariaGtid> + '_ {
        self.domains.iter().map(|(&domain, &(server, sequence))| MariaGtid {
            domain,
            server,
            sequence,
        })
    }

    /// The last GTID of a domain.
    pub fn last(&self, domain: u32) -> Option<MariaGtid> {
        let &(server, sequence) = self.domains.get(&domain)?;
        Some(MariaGtid { domain, server, sequence })
    }

    /// Whether every domain of `other` stands at or behind this position. Sequence numbers rise within a domain.
    pub fn reaches(&self, other: &MariaGtidPosition) -> bool {
        other.gtids().all(|gtid| {
            self.domains.get(&gtid.domain).is_some_and(|&(_, sequence)| sequence >= gtid.sequence)
        })
    }
}

impl FromStr for MariaGtidPosition {
    type Err = PositionError;

    fn from_str(text: &str) -> Result<Self, PositionError> {
        let mut position = MariaGtidPosition::default();
        if text.trim().is_empty() {
            return Ok(position);
        }
        for part in text.split(',') {
            let gtid: MariaGtid = part.parse()?;
            if position.domains.contains_key(&gtid.domain) {
                return Err(PositionError::MariaDomainTwice(gtid.domain));
            }
            position.advance(gtid);
        }
        Ok(position)
    }
}

impl fmt::Display for MariaGtidPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, gtid) in self.gtids().enumerate() {
            let comma = if i == 0 { "" } else { "," };
            write!(f, "{comma}{gtid}")?;
        }
        Ok(())
    }
}

impl TryFrom<String> for MariaGtidPosition {
    type Error = PositionError;

    fn try_from(text: String) -> Result<Self, PositionError> {
        text.parse()
    }
}

impl From<MariaGtidPosition> for String {
    fn from(position: MariaGtidPosition) -> Self {
        position.to_string()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn position(text: &str) -> MariaGtidPosition {
        text.parse().unwrap()
    }

    #[test]
    fn the_last_gtid_of_each_domain_counts() {
        let mut seen = position("0-1-100, 1-2-5");
        assert!(seen.reaches(&position("0-7-99")) && !seen.reaches(&position("2-1-1")));
        seen.advance("0-3-101".parse().unwrap());
        assert_eq!(seen.to_string(), "0-3-101,1-2-5");
        assert_eq!(seen.last(1), Some(MariaGtid { domain: 1, server: 2, sequence: 5 }));
        assert!(position("").is_empty() && seen.reaches(&position("")));
    }

    #[test]
    fn anything_else_is_refused() {
        for text in ["0-1", "0-1-2-3", "0-1-x", "0-1-2,", "4294967296-1-1", "0-+1-2"] {
            assert!(text.parse::<MariaGtidPosition>().is_err(), "{text}");
        }
        assert_eq!(
            "0-1-2,0-2-3".parse::<MariaGtidPosition>(),
            Err(PositionError::MariaDomainTwice(0))
        );
    }

    proptest! {
        #[test]
        fn text_is_read_back(
            domains in prop::collection::btree_map(any::<u32>(), (any::<u32>(), any::<u64>()), 0..6)
        ) {
            let written = MariaGtidPosition { domains };
            prop_assert_eq!(position(&written.to_string()), written.clone());
            prop_assert!(written.reaches(&written));
        }
    }
}
