//! The race harness of correctness §8: many writers of one-row transactions against small chunks, content compared after
//! each round. A tool that trusts file and position loses rows here; this one must not, whatever the server's settings.

use std::time::Duration;

use cdc_integration::{
    Daemon, Mix, Outcome, PipelineFolder, Server, ServerKind, Workload, WorkloadPlan, wait_until_same,
};

const DEADLINE: Duration = Duration::from_secs(120);

async fn race(kind: ServerKind, options: &[&str], rounds: u64) -> Outcome {
    let server = Server::start(kind, options).await?;
    for round in 0..rounds {
        let database = server.new_database("race").await?;
        let plan = WorkloadPlan {
            tables: 2,
            rows: 2000,
            key_space: 3000,
            writers: 16,
            transaction_rows_max: 1,
            mix: Mix { rollback_percent: 0, ..WorkloadPlan::new(0, "").mix },
            ..WorkloadPlan::new(1000 + round, &database)
        };
        println!("{options:?} seed {}", plan.seed);
        plan.create(&server).await?;
        let writers = Workload::start(&server, &plan).await?;
        let folder = PipelineFolder::new()?;
        let source = server.source_yaml(&format!(r"{database}.\.*"));
        let text = format!(
            "{source}  scan.incremental.snapshot.chunk.size: 50\n{}  parallelism: 4\n",
            folder.parquet_yaml("300ms")
        );
        let file = folder.write("pipeline.yaml", &text)?;
        let mut daemon = Daemon::run(&file)?;
        daemon.wait_for_log("streaming", DEADLINE).await?;
        writers.stop().await?;
        wait_until_same(&server, &folder.lake(), &database, &["w0", "w1"], DEADLINE).await?;
        daemon.stop(DEADLINE).await?.expect_code(0)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_in_commit_order() -> Outcome {
    race(ServerKind::Mysql, &["--binlog-order-commits=ON", "--sync-binlog=0"], 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mysql_out_of_commit_order_and_synced() -> Outcome {
    race(ServerKind::Mysql, &["--binlog-order-commits=OFF", "--sync-binlog=1"], 2).await
}

#[tokio::test(flavor = "multi_thread")]
async fn mariadb() -> Outcome {
    race(ServerKind::Mariadb, &["--sync-binlog=0"], 2).await?;
    race(ServerKind::Mariadb, &["--sync-binlog=1"], 1).await
}
