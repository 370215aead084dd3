//! Credentials to transaction tokens, and revocation.

use crate::world::{PASSWORD, World};
use chrono::Duration;
use std::sync::Arc;
use tenantry_auth::{
    app::{
        api_keys::NewKey,
        feed::{Feed, Reader},
        users::Change,
    },
    domain::SessionKind,
};
use tenantry_kernel::{Clock, PrincipalKind, Reason, Role};
use tenantry_server::Revocations;

#[tokio::test]
async fn each_kind_of_credential_is_exchanged_for_its_own_tenant_only() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let (globex, _) = world.tenant("globex").await;
    let session = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .session_token
        .unwrap();
    let access = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap()
        .tokens
        .unwrap();
    let new = NewKey {
        display_name: "ci".to_owned(),
        scopes: vec!["records.read".to_owned()],
        expire_time: None,
    };
    let (key, secret) = world
        .api_keys()
        .create(&world.user(acme, &owner), new, "")
        .await
        .unwrap();
    let ctx = world.public(acme);
    for credential in [&session, &access.access, &secret] {
        for expected in [Some(acme), None] {
            let done = world
                .exchange()
                .exchange(&ctx, credential, "business", expected)
                .await
                .unwrap();
            assert_eq!((done.tenant, done.user), (acme, owner.id));
            let claims = world.verify(&done.token, "business");
            assert_eq!((claims.tid, claims.role), (Some(acme), Some(Role::Owner)));
            let dbc = claims.dbc.clone().unwrap();
            assert!(
                dbc.contains(".tenantry_business.") && dbc.contains(&acme.to_string()),
                "{dbc}"
            );
            match claims.principal().unwrap().kind {
                PrincipalKind::ApiKey { key: id, creator } => assert_eq!(
                    (id, creator, claims.scopes),
                    (key.id, owner.id, vec!["records.read".to_owned()])
                ),
                PrincipalKind::User { user, .. } => assert!(user == owner.id && claims.scopes.is_empty()),
                other => panic!("{other:?}"),
            }
        }
        let foreign = world
            .exchange()
            .exchange(&ctx, credential, "business", Some(globex))
            .await
            .unwrap_err();
        assert_eq!(foreign.reason(), Reason::TenantMismatch);
        let mut edited = credential.clone();
        let last = if edited.pop() == Some('0') { '1' } else { '0' };
        edited.push(last);
        let refused = world
            .exchange()
            .exchange(&ctx, &edited, "business", Some(acme))
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::CredentialsInvalid);
    }
    for other in [&access.refresh, "", "x.y.z", "Bearer"] {
        let refused = world
            .exchange()
            .exchange(&ctx, other, "business", None)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::CredentialsInvalid, "{other}");
    }
    world.clock.advance(Duration::seconds(310));
    assert!(
        world
            .exchange()
            .exchange(&ctx, &access.access, "business", None)
            .await
            .is_err(),
        "an access token lives 300 s"
    );
    world.drop().await;
}

#[tokio::test]
async fn a_key_follows_its_creator() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let admin = world.member(acme, &owner, "admin@acme.test", Role::Admin).await;
    let new = || NewKey {
        display_name: String::new(),
        scopes: vec!["users.write".to_owned()],
        expire_time: None,
    };
    let (key, secret) = world
        .api_keys()
        .create(&world.user(acme, &admin), new(), "")
        .await
        .unwrap();
    let ctx = world.public(acme);
    let role = async |world: &World| {
        world
            .exchange()
            .exchange(&ctx, &secret, "auth", None)
            .await
            .map(|done| world.verify(&done.token, "auth").role)
    };
    assert_eq!(role(&world).await.unwrap(), Some(Role::Admin));
    let demote = Change {
        id: admin.id,
        display_name: None,
        role: Some(Role::Viewer),
        etag: String::new(),
    };
    world
        .users()
        .update(&world.user(acme, &owner), demote, "")
        .await
        .unwrap();
    assert_eq!(
        role(&world).await.unwrap(),
        Some(Role::Viewer),
        "the role at the time of use"
    );
    let stale = world
        .api_keys()
        .create(&world.user(acme, &admin), new(), "")
        .await
        .unwrap_err();
    assert_eq!(
        stale.reason(),
        Reason::PermissionDenied,
        "the caller's token still says admin; the table does not"
    );
    world
        .users()
        .disable(&world.user(acme, &owner), admin.id, "")
        .await
        .unwrap();
    assert_eq!(role(&world).await.unwrap_err().reason(), Reason::CredentialsInvalid);
    world
        .users()
        .enable(&world.user(acme, &owner), admin.id, "")
        .await
        .unwrap();
    assert!(role(&world).await.is_ok());
    world
        .api_keys()
        .delete(&world.user(acme, &owner), key.id, "")
        .await
        .unwrap();
    assert_eq!(role(&world).await.unwrap_err().reason(), Reason::CredentialsInvalid);
    world.drop().await;
}

#[tokio::test]
async fn a_changed_role_refuses_old_tokens_and_never_new_ones() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let member = world.member(acme, &owner, "member@acme.test", Role::Admin).await;
    let session = world
        .sign_in(acme, "member@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .session_token
        .unwrap();
    let known = Arc::new(Revocations::default());
    let feed = Feed::new(Arc::clone(&known));
    let mut reader = Reader::new(world.store.clone());
    feed.publish(reader.read().await.unwrap(), world.clock.now());
    let exchange = async || {
        let done = world
            .exchange()
            .exchange(&world.public(acme), &session, "auth", None)
            .await
            .unwrap();
        world.verify(&done.token, "auth")
    };
    let passes =
        |claims: &tenantry_kernel::TransactionClaims| known.check(claims, &claims.principal().unwrap().kind).is_ok();
    let before = exchange().await;
    assert!(
        passes(&before),
        "accepting the invitation a moment ago must not refuse the first session"
    );
    let demote = Change {
        id: member.id,
        display_name: None,
        role: Some(Role::Viewer),
        etag: String::new(),
    };
    world
        .users()
        .update(&world.user(acme, &owner), demote, "")
        .await
        .unwrap();
    feed.publish(reader.read().await.unwrap(), world.clock.now());
    assert!(!passes(&before));
    let after = exchange().await;
    assert!(passes(&after), "in the same millisecond");
    assert_eq!(after.role, Some(Role::Viewer));
    assert_eq!(after.exp - after.iat, 60);

    let session_of = |claims: &tenantry_kernel::TransactionClaims| claims.sid.unwrap();
    let ctx = world.call(acme, after.principal().unwrap());
    world.login().sign_out(&ctx).await.unwrap();
    feed.publish(reader.read().await.unwrap(), world.clock.now());
    assert!(!passes(&after), "signed out");
    let again = world
        .sign_in(acme, "member@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .session_token
        .unwrap();
    let again = world
        .exchange()
        .exchange(&world.public(acme), &again, "auth", None)
        .await
        .unwrap();
    let again = world.verify(&again.token, "auth");
    assert_ne!(session_of(&again), session_of(&after));
    assert!(passes(&again), "a new sign-in at the same time");
    world.drop().await;
}

#[tokio::test]
async fn a_revocation_that_commits_late_is_not_missed_and_none_comes_twice() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let mut reader = Reader::new(world.store.clone());
    reader.read().await.unwrap();
    let ctx = world.user(acme, &owner);
    let mut slow = world.store.begin(&ctx).await.unwrap();
    let (first, second) = (world.core.id(), world.core.id());
    use tenantry_auth::domain::Subject::Session;
    world.core.revoke(&mut slow, &[Session(first)]).await.unwrap();
    let mut quick = world.store.begin(&ctx).await.unwrap();
    world.core.revoke(&mut quick, &[Session(second)]).await.unwrap();
    quick.commit().await.unwrap();
    let subjects = async |reader: &mut Reader| {
        reader
            .read()
            .await
            .unwrap()
            .into_iter()
            .map(|r| r.subject)
            .collect::<Vec<_>>()
    };
    assert_eq!(subjects(&mut reader).await, [Session(second)]);
    assert_eq!(subjects(&mut reader).await, []);
    slow.commit().await.unwrap();
    assert_eq!(
        subjects(&mut reader).await,
        [Session(first)],
        "its number is smaller than one already read"
    );
    assert_eq!(subjects(&mut reader).await, []);
    world.drop().await;
}
