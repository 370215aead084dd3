//! Saga commands, as the consumer hands them over.

use crate::world::{PASSWORD, World};
use prost::Message;
use std::sync::Arc;
use tenantry_api::events::{
    CreateRealm, DropRealm, RevokeTenant, SagaCommand, SagaReply, saga_command::Action, saga_reply::Outcome as Reply,
};
use tenantry_auth::{
    domain::SessionKind,
    jobs::saga::{COMMAND, Saga},
};
use tenantry_kernel::TenantId;
use tenantry_messaging::{Delivery, Outcome, Topology};
use tenantry_server::Faults;
use uuid::Uuid;
use zeroize::Zeroizing;

fn saga(world: &World) -> Saga {
    Saga::new(
        Arc::clone(&world.core),
        Faults::new(true),
        &Topology::service("auth"),
        Arc::default(),
    )
}

fn delivery(id: Uuid, tenant: TenantId, action: Action) -> Delivery {
    let command = SagaCommand {
        command_id: id.to_string(),
        operation_id: "op".to_owned(),
        tenant_id: tenant.to_string(),
        action: Some(action),
    };
    Delivery {
        id,
        source: "/tenantry/registry".to_owned(),
        kind: COMMAND.to_owned(),
        subject: String::new(),
        tenant: Some(tenant),
        time: None,
        content_type: "application/protobuf".to_owned(),
        payload: command.encode_to_vec(),
        headers: Default::default(),
        traceparent: None,
        publisher: "registry".to_owned(),
        attempt: 1,
        redelivered: false,
    }
}

fn create(email: &str) -> Action {
    Action::CreateRealm(CreateRealm {
        slug: "acme".to_owned(),
        admin_email: email.to_owned(),
        admin_display_name: "Ada".to_owned(),
    })
}

async fn replies(world: &World) -> Vec<SagaReply> {
    let rows = sqlx::query("SELECT payload FROM auth.outbox ORDER BY id")
        .fetch_all(&mut world.superuser().await)
        .await
        .unwrap();
    rows.iter()
        .map(|row| SagaReply::decode(sqlx::Row::get::<Vec<u8>, _>(row, 0).as_slice()).unwrap())
        .collect()
}

#[tokio::test]
async fn a_realm_is_made_once_however_often_the_command_comes() {
    let world = World::new().await;
    let (saga, tenant, id) = (saga(&world), TenantId::from_uuid(world.core.id()), world.core.id());
    for _ in 0..3 {
        assert_eq!(
            saga.handle(delivery(id, tenant, create("ada@acme.test"))).await,
            Outcome::Ack
        );
    }
    let replies = replies(&world).await;
    let token = |reply: &SagaReply| match reply.outcome.clone() {
        Some(Reply::Done(done)) => done.invite_token,
        other => panic!("{other:?}"),
    };
    assert_eq!(replies.len(), 3);
    assert!(
        replies
            .iter()
            .all(|reply| token(reply) == token(&replies[0]) && reply.command_id == id.to_string())
    );
    let clear = format!(
        "SELECT count(*) FROM auth.inbox WHERE position('{}'::bytea in reply) > 0",
        token(&replies[0])
    );
    assert_eq!(world.count(&clear).await, 0, "no token in clear in the inbox");
    let owner = world
        .links()
        .accept(
            &world.public(tenant),
            &token(&replies[0]),
            Zeroizing::new(PASSWORD.to_owned()),
        )
        .await
        .unwrap();
    assert_eq!(owner.email.as_str(), "ada@acme.test");
    assert_eq!(world.count("SELECT count(*) FROM auth.tenant_keys").await, 1);
    world.drop().await;
}

#[tokio::test]
async fn what_can_never_work_is_refused_and_leaves_nothing() {
    let world = World::new().await;
    let (saga, tenant, id) = (saga(&world), TenantId::from_uuid(world.core.id()), world.core.id());
    assert_eq!(
        saga.handle(delivery(id, tenant, create("no address"))).await,
        Outcome::Ack
    );
    let reply = replies(&world).await.remove(0);
    assert!(
        matches!(reply.outcome, Some(Reply::Failed(failed)) if failed.permanent && failed.reason == "INVALID_ARGUMENT")
    );
    assert_eq!(world.count("SELECT count(*) FROM auth.realms").await, 0);
    let other = delivery(world.core.id(), TenantId::PLATFORM, Action::DropRealm(DropRealm {}));
    assert_eq!(saga.handle(other).await, Outcome::Ack);
    assert!(
        matches!(&replies(&world).await[1].outcome, Some(Reply::Failed(failed)) if failed.permanent),
        "the platform's own realm stays"
    );
    let mut garbage = delivery(world.core.id(), tenant, create("a@b"));
    garbage.payload = vec![0xff; 9];
    assert!(matches!(saga.handle(garbage).await, Outcome::Dead { .. }));
    world.drop().await;
}

#[tokio::test]
async fn a_dropped_realm_leaves_no_row_and_a_revoked_tenant_no_session() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let (globex, _) = world.tenant("globex").await;
    let session = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .session_token
        .unwrap();
    world
        .users()
        .create_reset_link(&world.user(acme, &owner), owner.id, "key")
        .await
        .unwrap();
    let saga = saga(&world);
    assert_eq!(
        saga.handle(delivery(world.core.id(), acme, Action::RevokeTenant(RevokeTenant {})))
            .await,
        Outcome::Ack
    );
    assert!(
        world
            .exchange()
            .exchange(&world.public(acme), &session, "auth", None)
            .await
            .is_err()
    );
    let id = world.core.id();
    for _ in 0..2 {
        assert_eq!(
            saga.handle(delivery(id, acme, Action::DropRealm(DropRealm {}))).await,
            Outcome::Ack
        );
    }
    let tables: Vec<String> = {
        let sql = "SELECT c.relname FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'tenant_id' \
                   WHERE c.relnamespace = 'auth'::regnamespace AND c.relkind = 'r' AND c.relname NOT IN ('inbox', 'outbox', 'revocations')";
        sqlx::query(sql)
            .fetch_all(&mut world.superuser().await)
            .await
            .unwrap()
            .iter()
            .map(|row| sqlx::Row::get(row, 0))
            .collect()
    };
    assert!(tables.len() >= 13, "{tables:?}");
    for table in tables {
        let own = world
            .count(&format!("SELECT count(*) FROM auth.{table} WHERE tenant_id = '{acme}'"))
            .await;
        assert_eq!(own, 0, "{table}");
    }
    assert_eq!(
        world
            .count(&format!("SELECT count(*) FROM auth.users WHERE tenant_id = '{globex}'"))
            .await,
        1,
        "the neighbour is untouched"
    );
    world.drop().await;
}
