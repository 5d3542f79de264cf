//! How a text column's collation compares: by the stored bytes, or by weights that only the server knows. Read from the
//! collation's name, which follows fixed rules on both servers.

/// How the texts of a key column are brought in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextOrder {
    /// By the stored bytes; with PAD SPACE as if spaces followed without end.
    Bytes { pads: bool },
    /// By the server's weights, one level: they compare byte by byte, or (PAD SPACE) as if the weight of a space
    /// followed without end.
    Weights { pads: bool },
    /// By the server's weights of the text without its trailing spaces, byte by byte: what the Czech collations weigh ends
    /// in a level of its own, so a space has no place behind it.
    TrimmedWeights,
    /// By the server's weights in several levels that nothing separates (MariaDB's uca1400_as_* and thai_520_w2): each level is asked
    /// for longer than any text has weights, and compares like one level with a pad of its own.
    Levels { count: usize },
}

impl TextOrder {
    pub(super) fn of(charset: &str, collation: &str) -> TextOrder {
        let pads = !collation.contains("_0900_")
            && !collation.contains("_nopad_")
            && collation != "binary";
        // In these the bytes of a character do not sort as its code point does.
        let is_wide = matches!(charset, "ucs2" | "utf16" | "utf16le" | "utf32");
        if (collation.ends_with("_bin") || collation == "binary") && !is_wide {
            return TextOrder::Bytes { pads };
        }
        if matches!(collation, "latin2_czech_cs" | "cp1250_czech_cs") {
            return TextOrder::TrimmedWeights;
        }
        let has_levels = collation.contains("_uca1400_");
        match collation.get(collation.len().saturating_sub(6)..) {
            Some("_as_cs") if has_levels => TextOrder::Levels { count: 3 },
            Some("_as_ci" | "_ai_cs") if has_levels => TextOrder::Levels { count: 2 },
            Some("520_w2") => TextOrder::Levels { count: 2 },
            _ => TextOrder::Weights { pads },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_how_texts_compare() {
        let check = |charset, collation, order| {
            assert_eq!(TextOrder::of(charset, collation), order, "{collation}");
        };
        check("utf8mb4", "utf8mb4_bin", TextOrder::Bytes { pads: true });
        check("utf8mb4", "utf8mb4_0900_bin", TextOrder::Bytes { pads: false });
        check("utf8mb4", "utf8mb4_nopad_bin", TextOrder::Bytes { pads: false });
        check("gbk", "gbk_bin", TextOrder::Bytes { pads: true });
        check("utf16", "utf16_bin", TextOrder::Weights { pads: true });
        check("utf8mb4", "utf8mb4_0900_ai_ci", TextOrder::Weights { pads: false });
        check("utf8mb4", "utf8mb4_general_ci", TextOrder::Weights { pads: true });
        check("utf8mb4", "utf8mb4_general_nopad_ci", TextOrder::Weights { pads: false });
        check("utf8mb4", "utf8mb4_uca1400_ai_ci", TextOrder::Weights { pads: true });
        check("utf8mb4", "utf8mb4_uca1400_nopad_as_cs", TextOrder::Levels { count: 3 });
        check("utf8mb4", "utf8mb4_uca1400_swedish_as_ci", TextOrder::Levels { count: 2 });
        check("utf8mb4", "utf8mb4_thai_520_w2", TextOrder::Levels { count: 2 });
        check("latin2", "latin2_czech_cs", TextOrder::TrimmedWeights);
    }
}
