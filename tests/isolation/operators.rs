//! The operators' pages against everybody who must not have them, a smaller role of theirs included. That they are on no
//! other host and need a session is in console.rs.

use crate::console::{ask, browser, member_browser, page_at, pages};
use serde_json::json;
use std::collections::BTreeMap;
use tenantry_testkit::World;
use tenantry_tests::{Member, Operator, Rest, unique};

/// `(method, template, form of the rightful, what they get)`. A verb has a tenant of its own in the state it needs.
const ROWS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/tenants/new", "", 200),
    (
        "POST",
        "/tenants/new",
        "slug={fresh}&plan=free&email=o%40x.example",
        303,
    ),
    ("GET", "/tenants/{tenant}", "", 200),
    ("POST", "/tenants/{tenant}", "name=Quitte&plan=enterprise", 303),
    ("POST", "/tenants/{tenant}/domains", "domain={domain}", 303),
    ("GET", "/tenants/{tenant}/suspend", "", 200),
    ("POST", "/tenants/{tenant}/suspend", "confirm={slug}&reason=test", 303),
    ("GET", "/tenants/{tenant}/resume", "", 200),
    ("POST", "/tenants/{suspended}/resume", "confirm={suspended_slug}", 303),
    ("GET", "/tenants/{tenant}/delete", "", 200),
    ("POST", "/tenants/{active}/delete", "confirm={active_slug}", 303),
    ("GET", "/tenants/{tenant}/undelete", "", 200),
    ("POST", "/tenants/{deleted}/undelete", "confirm={deleted_slug}", 303),
    ("GET", "/sagas", "", 200),
    ("GET", "/sagas/{operation}", "", 200),
    ("GET", "/plans", "", 200),
    ("GET", "/plans/new", "", 200),
    (
        "POST",
        "/plans/new",
        "id={fresh}&name=x&requests_per_second=9&burst=9&requests_per_month=0&users=1&object_types=1&records=1&api_keys=1",
        303,
    ),
    ("GET", "/plans/{plan}", "", 200),
    (
        "POST",
        "/plans/{plan}",
        "name=y&requests_per_second=9&burst=9&requests_per_month=0&users=1&object_types=1&records=1&api_keys=1",
        303,
    ),
    ("GET", "/services", "", 200),
    ("GET", "/alerts", "", 200),
    ("GET", "/events", "", 200),
];

/// The page of a row: a row may name another tenant of the same kind.
fn template(row: &str) -> String {
    ["{suspended}", "{active}", "{deleted}"]
        .iter()
        .fold(row.to_owned(), |row, name| row.replace(name, "{tenant}"))
}

#[test]
fn every_operators_page_has_a_row() {
    let pages = pages(&World::load());
    let mine: Vec<_> = pages.iter().filter(|page| page.site == "operator").collect();
    assert!(mine.len() > 20, "only {} pages", mine.len());
    for page in mine {
        let has_row = ROWS
            .iter()
            .any(|(method, row, ..)| *method == page.method && template(row) == page.template);
        assert!(has_row, "{} {} has no row", page.method, page.template);
    }
}

async fn things(operator: &Operator) -> BTreeMap<&'static str, String> {
    let (main, suspended, active, deleted) = (
        operator.tenant("opm").await,
        operator.tenant("ops").await,
        operator.tenant("opa").await,
        operator.tenant("opd").await,
    );
    let rest = &operator.rest;
    let lock = rest
        .post(
            &format!("/v1/tenants/{}:suspend", suspended.id),
            json!({"reason": "test"}),
        )
        .await
        .ok();
    operator.wait(lock["name"].as_str().expect("a name")).await;
    let gone = rest.delete(&format!("/v1/tenants/{}", deleted.id)).await.ok();
    operator.wait(gone["name"].as_str().expect("a name")).await;
    let domain = format!("{}.example", unique("d"));
    main.rest()
        .post("/v1/domains", json!({"name": format!("domains/{domain}")}))
        .await
        .ok();
    let plan = unique("plan");
    let body = json!({"name": format!("plans/{plan}"), "displayName": "x", "limits": {"requestsPerSecond": 9}});
    rest.post("/v1/plans", body).await.ok();
    BTreeMap::from([
        ("tenant", main.id),
        ("slug", main.slug),
        ("suspended", suspended.id),
        ("suspended_slug", suspended.slug),
        ("active", active.id),
        ("active_slug", active.slug),
        ("deleted", deleted.id),
        ("deleted_slug", deleted.slug),
        (
            "operation",
            lock["name"].as_str().expect("a name").replace("operations/", ""),
        ),
        ("domain", domain),
        ("plan", plan),
        ("fresh", unique("fresh")),
    ])
}

fn filled(text: &str, things: &BTreeMap<&str, String>) -> String {
    things.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// An operator with a smaller role, in a browser.
async fn lesser(world: &World, operator: &Operator, role: &str) -> Rest {
    let host = world.host("operator");
    let email = format!("{}@operators.example", unique("o"));
    let body = json!({"email": email, "role": role, "displayName": "Otto"});
    let invited = operator.rest.post("/v1/users", body).await.ok();
    let member = Member::accept(world, &host, &email, invited["inviteUri"].as_str().expect("a link")).await;
    browser(world, &host, &member.email, &member.password).await
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_pages_are_for_operators_of_that_role_only() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let host = world.host("operator");
    let things = things(&operator).await;
    let tenant = operator.tenant("opx").await;
    let rightful = browser(&world, &host, &world.operator.email, &world.operator.password).await;
    let of_tenant = member_browser(&tenant, &tenant.owner)
        .await
        .on(&host)
        .header("origin", &format!("http://{host}"));
    let elsewhere = rightful
        .clone()
        .on(&tenant.host)
        .header("origin", &format!("http://{}", tenant.host));
    let cross_site = rightful.clone().header("origin", "http://evil.example");
    let viewer = lesser(&world, &operator, "ROLE_VIEWER").await;
    let admin = lesser(&world, &operator, "ROLE_ADMIN").await;
    let (pages, mut denials) = (pages(&world), 0);
    for (method, row, form, wanted) in ROWS {
        let (path, form) = (filled(row, &things), filled(form, &things));
        let what = format!("{method} {path}");
        let page = pages
            .iter()
            .find(|page| page.method == *method && page.template == template(row))
            .expect("a page");
        let mut strangers = vec![
            ("nobody", page_at(&world, &host), 303),
            ("a tenant's cookie", of_tenant.clone(), 303),
            ("the operator's cookie at a tenant", elsewhere.clone(), 404),
        ];
        if *method == "POST" {
            strangers.push(("a cross-site form", cross_site.clone(), 403));
        }
        if page.least > 1 {
            strangers.push(("a viewer", viewer.clone(), 403));
        }
        if page.least > 3 {
            strangers.push(("an admin", admin.clone(), 403));
        }
        for (who, at, gets) in strangers {
            let answer = ask(&at, method, &path, &form).await;
            assert_eq!(answer.status, gets, "{who}: {what} {}", answer.text);
            if gets == 303 {
                assert!(answer.header("location").starts_with("/sign-in"), "{who}: {what}");
            }
            denials += 1;
        }
        let answer = ask(&rightful, method, &path, &form).await;
        assert_eq!(answer.status, *wanted, "the operator: {what} {}", answer.text);
        assert!(
            !answer.header("location").starts_with("/sign-in"),
            "the operator: {what}"
        );
        // What only shows is for the smallest role that may see it, without what it may not do.
        if page.least == 1 {
            let answer = ask(&viewer, method, &path, &form).await;
            assert_eq!(answer.status, 200, "a viewer: {what} {}", answer.text);
            assert!(
                !answer.text.contains("/delete\"") && !answer.text.contains("/suspend\""),
                "a viewer: {what}"
            );
        }
    }
    assert!(denials > 80, "only {denials} denials");
    // The same addresses show operators the platform, and tenants themselves.
    for path in ["/", "/usage", "/backups"] {
        let (theirs, ours) = (
            rightful.get(path).await,
            of_tenant.clone().on(&tenant.host).get(path).await,
        );
        assert_eq!(
            (theirs.status, ours.status),
            (200, 200),
            "{path}: {} {}",
            theirs.text,
            ours.text
        );
        assert!(
            !ours.text.contains(&things["slug"]),
            "{path} shows a tenant another one"
        );
    }
}
