//! Single cases that the matrix has no place for: very long values, storage of old versions, members beyond the BMP in
//! keys, images that lack columns. And what the differential test found, kept.

use arrow_array::Array;
use arrow_array::cast::AsArray;
use cdc_integration::{Outcome, Random, ServerKind, Sql};
use cdc_mysql::types::{TimeAs, TypeOptions};

use crate::{
    differential::{Settings, compare, digest, write},
    matrix::{self, Column},
    reading::Reader,
    rendering::Rendering,
    server,
    table::Table,
};

fn unused(_: &mut Random) -> String {
    "NULL".to_owned()
}

fn table(columns: Vec<Column>, options: TypeOptions) -> Table {
    Table::new("t".to_owned(), columns, options, 0, &mut Random::new(7))
}

/// Values of more than 16 MiB come in several packets, in one event of the log.
#[tokio::test(flavor = "multi_thread")]
async fn values_of_more_than_a_packet() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        let columns = vec![
            Column::new("longtext", Rendering::Text, &[], unused),
            Column::new("longblob", Rendering::Bytes, &[], unused),
        ];
        let written = write(
            &server,
            Settings::new("FULL", true, true),
            &[table(columns, TypeOptions::default())],
        )
        .await?;
        let database = &written.database;
        let mut sql = server.connect().await?;
        sql.run(&format!("DELETE FROM `{database}`.t")).await?;
        sql.run(&format!(
            "INSERT INTO `{database}`.t (id, c0, c1) VALUES (9, CONCAT(REPEAT('aé😀', 3000000), 'z'), REPEAT(x'00FF0A', 6000001))"
        ))
        .await?;
        sql.run(&format!("UPDATE `{database}`.t SET changed = 1")).await?;
        let mut reader = Reader::connect(&server).await?;
        let bound = [reader.bind(database, "t", &TypeOptions::default()).await?];
        let selected = reader.select(&bound[0]).await?;
        let logged = written.log(&server, &reader, &bound).await?;
        let after = &logged[0].updated_after;
        let last = after.slice(after.num_rows() - 1, 1);
        assert_eq!(selected.num_rows(), 1);
        assert_eq!(selected, last, "{}", kind.name());
        // The client's own limit is below the value's length, so the server sums it up.
        let sums = "CONCAT(LENGTH(v), ':', CRC32(v), ':', LOWER(HEX(LEFT(v, 20))), ':', LOWER(HEX(RIGHT(v, 20))))";
        for (at, bytes) in [
            (2, selected.column(2).as_string::<i32>().value(0).as_bytes()),
            (3, selected.column(3).as_binary::<i32>().value(0)),
        ] {
            let column = if at == 2 { "CAST(c0 AS BINARY)" } else { "c1" };
            let printed = sql
                .value(&format!("SELECT {sums} FROM (SELECT {column} AS v FROM `{database}`.t) x"))
                .await?;
            assert_eq!(printed, Some(digest(bytes)), "{} column {at}", kind.name());
            assert!(bytes.len() > 16 << 20);
        }
        sql.run(&format!("DROP DATABASE `{database}`")).await?;
    }
    Ok(())
}

/// Columns that MariaDB made before its present format of times, which has no fractions.
#[tokio::test(flavor = "multi_thread")]
async fn times_in_the_format_of_old_versions() -> Outcome {
    let server = server(ServerKind::Mariadb).await?;
    let mut sql = server.connect().await?;
    sql.run("SET GLOBAL mysql56_temporal_format = OFF").await?;
    let old = |definition: &str, rendering, edges: &[&str]| {
        Column::new(definition, rendering, edges, unused)
    };
    let columns = vec![
        old(
            "time",
            Rendering::ClockMicros,
            &["'-838:59:59'", "'838:59:59'", "'-00:00:01'", "'00:00:00'", "'-10:20:30'"],
        ),
        old(
            "datetime",
            Rendering::Datetime,
            &["'9999-12-31 23:59:59'", "'0000-00-00'", "'2020-00-01 01:02:03'", "'1000-01-01'"],
        ),
        old(
            "timestamp NULL DEFAULT NULL",
            Rendering::Datetime,
            &["FROM_UNIXTIME(1)", "FROM_UNIXTIME(2147483647)", "'0000-00-00'"],
        ),
        old("date", Rendering::Date, &["'0001-01-01'", "'0000-00-00'", "'9999-12-31'"]),
    ];
    let options = TypeOptions { time_as: TimeAs::Micros, ..TypeOptions::default() };
    let compared =
        compare(&server, Settings::new("FULL", false, true), &[table(columns, options)]).await;
    sql.run("SET GLOBAL mysql56_temporal_format = ON").await?;
    compared.map(drop)
}

/// Members that metadata shows as `?` are read from the server in another way, whatever the log tells, and in keys too.
#[tokio::test(flavor = "multi_thread")]
async fn members_beyond_the_bmp_are_read_exactly() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        let many: Vec<String> = (0..1203).map(|at| format!("'{at}😀?'")).collect();
        let all: Vec<String> = (0..64).map(|at| format!("'{at}𝒜'")).collect();
        let columns = [
            Column::new(
                "enum('x😀','?','''','a\\\\b?','😃')",
                Rendering::Text,
                &["1", "2", "3", "4", "5", "0"],
                unused,
            ),
            Column::new(
                format!("enum({}) character set utf16", many.join(",")),
                Rendering::Text,
                &["1", "500", "501", "1000", "1203"],
                unused,
            ),
            Column::new(
                format!("set({}) NOT NULL", all.join(",")),
                Rendering::Set,
                &["0", "1", "9223372036854775808", "18446744073709551615"],
                |_| "3".to_owned(),
            ),
        ];
        for settings in Settings::usual(kind) {
            let columns = columns.iter().map(copy).collect();
            compare(&server, *settings, &[table(columns, TypeOptions::default())]).await?;
        }
        let mut sql = server.connect().await?;
        let database = server.new_database("members").await?;
        sql.run(&format!(
            "CREATE TABLE `{database}`.t (id ENUM('😀','?') PRIMARY KEY, v SET('𝒜','b'))"
        ))
        .await?;
        sql.run(&format!("INSERT INTO `{database}`.t VALUES (2, 3), (1, 1)")).await?;
        let mut reader = Reader::connect(&server).await?;
        let bound = reader.bind(&database, "t", &TypeOptions::default()).await?;
        assert_eq!(bound.meta.columns[0].column_type, "enum('😀','?')");
        let selected = reader.select(&bound).await?;
        let ids: Vec<_> = selected.column(0).as_string::<i32>().iter().flatten().collect();
        assert_eq!(ids, ["😀", "?"]);
        sql.run(&format!("DROP DATABASE `{database}`")).await?;
    }
    Ok(())
}

/// The same column again.
fn copy(column: &Column) -> Column {
    let mut copy =
        Column::new(column.definition.clone(), column.rendering, &[], |_| "1".to_owned())
            .with_edges(column.edges.clone());
    copy.may_be_required = false;
    copy
}

/// Images that lack columns are never taken for whole ones.
#[tokio::test(flavor = "multi_thread")]
async fn images_that_lack_columns_are_refused_by_name() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        for image in ["MINIMAL", "NOBLOB"] {
            let settings = Settings { image, ..Settings::new("FULL", false, true) };
            let columns = vec![
                Column::new("int", Rendering::Number, &["1", "2"], unused),
                Column::new("longtext", Rendering::Text, &["'long'"], unused),
            ];
            let table = table(columns, TypeOptions::default());
            let written = write(&server, settings, std::slice::from_ref(&table)).await?;
            let mut reader = Reader::connect(&server).await?;
            let bound = [reader.bind(&written.database, "t", &table.options).await?];
            let logged = written.log(&server, &reader, &bound).await?;
            let refused = logged[0].refused.clone().unwrap_or_default();
            assert!(
                refused.contains("binlog_row_image was not FULL"),
                "{} {image}: {refused}",
                kind.name()
            );
            assert!(refused.starts_with("column `"), "{refused}");
            assert_eq!(
                logged[0].updated_after.num_rows(),
                0,
                "half a row was taken for a whole one"
            );
        }
    }
    Ok(())
}

/// Numbers beyond what a DECIMAL downstream can hold arrive as exact text, never rounded.
#[tokio::test(flavor = "multi_thread")]
async fn decimals_of_more_than_38_digits_are_text() -> Outcome {
    for kind in ServerKind::ALL {
        let server = server(kind).await?;
        let mut sql: Sql = server.connect().await?;
        let database = server.new_database("digits").await?;
        sql.run(&format!(
            "CREATE TABLE `{database}`.t (id INT PRIMARY KEY, d DECIMAL(65,30), e DECIMAL(38,30))"
        ))
        .await?;
        sql.run(&format!("INSERT INTO `{database}`.t VALUES (1, -1.5, -1.5), (2, '12345678901234567890123456789012345.000000000000000000000000000001', 1)")).await?;
        let mut reader = Reader::connect(&server).await?;
        let bound = reader.bind(&database, "t", &TypeOptions::default()).await?;
        let selected = reader.select(&bound).await?;
        let texts: Vec<_> = selected.column(1).as_string::<i32>().iter().flatten().collect();
        assert_eq!(
            texts,
            [
                "-1.500000000000000000000000000000",
                "12345678901234567890123456789012345.000000000000000000000000000001"
            ]
        );
        assert_eq!(selected.column(2).data_type(), &arrow_schema::DataType::Decimal128(38, 30));
        sql.run(&format!("DROP DATABASE `{database}`")).await?;
    }
    Ok(())
}

/// What is no shape has no JSON and no WKB: an error by name, never an invented value.
#[tokio::test(flavor = "multi_thread")]
async fn what_mariadb_keeps_of_no_shape_is_an_error() -> Outcome {
    let server = server(ServerKind::Mariadb).await?;
    let mut sql = server.connect().await?;
    let database = server.new_database("shape").await?;
    sql.run(&format!("CREATE TABLE `{database}`.t (id INT PRIMARY KEY, v POINT NOT NULL)")).await?;
    sql.run("SET SESSION sql_mode = ''").await?;
    sql.run(&format!(
        "INSERT IGNORE INTO `{database}`.t VALUES (1, ST_GeomFromText('POINT(1)')), (2, NULL)"
    ))
    .await?;
    let mut reader = Reader::connect(&server).await?;
    let bound = reader.bind(&database, "t", &TypeOptions::default()).await?;
    let refused = reader.select(&bound).await.err().map(|error| error.to_string());
    let refused = refused.unwrap_or_default();
    assert!(refused.contains("column `v`: a spatial value without a byte"), "{refused}");
    sql.run(&format!("DROP DATABASE `{database}`")).await
}

/// The matrix is not empty by accident.
#[test]
fn the_matrix_has_every_family() {
    for kind in ServerKind::ALL {
        let all = matrix::columns(kind, true);
        for family in [
            "tinyint unsigned zerofill",
            "bit(64)",
            "double(10,2)",
            "decimal(65,30)",
            "timestamp(6)",
            "time(3)",
            "year",
            "varchar(300) character set sjis",
            "longtext character set utf32",
            "binary(255)",
            "longblob",
            "multipolygon",
        ] {
            let found = all.iter().any(|column| column.definition.starts_with(family));
            assert!(found, "{} lacks {family}", kind.name());
        }
    }
}
