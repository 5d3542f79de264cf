//! The servers of `integration/servers/` themselves: they start, take options, can be hurt, and write what the harness
//! can read back. When this fails, look here before anywhere else.

use std::time::Duration;

use cdc_integration::{
    Instance, Outcome, Server, ServerKind, Workload, WorkloadPlan, assert_same, table_content,
    tls_folder, wait_until,
};

const DEADLINE: Duration = Duration::from_secs(60);

#[tokio::test(flavor = "multi_thread")]
async fn shared_servers_log_rows_and_are_new_enough() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let mut sql = server.connect().await?;
        let version = sql.value("SELECT VERSION()").await?.unwrap_or_default();
        assert_eq!(version.contains("MariaDB"), kind == ServerKind::Mariadb, "{version}");
        assert_eq!(sql.value("SELECT @@log_bin").await?.as_deref(), Some("1"));
        assert_eq!(sql.value("SELECT @@binlog_format").await?.as_deref(), Some("ROW"));
        assert_eq!(sql.value("SELECT @@character_set_server").await?.as_deref(), Some("utf8mb4"));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn private_servers_take_options_and_keep_their_rows_over_a_kill() -> Outcome {
    for kind in ServerKind::ALL {
        let server =
            Server::start(kind, &["--binlog-row-metadata=FULL", "--sync-binlog=1"]).await?;
        let mut sql = server.connect().await?;
        let settings = sql.rows("SELECT @@binlog_row_metadata, @@sync_binlog").await?;
        assert_eq!(settings, [[Some("FULL".to_owned()), Some("1".to_owned())]]);
        sql.run_all(&[
            "CREATE DATABASE shop",
            "CREATE TABLE shop.orders (id INT PRIMARY KEY)",
            "INSERT INTO shop.orders VALUES (1), (2)",
        ])
        .await?;

        server.kill().await?;
        assert!(sql.run("SELECT 1").await.is_err());
        // With its log: recovery asks the log which prepared transactions have committed.
        server.restart(&[]).await?;
        let mut sql = server.connect().await?;
        assert_eq!(sql.value("SELECT COUNT(*) FROM shop.orders").await?.as_deref(), Some("2"));

        server.stop().await?;
        assert!(server.connect().await.is_err());
        server.restart(&["--skip-log-bin"]).await?;
        server.pause().await?;
        server.resume().await?;
        let mut sql = server.connect().await?;
        assert_eq!(sql.value("SELECT @@log_bin").await?.as_deref(), Some("0"));

        let refused = server.restart(&["--no-such-option"]).await;
        assert!(refused.is_err_and(|error| error.to_string().contains("no-such-option")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_server_leaves_nothing_behind() -> Outcome {
    let server = Server::start(ServerKind::Mariadb, &[]).await?;
    let folder = server.instance()?.folder().clone();
    assert!(folder.is_dir());
    drop(server);
    assert!(!folder.exists());
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_there() -> Outcome {
    let folder = tls_folder()?;
    for name in ["ca.pem", "server-cert.pem", "client-cert.pem", "client-key.pem", "other-ca.pem"] {
        assert!(folder.join(name).is_file(), "{name}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn object_storage_answers() -> Outcome {
    let instance = Instance::start("s3", &[]).await?;
    assert!(instance.url().starts_with("http://"));
    tokio::net::TcpStream::connect(("127.0.0.1", instance.port())).await?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn writers_change_every_table() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("writers").await?;
        let mut plan = WorkloadPlan::new(7, &database);
        plan.mix.xa_percent = 10;
        plan.create(server).await?;
        let before = table_content(server, &database, "w1").await?;
        assert_eq!(before.rows.len(), 1000);
        assert_eq!(before.key, ["region", "id"]);

        let workload = Workload::start(server, &plan).await?;
        wait_until("300 transactions", DEADLINE, async || Ok(workload.committed() > 300)).await?;
        let report = workload.stop().await?;
        assert!(report.committed > 300 && report.rolled_back > 0, "{report:?}");

        for table in plan.table_names() {
            let rows = table_content(server, &database, &table).await?;
            assert!(!rows.rows.is_empty());
            assert_same(&table, &rows, &rows)?;
        }
        let after = table_content(server, &database, "w1").await?;
        let difference = assert_same("w1", &before, &after);
        assert!(difference.is_err_and(|error| error.to_string().contains("differences between")));
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn table_content_prints_every_type_exactly() -> Outcome {
    // Type, literal, expected text.
    let both = [
        ("TINYINT(1)", "1", "1"),
        ("BIGINT UNSIGNED", "18446744073709551615", "18446744073709551615"),
        ("BIT(1)", "b'1'", "1"),
        ("BIT(10)", "b'1000000001'", "0201"),
        ("YEAR", "2024", "2024"),
        ("DECIMAL(10,2)", "-0.1", "-0.10"),
        ("FLOAT", "1.1", "1.1"),
        ("DOUBLE", "1e300", "1e300"),
        ("DATE", "'2024-02-29'", "2024-02-29"),
        ("DATETIME(3)", "'2024-02-29 23:59:59.125'", "2024-02-29 23:59:59.125000"),
        ("TIME(6)", "'-838:59:58.5'", "-838:59:58.500000"),
        ("CHAR(5)", "'漢字 '", "漢字"),
        ("VARCHAR(9) CHARACTER SET latin1", "'é '", "é "),
        ("BINARY(3)", "'a'", "610000"),
        ("BLOB", "x'00ff'", "00ff"),
        ("ENUM('x','y')", "'y'", "y"),
        ("SET('a','b','c')", "'c,a'", "a,c"),
    ];
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("kinds").await?;
        let columns: String =
            both.iter().enumerate().map(|(n, (sort, ..))| format!(", c{n} {sort}")).collect();
        let values: String = both.iter().map(|(_, value, _)| format!(", {value}")).collect();
        let mut sql = server.connect().await?;
        sql.run(&format!("CREATE TABLE `{database}`.kinds (id INT PRIMARY KEY{columns})")).await?;
        sql.run(&format!("INSERT INTO `{database}`.kinds VALUES (1{values})")).await?;
        sql.run(&format!("INSERT INTO `{database}`.kinds (id) VALUES (2)")).await?;

        let content = table_content(server, &database, "kinds").await?;
        let mut rows = content.rows.into_values();
        let row: Vec<String> = rows.next().into_iter().flatten().flatten().skip(1).collect();
        assert_eq!(row, both.map(|(_, _, text)| text), "{kind:?}");
        let nulls = rows.next().into_iter().flatten().skip(1).collect::<Vec<_>>();
        assert_eq!(nulls, vec![None; both.len()], "{kind:?}");
    }
    Ok(())
}
