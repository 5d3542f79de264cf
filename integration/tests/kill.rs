//! kill -9 at any instant: during the snapshot, between prepared and committed, and while streaming. Started again, the
//! lake replayed equals the source, with no row lost and none doubled. The log proves where each kill fell.

use std::time::Duration;

use cdc_integration::{
    Daemon, LakeTable, Outcome, PipelineFolder, Random, Server, ServerKind, Workload, WorkloadPlan,
    wait_until, wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(120);
const SEED: u64 = 77;

/// Where kills fall, as the log tells.
#[derive(Debug, Default)]
struct Kills {
    copying: u32,
    prepared: u32,
    streaming: u32,
}

/// What the log said last of the run's phase.
fn count(log: &[String], kills: &mut Kills) {
    let last = |text: &str| log.iter().rposition(|line| line.contains(text));
    match (last("prepared checkpoint="), last("committed checkpoint=")) {
        (Some(prepared), committed) if committed.is_none_or(|committed| committed < prepared) => {
            kills.prepared += 1;
        }
        _ if last("streaming").is_some() => kills.streaming += 1,
        _ => kills.copying += 1,
    }
}

async fn kill_again_and_again(kind: ServerKind) -> Outcome {
    println!("seed {SEED}");
    let server = Server::start(kind, &[]).await?;
    let database = server.new_database("kill").await?;
    let plan = WorkloadPlan {
        rows: 20_000,
        key_space: 40_000,
        pace_per_second: Some(100),
        ..WorkloadPlan::new(SEED, &database)
    };
    plan.create(&server).await?;
    let writers = Workload::start(&server, &plan).await?;
    let folder = PipelineFolder::new()?;
    let source = server.source_yaml(&format!(r"{database}.\.*"));
    let text = format!(
        "{source}  scan.incremental.snapshot.chunk.size: 500\n{}",
        folder.parquet_yaml("100ms")
    );
    let file = folder.write("pipeline.yaml", &text)?;
    let mut random = Random::new(SEED);
    let mut kills = Kills::default();
    let debug = [("RUST_LOG", "info,cdc_cli=debug")];
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), file.as_os_str()];
    for round in 0..20 {
        let mut daemon = Daemon::start(&arguments, &debug)?;
        match round % 4 {
            // As soon as a checkpoint is stored and before its files are renamed.
            0 | 1 => {
                daemon.wait_for_log("prepared checkpoint=", DEADLINE).await?;
            }
            2 => {
                daemon.wait_for_log("committed checkpoint=", DEADLINE).await?;
            }
            _ => {
                let count = 1 + random.below(4) as usize;
                wait_until("some checkpoints", DEADLINE, async || {
                    let log = daemon.log();
                    Ok(log.iter().filter(|line| line.contains("committed checkpoint=")).count()
                        >= count)
                })
                .await?;
            }
        }
        let exit = daemon.kill()?;
        let log: Vec<String> = exit.stderr.lines().map(str::to_owned).collect();
        count(&log, &mut kills);
    }
    println!("{kills:?}");
    assert!(kills.copying >= 5 && kills.prepared >= 5 && kills.streaming >= 5, "{kills:?}");
    writers.stop().await?;
    let mut daemon = Daemon::run(&file)?;
    let tables = plan.table_names();
    let tables: Vec<&str> = tables.iter().map(String::as_str).collect();
    wait_until_same(&server, &folder.lake(), &database, &tables, DEADLINE).await?;
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    for table in tables {
        let lake = LakeTable::read(&folder.lake().join(&database).join(table))?;
        println!("{table}: {:?}", lake.op_counts());
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
