//! The service with its archive in an S3 bucket, as on Kubernetes: everything of a snapshot's life, at a real S3 server.

use crate::{
    customers::{owner, tenant},
    lab::{Lab, RECOVERY, signal_pid},
    snapshots::{done, snapshot, titles},
};
use serde_json::json;
use std::{fs, path::PathBuf, process::Stdio};
use tenantry_testkit::{
    eventually_within,
    weed::{KEY, Weed},
};
use tokio::process::{Child, Command};

/// The instance's backup with another store.
struct InBucket {
    process: Child,
    config: PathBuf,
}

impl InBucket {
    /// Takes the place of the instance's own process.
    async fn start(lab: &Lab, weed: &Weed) -> Self {
        let instance = lab.world.pid_dir.parent().expect("the instance");
        let own = fs::read_to_string(instance.join("config/backup.toml")).expect("its configuration");
        let line = own
            .lines()
            .find(|line| line.starts_with("url = \"file://"))
            .expect("its store");
        let (key, secret) = KEY;
        let bucket = format!(
            "url = \"s3://snapshots/tenantry\"\nendpoint = \"{}\"\naccess_key_id = \"{key}\"\nsecret_access_key = \"{secret}\"",
            weed.endpoint
        );
        let config = instance.join("config/backup-bucket.toml");
        fs::write(&config, own.replace(line, &bucket)).expect("written");
        lab.hold("backup").await;
        let log = fs::File::create(lab.world.log_dir.join("backup-bucket.log")).expect("a log");
        let process = Command::new(lab.world.bin_dir.join("tenantry-backup"))
            .args(["run", "--config"])
            .arg(&config)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a log"))
            .stderr(log)
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let bucket = Self { process, config };
        lab.ready(&["backup"]).await;
        bucket
    }
    /// Gives the place back.
    async fn end(mut self, lab: &Lab) {
        signal_pid(self.process.id().expect("it runs"), "TERM").await;
        assert!(self.process.wait().await.expect("it ends").success());
        drop(fs::remove_file(&self.config));
        lab.release("backup");
        lab.ready(&["backup"]).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_snapshot_lives_in_a_bucket_from_its_beginning_to_its_end() {
    let lab = Lab::enter().await;
    let weed = Weed::start().await;
    let bucket = InBucket::start(&lab, &weed).await;
    let tenant = tenant(&lab.operator().await).await;
    let client = owner(&tenant);
    tenant.ticket("in the snapshot").await;

    let taken = snapshot(&client).await;
    assert_eq!(taken["response"]["state"], "SNAPSHOT_STATE_READY", "{taken}");
    let name = taken["response"]["name"].as_str().expect("a name").to_owned();
    let verify = client
        .call("POST", &format!("/v1/{name}:verify"), Some(json!({})))
        .await;
    assert!(done(&client, &verify).await["response"]["verifyTime"].is_string());
    tenant.ticket("later").await;
    let restore = json!({"inPlace": true});
    let restored = client.call("POST", &format!("/v1/{name}:restore"), Some(restore)).await;
    let restored = done(&client, &restored).await;
    assert_eq!(restored["response"]["records"], "1", "{restored}");
    assert_eq!(titles(&client).await, ["in the snapshot".to_owned()].into());
    client.call("DELETE", &format!("/v1/{name}"), None).await;
    let kept = restored["response"]["beforeRestore"].as_str().expect("a name");
    eventually_within(RECOVERY, "its objects are removed", || async {
        let left = client.get("/v1/snapshots").await;
        let names = left["snapshots"].as_array().into_iter().flatten();
        let names: Vec<&str> = names.filter_map(|one| one["name"].as_str()).collect();
        if names == [kept] { Ok(()) } else { Err(left) }
    })
    .await;

    // Nothing of it was in the directory that the other process has.
    let directory = lab.world.pid_dir.parent().expect("the instance").join("snapshots/v1");
    assert!(!directory.join(&tenant.id).exists());
    bucket.end(&lab).await;
}
