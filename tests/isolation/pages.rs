//! Pages and routes at the edge: hosts, cookies, origins, prefixes, and the gateway's own list of routes.

use serde_json::{Value, json};
use std::collections::BTreeSet;
use tenantry_api::Methods;
use tenantry_testkit::World;
use tenantry_tests::{HttpRule, Operator, Rest, Tenant};

/// Routes that are not the REST face of a method, each with the test that covers it.
const OTHER_ROUTES: &[(&str, &str)] = &[
    ("GET /sign-in", "a_page_shows_only_its_own_tenant"),
    ("POST /sign-in", "a_cookie_is_good_at_its_own_host_only"),
    ("POST /sign-out", "a_cookie_is_good_at_its_own_host_only"),
    ("GET /accept", "a_page_shows_only_its_own_tenant"),
    ("POST /accept", "a_foreign_form_post_is_refused"),
    ("GET /theme.css", "a_page_shows_only_its_own_tenant"),
    ("GET /console.css", "public_documents_need_no_tenant"),
    ("GET /console.js", "public_documents_need_no_tenant"),
    ("GET /.well-known/jwks.json", "a_page_shows_only_its_own_tenant"),
    ("POST /v1/imports:upload", "the_upload_route_refuses_strangers"),
    ("GET /openapi.json", "public_documents_need_no_tenant"),
    ("GET /healthz", "public_documents_need_no_tenant"),
    ("GET /errors/{reason}", "public_documents_need_no_tenant"),
];

async fn pair() -> (World, Tenant, Tenant) {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = (operator.tenant("paga").await, operator.tenant("pagb").await);
    (world, a, b)
}

/// Signs in by the form and returns the cookie.
async fn cookie(world: &World, tenant: &Tenant) -> String {
    let form = format!(
        "email={}&password={}",
        tenant.owner.email.replace('@', "%40"),
        tenant.owner.password.replace(' ', "+")
    );
    let answer = Rest::new(world, &tenant.host)
        .header("origin", &format!("http://{}", tenant.host))
        .try_send(
            "POST",
            "/sign-in",
            Some(("application/x-www-form-urlencoded", form.into_bytes())),
        )
        .await
        .expect("an answer");
    assert_eq!(answer.status, 303, "{}", answer.text);
    let set = answer.header("set-cookie").to_owned();
    for part in ["__Host-sid=", "Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(set.contains(part), "{set}");
    }
    assert!(!set.to_lowercase().contains("domain="), "{set}");
    set.split(';').next().unwrap_or_default().to_owned()
}

#[test]
fn every_route_of_the_gateway_is_covered() {
    let bin = World::load().bin_dir.join("tenantry-gateway");
    let output = std::process::Command::new(&bin)
        .args(["routes", "-o", "json"])
        .output()
        .expect("the gateway lists its routes");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let routes: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let methods = Methods::load();
    let matrix: BTreeSet<String> = methods
        .iter()
        .filter(|method| crate::rows::kind(&method.full_name).is_some())
        .filter_map(|method| HttpRule::of(methods.pool(), &method.descriptor))
        .map(|rule| format!("{} {}", rule.method, rule.template))
        .collect();
    let others: BTreeSet<&str> = OTHER_ROUTES.iter().map(|(route, _)| *route).collect();
    assert!(routes.len() > 60, "only {} routes", routes.len());
    // Pages behind the sign-in have a row each in console.rs.
    for route in routes.iter().filter(|route| route["least_role"].is_null()) {
        let name = format!(
            "{} {}",
            route["method"].as_str().unwrap_or_default(),
            route["template"].as_str().unwrap_or_default()
        );
        assert!(
            matrix.contains(&name) || others.contains(name.as_str()),
            "{name} has no row"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_shows_only_its_own_tenant() {
    let (world, a, b) = pair().await;
    a.rest()
        .patch(
            "/v1/branding?updateMask=display_name,primary_color",
            json!({"displayName": "Anvils of A", "primaryColor": "#aa0011"}),
        )
        .await
        .ok();
    let page = |host: String| async move {
        let rest = Rest::new(&world.clone(), &host);
        (rest.get("/sign-in").await, rest.get("/theme.css").await)
    };
    let (at_a, theme_a) = tenantry_testkit::eventually("the brand is pushed", || async {
        let (at_a, theme) = page.clone()(a.host.clone()).await;
        if at_a.text.contains("Anvils of A") && theme.text.to_lowercase().contains("#aa0011") {
            Ok((at_a, theme))
        } else {
            Err(at_a.text)
        }
    })
    .await;
    let (at_b, theme_b) = page.clone()(b.host.clone()).await;
    assert!(
        !at_b.text.contains("Anvils") && !theme_b.text.to_lowercase().contains("#aa0011"),
        "A's brand at B"
    );
    for answer in [&at_a, &theme_a, &at_b] {
        let policy = answer.header("content-security-policy");
        assert!(
            policy.contains("default-src 'none'") && !policy.contains("unsafe"),
            "{policy}"
        );
        assert_eq!(answer.header("x-content-type-options"), "nosniff");
    }
    let world = World::load();
    assert_ne!(
        Rest::new(&world, &a.host).get("/.well-known/jwks.json").await.ok()["keys"][0]["kid"],
        Rest::new(&world, &b.host).get("/.well-known/jwks.json").await.ok()["keys"][0]["kid"]
    );
    assert_eq!(Rest::new(&world, &a.host).get("/accept?token=x").await.status, 200);
    let home = Rest::new(&world, &a.host).get("/").await;
    assert_eq!(
        (home.status, home.header("location").starts_with("/sign-in")),
        (303, true),
        "{}",
        home.text
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cookie_is_good_at_its_own_host_only() {
    let (world, a, b) = pair().await;
    let of_a = cookie(&world, &a).await;
    let with = |host: &str| Rest::new(&world, host).header("cookie", &of_a);
    let home = with(&a.host).get("/").await;
    assert_eq!(home.status, 200, "{}", home.text);
    assert!(home.text.contains(&a.owner.email));
    assert_eq!(
        with(&a.host).get("/v1/sessions/current").await.status,
        200,
        "the cookie also works for the API at home"
    );
    let stranger = with(&b.host).get("/").await;
    assert!(
        stranger.status != 200 && !stranger.text.contains(&a.owner.email),
        "{}",
        stranger.text
    );
    with(&b.host)
        .get("/v1/sessions/current")
        .await
        .refused(404, "NOT_FOUND");
    let shared = with(&format!("127.0.0.1:{}", world.ports.gateway))
        .get("/v1/sessions/current")
        .await;
    assert!(
        shared.status == 401 || shared.status == 404,
        "a cookie means nothing on the shared host: {}",
        shared.text
    );
    // Signed out is signed out everywhere.
    let out = with(&a.host)
        .header("origin", &format!("http://{}", a.host))
        .try_send("POST", "/sign-out", None)
        .await
        .unwrap();
    assert_eq!(out.status, 303, "{}", out.text);
    tenantry_testkit::eventually("the session is over", || async {
        let answer = with(&a.host).get("/v1/sessions/current").await;
        if answer.status == 401 { Ok(()) } else { Err(answer.text) }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_foreign_form_post_is_refused() {
    let (world, a, b) = pair().await;
    let of_a = cookie(&world, &a).await;
    let form = |origin: String, site: &'static str| {
        Rest::new(&world, &a.host)
            .header("cookie", &of_a)
            .header("origin", &origin)
            .header("sec-fetch-site", site)
    };
    let evil = form(format!("http://{}", b.host), "cross-site");
    for path in ["/sign-out", "/sign-in", "/accept"] {
        let answer = evil
            .try_send(
                "POST",
                path,
                Some((
                    "application/x-www-form-urlencoded",
                    b"token=x&email=a&password=b".to_vec(),
                )),
            )
            .await
            .unwrap();
        assert_eq!(answer.status, 403, "{path}: {}", answer.text);
    }
    let answer = evil.post("/v1/sessions:revokeOthers", json!({})).await;
    answer.refused(403, "ORIGIN_MISMATCH");
    let same = form(format!("http://{}", a.host), "same-origin");
    same.post("/v1/sessions:revokeOthers", json!({})).await.ok();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_upload_route_refuses_strangers() {
    let (world, a, b) = pair().await;
    let csv = || Some(("text/csv", b"x\n1\n".to_vec()));
    let path = "/v1/imports:upload?filename=a.csv";
    a.rest().try_send("POST", path, csv()).await.unwrap().ok();
    Rest::new(&world, &a.host)
        .try_send("POST", path, csv())
        .await
        .unwrap()
        .refused(401, "CREDENTIALS_MISSING");
    Rest::new(&world, &a.host)
        .bearer(&b.owner.token)
        .try_send("POST", path, csv())
        .await
        .unwrap()
        .refused(404, "NOT_FOUND");
    let viewer = a.member("ROLE_VIEWER").await;
    a.as_member(&viewer)
        .try_send("POST", path, csv())
        .await
        .unwrap()
        .refused(403, "PERMISSION_DENIED");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_path_prefix_on_the_shared_host_must_agree_with_the_token() {
    let (world, a, b) = pair().await;
    let api = format!("127.0.0.1:{}", world.ports.gateway);
    let as_a = Rest::new(&world, &api).bearer(&a.owner.token);
    for name in [&a.id, &a.slug] {
        as_a.get(&format!("/v1/tenants/{name}/sessions/current")).await.ok();
    }
    as_a.get("/v1/sessions/current").await.ok();
    as_a.get(&format!("/v1/tenants/{}/sessions/current", b.id))
        .await
        .refused(404, "NOT_FOUND");
    as_a.get(&format!("/v1/tenants/{}/objectTypes", b.slug))
        .await
        .refused(404, "NOT_FOUND");
    as_a.get("/v1/tenants/00000000-0000-7000-8000-000000000001/sessions/current")
        .await
        .refused(404, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn odd_hosts_name_no_tenant() {
    let (world, a, _) = pair().await;
    let port = world.ports.gateway;
    for host in [
        format!("nobody.localhost:{port}"),
        format!("{}.evil.example", a.slug),
        format!("x.{}.localhost", a.slug),
        "localhost.evil".to_owned(),
        format!("{}@localhost", a.slug),
    ] {
        let rest = Rest::new(&world, &host).bearer(&a.owner.token);
        let answer = rest.get("/v1/sessions/current").await;
        assert!(
            [400, 404].contains(&answer.status),
            "{host}: {} {}",
            answer.status,
            answer.text
        );
        assert!(!answer.text.contains(&a.slug), "{host} tells the slug");
    }
    let upper = Rest::new(&world, &a.host.to_uppercase())
        .bearer(&a.owner.token)
        .get("/v1/sessions/current")
        .await;
    assert_eq!(upper.status, 200, "host names have no case: {}", upper.text);
}

#[tokio::test(flavor = "multi_thread")]
async fn missing_and_foreign_look_the_same() {
    let (world, a, b) = pair().await;
    for tenant in [&a, &b] {
        tenant.help_desk().await;
    }
    let of_a = a.ticket("mine").await["name"].as_str().unwrap().to_owned();
    let missing = of_a
        .chars()
        .rev()
        .skip(1)
        .collect::<String>()
        .chars()
        .rev()
        .collect::<String>()
        + if of_a.ends_with('0') { "1" } else { "0" };
    let as_b = b.rest().header("x-request-id", "fixed");
    let (foreign, missing) = (
        as_b.get(&format!("/v1/{of_a}")).await,
        as_b.get(&format!("/v1/{missing}")).await,
    );
    let masked = |answer: &tenantry_tests::Answer| {
        let mut json = answer.json();
        json["instance"] = Value::Null;
        (answer.status, json)
    };
    assert_eq!(masked(&foreign), masked(&missing));
    foreign.refused(404, "NOT_FOUND");
    drop(world);
}

#[tokio::test(flavor = "multi_thread")]
async fn public_documents_need_no_tenant() {
    let world = World::load();
    let rest = Rest::new(&world, &format!("127.0.0.1:{}", world.ports.gateway));
    let document = rest.get("/openapi.json").await.ok();
    assert!(document["openapi"].as_str().unwrap_or_default().starts_with("3.1"));
    assert!(document["paths"].as_object().map_or(0, serde_json::Map::len) > 30);
    assert_eq!(rest.get("/healthz").await.status, 200);
    assert_eq!(rest.get("/errors/NOT_FOUND").await.status, 200);
    for file in ["/console.css", "/console.js"] {
        assert_eq!(rest.get(file).await.status, 200, "{file}");
    }
}
