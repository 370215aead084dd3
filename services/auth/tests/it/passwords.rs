//! Signing in and one-time links.

use crate::world::{PASSWORD, World, link_token};
use chrono::Duration;
use tenantry_auth::domain::SessionKind;
use tenantry_kernel::{Reason, Role};
use zeroize::Zeroizing;

#[tokio::test]
async fn every_wrong_sign_in_has_the_same_answer_and_the_right_one_works() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let (globex, _) = world.tenant("globex").await;
    let locked = world.member(acme, &owner, "locked@acme.test", Role::Member).await;
    world
        .users()
        .disable(&world.user(acme, &owner), locked.id, "")
        .await
        .unwrap();
    let invite = tenantry_auth::app::users::Invite {
        email: tenantry_auth::domain::Email::parse("email", "invited@acme.test").unwrap(),
        display_name: String::new(),
        role: Role::Viewer,
    };
    world
        .users()
        .create(&world.user(acme, &owner), invite, "")
        .await
        .unwrap();
    let attempts = [
        (acme, "owner@acme.test", "wrong"),
        (acme, "nobody@acme.test", PASSWORD),
        (acme, "locked@acme.test", PASSWORD),
        (acme, "invited@acme.test", PASSWORD),
        (globex, "owner@acme.test", PASSWORD),
    ];
    for (tenant, email, password) in attempts {
        let refused = world
            .sign_in(tenant, email, password, SessionKind::Tokens)
            .await
            .expect_err(email);
        assert_eq!(
            (refused.reason(), refused.public()),
            (Reason::SignInFailed, "E-mail or password is wrong."),
            "{email}"
        );
        assert!(refused.fields().is_empty() && refused.metadata().is_empty() && refused.retry_delay().is_none());
    }
    let done = world
        .sign_in(acme, " Owner@ACME.test ", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap();
    assert_eq!(done.user.id, owner.id);
    assert!(done.tokens.is_some() && done.session_token.is_none());
    let browser = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap();
    assert!(browser.tokens.is_none() && browser.session_token.is_some_and(|token| token.starts_with("tsid_")));
    world.drop().await;
}

#[tokio::test]
async fn an_account_is_throttled_whether_it_exists_or_not_and_a_success_forgets() {
    let world = World::new().await;
    let (acme, _) = world.tenant("acme").await;
    for email in ["owner@acme.test", "nobody@acme.test"] {
        for _ in 0..3 {
            let refused = world
                .sign_in(acme, email, "wrong", SessionKind::Tokens)
                .await
                .unwrap_err();
            assert_eq!(refused.reason(), Reason::SignInFailed);
        }
        let refused = world
            .sign_in(acme, email, PASSWORD, SessionKind::Tokens)
            .await
            .unwrap_err();
        assert_eq!(refused.reason(), Reason::SignInThrottled, "{email}");
        assert!(refused.retry_delay().is_some());
    }
    world.clock.advance(Duration::seconds(1));
    world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Tokens)
        .await
        .unwrap();
    let refused = world
        .sign_in(acme, "owner@acme.test", "wrong", SessionKind::Tokens)
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::SignInFailed, "failures were forgotten");
    world.drop().await;
}

#[tokio::test]
async fn a_burst_of_guesses_is_throttled_like_a_row_of_them() {
    let world = std::sync::Arc::new(World::new().await);
    let (acme, _) = world.tenant("acme").await;
    let guesses: Vec<_> = (0..20)
        .map(|n| {
            let world = std::sync::Arc::clone(&world);
            tokio::spawn(async move {
                world
                    .sign_in(acme, "owner@acme.test", &format!("guess {n}"), SessionKind::Tokens)
                    .await
                    .unwrap_err()
                    .reason()
            })
        })
        .collect();
    let mut tried = 0;
    for guess in guesses {
        if guess.await.unwrap() == Reason::SignInFailed {
            tried += 1;
        }
    }
    assert!(tried <= 6, "{tried} of 20 guesses reached the password");
    std::sync::Arc::into_inner(world).unwrap().drop().await;
}

#[tokio::test]
async fn a_link_works_once_for_its_tenant_and_until_it_expires() {
    let world = std::sync::Arc::new(World::new().await);
    let (acme, token) = world.realm("acme").await;
    let (globex, _) = world.tenant("globex").await;
    let accept = |tenant, token: String, password: &str| {
        let (world, password) = (std::sync::Arc::clone(&world), Zeroizing::new(password.to_owned()));
        async move {
            world
                .links()
                .accept(&world.public(tenant), &token, password)
                .await
                .map_err(|error| error.reason())
        }
    };
    assert_eq!(
        accept(globex, token.clone(), PASSWORD).await.unwrap_err(),
        Reason::LinkInvalid,
        "another tenant's host"
    );
    assert_eq!(
        accept(acme, token.clone(), "password1234").await.unwrap_err(),
        Reason::PasswordRejected
    );
    assert_eq!(
        accept(acme, "tlk_garbage".to_owned(), PASSWORD).await.unwrap_err(),
        Reason::LinkInvalid
    );
    let both: Vec<_> = (0..2)
        .map(|_| tokio::spawn(accept(acme, token.clone(), PASSWORD)))
        .collect();
    let mut done = 0;
    for one in both {
        match one.await.unwrap() {
            Ok(_) => done += 1,
            Err(reason) => assert_eq!(reason, Reason::LinkInvalid),
        }
    }
    assert_eq!(done, 1, "two uses at once");
    assert_eq!(
        accept(acme, token, PASSWORD).await.unwrap_err(),
        Reason::LinkInvalid,
        "used"
    );

    let owner = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .user;
    let reset = world
        .users()
        .create_reset_link(&world.user(acme, &owner), owner.id, "")
        .await
        .unwrap();
    assert!(
        reset.starts_with("http://acme.localhost:8080/accept?token=tlk_"),
        "{reset}"
    );
    let newer = world
        .users()
        .create_reset_link(&world.user(acme, &owner), owner.id, "")
        .await
        .unwrap();
    assert_eq!(
        accept(acme, link_token(&reset).to_owned(), PASSWORD).await.unwrap_err(),
        Reason::LinkInvalid,
        "replaced"
    );
    world.clock.advance(Duration::minutes(16));
    assert_eq!(
        accept(acme, link_token(&newer).to_owned(), PASSWORD).await.unwrap_err(),
        Reason::LinkInvalid,
        "expired"
    );
    std::sync::Arc::into_inner(world).unwrap().drop().await;
}

#[tokio::test]
async fn a_reset_ends_every_session_of_the_member() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let session = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await
        .unwrap()
        .session_token
        .unwrap();
    let ctx = world.public(acme);
    world
        .exchange()
        .exchange(&ctx, &session, "auth", Some(acme))
        .await
        .unwrap();
    let link = world
        .users()
        .create_reset_link(&world.user(acme, &owner), owner.id, "")
        .await
        .unwrap();
    world
        .exchange()
        .exchange(&ctx, &session, "auth", Some(acme))
        .await
        .expect("a link that is not used ends nothing");
    world
        .links()
        .accept(
            &ctx,
            link_token(&link),
            Zeroizing::new("another good password".to_owned()),
        )
        .await
        .unwrap();
    let refused = world
        .exchange()
        .exchange(&ctx, &session, "auth", Some(acme))
        .await
        .unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialsInvalid);
    assert!(
        world
            .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Browser)
            .await
            .is_err()
    );
    world
        .sign_in(acme, "owner@acme.test", "another good password", SessionKind::Browser)
        .await
        .unwrap();
    world.drop().await;
}
