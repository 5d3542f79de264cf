//! Bad surroundings: each ends with a clear message, the right exit code, and nothing lost.

use std::{path::Path, process::Command, time::Duration};

use cdc_integration::{
    Daemon, Exit, Failure, LakeTable, Outcome, PipelineFolder, Server, ServerKind, wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a pipeline that must fail, and looks for `texts` on its screen.
async fn fails(file: &Path, code: i32, texts: &[&str]) -> Outcome {
    let exit = Daemon::run(file)?.wait(DEADLINE).await?.expect_code(code)?;
    says(&exit, texts)
}

fn says(exit: &Exit, texts: &[&str]) -> Outcome {
    for text in texts {
        if !exit.stderr.contains(text) {
            return Err(Failure::new(format!("\"{text}\" is missing in\n{}", exit.stderr)));
        }
    }
    Ok(())
}

fn write(folder: &PipelineFolder, source: &str) -> Outcome<std::path::PathBuf> {
    folder.write("pipeline.yaml", &format!("{source}{}", folder.parquet_yaml("200ms")))
}

#[tokio::test(flavor = "multi_thread")]
async fn connections_that_cannot_work() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("bad").await?;
        server
            .connect()
            .await?
            .run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)"))
            .await?;
        let folder = PipelineFolder::new()?;
        let good = server.source_yaml(&format!(r"{database}.\.*"));

        let closed = good.replace(&format!("port: {}", server.port()), "port: 1");
        let file = write(&folder, &format!("{closed}  connect.max-retries: 1\n"))?;
        fails(&file, 1, &["cannot connect to database server", "hint:"]).await?;

        let file = write(&folder, &good.replace("password: 'cdc'", "password: 'wrong'"))?;
        fails(&file, 1, &["Access denied", "hint:"]).await?;

        let file = write(&folder, &server.source_yaml("no_such_database.\\.*"))?;
        fails(&file, 1, &["no table matches", "hint:"]).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn grants_that_are_missing_are_named_with_their_sql() -> Outcome {
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("grant").await?;
        let mut sql = server.connect().await?;
        let user = format!("poor_{}", std::process::id());
        sql.run_all(&[
            &format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)"),
            &format!("CREATE USER {user}@'%' IDENTIFIED BY 'p'"),
            &format!("GRANT SELECT ON {database}.* TO {user}@'%'"),
        ])
        .await?;
        let folder = PipelineFolder::new()?;
        let source = server
            .source_yaml(&format!(r"{database}.\.*"))
            .replace("username: cdc", &format!("username: {user}"))
            .replace("password: 'cdc'", "password: 'p'");
        fails(&write(&folder, &source)?, 1, &["GRANT", "REPLICATION SLAVE"]).await?;
        sql.run(&format!("DROP USER {user}@'%'")).await?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn settings_that_are_wrong_are_named_with_their_sql() -> Outcome {
    for kind in ServerKind::ALL {
        let folder = PipelineFolder::new()?;
        for (option, texts) in [
            ("--skip-log-bin", ["log_bin"]),
            ("--binlog-format=STATEMENT", ["binlog_format"]),
            ("--binlog-row-image=MINIMAL", ["binlog_row_image"]),
            ("--binlog-row-image=NOBLOB", ["binlog_row_image"]),
        ] {
            let server = Server::start(kind, &[option]).await?;
            let mut sql = server.connect().await?;
            sql.run_all(&["CREATE DATABASE d", "CREATE TABLE d.t (id INT PRIMARY KEY)"]).await?;
            fails(&write(&folder, &server.source_yaml(r"d.\.*"))?, 1, &texts).await?;
        }
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_cannot_be_written_is_named() -> Outcome {
    let server = Server::shared(ServerKind::Mariadb).await?;
    let database = server.new_database("folder").await?;
    server.connect().await?.run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)")).await?;
    let folder = PipelineFolder::new()?;
    // A file stands where the folder should be: nobody, root neither, can write there.
    folder.write("lake", "")?;
    let file = write(&folder, &server.source_yaml(&format!(r"{database}.\.*")))?;
    fails(&file, 1, &["lake"]).await
}

/// A file system of some hundred KiB fills up under the sink; with more room the run goes on, and nothing is lost.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_stops_the_run_and_loses_nothing() -> Outcome {
    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("full").await?;
    let mut sql = server.connect().await?;
    sql.run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY, v VARBINARY(2000))")).await?;
    for id in 0..600 {
        sql.run(&format!("INSERT INTO {database}.t VALUES ({id}, RANDOM_BYTES(1000))")).await?;
    }
    let folder = PipelineFolder::new()?;
    std::fs::create_dir(folder.lake())?;
    let file = write(&folder, &server.source_yaml(&format!(r"{database}.\.*")))?;
    let binary = cdc_integration::binary()?;
    let script = format!(
        "mount -t tmpfs -o size=300k tmpfs '{}' && exec '{}' run '{}'",
        folder.lake().display(),
        binary.display(),
        file.display()
    );
    let output = tokio::task::spawn_blocking(move || {
        Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &script])
            .output()
    })
    .await??;
    let screen = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{screen}");
    assert!(screen.contains("hint:") && screen.contains("lake"), "{screen}");

    let daemon = Daemon::run(&file)?;
    wait_until_same(server, &folder.lake(), &database, &["t"], DEADLINE).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    assert_eq!(LakeTable::read(&folder.lake().join(&database).join("t"))?.rows.len(), 600);
    Ok(())
}

/// Every kind of TLS against servers that have a certificate; the caching_sha2 login without TLS goes by RSA.
#[tokio::test(flavor = "multi_thread")]
async fn tls_modes_and_logins() -> Outcome {
    let tls = cdc_integration::tls_folder()?;
    for kind in ServerKind::ALL {
        let server = Server::shared(kind).await?;
        let database = server.new_database("tls").await?;
        server
            .connect()
            .await?
            .run(&format!("CREATE TABLE {database}.t (id INT PRIMARY KEY)"))
            .await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!(r"{database}.\.*"));
        let ca = tls.join("ca.pem");
        let other = tls.join("other-ca.pem");
        let good = [
            "  tls.mode: disabled\n".to_owned(),
            "  tls.mode: required\n".to_owned(),
            format!("  tls.mode: verify-ca\n  tls.ca: {}\n", ca.display()),
            format!("  tls.mode: verify-full\n  tls.ca: {}\n", ca.display()),
        ];
        for mode in good {
            let text = format!("{source}{mode}  scan.startup.mode: snapshot\n");
            let file = folder.write("pipeline.yaml", &format!("{text}sink:\n  type: values\n"))?;
            Daemon::run(&file)?.wait(DEADLINE).await?.expect_code(0)?;
            std::fs::remove_dir_all(folder.path().join(".cdc-cli"))?;
        }
        let bad = format!("{source}  tls.mode: verify-ca\n  tls.ca: {}\n", other.display());
        fails(&write(&folder, &bad)?, 1, &["TLS"]).await?;
    }
    Ok(())
}
