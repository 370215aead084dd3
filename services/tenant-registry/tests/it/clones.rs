//! New tenants for backup: the ordinary onboarding, on the plan of another tenant.

use crate::{
    wire::{Wire, call},
    world::{World, no_key, operator, refused},
};
use tenantry_api::registry::{
    CloneState, CreateCloneRequest, CreateCloneResponse, DiscardCloneRequest, GetCloneRequest, GetCloneResponse,
    clone_service_client::CloneServiceClient,
};
use tenantry_kernel::{Reason, TenantId};
use tenantry_registry::{
    app::TenantChange,
    domain::{TenantName, TenantState},
};
use tenantry_server::error_of;
use tonic::{Code, Status};

fn clone_of(source: TenantId, slug: &str, key: &str) -> CreateCloneRequest {
    CreateCloneRequest {
        source_tenant_id: source.to_string(),
        slug: slug.to_owned(),
        display_name: "Acme (restored)".to_owned(),
        owner_email: "ada@acme.example".to_owned(),
        owner_display_name: "Ada".to_owned(),
        request_id: key.to_owned(),
    }
}

impl Wire {
    async fn clone_as(&self, who: &'static str, request: CreateCloneRequest) -> Result<CreateCloneResponse, Status> {
        let mut client = CloneServiceClient::new(self.channel.clone());
        client
            .create_clone(call(who, request))
            .await
            .map(tonic::Response::into_inner)
    }
    async fn progress(&self, who: &'static str, clone_id: &str) -> Result<GetCloneResponse, Status> {
        let clone_id = clone_id.to_owned();
        let mut client = CloneServiceClient::new(self.channel.clone());
        client
            .get_clone(call(who, GetCloneRequest { clone_id }))
            .await
            .map(tonic::Response::into_inner)
    }
}

impl Wire {
    /// Whether nothing is left of it.
    async fn discard(&self, who: &'static str, clone_id: &str) -> Result<bool, Status> {
        let clone_id = clone_id.to_owned();
        let mut client = CloneServiceClient::new(self.channel.clone());
        let answer = client
            .discard_clone(call(who, DiscardCloneRequest { clone_id }))
            .await?;
        Ok(answer.into_inner().gone)
    }
}

async fn on_team(world: &World, slug: &str) -> TenantId {
    let id = world.active(slug).await;
    let change = TenantChange {
        plan: Some("team".into()),
        ..TenantChange::default()
    };
    let name = TenantName::Id(id);
    let updated = world.tenants.update(&operator(), &name, change, &no_key()).await;
    updated.expect("on the plan team");
    id
}

#[tokio::test]
async fn a_clone_is_onboarded_on_the_plan_of_its_source() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let source = on_team(&world, "acme").await;
    let made = wire.clone_as("backup", clone_of(source, "acme-copy", "k-1")).await;
    let made = made.expect("started");
    let again = wire.clone_as("backup", clone_of(source, "acme-copy", "k-1")).await;
    assert_eq!(again.expect("replayed"), made, "one key, one tenant");
    let reused = wire.clone_as("backup", clone_of(source, "other", "k-1")).await;
    let reused = reused.expect_err("another payload");
    assert_eq!(error_of(&reused).reason(), Reason::IdempotencyKeyReused);
    let taken = wire.clone_as("backup", clone_of(source, "acme-copy", "k-2")).await;
    let taken = taken.expect_err("the slug is taken");
    assert_eq!(error_of(&taken).reason(), Reason::AlreadyExists);

    let running = wire.progress("backup", &made.clone_id).await.expect("seen");
    assert_eq!(
        (running.state(), running.invite_uri.as_str()),
        (CloneState::Creating, "")
    );
    world.settle().await;
    let over = wire.progress("backup", &made.clone_id).await.expect("seen");
    assert_eq!((over.state(), &over.tenant_id), (CloneState::Active, &made.tenant_id));
    assert_eq!(
        over.invite_uri,
        "http://acme-copy.localhost:8080/accept?token=tlk_invite"
    );
    assert_eq!(over.problem, "");
    let name = TenantName::Slug("acme-copy".to_owned());
    let tenant = world.tenants.get(&operator(), &name).await.expect("the new tenant");
    assert_eq!((tenant.plan.as_str(), tenant.id.to_string()), ("team", made.tenant_id));
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn a_clone_that_fails_says_why_and_leaves_nothing() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let source = world.active("acme").await;
    let made = wire
        .clone_as("backup", clone_of(source, "copy", "k"))
        .await
        .expect("started");
    while world.sagas.drive_one().await.expect("drives") {}
    for command in world.take_commands().await {
        world.sagas.take_reply(&refused(&command, true)).await.expect("taken");
    }
    world.settle().await;
    let over = wire.progress("backup", &made.clone_id).await.expect("seen");
    assert_eq!((over.state(), over.invite_uri.as_str()), (CloneState::Failed, ""));
    assert!(
        over.problem.contains("provision_data") && over.problem.contains("no space left"),
        "{}",
        over.problem
    );
    let name = TenantName::Slug("copy".to_owned());
    assert!(world.tenants.get(&operator(), &name).await.is_err());
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn only_backup_clones_and_only_an_active_tenant() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let source = world.active("acme").await;
    for stranger in ["operator", "viewer", "service"] {
        let code = wire.clone_as(stranger, clone_of(source, "copy", "k")).await;
        let code = code.expect_err("not theirs").code();
        assert!(
            matches!(code, Code::NotFound | Code::PermissionDenied),
            "{stranger}: {code}"
        );
    }
    let refusal = async |request| {
        let status = wire.clone_as("backup", request).await.expect_err("refused");
        error_of(&status).reason()
    };
    let nobody = "0192b0a0-0000-7000-8000-0000000000ff".parse().expect("an id");
    assert_eq!(refusal(clone_of(nobody, "copy", "a")).await, Reason::NotFound);
    assert_eq!(
        refusal(clone_of(TenantId::PLATFORM, "copy", "b")).await,
        Reason::NotFound
    );
    assert_eq!(
        refusal(clone_of(source, "Not a slug", "c")).await,
        Reason::InvalidArgument
    );
    assert_eq!(refusal(clone_of(source, "copy", "")).await, Reason::InvalidArgument);
    let name = TenantName::Id(source);
    let suspended = world.tenants.suspend(&operator(), &name, "unpaid", &no_key()).await;
    suspended.expect("suspended");
    assert_eq!(refusal(clone_of(source, "copy", "d")).await, Reason::FailedPrecondition);

    // An operator's onboarding, and with it its invite, does not exist here.
    let theirs = world.onboard("globex").await;
    world.settle().await;
    let seen = wire.progress("backup", &theirs.id.to_string()).await;
    assert_eq!(seen.expect_err("an operator's").code(), Code::NotFound);
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn a_clone_is_taken_back_while_nobody_has_touched_it() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let source = world.active("acme").await;
    let made = wire.clone_as("backup", clone_of(source, "copy", "k-1")).await;
    let made = made.expect("started");
    assert!(!wire.discard("backup", &made.clone_id).await.expect("it is being made"));
    world.settle().await;
    let name = TenantName::Slug("copy".to_owned());
    let seen = world.tenants.get(&operator(), &name).await.expect("it is there");
    assert_eq!(
        seen.state,
        TenantState::Active,
        "only one that is made can be taken back"
    );

    for stranger in ["operator", "viewer", "service"] {
        let code = wire.discard(stranger, &made.clone_id).await;
        let code = code.expect_err("not theirs").code();
        assert!(
            matches!(code, Code::NotFound | Code::PermissionDenied),
            "{stranger}: {code}"
        );
    }
    assert!(!wire.discard("backup", &made.clone_id).await.expect("begun"));
    assert!(!wire.discard("backup", &made.clone_id).await.expect("still at it"));
    world.settle().await;
    assert!(wire.discard("backup", &made.clone_id).await.expect("over"));
    assert!(world.tenants.get(&operator(), &name).await.is_err());

    // The slug is free, and an end that is known to be over touches no successor.
    let again = wire.clone_as("backup", clone_of(source, "copy", "k-2")).await;
    let again = again.expect("free again");
    world.settle().await;
    assert!(wire.discard("backup", &made.clone_id).await.expect("over"));
    let there = world.tenants.get(&operator(), &name).await.expect("the successor");
    assert_eq!(there.id.to_string(), again.tenant_id);

    // Somebody has begun to use it: it is theirs.
    let change = TenantChange {
        plan: Some("team".into()),
        ..TenantChange::default()
    };
    let changed = world.tenants.update(&operator(), &name, change, &no_key()).await;
    changed.expect("changed");
    let refused = wire
        .discard("backup", &again.clone_id)
        .await
        .expect_err("changed since");
    assert_eq!(error_of(&refused).reason(), Reason::FailedPrecondition);
    let theirs = world.onboard("globex").await;
    world.settle().await;
    let refused = wire.discard("backup", &theirs.id.to_string()).await;
    assert_eq!(refused.expect_err("an operator's").code(), Code::NotFound);
    assert!(
        world
            .tenants
            .get(&operator(), &TenantName::Slug("globex".to_owned()))
            .await
            .is_ok()
    );
    wire.shutdown.token().cancel();
    world.drop().await;
}

#[tokio::test]
async fn a_clone_that_was_never_made_is_gone() {
    let world = World::new().await;
    let wire = Wire::over(&world).await;
    let source = world.active("acme").await;
    let made = wire
        .clone_as("backup", clone_of(source, "copy", "k"))
        .await
        .expect("started");
    while world.sagas.drive_one().await.expect("drives") {}
    for command in world.take_commands().await {
        world.sagas.take_reply(&refused(&command, true)).await.expect("taken");
    }
    assert!(!wire.discard("backup", &made.clone_id).await.expect("being undone"));
    world.settle().await;
    assert!(wire.discard("backup", &made.clone_id).await.expect("undone"));
    wire.shutdown.token().cancel();
    world.drop().await;
}
