//! A SeaweedFS of its own for one test (`weed`, installed by deploy/dev/tools.sh): the S3 server that tests talk to.

use crate::eventually;
use std::{
    net::TcpListener,
    path::PathBuf,
    process::{Child, Command, Stdio},
};
use tokio::{
    io::{AsyncBufReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// The bucket that is there.
pub const BUCKET: &str = "snapshots";

/// An S3 server with one bucket. It ends, and its data with it, when this is dropped.
#[derive(Debug)]
pub struct Weed {
    child: Child,
    directory: PathBuf,
    /// `http://127.0.0.1:<port>`
    pub endpoint: String,
}

/// The only key that the server knows, and its secret.
pub const KEY: (&str, &str) = ("test-key", "test-secret");

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

impl Weed {
    /// Starts a server and waits until it answers.
    ///
    /// # Panics
    /// Where `weed` is not installed or does not start.
    pub async fn start() -> Self {
        let ports: [String; 8] = ports();
        // One directory for each: the port is nobody else's while it runs.
        let directory = std::env::temp_dir().join(format!("tenantry-weed-{}-{}", std::process::id(), ports[0]));
        std::fs::create_dir_all(&directory).expect("a directory");
        let (key, secret) = KEY;
        let users = format!(
            r#"{{"identities":[{{"name":"t","credentials":[{{"accessKey":"{key}","secretKey":"{secret}"}}],"actions":["Admin","Read","Write","List"]}}]}}"#
        );
        let config = directory.join("s3.json");
        std::fs::write(&config, users).expect("writable");
        let mut command = Command::new(binary());
        command.arg("server").args([
            "-filer",
            "-s3",
            "-ip=127.0.0.1",
            "-ip.bind=127.0.0.1",
            "-s3.port.iceberg=0",
            "-s3.port.lance=0",
        ]);
        let flags = ["master.port", "volume.port", "filer.port", "s3.port"];
        for (flag, pair) in flags.iter().zip(ports.chunks(2)) {
            command
                .arg(format!("-{flag}={}", pair[0]))
                .arg(format!("-{flag}.grpc={}", pair[1]));
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
        let address = format!("127.0.0.1:{}", ports[6]);
        let weed = Self {
            child,
            directory,
            endpoint: format!("http://{address}"),
        };
        eventually("the S3 server answers", || ask(&address, "GET /")).await;
        let filer = format!("127.0.0.1:{}", ports[4]);
        let bucket = format!("POST /buckets/{BUCKET}/");
        eventually("the bucket is made", || async {
            let status = ask(&filer, &bucket).await?;
            if status.contains(" 2") {
                Ok(())
            } else {
                Err(std::io::Error::other(status))
            }
        })
        .await;
        weed
    }
}

/// The status line that a request without a body is answered with.
async fn ask(address: &str, request: &str) -> std::io::Result<String> {
    let mut socket = TcpStream::connect(address).await?;
    let request = format!("{request} HTTP/1.0\r\nContent-Length: 0\r\n\r\n");
    socket.write_all(request.as_bytes()).await?;
    let mut line = String::new();
    tokio::io::BufReader::new(socket).read_line(&mut line).await?;
    Ok(line)
}
