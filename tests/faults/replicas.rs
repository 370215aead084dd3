//! A second process of every service beside the first, as a Deployment with two replicas has it: what one half does counts
//! at once in the other, what both count is one sum, and what either is asked for is done once. The second half listens at
//! 127.0.0.2 on the same ports and calls only itself; both share PostgreSQL, Redis, RabbitMQ and the object store.

use crate::{
    customers::{PARENT, tenant},
    lab::{Lab, RECOVERY, signal_pid},
    metering::{requests, usage},
};
use serde_json::{Value, json};
use std::{collections::HashMap, fs, path::PathBuf};
use tenantry_testkit::{World, eventually, eventually_within};
use tenantry_tests::{Meters, Operator, Tenant};
use tokio::process::{Child, Command};

const ALL: [&str; 6] = ["registry", "auth", "business", "backup", "monitoring", "gateway"];

/// The second half; dropped, it is killed.
struct Half {
    world: World,
    processes: Vec<Child>,
    files: Vec<PathBuf>,
}

impl Half {
    /// Starts it and waits until all of it is ready.
    async fn start(lab: &Lab) -> Self {
        let first = &lab.world;
        // Only the ports of services move: the servers are shared.
        let moved = |text: &str| {
            let urls = first.grpc_urls.values().chain(first.admin_urls.values());
            urls.chain([&first.gateway_url]).fold(text.to_owned(), |text, url| {
                let address = url.trim_start_matches("http://");
                let other = address.replace("127.0.0.1", "127.0.0.2");
                text.replace(&format!("{address}\""), &format!("{other}\""))
            })
        };
        let map = |urls: &HashMap<String, String>| {
            let other = |(name, url): (&String, &String)| (name.clone(), url.replace("127.0.0.1", "127.0.0.2"));
            urls.iter().map(other).collect()
        };
        let mut half = Self {
            world: World {
                gateway_url: first.gateway_url.replace("127.0.0.1", "127.0.0.2"),
                grpc_urls: map(&first.grpc_urls),
                admin_urls: map(&first.admin_urls),
                ..first.clone()
            },
            processes: Vec::new(),
            files: Vec::new(),
        };
        let configs = first.pid_dir.parent().expect("the instance").join("config");
        for service in ALL {
            let text = fs::read_to_string(configs.join(format!("{service}.toml"))).expect("its configuration");
            let file = configs.join(format!("{service}-second.toml"));
            fs::write(&file, moved(&text)).expect("written");
            let log = fs::File::create(first.log_dir.join(format!("{service}-second.log"))).expect("a log");
            let process = Command::new(first.bin_dir.join(format!("tenantry-{service}")))
                .args(["run", "--config"])
                .arg(&file)
                .stdin(std::process::Stdio::null())
                .stdout(log.try_clone().expect("a log"))
                .stderr(log)
                .kill_on_drop(true)
                .spawn();
            half.processes.push(process.expect("it starts"));
            half.files.push(file);
        }
        for service in ALL {
            lab.ready_at(&half.world.admin_urls[service], service).await;
        }
        half
    }
    /// The same tenant, asked through this half.
    fn of(&self, tenant: &Tenant) -> Tenant {
        Tenant {
            world: self.world.clone(),
            ..tenant.clone()
        }
    }
    /// Ends it as a rollout does; every process must end by itself.
    async fn end(mut self) {
        for process in &self.processes {
            signal_pid(process.id().expect("it runs"), "TERM").await;
        }
        for (service, process) in ALL.iter().zip(&mut self.processes) {
            let status = process.wait().await.expect("it ends");
            assert!(status.success(), "{service}: {status}");
        }
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        for file in &self.files {
            drop(fs::remove_file(file));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_half_writes_the_other_reads_and_what_it_revokes_the_other_refuses() {
    let lab = Lab::enter().await;
    let half = Half::start(&lab).await;
    let first = tenant(&lab.operator().await).await;
    let second = half.of(&first);
    eventually("the second half knows the new tenant", || async {
        let answer = second.rest().get("/v1/objectTypes").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;

    let path = format!("/v1/{}", first.ticket("0").await["name"].as_str().expect("a name"));
    for n in 1..=40 {
        let (writer, reader) = if n % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        // So that it is in the reader's cache when the other one changes it.
        reader.rest().get(&path).await.ok();
        let title = n.to_string();
        let change = json!({"fields": {"title": title}});
        writer
            .rest()
            .patch(&format!("{path}?updateMask=fields.title"), change)
            .await
            .ok();
        assert_eq!(reader.rest().get(&path).await.ok()["fields"]["title"], json!(title));
    }
    let known = first.rest().get("/v1/objectTypes/tickets").await.ok();
    let mut fields = known["fields"].as_array().cloned().expect("its fields");
    fields.push(json!({"fieldId": "later", "type": "FIELD_TYPE_INT64"}));
    let change = json!({"fields": fields});
    first
        .rest()
        .patch("/v1/objectTypes/tickets?updateMask=fields", change)
        .await
        .ok();
    let record = json!({"fields": {"title": "new field", "status": "open", "later": 7}});
    second.rest().post(PARENT, record).await.ok();

    let member = first.member("ROLE_MEMBER").await;
    assert_eq!(second.as_member(&member).get(&path).await.status, 200);
    first.as_member(&member).post("/v1/auth:signOut", json!({})).await.ok();
    eventually("the second half refuses the session", || async {
        match second.as_member(&member).get(&path).await.status {
            401 => Ok(()),
            other => Err(other),
        }
    })
    .await;
    half.end().await;
    first.rest().get(&path).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn both_halves_count_into_one_usage() {
    const EACH: u64 = 150;
    let lab = Lab::enter().await;
    let half = Half::start(&lab).await;
    let operator = lab.operator().await;
    let first = tenant(&operator).await;
    let second = half.of(&first);
    eventually("the second half knows the new tenant", || async {
        let answer = second.rest().get(PARENT).await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    let before = settled(&lab, &operator, &first).await;
    let ask = |tenant: Tenant| async move {
        for _ in 0..EACH {
            tenant.rest().get(PARENT).await.ok();
        }
    };
    tokio::join!(ask(first.clone()), ask(second));
    // Its last report follows SIGTERM.
    half.end().await;
    let expected = before + 2 * EACH;
    let counted = eventually_within(RECOVERY, "everything is added up", || async {
        Meters::drained(&lab.world).await;
        match requests(&usage(&operator, &first).await) {
            Some(n) if n >= expected => Ok(n),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(counted, expected);
}

/// The tenant's requests once two looks in a row, some reports apart, show the same.
async fn settled(lab: &Lab, operator: &Operator, tenant: &Tenant) -> u64 {
    let reports = || async {
        // Without anything to count there is no report.
        operator.rest.get("/v1/platform/services").await;
        lab.metric_sum("monitoring", "tenantry_metering_reports_total").await
    };
    let (mut last, mut seen) = (None, reports().await);
    loop {
        eventually("three more reports", || async {
            let now = reports().await;
            if now >= seen + 3.0 { Ok(()) } else { Err(now) }
        })
        .await;
        seen = reports().await;
        let now = requests(&usage(operator, tenant).await);
        if let Some(now) = now
            && last == Some(now)
        {
            return now;
        }
        last = now;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_either_half_is_asked_for_is_done_once() {
    let lab = Lab::enter().await;
    let half = Half::start(&lab).await;
    let first = tenant(&lab.operator().await).await;
    let second = half.of(&first);
    eventually("the second half knows the new tenant", || async {
        let answer = second.rest().get("/v1/snapshots").await;
        if answer.status == 200 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    let mut asked = Vec::new();
    for n in 0..6 {
        let one = if n % 2 == 0 { &first } else { &second };
        asked.push(one.rest().post("/v1/snapshots", json!({})).await.ok());
    }
    for operation in &asked {
        let done = done(&second, operation).await;
        assert!(done["response"]["snapshotTime"].is_string(), "{done}");
    }
    let snapshots = first.rest().get("/v1/snapshots").await.ok();
    assert_eq!(snapshots["snapshots"].as_array().map(Vec::len), Some(6), "{snapshots}");

    let rows: String = (0..500).map(|n| format!("row {n},open\n")).collect();
    for (sender, starter, reader) in [(&first, &second, &first), (&second, &first, &second)] {
        let file = Some(("text/csv", format!("title,status\n{rows}").into_bytes()));
        let upload = sender
            .rest()
            .try_send("POST", "/v1/imports:upload?filename=r.csv", file)
            .await;
        let import = upload.expect("an answer").ok()["import"]["name"].clone();
        let path = format!("/v1/{}:start", import.as_str().expect("a name"));
        let started = starter
            .rest()
            .post(&path, json!({"objectType": "objectTypes/tickets"}))
            .await
            .ok();
        let done = done(reader, &started).await;
        assert_eq!(done["response"]["importedCount"], json!("500"), "{done}");
    }
    half.end().await;
    let listed = first
        .rest()
        .get(&format!("{PARENT}?pageSize=500&filter=title%20!=%20\"\""))
        .await
        .ok();
    let next = listed["nextPageToken"].as_str().unwrap_or_default();
    let more = first
        .rest()
        .get(&format!(
            "{PARENT}?pageSize=500&filter=title%20!=%20\"\"&pageToken={next}"
        ))
        .await
        .ok();
    let count = |page: &Value| page["records"].as_array().map_or(0, Vec::len);
    assert_eq!((count(&listed), count(&more)), (500, 500), "each row once");
}

async fn done(tenant: &Tenant, operation: &Value) -> Value {
    let name = operation["name"].as_str().unwrap_or_else(|| panic!("{operation}"));
    eventually_within(RECOVERY, name, || async {
        let now = tenant.rest().get(&format!("/v1/{name}")).await.ok();
        if now["done"] == json!(true) { Ok(now) } else { Err(now) }
    })
    .await
}
