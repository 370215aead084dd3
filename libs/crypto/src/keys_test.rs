use super::*;
use tenantry_kernel::Kind;
use uuid::Uuid;

#[derive(Default)]
struct Source {
    fetches: AtomicU64,
    down: std::sync::atomic::AtomicBool,
}
impl KeySource for Arc<Source> {
    fn fetch(&self, _: TenantId, _: Purpose, version: Option<u32>) -> BoxFuture<'_, Result<(u32, DataKey)>> {
        Box::pin(async move {
            tokio::task::yield_now().await;
            self.fetches.fetch_add(1, Ordering::SeqCst);
            if self.down.load(Ordering::SeqCst) {
                return Err(Error::unavailable("auth is away"));
            }
            Ok((version.unwrap_or(2), DataKey::generate()))
        })
    }
}

fn tenant(n: u128) -> TenantId {
    TenantId::from_uuid(Uuid::from_u128(n))
}

#[tokio::test]
async fn many_callers_share_one_fetch_and_forget_is_per_tenant() {
    let source = Arc::new(Source::default());
    let keys = Arc::new(CachedKeys::new(source.clone()));
    let callers: Vec<_> = (0..50)
        .map(|_| {
            let keys = keys.clone();
            tokio::spawn(async move {
                keys.sealer(tenant(1), Purpose::Cache, None)
                    .await
                    .map(|s| s.key_version())
            })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.expect("joined").expect("key"), 2);
    }
    assert_eq!(source.fetches.load(Ordering::SeqCst), 1);
    keys.sealer(tenant(1), Purpose::Cache, Some(2)).await.expect("key");
    assert_eq!(
        source.fetches.load(Ordering::SeqCst),
        1,
        "the current key is also known by its version"
    );
    for (t, purpose, version) in [
        (2, Purpose::Cache, None),
        (1, Purpose::Field, None),
        (1, Purpose::Cache, Some(1)),
    ] {
        keys.sealer(tenant(t), purpose, version).await.expect("key");
    }
    assert_eq!(
        source.fetches.load(Ordering::SeqCst),
        4,
        "tenant, purpose and version are all part of the key"
    );
    keys.forget(tenant(1));
    keys.sealer(tenant(2), Purpose::Cache, None).await.expect("key");
    assert_eq!(source.fetches.load(Ordering::SeqCst), 4, "tenant 2 was not forgotten");
    keys.sealer(tenant(1), Purpose::Cache, None).await.expect("key");
    assert_eq!(source.fetches.load(Ordering::SeqCst), 5);
}

#[tokio::test]
async fn errors_keep_their_reason_and_are_not_cached() {
    let source = Arc::new(Source::default());
    let keys = CachedKeys::new(source.clone());
    source.down.store(true, Ordering::SeqCst);
    let error = keys.sealer(tenant(1), Purpose::Cache, None).await.expect_err("down");
    assert_eq!(error.kind(), Kind::Unavailable);
    assert!(error.retry_delay().is_some());
    source.down.store(false, Ordering::SeqCst);
    assert!(keys.sealer(tenant(1), Purpose::Cache, None).await.is_ok());
}

#[test]
fn purposes_have_one_text_each() {
    for purpose in Purpose::ALL {
        assert_eq!(Purpose::parse(purpose.as_str()), Some(purpose));
    }
    assert_eq!(Purpose::parse("Cache"), None);
}
