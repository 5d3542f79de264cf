//! Rows that become others without their row events: a real server does it, and the lake is compared. Each case says
//! whether the table has to begin anew or goes on as it was.

use std::path::Path;

use cdc_integration::{Daemon, Outcome, Server, ServerKind, Sql};

use crate::{
    EVOLVE,
    pipeline::{DEADLINE, Pipeline},
};

const ANEW: &str = "the sink table is emptied: its source table begins anew";

/// One table's case: statements, of which some are for one server only (`mysql: `, `mariadb: ` ahead).
struct Case {
    /// Tables that are compared at the end; the first is the one that may begin anew.
    tables: &'static [&'static str],
    before: &'static [&'static str],
    act: &'static [&'static str],
    anew: bool,
}

const CASES: &[Case] = &[
    // gh-ost, as its statements stand in the log.
    Case {
        tables: &["gh"],
        before: &[
            "CREATE TABLE gh (id INT PRIMARY KEY, b VARCHAR(9))",
            "INSERT INTO gh VALUES (1, 'a'), (2, 'b')",
        ],
        act: &[
            "create /* gh-ost */ table _gh_ghc (id bigint auto_increment primary key, hint varchar(64), value varchar(255))",
            "create /* gh-ost */ table _gh_gho like gh",
            "alter /* gh-ost */ table _gh_gho ADD c BIGINT, CHANGE b bb VARCHAR(20)",
            "insert /* gh-ost */ into _gh_ghc (hint, value) values ('state', 'GhostTableMigrated')",
            "insert /* gh-ost `x`.`gh` */ ignore into _gh_gho (id, bb) (select id, b from gh)",
            "INSERT INTO gh VALUES (3, 'c')",
            "replace /* gh-ost */ into _gh_gho (id, bb) values (3, 'c')",
            "create /* gh-ost */ table _gh_del (id int auto_increment primary key) engine=InnoDB comment='ghost-cut-over-sentry'",
            "drop /* gh-ost */ table if exists _gh_del",
            "rename /* gh-ost */ table gh to _gh_del, _gh_gho to gh",
            "drop /* gh-ost */ table if exists _gh_ghc",
            "INSERT INTO gh VALUES (4, 'after', 4)",
            "UPDATE gh SET c = 5",
        ],
        anew: false,
    },
    // The same with another key.
    Case {
        tables: &["ghk"],
        before: &[
            "CREATE TABLE ghk (id INT PRIMARY KEY, b INT NOT NULL)",
            "INSERT INTO ghk VALUES (1, 10), (2, 20)",
        ],
        act: &[
            "create /* gh-ost */ table _ghk_gho like ghk",
            "alter /* gh-ost */ table _ghk_gho DROP PRIMARY KEY, ADD PRIMARY KEY (b)",
            "insert /* gh-ost */ ignore into _ghk_gho (select * from ghk)",
            "rename /* gh-ost */ table ghk to _ghk_del, _ghk_gho to ghk",
            "drop /* gh-ost */ table if exists _ghk_del",
            "INSERT INTO ghk VALUES (1, 30)",
        ],
        anew: true,
    },
    // pt-online-schema-change: its triggers come before the first row is copied.
    Case {
        tables: &["pt"],
        before: &[
            "CREATE TABLE pt (id INT PRIMARY KEY, b VARCHAR(9))",
            "INSERT INTO pt VALUES (1, 'a'), (2, 'b')",
        ],
        act: &[
            "CREATE TABLE _pt_new (id INT NOT NULL, b VARCHAR(9) DEFAULT NULL, PRIMARY KEY (id))",
            "ALTER TABLE _pt_new ADD c INT",
            "CREATE TRIGGER pt_osc_x_pt_del AFTER DELETE ON pt FOR EACH ROW DELETE IGNORE FROM _pt_new WHERE _pt_new.id <=> OLD.id",
            "CREATE TRIGGER pt_osc_x_pt_ins AFTER INSERT ON pt FOR EACH ROW REPLACE INTO _pt_new (id, b) VALUES (NEW.id, NEW.b)",
            "INSERT LOW_PRIORITY IGNORE INTO _pt_new (id, b) SELECT id, b FROM pt LOCK IN SHARE MODE",
            "INSERT INTO pt VALUES (3, 'c')",
            "RENAME TABLE pt TO _pt_old, _pt_new TO pt",
            "DROP TRIGGER IF EXISTS pt_osc_x_pt_del",
            "DROP TRIGGER IF EXISTS pt_osc_x_pt_ins",
            "DROP TABLE IF EXISTS _pt_old",
            "INSERT INTO pt VALUES (4, 'after', 4)",
        ],
        anew: false,
    },
    // The same names without the tool: tables like any other, and the swap brings other rows.
    Case {
        tables: &["hand", "_hand_old"],
        before: &[
            "CREATE TABLE hand (id INT PRIMARY KEY, b INT)",
            "INSERT INTO hand VALUES (1, 1), (2, 2), (3, 3)",
            "CREATE TABLE _hand_new LIKE hand",
            "INSERT INTO _hand_new VALUES (3, 3)",
        ],
        act: &[
            "INSERT INTO _hand_new VALUES (4, 4)",
            "RENAME TABLE hand TO _hand_old, _hand_new TO hand",
            "INSERT INTO hand VALUES (5, 5)",
            "INSERT INTO _hand_old VALUES (6, 6)",
        ],
        anew: true,
    },
    // A key that changes when all rows are there is an alteration.
    Case {
        tables: &["keyed"],
        before: &[
            "CREATE TABLE keyed (id INT PRIMARY KEY, b INT NOT NULL)",
            "INSERT INTO keyed VALUES (1, 10), (2, 20)",
        ],
        act: &[
            "ALTER TABLE keyed DROP PRIMARY KEY, ADD PRIMARY KEY (b, id)",
            "INSERT INTO keyed VALUES (1, 30)",
            "UPDATE keyed SET id = 9 WHERE b = 20",
        ],
        anew: false,
    },
    // Partitions.
    Case {
        tables: &["cut"],
        before: &[
            "CREATE TABLE cut (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20), PARTITION p2 VALUES LESS THAN MAXVALUE)",
            "INSERT INTO cut VALUES (1), (2), (11), (12), (21)",
        ],
        act: &["ALTER TABLE cut TRUNCATE PARTITION p0", "INSERT INTO cut VALUES (3)"],
        anew: true,
    },
    Case {
        tables: &["less"],
        before: &[
            "CREATE TABLE less (id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
            "INSERT INTO less VALUES (1), (2), (11), (12)",
        ],
        act: &["ALTER TABLE less DROP PARTITION p0", "INSERT INTO less VALUES (5)"],
        anew: true,
    },
    Case {
        tables: &["swap_a", "swap_b"],
        before: &[
            "CREATE TABLE swap_a (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
            "CREATE TABLE swap_b (id INT PRIMARY KEY, v INT)",
            "INSERT INTO swap_a VALUES (1, 1), (11, 1)",
            "INSERT INTO swap_b VALUES (2, 2), (3, 2)",
        ],
        act: &[
            "ALTER TABLE swap_a EXCHANGE PARTITION p0 WITH TABLE swap_b",
            "INSERT INTO swap_a VALUES (4, 4)",
            "UPDATE swap_b SET v = 5",
        ],
        anew: true,
    },
    Case {
        tables: &["regrouped"],
        before: &[
            "CREATE TABLE regrouped (id INT PRIMARY KEY, v INT) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN MAXVALUE)",
            "INSERT INTO regrouped VALUES (1, 1), (11, 1)",
        ],
        act: &[
            "ALTER TABLE regrouped REORGANIZE PARTITION p0, p1 INTO (PARTITION p VALUES LESS THAN MAXVALUE)",
            "ALTER TABLE regrouped REMOVE PARTITIONING",
            "INSERT INTO regrouped VALUES (2, 2)",
        ],
        anew: false,
    },
    // Values that the server computes, rounds or drops.
    Case {
        tables: &["computed"],
        before: &[
            "CREATE TABLE computed (id INT PRIMARY KEY, d DECIMAL(8,4))",
            "INSERT INTO computed VALUES (1, 1.2345), (2, 2.5)",
        ],
        act: &[
            "ALTER TABLE computed ADD u VARCHAR(40) DEFAULT (CONCAT('a', 'b')), ADD n INT NOT NULL AUTO_INCREMENT UNIQUE",
            "INSERT INTO computed (id, d) VALUES (3, 3)",
        ],
        anew: true,
    },
    Case {
        tables: &["rounded"],
        before: &[
            "CREATE TABLE rounded (id INT PRIMARY KEY, d DECIMAL(8,4))",
            "INSERT INTO rounded VALUES (1, 1.2345), (2, 2.5)",
        ],
        act: &["ALTER TABLE rounded MODIFY d DECIMAL(8,2)", "INSERT INTO rounded VALUES (3, 3)"],
        anew: true,
    },
    Case {
        tables: &["derived"],
        before: &[
            "CREATE TABLE derived (id INT PRIMARY KEY, a INT)",
            "INSERT INTO derived VALUES (1, 1), (2, 2)",
        ],
        act: &[
            "ALTER TABLE derived ADD twice INT AS (a * 2) STORED",
            "INSERT INTO derived (id, a) VALUES (3, 3)",
        ],
        anew: true,
    },
];

#[tokio::test(flavor = "multi_thread")]
async fn each_kind_of_incarnation_on_a_real_server() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut pipeline = Pipeline::new(server, "anew", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        for case in CASES {
            sql.run_all(case.before).await?;
        }
        let mut daemon = Daemon::run(&pipeline.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        pipeline.settle(server).await?;
        for case in CASES {
            let anew = format!("{ANEW} table={}.{}", pipeline.database, case.tables[0]);
            sql.run_all(case.act).await?;
            pipeline.settle(server).await?;
            for table in case.tables {
                pipeline.check(server, table).await?;
            }
            let began = daemon.log().iter().any(|line| line.contains(&anew));
            assert_eq!(began, case.anew, "{}: {:?}", kind.name(), case.tables);
        }
        let names = std::fs::read_dir(pipeline.folder.lake().join(&pipeline.database))?;
        for name in names {
            let name = name?.file_name().to_string_lossy().into_owned();
            let is_helper = ["_gh_", "_ghk_", "_pt_"].iter().any(|helper| name.starts_with(helper));
            assert!(!is_helper, "{}: the helper {name} is in the lake", kind.name());
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// What a key is, or how it compares, changes while the table is half copied.
#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_changes_under_a_running_copy_begins_anew() -> Outcome {
    const CHANGES: [(&str, &str); 3] = [
        ("t1", "ALTER TABLE t1 DROP PRIMARY KEY, ADD PRIMARY KEY (b)"),
        ("t2", "ALTER TABLE t2 MODIFY k VARCHAR(40) COLLATE utf8mb4_bin"),
        ("t3", "ALTER TABLE t3 MODIFY k VARCHAR(60)"),
    ];
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let chunks = "  scan.incremental.snapshot.chunk.size: 4\n";
        let mut pipeline = Pipeline::new(server, "keys", chunks, EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run("CREATE TABLE t1 (id INT PRIMARY KEY, b INT NOT NULL UNIQUE, v INT)").await?;
        for table in ["t2", "t3"] {
            sql.run(&format!(
                "CREATE TABLE {table} (k VARCHAR(40) COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)"
            ))
            .await?;
        }
        for begin in (0..3000).step_by(1000) {
            let rows = |row: &dyn Fn(i32) -> String| {
                (begin..begin + 1000).map(row).collect::<Vec<_>>().join(", ")
            };
            sql.run(&format!(
                "INSERT INTO t1 VALUES {}",
                rows(&|id| format!("({id}, {}, 0)", 9000 - id))
            ))
            .await?;
            for table in ["t2", "t3"] {
                let insert = rows(&|id| format!("('Key {}', 0)", id * 7919 % 6007));
                sql.run(&format!("INSERT INTO {table} VALUES {insert}")).await?;
            }
        }
        let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), pipeline.file.as_os_str()];
        let mut daemon = Daemon::start(&arguments, &[("RUST_LOG", "info,cdc_cli=debug")])?;
        daemon.wait_for_log("committed", DEADLINE).await?;
        for (table, change) in CHANGES {
            sql.run(change).await?;
            sql.run(&format!("UPDATE {table} SET v = v + 1 LIMIT 500")).await?;
        }
        daemon.wait_for_log("streaming", DEADLINE).await?;
        pipeline.settle(server).await?;
        for (table, _) in CHANGES {
            pipeline.check(server, table).await?;
            let anew = format!("{ANEW} table={}.{table}", pipeline.database);
            assert!(
                daemon.log().iter().any(|line| line.contains(&anew)),
                "{} {table}",
                kind.name()
            );
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

/// Copies the tablespace of `from` over that of `to`, which is discarded.
async fn import(sql: &mut Sql, data: &Path, from: &str, to: &str) -> Outcome {
    sql.run(&format!("FLUSH TABLES {from} FOR EXPORT")).await?;
    for kind in ["ibd", "cfg"] {
        std::fs::copy(data.join(format!("{from}.{kind}")), data.join(format!("{to}.{kind}")))?;
    }
    sql.run("UNLOCK TABLES").await?;
    sql.run(&format!("ALTER TABLE {to} IMPORT TABLESPACE")).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_imported_tablespace_begins_anew() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::start(kind, &[]).await?;
        let mut pipeline = Pipeline::new(&server, "imported", "", EVOLVE).await?;
        let mut sql = server.connect().await?;
        sql.run(&format!("USE `{}`", pipeline.database)).await?;
        sql.run_all(&[
            "CREATE TABLE a (id INT PRIMARY KEY, v INT)",
            "CREATE TABLE b (id INT PRIMARY KEY, v INT)",
            "INSERT INTO a VALUES (1, 1), (2, 2), (3, 3)",
            "INSERT INTO b VALUES (7, 7)",
        ])
        .await?;
        let data = server.instance()?.folder().join("data").join(&pipeline.database);
        let mut daemon = Daemon::run(&pipeline.file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        pipeline.settle(&server).await?;
        // At once, and with all the time in between that a reader needs to meet a table without a file.
        for round in 0..2 {
            sql.run("ALTER TABLE b DISCARD TABLESPACE").await?;
            if round == 1 {
                pipeline.settle(&server).await?;
            }
            import(&mut sql, &data, "a", "b").await?;
            sql.run_all(&["INSERT INTO b VALUES (4, 4)", "DELETE FROM b WHERE id = 2"]).await?;
            pipeline.settle(&server).await?;
            pipeline.check(&server, "b").await?;
            pipeline.check(&server, "a").await?;
        }
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}
