//! What every stage runs on: the stop signal, back-off, and the wall clock. Nothing here knows rows.

mod backoff;
mod clock;
mod shutdown;

pub(crate) use backoff::Backoff;
pub(crate) use clock::now_us;
pub(crate) use shutdown::Shutdown;
