//! The Parquet sink on a real S3 service: files appear with their checkpoint, kill -9 loses and doubles nothing.

use std::{path::Path, time::Duration};

use cdc_integration::{
    Daemon, Instance, LakeTable, Outcome, PipelineFolder, Server, ServerKind, Workload,
    WorkloadPlan, assert_same, table_content, wait_until,
};
use futures::TryStreamExt as _;
use object_store::{
    ObjectStore as _, ObjectStoreExt as _, aws::AmazonS3Builder, path::Path as Key,
};

const DEADLINE: Duration = Duration::from_secs(90);

/// Copies all objects of the bucket into a folder, so that the plain reader can look at them.
async fn fetch(endpoint: &str, access: &str, secret: &str, into: &Path) -> Outcome {
    let store = AmazonS3Builder::new()
        .with_endpoint(endpoint)
        .with_bucket_name("lake")
        .with_region("us-east-1")
        .with_access_key_id(access)
        .with_secret_access_key(secret)
        .with_allow_http(true)
        .build()?;
    let objects: Vec<_> = store.list(Some(&Key::from("x"))).try_collect().await?;
    for object in objects {
        let target = into.join(object.location.as_ref());
        if let Some(folder) = target.parent() {
            std::fs::create_dir_all(folder)?;
        }
        std::fs::write(target, store.get(&object.location).await?.bytes().await?)?;
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_copy_into_s3_is_whole() -> Outcome {
    let s3 = Instance::start("s3", &[]).await?;
    let address = s3.url().trim_start_matches("http://");
    let (keys, host) = address.split_once('@').unwrap_or_default();
    let (access, secret) = keys.split_once(':').unwrap_or_default();
    let endpoint = format!("http://{host}");

    let server = Server::shared(ServerKind::Mysql).await?;
    let database = server.new_database("s3").await?;
    let plan = WorkloadPlan { pace_per_second: Some(50), ..WorkloadPlan::new(3, &database) };
    plan.create(server).await?;
    let writers = Workload::start(server, &plan).await?;
    let folder = PipelineFolder::new()?;
    let text = format!(
        "{}sink:\n  type: parquet\n  path: s3://lake/x\n  s3.endpoint: {endpoint}\n  s3.region: us-east-1\n  s3.access-key: {access}\n  \
         s3.secret-key: {secret}\n  s3.allow-http: true\npipeline:\n  checkpoint.interval: 300ms\n",
        server.source_yaml(&format!(r"{database}.\.*"))
    );
    let file = folder.write("pipeline.yaml", &text)?;
    let arguments: [&std::ffi::OsStr; 2] = ["run".as_ref(), file.as_os_str()];
    for round in 0..4 {
        let mut daemon = Daemon::start(&arguments, &[("RUST_LOG", "info,cdc_cli=debug")])?;
        let point = if round % 2 == 0 { "prepared checkpoint=" } else { "committed checkpoint=" };
        daemon.wait_for_log(point, DEADLINE).await?;
        daemon.kill()?;
    }
    writers.stop().await?;
    let mut daemon = Daemon::start(&arguments, &[("RUST_LOG", "info,cdc_cli=debug")])?;
    daemon.wait_for_log("committed checkpoint=", DEADLINE).await?;
    for table in ["w0", "w1"] {
        let expected = table_content(server, &database, table).await?;
        let copy = tempfile::tempdir()?;
        let lake = copy.path().join("x").join(&database).join(table);
        wait_until("the lake", DEADLINE, async || {
            fetch(&endpoint, access, secret, copy.path()).await?;
            let actual = LakeTable::read(&lake)?.current(&expected.key)?;
            Ok(assert_same(table, &expected, &actual).is_ok())
        })
        .await?;
    }
    daemon.stop(DEADLINE).await?.expect_code(0)?;
    Ok(())
}
