//! Online schema changes: the helper tables of gh-ost and pt-online-schema-change, by their names and by the signatures of
//! the tools: gh-ost's comment in its statements, and the triggers that pt-online-schema-change puts on a table before it
//! copies the first row.

use super::{
    Session,
    cursor::Name,
    lexer::{Kind, Lexer},
    mode,
};

/// The tool that swaps tables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlineTool {
    /// `_t_gho` takes the place of `t`, which becomes `_t_del`.
    GhOst,
    /// `_t_new` takes the place of `t`, which becomes `_t_old`.
    PtOsc,
}

/// Underscores that pt-online-schema-change puts before a name until it is free.
const UNDERSCORES_MAX: usize = 10;
/// Longest name of a table, which gh-ost's helpers are cut to.
const NAME_CHARS_MAX: usize = 64;

/// What gh-ost puts in its statements.
const GH_OST: &[u8] = b"/* gh-ost */";
const HEAD_BYTES: usize = 256;
const HEAD_TOKENS: usize = 32;
/// How the names of pt-online-schema-change's triggers begin.
pub(crate) const TRIGGER_PREFIX: &str = "pt_osc_";

/// What a table may be a helper of: base names that its own name fits, likely first. gh-ost's log (`_t_ghc`) and the
/// tables left behind (`_t_del`, `_t_old`) are helpers too.
pub fn bases_of(helper: &str) -> Vec<(OnlineTool, String)> {
    let Some(inner) = helper.strip_prefix('_') else { return Vec::new() };
    let mut bases = Vec::new();
    for suffix in ["_gho", "_ghc", "_del"] {
        if let Some(base) = inner.strip_suffix(suffix) {
            bases.push((OnlineTool::GhOst, base.to_owned()));
            // `_t_20240131120000_del`, when old tables are stamped with their time.
            if let Some((base, stamp)) = base.rsplit_once('_')
                && stamp.len() == 14
                && stamp.bytes().all(|byte| byte.is_ascii_digit())
            {
                bases.push((OnlineTool::GhOst, base.to_owned()));
            }
        }
    }
    for suffix in ["_new", "_old"] {
        let Some(mut base) = inner.strip_suffix(suffix) else { continue };
        for _ in 0..UNDERSCORES_MAX {
            bases.push((OnlineTool::PtOsc, base.to_owned()));
            let Some(rest) = base.strip_prefix('_') else { break };
            base = rest;
        }
    }
    bases.retain(|(_, base)| !base.is_empty());
    bases
}

/// Whether gh-ost sent this statement.
pub(super) fn is_by_gh_ost(text: &[u8]) -> bool {
    text.windows(GH_OST.len()).take(HEAD_BYTES).any(|bytes| bytes == GH_OST)
}

/// The table that a statement puts a trigger of pt-online-schema-change on.
pub(super) fn watched(session: &Session, text: &[u8]) -> Option<Name> {
    let mut lexer = Lexer::new(
        text,
        session.dialect,
        session.has_mode(mode::ANSI_QUOTES),
        !session.has_mode(mode::NO_BACKSLASH_ESCAPES),
    );
    // `CREATE [DEFINER = user] TRIGGER [IF NOT EXISTS] name time event ON table`, no more of it.
    let mut tokens = Vec::new();
    while tokens.len() < HEAD_TOKENS {
        let Ok(Some(token)) = lexer.token() else { break };
        tokens.push(token.kind);
    }
    let is = |at: usize, word: &str| matches!(tokens.get(at), Some(Kind::Word(found)) if found.eq_ignore_ascii_case(word));
    let name = |at: usize| match tokens.get(at) {
        Some(Kind::Word(name) | Kind::Quoted(name)) => Some(name.clone()),
        _ => None,
    };
    if !is(0, "CREATE") {
        return None;
    }
    let trigger = (1..tokens.len()).find(|&at| is(at, "TRIGGER"))?;
    let on = (trigger + 1..tokens.len()).find(|&at| is(at, "ON"))?;
    let is_theirs =
        (trigger + 1..on).any(|at| name(at).is_some_and(|name| name.starts_with(TRIGGER_PREFIX)));
    let first = name(on + 1).filter(|_| is_theirs)?;
    match tokens.get(on + 2) {
        Some(Kind::Symbol(b'.')) => Some(Name { database: Some(first), table: name(on + 3)? }),
        _ => Some(Name { database: None, table: first }),
    }
}

/// Whether `helper` may be one of `table`, also when the name was cut to fit.
pub fn is_helper_of(helper: &str, table: &str) -> Option<OnlineTool> {
    let full = helper.chars().count() >= NAME_CHARS_MAX;
    bases_of(helper)
        .into_iter()
        .find(|(_, base)| base == table || full && table.starts_with(base.as_str()))
        .map(|(tool, _)| tool)
}

/// The tool whose swap `table → old, new → table` is.
pub(super) fn swap(table: &str, old: &str, new: &str) -> Option<OnlineTool> {
    let tool = is_helper_of(old, table)?;
    let (old_suffix, new_suffix) = match tool {
        OnlineTool::GhOst => ("_del", "_gho"),
        OnlineTool::PtOsc => ("_old", "_new"),
    };
    (is_helper_of(new, table) == Some(tool)
        && old.ends_with(old_suffix)
        && new.ends_with(new_suffix))
    .then_some(tool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn triggers_of_the_tool_name_their_table() {
        let dialect =
            super::super::Dialect { flavor: crate::types::Flavor::MySql, version: (9, 7, 0) };
        let session = Session::new(dialect, 0);
        for (text, want) in [
            (
                "CREATE TRIGGER `pt_osc_shop_t_del` AFTER DELETE ON `shop`.`t` FOR EACH ROW BEGIN END",
                Some("shop.t"),
            ),
            (
                "CREATE DEFINER=`a`@`%` TRIGGER pt_osc_t_ins AFTER INSERT ON t FOR EACH ROW REPLACE",
                Some("t"),
            ),
            ("CREATE DEFINER=`a`@`%` TRIGGER `shop`.`pt_osc_t_ins` AFTER INSERT ON `t`", Some("t")),
            ("CREATE TRIGGER mine AFTER INSERT ON t FOR EACH ROW SET @a = 'pt_osc_'", None),
            ("DROP TRIGGER IF EXISTS `shop`.`pt_osc_shop_t_del`", None),
            ("CREATE TABLE pt_osc_t (a INT) /* TRIGGER ON t */", None),
            ("CREATE TRIGGER `pt_osc_", None),
        ] {
            let found = watched(&session, text.as_bytes()).map(|name| match name.database {
                Some(database) => format!("{database}.{}", name.table),
                None => name.table,
            });
            assert_eq!(found.as_deref(), want, "{text}");
        }
        assert!(is_by_gh_ost(b"rename /* gh-ost */ table a to b"));
        assert!(!is_by_gh_ost(b"rename table a to b"));
    }

    #[test]
    fn helpers_are_known_by_their_names() {
        assert_eq!(is_helper_of("_orders_gho", "orders"), Some(OnlineTool::GhOst));
        assert_eq!(is_helper_of("_orders_ghc", "orders"), Some(OnlineTool::GhOst));
        assert_eq!(is_helper_of("_orders_20240131120000_del", "orders"), Some(OnlineTool::GhOst));
        assert_eq!(is_helper_of("___orders_new", "orders"), Some(OnlineTool::PtOsc));
        assert_eq!(is_helper_of("orders_new", "orders"), None);
        assert_eq!(is_helper_of("_order_new", "orders"), None);
        assert_eq!(swap("t", "_t_del", "_t_gho"), Some(OnlineTool::GhOst));
        assert_eq!(swap("t", "_t_old", "_t_new"), Some(OnlineTool::PtOsc));
        assert_eq!(swap("t", "_t_old", "_t_gho"), None);
        assert_eq!(swap("t", "_t_new", "_t_old"), None);
    }
}
