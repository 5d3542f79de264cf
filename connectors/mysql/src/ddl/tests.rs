//! Statements against a tracker, one table-driven check.

use cdc_api::TableId;

use super::*;
use crate::types::Flavor;

fn session(flavor: Flavor) -> Session {
    let version = if flavor == Flavor::MySql { (9, 7, 0) } else { (10, 11, 19) };
    let mut session = Session::new(Dialect { flavor, version }, 0);
    session.database = "shop".into();
    session
}

fn tracker(flavor: Flavor) -> Tracker {
    let mut tracker = Tracker::new(session(flavor));
    tracker.put_database("shop", "utf8mb4_general_ci");
    tracker
}

/// All tables of `shop` are captured.
fn captures(id: &TableId) -> bool {
    id.schema.as_deref() == Some("shop")
}

fn run(tracker: &mut Tracker, text: &str) -> Outcome {
    let session = tracker.base().clone();
    if classify(&session, text.as_bytes()) == Interest::Nothing {
        return Outcome::default();
    }
    tracker.apply(&session, text.as_bytes(), &captures)
}

fn names(outcome: &Outcome) -> Vec<String> {
    let name = |effect: &Effect| match effect {
        Effect::Created { table, replaced } => {
            let sign = if replaced.is_some() { "replaced" } else { "created" };
            format!("{sign} {}", table.meta.id.table)
        }
        Effect::Altered(change) => {
            let mut text = format!("altered {}", change.after.meta.id.table);
            if change.key_changed {
                text.push_str(" key");
            }
            if let Some(tool) = change.online {
                text.push_str(&format!(" {tool:?}"));
            }
            for value in &change.values {
                text.push_str(&format!(" {value:?}"));
            }
            text
        }
        Effect::Renamed { from, table } => {
            format!("renamed {} {}", from.table, table.meta.id.table)
        }
        Effect::Replaced { after, .. } => format!("new incarnation of {}", after.meta.id.table),
        Effect::Truncated(table) => format!("truncated {}", table.meta.id.table),
        Effect::Dropped(table) => format!("dropped {}", table.meta.id.table),
    };
    let doubts = outcome.doubts.iter().map(|doubt| format!("doubt {:?}", doubt.tables.is_some()));
    outcome.effects.iter().map(name).chain(doubts).collect()
}

/// `id:name type` of each column, then the key's positions.
fn shape(tracker: &Tracker, table: &str) -> String {
    let Some(table) = tracker.get(&TableId::new("shop", table)) else { return "-".into() };
    let columns = table.ids.iter().zip(&table.meta.columns).map(|(id, column)| {
        let null = if column.nullable { "?" } else { "" };
        format!("{id}:{} {}{null}", column.name, column.column_type)
    });
    let columns: Vec<String> = columns.collect();
    format!("{} {:?}", columns.join(", "), table.meta.primary_key)
}

/// Runs statements, and compares the last one's effects and the table `t` behind it.
fn check(statements: &[&str], effects: &[&str], want: &str) {
    let mut tracker = tracker(Flavor::MySql);
    let mut last = Outcome::default();
    for text in statements {
        last = run(&mut tracker, text);
    }
    assert_eq!(names(&last), effects, "{statements:?} {last:?}");
    assert_eq!(shape(&tracker, "t"), want, "{statements:?}");
}

const T: &str = "CREATE TABLE t (a INT PRIMARY KEY, b VARCHAR(10), c DECIMAL(5,2))";

#[test]
fn columns_keep_their_ids() {
    check(&[T], &["created t"], "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]");
    check(
        &[T, "ALTER TABLE t CHANGE b x VARCHAR(20) FIRST, ADD d BIGINT AFTER a, DROP c"],
        &["altered t"],
        "1:x varchar(20)?, 0:a int, 3:d bigint? [1]",
    );
    check(
        &[T, "ALTER TABLE t RENAME COLUMN b TO c, RENAME COLUMN c TO b"],
        &["altered t"],
        "0:a int, 1:c varchar(10)?, 2:b decimal(5,2)? [0]",
    );
    check(
        &[T, "alter table `shop`.`t` add (x int, y int), modify c decimal(6,2) after x;"],
        &["altered t"],
        "0:a int, 1:b varchar(10)?, 3:x int?, 2:c decimal(6,2)?, 4:y int? [0]",
    );
}

#[test]
fn keys_change() {
    check(
        &[T, "ALTER TABLE t DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)"],
        &["altered t key"],
        "0:a int, 1:b varchar(10), 2:c decimal(5,2)? [1, 0]",
    );
    check(
        &[T, "ALTER TABLE t MODIFY a BIGINT"],
        &["altered t key"],
        "0:a bigint, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    check(
        &[T, "CREATE INDEX i ON t (b)"],
        &["altered t"],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
}

#[test]
fn values_that_change_without_row_events_are_named() {
    let same = "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]";
    check(
        &[T, "ALTER TABLE t MODIFY b INT"],
        &["altered t Type(1)"],
        "0:a int, 1:b int?, 2:c decimal(5,2)? [0]",
    );
    check(&[T, "ALTER TABLE t CONVERT TO CHARACTER SET latin1"], &["altered t Charset(1)"], same);
    check(&[T, "ALTER TABLE t CONVERT TO CHARACTER SET utf8mb4"], &["altered t"], same);
    check(&[T, "ALTER TABLE t TRUNCATE PARTITION p"], &["altered t Emptied"], same);
    check(&[T, "ALTER TABLE t DISCARD TABLESPACE"], &["altered t Emptied"], same);
    check(&[T, "ALTER TABLE t IMPORT TABLESPACE"], &["altered t Imported"], same);
    check(&[T, "ALTER IGNORE TABLE t ADD UNIQUE (b)"], &["altered t Ignore"], same);
    check(
        &[T, "ALTER TABLE t ADD d DATETIME DEFAULT CURRENT_TIMESTAMP"],
        &["altered t Computed(3)"],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)?, 3:d datetime? [0]",
    );
    check(
        &[T, "ALTER TABLE t ADD d INT NOT NULL DEFAULT 5"],
        &["altered t"],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)?, 3:d int [0]",
    );
}

/// What older rows have in a column that is added.
fn fill(flavor: Flavor, column: &str) -> Fill {
    let mut tracker = tracker(flavor);
    run(&mut tracker, T);
    let outcome = run(&mut tracker, &format!("ALTER TABLE t ADD x {column}"));
    match &outcome.effects[..] {
        [Effect::Altered(change)] => change.added[0].fill,
        other => panic!("{column}: {other:?}"),
    }
}

#[test]
fn constants_and_expressions_fill_older_rows() {
    let both = |column: &str, want: Fill| {
        assert_eq!(fill(Flavor::MySql, column), want, "MySQL: {column}");
        assert_eq!(fill(Flavor::MariaDb, column), want, "MariaDB: {column}");
    };
    both("INT", Fill::Null);
    both("INT NOT NULL", Fill::Zero);
    both("DECIMAL(5,2) DEFAULT -1.5", Fill::Default);
    both("DOUBLE DEFAULT 1e30", Fill::Default);
    both("BIT(3) DEFAULT b'101'", Fill::Default);
    both("VARCHAR(20) DEFAULT 'abs(1)'", Fill::Default);
    both("VARCHAR(20) DEFAULT 'it''s'", Fill::Default);
    both("VARBINARY(20) DEFAULT ''", Fill::Default);
    both("INT DEFAULT (1 + 2)", Fill::Computed);
    both("INT DEFAULT (abs(1) + a)", Fill::Computed);
    both("VARCHAR(20) DEFAULT (concat('a', 'b'))", Fill::Computed);
    both("DATETIME DEFAULT CURRENT_TIMESTAMP", Fill::Computed);
    both("INT AS (a + 1)", Fill::Computed);
}

#[test]
fn widths_that_no_server_accepts_are_doubt() {
    check(&[T, "ALTER TABLE t ADD x INT(70000) ZEROFILL DEFAULT 7"], &["doubt true"], "-");
    check(&["CREATE TABLE t (x FLOAT(1,4000000000) DEFAULT 1e1)"], &["doubt true"], "-");
    check(&["CREATE TABLE t (x DECIMAL(9,4000000000) DEFAULT 1)"], &["doubt true"], "-");
    check(
        &["CREATE TABLE t (x VECTOR(18446744073709551615))"],
        &["created t"],
        "0:x vector(18446744073709551615)? []",
    );
}

#[test]
fn tables_come_and_go() {
    check(&[T, "TRUNCATE t"], &["truncated t"], "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]");
    check(&[T, "DROP TABLE IF EXISTS x, t"], &["dropped t"], "-");
    check(&[T, "DROP DATABASE shop"], &["dropped t"], "-");
    check(&[T, "DROP TEMPORARY TABLE t"], &[], "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]");
    check(
        &[T, "CREATE TABLE u (x INT)", "RENAME TABLE t TO v, u TO t, v TO u"],
        &["renamed t v", "renamed u t", "renamed v u"],
        "0:x int? []",
    );
    check(
        &[T, "CREATE TABLE IF NOT EXISTS t (x INT)"],
        &[],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    check(&[T, "CREATE OR REPLACE TABLE t (x INT)"], &["replaced t"], "0:x int? []");
    check(&[T, "RENAME TABLE t TO other.t"], &["renamed t t"], "-");
    check(&["CREATE TABLE t LIKE other.u"], &["doubt true"], "-");
}

#[test]
fn options_behind_start_transaction_count() {
    // MySQL logs CREATE TABLE … SELECT so.
    let mut tracker = tracker(Flavor::MySql);
    run(&mut tracker, "CREATE TABLE t (a INT) START TRANSACTION COMMENT='c' COLLATE=latin1_bin");
    let table = tracker.get(&TableId::new("shop", "t")).unwrap();
    assert_eq!(table.meta.comment, "c");
    assert_eq!(table.collation.as_deref(), Some("latin1_bin"));
}

#[test]
fn doubt_is_never_a_guess() {
    check(&[T, "ALTER TABLE t ADD x HYPERLOG"], &["doubt true"], "-");
    check(&[T, "ALTER TABLE t FROBNICATE"], &["doubt true"], "-");
    check(&[T, "ALTER TABLE t MODIFY nope INT"], &["doubt true"], "-");
    check(&[T, "ALTER TABLE t FROBNICATE", "ALTER TABLE t ADD x INT"], &["doubt true"], "-");
    check(&[T, "ALTER TABLE `t"], &["doubt false"], "-");
    check(
        &[T, "CREATE TABLE other.t (a FROB)"],
        &[],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    check(&["CREATE TABLE t SELECT 1"], &["doubt true"], "-");
    let deep = format!("ALTER TABLE t ADD x INT DEFAULT {}1{}", "(".repeat(5000), ")".repeat(5000));
    check(&[T, &deep], &["doubt true"], "-");
}

/// What pt-online-schema-change puts on a table before it copies it.
const TRIGGER: &str = "CREATE DEFINER=`a`@`%` TRIGGER `pt_osc_shop_t_upd` AFTER UPDATE ON `shop`.`t` FOR EACH ROW BEGIN END";

#[test]
fn tables_with_names_of_helpers_are_tables() {
    let made = "CREATE TABLE _t_new LIKE t";
    check(&[T, made], &["created _t_new"], "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]");
    check(
        &[T, made, TRIGGER],
        &["dropped _t_new"],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    check(
        &[T, made, TRIGGER, "ALTER TABLE _t_new ADD x INT"],
        &[],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    // Without the tool it may have any rows: the swap is two renames.
    check(
        &[T, made, "RENAME TABLE t TO _t_old, _t_new TO t"],
        &["renamed t _t_old", "renamed _t_new t"],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    for name in ["_t_old", "_t_del"] {
        let (create, alter) =
            (format!("CREATE TABLE {name} (x INT)"), format!("ALTER TABLE {name} ADD y INT"));
        let (created, altered) = (format!("created {name}"), format!("altered {name}"));
        let t = "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]";
        check(&[T, &create], &[&created], t);
        check(&[T, &create, &alter], &[&altered], t);
    }
    check(
        &[T, "create /* gh-ost */ table _t_del (id int auto_increment primary key)"],
        &[],
        "0:a int, 1:b varchar(10)?, 2:c decimal(5,2)? [0]",
    );
    // A swap whose beginning was before our time.
    check(
        &[T, "rename /* gh-ost */ table t to _t_del, _t_gho to t", "DROP TABLE _t_del"],
        &[],
        "-",
    );
    check(&[T, "rename /* gh-ost */ table t to _t_del, _t_gho to t"], &["doubt true"], "-");
    let mut plain = tracker(Flavor::MySql).following_online_changes(false);
    run(&mut plain, T);
    assert_eq!(names(&run(&mut plain, "CREATE TABLE _t_gho LIKE t")), ["created _t_gho"]);
    let swap = "RENAME TABLE t TO _t_del, _t_gho TO t";
    assert_eq!(names(&run(&mut plain, swap)), ["renamed t _t_del", "renamed _t_gho t"]);
}

#[test]
fn online_schema_changes_are_alterations() {
    check(
        &[
            T,
            "create /* gh-ost */ table `shop`.`_t_gho` like `shop`.`t`",
            "alter /* gh-ost */ table `shop`.`_t_gho` CHANGE b name VARCHAR(30), ADD d INT",
            "rename /* gh-ost */ table `shop`.`t` to `shop`.`_t_del`, `shop`.`_t_gho` to `shop`.`t`",
        ],
        &["altered t GhOst"],
        "0:a int, 1:name varchar(30)?, 2:c decimal(5,2)?, 3:d int? [0]",
    );
    check(
        &[
            T,
            "CREATE TABLE `shop`.`_t_new` (c DECIMAL(5,2), a INT NOT NULL, x INT, PRIMARY KEY (a))",
            TRIGGER,
            "RENAME TABLE `shop`.`t` TO `shop`.`_t_old`, `shop`.`_t_new` TO `shop`.`t`",
        ],
        &["altered t PtOsc"],
        "2:c decimal(5,2)?, 0:a int, 3:x int? [1]",
    );
    check(
        &[
            T,
            "CREATE TABLE `_t_new` LIKE t",
            "ALTER TABLE `_t_new` DROP PRIMARY KEY, ADD PRIMARY KEY (b)",
            TRIGGER,
            "RENAME TABLE t TO _t_old, _t_new TO t",
        ],
        &["new incarnation of t"],
        "0:a int, 1:b varchar(10), 2:c decimal(5,2)? [1]",
    );
}

#[test]
fn only_tables_and_databases_are_of_interest() {
    let session = session(Flavor::MariaDb);
    for (text, want) in [
        ("INSERT INTO t VALUES (1)", Interest::Nothing),
        ("/* x */ alter table t add x int", Interest::Table),
        ("CREATE /*!50100 TABLE */ t (a INT)", Interest::Table),
        ("CREATE OR REPLACE TABLE t (a INT)", Interest::Table),
        ("CREATE OR REPLACE VIEW v AS SELECT 1", Interest::Nothing),
        ("CREATE TEMPORARY TABLE t (a INT)", Interest::Nothing),
        ("CREATE UNIQUE INDEX i ON t (a)", Interest::Table),
        ("SET STATEMENT max_statement_time=1 FOR ALTER TABLE t FORCE", Interest::Table),
        ("DROP SCHEMA x", Interest::Database),
        ("DROP USER x", Interest::Nothing),
        ("TRUNCATE t", Interest::Table),
        ("# c\nRENAME TABLES a TO b", Interest::Table),
        (
            "CREATE DEFINER=`a`@`%` TRIGGER x AFTER INSERT ON t FOR EACH ROW SET @a = 1",
            Interest::Table,
        ),
        ("CREATE DEFINER=`a`@`%` PROCEDURE x() SELECT 1", Interest::Nothing),
        ("DROP TRIGGER x", Interest::Nothing),
        ("BEGIN", Interest::Nothing),
        ("", Interest::Nothing),
    ] {
        assert_eq!(classify(&session, text.as_bytes()), want, "{text}");
    }
}
