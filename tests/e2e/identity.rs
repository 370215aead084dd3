//! Members, sessions, keys and links.

use serde_json::json;
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Member, Operator, Rest, Tenant, unique};

async fn tenant(prefix: &str) -> (World, Tenant) {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant(prefix).await;
    (world, tenant)
}

async fn refused_soon(rest: &Rest, status: u16) {
    eventually("the revocation is in force", || async {
        let answer = rest.get("/v1/sessions/current").await;
        if answer.status == status {
            Ok(())
        } else {
            Err(answer.text)
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_am_i_says_tenant_role_and_scopes() {
    let (_, tenant) = tenant("who").await;
    let me = tenant.rest().get("/v1/sessions/current").await.ok();
    assert_eq!(
        (me["tenantSlug"].as_str(), me["user"]["role"].as_str()),
        (Some(tenant.slug.as_str()), Some("ROLE_OWNER"))
    );
    let key = Rest::new(&tenant.world, &tenant.host).bearer(&tenant.api_key(&["records.read", "sessions.read"]).await);
    let as_key = key.get("/v1/sessions/current").await.ok();
    assert_eq!(as_key["scopes"], json!(["records.read", "sessions.read"]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_token_works_once_and_reuse_ends_the_session() {
    let (world, tenant) = tenant("ref").await;
    let rest = Rest::new(&world, &tenant.host);
    let refresh = |token: String| {
        let rest = rest.clone();
        async move { rest.post("/v1/auth:refresh", json!({"refreshToken": token})).await }
    };
    let second = refresh(tenant.owner.refresh.clone()).await.ok()["refreshToken"]
        .as_str()
        .unwrap()
        .to_owned();
    let third = refresh(second.clone()).await.ok();
    // The second is used and so is what came of it (its access token below): presenting the first again is theft.
    rest.clone()
        .bearer(third["accessToken"].as_str().unwrap())
        .get("/v1/sessions/current")
        .await
        .ok();
    refresh(tenant.owner.refresh.clone())
        .await
        .refused(401, "REFRESH_TOKEN_REUSED");
    let ended = refresh(third["refreshToken"].as_str().unwrap().to_owned()).await;
    assert_eq!(ended.status, 401, "the whole session is over: {}", ended.text);
    refused_soon(&rest.clone().bearer(third["accessToken"].as_str().unwrap()), 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_people_and_wrong_passwords_get_one_answer() {
    let (world, tenant) = tenant("enum").await;
    let rest = Rest::new(&world, &tenant.host).header("x-request-id", "same");
    let wrong = rest
        .post(
            "/v1/auth:signIn",
            json!({"email": tenant.owner.email, "password": "wrong wrong wrong"}),
        )
        .await;
    let unknown = rest
        .post(
            "/v1/auth:signIn",
            json!({"email": "nobody@x.example", "password": "wrong wrong wrong"}),
        )
        .await;
    wrong.refused(401, "SIGN_IN_FAILED");
    assert_eq!(wrong.text, unknown.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_who_is_disabled_demoted_or_deleted_loses_it_at_once() {
    let (_, tenant) = tenant("dis").await;
    let admin = tenant.member("ROLE_ADMIN").await;
    let as_admin = tenant.as_member(&admin);
    as_admin.get("/v1/apiKeys").await.ok();
    tenant
        .rest()
        .patch(
            &format!("/v1/{}?updateMask=role", admin.name),
            json!({"role": "ROLE_VIEWER"}),
        )
        .await
        .ok();
    eventually("the smaller role is in force", || async {
        let answer = as_admin.get("/v1/apiKeys").await;
        if answer.status == 403 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    as_admin.get("/v1/sessions/current").await.ok();
    tenant
        .rest()
        .post(&format!("/v1/{}:disable", admin.name), json!({}))
        .await
        .ok();
    refused_soon(&as_admin, 401).await;
    let sign_in = Rest::new(&tenant.world, &tenant.host)
        .post(
            "/v1/auth:signIn",
            json!({"email": admin.email, "password": admin.password}),
        )
        .await;
    sign_in.refused(401, "SIGN_IN_FAILED");
    let gone = tenant.member("ROLE_MEMBER").await;
    tenant.as_member(&gone).get("/v1/sessions/current").await.ok();
    tenant.rest().delete(&format!("/v1/{}", gone.name)).await.ok();
    refused_soon(&tenant.as_member(&gone), 401).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_last_owner_stays_and_only_owners_make_owners() {
    let (_, tenant) = tenant("own").await;
    let owner = &tenant.owner.name;
    tenant
        .rest()
        .patch(&format!("/v1/{owner}?updateMask=role"), json!({"role": "ROLE_MEMBER"}))
        .await
        .refused(409, "LAST_OWNER");
    tenant
        .rest()
        .post(&format!("/v1/{owner}:disable"), json!({}))
        .await
        .refused(409, "LAST_OWNER");
    tenant
        .rest()
        .delete(&format!("/v1/{owner}"))
        .await
        .refused(409, "LAST_OWNER");
    let admin = tenant.member("ROLE_ADMIN").await;
    let promote = tenant
        .as_member(&admin)
        .patch(
            &format!("/v1/{}?updateMask=role", admin.name),
            json!({"role": "ROLE_OWNER"}),
        )
        .await;
    promote.refused(403, "PERMISSION_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_key_has_its_scopes_and_at_most_its_creators_rights() {
    let (world, tenant) = tenant("key").await;
    tenant.help_desk().await;
    let admin = tenant.member("ROLE_ADMIN").await;
    let made = tenant
        .as_member(&admin)
        .post(
            "/v1/apiKeys",
            json!({"displayName": "ci", "scopes": ["records.read", "records.write"]}),
        )
        .await
        .ok();
    let key = Rest::new(&world, &tenant.host).bearer(made["secret"].as_str().unwrap());
    key.post(
        "/v1/objectTypes/tickets/records",
        json!({"fields": {"title": "by key"}}),
    )
    .await
    .ok();
    key.get("/v1/users").await.refused(403, "PERMISSION_DENIED");
    tenant
        .rest()
        .patch(
            &format!("/v1/{}?updateMask=role", admin.name),
            json!({"role": "ROLE_VIEWER"}),
        )
        .await
        .ok();
    eventually("the key shrinks with its creator", || async {
        let answer = key
            .post(
                "/v1/objectTypes/tickets/records",
                json!({"fields": {"title": "too late"}}),
            )
            .await;
        if answer.status == 403 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    tenant
        .rest()
        .delete(&format!("/v1/{}", made["apiKey"]["name"].as_str().unwrap()))
        .await
        .ok();
    eventually("the key is revoked", || async {
        let answer = key.get("/v1/objectTypes/tickets/records").await;
        if answer.status == 401 { Ok(()) } else { Err(answer.text) }
    })
    .await;
    let bad = tenant
        .rest()
        .post("/v1/apiKeys", json!({"displayName": "x", "scopes": ["everything"]}))
        .await;
    assert_eq!(bad.status, 400, "{}", bad.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn links_work_once_and_a_reset_ends_other_sessions() {
    let (world, tenant) = tenant("link").await;
    let member = tenant.member("ROLE_MEMBER").await;
    let link = tenant
        .rest()
        .post(&format!("/v1/{}:createResetLink", member.name), json!({}))
        .await
        .ok();
    let token = link["resetUri"]
        .as_str()
        .unwrap()
        .split("token=")
        .nth(1)
        .unwrap()
        .to_owned();
    let rest = Rest::new(&world, &tenant.host);
    let weak = rest
        .post("/v1/auth:acceptLink", json!({"linkToken": token, "password": "short"}))
        .await;
    weak.refused(400, "PASSWORD_REJECTED");
    rest.post(
        "/v1/auth:acceptLink",
        json!({"linkToken": token, "password": "another good password 1"}),
    )
    .await
    .ok();
    rest.post(
        "/v1/auth:acceptLink",
        json!({"linkToken": token, "password": "another good password 2"}),
    )
    .await
    .refused(400, "LINK_INVALID");
    refused_soon(&tenant.as_member(&member), 401).await;
    let old = rest
        .post(
            "/v1/auth:signIn",
            json!({"email": member.email, "password": member.password}),
        )
        .await;
    old.refused(401, "SIGN_IN_FAILED");
    rest.post(
        "/v1/auth:signIn",
        json!({"email": member.email, "password": "another good password 1"}),
    )
    .await
    .ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn other_sessions_can_be_listed_and_ended() {
    let (world, tenant) = tenant("ses").await;
    let second = Member::sign_in(&world, &tenant.host, &tenant.owner.email, &tenant.owner.name).await;
    tenant.as_member(&second).get("/v1/sessions/current").await.ok();
    let list = tenant.rest().get("/v1/sessions").await.ok();
    assert!(list["sessions"].as_array().unwrap().len() >= 2);
    let ended = tenant.rest().post("/v1/sessions:revokeOthers", json!({})).await.ok();
    assert_eq!(ended["revokedCount"], 1);
    refused_soon(&tenant.as_member(&second), 401).await;
    tenant.rest().get("/v1/sessions/current").await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn many_wrong_passwords_slow_the_guesser_down() {
    let (world, tenant) = tenant("slow").await;
    let rest = Rest::new(&world, &tenant.host);
    let guess = || async {
        let answer = rest
            .post(
                "/v1/auth:signIn",
                json!({"email": tenant.owner.email, "password": unique("guess guess ")}),
            )
            .await;
        if answer.status == 429 {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    };
    let throttled = eventually("the guesser is throttled", guess).await;
    assert!(
        ["SIGN_IN_THROTTLED", "RATE_LIMITED"].contains(&throttled.reason().as_str()),
        "{}",
        throttled.text
    );
    assert!(!throttled.header("retry-after").is_empty(), "{:?}", throttled.headers);
    tenant.rest().get("/v1/sessions/current").await.ok();
}
