//! Onboarding, suspension, deletion: every step, its failure and its repetition.

use crate::world::{World, done, names, new_tenant, no_key, operator, refused};
use chrono::TimeDelta;
use tenantry_kernel::{Kind, Reason};
use tenantry_registry::{
    app::Idempotency,
    domain::{Step, TenantName, TenantState},
    jobs,
};

#[tokio::test]
async fn onboarding_goes_step_by_step_and_ends_with_the_invite() {
    let world = World::new().await;
    let started = world.onboard("acme").await;
    assert_eq!(
        world
            .tenants
            .get(&operator(), &TenantName::Slug("acme".into()))
            .await
            .unwrap()
            .state,
        TenantState::Creating
    );

    assert!(world.sagas.drive_one().await.unwrap());
    assert!(!world.sagas.drive_one().await.unwrap(), "it waits for the reply");
    let first = world.take_commands().await;
    assert_eq!(names(&first), ["business.provision_data"]);
    let answer = done(&first[0]);
    world.sagas.take_reply(&answer).await.unwrap();
    let second = world.take_commands().await;
    assert_eq!(
        names(&second),
        ["auth.create_realm"],
        "the next command leaves with the reply"
    );
    // The same reply again, and another copy of it under a new message id, change nothing.
    world.sagas.take_reply(&answer).await.unwrap();
    world.sagas.take_reply(&done(&first[0])).await.unwrap();
    assert!(world.take_commands().await.is_empty());
    assert_eq!(world.operation(&started).await.saga.step, Some(Step::CreateRealm));

    world.sagas.take_reply(&done(&second[0])).await.unwrap();
    let over = world.operation(&started).await;
    assert!(over.saga.succeeded());
    assert_eq!(over.response.as_ref().unwrap().state, TenantState::Active);
    assert_eq!(
        world.operations.invite(&operator(), &over).await.unwrap().as_deref(),
        Some("tlk_invite")
    );
    let stored = world
        .count("SELECT count(*) FROM registry.operations WHERE position('tlk_invite'::bytea IN invite) > 0")
        .await;
    assert_eq!(stored, 0, "the invite is sealed at rest");
    world.drop().await;
}

#[tokio::test]
async fn a_permanent_failure_of_any_step_is_undone_and_frees_the_slug() {
    let world = World::new().await;
    for (fail_at, undone) in [
        (0, vec!["business.drop_data"]),
        (1, vec!["auth.drop_realm", "business.drop_data"]),
    ] {
        let started = world.onboard("acme").await;
        world.sagas.drive_one().await.unwrap();
        for _ in 0..fail_at {
            let commands = world.take_commands().await;
            world.sagas.take_reply(&done(&commands[0])).await.unwrap();
        }
        let failing = world.take_commands().await;
        world.sagas.take_reply(&refused(&failing[0], true)).await.unwrap();
        let mut seen = Vec::new();
        loop {
            let commands = world.take_commands().await;
            let Some(command) = commands.first() else { break };
            seen.extend(names(&commands));
            world.sagas.take_reply(&done(command)).await.unwrap();
        }
        assert_eq!(seen, undone);
        let over = world.operation(&started).await;
        assert!(over.saga.is_done() && !over.saga.succeeded());
        assert_eq!(over.saga.failure.as_ref().unwrap().reason, "DISK_FULL");
        let missing = world
            .tenants
            .get(&operator(), &TenantName::Id(started.tenant))
            .await
            .unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
        // A late answer to the step that failed finds nothing to do.
        world.sagas.take_reply(&done(&failing[0])).await.unwrap();
        assert!(world.take_commands().await.is_empty());
    }
    world.active("acme").await;
    world.drop().await;
}

#[tokio::test]
async fn silence_is_answered_by_the_same_command_and_shown() {
    let world = World::new().await;
    let started = world.onboard("acme").await;
    world.sagas.drive_one().await.unwrap();
    // The broker is down: the command still waits in the outbox, and is not put there twice.
    world.pass_time().await;
    assert!(world.sagas.drive_one().await.unwrap());
    let waiting = world.operation(&started).await;
    assert_eq!(waiting.saga.attempt, 2);
    assert!(
        waiting.saga.last_error.contains("broker"),
        "{}",
        waiting.saga.last_error
    );
    let first = world.take_commands().await;
    assert_eq!(first.len(), 1);
    // The broker took it, but nobody answers.
    world.pass_time().await;
    world.sagas.drive_one().await.unwrap();
    let again = world.take_commands().await;
    assert_eq!(again[0].1.command_id, first[0].1.command_id);
    assert_eq!(world.operation(&started).await.saga.attempt, 3);
    // A failure that may pass is tried again as a new command, with its error shown.
    world.sagas.take_reply(&refused(&again[0], false)).await.unwrap();
    let stumbled = world.operation(&started).await;
    assert!(stumbled.saga.last_error.contains("DISK_FULL") && stumbled.saga.failure.is_none());
    world.pass_time().await;
    world.sagas.drive_one().await.unwrap();
    let fresh = world.take_commands().await;
    assert_ne!(fresh[0].1.command_id, first[0].1.command_id);
    world.sagas.take_reply(&done(&fresh[0])).await.unwrap();
    world.settle().await;
    assert!(world.operation(&started).await.saga.succeeded());
    world.drop().await;
}

#[tokio::test]
async fn several_drivers_share_the_work_and_send_each_command_once() {
    let world = World::new().await;
    for n in 0..20 {
        world.onboard(&format!("tenant-{n}")).await;
    }
    let drive = || async { while world.sagas.drive_one().await.unwrap() {} };
    tokio::join!(drive(), drive(), drive(), drive());
    let commands = world.take_commands().await;
    assert_eq!(commands.len(), 20);
    let mut replies = Vec::new();
    for command in &commands {
        // Two copies of every reply at once: one of them wins.
        replies.push(done(command));
        replies.push(done(command));
    }
    let taken = futures::future::join_all(replies.iter().map(|reply| world.sagas.take_reply(reply))).await;
    assert!(taken.iter().all(Result::is_ok));
    assert_eq!(world.take_commands().await.len(), 20);
    world.drop().await;
}

#[tokio::test]
async fn a_lock_takes_effect_at_once_and_a_deleted_tenant_comes_back_or_goes_for_good() {
    let world = World::new().await;
    let id = world.active("acme").await;
    let name = TenantName::Id(id);
    let state = async || world.tenants.get(&operator(), &name).await.unwrap().state;

    let suspended = world
        .tenants
        .suspend(&operator(), &name, "unpaid", &no_key())
        .await
        .unwrap();
    assert_eq!(state().await, TenantState::Suspended);
    let busy = world.tenants.resume(&operator(), &name, &no_key()).await.unwrap_err();
    assert_eq!(busy.reason(), Reason::FailedPrecondition, "one operation at a time");
    world.sagas.drive_one().await.unwrap();
    let revoke = world.take_commands().await;
    assert_eq!(names(&revoke), ["auth.revoke_tenant"]);
    // A lock is never undone because auth is in trouble.
    world.sagas.take_reply(&refused(&revoke[0], true)).await.unwrap();
    assert!(!world.operation(&suspended).await.saga.is_done());
    assert_eq!(state().await, TenantState::Suspended);
    world.pass_time().await;
    world.settle().await;
    assert!(world.operation(&suspended).await.saga.succeeded());

    assert!(
        world
            .tenants
            .resume(&operator(), &name, &no_key())
            .await
            .unwrap()
            .saga
            .succeeded()
    );
    assert_eq!(state().await, TenantState::Active);
    world
        .tenants
        .delete(&operator(), &name, "", false, &no_key())
        .await
        .unwrap();
    world.settle().await;
    assert_eq!(state().await, TenantState::Deleted);
    let taken = world
        .tenants
        .create(&operator(), new_tenant("acme"), &no_key())
        .await
        .unwrap_err();
    assert_eq!(taken.reason(), Reason::AlreadyExists, "it can still come back");
    assert!(
        world
            .tenants
            .undelete(&operator(), &name, &no_key())
            .await
            .unwrap()
            .saga
            .succeeded()
    );
    assert_eq!(state().await, TenantState::Active);

    world
        .tenants
        .delete(&operator(), &name, "", false, &no_key())
        .await
        .unwrap();
    world.settle().await;
    jobs::janitor::run_once(&world.tenants).await.unwrap();
    assert_eq!(state().await, TenantState::Deleted, "not yet");
    world.clock.advance(TimeDelta::days(31));
    jobs::janitor::run_once(&world.tenants).await.unwrap();
    assert_eq!(state().await, TenantState::Purging);
    let mut seen = Vec::new();
    world.sagas.drive_one().await.unwrap();
    loop {
        let commands = world.take_commands().await;
        let Some(command) = commands.first() else { break };
        seen.extend(names(&commands));
        world.sagas.take_reply(&done(command)).await.unwrap();
    }
    assert_eq!(
        seen,
        ["auth.revoke_tenant", "auth.drop_realm", "business.drop_data"],
        "keys go before data"
    );
    assert_eq!(
        world.tenants.get(&operator(), &name).await.unwrap_err().kind(),
        Kind::NotFound
    );
    world.active("acme").await;
    world.drop().await;
}

#[tokio::test]
async fn a_reply_from_the_wrong_service_or_about_the_wrong_tenant_is_refused() {
    let world = World::new().await;
    let started = world.onboard("acme").await;
    world.sagas.drive_one().await.unwrap();
    let command = world.take_commands().await.remove(0);
    let mut forged = done(&command);
    forged.from = "auth".to_owned();
    assert_eq!(
        world.sagas.take_reply(&forged).await.unwrap_err().kind(),
        Kind::InvalidArgument
    );
    let mut foreign = done(&command);
    foreign.tenant = tenantry_kernel::TenantId::PLATFORM;
    assert_eq!(
        world.sagas.take_reply(&foreign).await.unwrap_err().kind(),
        Kind::InvalidArgument
    );
    assert_eq!(world.operation(&started).await.saga.step, Some(Step::ProvisionData));
    world.drop().await;
}

#[tokio::test]
async fn a_repeated_request_finds_its_first_answer_and_does_nothing() {
    let world = World::new().await;
    let once = |key: &str, body: &[u8]| Idempotency::new("create", key, body).unwrap();
    let first = world
        .tenants
        .create(&operator(), new_tenant("acme"), &once("k1", b"acme"))
        .await
        .unwrap();
    let second = world
        .tenants
        .create(&operator(), new_tenant("acme"), &once("k1", b"acme"))
        .await
        .unwrap();
    assert_eq!(first.id, second.id);
    let other = world
        .tenants
        .create(&operator(), new_tenant("globex"), &once("k1", b"globex"))
        .await
        .unwrap_err();
    assert_eq!(other.reason(), Reason::IdempotencyKeyReused);
    assert_eq!(world.count("SELECT count(*) FROM registry.operations").await, 1);
    let taken = world
        .tenants
        .create(&operator(), new_tenant("acme"), &once("k2", b"acme"))
        .await
        .unwrap_err();
    assert_eq!(taken.reason(), Reason::AlreadyExists);
    world.drop().await;
}

#[tokio::test]
async fn a_fault_before_or_after_any_step_leaves_nothing_and_frees_the_slug() {
    let world = World::new().await;
    let points = [
        "provision_data.before_send",
        "provision_data.after_reply",
        "create_realm.before_send",
        "create_realm.after_reply",
        "activate.before_send",
    ];
    for point in points {
        let point = format!("registry.create_tenant.{point}");
        world.arm(&point);
        let started = world.onboard("acme").await;
        world.settle().await;
        let over = world.operation(&started).await;
        assert!(over.saga.is_done() && over.saga.failure.is_some(), "{point}");
        assert!(over.invite.is_none() || !over.saga.succeeded());
        assert_eq!(
            world.count("SELECT count(*) FROM registry.tenants").await,
            1,
            "{point}: only the platform is left"
        );
    }
    let id = world.active("acme").await;
    // A purge cannot be undone: it goes on after the fault.
    for point in [
        "revoke_tenant.before_send",
        "drop_realm.after_reply",
        "drop_data.before_send",
        "remove_tenant.before_send",
    ] {
        world.arm(&format!("registry.purge_tenant.{point}"));
    }
    let purge = world
        .tenants
        .delete(&operator(), &TenantName::Id(id), "", true, &no_key())
        .await
        .unwrap();
    for _ in 0..6 {
        world.settle().await;
        world.pass_time().await;
    }
    assert!(world.operation(&purge).await.saga.succeeded());
    assert_eq!(world.count("SELECT count(*) FROM registry.tenants").await, 1);
    world.drop().await;
}
