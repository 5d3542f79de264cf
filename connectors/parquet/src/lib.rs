//! The `parquet` sink: all rows of each table, then every change, as Parquet files in `<path>/<database>/<table>/`, on a
//! local folder or an object store.
//!
//! The way of a row: a routed batch gets the columns `_op`, `_seq` and `_ts_ms` (`columns`), waits until there is a row
//! group (`pending`), is encoded (`encode`) into a file that nobody sees (`open_file`, over `local` or `objects`); at the
//! checkpoint the file is closed and made durable (`writer`), and at the commit it gets its name (`sink`). The last `_seq`
//! of each key that is not `d` is the table.
//!
//! **Invariant**: `*.parquet` matches whole files of prepared checkpoints only, and none that vanishes (correctness §5).

mod columns;
mod committable;
mod encode;
mod failure;
mod local;
mod names;
mod objects;
mod open_file;
mod pending;
mod settings;
mod sink;
mod target;
mod writer;

use cdc_api::{EventSinkProvider, OptionFault, Options};

pub use settings::SPEC;

/// The sink that a pipeline file's `sink:` block describes.
///
/// # Errors
/// Every fault that can be seen without a connection.
pub fn provider(options: &Options) -> Result<Box<dyn EventSinkProvider>, Vec<OptionFault>> {
    Ok(Box::new(sink::ParquetSink::new(settings::Settings::read(options)?)))
}

#[cfg(test)]
mod tests;
