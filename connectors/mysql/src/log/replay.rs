//! A recorded log through the decoder, without a server: in, events as they stand in a binlog file; out, what a sink
//! would have got, counted. For benchmarks and for a look at a log that was sent in.

use std::sync::Arc;

use cdc_api::{BeforeImages, Error, Result};
use cdc_incremental::TableKey;

use super::decoder::{LogDecoder, Step};
use crate::{
    charset::Charsets,
    keys::KeyCodec,
    metadata::TableMeta,
    position::LogPosition,
    source::{CapturedTable, Catalog},
    types::{self, Flavor, TableCodec, TypeOptions},
};

/// Every binlog file begins with it.
const MAGIC: &[u8] = b"\xfebin";
const HEADER_LEN: usize = 19;

/// Decodes recorded events as a running pipeline does whose tables are wholly copied.
pub struct LogReplay {
    decoder: LogDecoder,
    frame_bytes_max: u64,
    counted: Replayed,
}

/// What came out of a [`LogReplay`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Replayed {
    /// Rows of all batches; an update is one.
    pub rows: u64,
    /// Bytes of their Arrow buffers.
    pub arrow_bytes: u64,
    /// Transactions that had rows of captured tables.
    pub transactions: u64,
    /// Frames that left.
    pub frames: u64,
}

impl LogReplay {
    /// A decoder of these tables, which have primary keys whose order needs no server.
    ///
    /// # Errors
    /// When a table cannot be captured, or a charset of it has to be fetched from a server.
    pub fn new(
        tables: Vec<TableMeta>,
        flavor: Flavor,
        charsets: Charsets,
        frame_bytes_max: u64,
    ) -> Result<LogReplay> {
        let options = TypeOptions::default();
        let mut captured = Vec::with_capacity(tables.len());
        for (key, meta) in (0..).map(TableKey).zip(tables) {
            let schema = Arc::new(types::table_schema(&meta, flavor, &options, 1, false)?);
            let codec = TableCodec::new(&meta, schema, &options, flavor, &charsets)?;
            let columns = types::key_columns(&meta).to_vec();
            let keys = KeyCodec::new(&meta, &columns, flavor)
                .map_err(|refused| Error::data(meta.id.clone(), refused.to_string()))?;
            let table = CapturedTable::new(key, meta, codec, keys, columns);
            table.set_done();
            captured.push(Arc::new(table));
        }
        let start = LogPosition::new("recorded.000001", MAGIC.len() as u64)
            .map_err(|error| Error::internal(error.to_string()))?;
        let catalog = Arc::new(Catalog::new(captured, false));
        let decoder = LogDecoder::new(catalog, Arc::new(charsets), BeforeImages::Deletes, start);
        Ok(LogReplay { decoder, frame_bytes_max, counted: Replayed::default() })
    }

    /// Takes one event.
    ///
    /// # Errors
    /// When it cannot be decoded, or would stop a table.
    pub fn event(&mut self, bytes: &[u8]) -> Result<()> {
        let mut step = self.decoder.event(bytes);
        loop {
            match step {
                Ok(Step::Go) => {}
                Ok(Step::Notice(notice)) => {
                    let message = format!("the recorded log stops a table: {notice:?}");
                    return Err(Error::internal(message));
                }
                Err(refused) => return Err(refused.into_error(self.decoder.position())),
            }
            if self.decoder.is_full(self.frame_bytes_max) {
                self.close_frame()?;
            }
            if !self.decoder.is_inside_event() {
                return Ok(());
            }
            step = self.decoder.go_on();
        }
    }

    /// Closes the running frame and says what came since the last call.
    ///
    /// # Errors
    /// When the rows do not become a batch.
    pub fn take(&mut self) -> Result<Replayed> {
        if self.decoder.has_news() {
            self.close_frame()?;
        }
        Ok(std::mem::take(&mut self.counted))
    }

    fn close_frame(&mut self) -> Result<()> {
        let frame = self.decoder.take_frame()?;
        for batch in &frame.batches {
            self.counted.rows += batch.rows.num_rows() as u64;
            self.counted.arrow_bytes += batch.rows.get_array_memory_size() as u64;
        }
        self.counted.transactions += frame.txns.len() as u64;
        self.counted.frames += 1;
        Ok(())
    }
}

/// The events of a whole binlog file, each as the server would send it.
///
/// # Errors
/// When the file does not begin with the binlog's magic number, or an event's length is none.
pub fn events(file: &[u8]) -> Result<Vec<&[u8]>> {
    let damaged = |what: &str| Error::operator(format!("no binlog file: {what}"));
    let mut rest = file.strip_prefix(MAGIC).ok_or_else(|| damaged("its first bytes"))?;
    let mut events = Vec::new();
    while !rest.is_empty() {
        let size =
            rest.get(9..13).and_then(|raw| raw.first_chunk()).map(|raw| u32::from_le_bytes(*raw));
        let event = size
            .and_then(|size| rest.get(..size as usize))
            .filter(|event| event.len() >= HEADER_LEN)
            .ok_or_else(|| damaged("an event that is cut off"))?;
        rest = &rest[event.len()..];
        events.push(event);
    }
    Ok(events)
}
