//! Usage, quotas, alerts and events, as a tenant and an operator see them.

use chrono::Duration;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tenantry_api::Methods;
use tenantry_kernel::{Clock, Ids, SystemClock, SystemIds, TenantId};
use tenantry_metering::{BUCKETS, Delta, Report};
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Call, Meters, Operator, Rest, unique};

/// A plan whose only narrow limit is this one.
async fn plan(operator: &Operator, requests_per_month: u64) -> String {
    let name = format!("plans/{}", unique("q"));
    let limits = json!({"requestsPerSecond": 5_000, "burst": 10_000, "users": 100, "objectTypes": 100, "records": "100000",
        "apiKeys": 100, "requestsPerMonth": requests_per_month.to_string()});
    let plan = json!({"name": name, "displayName": "Small", "limits": limits, "features": ["custom_types", "import", "watch"]});
    operator.rest.post("/v1/plans", plan).await.ok();
    name
}

async fn move_to(operator: &Operator, tenant: &str, plan: &str) {
    let path = format!("/v1/tenants/{tenant}?updateMask=plan");
    operator.rest.patch(&path, json!({"plan": plan})).await.ok();
}

/// Somebody who is signed in at the pages of a host, by their cookie.
async fn browser(world: &World, host: &str, email: &str, password: &str) -> Rest {
    let form = format!(
        "email={}&password={}",
        email.replace('@', "%40"),
        password.replace(' ', "+")
    );
    let at = Rest::new(world, host).header("origin", &format!("http://{host}"));
    let form = ("application/x-www-form-urlencoded", form.into_bytes());
    let answer = at
        .try_send("POST", "/sign-in", Some(form))
        .await
        .expect("the gateway answers");
    assert_eq!(answer.status, 303, "{}", answer.text);
    let cookie = answer.header("set-cookie").split(';').next().unwrap_or_default();
    Rest::new(world, host).header("cookie", cookie)
}

#[tokio::test]
async fn over_quota_refuses_one_tenant_with_the_reason_until_its_plan_grows() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (tenant, neighbour) = (operator.tenant("quota").await, operator.tenant("calm").await);
    for one in [&tenant, &neighbour] {
        one.help_desk().await;
    }
    let (small, large) = (plan(&operator, 40).await, plan(&operator, 1_000_000).await);
    for one in [&tenant, &neighbour] {
        move_to(&operator, &one.id, &large).await;
    }
    move_to(&operator, &tenant.id, &small).await;

    let records = "/v1/objectTypes/tickets/records";
    let refused = eventually("the quota is used up", || async {
        let answer = tenant.rest().get(records).await;
        if answer.status == 429 {
            Ok(answer)
        } else {
            Err(answer.status)
        }
    })
    .await;
    refused.refused(429, "QUOTA_EXCEEDED");
    let problem = refused.json();
    let small_id = small.trim_start_matches("plans/");
    for part in ["requests_per_month = 40", small_id] {
        assert!(
            problem["detail"].as_str().is_some_and(|text| text.contains(part)),
            "{problem}"
        );
    }
    let wait: i64 = refused.header("retry-after").parse().expect("seconds");
    assert!((1..=31 * 24 * 3_600).contains(&wait), "{wait}");
    let methods = Methods::load();
    let list = &methods
        .get("/tenantry.business.v1.RecordService/ListRecords")
        .expect("a method")
        .descriptor;
    let call = Call::new(&tenant.host, Some(&tenant.owner.token));
    let outcome = call.grpc(&world, list, &json!({"parent": "objectTypes/tickets"})).await;
    assert_eq!(outcome.verdict(), "ResourceExhausted/QUOTA_EXCEEDED");

    // The neighbour is served; the tenant can still sign in and see why.
    assert_eq!(neighbour.rest().get(records).await.status, 200);
    let sign_in = json!({"email": tenant.owner.email, "password": tenant.owner.password});
    Rest::new(&world, &tenant.host)
        .post("/v1/auth:signIn", sign_in)
        .await
        .ok();
    // People at the console can see why and delete what is not needed; the same session is a program's elsewhere.
    let browser = browser(&world, &tenant.host, &tenant.owner.email, &tenant.owner.password).await;
    for path in [
        "/",
        "/types",
        "/types/tickets/records",
        "/members",
        "/keys",
        "/branding",
        "/backups",
        "/operations",
    ] {
        let page = browser.get(path).await;
        assert_eq!(page.status, 200, "{path}: {}", page.text);
    }
    let usage = browser.get("/usage").await;
    assert!(usage.text.contains("The quota is used up"), "{}", usage.text);
    browser.get(records).await.refused(429, "QUOTA_EXCEEDED");
    let usage = tenant.rest().get("/v1/usage").await.ok();
    let quota = &usage["quotas"][0];
    assert_eq!(
        (&quota["limit"], &quota["allowed"]),
        (&json!("requests_per_month"), &json!("40")),
        "{usage}"
    );
    assert_eq!(
        (&quota["exceeded"], &usage["plan"]),
        (&json!(true), &json!(small)),
        "{usage}"
    );

    move_to(&operator, &tenant.id, &large).await;
    eventually("a larger plan lifts it", || async {
        let status = tenant.rest().get(records).await.status;
        if status == 200 { Ok(()) } else { Err(status) }
    })
    .await;
}

#[tokio::test]
async fn a_tenant_sees_its_usage_and_wrong_spans_are_explained() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("usage").await;
    let rest = tenant.rest();
    let usage = eventually("usage arrives", || async {
        let usage = rest.get("/v1/usage?step=USAGE_STEP_MINUTE").await.ok();
        let enough = usage["points"].as_array().is_some_and(|points| !points.is_empty());
        if enough { Ok(usage) } else { Err(usage) }
    })
    .await;
    assert_eq!(usage["quotas"][0]["allowed"].as_str().unwrap_or("0"), "0", "{usage}");
    rest.get("/v1/usage?startTime=2020-01-01T00:00:00Z")
        .await
        .refused(400, "INVALID_ARGUMENT");
    let now = SystemClock.now();
    let path = format!("/v1/usage?startTime={}", (now + Duration::days(1)).format("%FT%TZ"));
    rest.get(&path).await.refused(400, "INVALID_ARGUMENT");
    rest.get("/v1/platform/usage").await.refused(403, "PERMISSION_DENIED");
}

/// Requests of the gateway's watching method that ended with `code`.
async fn watches(world: &World, code: &str) -> u64 {
    let url = format!("{}/metrics", world.admin_urls["gateway"]);
    let text = reqwest::get(url).await.expect("answers").text().await.expect("text");
    let of_watch = text.lines().filter(|line| {
        line.starts_with("tenantry_requests_total{")
            && line.contains("RecordService/WatchRecords\"")
            && line.contains(&format!("code=\"{code}\""))
    });
    of_watch
        .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok())
        .sum()
}

/// A stream that its caller wanted for two seconds ends with DEADLINE_EXCEEDED at the end of its body. That was asked for:
/// it is counted as given up, by whichever protocol, and is no error. (Streams that fail: the gateway's own tests.)
#[tokio::test]
async fn a_stream_that_its_caller_limits_is_given_up_and_no_error() {
    let world = World::load();
    let tenant = Operator::sign_in(&world).await.tenant("webend").await;
    tenant.help_desk().await;
    let before = watches(&world, "CANCELLED").await;
    let url = format!("{}/tenantry.business.v1.RecordService/WatchRecords", world.gateway_url);
    let request = reqwest::Client::new()
        .post(url)
        .header("host", &tenant.host)
        .header("authorization", format!("Bearer {}", tenant.owner.token))
        .header("content-type", "application/grpc-web+proto")
        .header("grpc-timeout", "2S")
        .body(vec![0_u8; 5]);
    let answer = request.send().await.expect("answers");
    assert_eq!(
        (answer.status().as_u16(), answer.headers().get("grpc-status")),
        (200, None)
    );
    let body = answer.bytes().await.expect("a body");
    let body = String::from_utf8_lossy(&body);
    assert!(body.contains("grpc-status:4"), "{body:?}");
    assert_eq!(watches(&world, "CANCELLED").await, before + 1);
    // The same over REST says so in its last line.
    let request = reqwest::Client::new()
        .get(format!("{}/v1/records:watch", world.gateway_url))
        .header("host", &tenant.host)
        .header("authorization", format!("Bearer {}", tenant.owner.token))
        .header("grpc-timeout", "2S");
    let answer = request.send().await.expect("answers");
    assert_eq!(answer.status().as_u16(), 200);
    let body = answer.text().await.expect("a body");
    assert!(body.contains("DEADLINE_EXCEEDED"), "{body:?}");
    Meters::drained(&world).await;
    let requests = |usage: &Value| {
        usage["total"]["requests"]
            .as_str()
            .and_then(|text| text.parse::<u64>().ok())
    };
    let usage = eventually("the tenant's usage has both", || async {
        let usage = tenant.rest().get("/v1/usage").await.ok();
        match requests(&usage) {
            Some(2..) => Ok(usage),
            _ => Err(usage),
        }
    })
    .await;
    assert!(
        usage["total"]["errors"].as_str().is_none_or(|errors| errors == "0"),
        "{usage}"
    );
}

#[tokio::test]
async fn what_happens_is_told_to_operators() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let tenant = operator.tenant("events").await;
    tenant.help_desk().await;
    let path = format!("/v1/platform/events?tenant=tenants/{}", tenant.id);
    let wanted = [
        ("tenantry.registry.tenant.created", format!("tenants/{}", tenant.id)),
        ("tenantry.business.object_type.created", "objectTypes/people".to_owned()),
        (
            "tenantry.business.object_type.created",
            "objectTypes/tickets".to_owned(),
        ),
    ];
    eventually("the events are listed", || async {
        let events = operator.rest.get(&path).await.ok();
        let listed = |kind: &str, subject: &str| {
            let all = events["events"].as_array().into_iter().flatten();
            all.filter(|event| event["type"] == json!(kind) && event["subject"] == json!(subject))
                .count()
        };
        if wanted.iter().all(|(kind, subject)| listed(kind, subject) == 1) {
            Ok(())
        } else {
            Err(events.clone())
        }
    })
    .await;
    operator
        .rest
        .get("/v1/platform/events?tenant=x")
        .await
        .refused(400, "INVALID_ARGUMENT");
}

#[tokio::test]
async fn alerts_of_the_webhook_are_listed_and_end() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let (name, fingerprint) = (unique("Alert"), SystemIds.new_v7().simple().to_string());
    let hook = format!("{}/alerts", world.admin_urls["monitoring"]);
    let call = |status: &str| {
        json!({"version": "4", "status": status, "alerts": [{"status": status, "fingerprint": fingerprint,
            "labels": {"alertname": name, "severity": "page", "service": "gateway"}, "annotations": {"summary": "burns"},
            "startsAt": SystemClock.now().format("%FT00:00:00Z").to_string(), "endsAt": "0001-01-01T00:00:00Z"}]})
    };
    let http = reqwest::Client::new();
    let post = async |body: Value| {
        http.post(&hook)
            .json(&body)
            .send()
            .await
            .expect("answers")
            .status()
            .as_u16()
    };
    let mine = async || {
        let alerts = operator.rest.get("/v1/platform/alerts?pageSize=500").await.ok();
        let all = alerts["alerts"].as_array().into_iter().flatten();
        all.into_iter()
            .find(|alert| alert["alert"] == json!(name))
            .cloned()
            .expect("listed")
    };
    assert_eq!(post(call("firing")).await, 200);
    let firing = mine().await;
    assert_eq!(
        (&firing["firing"], &firing["severity"]),
        (&json!(true), &json!("page")),
        "{firing}"
    );
    assert_eq!(post(call("resolved")).await, 200);
    assert_ne!(mine().await["firing"], json!(true));
    assert_eq!(post(json!({"version": "4"})).await, 400);
}

fn made_up(tenants: impl Iterator<Item = u128>, sequence: u64) -> Report {
    let mut latency = [0; BUCKETS];
    latency[0] = 3;
    let delta = |n| Delta {
        tenant: TenantId::from_uuid(uuid::Uuid::from_u128(n)),
        requests: 3,
        admitted: 3,
        errors: 1,
        limited: 1,
        latency,
        rows: 0,
        request_bytes: 0,
        response_bytes: 0,
    };
    let now = SystemClock.now();
    Report {
        instance: SystemIds.new_v7(),
        sequence,
        service: "gateway".to_owned(),
        start: now,
        end: now,
        deltas: tenants.map(delta).collect(),
    }
}

/// A report whose only tenant id is any text, as protobuf.
fn hostile(id: &str) -> Vec<u8> {
    use prost::Message as _;
    let good = made_up(std::iter::once(1), 1).encode();
    let mut report = tenantry_api::events::MeterReport::decode(good.as_slice()).expect("decodes");
    report.deltas[0].tenant_id = id.to_owned();
    report.encode_to_vec()
}

async fn series(world: &World) -> Vec<String> {
    drop(rustls::crypto::ring::default_provider().install_default());
    let url = format!("{}/metrics", world.admin_urls["monitoring"]);
    let text = reqwest::get(url).await.expect("answers").text().await.expect("text");
    text.lines()
        .filter(|line| !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[tokio::test]
async fn ten_thousand_made_up_and_hostile_ids_stay_within_the_series_budget() {
    let world = World::load();
    let meters = Meters::of(&world, "gateway").await;
    let salt = SystemIds.new_v7().as_u128() & !0xffff_ffff;
    for report in 0..20_u128 {
        let tenants = (0..500).map(|n| salt + report * 500 + n);
        meters.publish(made_up(tenants, 1).encode()).await;
    }
    for n in 0..1_000 {
        let id = match n % 5 {
            0 => format!("evil\n{n}"),
            1 => format!("\"}} 1\ntenantry_tenant_requests{{tenant=\"{n}"),
            2 => format!("ü{n}"),
            3 => "other".to_owned(),
            _ => "x".repeat(1_000 + n),
        };
        meters.publish(hostile(&id)).await;
    }
    Meters::drained(&world).await;
    let lines = series(&world).await;
    let value = |name: &str| {
        let line = lines
            .iter()
            .find(|line| line.starts_with(name))
            .unwrap_or_else(|| panic!("{name}: {lines:?}"));
        line.rsplit(' ')
            .next()
            .and_then(|text| text.parse::<f64>().ok())
            .expect("a number")
    };
    let labelled: Vec<_> = lines.iter().filter(|line| line.contains("tenant=\"")).collect();
    let budget = value("tenantry_tenant_series_budget");
    assert!(
        (budget - 303.0).abs() < 0.1,
        "three metrics, a hundred tenants and other: {budget}"
    );
    assert!(labelled.len() as f64 <= budget, "{} series", labelled.len());
    let names: BTreeSet<_> = labelled
        .iter()
        .filter_map(|line| line.split("tenant=\"").nth(1)?.split('"').next())
        .collect();
    let nobody = TenantId::from_uuid(uuid::Uuid::nil()).to_string();
    assert!(names.contains("other") && names.contains(nobody.as_str()), "{names:?}");
    let ids = names
        .iter()
        .filter(|name| **name != "other")
        .map(|name| name.parse::<TenantId>());
    for id in ids {
        let id = id.expect("an id").uuid().as_u128();
        assert!(
            !(salt..salt + 10_000).contains(&id),
            "a made-up id takes a tenant's place"
        );
    }
}

#[tokio::test]
async fn a_report_of_another_publisher_is_buried() {
    let world = World::load();
    let operator = Operator::sign_in(&world).await;
    let log = || std::fs::read_to_string(world.log_dir.join("monitoring.log")).expect("a log");
    let at = log().len();
    let tenant = operator.tenant("forged").await;
    let mut forged = made_up(
        std::iter::once(tenant.id.parse::<TenantId>().expect("an id").uuid().as_u128()),
        1,
    );
    forged.deltas[0].rows = 1_000_000_000;
    for (service, named) in [("auth", "gateway"), ("business", "gateway")] {
        named.clone_into(&mut forged.service);
        Meters::of(&world, service).await.publish(forged.encode()).await;
    }
    eventually("both are dead", || async {
        let text = log();
        let new = text.get(at..).unwrap_or_default().to_owned();
        let reasons = [
            "the publisher may not send to this queue",
            "of another service than its publisher",
        ];
        if reasons.iter().all(|reason| new.contains(reason)) {
            Ok(())
        } else {
            Err(new)
        }
    })
    .await;
    let usage = tenant.rest().get("/v1/usage").await.ok();
    let rows = usage["total"]["rows"]
        .as_str()
        .and_then(|text| text.parse::<u64>().ok());
    assert!(rows.unwrap_or(0) < 1_000_000_000, "{usage}");
}
