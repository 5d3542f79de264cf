//! Rows on their way: batches of one table, and frames of the source's log.

use std::sync::Arc;

use arrow_array::RecordBatch;

use crate::TableSchema;

/// What happened to a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Op {
    /// Read by the snapshot.
    Read = 0,
    /// Inserted.
    Insert = 1,
    /// The image before an update; always the neighbour ahead of its [`Op::UpdateAfter`].
    UpdateBefore = 2,
    /// The image after an update.
    UpdateAfter = 3,
    /// Deleted; the row is the image before.
    Delete = 4,
}

/// The operations of a batch, one a row.
#[derive(Debug, Clone)]
pub enum Ops {
    /// Every row has the same.
    All(Op),
    /// As many as there are rows.
    Each(Vec<Op>),
}

impl Ops {
    /// The operation of row `at`.
    pub fn at(&self, at: usize) -> Op {
        match self {
            Ops::All(op) => *op,
            Ops::Each(ops) => ops[at],
        }
    }
}

/// The rows' places in their frame: they restore the order across the frame's tables.
#[derive(Debug, Clone)]
pub enum Ordinals {
    /// Row `i` has `first + i`.
    From(u32),
    /// As many as there are rows, strictly increasing.
    Each(Vec<u32>),
}

impl Ordinals {
    /// The ordinal of row `at`.
    pub fn at(&self, at: usize) -> u32 {
        match self {
            Ordinals::From(first) => first + at as u32,
            Ordinals::Each(ordinals) => ordinals[at],
        }
    }
}

/// A transaction's identity in its server's terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TxnId {
    /// The log names none.
    None,
    /// MySQL GTID: source UUID, tag, number.
    Gtid {
        /// The UUID of the server it was first committed on.
        source: [u8; 16],
        /// MySQL 8.4's tag.
        tag: Option<Arc<str>>,
        /// Its number under that UUID and tag.
        number: u64,
    },
    /// MariaDB GTID.
    Domain {
        /// Replication domain.
        domain: u32,
        /// The server it was first committed on.
        server: u32,
        /// Its number in the domain.
        sequence: u64,
    },
}

impl std::fmt::Display for TxnId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            TxnId::None => Ok(()),
            TxnId::Gtid { source, tag, number } => {
                for (i, byte) in source.iter().enumerate() {
                    if matches!(i, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                if let Some(tag) = tag {
                    write!(f, ":{tag}")?;
                }
                write!(f, ":{number}")
            }
            TxnId::Domain { domain, server, sequence } => write!(f, "{domain}-{server}-{sequence}"),
        }
    }
}

/// A run of rows of one transaction. A snapshot's rows have position and time of their reading.
#[derive(Debug, Clone)]
pub struct TxnSpan {
    /// The first ordinal it covers; it ends where the next begins.
    pub first_ordinal: u32,
    /// Its identity.
    pub id: TxnId,
    /// The log file it stands in.
    pub file: Arc<str>,
    /// The byte position of its end in that file.
    pub pos: u64,
    /// When it was committed, microseconds since the epoch (whole seconds where the log has no more).
    pub commit_ts_us: i64,
}

/// Rows of one table, one schema version, in source order.
#[derive(Debug, Clone)]
pub struct ChangeBatch {
    /// The schema of `rows`; routing puts the sink's name in.
    pub schema: Arc<TableSchema>,
    /// The images. The two halves of an update are neighbours and never split over batches.
    pub rows: RecordBatch,
    /// What happened to each.
    pub ops: Ops,
    /// Their places in the frame.
    pub ordinals: Ordinals,
    /// The sequence number of ordinal 0, set by the engine when the frame passes `ingest`.
    pub first_seq: u64,
    /// The frame's transactions, by rising `first_ordinal`; never empty.
    pub txns: Arc<[TxnSpan]>,
}

impl ChangeBatch {
    /// How many images there are.
    pub fn len(&self) -> usize {
        self.rows.num_rows()
    }
    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
    /// The sequence number of row `at`: rises through the pipeline's whole life.
    pub fn seq(&self, at: usize) -> u64 {
        self.first_seq + u64::from(self.ordinals.at(at))
    }
    /// Walks the rows with the transaction each belongs to, in order.
    pub fn txn_of_rows(&self) -> impl Iterator<Item = &TxnSpan> {
        let mut at = 0;
        (0..self.len()).map(move |row| {
            let ordinal = self.ordinals.at(row);
            while at + 1 < self.txns.len() && self.txns[at + 1].first_ordinal <= ordinal {
                at += 1;
            }
            &self.txns[at]
        })
    }
    /// The bytes its Arrow buffers hold.
    pub fn bytes(&self) -> usize {
        self.rows.get_array_memory_size()
    }
    /// Where it may be cut: numbers of rows from none to all, rising, without the two halves of an update torn apart.
    pub fn cuts(&self) -> Vec<usize> {
        let stands = |&rows: &usize| {
            rows.checked_sub(1).is_none_or(|last| self.ops.at(last) != Op::UpdateBefore)
        };
        (0..=self.len()).filter(stands).collect()
    }
    /// Its first rows, as many as one of its [`cuts`](ChangeBatch::cuts) says; without copying them.
    #[must_use]
    pub fn head(&self, rows: usize) -> ChangeBatch {
        let rows = rows.min(self.len());
        let ops = match &self.ops {
            Ops::All(op) => Ops::All(*op),
            Ops::Each(ops) => Ops::Each(ops.iter().take(rows).copied().collect()),
        };
        let ordinals = match &self.ordinals {
            Ordinals::From(first) => Ordinals::From(*first),
            Ordinals::Each(each) => Ordinals::Each(each.iter().take(rows).copied().collect()),
        };
        ChangeBatch { rows: self.rows.slice(0, rows), ops, ordinals, ..self.clone() }
    }
}

/// A contiguous slice of the source: some of its log, or one finished range of the snapshot.
#[derive(Debug, Default)]
pub struct Frame {
    /// One batch per table and schema version.
    pub batches: Vec<ChangeBatch>,
    /// How many ordinals the frame spans (rows left out leave gaps).
    pub ordinals: u32,
    /// Whether the source stands at a transaction boundary behind it, so that a barrier may be cut here
    /// (correctness §4; false inside a big transaction and inside a range's frames, §2.5).
    pub boundary: bool,
    /// The log bytes it came from, for accounting.
    pub log_bytes: u64,
}

impl Frame {
    /// All images in it.
    pub fn rows(&self) -> usize {
        self.batches.iter().map(ChangeBatch::len).sum()
    }
    /// The bytes of its Arrow buffers.
    pub fn bytes(&self) -> usize {
        self.batches.iter().map(ChangeBatch::bytes).sum()
    }
}
