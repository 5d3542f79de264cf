//! The policies of correctness §7.1 through `cdc-cli run`, each both ways, in rows that are copied and in rows that come
//! later: a value that breaks its policy stops its table, and the message names table, column, key and place.

use std::time::Duration;

use cdc_integration::{
    Daemon, Failure, LakeTable, Outcome, PipelineFolder, Server, ServerKind, Sql, wait_until,
};

use crate::server;

const DEADLINE: Duration = Duration::from_secs(60);

/// A table whose second column `v` gets one value that its default policy does not let pass.
struct Case {
    name: &'static str,
    columns: &'static str,
    /// Rows that are always right.
    good: &'static str,
    /// The row in question.
    odd: &'static str,
    /// Its key, as messages have it.
    key: &'static str,
}

const BOOL: Case = Case {
    name: "flags",
    columns: "id INT PRIMARY KEY, v TINYINT(1)",
    good: "(1, 1)",
    odd: "(7, 2)",
    key: "`id` = 7",
};
const TIME: Case = Case {
    name: "shifts",
    columns: "name VARCHAR(20) PRIMARY KEY, v TIME(1)",
    good: "('day', '08:00:00')",
    odd: "('late', '-25:30:00.5')",
    key: "`name` = 'late'",
};
const TEXT: Case = Case {
    name: "notes",
    columns: "id BIGINT UNSIGNED, part CHAR(3), v VARCHAR(10) CHARACTER SET cp1251, PRIMARY KEY (id, part)",
    good: "(1, 'a', 'x')",
    odd: "(18446744073709551615, 'é', _cp1251 x'4198')",
    key: "`id` = 18446744073709551615 AND `part` = _utf8mb4 x'C3A9'",
};
const KEY: Case = Case {
    name: "days",
    columns: "v DATE PRIMARY KEY, n INT",
    good: "('2024-01-01', 1)",
    odd: "('0000-00-00', 2)",
    key: "`v` = '0000-00-00'",
};
const DATE: Case = Case {
    name: "events",
    columns: "id INT PRIMARY KEY, v DATETIME(3) NOT NULL, other DATE",
    good: "(1, '2024-01-01 00:00:00', NULL)",
    odd: "(7, '2024-00-00 00:00:00', '0000-00-00')",
    key: "`id` = 7",
};
const SHAPE: Case = Case {
    name: "shapes",
    columns: "id INT PRIMARY KEY, v POINT",
    good: "(1, NULL)",
    odd: "(7, ST_GeomFromText('POINT(1 2.5)'))",
    key: "`id` = 7",
};
const CASES: [&Case; 6] = [&BOOL, &TIME, &TEXT, &KEY, &DATE, &SHAPE];

/// The two ways by which the odd row comes.
const PHASES: [&str; 2] = ["copied", "changed"];

/// A pipeline over a table for each case and phase.
struct Run {
    database: String,
    folder: PipelineFolder,
    daemon: Daemon,
}

impl Run {
    async fn start(server: &Server, options: &str) -> Outcome<Run> {
        let database = server.new_database("policy").await?;
        let mut sql = server.connect().await?;
        sql.run("SET SESSION sql_mode = ''").await?;
        for case in CASES {
            for phase in PHASES {
                let table = format!("`{database}`.{}_{phase}", case.name);
                sql.run(&format!("CREATE TABLE {table} ({})", case.columns)).await?;
                sql.run(&format!("INSERT INTO {table} VALUES {}", case.good)).await?;
            }
            insert_odd(&mut sql, &database, case, "copied").await?;
        }
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!(r"{database}.\.*"));
        let text = format!("{source}{options}{}", folder.parquet_yaml("200ms"));
        let mut daemon = Daemon::run(&folder.write("pipeline.yaml", &text)?)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        for case in CASES {
            insert_odd(&mut sql, &database, case, "changed").await?;
        }
        Ok(Run { database, folder, daemon })
    }

    /// The odd row stops its table in both phases, with a message that says all.
    async fn stops(&mut self, case: &Case, option: &str) -> Outcome {
        for phase in PHASES {
            let table = format!("{}.{}_{phase}", self.database, case.name);
            let place = match phase {
                "copied" => "from its first key to its last key",
                _ => "in the log at binlog.0",
            };
            let quarantined = format!("table={table}");
            let database = self.database.clone();
            let line = wait_for_line(&mut self.daemon, &|line| {
                line.contains("quarantined") && line.contains(&quarantined)
            })
            .await
            .map_err(|error| Failure::new(format!("{database} {quarantined}: {error}")))?;
            for text in ["column `v`", case.key, place, option] {
                if !line.contains(text) {
                    return Err(Failure::new(format!("\"{text}\" is missing in\n{line}")));
                }
            }
        }
        Ok(())
    }

    /// The odd row arrives in both phases, and its column `v` is this.
    async fn passes(&self, case: &Case, expected: Option<&str>) -> Outcome {
        for phase in PHASES {
            let table = format!("{}_{phase}", case.name);
            let lake = self.folder.lake().join(&self.database).join(&table);
            let waited = wait_until(&format!("both rows of {table}"), DEADLINE, async || {
                Ok(LakeTable::read(&lake)?.rows.len() == 2)
            })
            .await;
            if let Err(error) = waited {
                return Err(Failure::new(format!("{error}\n{}", self.daemon.log().join("\n"))));
            }
            let lake = LakeTable::read(&lake)?;
            let at = lake.columns.iter().position(|name| name == "v").unwrap_or_default();
            let values: Vec<_> = lake.rows.iter().map(|row| row.cells[at].as_deref()).collect();
            // One of the two is the good row.
            if !values.contains(&expected) {
                return Err(Failure::new(format!("{table}: {values:?} lacks {expected:?}")));
            }
            let ops: String = lake.rows.iter().map(|row| row.op).collect();
            assert_eq!(ops, if phase == "copied" { "rr" } else { "rc" }, "{table}");
        }
        Ok(())
    }

    async fn end(self) -> Outcome<String> {
        Ok(self.daemon.stop(DEADLINE).await?.expect_code(0)?.stderr)
    }
}

async fn insert_odd(sql: &mut Sql, database: &str, case: &Case, phase: &str) -> Outcome {
    sql.run(&format!("INSERT INTO `{database}`.{}_{phase} VALUES {}", case.name, case.odd)).await
}

async fn wait_for_line(daemon: &mut Daemon, is_it: &dyn Fn(&str) -> bool) -> Outcome<String> {
    let mut found = None;
    let waited = wait_until("a line of the log", DEADLINE, async || {
        found = daemon.log().into_iter().find(|line| is_it(line));
        Ok(found.is_some())
    })
    .await;
    match (waited, found) {
        (Ok(()), Some(line)) => Ok(line),
        _ => Err(Failure::new(format!("it is not in\n{}", daemon.log().join("\n")))),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn by_default_values_are_exact_or_stop_their_table() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        let mut run = Run::start(&server, "").await?;
        run.stops(&BOOL, "`treat-tinyint1-as-boolean.enabled: false`").await?;
        run.stops(&TIME, "`time.out-of-range: null`").await?;
        run.stops(&TEXT, "`text.undecodable: replace`").await?;
        run.stops(&KEY, "never in a key").await?;
        run.passes(&DATE, None).await?;
        run.passes(&SHAPE, Some(r#"{"coordinates":[1,2.5],"type":"Point","srid":0}"#)).await?;
        let database = run.database.clone();
        let log = run.end().await?;
        for phase in PHASES {
            for column in ["v", "other"] {
                let table = format!("table={database}.events_{phase} column={column} ");
                let named = log.lines().filter(|line| line.contains("become null"));
                let count = named.filter(|line| line.contains(table.trim_end())).count();
                assert_eq!(count, 1, "{table} should be named once in\n{log}");
            }
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn every_policy_has_another_way() -> Outcome {
    const OPTIONS: &str = "  treat-tinyint1-as-boolean.enabled: false\n  temporal.invalid: error\n  \
        time.out-of-range: null\n  text.undecodable: replace\n  geometry.as: wkb\n";
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        let mut run = Run::start(&server, OPTIONS).await?;
        run.passes(&BOOL, Some("2")).await?;
        run.passes(&TIME, None).await?;
        run.passes(&TEXT, Some("A\u{FFFD}")).await?;
        run.passes(&SHAPE, Some("0101000000000000000000f03f0000000000000440")).await?;
        run.stops(&KEY, "temporal.invalid").await?;
        run.stops(&DATE, "`temporal.invalid: null`").await?;
        run.end().await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn long_times_have_two_lossless_forms() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        for (form, expected) in [("string", "-25:30:00.5"), ("micros", "-91800500000")] {
            let run = Run::start(&server, &format!("  time.as: {form}\n")).await?;
            run.passes(&TIME, Some(expected)).await?;
            run.end().await?;
        }
    }
    Ok(())
}
