//! A pipeline over a database of its own, and what its lake is compared with.

use std::{path::PathBuf, time::Duration};

use cdc_integration::{
    Failure, LakeTable, Outcome, PipelineFolder, Server, table_content, wait_until,
    wait_until_content,
};

pub(crate) const DEADLINE: Duration = Duration::from_secs(60);
/// Written last: what a checkpoint shows of it is shown of all before.
const MARKER: &str = "zz_marker";

/// A pipeline over a database of its own.
pub(crate) struct Pipeline {
    pub(crate) folder: PipelineFolder,
    pub(crate) file: PathBuf,
    pub(crate) database: String,
    markers: u32,
}

impl Pipeline {
    /// With a table for markers in it.
    pub(crate) async fn new(
        server: &Server,
        prefix: &str,
        source: &str,
        engine: &str,
    ) -> Outcome<Pipeline> {
        let database = server.new_database(prefix).await?;
        let folder = PipelineFolder::new()?;
        let head = server.source_yaml(&format!(r"{database}.\.*"));
        let text = format!("{head}{source}{}{engine}", folder.parquet_yaml("200ms"));
        let file = folder.write("pipeline.yaml", &text)?;
        let marker = format!("CREATE TABLE `{database}`.{MARKER} (id INT PRIMARY KEY)");
        server.connect().await?.run(&marker).await?;
        Ok(Pipeline { folder, file, database, markers: 0 })
    }

    pub(crate) fn table(&self, name: &str) -> Outcome<LakeTable> {
        LakeTable::read(&self.folder.lake().join(&self.database).join(name))
    }

    /// Waits until everything that was committed by now is in the lake.
    pub(crate) async fn settle(&mut self, server: &Server) -> Outcome {
        self.markers += 1;
        let id = self.markers.to_string();
        let insert = format!("INSERT INTO `{}`.{MARKER} VALUES ({id})", self.database);
        server.connect().await?.run(&insert).await?;
        wait_until("the marker", DEADLINE, async || {
            let lake = self.table(MARKER)?;
            Ok(lake.rows.iter().any(|row| row.cells.first() == Some(&Some(id.clone()))))
        })
        .await
    }

    /// Waits until the lake's rows of now, under the table's columns of now, are the database's: a table that began anew
    /// may still be copied.
    pub(crate) async fn check(&self, server: &Server, table: &str) -> Outcome {
        let expected = table_content(server, &self.database, table).await?;
        let name = format!("{}.{table}", self.database);
        wait_until_content(&name, &expected, DEADLINE, async || {
            Ok(self.table(table)?.current(&expected.key)?.with_columns(&expected.columns))
        })
        .await
    }

    /// The columns that the table's newest file has, beside the sink's own.
    pub(crate) fn newest_columns(&self, table: &str) -> Outcome<Vec<String>> {
        let lake = self.table(table)?;
        let last = lake.rows.last().ok_or_else(|| Failure::new(format!("{table} is empty")))?;
        let of_file = |file: &PathBuf| -> Outcome<Option<Vec<String>>> {
            let one = LakeTable::read_file(file)?;
            let is_newest = one.rows.iter().any(|row| row.seq == last.seq);
            Ok(is_newest.then_some(one.columns))
        };
        for file in &lake.files {
            if let Some(columns) = of_file(file)? {
                return Ok(columns);
            }
        }
        Err(Failure::new(format!("{table}: no file has the last row")))
    }
}
