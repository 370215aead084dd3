//! What operators see: the busiest tenants, services, alerts, events.

use crate::world::{World, delta, report, tenant, time};
use serde_json::json;
use tenantry_kernel::{Clock, ManualClock, Reason, SystemClock};
use tenantry_monitoring::{
    app::{alerts::AlertInbox, events::EventLog, paging::Query},
    domain::{event::Event, health::Check},
    jobs::janitor,
    store,
};
use uuid::Uuid;

fn page(page_size: i32, page_token: &str) -> Query {
    Query {
        page_size,
        page_token: page_token.to_owned(),
    }
}

#[tokio::test]
async fn tenants_come_by_requests_in_pages_that_keep_their_span() {
    let world = World::new().await;
    let deltas = (1..=25)
        .map(|n| {
            world.plans.set(tenant(n), 0);
            delta(n, &vec![7; usize::try_from(n).expect("small")])
        })
        .collect();
    let one = report(1, "2026-03-15T12:30:10Z", deltas);
    world.ingest.take("gateway", &one).await.expect("counts");
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let query = page(10, &token);
        let (_, page) = world
            .fleet
            .usage(&world.operator(), "m", &query, None, None)
            .await
            .expect("a page");
        seen.extend(
            page.items
                .iter()
                .map(|one| (one.tenant, one.usage.requests, one.usage.latency_ms(0.5))),
        );
        token = page.next;
        // Time goes on, and with it the default span: the pages do not.
        world.clock.advance(chrono::Duration::minutes(20));
        if token.is_empty() {
            break;
        }
    }
    let expected: Vec<_> = (1..=25)
        .rev()
        .map(|n| (tenant(n), i64::try_from(n).expect("small")))
        .collect();
    let order: Vec<_> = seen.iter().map(|(tenant, requests, _)| (*tenant, *requests)).collect();
    assert_eq!(order, expected);
    assert!(seen.iter().all(|(_, _, p50)| *p50 > 5.0 && *p50 <= 7.0), "{seen:?}");
    let stranger = world.fleet.usage(&world.ctx(1), "m", &page(10, "x"), None, None).await;
    assert_eq!(stranger.expect_err("no token").reason(), Reason::InvalidPageToken);
    world.end().await;
}

#[tokio::test]
async fn health_remembers_since_when() {
    let world = World::new().await;
    let check = |service: &str, problem: &str| Check {
        service: service.to_owned(),
        problem: problem.to_owned(),
    };
    let rounds = [
        ("2026-03-15T12:00:00Z", vec![check("a", ""), check("b", "")]),
        (
            "2026-03-15T12:00:05Z",
            vec![check("a", ""), check("b", "waiting for routes")],
        ),
        (
            "2026-03-15T12:00:10Z",
            vec![check("a", ""), check("b", "does not answer")],
        ),
    ];
    for (at, checks) in rounds {
        let mut tx = world.store.begin_job("test").await.expect("begins");
        store::health::note(&mut tx, &checks, time(at)).await.expect("notes");
        tx.commit().await.expect("commits");
    }
    let health = world.fleet.health(&world.operator()).await.expect("lists");
    assert_eq!(health.len(), 2);
    assert!(health[0].ready && health[0].since_time == time("2026-03-15T12:00:00Z"));
    assert!(!health[1].ready && health[1].since_time == time("2026-03-15T12:00:05Z"));
    assert_eq!(health[1].problem, "does not answer");
    let mut tx = world.store.begin_job("test").await.expect("begins");
    store::health::note(&mut tx, &[check("a", "")], time("2026-03-15T12:00:15Z"))
        .await
        .expect("notes");
    tx.commit().await.expect("commits");
    assert_eq!(
        world.fleet.health(&world.operator()).await.expect("lists").len(),
        1,
        "b is not asked any more"
    );
    world.end().await;
}

fn call(name: &str, fingerprint: &str, status: &str, start: &str) -> Vec<u8> {
    json!({"version": "4", "alerts": [{"status": status, "labels": {"alertname": name, "severity": "page"},
        "annotations": {"summary": "s"}, "startsAt": start, "endsAt": "2026-03-15T13:00:00Z", "fingerprint": fingerprint}]})
    .to_string()
    .into_bytes()
}

/// Alerts that are shown as firing.
async fn firing(world: &World) -> i64 {
    world
        .number("SELECT count(*) FROM monitoring.alerts WHERE end_time IS NULL")
        .await
}

#[tokio::test]
async fn alerts_fire_end_once_and_are_listed_in_order() {
    let world = World::new().await;
    let inbox = AlertInbox::new(world.store.clone(), Some("0123456789abcdef"), false);
    let bearer = Some("Bearer 0123456789abcdef");
    let (early, late) = ("2026-03-15T12:00:00Z", "2026-03-15T12:10:00Z");
    for refused in [None, Some("Bearer 0123456789abcdeX"), Some("0123456789abcdef")] {
        let error = inbox
            .take(refused, &call("A", "a1", "firing", early))
            .await
            .expect_err("refused");
        assert_eq!(error.reason(), Reason::CredentialsInvalid);
    }
    for (name, fingerprint, status, start) in [
        ("A", "a1", "firing", early),
        ("B", "b1", "firing", early),
        ("C", "c1", "firing", late),
        ("A", "a1", "resolved", early),
        ("A", "a1", "firing", early), // late, of before the end
        ("A", "a1", "firing", late),
    ] {
        assert_eq!(
            inbox
                .take(bearer, &call(name, fingerprint, status, start))
                .await
                .expect("taken"),
            1
        );
    }
    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let page = world
            .fleet
            .alerts(&world.operator(), "m", &page(1, &token))
            .await
            .expect("a page");
        seen.extend(page.items.into_iter().map(|alert| (alert.name, alert.end.is_none())));
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    let expected =
        [("C", true), ("A", true), ("B", true), ("A", false)].map(|(name, firing)| (name.to_owned(), firing));
    assert_eq!(seen, expected);
    // Alertmanager tells what fires again and again; what it has not told for hours is over, whoever lost the word.
    janitor::run_once(&world.store, &SystemClock).await.expect("a round");
    assert_eq!(firing(&world).await, 3);
    let later = ManualClock::new(SystemClock.now() + chrono::Duration::hours(10));
    janitor::run_once(&world.store, &later).await.expect("a round");
    assert_eq!(firing(&world).await, 0);
    let closed = AlertInbox::new(world.store.clone(), None, false);
    assert!(
        closed.take(None, &call("A", "a1", "firing", early)).await.is_err(),
        "closed without a token"
    );
    let open = AlertInbox::new(world.store.clone(), None, true);
    assert!(
        open.take(None, &call("A", "a1", "firing", early)).await.is_ok(),
        "open where dev = true"
    );
    world.end().await;
}

#[tokio::test]
async fn events_are_kept_once_and_listed_newest_first() {
    let world = World::new().await;
    let log = EventLog::new(world.store.clone());
    let event = |n: u128, of: u128, at: &str| Event {
        id: Uuid::from_u128(n),
        kind: "tenantry.business.object_type.created".to_owned(),
        source: "business".to_owned(),
        subject: format!("objectTypes/{n}"),
        tenant: Some(tenant(of)),
        time: time(at),
    };
    for (n, of, at) in [
        (1, 1, "2026-03-15T12:00:00Z"),
        (2, 2, "2026-03-15T12:00:01Z"),
        (3, 1, "2026-03-15T12:00:01Z"),
        (1, 1, "2026-03-15T12:00:00Z"),
    ] {
        log.keep(&event(n, of, at)).await.expect("kept");
    }
    let mut forged = event(9, 1, "2026-03-15T12:00:00Z");
    forged.source = "auth".to_owned();
    assert_eq!(
        log.keep(&forged).await.expect_err("refused").reason(),
        Reason::InvalidArgument
    );
    let list = async |of: Option<u128>, size: i32, token: &str| {
        let query = page(size, token);
        let page = world
            .fleet
            .events(&world.operator(), "m", &query, of.map(tenant))
            .await
            .expect("a page");
        (
            page.items.iter().map(|event| event.id.as_u128()).collect::<Vec<_>>(),
            page.next,
        )
    };
    assert_eq!(list(None, 0, "").await.0, [3, 2, 1]);
    assert_eq!(list(Some(1), 0, "").await.0, [3, 1]);
    let (first, token) = list(None, 2, "").await;
    assert_eq!((first, list(None, 2, &token).await.0), (vec![3, 2], vec![1]));
    world.end().await;
}
