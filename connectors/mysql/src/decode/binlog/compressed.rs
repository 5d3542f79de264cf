//! MariaDB's compressed events (`log_bin_compress`), made into the plain ones.

use super::rows::RowsEvent;
use crate::decode::{DecodeError, cursor::Cursor, error::Fault, inflate::inflate_event_payload};

/// The body of a compressed row event as [`RowsEvent::parse`] takes it: headers as they are, images inflated. No body
/// becomes longer than `bytes_max`.
///
/// # Errors
/// When the body is no such event, or claims more than `bytes_max` or than its bytes can hold.
pub fn inflate_rows(event_type: u8, body: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let mut cursor = Cursor::new(body);
    let inflated = RowsEvent::header(event_type, &mut cursor).and_then(|_| {
        let (header, payload) = body.split_at_checked(cursor.at()).ok_or_else(Fault::cut_off)?;
        inflate_behind(header, payload, bytes_max)
    });
    inflated
        .map_err(|fault| DecodeError::new(format!("compressed row event: {fault}"), cursor.at()))
}

/// The body of a QUERY_COMPRESSED event (type 165) as that of a QUERY event: all but the statement is stored as it is.
///
/// # Errors
/// As [`inflate_rows`].
pub fn inflate_query(body: &[u8], bytes_max: usize) -> Result<Vec<u8>, DecodeError> {
    let mut cursor = Cursor::new(body);
    let inflated = query_header(&mut cursor).and_then(|()| {
        let (header, payload) = body.split_at_checked(cursor.at()).ok_or_else(Fault::cut_off)?;
        inflate_behind(header, payload, bytes_max)
    });
    inflated.map_err(|fault| DecodeError::new(format!("compressed query: {fault}"), cursor.at()))
}

/// Thread id and time (8 bytes), the database's length, an error code, the status variables' length, those, the database
/// and a zero byte.
fn query_header(cursor: &mut Cursor<'_>) -> Result<(), Fault> {
    cursor.take(8)?;
    let database = usize::from(cursor.u8()?);
    cursor.take(2)?;
    let status = usize::from(cursor.u16()?);
    cursor.take(status)?;
    cursor.take(database + 1)?;
    Ok(())
}

fn inflate_behind(header: &[u8], payload: &[u8], bytes_max: usize) -> Result<Vec<u8>, Fault> {
    let mut plain = header.to_vec();
    inflate_event_payload(payload, bytes_max.saturating_sub(header.len()), &mut plain)?;
    Ok(plain)
}
