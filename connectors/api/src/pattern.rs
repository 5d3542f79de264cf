//! Table patterns: Flink CDC's two dialects (reference: flink-cdc.md §2.1).
