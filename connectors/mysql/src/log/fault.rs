//! What is wrong with the log, and who acts on it. Damage may be the network's: the log is read again from the last
//! transaction's end, and only damage that is there each time is the file's and needs a person.

use cdc_api::Error;

use super::event::EventError;
use crate::{decode::DecodeError, position::LogPosition};

/// Why an event cannot be taken.
#[derive(Debug)]
pub(crate) enum Fault {
    /// Its bytes are wrong.
    Event(EventError),
    /// A person must act: message, hint.
    Fatal(String, String),
    /// Only the last checkpoint is right.
    Restart(String),
}

impl From<EventError> for Fault {
    fn from(error: EventError) -> Self {
        Fault::Event(error)
    }
}

impl From<DecodeError> for Fault {
    fn from(error: DecodeError) -> Self {
        Fault::Event(EventError::Malformed(error.to_string()))
    }
}

impl Fault {
    /// With the event's type, and the position behind the last event that was taken.
    pub(crate) fn at(self, kind: u8, position: &LogPosition) -> Refused {
        match self {
            Fault::Event(error) => Refused::Damaged { what: format!("event type {kind}: {error}") },
            Fault::Fatal(message, hint) => {
                Refused::Final(Error::operator(message).detail(format!("at {position}")).hint(hint))
            }
            Fault::Restart(message) => {
                Refused::Final(Error::transient(message).detail(format!("at {position}")))
            }
        }
    }
}

/// Why the stream does not go on behind a position.
#[derive(Debug)]
pub(crate) enum Refused {
    /// The bytes that came are damaged; read again they may be whole.
    Damaged {
        /// How, as a sentence fragment.
        what: String,
    },
    /// Reading again changes nothing.
    Final(Error),
}

impl Refused {
    /// The error of a log of which there is no other reading.
    pub(crate) fn into_error(self, position: &LogPosition) -> Error {
        match self {
            Refused::Final(error) => error,
            Refused::Damaged { what } => Error::operator(damaged_at(position)).detail(what).hint(
                "check the server's disk and network; if the file is damaged, copy the tables anew with an empty \
                 checkpoint storage and an empty target",
            ),
        }
    }
}

fn damaged_at(position: &LogPosition) -> String {
    format!("the binlog is damaged at {position}")
}

/// Damage that is there so many times, each on a new connection, is not the network's.
const READINGS_MAX: u32 = 3;

/// Counts how often the log was damaged at one place.
#[derive(Debug, Default)]
pub(crate) struct Readings {
    /// The place, and how often it was read.
    at: Option<(LogPosition, u32)>,
}

impl Readings {
    /// The error of the connection's end: transient while another reading may help.
    pub(crate) fn judge(&mut self, refused: Refused, position: &LogPosition) -> Error {
        let what = match refused {
            Refused::Final(error) => return error,
            Refused::Damaged { what } => what,
        };
        let earlier = match &self.at {
            Some((at, count)) if at == position => *count,
            _ => 0,
        };
        let count = earlier + 1;
        self.at = Some((position.clone(), count));
        if count < READINGS_MAX {
            return Error::transient(damaged_at(position)).detail(what);
        }
        Refused::Damaged { what: format!("{what}, {count} times in a row") }.into_error(position)
    }
}

#[cfg(test)]
mod tests {
    use cdc_api::ErrorKind;

    use super::*;

    #[test]
    fn damage_is_the_networks_twice_and_the_files_the_third_time() {
        let mut readings = Readings::default();
        let place = |offset| LogPosition::new("binlog.000007", offset).unwrap();
        let mut judge = |offset| {
            readings.judge(Fault::from(EventError::Checksum).at(31, &place(offset)), &place(offset))
        };
        assert!(judge(4).is_transient());
        assert!(judge(4).is_transient());
        // Another place counts anew.
        for _ in 0..2 {
            let error = judge(99);
            assert!(error.is_transient());
            assert_eq!(
                error.to_string(),
                "the binlog is damaged at binlog.000007:99: event type 31: the event's CRC32 does not match its bytes"
            );
        }
        let error = judge(99);
        assert_eq!(error.kind(), &ErrorKind::Operator);
        assert!(error.to_string().contains("binlog.000007:99") && error.hint_text().is_some());
    }
}
