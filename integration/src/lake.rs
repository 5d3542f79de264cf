//! The Parquet sink's output as any outsider sees it: the `*.parquet` files of one table's folder.
//!
//! Comes in: the folder. Goes out: its rows in the order of `_seq`, checked: `_seq` unique and rising within each file,
//! and each key's history clean (`r|c`, `u`…, `d`, `c`…); and what the table holds now.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::path::{Path, PathBuf};

use arrow_array::RecordBatch;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;

use crate::content::{Cells, TableContent, pick, row_text};
use crate::render::arrow_text;
use crate::{Failure, Outcome};

const OP: &str = "_op";
const SEQ: &str = "_seq";
const TS_MS: &str = "_ts_ms";

/// One row of the change log.
#[derive(Clone, Debug)]
pub struct LakeRow {
    /// `r`, `c`, `u` or `d`.
    pub op: char,
    /// Its place in the pipeline's order.
    pub seq: i64,
    /// When it was committed, in milliseconds since 1970.
    pub ts_ms: i64,
    /// The values in the order of [`LakeTable::columns`].
    pub cells: Vec<Option<String>>,
}

/// All rows that one table's folder shows now.
#[derive(Clone, Debug)]
pub struct LakeTable {
    /// The table's columns, without the three of the sink. A file without a column holds NULLs for it.
    pub columns: Vec<String>,
    /// Rows by rising `_seq`.
    pub rows: Vec<LakeRow>,
    /// The files read.
    pub files: Vec<PathBuf>,
}

impl LakeTable {
    /// Reads every visible file. A folder that is not there yet is an empty table.
    pub fn read(folder: &Path) -> Outcome<LakeTable> {
        LakeTable::of(folder, visible_files(folder)?)
    }

    /// Reads one file.
    pub fn read_file(file: &Path) -> Outcome<LakeTable> {
        LakeTable::of(file, vec![file.to_owned()])
    }

    fn of(folder: &Path, files: Vec<PathBuf>) -> Outcome<LakeTable> {
        let mut batches = Vec::new();
        for file in &files {
            let read = || -> Outcome<Vec<RecordBatch>> {
                let reader =
                    ParquetRecordBatchReaderBuilder::try_new(File::open(file)?)?.build()?;
                Ok(reader.collect::<Result<_, _>>()?)
            };
            // A visible file is whole and stays, so nothing excuses one that cannot be read.
            let read = read().map_err(|error| in_file(file, &error))?;
            batches.push((file, read));
        }

        let mut columns: Vec<String> = Vec::new();
        for batch in batches.iter().flat_map(|(_, batches)| batches) {
            for field in batch.schema().fields() {
                let name = field.name();
                if ![OP, SEQ, TS_MS].contains(&name.as_str()) && !columns.contains(name) {
                    columns.push(name.clone());
                }
            }
        }
        let mut rows = Vec::new();
        for (file, batches) in &batches {
            let begin = rows.len();
            for batch in batches {
                append(batch, &columns, &mut rows).map_err(|error| in_file(file, &error))?;
            }
            let of_file = rows.get(begin..).unwrap_or_default();
            if !of_file.is_sorted_by(|a: &LakeRow, b: &LakeRow| a.seq < b.seq) {
                return Err(Failure::new(format!("{}: _seq does not rise", file.display())));
            }
        }
        rows.sort_by_key(|row| row.seq);
        let twice = rows.iter().zip(rows.iter().skip(1)).find(|(a, b)| a.seq == b.seq);
        if let Some((row, _)) = twice {
            return Err(Failure::new(format!("{}: _seq {} twice", folder.display(), row.seq)));
        }
        Ok(LakeTable { columns, rows, files })
    }

    /// What the table holds now: the last row of each key that is not a delete. Fails if a key's history is not clean.
    pub fn current(&self, key: &[String]) -> Outcome<TableContent> {
        let mut present: BTreeMap<Cells, Cells> = BTreeMap::new();
        let mut ops: HashMap<Cells, String> = HashMap::new();
        for row in &self.rows {
            let key_cells = pick(&self.columns, key, &row.cells)?;
            let so_far = ops.entry(key_cells.clone()).or_default();
            let clean = match row.op {
                'r' => so_far.is_empty(),
                'c' => so_far.is_empty() || so_far.ends_with('d'),
                'u' | 'd' => !so_far.is_empty() && !so_far.ends_with('d'),
                _ => false,
            };
            so_far.push(row.op);
            if !clean {
                return Err(Failure::new(format!(
                    "history \"{so_far}\" is not clean at _seq {}: {}",
                    row.seq,
                    row_text(&self.columns, &row.cells)
                )));
            }
            match row.op {
                'd' => present.remove(&key_cells),
                _ => present.insert(key_cells, row.cells.clone()),
            };
        }
        Ok(TableContent { columns: self.columns.clone(), key: key.to_vec(), rows: present })
    }

    /// How many rows carry each operation.
    pub fn op_counts(&self) -> BTreeMap<char, usize> {
        let mut counts = BTreeMap::new();
        for row in &self.rows {
            *counts.entry(row.op).or_default() += 1;
        }
        counts
    }
}

/// What the glob `**/*.parquet` finds, sorted: the folders of a table that was emptied are numbered beneath it. Hidden
/// files count too: DuckDB and Polars match them.
fn visible_files(folder: &Path) -> Outcome<Vec<PathBuf>> {
    let mut files = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Failure::new(format!("{}: {error}", folder.display()))),
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
            } else if entry.file_name().to_string_lossy().ends_with(".parquet") {
                files.insert(entry.path());
            }
        }
    }
    Ok(files.into_iter().collect())
}

fn in_file(file: &Path, error: &Failure) -> Failure {
    Failure::new(format!("{}: {error}", file.display()))
}

fn append(batch: &RecordBatch, columns: &[String], rows: &mut Vec<LakeRow>) -> Outcome {
    let text = |name: &str, row: usize| match batch.column_by_name(name) {
        Some(array) => {
            arrow_text(array, row).map_err(|error| Failure::new(format!("column {name}: {error}")))
        }
        None => Ok(None),
    };
    let must = |name: &str, row: usize| {
        text(name, row)?.ok_or_else(|| Failure::new(format!("column {name} is missing or null")))
    };
    for row in 0..batch.num_rows() {
        let op = must(OP, row)?;
        let [op] = op.chars().collect::<Vec<_>>()[..] else {
            return Err(Failure::new(format!("_op \"{op}\" is not one letter")));
        };
        let seq = must(SEQ, row)?.parse()?;
        let ts_ms = must(TS_MS, row)?.parse()?;
        let cells = columns.iter().map(|name| text(name, row)).collect::<Outcome<_>>()?;
        rows.push(LakeRow { op, seq, ts_ms, cells });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow_array::{ArrayRef, Decimal128Array, Int64Array, StringArray};
    use parquet::arrow::ArrowWriter;

    use super::*;

    fn lake(history: &[(char, &str)]) -> LakeTable {
        let row = |(seq, (op, id)): (usize, &(char, &str))| LakeRow {
            op: *op,
            seq: seq as i64,
            ts_ms: 0,
            cells: vec![Some((*id).to_owned())],
        };
        LakeTable {
            columns: vec!["id".to_owned()],
            rows: history.iter().enumerate().map(row).collect(),
            files: Vec::new(),
        }
    }

    fn check(history: &[(char, &str)]) -> Outcome<usize> {
        lake(history).current(&["id".to_owned()]).map(|content| content.rows.len())
    }

    #[test]
    fn clean_histories_fold() {
        assert_eq!(check(&[]).unwrap(), 0);
        assert_eq!(
            check(&[('r', "1"), ('u', "1"), ('c', "2"), ('d', "1"), ('c', "1")]).unwrap(),
            2
        );
        assert_eq!(check(&[('r', "1"), ('d', "1")]).unwrap(), 0);
    }

    #[test]
    fn unclean_histories_are_named() {
        for (history, told) in [
            (&[('u', "1")][..], "\"u\""),
            (&[('r', "1"), ('c', "1")], "\"rc\""),
            (&[('r', "1"), ('r', "1")], "\"rr\""),
            (&[('r', "1"), ('d', "1"), ('d', "1")], "\"rdd\""),
            (&[('c', "1"), ('d', "1"), ('r', "1")], "\"cdr\""),
        ] {
            let failure = check(history).unwrap_err().to_string();
            assert!(failure.contains(told), "{failure}");
        }
    }

    #[test]
    fn files_become_rows_in_the_order_of_seq() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, ids: Vec<i64>, seqs: Vec<i64>| {
            let batch = RecordBatch::try_from_iter([
                ("id", Arc::new(Int64Array::from(ids)) as ArrayRef),
                ("price", Arc::new(prices(seqs.len())) as ArrayRef),
                (OP, Arc::new(StringArray::from(vec!["c"; seqs.len()])) as ArrayRef),
                (SEQ, Arc::new(Int64Array::from(seqs.clone())) as ArrayRef),
                (TS_MS, Arc::new(Int64Array::from(seqs)) as ArrayRef),
            ])
            .unwrap();
            let file = File::create(folder.path().join(name)).unwrap();
            let mut writer = ArrowWriter::try_new(file, batch.schema(), None).unwrap();
            writer.write(&batch).unwrap();
            writer.close().unwrap();
        };
        write("a.parquet", vec![3, 4], vec![30, 40]);
        write("b.parquet", vec![1, 2], vec![10, 20]);
        fs::write(folder.path().join(".c.parquet.staged"), "half a file").unwrap();

        let lake = LakeTable::read(folder.path()).unwrap();
        assert_eq!(lake.files.len(), 2);
        assert_eq!(lake.columns, ["id", "price"]);
        assert_eq!(lake.rows.iter().map(|row| row.seq).collect::<Vec<_>>(), [10, 20, 30, 40]);
        let current = lake.current(&["id".to_owned()]).unwrap();
        let row = current.rows.get(&vec![Some("4".to_owned())]).unwrap();
        assert_eq!(row[1].as_deref(), Some("-0.05"));

        write("d.parquet", vec![9], vec![20]);
        let twice = LakeTable::read(folder.path()).unwrap_err().to_string();
        assert!(twice.contains("_seq 20 twice"), "{twice}");
        write("d.parquet", vec![8, 9], vec![60, 50]);
        let falling = LakeTable::read(folder.path()).unwrap_err().to_string();
        assert!(falling.contains("_seq does not rise"), "{falling}");
        fs::write(folder.path().join(".e.parquet"), "half a file").unwrap();
        assert!(LakeTable::read(folder.path()).is_err(), "a glob finds hidden files too");
    }

    fn prices(count: usize) -> Decimal128Array {
        Decimal128Array::from(vec![-5; count]).with_precision_and_scale(10, 2).unwrap()
    }
}
