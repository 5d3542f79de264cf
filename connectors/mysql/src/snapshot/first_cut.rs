//! Asks a table for its first cuts, so that several readers can work on it side by side (correctness §2).

use cdc_api::{Error, Result};
use cdc_incremental::{Bound, Key};

use super::cells;
use crate::{
    keys::{Form, KeyCodec, KeyLiteral, Probe, compare_query},
    log::RowKeys,
    source::{CapturedTable, Weigher},
    wire::Connection,
};

/// The bounds between the first segments of a table; none for a small one. A bound that cannot be placed is left out:
/// cuts need no exactness.
pub(crate) async fn first_cuts(
    connection: &mut Connection,
    weigher: &mut Weigher,
    table: &CapturedTable,
    segments: usize,
) -> Result<Vec<Bound<KeyLiteral>>> {
    let codec = &table.keys;
    let Some(cut) = codec.first_cut(table.meta.rows_estimated, segments) else {
        return Ok(Vec::new());
    };
    let [first, last] = cut.ends_queries();
    let (Some(first), Some(last)) =
        (one_row(connection, &first).await?, one_row(connection, &last).await?)
    else {
        return Ok(Vec::new());
    };
    let probes = cut.probes(&borrowed(&first), &borrowed(&last)).map_err(|error| {
        Error::data(table.id().clone(), format!("table \"{}\" cannot be cut", table.id()))
            .detail(error.to_string())
    })?;
    let mut bounds = Vec::with_capacity(probes.len());
    for probe in probes {
        match probe {
            Probe::Bound(bound) => bounds.push(bound),
            Probe::Query(sql) => {
                let Some(row) = one_row(connection, &sql).await? else { continue };
                bounds.extend(bound_of(weigher, codec, &borrowed(&row)).await?);
            }
        }
    }
    if is_order_shared(connection, codec, &mut bounds).await? { Ok(bounds) } else { Ok(Vec::new()) }
}

async fn bound_of(
    weigher: &mut Weigher,
    codec: &KeyCodec,
    cells: &[Option<&[u8]>],
) -> Result<Option<Bound<KeyLiteral>>> {
    let mut keys = RowKeys::default();
    let (Ok(()), Ok(literal)) = (
        keys.push(codec, cells.iter().copied(), Form::Result),
        codec.literal(cells.iter().copied(), Form::Result),
    ) else {
        return Ok(None);
    };
    weigher.settle(codec, &mut keys).await?;
    Ok(Some(Bound { key: Key::new(keys.get(0)), literal }))
}

/// For texts and the like: our order of the bounds is checked against the server's (correctness §3). Where they differ the
/// table is read in one piece, each chunk's end being what the server's ORDER BY gave.
async fn is_order_shared(
    connection: &mut Connection,
    codec: &KeyCodec,
    bounds: &mut [Bound<KeyLiteral>],
) -> Result<bool> {
    bounds.sort_by(|a, b| a.key.cmp(&b.key));
    let pairs = bounds.windows(2).map(|pair| (&pair[0].literal, &pair[1].literal));
    let Some(sql) = compare_query(codec, pairs) else { return Ok(true) };
    let rows = connection.query(&sql).await?;
    let Some(row) = rows.first() else { return Ok(true) };
    Ok((0..rows.names().len()).all(|at| row.text_at(at).as_deref() == Some("-1")))
}

async fn one_row(connection: &mut Connection, sql: &str) -> Result<Option<Vec<Option<Vec<u8>>>>> {
    let statement = connection.prepare(sql).await?;
    let columns = statement.columns().to_vec();
    let mut stream = connection.execute_stream(&statement).await?;
    let mut row = None;
    while let Some(packets) = stream.next_rows().await? {
        for packet in packets {
            let cells = cells::split(packet, &columns)
                .ok_or_else(|| Error::internal("a row's cells cannot be told apart"))?;
            row = Some(cells.into_iter().map(|cell| cell.map(<[u8]>::to_vec)).collect());
        }
    }
    drop(stream);
    connection.close_statement(statement);
    Ok(row)
}

fn borrowed(row: &[Option<Vec<u8>>]) -> Vec<Option<&[u8]>> {
    row.iter().map(|cell| cell.as_deref()).collect()
}
