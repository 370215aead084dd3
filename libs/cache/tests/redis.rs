//! The cache against the real Redis of the running stack (`TENANTRY_WORLD` names its world.json).

use deadpool_redis::redis::{self, Client, RedisResult, aio::MultiplexedConnection};
use std::{
    collections::{BTreeSet, HashMap},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};
use tenantry_cache::{Cache, Key};
use tenantry_crypto::{DataKey, Purpose, Sealer, TenantKeys};
use tenantry_kernel::{
    BoxFuture, Brand, Ctx, Limits, Placement, Principal, RequestId, Result, SystemIds, TenantId, TenantRoute,
    TenantStatus, clock::Ids,
};
use uuid::Uuid;

/// One random key a tenant.
#[derive(Default)]
struct Keys(Mutex<HashMap<TenantId, Arc<Sealer>>>);

impl TenantKeys for Keys {
    fn sealer(&self, tenant: TenantId, purpose: Purpose, _: Option<u32>) -> BoxFuture<'_, Result<Arc<Sealer>>> {
        assert_eq!(purpose, Purpose::Cache);
        let mut known = self.0.lock().expect("not poisoned");
        let sealer = known
            .entry(tenant)
            .or_insert_with(|| Arc::new(Sealer::new(DataKey::generate(), 1)))
            .clone();
        Box::pin(async { Ok(sealer) })
    }
}

fn url(user: &str) -> String {
    let path = tenantry_config::env_var("TENANTRY_WORLD")
        .expect("TENANTRY_WORLD must name the world.json of a running stack: run make up");
    let text = std::fs::read_to_string(path).expect("world.json is readable");
    let world: serde_json::Value = serde_json::from_str(&text).expect("world.json is JSON");
    world["redis"][user].as_str().expect("a Redis user").to_owned()
}

fn new_id() -> Uuid {
    SystemIds.new_v7()
}

fn ctx() -> Ctx {
    let limits = Limits {
        requests_per_second: 1,
        burst: 1,
        users: 1,
        object_types: 1,
        records: 1,
        api_keys: 1,
        requests_per_month: 0,
    };
    let route = TenantRoute {
        tenant: TenantId::from_uuid(new_id()),
        slug: "acme".into(),
        display_name: "Acme".into(),
        domains: vec![],
        status: TenantStatus::Active,
        epoch: 1,
        placement: Placement::Schema,
        cell: "main".into(),
        plan: "standard".into(),
        limits,
        features: BTreeSet::new(),
        brand: Brand::default(),
    };
    Ctx::new(Principal::anonymous(), RequestId::from_uuid(new_id())).with_route(Arc::new(route))
}

fn cache(keys: &Arc<Keys>) -> Cache {
    Cache::connect_within(
        Some(&url("business")),
        "business",
        keys.clone(),
        Duration::from_secs(10),
    )
}

async fn raw(user: &str) -> MultiplexedConnection {
    Client::open(url(user))
        .expect("a URL")
        .get_multiplexed_async_connection()
        .await
        .expect("Redis answers")
}

fn full(ctx: &Ctx, key: &Key) -> String {
    format!(
        "business:{{{}}}:{}:{}:{}",
        ctx.tenant().expect("a tenant"),
        key.kind,
        key.version,
        key.id
    )
}

fn key() -> Key {
    Key::new("record", 1, new_id().to_string())
}

#[tokio::test]
async fn a_value_comes_back_with_its_version_and_is_sealed_at_rest() {
    let keys = Arc::new(Keys::default());
    let (cache, ctx, key) = (cache(&keys), ctx(), key());
    assert_eq!(cache.get(&ctx, &key).await, None);
    cache.fill(&ctx, &key, 3, b"plain text").await;
    assert_eq!(cache.get(&ctx, &key).await, Some((3, b"plain text".to_vec())));
    assert_eq!(ctx.tally().cache(), (1, 1, 0));

    let mut admin = raw("admin").await;
    let stored: Vec<u8> = redis::cmd("GET")
        .arg(full(&ctx, &key))
        .query_async(&mut admin)
        .await
        .expect("stored");
    assert!(stored.starts_with(b"V00000000000000000003"));
    assert!(!stored.windows(5).any(|part| part == b"plain"));
    let ttl: u64 = redis::cmd("PTTL")
        .arg(full(&ctx, &key))
        .query_async(&mut admin)
        .await
        .expect("has a lifetime");
    assert!((1..66_000).contains(&ttl), "{ttl}");
}

#[tokio::test]
async fn bytes_of_another_tenant_key_or_version_do_not_open() {
    let keys = Arc::new(Keys::default());
    let (cache, a, b, key) = (cache(&keys), ctx(), ctx(), key());
    cache.fill(&a, &key, 1, b"of tenant a").await;
    assert_eq!(
        cache.get(&b, &key).await,
        None,
        "the same key of another tenant is another key"
    );

    let mut admin = raw("admin").await;
    let stored: Vec<u8> = redis::cmd("GET")
        .arg(full(&a, &key))
        .query_async(&mut admin)
        .await
        .expect("stored");
    let other = Key {
        id: "other".into(),
        ..key.clone()
    };
    let mut raised = stored.clone();
    raised[20] = b'9';
    for (ctx, key, bytes) in [(&b, &key, &stored), (&a, &other, &stored), (&a, &key, &raised)] {
        let () = redis::cmd("SET")
            .arg(full(ctx, key))
            .arg(bytes)
            .arg("EX")
            .arg(60)
            .query_async(&mut admin)
            .await
            .expect("planted");
        let errors = ctx.tally().cache().2;
        assert_eq!(cache.get(ctx, key).await, None);
        assert_eq!(ctx.tally().cache().2, errors + 1, "counted");
    }
    let () = redis::cmd("SET")
        .arg(full(&a, &key))
        .arg("garbage")
        .arg("EX")
        .arg(60)
        .query_async(&mut admin)
        .await
        .expect("planted");
    assert_eq!(cache.get(&a, &key).await, None);
    cache.fill(&a, &key, 2, b"healed").await;
    assert_eq!(cache.get(&a, &key).await, Some((2, b"healed".to_vec())));
}

#[tokio::test]
async fn a_fill_read_before_a_commit_loses() {
    let keys = Arc::new(Keys::default());
    let (cache, ctx, key) = (cache(&keys), ctx(), key());
    cache.fill(&ctx, &key, 1, b"v1").await;
    cache.put(&ctx, &key, 2, b"v2").await;
    cache.fill(&ctx, &key, 1, b"v1").await;
    assert_eq!(cache.get(&ctx, &key).await, Some((2, b"v2".to_vec())));
    cache.put(&ctx, &key, 10, b"v10").await;
    cache.fill(&ctx, &key, 9, b"v9").await;
    assert_eq!(
        cache.get(&ctx, &key).await,
        Some((10, b"v10".to_vec())),
        "10 is more than 9, also as text"
    );
    cache.forget(&ctx, &key, 11).await;
    assert_eq!(cache.get(&ctx, &key).await, None, "deleted");
    cache.fill(&ctx, &key, 10, b"v10").await;
    assert_eq!(cache.get(&ctx, &key).await, None, "and stays deleted");
}

#[tokio::test]
async fn a_writer_killed_between_commit_and_put_leaves_nothing_stale() {
    let keys = Arc::new(Keys::default());
    let (cache, ctx, key) = (cache(&keys), ctx(), key());
    cache.fill(&ctx, &key, 1, b"v1").await;
    cache.fence(&ctx, &key, 2).await;
    assert_eq!(cache.get(&ctx, &key).await, None, "the fence removed the old value");
    cache.fill(&ctx, &key, 1, b"v1").await;
    assert_eq!(
        cache.get(&ctx, &key).await,
        None,
        "a reader from before the commit cannot bring it back"
    );
    cache.fill(&ctx, &key, 2, b"v2").await;
    assert_eq!(
        cache.get(&ctx, &key).await,
        Some((2, b"v2".to_vec())),
        "a reader from after it fills"
    );
    cache.fence(&ctx, &key, 2).await;
    assert_eq!(
        cache.get(&ctx, &key).await,
        Some((2, b"v2".to_vec())),
        "a late writer that will lose does no harm"
    );
    cache.fence(&ctx, &key, 3).await;
    let mut admin = raw("admin").await;
    let ttl: u64 = redis::cmd("PTTL")
        .arg(full(&ctx, &key))
        .query_async(&mut admin)
        .await
        .expect("has a lifetime");
    assert!(
        (1..=10_000).contains(&ttl),
        "a rolled back writer blocks fills for at most ten seconds: {ttl}"
    );
}

#[tokio::test]
async fn many_writers_and_readers_never_move_a_key_backwards() {
    let keys = Arc::new(Keys::default());
    let (cache, ctx, key) = (cache(&keys), ctx(), key());
    let tasks: Vec<_> = (1..=200_i64)
        .map(|n| {
            let (cache, ctx, key) = (cache.clone(), ctx.clone(), key.clone());
            // A fixed shuffle: every version once, in no order.
            let version = n * 77 % 211;
            tokio::spawn(async move {
                let bytes = version.to_string();
                if n % 2 == 0 {
                    cache.fill(&ctx, &key, version, bytes.as_bytes()).await;
                } else {
                    cache.put(&ctx, &key, version, bytes.as_bytes()).await;
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("joined");
    }
    let largest = (1..=200_i64).map(|n| n * 77 % 211).max().expect("some");
    assert_eq!(
        cache.get(&ctx, &key).await,
        Some((largest, largest.to_string().into_bytes()))
    );
    assert_eq!(ctx.tally().cache().2, 0);
}

#[tokio::test]
async fn a_service_reaches_only_its_own_keys() {
    let mut business = raw("business").await;
    let id = new_id();
    let own: RedisResult<()> = redis::cmd("SET")
        .arg(format!("business:{{{id}}}:x:1:y"))
        .arg(1)
        .arg("EX")
        .arg(5)
        .query_async(&mut business)
        .await;
    assert!(own.is_ok(), "{own:?}");
    let key = format!("auth:{{{id}}}:sid:1:y");
    let script = "return redis.call('GET', 'auth:{a}:sid:1:y')";
    for command in [
        redis::cmd("GET").arg(&key).to_owned(),
        redis::cmd("SET").arg(&key).arg(1).to_owned(),
        redis::cmd("DEL").arg(&key).to_owned(),
        redis::cmd("EVAL")
            .arg("return redis.call('GET', KEYS[1])")
            .arg(1)
            .arg(&key)
            .to_owned(),
        redis::cmd("EVAL").arg(script).arg(0).to_owned(),
        redis::cmd("KEYS").arg("*").to_owned(),
        redis::cmd("SCAN").arg(0).to_owned(),
        redis::cmd("RANDOMKEY"),
        redis::cmd("FLUSHALL"),
        redis::cmd("CONFIG").arg("GET").arg("*").to_owned(),
        redis::cmd("ACL").arg("LIST").to_owned(),
        redis::cmd("MONITOR"),
    ] {
        let refused: RedisResult<redis::Value> = command.query_async(&mut business).await;
        let why = refused.expect_err("must be refused").to_string();
        assert!(
            why.contains("NOPERM") || why.contains("permission") || why.contains("can't access"),
            "{why}"
        );
    }
}

#[tokio::test]
async fn redis_away_is_none_counted_and_soon_free_of_charge() {
    let keys = Arc::new(Keys::default());
    // Nobody listens on port 9 of this machine.
    let cache = Cache::connect(Some("redis://127.0.0.1:9/0"), "business", keys.clone());
    let (ctx, key) = (ctx(), key());
    let start = Instant::now();
    for _ in 0..1000 {
        assert_eq!(cache.get(&ctx, &key).await, None);
        cache.fill(&ctx, &key, 1, b"x").await;
        cache.fence(&ctx, &key, 2).await;
        cache.put(&ctx, &key, 2, b"y").await;
    }
    assert_eq!(ctx.tally().cache().0, 0);
    assert!(ctx.tally().cache().2 >= 3000, "{:?}", ctx.tally().cache());
    assert!(
        start.elapsed() < Duration::from_secs(60),
        "4000 calls would take 400 s without the pause"
    );
    let off = Cache::connect(None, "business", keys.clone());
    assert_eq!(off.get(&ctx, &key).await, None);
    off.put(&ctx, &key, 1, b"x").await;
    let nonsense = Cache::connect(Some("not a url"), "business", keys);
    assert_eq!(nonsense.get(&ctx, &key).await, None);
}

/// Fence while the way to Redis is cut: a plain TCP relay that the test can close.
#[tokio::test]
async fn a_fence_that_did_not_arrive_is_repeated_and_the_key_is_not_read_meanwhile() {
    let keys = Arc::new(Keys::default());
    let relay = Relay::start(&url("business")).await;
    let far = Cache::connect_within(Some(&relay.url), "business", keys.clone(), Duration::from_secs(10));
    let (near, ctx, key) = (cache(&keys), ctx(), key());
    near.fill(&ctx, &key, 1, b"v1").await;
    assert_eq!(far.get(&ctx, &key).await, Some((1, b"v1".to_vec())));
    relay.open.send_replace(false);
    far.fence(&ctx, &key, 2).await;
    assert_eq!(far.get(&ctx, &key).await, None);
    relay.open.send_replace(true);
    // The other process may read the old value only until the repeated fence holds.
    let deadline = Instant::now() + Duration::from_secs(60);
    while near.get(&ctx, &key).await.is_some() {
        assert!(Instant::now() < deadline, "the fence was never repeated");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    while far.get(&ctx, &key).await.is_none() {
        assert!(Instant::now() < deadline, "the key was never usable again");
        far.fill(&ctx, &key, 1, b"v1").await;
        far.put(&ctx, &key, 2, b"v2").await;
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!(near.get(&ctx, &key).await, Some((2, b"v2".to_vec())));
}

struct Relay {
    url: String,
    open: tokio::sync::watch::Sender<bool>,
}

impl Relay {
    async fn start(target: &str) -> Self {
        let (credentials, address) = target.trim_end_matches("/0").rsplit_once('@').expect("user and host");
        let (address, listener) = (
            address.to_owned(),
            tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port"),
        );
        let url = format!("{credentials}@{}/0", listener.local_addr().expect("bound"));
        let (open, watch) = tokio::sync::watch::channel(true);
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                let (mut watch, address) = (watch.clone(), address.clone());
                tokio::spawn(async move {
                    if *watch.borrow() {
                        let mut server = tokio::net::TcpStream::connect(address).await.expect("Redis listens");
                        tokio::select! {
                            _ = tokio::io::copy_bidirectional(&mut client, &mut server) => {}
                            _ = watch.wait_for(|open| !open) => {}
                        }
                    }
                });
            }
        });
        Self { url, open }
    }
}
