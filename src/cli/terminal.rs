//! What stderr can show.

use std::io::IsTerminal as _;

use super::Color;
use crate::definition::Screen;

const COLUMNS_DEFAULT: usize = 100;

/// What stderr can show.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terminal {
    /// A person looks at it.
    pub(super) interactive: bool,
    /// ANSI colours.
    pub(super) color: bool,
    unicode: bool,
    columns: usize,
}

impl Terminal {
    pub(super) fn stderr(color: Color) -> Self {
        let interactive = std::io::stderr().is_terminal();
        let set = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let color = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                interactive
                    && set("NO_COLOR").is_none()
                    && set("TERM").is_none_or(|term| term != "dumb")
            }
        };
        // The first of these that is set decides, as everywhere in POSIX.
        let locale = ["LC_ALL", "LC_CTYPE", "LANG"].into_iter().find_map(set).unwrap_or_default();
        let locale = locale.to_ascii_lowercase();
        let unicode = interactive && (locale.contains("utf-8") || locale.contains("utf8"));
        let columns = set("COLUMNS").and_then(|text| text.parse().ok()).unwrap_or(COLUMNS_DEFAULT);
        Terminal { interactive, color, unicode, columns: columns.clamp(40, 200) }
    }

    pub(super) fn screen(self) -> Screen {
        match self.interactive {
            true => Screen { color: self.color, unicode: self.unicode, width: self.columns },
            false => Screen { color: self.color, ..Screen::PLAIN },
        }
    }
}
