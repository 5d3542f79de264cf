//! Names in the lake: a table's folder and its files. A file's name carries the pipeline's UUID, the checkpoint, the
//! writer and a counter in fixed widths, so that names sort in the order of their checkpoints, a repeated commit meets
//! its own file, and everybody can see whose file it is (correctness §5, "Identity").

use std::fmt;

use cdc_api::TableId;

const SUFFIX: &str = ".parquet";
const STAGED_SUFFIX: &str = ".staged";

/// A published file's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileName {
    /// Whose it is.
    pub(crate) pipeline_uuid: String,
    /// The checkpoint its rows belong to.
    pub(crate) checkpoint: u64,
    /// The writer that wrote it.
    pub(crate) writer: usize,
    /// Drawn by each writer when it starts: a run that died never shares a name with the next.
    pub(crate) tag: u32,
    /// Counts the writer's files of this checkpoint.
    pub(crate) counter: usize,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let FileName { pipeline_uuid, checkpoint, writer, tag, counter } = self;
        write!(f, "{pipeline_uuid}-{checkpoint:020}-{writer:04}-{tag:08x}-{counter:06}{SUFFIX}")
    }
}

impl FileName {
    /// Reads a name back; none when it is not of this form.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        let mut parts = name.strip_suffix(SUFFIX)?.rsplitn(5, '-');
        let counter = parts.next()?.parse().ok()?;
        let tag = u32::from_str_radix(parts.next().filter(|part| part.len() == 8)?, 16).ok()?;
        let writer = parts.next()?.parse().ok()?;
        let checkpoint = parts.next().filter(|part| part.len() == 20)?.parse().ok()?;
        let pipeline_uuid = parts.next().filter(|part| is_uuid(part))?.to_owned();
        Some(FileName { pipeline_uuid, checkpoint, writer, tag, counter })
    }
}

/// A hidden file that no checkpoint has published yet: no reader's `*.parquet` matches it.
pub(crate) fn staged(pipeline_uuid: &str, writer: usize, tag: u32, serial: u64) -> String {
    format!(".{pipeline_uuid}-{writer:04}-{tag:08x}-{serial:010}{STAGED_SUFFIX}")
}

/// Whether `name` is a staged file of this pipeline.
pub(crate) fn is_staged_by(name: &str, pipeline_uuid: &str) -> bool {
    name.strip_prefix('.')
        .and_then(|rest| rest.strip_prefix(pipeline_uuid))
        .is_some_and(|rest| rest.starts_with('-') && rest.ends_with(STAGED_SUFFIX))
}

/// Whether a text may stand in file names as a pipeline UUID.
pub(crate) fn is_uuid(text: &str) -> bool {
    text.len() == 36 && text.bytes().all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
}

/// The table's folder below the lake's: one folder a part, `/` between them.
pub(crate) fn folder(table: &TableId) -> String {
    table.parts().map(folder_part).collect::<Vec<_>>().join("/")
}

/// The folder of one generation of a table: its own for the first, and numbered ones in it once it was emptied, so that a
/// plain glob over a folder never mixes two incarnations.
pub(crate) fn generation_folder(table: &TableId, generation: u32) -> String {
    match generation {
        0 => folder(table),
        emptied => format!("{}/g{}", folder(table), u64::from(emptied) + 1),
    }
}

/// A part of a table's name as a folder name. Characters that file systems, object stores or globs take for something
/// else stand as `%` and two hex digits; different names stay different.
fn folder_part(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for (at, c) in part.char_indices() {
        let plain = match c {
            '.' => at > 0,
            '/' | '\\' | '%' | ':' | '*' | '?' | '"' | '<' | '>' | '|' | '[' | ']' | '{' | '}'
            | '#' => false,
            c => !c.is_control(),
        };
        if plain {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const UUID: &str = "0b5a1c7e-1111-4222-8333-444455556666";

    fn name(checkpoint: u64, counter: usize) -> FileName {
        FileName { pipeline_uuid: UUID.into(), checkpoint, writer: 3, tag: 0xfeed, counter }
    }

    #[test]
    fn names_read_back_and_sort_in_order() {
        let names = [name(1, 0), name(1, 1), name(2, 0), name(10, 0), name(u64::MAX, 999_999)];
        let texts: Vec<String> = names.iter().map(FileName::to_string).collect();
        assert!(texts.is_sorted());
        for (name, text) in names.iter().zip(&texts) {
            assert_eq!(FileName::parse(text).as_ref(), Some(name));
        }
        for foreign in ["part-0.parquet", "a-b-c-d-e.parquet", "x.csv", ".parquet", ""] {
            assert_eq!(FileName::parse(foreign), None);
        }
    }

    #[test]
    fn a_staged_name_is_hidden_and_owned() {
        let text = staged(UUID, 0, 7, 12);
        assert!(text.starts_with('.') && !text.ends_with(".parquet"));
        assert!(is_staged_by(&text, UUID));
        assert!(!is_staged_by(&text, "0b5a1c7e-1111-4222-8333-444455556667"));
        assert!(!is_staged_by(&name(1, 0).to_string(), UUID));
    }

    #[test]
    fn folders_stay_inside_the_lake_and_apart() {
        assert_eq!(folder(&TableId::new("shop", "orders")), "shop/orders");
        assert_eq!(generation_folder(&TableId::new("shop", "orders"), 0), "shop/orders");
        assert_eq!(generation_folder(&TableId::new("shop", "orders"), 1), "shop/orders/g2");
        assert_eq!(folder(&TableId::new("..", "a/b")), "%2E./a%2Fb");
        assert_eq!(folder(&TableId::new("größe", "a.b %")), "größe/a.b %25");
        assert_ne!(folder(&TableId::new("d", "a%2Fb")), folder(&TableId::new("d", "a/b")));
    }
}
