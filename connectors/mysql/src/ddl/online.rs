//! Online schema changes: the helper tables of gh-ost and pt-online-schema-change, by their names.

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
