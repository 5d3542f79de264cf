//! Constant defaults as `information_schema` prints them, in the column's type.

use super::statement::DefaultSpec;
use crate::{metadata::ColumnMeta, types::Flavor};

/// Prints a default. `column` has its type already. None: the column has no default that is printed. What this server would
/// print otherwise in a way that is not known is given as it was written.
pub(super) fn printed(
    default: &DefaultSpec,
    column: &ColumnMeta,
    flavor: Flavor,
) -> Option<String> {
    let maria = flavor == Flavor::MariaDb;
    let kind = column.data_type.as_str();
    Some(match default {
        DefaultSpec::Null => return none(column, flavor),
        DefaultSpec::Now(digits) => now(*digits, maria),
        DefaultSpec::Expression(text) => text.clone(),
        DefaultSpec::Bits(bytes) if kind == "bit" => bit(bytes),
        DefaultSpec::Bits(bytes) if is_number(kind) => {
            let number = bytes.iter().fold(0u128, |n, byte| n << 8 | u128::from(*byte));
            number_of(&number.to_string(), column)
        }
        DefaultSpec::Bits(bytes) => string(bytes, column, maria),
        DefaultSpec::Number(number) if kind == "bit" => {
            let value: u64 = number.parse().unwrap_or_default();
            format!("b'{value:b}'")
        }
        DefaultSpec::Text(text) if kind == "bit" => bit(text.as_bytes()),
        DefaultSpec::Number(text) | DefaultSpec::Text(text) => {
            if is_number(kind) {
                number_of(text.trim(), column)
            } else if matches!(kind, "date" | "time" | "datetime" | "timestamp") {
                let text = temporal(text.trim(), kind, column.fraction.unwrap_or(0));
                if maria { quoted(&text) } else { text }
            } else if kind == "set" {
                let text = set(text, &column.column_type);
                if maria { quoted(&text) } else { text }
            } else {
                string(text.as_bytes(), column, maria)
            }
        }
    })
}

/// What stands for "no default": MariaDB prints NULL where null is what a row gets.
pub(super) fn none(column: &ColumnMeta, flavor: Flavor) -> Option<String> {
    (flavor == Flavor::MariaDb && column.nullable).then(|| "NULL".to_owned())
}

pub(super) fn now(digits: u64, maria: bool) -> String {
    match (maria, digits) {
        (true, 0) => "current_timestamp()".into(),
        (true, digits) => format!("current_timestamp({digits})"),
        (false, 0) => "CURRENT_TIMESTAMP".into(),
        (false, digits) => format!("CURRENT_TIMESTAMP({digits})"),
    }
}

fn is_number(kind: &str) -> bool {
    matches!(
        kind,
        "tinyint"
            | "smallint"
            | "mediumint"
            | "int"
            | "bigint"
            | "decimal"
            | "float"
            | "double"
            | "year"
    )
}

fn bit(bytes: &[u8]) -> String {
    let number = bytes.iter().fold(0u64, |n, byte| n << 8 | u64::from(*byte));
    format!("b'{number:b}'")
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for character in text.chars() {
        match character {
            '\'' => quoted.push_str("''"),
            '\\' => quoted.push_str("\\\\"),
            '\0' => quoted.push_str("\\0"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

fn string(bytes: &[u8], column: &ColumnMeta, maria: bool) -> String {
    let binary = matches!(column.data_type.as_str(), "binary" | "varbinary");
    let mut bytes = bytes.to_vec();
    if maria && column.data_type == "binary" {
        let length = column.length.unwrap_or(0).min(255) as usize;
        bytes.resize(length.max(bytes.len()), 0);
    }
    if binary && !maria {
        let digits: String = bytes.iter().map(|byte| format!("{byte:02X}")).collect();
        return format!("0x{digits}");
    }
    let text = String::from_utf8_lossy(&bytes);
    // CHAR loses the blanks at its end.
    let text = if column.data_type == "char" { text.trim_end_matches(' ') } else { &text };
    if maria { quoted(text) } else { text.to_owned() }
}

/// A number in the column's type: its decimals, its leading zeros.
fn number_of(text: &str, column: &ColumnMeta) -> String {
    let (negative, digits) = match text.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    };
    let kind = column.data_type.as_str();
    let sign = if negative { "-" } else { "" };
    let mut plain = match kind {
        "float" | "double" if column.scale.is_none() => {
            let value: f64 = digits.parse().unwrap_or_default();
            let value = if kind == "float" { f64::from(value as f32) } else { value };
            float(value, kind == "float")
        }
        "year" => match digits.parse::<u32>() {
            Ok(year @ 1..=69) => (2000 + year).to_string(),
            Ok(year @ 70..=99) => (1900 + year).to_string(),
            Ok(0) => "0000".into(),
            _ => digits.to_owned(),
        },
        _ => fixed(digits, column.scale.unwrap_or(0) as usize),
    };
    if column.column_type.contains("zerofill") {
        let width = column
            .column_type
            .split(['(', ')', ','])
            .nth(1)
            .and_then(|width| width.parse::<usize>().ok())
            .unwrap_or(0);
        let width = if kind == "decimal" && column.scale.is_some_and(|scale| scale > 0) {
            width + 1
        } else {
            width
        };
        plain = format!("{plain:0>width$}");
    }
    let zero = plain.bytes().all(|byte| matches!(byte, b'0' | b'.'));
    if zero { plain } else { format!("{sign}{plain}") }
}

fn float(value: f64, single: bool) -> String {
    let text = if single { format!("{}", value as f32) } else { format!("{value}") };
    if value != 0.0 && !(1e-15..1e15).contains(&value) {
        let text = if single { format!("{:e}", value as f32) } else { format!("{value:e}") };
        return text;
    }
    text
}

/// Digits rounded half away from zero to so many decimals.
fn fixed(digits: &str, scale: usize) -> String {
    if digits.contains(['e', 'E']) {
        let value: f64 = digits.parse().unwrap_or_default();
        return format!("{value:.scale$}");
    }
    let (whole, fraction) = digits.split_once('.').unwrap_or((digits, ""));
    let mut all: Vec<u8> = whole.bytes().chain(fraction.bytes().take(scale)).collect();
    if all.iter().any(|byte| !byte.is_ascii_digit()) {
        return digits.to_owned();
    }
    all.extend(std::iter::repeat_n(b'0', scale.saturating_sub(fraction.len())));
    if fraction.as_bytes().get(scale).is_some_and(|next| *next >= b'5') {
        let mut at = all.len();
        loop {
            if at == 0 {
                all.insert(0, b'1');
                break;
            }
            at -= 1;
            if all[at] == b'9' {
                all[at] = b'0';
            } else {
                all[at] += 1;
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&all).into_owned();
    let (whole, fraction) = text.split_at(text.len().saturating_sub(scale));
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    if scale == 0 { whole.to_owned() } else { format!("{whole}.{fraction}") }
}

/// A date or time in the form that the server prints; what is written otherwise stays as written.
fn temporal(text: &str, kind: &str, fraction: u8) -> String {
    let parts = |text: &str, separator: char| -> Option<Vec<u32>> {
        text.split(separator).map(|part| part.parse().ok()).collect()
    };
    let zero_date = text.bytes().all(|byte| byte == b'0') && !text.is_empty();
    let (date, time) = match kind {
        "time" => ("", text),
        _ if zero_date => ("0000-00-00", ""),
        _ => text.split_once([' ', 'T']).unwrap_or((text, "")),
    };
    let date = match (kind, parts(date, '-').as_deref()) {
        ("time", _) => String::new(),
        (_, Some([year, month, day])) => format!("{year:04}-{month:02}-{day:02}"),
        (_, Some([packed])) if date.len() == 8 => {
            format!("{:04}-{:02}-{:02}", packed / 10_000, packed / 100 % 100, packed % 100)
        }
        _ => return text.to_owned(),
    };
    if kind == "date" {
        return date;
    }
    let (negative, time) = match time.strip_prefix('-') {
        Some(rest) => (true, rest),
        None => (false, time),
    };
    let (clock, digits) = time.split_once('.').unwrap_or((time, ""));
    let clock = match parts(clock, ':').as_deref() {
        Some([hours, minutes, seconds]) => format!("{hours:02}:{minutes:02}:{seconds:02}"),
        Some([hours, minutes]) => format!("{hours:02}:{minutes:02}:00"),
        Some([packed]) => {
            format!("{:02}:{:02}:{:02}", packed / 10_000, packed / 100 % 100, packed % 100)
        }
        _ if clock.is_empty() => "00:00:00".into(),
        _ => return text.to_owned(),
    };
    let mut clock = if negative { format!("-{clock}") } else { clock };
    if fraction > 0 {
        let digits: String =
            digits.chars().chain(std::iter::repeat('0')).take(usize::from(fraction)).collect();
        clock = format!("{clock}.{digits}");
    }
    if kind == "time" { clock } else { format!("{date} {clock}") }
}

/// Members in the order of the type.
fn set(text: &str, column_type: &str) -> String {
    let Some(members) = crate::types::parse_members(column_type) else { return text.to_owned() };
    let chosen: Vec<&str> = text.split(',').collect();
    let in_order: Vec<&str> =
        members.iter().map(|member| &**member).filter(|member| chosen.contains(member)).collect();
    if in_order.len() == chosen.len() { in_order.join(",") } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::schema_tests::column;

    fn check(spelled: &str, default: DefaultSpec, mysql: &str, maria: &str) {
        let mut column = column("c", spelled);
        if spelled.starts_with("decimal") {
            column.scale = Some(2);
        }
        assert_eq!(printed(&default, &column, Flavor::MySql).as_deref(), Some(mysql), "{spelled}");
        assert_eq!(
            printed(&default, &column, Flavor::MariaDb).as_deref(),
            Some(maria),
            "{spelled}"
        );
    }

    #[test]
    fn defaults_are_printed_in_their_type() {
        use DefaultSpec::{Bits, Now, Number, Text};
        check("int", Text("007".into()), "7", "7");
        check("decimal(5,2)", Number("-1.5".into()), "-1.50", "-1.50");
        check("decimal(5,2)", Number("9.999".into()), "10.00", "10.00");
        check("bit(5)", Bits(vec![5]), "b'101'", "b'101'");
        check("varchar(9)", Text("it's".into()), "it's", "'it''s'");
        check("date", Text("2020-1-2".into()), "2020-01-02", "'2020-01-02'");
        check("int(4) unsigned zerofill", Number("7".into()), "0007", "0007");
        check("datetime", Now(0), "CURRENT_TIMESTAMP", "current_timestamp()");
        check("set('a','b')", Text("b,a".into()), "a,b", "'a,b'");
    }
}
