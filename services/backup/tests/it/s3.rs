//! A SeaweedFS of its own for this process (`weed`, installed by deploy/dev/tools.sh): the S3 server that tests talk to.

use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tenantry_backup::archive::{Archive, S3};
use tenantry_testkit::eventually;

/// Ends with the test.
pub(crate) struct Weed {
    child: Child,
    directory: PathBuf,
    pub(crate) settings: S3,
}

impl Drop for Weed {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.directory));
    }
}

fn binary() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../.run/tools/venv/bin/weed");
    assert!(own.is_file(), "{} is missing: run deploy/dev/tools.sh", own.display());
    own
}

/// Ports that nobody has now; each has a gRPC twin 10,000 above by default, so those are given, too.
fn ports<const N: usize>() -> [String; N] {
    let held: Vec<TcpListener> = (0..N)
        .map(|_| TcpListener::bind("127.0.0.1:0").expect("a port"))
        .collect();
    std::array::from_fn(|at| held[at].local_addr().expect("bound").port().to_string())
}

/// Starts a server with a bucket `snapshots`.
pub(crate) async fn start() -> Weed {
    let directory = std::env::temp_dir().join(format!("tenantry-weed-{}", super::feed::id()));
    std::fs::create_dir_all(&directory).expect("a directory");
    let users = r#"{"identities":[{"name":"t","credentials":[{"accessKey":"test-key","secretKey":"test-secret"}],"actions":["Admin","Read","Write","List"]}]}"#;
    let config = directory.join("s3.json");
    std::fs::write(&config, users).expect("writable");
    let [master, master_grpc, volume, volume_grpc, filer, filer_grpc, s3, s3_grpc] = ports();
    let mut command = Command::new(binary());
    command.arg("server").args([
        "-filer",
        "-s3",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        "-s3.autoCreateBucket",
    ]);
    for (flag, port) in [
        ("master.port", &master),
        ("master.port.grpc", &master_grpc),
        ("volume.port", &volume),
        ("volume.port.grpc", &volume_grpc),
        ("filer.port", &filer),
        ("filer.port.grpc", &filer_grpc),
        ("s3.port", &s3),
        ("s3.port.grpc", &s3_grpc),
    ] {
        command.arg(format!("-{flag}={port}"));
    }
    command
        .arg(format!("-dir={}", directory.display()))
        .arg(format!("-s3.config={}", config.display()))
        .args(["-master.volumeSizeLimitMB=64", "-volume.max=20"]);
    let log = std::fs::File::create(directory.join("weed.log")).expect("writable");
    let child = command
        .current_dir(&directory)
        .env("HOME", &directory)
        .stdin(Stdio::null())
        .stdout(log.try_clone().expect("a second handle"))
        .stderr(log)
        .spawn()
        .expect("weed starts");
    let settings = S3 {
        endpoint: format!("http://127.0.0.1:{s3}"),
        region: "us-east-1".to_owned(),
        access_key_id: "test-key".to_owned(),
        secret_access_key: "test-secret".to_owned(),
    };
    let weed = Weed {
        child,
        directory,
        settings,
    };
    let archive = Archive::open("s3://snapshots/probe", &weed.settings).expect("settings");
    // The first object makes the bucket.
    eventually("the S3 server takes objects", || async {
        archive.create(&super::feed::id(), vec![1].into()).await
    })
    .await;
    weed
}
