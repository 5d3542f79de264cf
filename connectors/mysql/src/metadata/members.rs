//! Members of ENUM and SET columns that the server's metadata cannot hold.
//!
//! Both servers keep member lists in three-byte UTF-8 for metadata: a character beyond the BMP reads as `?` there, in
//! SHOW CREATE TABLE too, while rows have it. Each can still be made to spell every member, without reading a row and with
//! SELECT on the table alone. MySQL: the first part of a recursive CTE gives its column the table column's own type, the
//! second part stores numbers into it. MariaDB (whose CTEs keep but eight bits of a SET): a variable of the column's type
//! in a compound statement. In: a described table. Out: the same with its `column_type`s made whole, or why that cannot be.

use cdc_api::QuarantinedTable;

use super::{
    discover::quoted,
    server::flavor_of,
    table::{ColumnMeta, TableMeta},
};
use crate::{
    types::{Flavor, Kind, quote_identifier, spell_members},
    wire::{Connection, WireError},
};

/// How many members one statement asks MySQL for, which ends a recursion after 1000 rounds.
const MEMBERS_PER_STATEMENT: usize = 500;
/// ER_TABLEACCESS_DENIED_ERROR and ER_COLUMNACCESS_DENIED_ERROR: preflight names the grant that is missing.
const DENIED: [u16; 2] = [1142, 1143];

/// Makes the member lists of a table whole.
///
/// # Errors
/// The connection's.
pub(super) async fn complete(
    connection: &mut Connection,
    table: &mut TableMeta,
) -> Result<Option<QuarantinedTable>, WireError> {
    for at in 0..table.columns.len() {
        let column = &table.columns[at];
        if !is_doubtful(column) {
            continue;
        }
        let listed = match Kind::of(column) {
            Ok(Kind::Enum { members } | Kind::Set { members }) => members,
            // Refused for what it is, where its type is made.
            _ => continue,
        };
        let (name, count) = (quoted(&table.id), listed.len());
        let asked = match flavor_of(connection.server_version()) {
            Flavor::MySql => ask_mysql(connection, &name, column, count).await,
            Flavor::MariaDb => ask_mariadb(connection, &name, column, count).await,
        };
        let members = match asked {
            Ok(members) => members,
            Err(error) if error.code().is_some_and(|code| DENIED.contains(&code)) => continue,
            Err(error) if error.code().is_some() && !error.is_transient() => {
                return Ok(Some(refused(table, column, &error.to_string())));
            }
            Err(error) => return Err(error),
        };
        let agrees = members.len() == listed.len()
            && members.iter().zip(listed.iter()).all(|(member, listed)| shown(member) == **listed);
        if !agrees {
            return Ok(Some(refused(table, column, "its SELECT spells other members")));
        }
        let spelled = spell_members(&column.data_type, &members);
        table.columns[at].column_type = spelled;
    }
    Ok(None)
}

/// Whether a `?` among the members may stand for a character that metadata cannot hold.
fn is_doubtful(column: &ColumnMeta) -> bool {
    let has_members = matches!(column.data_type.as_str(), "enum" | "set");
    let four_bytes = matches!(
        column.charset.as_deref(),
        Some("utf8mb4" | "utf16" | "utf16le" | "utf32" | "gb18030")
    );
    has_members && four_bytes && column.column_type.contains('?')
}

/// As metadata shows a member.
fn shown(member: &str) -> String {
    member.chars().map(|character| if character > '\u{FFFF}' { '?' } else { character }).collect()
}

async fn ask_mysql(
    connection: &mut Connection,
    table: &str,
    column: &ColumnMeta,
    count: usize,
) -> Result<Vec<String>, WireError> {
    let mut members = Vec::with_capacity(count);
    while members.len() < count {
        let last = count.min(members.len() + MEMBERS_PER_STATEMENT);
        let rows = connection.query(&member_query(table, column, members.len(), last)).await?;
        for row in rows.iter() {
            let member = row.text_at(0).as_deref().and_then(text_of_hex);
            members.push(member.ok_or_else(|| WireError::protocol("a member is no text"))?);
        }
        if members.len() != last {
            return Err(WireError::protocol("members are missing in the server's answer"));
        }
    }
    Ok(members)
}

async fn ask_mariadb(
    connection: &mut Connection,
    table: &str,
    column: &ColumnMeta,
    count: usize,
) -> Result<Vec<String>, WireError> {
    connection.query_drop(&member_loop(table, column, count)).await?;
    let members = connection.query_value("SELECT @cdc_members").await?.unwrap_or_default();
    members
        .split(',')
        .map(|digits| text_of_hex(digits).ok_or_else(|| WireError::protocol("a member is no text")))
        .collect()
}

/// Puts all members into a variable of the session: hexadecimal UTF-8, with commas between.
fn member_loop(table: &str, column: &ColumnMeta, count: usize) -> String {
    let name = quote_identifier(&column.name);
    let stored = if column.data_type == "set" { "1 << n" } else { "n + 1" };
    format!(
        "BEGIN NOT ATOMIC DECLARE member TYPE OF {table}.{name}; DECLARE n INT DEFAULT 0; SET @cdc_members = ''; \
         WHILE n < {count} DO SET member = {stored}; \
         SET @cdc_members = CONCAT(@cdc_members, IF(n = 0, '', ','), HEX(CONVERT(member USING utf8mb4))); \
         SET n = n + 1; END WHILE; END"
    )
}

/// Members number `behind` + 1 to `last`, one a row, as hexadecimal UTF-8.
fn member_query(table: &str, column: &ColumnMeta, behind: usize, last: usize) -> String {
    let name = quote_identifier(&column.name);
    // An ENUM is stored by its number, a SET by its bits.
    let stored = if column.data_type == "set" { "1 << n" } else { "n + 1" };
    format!(
        "WITH RECURSIVE members (n, member) AS (\
         SELECT {behind}, t.{name} FROM (SELECT 1 AS one) AS x LEFT JOIN {table} AS t ON FALSE \
         UNION ALL SELECT n + 1, {stored} FROM members WHERE n < {last}) \
         SELECT HEX(CONVERT(member USING utf8mb4)) FROM members WHERE n > {behind} ORDER BY n"
    )
}

fn text_of_hex(digits: &str) -> Option<String> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes = digits.as_bytes().chunks(2).map(pair).collect::<Option<Vec<u8>>>()?;
    String::from_utf8(bytes).ok()
}

fn refused(table: &TableMeta, column: &ColumnMeta, why: &str) -> QuarantinedTable {
    QuarantinedTable {
        table: table.id.clone(),
        reason: format!(
            "column \"{}\" of table \"{}\" has an ENUM or SET member with a `?`, which is also how the server prints a \
             character that its metadata cannot hold, and the members cannot be read otherwise: {why}",
            column.name, table.id
        ),
        remedy: format!("rename the member, or list {} in tables.exclude", table.id),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::types::schema_tests::column;

    #[test]
    fn only_question_marks_in_charsets_with_more_than_the_bmp_are_doubtful() {
        let mut mood = column("mood", "enum('?','b')");
        assert!(is_doubtful(&mood));
        mood.charset = Some("latin1".into());
        assert!(!is_doubtful(&mood));
        assert!(!is_doubtful(&column("mood", "enum('a','b')")));
        assert!(!is_doubtful(&column("note", "varchar(9)")));
    }

    #[test]
    fn members_are_asked_for_by_number_or_bit() {
        let sql = member_query("`d`.`t`", &column("a`b", "enum('?')"), 500, 501);
        assert!(sql.contains("SELECT 500, t.`a``b` FROM"), "{sql}");
        assert!(sql.contains("SELECT n + 1, n + 1 FROM members WHERE n < 501"), "{sql}");
        assert!(member_query("t", &column("s", "set('?')"), 0, 1).contains("n + 1, 1 << n"));
        let sql = member_loop("`d`.`t`", &column("s", "set('?','a')"), 2);
        assert!(
            sql.contains("TYPE OF `d`.`t`.`s`;")
                && sql.contains("WHILE n < 2 DO SET member = 1 << n;"),
            "{sql}"
        );
        assert_eq!(text_of_hex("78F09F9880").as_deref(), Some("x😀"));
        assert_eq!(text_of_hex("FF"), None);
        assert_eq!(shown("x😀é?"), "x?é?");
    }
}
