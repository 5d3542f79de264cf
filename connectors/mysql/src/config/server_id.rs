//! `server-id`: the id we appear under as a replica.

use cdc_api::OptionFault;

/// The range that ids are drawn from: so large that two readers of one server hardly draw the same (Flink CDC's, 5400 to
/// 6400, is not), and above those that people give.
const DRAWN: std::ops::RangeInclusive<u32> = 1_000_000..=u32::MAX;

/// A given id, or one to be drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ServerId {
    /// The user's; of a range the first, since one log reader serves the whole pipeline.
    Given(u32),
    /// None was given: drawn at each connect.
    #[default]
    Drawn,
}

impl ServerId {
    /// Reads `5400` or `5400-5408`.
    pub(super) fn parse(text: &str) -> Result<ServerId, OptionFault> {
        let fault = |message: String| {
            OptionFault::new("server-id", message).hint("write 5400 or 5400-5408")
        };
        let number = |text: &str| match text.trim().parse::<u32>() {
            Ok(number) if number > 0 => Ok(number),
            _ => Err(fault(format!("\"{}\" is not a number from 1 to 4294967295", text.trim()))),
        };
        let Some((first, last)) = text.split_once('-') else {
            return number(text).map(ServerId::Given);
        };
        let (first, last) = (number(first)?, number(last)?);
        if last < first {
            return Err(fault(format!("\"{text}\" ends before it starts")));
        }
        Ok(ServerId::Given(first))
    }

    /// The id to use. `random` decides when it is to be drawn; after a clash with another replica the caller draws again.
    pub fn id(self, random: u64) -> u32 {
        match self {
            ServerId::Given(id) => id,
            ServerId::Drawn => {
                let span = u64::from(DRAWN.end() - DRAWN.start()) + 1;
                DRAWN.start() + u32::try_from(random % span).unwrap_or_default()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_or_the_first_of_a_range() {
        assert_eq!(ServerId::parse("5400"), Ok(ServerId::Given(5400)));
        assert_eq!(ServerId::parse(" 5400 - 5408 "), Ok(ServerId::Given(5400)));
        for wrong in ["", "0", "a", "5408-5400", "1-", "4294967296"] {
            assert!(ServerId::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn drawn_ids_stay_in_their_range() {
        for random in [0, 1, 1000, 1001, u64::MAX] {
            assert!(DRAWN.contains(&ServerId::Drawn.id(random)));
        }
        assert_eq!(ServerId::Given(7).id(99), 7);
    }
}
