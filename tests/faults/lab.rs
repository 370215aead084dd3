//! What a fault test does to the instance: kill, stop, start, arm, look. Whatever it breaks, the next test finds whole.

use serde_json::json;
use sqlx::PgPool;
use std::{fs::File, time::Duration};
use tenantry_kernel::{Ids, SystemIds};
use tenantry_testkit::{World, eventually_within};
use tenantry_tests::Operator;
use tokio::process::Command;

/// Our services, in the order they are started.
pub(crate) const SERVICES: [&str; 4] = ["registry", "auth", "business", "gateway"];
/// Their servers.
pub(crate) const SERVERS: [&str; 3] = ["postgres", "redis", "rabbitmq"];
/// Recovery from any single fault takes less than this, or something is stuck.
pub(crate) const RECOVERY: Duration = Duration::from_secs(120);

/// The instance, for one test alone.
pub(crate) struct Lab {
    pub(crate) world: World,
    http: reqwest::Client,
    /// Fault tests break what every other one uses; the lock also holds between processes.
    _alone: File,
}

impl Lab {
    /// Waits for its turn, and for an instance that is whole.
    pub(crate) async fn enter() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let world = World::load();
        let path = world.pid_dir.join("faults.lock");
        let alone = tokio::task::spawn_blocking(move || {
            let file = File::create(path).expect("a lock file");
            file.lock().expect("the lock");
            file
        });
        let lab = Self {
            http: reqwest::Client::builder()
                .timeout(Duration::from_secs(5))
                .build()
                .expect("a client"),
            _alone: alone.await.expect("the lock is waited for"),
            world,
        };
        lab.mend().await;
        lab
    }
    /// Starts what a failed test left stopped and waits until every service is ready.
    pub(crate) async fn mend(&self) {
        for service in SERVICES.into_iter().chain(["backup"]) {
            drop(std::fs::remove_file(self.hold_file(service)));
        }
        for server in SERVERS {
            self.stack("start", server).await;
        }
        self.ready(&SERVICES).await;
    }
    /// Waits until these services say that they are ready.
    pub(crate) async fn ready(&self, services: &[&str]) {
        for service in services {
            self.ready_at(&self.world.admin_urls[*service], service).await;
        }
    }
    /// The same of a process at another admin address.
    pub(crate) async fn ready_at(&self, admin_url: &str, service: &str) {
        let url = format!("{admin_url}/readyz");
        eventually_within(RECOVERY, &format!("{service} is ready"), || async {
            let answer = self.http.get(&url).send().await.map_err(|error| error.to_string())?;
            let (status, text) = (answer.status(), answer.text().await.unwrap_or_default());
            if status.is_success() { Ok(()) } else { Err(text) }
        })
        .await;
    }
    /// What a service shows under a name, over all labels.
    pub(crate) async fn metric_sum(&self, service: &str, name: &str) -> f64 {
        let url = format!("{}/metrics", self.world.admin_urls[service]);
        let answer = self.http.get(url).send().await.expect("the admin port answers");
        let text = answer.text().await.expect("a text");
        let of = |line: &str| {
            let rest = line.strip_prefix(name)?;
            let value = rest.starts_with([' ', '{']).then(|| rest.rsplit(' ').next())??;
            value.parse::<f64>().ok()
        };
        text.lines().filter_map(of).sum()
    }
    /// The operator, signed in; patient with an instance that is just coming back.
    pub(crate) async fn operator(&self) -> Operator {
        Operator::sign_in(&self.world).await
    }
    /// The process of a service.
    pub(crate) fn pid(&self, service: &str) -> Option<u32> {
        let path = self.world.pid_dir.join(format!("{service}.pid"));
        std::fs::read_to_string(path).ok()?.trim().parse().ok()
    }
    /// Sends a signal to a service and returns the process that got it.
    pub(crate) async fn signal(&self, service: &str, signal: &str) -> u32 {
        let pid = eventually_within(RECOVERY, &format!("{service} runs"), || async {
            self.pid(service).ok_or("no pid file")
        })
        .await;
        signal_pid(pid, signal).await;
        pid
    }
    /// Waits until the supervisor has started another process.
    pub(crate) async fn replaced(&self, service: &str, old: u32, patience: Duration) {
        eventually_within(patience, &format!("{service} ends and starts again"), || async {
            match self.pid(service) {
                Some(pid) if pid != old => Ok(()),
                other => Err(other),
            }
        })
        .await;
    }
    /// `kill -9` of a service or a server; a server is started again at once, as an operator or its unit would.
    pub(crate) async fn kill(&self, victim: &str) {
        if SERVERS.contains(&victim) {
            self.stack("kill", victim).await;
            self.stack("start", victim).await;
        } else {
            let old = self.signal(victim, "KILL").await;
            self.replaced(victim, old, RECOVERY).await;
        }
    }
    /// Keeps the supervisor from starting a service again, and kills it.
    pub(crate) async fn hold(&self, service: &str) {
        File::create(self.hold_file(service)).expect("a hold file");
        self.signal(service, "KILL").await;
    }
    /// Lets it start again.
    pub(crate) fn release(&self, service: &str) {
        std::fs::remove_file(self.hold_file(service)).expect("it was held");
    }
    fn hold_file(&self, service: &str) -> std::path::PathBuf {
        self.world.pid_dir.join(format!("{service}.hold"))
    }
    /// `start`, `stop` or `kill` of a server of the instance.
    pub(crate) async fn stack(&self, verb: &str, server: &str) {
        let output = self.stack_command(&[verb, server]).await;
        assert!(output.status.success(), "{verb} {server}: {output:?}");
    }
    /// The process of a server.
    pub(crate) async fn server_pid(&self, server: &str) -> u32 {
        let output = self.stack_command(&["status"]).await;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.lines()
            .find(|line| line.starts_with(server))
            .and_then(|line| line.rsplit(' ').next()?.parse().ok())
            .unwrap_or_else(|| panic!("{server} has no process: {text}"))
    }
    async fn stack_command(&self, words: &[&str]) -> std::process::Output {
        // stack_cmd is `stack.sh --instance NAME`; the verb comes first.
        let (script, options) = self.world.stack_cmd.split_first().expect("a command");
        Command::new(script)
            .args(words)
            .args(options)
            .output()
            .await
            .expect("stack.sh runs")
    }
    /// Arms a fault point of a service.
    pub(crate) async fn arm(&self, point: &str, action: &str) {
        let service = point.split('.').next().expect("the service comes first");
        let url = format!("{}/faults", self.world.admin_urls[service]);
        let answer = self
            .http
            .post(url)
            .json(&json!({"point": point, "action": action, "times": 1}))
            .send()
            .await
            .expect("the admin port answers");
        assert_eq!(answer.status().as_u16(), 204, "{point}: is `dev = true` set?");
    }
    /// The superuser's connection, for what no service may see.
    pub(crate) async fn superuser(&self, database: &str) -> PgPool {
        PgPool::connect(&self.world.db.superuser[database])
            .await
            .expect("the superuser connects")
    }
    /// The log of a service.
    pub(crate) fn log(&self, service: &str) -> String {
        let path = self.world.log_dir.join(format!("{service}.log"));
        String::from_utf8_lossy(&std::fs::read(path).expect("a log")).into_owned()
    }
}

/// Signals any process.
pub(crate) async fn signal_pid(pid: u32, signal: &str) {
    let status = Command::new("kill")
        .args([format!("-{signal}"), pid.to_string()])
        .status()
        .await
        .expect("kill runs");
    assert!(status.success(), "kill -{signal} {pid}");
}

/// Every point and every moment?
pub(crate) fn full() -> bool {
    tenantry_config::env_var("TENANTRY_FULL").as_deref() == Some("1")
}

/// A fresh idempotency key.
pub(crate) fn request_id() -> String {
    SystemIds.new_v7().to_string()
}
