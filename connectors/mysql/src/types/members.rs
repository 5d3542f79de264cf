//! The members of ENUM and SET columns, read from `COLUMN_TYPE`.

use std::sync::Arc;

/// Reads `enum('a','b''c')`. The server doubles quotes and writes `\\`, `\n`, `\r` and `\0` with a backslash, whatever
/// the sql_mode is.
pub(crate) fn parse_members(column_type: &str) -> Option<Arc<[Box<str>]>> {
    let open = column_type.find('(')?;
    let mut chars = column_type[open + 1..].chars().peekable();
    let mut members: Vec<Box<str>> = Vec::new();
    loop {
        if chars.next()? != '\'' {
            return None;
        }
        let mut member = String::new();
        loop {
            match chars.next()? {
                '\'' if chars.peek() == Some(&'\'') => {
                    chars.next();
                    member.push('\'');
                }
                '\'' => break,
                '\\' => member.push(match chars.next()? {
                    'n' => '\n',
                    'r' => '\r',
                    '0' => '\0',
                    other => other,
                }),
                other => member.push(other),
            }
        }
        members.push(member.into());
        match chars.next()? {
            ',' => {}
            ')' => return Some(members.into()),
            _ => return None,
        }
    }
}

/// The reverse of [`parse_members`], for a `data_type` of `enum` or `set`.
pub(crate) fn spell_members(data_type: &str, members: &[String]) -> String {
    let mut spelled = format!("{data_type}(");
    for (nth, member) in members.iter().enumerate() {
        spelled.push_str(if nth == 0 { "'" } else { ",'" });
        for character in member.chars() {
            match character {
                '\'' => spelled.push_str("''"),
                '\\' => spelled.push_str("\\\\"),
                '\n' => spelled.push_str("\\n"),
                '\r' => spelled.push_str("\\r"),
                '\0' => spelled.push_str("\\0"),
                other => spelled.push(other),
            }
        }
        spelled.push('\'');
    }
    spelled.push(')');
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(column_type: &str, expected: &[&str]) {
        let members = parse_members(column_type).unwrap();
        assert_eq!(members.iter().map(|member| &**member).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn members_are_unescaped() {
        check("enum('a','b')", &["a", "b"]);
        check("enum('')", &[""]);
        check(r"set('it''s','a\\b','c\nd',')','é,')", &["it's", r"a\b", "c\nd", ")", "é,"]);
    }

    #[test]
    fn what_is_spelled_is_read_again() {
        let members = ["a,b", "it's", "", r"\", "\r\n\0", "😀", "?"];
        let spelled = spell_members("set", &members.map(str::to_owned));
        check(&spelled, &members);
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        for text in ["enum", "enum(", "enum('a'", "enum('a',", "enum('a", "enum(a)"] {
            assert_eq!(parse_members(text), None, "{text}");
        }
    }
}
