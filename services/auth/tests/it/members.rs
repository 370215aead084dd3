//! Members, their roles, and what is remembered of a request.

use crate::world::{PASSWORD, World, link_token};
use std::sync::Arc;
use tenantry_auth::{
    app::users::{Change, Invite},
    domain::{Email, SessionKind, User},
};
use tenantry_kernel::{Reason, Role};

fn invite(email: &str, role: Role) -> Invite {
    Invite {
        email: Email::parse("email", email).unwrap(),
        display_name: "Some One".to_owned(),
        role,
    }
}

fn role(user: &User, role: Role) -> Change {
    Change {
        id: user.id,
        display_name: None,
        role: Some(role),
        etag: String::new(),
    }
}

#[tokio::test]
async fn the_last_owner_stays_even_when_two_demote_each_other_at_once() {
    let world = Arc::new(World::new().await);
    let (acme, owner) = world.tenant("acme").await;
    let alone = world
        .users()
        .update(&world.user(acme, &owner), role(&owner, Role::Admin), "")
        .await
        .unwrap_err();
    assert_eq!(alone.reason(), Reason::LastOwner);
    let ctx = world.user(acme, &owner);
    assert_eq!(
        world.users().delete(&ctx, owner.id, "", "").await.unwrap_err().reason(),
        Reason::LastOwner
    );
    assert_eq!(
        world.users().disable(&ctx, owner.id, "").await.unwrap_err().reason(),
        Reason::LastOwner
    );

    let second = world.member(acme, &owner, "second@acme.test", Role::Owner).await;
    let pairs = [(owner.clone(), second.clone()), (second, owner)];
    let rivals = pairs.map(|(actor, target)| {
        let world = Arc::clone(&world);
        tokio::spawn(async move {
            world
                .users()
                .update(&world.user(acme, &actor), role(&target, Role::Member), "")
                .await
        })
    });
    let mut demoted = 0;
    for rival in rivals {
        demoted += i32::from(rival.await.unwrap().is_ok());
    }
    assert_eq!(demoted, 1);
    assert_eq!(
        world
            .count("SELECT count(*) FROM auth.users WHERE role = 'owner' AND state = 'active'")
            .await,
        1
    );
    Arc::into_inner(world).unwrap().drop().await;
}

#[tokio::test]
async fn an_admin_cannot_touch_an_owner_or_become_one() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let admin = world.member(acme, &owner, "admin@acme.test", Role::Admin).await;
    let ctx = world.user(acme, &admin);
    let users = world.users();
    let denied = [
        users.create(&ctx, invite("new@acme.test", Role::Owner), "").await.err(),
        users.update(&ctx, role(&admin, Role::Owner), "").await.err(),
        users.update(&ctx, role(&owner, Role::Viewer), "").await.err(),
        users.disable(&ctx, owner.id, "").await.err(),
        users.delete(&ctx, owner.id, "", "").await.err(),
        users.create_reset_link(&ctx, owner.id, "").await.err(),
    ];
    for (n, error) in denied.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.reason()), Some(Reason::PermissionDenied), "case {n}");
    }
    users
        .create(&ctx, invite("new@acme.test", Role::Admin), "")
        .await
        .unwrap();
    // A token that still says owner does not help somebody who is none any more.
    let mut pretender = admin.clone();
    pretender.role = Role::Owner;
    let refused = users
        .update(&world.user(acme, &pretender), role(&owner, Role::Viewer), "")
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::PermissionDenied);
    world.drop().await;
}

#[tokio::test]
async fn another_tenants_member_is_not_there() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let (globex, stranger) = world.tenant("globex").await;
    let users = world.users();
    users
        .get(&world.user(acme, &owner), owner.id)
        .await
        .expect("the owner's own view");
    let ctx = world.user(globex, &stranger);
    let missing = [
        users.get(&ctx, owner.id).await.err(),
        users.update(&ctx, role(&owner, Role::Viewer), "").await.err(),
        users.disable(&ctx, owner.id, "").await.err(),
        users.enable(&ctx, owner.id, "").await.err(),
        users.delete(&ctx, owner.id, "", "").await.err(),
        users.create_reset_link(&ctx, owner.id, "").await.err(),
    ];
    for (n, error) in missing.into_iter().enumerate() {
        assert_eq!(error.map(|e| e.reason()), Some(Reason::NotFound), "case {n}");
    }
    assert_eq!(users.list(&ctx, 0, "").await.unwrap().items.len(), 1);
    world.drop().await;
}

#[tokio::test]
async fn a_request_id_runs_once_and_its_stored_answer_is_sealed() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let ctx = world.user(acme, &owner);
    let users = world.users();
    let (first, uri) = users
        .create(&ctx, invite("a@acme.test", Role::Member), "key-1")
        .await
        .unwrap();
    let (again, same) = users
        .create(&ctx, invite("a@acme.test", Role::Member), "key-1")
        .await
        .unwrap();
    assert_eq!((first.id, uri.as_str()), (again.id, same.as_str()));
    let reused = users
        .create(&ctx, invite("b@acme.test", Role::Member), "key-1")
        .await
        .unwrap_err();
    assert_eq!(reused.reason(), Reason::IdempotencyKeyReused);
    let taken = users
        .create(&ctx, invite("a@acme.test", Role::Member), "key-2")
        .await
        .unwrap_err();
    assert_eq!(taken.reason(), Reason::AlreadyExists);
    users
        .create(&ctx, invite("b@acme.test", Role::Member), "key-2")
        .await
        .expect("a failed call leaves its key free");
    let clear = format!(
        "SELECT count(*) FROM auth.idempotency WHERE position('{}'::bytea in response) > 0",
        link_token(&uri)
    );
    assert_eq!(world.count(&clear).await, 0, "no link in clear at rest");
    world.drop().await;
}

#[tokio::test]
async fn lists_page_and_quotas_hold() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let ctx = world.user(acme, &owner);
    for n in 0..5 {
        world
            .users()
            .create(&ctx, invite(&format!("m{n}@acme.test"), Role::Member), "")
            .await
            .unwrap();
    }
    let full = world
        .users()
        .create(&ctx, invite("m9@acme.test", Role::Member), "")
        .await
        .unwrap_err();
    assert_eq!(full.reason(), Reason::QuotaExceeded);
    let mut seen = Vec::new();
    let mut token = String::new();
    loop {
        let page = world.users().list(&ctx, 4, &token).await.unwrap();
        seen.extend(page.items.iter().map(|user| user.email.as_str().to_owned()));
        if page.next.is_empty() {
            break;
        }
        token = page.next;
    }
    assert_eq!(seen.len(), 6);
    assert!(seen.is_sorted());
    assert_eq!(
        world.users().list(&ctx, 4, "nonsense").await.unwrap_err().reason(),
        Reason::InvalidPageToken
    );
    world.drop().await;
}

#[tokio::test]
async fn sessions_are_seen_and_ended_by_their_owner_or_an_admin() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let member = world.member(acme, &owner, "member@acme.test", Role::Member).await;
    for _ in 0..3 {
        world
            .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
            .await
            .unwrap();
    }
    let mine = world.sessions().list(&world.user(acme, &owner), 2, "").await.unwrap();
    assert_eq!((mine.items.len(), mine.next.is_empty()), (2, false));
    let id = mine.items[0].id;
    let foreign = world
        .sessions()
        .revoke(&world.user(acme, &member), id, "")
        .await
        .unwrap_err();
    assert_eq!(foreign.reason(), Reason::NotFound);
    world
        .sessions()
        .revoke(&world.user(acme, &owner), id, "")
        .await
        .unwrap();
    assert_eq!(
        world
            .sessions()
            .revoke_others(&world.user(acme, &owner), "")
            .await
            .unwrap(),
        2
    );
    assert!(
        world
            .sessions()
            .list(&world.user(acme, &owner), 0, "")
            .await
            .unwrap()
            .items
            .is_empty()
    );
    world.drop().await;
}
