//! kill -9 at any instant: during the snapshot, between prepared and committed, and while streaming. Started again, the
//! lake replayed equals the source, with no row lost and none doubled. The log proves where each kill fell.

use std::{path::Path, time::Duration};

use cdc_integration::{
    Daemon, LakeTable, Outcome, PipelineFolder, Server, ServerKind, Workload, WorkloadPlan,
    wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(120);
const SEED: u64 = 77;

/// Kills of each kind.
const KILLS: u32 = 7;

/// One run of the binary, killed at `point`, which its log proves.
async fn run_until(file: &Path, point: &str, environment: &[(&str, &str)]) -> Outcome {
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), file.as_os_str()];
    let mut all = vec![("RUST_LOG", "info,cdc_cli=debug")];
    all.extend(environment);
    let mut daemon = Daemon::start(&arguments, &all)?;
    daemon.wait_for_log(point, DEADLINE).await?;
    let log = daemon.kill()?.stderr;
    eprintln!("killed at \"{point}\", {} lines logged", log.lines().count());
    Ok(())
}

async fn kill_again_and_again(kind: ServerKind) -> Outcome {
    eprintln!("seed {SEED}");
    let server = Server::start(kind, &[]).await?;
    let database = server.new_database("kill").await?;
    let plan = WorkloadPlan {
        rows: 60_000,
        key_space: 120_000,
        pace_per_second: Some(50),
        ..WorkloadPlan::new(SEED, &database)
    };
    plan.create(&server).await?;
    let writers = Workload::start(&server, &plan).await?;
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!(r"{database}.\.*"));
    // Chunks this small make a copy long enough to be killed again and again.
    let text = format!(
        "{source}  scan.incremental.snapshot.chunk.size: 40\n{}",
        folder.parquet_yaml("100ms")
    );
    let file = folder.write("pipeline.yaml", &text)?;
    for _ in 0..KILLS {
        run_until(&file, "phase=Snapshot", &[]).await?;
        run_until(&file, "held between prepared and committed", &[("CDC_TEST_HOLD_COMMIT", "1")])
            .await?;
    }
    // By now some of the copy is Done; what is left of it ends within these runs.
    for _ in 0..KILLS {
        run_until(&file, "phase=Streaming", &[]).await?;
    }
    writers.stop().await?;
    let daemon = Daemon::run(&file)?;
    let tables = plan.table_names();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    wait_until_same(&server, &folder.lake(), &database, &tables, DEADLINE).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    for table in tables {
        let lake = LakeTable::read(&folder.lake().join(&database).join(table))?;
        eprintln!("{table}: {:?}", lake.op_counts());
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql() -> Outcome {
    kill_again_and_again(ServerKind::Mysql).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() -> Outcome {
    kill_again_and_again(ServerKind::Mariadb).await
}
