//! Credentials that name a real row but were never issued. The ids stand in resource names, so only the secret protects.

use crate::world::{PASSWORD, World};
use chrono::Duration;
use sqlx::Row;
use tenantry_auth::{app::api_keys::NewKey, domain::SessionKind};
use tenantry_crypto::{OpaqueToken, Prefix};
use tenantry_kernel::{Reason, Result, TenantId};
use zeroize::Zeroizing;

/// Well formed, of the same tenant and row as `real`, with another secret.
fn forged(real: &str) -> String {
    let parsed = OpaqueToken::parse(real).unwrap();
    let (text, _) = OpaqueToken::generate(parsed.prefix, parsed.tenant, parsed.id);
    assert_ne!(text, real);
    text
}

async fn exchange(world: &World, tenant: TenantId, credential: &str) -> Result<()> {
    let ctx = world.public(tenant);
    let done = world
        .exchange()
        .exchange(&ctx, credential, "business", Some(tenant))
        .await;
    done.map(|_| ())
}

async fn session(world: &World, tenant: TenantId) -> String {
    let signed_in = world
        .sign_in(tenant, "owner@acme.test", PASSWORD, SessionKind::Browser)
        .await;
    signed_in.unwrap().session_token.unwrap()
}

#[tokio::test]
async fn the_right_id_with_a_wrong_secret_opens_nothing() {
    let world = World::new().await;
    let (acme, owner) = world.tenant("acme").await;
    let cookie = session(&world, acme).await;
    let tokens = world
        .sign_in(acme, "owner@acme.test", PASSWORD, SessionKind::Tokens)
        .await;
    let refresh = tokens.unwrap().tokens.unwrap().refresh;
    let new = NewKey {
        display_name: "ci".to_owned(),
        scopes: vec!["records.read".to_owned()],
        expire_time: None,
    };
    let (_, key) = world
        .api_keys()
        .create(&world.user(acme, &owner), new, "")
        .await
        .unwrap();

    for real in [&cookie, &key] {
        exchange(&world, acme, real).await.unwrap();
        let refused = exchange(&world, acme, &forged(real)).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::CredentialsInvalid);
        exchange(&world, acme, real).await.unwrap();
    }
    let ctx = world.public(acme);
    let refused = world.refresh().refresh(&ctx, &forged(&refresh)).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::CredentialsInvalid);
    world
        .refresh()
        .refresh(&ctx, &refresh)
        .await
        .expect("a forgery ends nobody's session");

    // The session behind the refresh token has no session secret: an invented one does not stand for it.
    let row = OpaqueToken::parse(&refresh).unwrap().id;
    let sid = sqlx::query("SELECT session_id FROM auth.refresh_tokens WHERE id = $1")
        .bind(row)
        .fetch_one(&mut world.superuser().await)
        .await
        .unwrap()
        .get(0);
    let (invented, _) = OpaqueToken::generate(Prefix::Session, acme, sid);
    assert_eq!(
        exchange(&world, acme, &invented).await.unwrap_err().reason(),
        Reason::CredentialsInvalid
    );

    let (globex, link) = world.realm("globex").await;
    let accept = async |link: &str| {
        let password = Zeroizing::new(PASSWORD.to_owned());
        world.links().accept(&world.public(globex), link, password).await
    };
    assert_eq!(accept(&forged(&link)).await.unwrap_err().reason(), Reason::LinkInvalid);
    accept(&link).await.unwrap();
    world.drop().await;
}

#[tokio::test]
async fn a_session_that_is_over_idle_or_of_a_locked_member_opens_nothing() {
    let world = World::new().await;
    let (acme, _) = world.tenant("acme").await;
    let cookie = session(&world, acme).await;
    exchange(&world, acme, &cookie).await.unwrap();
    // Each condition alone, with everything else as it should be: the row is written as the superuser.
    for (wrong, right) in [
        ("auth.users SET state = 'disabled'", "auth.users SET state = 'active'"),
        (
            "auth.sessions SET state = 'revoked'",
            "auth.sessions SET state = 'active'",
        ),
    ] {
        world.run(&format!("UPDATE {wrong}")).await;
        let refused = exchange(&world, acme, &cookie).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::CredentialsInvalid, "{wrong}");
        world.run(&format!("UPDATE {right}")).await;
        exchange(&world, acme, &cookie).await.unwrap();
    }
    world.clock.advance(world.core.idle() - Duration::seconds(1));
    exchange(&world, acme, &cookie)
        .await
        .expect("used in time, which also keeps it alive");
    world.clock.advance(world.core.idle());
    let idle = exchange(&world, acme, &cookie).await.unwrap_err();
    assert_eq!(idle.reason(), Reason::CredentialsInvalid);
    world.drop().await;
}
