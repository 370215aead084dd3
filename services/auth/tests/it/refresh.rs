//! Refresh tokens: rotation, lost responses, theft.

use crate::world::{PASSWORD, World};
use chrono::Duration;
use std::sync::Arc;
use tenantry_auth::domain::SessionKind;
use tenantry_kernel::{Reason, TenantId};

async fn first(world: &World, tenant: TenantId) -> String {
    world
        .sign_in(tenant, "owner@acme.test", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap()
        .tokens
        .unwrap()
        .refresh
}

async fn swap(world: &World, tenant: TenantId, token: &str) -> Result<String, Reason> {
    world
        .refresh()
        .refresh(&world.public(tenant), token)
        .await
        .map(|pair| pair.refresh)
        .map_err(|error| error.reason())
}

#[tokio::test]
async fn a_token_rotates_a_lost_response_is_repaired_and_reuse_ends_the_session() {
    let world = World::new().await;
    let (acme, _) = world.tenant("acme").await;
    let (globex, _) = world.tenant("globex").await;
    let one = first(&world, acme).await;
    assert_eq!(
        swap(&world, globex, &one).await,
        Err(Reason::CredentialsInvalid),
        "another tenant's host"
    );
    let two = swap(&world, acme, &one).await.unwrap();
    let three = swap(&world, acme, &two).await.unwrap();
    // The response with `four` was lost; the client comes again with `three`.
    let _four = swap(&world, acme, &three).await.unwrap();
    let five = swap(&world, acme, &three).await.unwrap();
    let six = swap(&world, acme, &five).await.unwrap();
    // `three` once more: its successor was used, so two parties hold the family.
    assert_eq!(swap(&world, acme, &three).await, Err(Reason::RefreshTokenReused));
    assert_eq!(
        swap(&world, acme, &six).await,
        Err(Reason::CredentialsInvalid),
        "the session is over"
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM auth.revocations WHERE kind = 'session'")
            .await,
        1
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM auth.security_events WHERE type = 'auth.refresh_token.reuse.v1'")
            .await,
        1
    );

    let late = first(&world, acme).await;
    swap(&world, acme, &late).await.unwrap();
    world.clock.advance(Duration::seconds(31));
    assert_eq!(
        swap(&world, acme, &late).await,
        Err(Reason::RefreshTokenReused),
        "no response is lost for half a minute"
    );
    let idle = first(&world, acme).await;
    world.clock.advance(Duration::days(15));
    assert_eq!(
        swap(&world, acme, &idle).await,
        Err(Reason::CredentialsInvalid),
        "idle for too long"
    );
    world.drop().await;
}

#[tokio::test]
async fn fifty_refreshes_at_once_leave_one_live_branch() {
    let world = Arc::new(World::new().await);
    let (acme, _) = world.tenant("acme").await;
    let token = first(&world, acme).await;
    let many: Vec<_> = (0..50)
        .map(|_| {
            let (world, token) = (Arc::clone(&world), token.clone());
            tokio::spawn(async move { swap(&world, acme, &token).await })
        })
        .collect();
    let mut issued = Vec::new();
    for one in many {
        issued.extend(one.await.unwrap());
    }
    assert!(!issued.is_empty());
    assert_eq!(
        world
            .count("SELECT count(*) FROM auth.refresh_tokens WHERE state = 'active'")
            .await,
        1,
        "one live branch"
    );
    assert_eq!(
        world
            .count("SELECT count(*) FROM auth.sessions WHERE state = 'active'")
            .await,
        1
    );
    Arc::into_inner(world).unwrap().drop().await;
}
