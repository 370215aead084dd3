//! The console's pages against everybody who must not have them. The pages come from the gateway's own table, so that one
//! without a row turns this red; each denial stands beside the same request as somebody rightful, which must succeed.

use serde_json::{Value, json};
use std::collections::BTreeMap;
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Answer, Member, Operator, Rest, Tenant, unique};

/// A word that stands in everything tenant A has, and that no page may say to anybody else.
const MARK: &str = "Marmelade";
const FORM: &str = "application/x-www-form-urlencoded";

/// `(method, template, form of the rightful, what they get)`, in an order in which one owner can walk through all.
/// `{..}` in a form are things of tenant A.
const ROWS: &[(&str, &str, &str, u16)] = &[
    ("GET", "/", "", 200),
    ("GET", "/members", "", 200),
    (
        "POST",
        "/members",
        "email={fresh}%40a.example&role=viewer&name=Neu",
        200,
    ),
    ("GET", "/members/{member}", "", 200),
    ("POST", "/members/{member}", "name=Marmelade+Mia&role=viewer", 303),
    ("POST", "/members/{member}/disable", "", 303),
    ("POST", "/members/{member}/enable", "", 303),
    ("POST", "/members/{member}/reset", "", 200),
    ("GET", "/members/{member}/delete", "", 200),
    ("GET", "/roles", "", 200),
    ("GET", "/keys", "", 200),
    ("POST", "/keys", "name=one+more&scope=records.read&end=7.{week}", 200),
    ("GET", "/keys/{key}/revoke", "", 200),
    ("POST", "/keys/{key}/revoke", "", 303),
    ("GET", "/sessions", "", 200),
    ("POST", "/sessions/{session}/revoke", "", 303),
    ("POST", "/sessions/revoke-others", "", 303),
    ("GET", "/types", "", 200),
    ("GET", "/types/new", "", 200),
    (
        "POST",
        "/types/new",
        "name={fresh}&rows=1&0.name=Title&0.kind=string",
        303,
    ),
    ("GET", "/types/{type}", "", 200),
    ("POST", "/types/{type}", "name=Marmelade&description=x", 303),
    ("GET", "/types/{type}/fields", "", 200),
    ("POST", "/types/{type}/fields", "rows=1&0.name=More&0.kind=int64", 303),
    ("GET", "/types/{type}/delete", "", 200),
    ("GET", "/types/{type}/records", "", 200),
    ("GET", "/types/{type}/records/new", "", 200),
    ("POST", "/types/{type}/records/new", "f.title=Marmelade+2", 303),
    ("GET", "/types/{type}/records/{record}", "", 200),
    (
        "POST",
        "/types/{type}/records/{record}",
        "f.title=Marmelade+3&was.title=x",
        303,
    ),
    ("GET", "/types/{type}/records/{record}/delete", "", 200),
    ("GET", "/types/{type}/export.csv", "", 200),
    ("GET", "/types/{type}/export.ndjson", "", 200),
    ("GET", "/imports", "", 200),
    ("POST", "/imports", "", 303),
    ("GET", "/imports/{import}", "", 200),
    ("POST", "/imports/{import}", "into=jam", 303),
    ("GET", "/usage", "", 200),
    ("GET", "/backups", "", 200),
    ("POST", "/backups", "description=Marmelade", 303),
    (
        "POST",
        "/backups/policy",
        "schedule=0+3+*+*+*&keep_days=7&keep_last=3",
        303,
    ),
    ("GET", "/backups/{snapshot}", "", 200),
    ("POST", "/backups/{snapshot}/verify", "", 303),
    ("GET", "/backups/{snapshot}/restore", "", 200),
    ("GET", "/backups/{snapshot}/delete", "", 200),
    ("GET", "/branding", "", 200),
    (
        "POST",
        "/branding",
        "display_name=Quitte&primary_color=%23aa0011&theme_mode=auto&support_uri=",
        303,
    ),
    ("GET", "/branding/preview.css", "", 200),
    ("GET", "/branding/preview.json", "", 200),
    ("POST", "/branding/publish", "", 303),
    ("POST", "/branding/discard", "", 303),
    ("POST", "/branding/rollback", "revision=1", 303),
    ("GET", "/operations", "", 200),
    ("GET", "/operations/{operation}", "", 200),
    ("POST", "/operations/{operation}/cancel", "", 303),
    ("POST", "/backups/{other_snapshot}/delete", "", 303),
    ("POST", "/types/{type}/records/{other_record}/delete", "", 303),
    ("POST", "/members/{member}/delete", "confirm={member_email}", 303),
    ("POST", "/types/{type}/delete", "confirm=jam", 303),
    // Last: it goes on by itself and brings everything back.
    ("POST", "/backups/{snapshot}/restore", "target=here&confirm={slug}", 303),
];

/// A page behind the sign-in, as the gateway prints it.
pub(crate) struct Page {
    pub(crate) method: String,
    pub(crate) template: String,
    pub(crate) site: String,
    pub(crate) least: i64,
}

pub(crate) fn pages(world: &World) -> Vec<Page> {
    let output = std::process::Command::new(world.bin_dir.join("tenantry-gateway"))
        .args(["routes", "-o", "json"])
        .output()
        .expect("the gateway lists its routes");
    let routes: Vec<Value> = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    routes
        .iter()
        .filter_map(|route| {
            Some(Page {
                method: text(&route["method"]),
                template: text(&route["template"]),
                site: text(&route["site"]),
                least: route["least_role"].as_i64()?,
            })
        })
        .collect()
}

/// The template of a row: rows may use another thing of the same kind.
fn template(row: &str) -> String {
    row.replace("{other_", "{")
}

#[test]
fn every_page_has_a_row() {
    let pages = pages(&World::load());
    assert!(pages.len() > 40, "only {} pages", pages.len());
    for page in pages.iter().filter(|page| page.site != "operator") {
        assert!(
            ROWS.iter()
                .any(|(method, row, ..)| *method == page.method && template(row) == page.template),
            "{} {} has no row",
            page.method,
            page.template
        );
    }
    for (method, row, ..) in ROWS {
        assert!(
            pages
                .iter()
                .any(|page| page.method == *method && page.template == template(row)),
            "{method} {row} is no page"
        );
    }
}

/// A browser of somebody who is signed in, by its cookie.
pub(crate) async fn browser(world: &World, host: &str, email: &str, password: &str) -> Rest {
    let form = format!(
        "email={}&password={}",
        email.replace('@', "%40"),
        password.replace(' ', "+")
    );
    let answer = page_at(world, host)
        .try_send("POST", "/sign-in", Some((FORM, form.into_bytes())))
        .await
        .expect("an answer");
    assert_eq!(answer.status, 303, "{}", answer.text);
    let cookie = answer
        .header("set-cookie")
        .split(';')
        .next()
        .unwrap_or_default()
        .to_owned();
    page_at(world, host).header("cookie", &cookie)
}

pub(crate) fn page_at(world: &World, host: &str) -> Rest {
    Rest::new(world, host)
        .header("origin", &format!("http://{host}"))
        .header("accept", "text/html")
}

pub(crate) async fn member_browser(tenant: &Tenant, member: &Member) -> Rest {
    browser(&tenant.world, &tenant.host, &member.email, &member.password).await
}

pub(crate) async fn ask(at: &Rest, method: &str, path: &str, form: &str) -> Answer {
    let body = match (method, path) {
        ("POST", "/imports") => {
            let file = "--x\r\nContent-Disposition: form-data; name=\"file\"; filename=\"jam.csv\"\r\nContent-Type: text/csv\r\n\r\ntitle\nMarmelade 9\n\r\n--x--\r\n";
            Some(("multipart/form-data; boundary=x", file.as_bytes().to_vec()))
        }
        ("POST", _) => Some((FORM, form.as_bytes().to_vec())),
        _ => None,
    };
    at.try_send(method, path, body).await.expect("an answer")
}

/// Everything tenant A has, by the names of the rows' variables.
async fn things(a: &Tenant, member: &Member) -> BTreeMap<&'static str, String> {
    let rest = a.rest();
    let id = |value: &Value| {
        value
            .as_str()
            .unwrap_or_default()
            .rsplit('/')
            .next()
            .unwrap_or_default()
            .to_owned()
    };
    rest.post(
        "/v1/objectTypes",
        json!({"name": "objectTypes/jam", "displayName": MARK, "fields": [{"fieldId": "title", "type": "FIELD_TYPE_STRING"}]}),
    )
    .await
    .ok();
    let record = |n: u32| {
        let rest = rest.clone();
        async move {
            let body = json!({"fields": {"title": format!("{MARK} {n}")}});
            rest.post("/v1/objectTypes/jam/records", body).await.ok()["name"].clone()
        }
    };
    let key = rest
        .post("/v1/apiKeys", json!({"displayName": MARK, "scopes": ["records.read"]}))
        .await
        .ok();
    let session = rest.get("/v1/sessions?pageSize=1").await.ok()["sessions"][0]["name"].clone();
    let csv = Some(("text/csv", format!("title\n{MARK} 7\n").into_bytes()));
    let import = rest
        .try_send("POST", "/v1/imports:upload?filename=Marmelade.csv", csv)
        .await
        .expect("the gateway answers")
        .ok();
    // Before the snapshots, which hold them.
    let (first, second) = (record(0).await, record(1).await);
    let mut snapshots = Vec::new();
    for _ in 0..2 {
        let operation = rest.post("/v1/snapshots", json!({"description": MARK})).await.ok();
        let done = eventually("the snapshot", || async {
            let now = rest
                .get(&format!("/v1/{}", operation["name"].as_str().unwrap_or_default()))
                .await
                .ok();
            if now["done"] == json!(true) { Ok(now) } else { Err(now) }
        })
        .await;
        snapshots.push((id(&done["response"]["name"]), id(&done["name"])));
    }
    BTreeMap::from([
        ("member", id(&json!(member.name))),
        ("member_email", member.email.replace('@', "%40")),
        ("key", id(&key["apiKey"]["name"])),
        ("session", id(&session)),
        ("type", "jam".to_owned()),
        ("record", id(&first)),
        ("other_record", id(&second)),
        ("import", id(&import["import"]["name"])),
        ("snapshot", snapshots[0].0.clone()),
        ("other_snapshot", snapshots[1].0.clone()),
        ("operation", snapshots[0].1.clone()),
        ("slug", a.slug.clone()),
        ("fresh", unique("fresh")),
        ("week", {
            use tenantry_kernel::{Clock, SystemClock};
            (SystemClock.now().timestamp() + 7 * 24 * 3600).to_string()
        }),
    ])
}

fn filled(text: &str, things: &BTreeMap<&str, String>) -> String {
    things.iter().fold(text.to_owned(), |text, (name, value)| {
        text.replace(&format!("{{{name}}}"), value)
    })
}

/// One who must not have a page, and what they get.
struct Stranger {
    who: &'static str,
    at: Rest,
    /// Statuses that tell nothing.
    gets: &'static [u16],
}

fn check(stranger: &Stranger, what: &str, answer: &Answer) {
    let who = stranger.who;
    assert!(
        stranger.gets.contains(&answer.status),
        "{who}: {what} gave {} {}",
        answer.status,
        answer.text
    );
    assert!(
        !answer.text.contains(MARK),
        "{who}: {what} shows A's things: {}",
        answer.text
    );
    if answer.status == 303 {
        assert!(
            answer.header("location").starts_with("/sign-in"),
            "{who}: {what} led to {}",
            answer.header("location")
        );
    }
}

async fn strangers(world: &World, a: &Tenant, b: &Tenant, of_a: &Rest) -> Vec<Stranger> {
    let of_b = member_browser(b, &b.owner).await;
    let cookie = |rest: &Rest, host: &str| rest.clone().on(host).header("origin", &format!("http://{host}"));
    let shared = format!("127.0.0.1:{}", world.ports.gateway);
    let nobody = format!("nobody.localhost:{}", world.ports.gateway);
    vec![
        Stranger {
            who: "nobody",
            at: page_at(world, &a.host),
            gets: &[303],
        },
        Stranger {
            who: "B's cookie at A",
            at: cookie(&of_b, &a.host),
            gets: &[303],
        },
        Stranger {
            who: "A's cookie at B",
            at: cookie(of_a, &b.host),
            gets: &[303],
        },
        Stranger {
            who: "A's cookie at the shared host",
            at: cookie(of_a, &shared),
            gets: &[404],
        },
        Stranger {
            who: "A's cookie at nobody's host",
            at: cookie(of_a, &nobody),
            gets: &[404],
        },
        Stranger {
            who: "a cross-site form",
            at: of_a.clone().header("origin", "http://evil.example"),
            gets: &[403],
        },
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_are_for_their_own_people_only() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (a, b) = (operator.tenant("cona").await, operator.tenant("conb").await);
    let victim = a.member("ROLE_VIEWER").await;
    let things = things(&a, &victim).await;
    let of_a = member_browser(&a, &a.owner).await;
    let of_b = member_browser(&b, &b.owner).await;
    let strangers = strangers(&world, &a, &b, &of_a).await;
    let mut lesser = BTreeMap::new();
    for (rank, role) in [(1, "ROLE_VIEWER"), (2, "ROLE_MEMBER"), (3, "ROLE_ADMIN")] {
        let member = a.member(role).await;
        lesser.insert(rank, member_browser(&a, &member).await);
    }
    let pages = pages(&world);
    let mut denials = 0;
    for (method, row, form, wanted) in ROWS {
        let page = pages
            .iter()
            .find(|page| page.method == *method && page.template == template(row))
            .expect("a page");
        let (path, form) = (filled(row, &things), filled(form, &things));
        let what = format!("{method} {path}");
        for stranger in &strangers {
            // Reading is not what a cross-site form does.
            if *method == "GET" && stranger.who == "a cross-site form" {
                continue;
            }
            check(stranger, &what, &ask(&stranger.at, method, &path, &form).await);
            denials += 1;
        }
        if let Some(at) = lesser.get(&(page.least - 1)) {
            let answer = ask(at, method, &path, &form).await;
            assert_eq!(answer.status, 403, "a role too small: {what} {}", answer.text);
            assert!(answer.text.contains("PERMISSION_DENIED"), "{what}: {}", answer.text);
            denials += 1;
        }
        // A's ids at B's own house: for B there is no such thing.
        if row.contains('{') {
            let answer = ask(&of_b, method, &path, &form).await;
            assert_eq!(answer.status, 404, "B with A's ids: {what} {}", answer.text);
            assert!(!answer.text.contains(MARK), "B with A's ids: {what} {}", answer.text);
            denials += 1;
        }
        let answer = ask(&of_a, method, &path, &form).await;
        assert_eq!(answer.status, *wanted, "the owner: {what} {}", answer.text);
        let location = answer.header("location");
        assert!(!location.starts_with("/sign-in"), "the owner: {what} led to {location}");
        assert!(
            !location.contains("tok") && !location.contains("secret"),
            "a secret in an address: {location}"
        );
    }
    assert!(denials > 300, "only {denials} denials");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suspended_organisation_has_no_pages() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let a = operator.tenant("cons").await;
    let of_a = member_browser(&a, &a.owner).await;
    let pages = pages(&world);
    assert_eq!(of_a.get("/").await.status, 200);
    operator
        .rest
        .post(&format!("/v1/tenants/{}:suspend", a.id), json!({"reason": "test"}))
        .await
        .ok();
    eventually("the gateway knows", || async {
        let answer = of_a.get("/").await;
        if answer.status == 200 { Err(answer.text) } else { Ok(()) }
    })
    .await;
    let nobody = page_at(&world, &a.host);
    for page in pages.iter().filter(|page| page.site != "operator") {
        let path = page.template.replace(['{', '}'], "");
        for at in [&of_a, &nobody] {
            let answer = ask(at, &page.method, &path, "").await;
            assert_eq!(answer.status, 403, "{} {path}: {}", page.method, answer.text);
            assert!(
                answer.text.contains("suspended"),
                "{} {path}: {}",
                page.method,
                answer.text
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn operators_pages_are_on_the_operators_host_only_and_tenants_pages_are_not_there() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let a = operator.tenant("cono").await;
    let of_a = member_browser(&a, &a.owner).await;
    let host = world.host("operator");
    let at_operator = browser(&world, &host, &world.operator.email, &world.operator.password).await;
    assert_eq!(at_operator.get("/").await.status, 200);
    for page in pages(&world) {
        let path = page.template.replace(['{', '}'], "");
        if page.site == "operator" {
            let answer = ask(&of_a, &page.method, &path, "").await;
            assert_eq!(
                answer.status, 404,
                "{} {path} at a tenant: {}",
                page.method, answer.text
            );
            let answer = ask(&page_at(&world, &host), &page.method, &path, "").await;
            assert_eq!(
                answer.status, 303,
                "{} {path} without a session: {}",
                page.method, answer.text
            );
        } else if page.site == "tenant" {
            let answer = ask(&at_operator, &page.method, &path, "").await;
            assert_eq!(
                answer.status, 404,
                "{} {path} at the operators: {}",
                page.method, answer.text
            );
        }
    }
}
