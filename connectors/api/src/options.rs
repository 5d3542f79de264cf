//! Connector options: how a connector declares them, and how it reads the values of one pipeline file.
//!
//! A value arrives as text with its key; the option's declared type parses it, so `port: "3306"` and `port: 3306` are
//! the same. Faults name the key; the pipeline file's reader adds line, column and caret.

use std::{collections::BTreeMap, fmt, time::Duration};

use crate::pattern::{RoutePattern, Selectors};

/// Source or sink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Gives rows.
    Source,
    /// Takes rows.
    Sink,
}

/// How an option's text is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionType {
    /// Any text.
    Text,
    /// Any text, never printed.
    Secret,
    /// A whole number within bounds, both inclusive.
    Integer {
        /// Smallest.
        min: i64,
        /// Largest.
        max: i64,
    },
    /// `true` or `false`.
    Boolean,
    /// A time with its unit: `30s`, `500ms`, `1 min`, `2h`.
    Duration,
    /// A size with its unit: `256MiB`, `64kb`, `1gb`, or bytes.
    Bytes,
    /// One of these words, any case.
    OneOf(&'static [&'static str]),
    /// Comma-separated table patterns; the connector says in which dialect.
    Tables,
}

impl fmt::Display for OptionType {
    /// As a table of options shows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            OptionType::Text => f.write_str("text"),
            OptionType::Secret => f.write_str("secret"),
            OptionType::Integer { min, max: i64::MAX } => write!(f, "integer from {min}"),
            OptionType::Integer { min, max } => write!(f, "integer {min} to {max}"),
            OptionType::Boolean => f.write_str("boolean"),
            OptionType::Duration => f.write_str("duration"),
            OptionType::Bytes => f.write_str("size"),
            OptionType::OneOf(words) => f.write_str(&words.join(" | ")),
            OptionType::Tables => f.write_str("table patterns"),
        }
    }
}

/// What becomes of an option.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OptionClass {
    /// It does what it says.
    Honoured,
    /// Accepted for Flink CDC's files, with one notice: why it has no effect here.
    NoEffect(&'static str),
    /// It would change rows and is not implemented: an error, with the reason.
    Refused(&'static str),
}

/// One option. A key that ends in `*` stands for every key with that beginning.
#[derive(Debug, Clone, Copy)]
pub struct OptionSpec {
    /// Flink CDC's key.
    pub key: &'static str,
    /// How its text is read.
    pub ty: OptionType,
    /// Whether it must be there.
    pub required: bool,
    /// The value when it is not, as a user would write it.
    pub default: Option<&'static str>,
    /// What it means, one sentence.
    pub meaning: &'static str,
    /// What becomes of it.
    pub class: OptionClass,
}

impl OptionSpec {
    /// An honoured option without default.
    pub const fn new(key: &'static str, ty: OptionType, meaning: &'static str) -> Self {
        OptionSpec {
            key,
            ty,
            required: false,
            default: None,
            meaning,
            class: OptionClass::Honoured,
        }
    }
    /// Must be there.
    #[must_use]
    pub const fn required(mut self) -> Self {
        self.required = true;
        self
    }
    /// With a default.
    #[must_use]
    pub const fn default(mut self, value: &'static str) -> Self {
        self.default = Some(value);
        self
    }
    /// Accepted, without effect.
    #[must_use]
    pub const fn no_effect(mut self, why: &'static str) -> Self {
        self.class = OptionClass::NoEffect(why);
        self
    }
    /// Refused.
    #[must_use]
    pub const fn refused(mut self, why: &'static str) -> Self {
        self.class = OptionClass::Refused(why);
        self
    }
    /// The option a key belongs to: an exact key first, then the longest prefix.
    pub fn find(specs: &'static [OptionSpec], key: &str) -> Option<&'static OptionSpec> {
        specs
            .iter()
            .filter(|spec| spec.matches(key))
            .max_by_key(|spec| (spec.key == key, spec.key.len()))
    }
    /// Whether a key of a file is this option.
    pub fn matches(&self, key: &str) -> bool {
        match self.key.strip_suffix('*') {
            Some(prefix) => key.len() > prefix.len() && key.starts_with(prefix),
            None => key == self.key,
        }
    }
}

/// What a connector is, for `connectors` and for checking a file.
#[derive(Debug, Clone, Copy)]
pub struct ConnectorSpec {
    /// The word behind `type:`.
    pub name: &'static str,
    /// Source or sink.
    pub role: Role,
    /// One sentence.
    pub summary: &'static str,
    /// Its options; an exact key wins over a prefix.
    pub options: &'static [OptionSpec],
}

impl ConnectorSpec {
    /// The option a key belongs to: an exact key first, then the longest prefix.
    pub fn option(&self, key: &str) -> Option<&'static OptionSpec> {
        OptionSpec::find(self.options, key)
    }
}

/// A fault in one option's value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptionFault {
    /// The option's key as written.
    pub key: String,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
    /// The byte of the value where it is wrong, when one place is to blame.
    pub offset: Option<usize>,
}

impl OptionFault {
    /// A fault of the whole value, without a hint.
    pub fn new(key: impl Into<String>, message: impl Into<String>) -> Self {
        OptionFault { key: key.into(), message: message.into(), hint: None, offset: None }
    }
    /// At one byte of the value.
    #[must_use]
    pub fn at(mut self, offset: usize) -> Self {
        self.offset = Some(offset);
        self
    }
    /// With a hint.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The options of one block of a file: checked against the connector's spec, values as text.
#[derive(Clone)]
pub struct Options {
    spec: &'static ConnectorSpec,
    values: BTreeMap<String, String>,
}

impl Options {
    /// Checked values of one block (unknown keys, required keys and types are checked by the file's reader through
    /// [`check_value`]).
    pub fn new(spec: &'static ConnectorSpec, values: BTreeMap<String, String>) -> Self {
        Options { spec, values }
    }

    /// The text of an option, or its default.
    pub fn text(&self, key: &str) -> Option<&str> {
        match self.values.get(key) {
            Some(value) => Some(value),
            None => self.spec.option(key).and_then(|spec| spec.default),
        }
    }

    /// Whether the file names it.
    pub fn is_set(&self, key: &str) -> bool {
        self.values.contains_key(key)
    }

    /// Keys and values with this beginning, beginning cut off.
    pub fn with_prefix<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.values
            .iter()
            .filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?, value.as_str())))
    }

    /// A boolean option; false when it is neither set nor has a default.
    pub fn boolean(&self, key: &str) -> bool {
        self.text(key).is_some_and(|text| text.trim().eq_ignore_ascii_case("true"))
    }

    /// A whole number.
    pub fn integer(&self, key: &str) -> Option<i64> {
        self.text(key).and_then(|text| text.trim().parse().ok())
    }

    /// A time.
    pub fn duration(&self, key: &str) -> Option<Duration> {
        self.text(key).and_then(parse_duration)
    }

    /// A size in bytes.
    pub fn bytes(&self, key: &str) -> Option<u64> {
        self.text(key).and_then(parse_bytes)
    }
}

/// Secrets never print.
impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut map = f.debug_map();
        for (key, value) in &self.values {
            let secret = names_a_secret(key)
                || self.spec.option(key).is_none_or(|spec| spec.ty == OptionType::Secret);
            map.entry(key, if secret { &"***" } else { value });
        }
        map.finish()
    }
}

const SECRET_WORDS: [&str; 8] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "private.key",
    "access.key",
];

/// Where in a key or a variable's name a word begins that says that its value is a secret.
pub fn secret_word(name: &str) -> Option<usize> {
    let name = name.to_ascii_lowercase().replace(['-', '_'], ".");
    SECRET_WORDS.iter().filter_map(|word| name.find(word)).min()
}

/// Whether a key or a variable, by its name, holds a secret: the guard for what no connector has declared.
pub fn names_a_secret(name: &str) -> bool {
    secret_word(name).is_some()
}

/// Checks one value against its option's type.
///
/// # Errors
/// A fault under `key` with what would be right. The value of a secret is never in it.
pub fn check_value(spec: &OptionSpec, key: &str, text: &str) -> Result<(), OptionFault> {
    let fault = |message: String| Err(OptionFault::new(key, message));
    match spec.ty {
        // An account may really have no password.
        OptionType::Secret => Ok(()),
        OptionType::Text => {
            if spec.required && text.trim().is_empty() {
                return fault("must not be empty".into());
            }
            Ok(())
        }
        // Which dialect it is, the connector knows; what is wrong in both is wrong.
        OptionType::Tables => match Selectors::parse(text) {
            Err(error) if RoutePattern::parse(text).is_err() => Err(error.into_fault(key)),
            _ => Ok(()),
        },
        OptionType::Integer { min, max } => match text.trim().parse::<i64>() {
            Ok(value) if (min..=max).contains(&value) => Ok(()),
            Ok(_) if max == i64::MAX => fault(format!("\"{text}\" is out of range"))
                .map_err(|f| f.hint(format!("write a number from {min} on"))),
            Ok(_) => fault(format!("\"{text}\" is out of range"))
                .map_err(|f| f.hint(format!("write a number from {min} to {max}"))),
            Err(_) => fault(format!("\"{text}\" is not a whole number")),
        },
        OptionType::Boolean => match text.trim() {
            t if t.eq_ignore_ascii_case("true") || t.eq_ignore_ascii_case("false") => Ok(()),
            _ => fault(format!("\"{text}\" is not a boolean"))
                .map_err(|f| f.hint("write true or false")),
        },
        OptionType::Duration => match parse_duration(text) {
            Some(_) => Ok(()),
            None => fault(format!("\"{text}\" is not a duration"))
                .map_err(|f| f.hint("write a number with a unit, such as 500ms, 30s, 1min or 2h")),
        },
        OptionType::Bytes => match parse_bytes(text) {
            Some(_) => Ok(()),
            None => fault(format!("\"{text}\" is not a size"))
                .map_err(|f| f.hint("write a number with a unit, such as 64MiB or 1gb")),
        },
        OptionType::OneOf(words) => {
            if words.iter().any(|word| word.eq_ignore_ascii_case(text.trim())) {
                return Ok(());
            }
            fault(format!("\"{text}\" is not one of {}", words.join(", ")))
        }
    }
}

/// Reads `30s`, `500 ms`, `1min`, `2 h`, `1 d`, and Flink's long unit names; a bare number is milliseconds, as in Flink.
pub fn parse_duration(text: &str) -> Option<Duration> {
    let (number, unit) = split_unit(text)?;
    let nanos_per = match unit.to_ascii_lowercase().as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "mins" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000_u64,
        _ => return None,
    };
    Some(Duration::from_nanos(number.checked_mul(nanos_per)?))
}

/// Reads `64MiB`, `64mb` (as in Flink, 1024-based), `1 g`, or plain bytes.
pub fn parse_bytes(text: &str) -> Option<u64> {
    let (number, unit) = split_unit(text)?;
    let shift = match unit.to_ascii_lowercase().as_str() {
        "" | "b" | "bytes" => 0,
        "k" | "kb" | "kib" | "kibibytes" => 10,
        "m" | "mb" | "mib" | "mebibytes" => 20,
        "g" | "gb" | "gib" | "gibibytes" => 30,
        "t" | "tb" | "tib" | "tebibytes" => 40,
        _ => return None,
    };
    number.checked_mul(1 << shift)
}

fn split_unit(text: &str) -> Option<(u64, &str)> {
    let text = text.trim();
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    Some((text.get(..end)?.parse().ok()?, text.get(end..)?.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_and_sizes_read_as_flink_reads_them() {
        assert_eq!(parse_duration("30s"), Some(Duration::from_secs(30)));
        assert_eq!(parse_duration(" 1 min "), Some(Duration::from_secs(60)));
        assert_eq!(parse_duration("250"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("soon"), None);
        assert_eq!(parse_duration("99999999999999 d"), None);
        assert_eq!(parse_bytes("64MiB"), Some(64 << 20));
        assert_eq!(parse_bytes("1gb"), Some(1 << 30));
        assert_eq!(parse_bytes("-1"), None);
    }
}
