//! What becomes of a tenant that the registry does not know any more, with a registry and a clock that the test moves.

use super::{
    archive::{self, Place},
    base::{self, Base},
    feed,
};
use chrono::{DateTime, TimeDelta, Utc};
use std::{
    collections::{BTreeSet, HashSet},
    sync::{Arc, Mutex},
};
use tenantry_backup::{
    app::Parts,
    domain::{operation::Verb, segment, snapshot::Kind},
    jobs::janitor,
    metrics::Metrics,
    peers::Clients,
    store::policy,
};
use tenantry_config::{Identity, Secret};
use tenantry_kernel::{
    BoxFuture, Clock, Error, ManualClock, Reason, Resolve, Result, SystemIds, TenantId, TenantRoute,
};
use tenantry_server::{Faults, Peers, channel};

const GRACE: TimeDelta = TimeDelta::days(1);

/// Which tenants the registry knows, and whether it answers.
#[derive(Default)]
struct Registry {
    known: Mutex<HashSet<TenantId>>,
    away: Mutex<bool>,
}

impl Registry {
    fn knows(&self, tenant: TenantId) {
        self.known.lock().expect("not poisoned").insert(tenant);
    }
    fn forgets(&self, tenant: TenantId) {
        self.known.lock().expect("not poisoned").remove(&tenant);
    }
    fn answers(&self, answers: bool) {
        *self.away.lock().expect("not poisoned") = !answers;
    }
}

impl Resolve for Registry {
    fn by_id(&self, tenant: TenantId) -> BoxFuture<'_, Result<Arc<TenantRoute>>> {
        let answer = if *self.away.lock().expect("not poisoned") {
            Err(Error::unavailable("the registry is away"))
        } else if self.known.lock().expect("not poisoned").contains(&tenant) {
            Ok(Arc::new(base::route(tenant)))
        } else {
            let text = Error::not_found().public().to_owned();
            Err(Error::new(Reason::TenantNotFound, text))
        };
        Box::pin(async move { answer })
    }
    fn by_slug<'a>(&'a self, _slug: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async { Err(Error::not_found()) })
    }
    fn by_domain<'a>(&'a self, _domain: &'a str) -> BoxFuture<'a, Result<Arc<TenantRoute>>> {
        Box::pin(async { Err(Error::not_found()) })
    }
}

/// Rows of snapshots, operations and policies, and the names of objects.
type Left = ([i64; 3], BTreeSet<String>);

fn nothing() -> Left {
    ([0; 3], BTreeSet::new())
}

struct World {
    base: Base,
    place: Place,
    registry: Arc<Registry>,
    clock: ManualClock,
    parts: Parts,
}

impl World {
    async fn new() -> Self {
        let (base, place, registry) = (Base::new().await, archive::directory(), Arc::new(Registry::default()));
        let clock = ManualClock::new("2026-03-15T12:00:00Z".parse().expect("a time"));
        let parts = parts(&base, &place, Arc::clone(&registry), clock.clone());
        Self {
            base,
            place,
            registry,
            clock,
            parts,
        }
    }
    /// A tenant that the registry knows, with all that there is of one here.
    async fn tenant(&self) -> TenantId {
        let tenant = base::tenant();
        self.base.policy(tenant, self.clock.now() + TimeDelta::days(9)).await;
        let (_, snapshot) = self.base.start(tenant, Verb::CreateSnapshot, Kind::OnDemand).await;
        feed::write(&self.place.archive, tenant, snapshot.id, 1)
            .await
            .expect("written");
        self.registry.knows(tenant);
        let (rows, objects) = self.left(tenant).await;
        assert!(rows == [1; 3] && objects.len() >= 2, "{rows:?} {objects:?}");
        tenant
    }
    async fn round(&self) {
        janitor::run_once(&self.parts, GRACE.to_std().expect("positive")).await;
    }
    async fn left(&self, tenant: TenantId) -> Left {
        let mut rows = [0; 3];
        for (count, table) in rows.iter_mut().zip(["snapshots", "operations", "policies"]) {
            let sql = format!("SELECT count(*) FROM backup.{table} WHERE tenant_id = '{tenant}'");
            *count = self.base.count(&sql).await;
        }
        let listed = self.place.archive.list(&segment::tenant_folder(tenant)).await;
        (rows, listed.expect("listed").into_keys().collect())
    }
    /// Since when a tenant is marked as gone.
    async fn since(&self, tenant: TenantId) -> Option<DateTime<Utc>> {
        let mut tx = self.base.store.begin_system("test").await.expect("begun");
        let marks = policy::tenants(&mut tx).await.expect("listed");
        let of = marks.into_iter().find(|(found, _)| *found == tenant);
        of.expect("it has a policy").1
    }
    /// Marks tenants as gone since a grace ago.
    async fn mark(&self, tenants: &[TenantId]) -> DateTime<Utc> {
        let since = self.clock.now() - GRACE;
        let (list, text) = (list(tenants), since.to_rfc3339());
        let mark = format!("UPDATE backup.policies SET gone_time = '{text}' WHERE tenant_id IN ({list})");
        self.base.sql(&mark).await;
        since
    }
    /// The database refuses to change or remove the policies of these tenants.
    async fn hold(&self, tenants: &[TenantId]) {
        let list = list(tenants);
        let hold = format!(
            "CREATE FUNCTION backup.hold() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'held'; END $$;
             CREATE TRIGGER hold BEFORE UPDATE OR DELETE ON backup.policies FOR EACH ROW
               WHEN (OLD.tenant_id IN ({list})) EXECUTE FUNCTION backup.hold()"
        );
        self.base.sql(&hold).await;
    }
    async fn let_go(&self) {
        self.base.sql("DROP TRIGGER hold ON backup.policies").await;
    }
    async fn end(self) {
        self.base.drop().await;
    }
}

/// Nobody listens where the other services should be: what is gone is told by the registry alone.
fn parts(base: &Base, place: &Place, registry: Arc<Registry>, clock: ManualClock) -> Parts {
    let nobody = "http://127.0.0.1:1";
    let lazy = || channel(nobody).expect("connects when it is used");
    let identity = Identity {
        service: "backup".to_owned(),
        secret: Secret::new("hush"),
    };
    let clock: Arc<dyn Clock> = Arc::new(clock);
    let peers = Peers::connect(nobody, &identity, Arc::clone(&clock)).expect("connects when it is used");
    Parts {
        store: base.store.clone(),
        archive: place.archive.clone(),
        keys: Arc::new(feed::Keys),
        signing: Arc::new(feed::signing(1)),
        trusted: Arc::new(feed::trusted()),
        clients: Clients::new(peers, lazy(), lazy(), lazy(), identity),
        resolver: registry,
        clock,
        ids: Arc::new(SystemIds),
        faults: Faults::default(),
        metrics: Metrics::default(),
        work: Arc::default(),
        sweep: Arc::default(),
    }
}

fn list(tenants: &[TenantId]) -> String {
    let quoted: Vec<_> = tenants.iter().map(|tenant| format!("'{tenant}'")).collect();
    quoted.join(", ")
}

/// Tenants that an operator is told of.
fn overdue() -> f64 {
    let text = tenantry_telemetry::metrics_text();
    let shown = text
        .lines()
        .filter(|line| line.starts_with("tenantry_backup_removals_overdue{"))
        .find(|line| line.contains("what=\"tenants\""));
    let (_, count) = shown.and_then(|line| line.rsplit_once(' ')).expect("it is shown");
    count.parse().expect("a number")
}

#[tokio::test]
async fn who_is_unknown_is_kept_within_the_grace_and_who_is_known_again_has_all_of_it_anew() {
    let world = World::new().await;
    let a = world.tenant().await;
    let whole = world.left(a).await;
    world.round().await;
    assert_eq!(world.since(a).await, None);

    world.registry.forgets(a);
    world.round().await;
    let first = world.clock.now();
    assert_eq!(world.since(a).await, Some(first));
    world.clock.advance(GRACE - TimeDelta::seconds(1));
    world.round().await;
    assert_eq!(world.since(a).await, Some(first), "later rounds do not move it");
    assert_eq!(world.left(a).await, whole);

    world.registry.knows(a);
    world.round().await;
    assert_eq!(world.since(a).await, None);
    world.clock.advance(GRACE);
    world.registry.forgets(a);
    world.round().await;
    assert_eq!(world.since(a).await, Some(world.clock.now()));
    assert_eq!(
        world.left(a).await,
        whole,
        "what was before it was known again does not count"
    );
    world.clock.advance(GRACE);
    world.round().await;
    assert_eq!(world.left(a).await, nothing());
    world.end().await;
}

#[tokio::test]
async fn after_the_grace_all_of_a_tenant_goes_and_nothing_of_its_neighbour() {
    let world = World::new().await;
    let (before, gone, behind) = (world.tenant().await, world.tenant().await, world.tenant().await);
    let whole = (world.left(before).await, world.left(behind).await);
    world.registry.forgets(gone);
    world.round().await;
    assert_eq!(world.since(gone).await, Some(world.clock.now()));
    world.clock.advance(GRACE);
    world.round().await;
    assert_eq!(world.left(gone).await, nothing());
    assert_eq!((world.left(before).await, world.left(behind).await), whole);
    assert_eq!((world.since(before).await, world.since(behind).await), (None, None));
    assert_eq!(overdue(), 0.0);
    // Nothing of it is found again.
    world.round().await;
    assert_eq!((world.left(before).await, world.left(behind).await), whole);
    world.end().await;
}

#[tokio::test]
async fn a_registry_that_is_away_marks_nobody_and_deletes_nothing() {
    let world = World::new().await;
    let (a, gone) = (world.tenant().await, world.tenant().await);
    let whole = (world.left(a).await, world.left(gone).await);
    world.registry.forgets(gone);
    world.round().await;
    let marked = (None, Some(world.clock.now()));
    world.registry.answers(false);
    for _ in 0..3 {
        world.clock.advance(GRACE);
        world.round().await;
        assert_eq!((world.since(a).await, world.since(gone).await), marked);
        assert_eq!((world.left(a).await, world.left(gone).await), whole);
    }
    world.registry.answers(true);
    world.round().await;
    assert_eq!(world.left(gone).await, nothing());
    assert_eq!((world.since(a).await, world.left(a).await), (None, whole.0));
    world.end().await;
}

#[tokio::test]
async fn who_cannot_be_marked_cleared_or_removed_holds_up_nobody() {
    let world = World::new().await;
    // In this order: each neighbour behind the one that fails in its way.
    let (unmarked, new) = (world.tenant().await, world.tenant().await);
    let (uncleared, back) = (world.tenant().await, world.tenant().await);
    let (unremoved, over) = (world.tenant().await, world.tenant().await);
    for gone in [unmarked, new, unremoved, over] {
        world.registry.forgets(gone);
    }
    let (now, whole) = (world.clock.now(), world.left(back).await);
    let before = world.mark(&[uncleared, back, unremoved, over]).await;
    world.hold(&[unmarked, uncleared, unremoved]).await;
    world.round().await;
    assert_eq!((world.since(unmarked).await, world.since(new).await), (None, Some(now)));
    assert_eq!(
        (world.since(uncleared).await, world.since(back).await),
        (Some(before), None)
    );
    assert_eq!(world.left(back).await, whole);
    assert_eq!(world.left(over).await, nothing());
    // Objects go before rows: by those the next round finds what is left.
    assert_eq!(world.left(unremoved).await, ([1; 3], BTreeSet::new()));
    assert_eq!(overdue(), 2.0, "of those that are gone");

    world.let_go().await;
    world.round().await;
    assert_eq!(
        (world.since(unmarked).await, world.since(uncleared).await),
        (Some(now), None)
    );
    assert_eq!(world.left(unremoved).await, nothing());
    assert_eq!(overdue(), 0.0);
    world.end().await;
}
