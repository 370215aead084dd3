//! The S3 server that these tests talk to, with a bucket `snapshots`.

use tenantry_backup::archive::{Archive, S3};
use tenantry_testkit::{
    eventually,
    weed::{KEY, Weed},
};

/// The server, and how it is reached.
pub(crate) struct Server {
    _weed: Weed,
    pub(crate) settings: S3,
}

pub(crate) async fn start() -> Server {
    let weed = Weed::start().await;
    let settings = S3 {
        endpoint: weed.endpoint.clone(),
        region: "us-east-1".to_owned(),
        access_key_id: KEY.0.to_owned(),
        secret_access_key: KEY.1.to_owned(),
    };
    let archive = Archive::open("s3://snapshots/probe", &settings).expect("settings");
    eventually("the S3 server takes objects", || async {
        archive.create(&super::feed::id(), vec![1].into()).await
    })
    .await;
    Server { _weed: weed, settings }
}
