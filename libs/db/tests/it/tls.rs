//! TLS to the database: the authorities that the system trusts are trusted, a private one where the environment names it
//! (`SSL_CERT_DIR`, as OpenSSL has it), and nobody else.

#![expect(clippy::unwrap_used, reason = "a test may fail by panic")]

use crate::{
    pgbouncer::Pooler,
    world::{World, good, tenant},
};
use std::{fs, path::Path, process::Command};
use tenantry_db::{PoolSettings, TenantDb};
use tenantry_kernel::Reason;

/// Where [`client`] connects to; only its parent sets it.
const URL: &str = "TENANTRY_TEST_TLS_URL";

fn openssl(dir: &Path, line: &str) {
    let done = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(dir)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// An authority of the test's own and a certificate of 127.0.0.1 by it.
fn certificates(dir: &Path) -> String {
    let key = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
    openssl(
        dir,
        &format!("req -x509 {key} -keyout ca.key -out ca.pem -subj /CN=test-authority -days 2"),
    );
    openssl(
        dir,
        &format!("req {key} -keyout key.pem -out csr.pem -subj /CN=pooler -addext subjectAltName=IP:127.0.0.1"),
    );
    openssl(
        dir,
        "x509 -req -in csr.pem -CA ca.pem -CAkey ca.key -CAcreateserial -copy_extensions copy -days 2 -out cert.pem",
    );
    fs::create_dir(dir.join("trusted")).unwrap();
    // Files of such a directory are named by a hash; which one does not matter here.
    fs::copy(dir.join("ca.pem"), dir.join("trusted/00000000.0")).unwrap();
    let dir = dir.display();
    format!(
        "client_tls_sslmode = require\nclient_tls_key_file = {dir}/key.pem\nclient_tls_cert_file = {dir}/cert.pem\n"
    )
}

#[tokio::test]
async fn a_private_authority_is_trusted_where_the_environment_names_it() {
    let world = World::new().await;
    let mut trusted = None;
    let pooler = Pooler::start_with(&world, |dir| {
        trusted = Some(dir.join("trusted"));
        certificates(dir)
    })
    .await;
    let url = format!("{}?sslmode=verify-full", pooler.url);
    // The environment is read once a process: each try is one.
    let tries = |directory: Option<&Path>| {
        let mut child = Command::new(std::env::current_exe().unwrap());
        child
            .args(["--exact", "tls::client", "--include-ignored"])
            .env(URL, &url);
        child.env_remove("SSL_CERT_DIR");
        if let Some(directory) = directory {
            child.env("SSL_CERT_DIR", directory);
        }
        child.output().unwrap()
    };
    let known = tries(trusted.as_deref());
    assert!(known.status.success(), "{}", String::from_utf8_lossy(&known.stdout));
    let unknown = tries(None);
    let said = String::from_utf8_lossy(&unknown.stdout).into_owned();
    assert!(!unknown.status.success() && said.contains("UnknownIssuer"), "{said}");
    drop(pooler);
    world.drop().await;
}

#[tokio::test]
#[ignore = "a process of its own, run by the test above with an environment of its own"]
async fn client() {
    let url = tenantry_config::env_var(URL).expect("run by its parent");
    let db = TenantDb::connect(PoolSettings::new(url, 1), 1).unwrap();
    let begun = db.begin(&good(tenant(1))).await;
    if let Err(error) = &begun {
        assert_eq!(error.reason(), Reason::Unavailable);
        panic!("{:?}", std::error::Error::source(error).map(ToString::to_string));
    }
    begun.unwrap().commit().await.unwrap();
}
