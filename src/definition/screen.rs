//! How faults look to the user: each with its place, a caret below the line, and a hint; secrets masked.

use std::fmt;

use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, Severity,
    SourceCode, ThemeCharacters, ThemeStyles,
};

use super::{fault::Fault, mask::Masked};

/// A file whose every fault would fill more than a few screens is shown its first ones.
const FAULTS_SHOWN_MAX: usize = 30;
/// Longer lines are not shown: they are no line that a person wrote.
const LINE_BYTES_MAX: usize = 500;

/// What the terminal can show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Screen {
    /// ANSI colours.
    pub color: bool,
    /// Box-drawing characters.
    pub unicode: bool,
    /// Columns.
    pub width: usize,
}

impl Screen {
    /// What looks right in a log file: no colour, ASCII only, no line broken.
    pub const PLAIN: Screen = Screen { color: false, unicode: false, width: 1000 };
}

/// What a report says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Weight {
    /// It cannot be used.
    Fault,
    /// It can, but is hardly meant so.
    Warning,
}

/// All faults of one file, or all warnings about it, in its order.
pub struct Report {
    pub(super) weight: Weight,
    pub(super) file: String,
    pub(super) faults: Vec<Fault>,
    pub(super) masked: Masked,
}

impl Report {
    /// The faults, in the file's order. Secrets are not in their messages.
    pub fn faults(&self) -> &[Fault] {
        &self.faults
    }

    /// The screen.
    pub fn screen(&self, screen: Screen) -> String {
        let handler = handler(screen);
        let mut out = String::new();
        for fault in self.faults.iter().take(FAULTS_SHOWN_MAX) {
            out.push_str(&self.fault(fault, &handler));
            out.push('\n');
        }
        let count = self.faults.len();
        if count > FAULTS_SHOWN_MAX {
            out.push_str(&format!("  ... and {} more\n\n", count - FAULTS_SHOWN_MAX));
        }
        let (begin, one, more) = match self.weight {
            Weight::Fault => ("error", "fault", "faults"),
            Weight::Warning => ("warning", "doubtful place", "doubtful places"),
        };
        let what = if count == 1 { one } else { more };
        out.push_str(&format!("{begin}: pipeline file `{}` has {count} {what}\n", self.file));
        out
    }

    fn fault(&self, fault: &Fault, handler: &GraphicalReportHandler) -> String {
        let message = if fault.path.is_empty() {
            fault.message.clone()
        } else {
            format!("{}: {}", fault.path, fault.message)
        };
        let weight = self.weight;
        let mut shown = Shown { weight, message, source: None, labels: Vec::new() };
        if let Some(span) = &fault.span {
            let mut span = self.masked.span(span);
            // What goes over several lines is underlined to the end of its first one.
            let part = self.masked.text.get(span.clone()).unwrap_or_default();
            span.end = span.start + part.find(['\n', '\r']).unwrap_or(part.len());
            if self.is_presentable(span.start) {
                let label = fault.also.as_ref().map(|_| "written again here".to_owned());
                shown
                    .labels
                    .push(LabeledSpan::new_primary_with_span(label, (span.start, span.len())));
                if let Some(also) = &fault.also {
                    let first = self.masked.span(&also.0);
                    let label = LabeledSpan::at((first.start, first.len()), also.1);
                    shown.labels.push(label);
                }
                let text = self.masked.text.clone();
                shown.source = Some(NamedSource::new(&self.file, text));
            } else {
                let (line, column) = self.line_and_column(span.start);
                shown.message += &format!(" ({}:{line}:{column})", self.file);
            }
        }
        let mut out = String::new();
        if handler.render_report(&mut out, &shown).is_err() {
            // Writing into a text cannot fail; the message alone is still the message.
            out.clone_from(&shown.message);
        }
        if let Some(hint) = &fault.hint {
            out.push_str(&format!("  hint: {hint}\n"));
        }
        out.lines().map(|line| line.trim_end().to_owned() + "\n").collect()
    }

    fn line_and_column(&self, at: usize) -> (usize, usize) {
        let before = self.masked.text.get(..at).unwrap_or_default();
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count() + 1;
        (line, column)
    }

    /// Whether the line and its neighbours are short enough to be shown.
    fn is_presentable(&self, at: usize) -> bool {
        let (line, _) = self.line_and_column(at);
        let mut around = self.masked.text.lines().skip(line.saturating_sub(2)).take(3);
        around.all(|line| line.len() <= LINE_BYTES_MAX)
    }
}

/// Faults without the file's text, for logs and panics: the screen is made on request only.
impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report").field("file", &self.file).field("faults", &self.faults).finish()
    }
}

fn handler(screen: Screen) -> GraphicalReportHandler {
    let theme = GraphicalTheme {
        characters: if screen.unicode {
            ThemeCharacters::unicode()
        } else {
            ThemeCharacters::ascii()
        },
        styles: if screen.color { ThemeStyles::ansi() } else { ThemeStyles::none() },
    };
    GraphicalReportHandler::new_themed(theme)
        .with_width(screen.width)
        .with_context_lines(1)
        .with_links(false)
        .with_break_words(false)
}

/// One fault in miette's terms.
#[derive(Debug)]
struct Shown {
    weight: Weight,
    message: String,
    source: Option<NamedSource<String>>,
    labels: Vec<LabeledSpan>,
}

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Shown {}

impl Diagnostic for Shown {
    fn severity(&self) -> Option<Severity> {
        Some(match self.weight {
            Weight::Fault => Severity::Error,
            Weight::Warning => Severity::Warning,
        })
    }
    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.as_ref().map(|source| source as _)
    }
    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        Some(Box::new(self.labels.iter().cloned()))
    }
}
