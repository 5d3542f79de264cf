//! An error as the user reads it: what happened, why, and what to do about it.

use std::error::Error as _;

use cdc_api::{Error, ErrorKind};

/// Causes beyond this many say nothing new.
const CAUSES_MAX: usize = 8;

/// The error with its chain and its hint, a line each.
pub fn error_text(error: &Error, color: bool) -> String {
    let paint = |code: &str, text: &str| match color {
        true => format!("\u{1b}[{code}m{text}\u{1b}[0m"),
        false => text.to_owned(),
    };
    let mut text = format!("{} {error}\n", paint("1;31", "error:"));
    let mut hints: Vec<&str> = error.hint_text().into_iter().collect();
    let mut cause = error.source();
    for _ in 0..CAUSES_MAX {
        let Some(error) = cause else { break };
        text += &format!("  caused by: {error}\n");
        hints.extend(error.downcast_ref::<Error>().and_then(Error::hint_text));
        cause = error.source();
    }
    hints.dedup();
    for hint in hints {
        // A remedy of several lines, such as SQL, stays readable.
        let hint = hint.trim_end().replace('\n', "\n        ");
        text += &format!("  {} {hint}\n", paint("36", "hint:"));
    }
    if *error.kind() == ErrorKind::Internal {
        text += "  this is a fault of cdc-cli, not of yours: please report it with this message\n";
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_and_hints_are_lines_of_their_own() {
        let socket = std::io::Error::other("connection refused");
        let connect = Error::transient("server db:3306 cannot be reached")
            .caused_by(socket)
            .hint("check hostname and port");
        let error = Error::operator("the pipeline stopped").detail("5 tries").caused_by(connect);
        insta::assert_snapshot!(error_text(&error, false), @"
        error: the pipeline stopped: 5 tries
          caused by: server db:3306 cannot be reached
          caused by: connection refused
          hint: check hostname and port
        ");
    }

    #[test]
    fn colours_and_long_remedies() {
        let error = Error::internal("a checkpoint went back").hint("GRANT a;\nGRANT b;\n");
        let text = error_text(&error, true);
        assert!(text.starts_with("\u{1b}[1;31merror:\u{1b}[0m a checkpoint"), "{text}");
        assert!(text.contains("GRANT a;\n        GRANT b;\n"), "{text}");
        assert!(text.contains("please report it"), "{text}");
    }
}
