//! Names of sink tables: Flink CDC's `route` rules applied to a source table's name (reference: flink-cdc.md §2.2).
//!
//! In: the rules of the pipeline file. Out: for a source table, its sink tables. Names only; rows are moved elsewhere.

use cdc_api::{
    Error, Result, TableId,
    pattern::{PatternError, RoutePattern},
};

/// Which of several matching rules count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RouteMode {
    /// All of them: one source table may have several sink tables.
    #[default]
    AllMatch,
    /// The first.
    FirstMatch,
}

/// The part of a rule that a fault is in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RouteField {
    /// `source-table`.
    Source,
    /// `sink-table`.
    Sink,
    /// `replace-symbol`.
    ReplaceSymbol,
}

/// A fault in a rule, with its place in the text of that field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteFault {
    /// Which text.
    pub field: RouteField,
    /// Byte offset in that text; none when all of it is to blame.
    pub offset: Option<usize>,
    /// What is wrong; lower case, no full stop.
    pub message: String,
    /// What would be right.
    pub hint: Option<String>,
}

impl RouteFault {
    fn of(field: RouteField, error: PatternError) -> Self {
        RouteFault { field, offset: Some(error.offset), message: error.message, hint: error.hint }
    }

    fn whole(field: RouteField, message: &str, hint: &str) -> Self {
        RouteFault { field, offset: None, message: message.to_owned(), hint: Some(hint.to_owned()) }
    }
}

/// One rule, compiled.
#[derive(Debug, Clone)]
pub struct RouteRule {
    source_text: String,
    sink_text: String,
    source: RoutePattern,
    sink: Vec<Piece>,
}

#[derive(Debug, Clone)]
enum Piece {
    Text(String),
    /// A group of the source pattern.
    Group(usize),
    /// The source table's own name, without its database.
    TableName,
}

impl RouteRule {
    /// Compiles a rule. With a replace symbol each of its occurrences stands for the source table's name, and `$1` is
    /// plain text; without one, `$1` to `$9` stand for groups of the source pattern and `\$` for a dollar.
    ///
    /// # Errors
    /// What is wrong in which field.
    pub fn new(
        source_table: &str,
        sink_table: &str,
        replace_symbol: Option<&str>,
    ) -> Result<Self, Vec<RouteFault>> {
        let mut faults = Vec::new();
        let source = RoutePattern::parse(source_table)
            .map_err(|error| faults.push(RouteFault::of(RouteField::Source, error)))
            .ok();
        let sink = match replace_symbol {
            Some("") => {
                let (message, hint) = ("the replace symbol is empty", "write for example `<>`");
                faults.push(RouteFault::whole(RouteField::ReplaceSymbol, message, hint));
                None
            }
            Some(symbol) => Some(by_symbol(sink_table, symbol)),
            None => by_groups(sink_table, source.as_ref().map(RoutePattern::group_count))
                .map_err(|error| faults.push(RouteFault::of(RouteField::Sink, error)))
                .ok(),
        };
        if let Some(pieces) = &sink
            && let Err(error) = TableId::parse(&expand(pieces, "x", &[]))
        {
            let (message, hint) = (error.message(), "write database.table");
            faults.push(RouteFault::whole(RouteField::Sink, message, hint));
        }
        match (source, sink) {
            (Some(source), Some(sink)) if faults.is_empty() => Ok(RouteRule {
                source_text: source_table.to_owned(),
                sink_text: sink_table.to_owned(),
                source,
                sink,
            }),
            _ => Err(faults),
        }
    }

    /// The source pattern as written.
    pub fn source_table(&self) -> &str {
        &self.source_text
    }

    /// The sink table as written.
    pub fn sink_table(&self) -> &str {
        &self.sink_text
    }

    fn sink_of(&self, table: &TableId) -> Result<Option<TableId>> {
        let Some(groups) = self.source.groups(table)? else { return Ok(None) };
        let name = expand(&self.sink, &table.table, &groups);
        TableId::parse(&name).map(Some).map_err(|error| {
            Error::config(format!(
                "table \"{table}\" has no sink table by the route to \"{}\"",
                self.sink_text
            ))
            .hint("a group of `source-table` that matches nothing leaves a part of the name empty")
            .caused_by(error)
        })
    }
}

fn fault_at(offset: usize, message: impl Into<String>, hint: impl Into<String>) -> PatternError {
    PatternError { offset, message: message.into(), hint: Some(hint.into()) }
}

fn by_symbol(sink: &str, symbol: &str) -> Vec<Piece> {
    let mut pieces = Vec::new();
    for (i, text) in sink.split(symbol).enumerate() {
        if i > 0 {
            pieces.push(Piece::TableName);
        }
        pieces.push(Piece::Text(text.to_owned()));
    }
    pieces
}

/// `groups` is none when the source pattern is itself at fault; then numbers are not judged.
fn by_groups(sink: &str, groups: Option<usize>) -> Result<Vec<Piece>, PatternError> {
    let mut pieces = Vec::new();
    let mut text = String::new();
    let mut rest = sink.char_indices().peekable();
    while let Some((at, char)) = rest.next() {
        match (char, rest.peek().map(|(_, next)| *next)) {
            ('\\', Some(next)) => {
                text.push(next);
                rest.next();
            }
            ('$', Some(digit @ '0'..='9')) => {
                rest.next();
                let group = digit as usize - '0' as usize;
                if let Some(count) = groups.filter(|count| group > *count) {
                    let message = match count {
                        0 => format!("`${group}` stands for a group, and `source-table` has none"),
                        1 => format!(
                            "`${group}` stands for a group, and `source-table` has only one"
                        ),
                        _ => format!(
                            "`${group}` stands for a group, and `source-table` has only {count}"
                        ),
                    };
                    let hint = r"put what it stands for in parentheses: app.(\.*)";
                    return Err(fault_at(at, message, hint));
                }
                pieces.push(Piece::Text(std::mem::take(&mut text)));
                pieces.push(Piece::Group(group));
            }
            ('$', _) => {
                let hint =
                    r"write $1 to $9 for a group of `source-table`, or `\$` for a plain dollar";
                return Err(fault_at(at, "`$` stands for nothing here", hint));
            }
            _ => text.push(char),
        }
    }
    pieces.push(Piece::Text(text));
    Ok(pieces)
}

/// A group beyond the given ones stands as its number, for the check of a template.
fn expand(pieces: &[Piece], table: &str, groups: &[String]) -> String {
    let mut name = String::new();
    for piece in pieces {
        match piece {
            Piece::Text(text) => name.push_str(text),
            Piece::TableName => name.push_str(table),
            Piece::Group(group) => match groups.get(*group) {
                Some(text) => name.push_str(text),
                None => name.push_str(&group.to_string()),
            },
        }
    }
    name
}

/// All rules of a pipeline.
///
/// The answer may be several sink tables for one source table, and one sink table for several source tables.
#[derive(Debug, Clone, Default)]
pub struct RouteTable {
    rules: Vec<RouteRule>,
    mode: RouteMode,
}

impl RouteTable {
    /// Rules in the file's order.
    pub fn new(rules: Vec<RouteRule>, mode: RouteMode) -> Self {
        RouteTable { rules, mode }
    }

    /// The sink tables of a source table, in the rules' order and each once. Without a matching rule it keeps its name.
    ///
    /// # Errors
    /// `Config` when a rule makes no name of it, or a pattern ran out of steps on it.
    pub fn sink_tables(&self, table: &TableId) -> Result<Vec<TableId>> {
        let mut sinks: Vec<TableId> = Vec::new();
        for rule in &self.rules {
            if let Some(sink) = rule.sink_of(table)? {
                if !sinks.contains(&sink) {
                    sinks.push(sink);
                }
                if self.mode == RouteMode::FirstMatch {
                    break;
                }
            }
        }
        if sinks.is_empty() {
            sinks.push(table.clone());
        }
        Ok(sinks)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Written = (&'static str, &'static str, Option<&'static str>);

    fn routes(rules: &[Written], mode: RouteMode, table: &str) -> Vec<String> {
        let rules = rules
            .iter()
            .map(|(source, sink, symbol)| RouteRule::new(source, sink, *symbol).expect(source))
            .collect();
        let table = TableId::parse(table).unwrap();
        let sinks = RouteTable::new(rules, mode).sink_tables(&table).unwrap();
        sinks.iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn check(rules: &[Written], table: &str, expected: &[&str]) {
        assert_eq!(routes(rules, RouteMode::AllMatch, table), expected);
    }

    #[test]
    fn a_table_without_a_rule_keeps_its_name() {
        check(&[], "shop.orders", &["shop.orders"]);
        check(&[("shop.a", "x.y", None)], "shop.orders", &["shop.orders"]);
        check(&[("shop.orders", "x.y", None)], "SHOP.orders", &["SHOP.orders"]);
    }

    #[test]
    fn symbols_and_groups_are_replaced() {
        check(
            &[(r"shop.\.*", "ods.ods_<>_<>", Some("<>"))],
            "shop.orders",
            &["ods.ods_orders_orders"],
        );
        check(&[(r"shop.\.*", "ods.$1", Some("<>"))], "shop.orders", &["ods.$1"]);
        check(&[(r"(\.*)_db.(\.*)", "$1.o_$2", None)], "app_db.orders", &["app.o_orders"]);
        check(&[(r"shop.(a|b)", r"ods.\$$1", None)], "shop.b", &["ods.$b"]);
        check(&[(r"shop.\.*", "lake.$0", None)], "shop.b", &["lake.shop.b"]);
    }

    #[test]
    fn shards_end_in_one_table_and_one_table_in_many() {
        let rules =
            [(r"shop[0-9]+.orders", "all.orders", None), (r"shop1.\.*", "copy.<>", Some("<>"))];
        check(&rules, "shop7.orders", &["all.orders"]);
        check(&rules, "shop1.orders", &["all.orders", "copy.orders"]);
        assert_eq!(routes(&rules, RouteMode::FirstMatch, "shop1.orders"), ["all.orders"]);
        check(&[rules[0], rules[0]], "shop1.orders", &["all.orders"]);
    }

    #[track_caller]
    fn fails(rule: Written, expected: &[(RouteField, Option<usize>, &str)]) {
        let faults = RouteRule::new(rule.0, rule.1, rule.2).expect_err(rule.0);
        let seen: Vec<_> = faults
            .iter()
            .map(|fault| (fault.field, fault.offset, fault.message.as_str()))
            .collect();
        assert_eq!(seen, expected);
    }

    #[test]
    fn faults_name_their_field_and_place() {
        use RouteField::{ReplaceSymbol, Sink, Source};
        fails(
            ("a.(b", "x..$2", None),
            &[
                (Source, Some(2), "unclosed group"),
                (Sink, None, "table name \"x..2\" has an empty part"),
            ],
        );
        fails(
            ("a.(b)", "x.$2", None),
            &[(Sink, Some(2), "`$2` stands for a group, and `source-table` has only one")],
        );
        fails(
            ("a.b", "x.$1", None),
            &[(Sink, Some(2), "`$1` stands for a group, and `source-table` has none")],
        );
        fails(("a.b", "x.y$", None), &[(Sink, Some(3), "`$` stands for nothing here")]);
        fails(("a.b", "x.y", Some("")), &[(ReplaceSymbol, None, "the replace symbol is empty")]);
    }

    #[test]
    fn a_group_that_matches_nothing_is_an_error_not_an_empty_name() {
        let rule = RouteRule::new(r"shop.(a)?b", "x.$1", None).unwrap();
        let table = TableId::new("shop", "b");
        let error =
            RouteTable::new(vec![rule], RouteMode::AllMatch).sink_tables(&table).unwrap_err();
        assert!(error.message().contains("shop.b"), "{error}");
    }
}
