//! Reports are added up exactly once, by minute, hour and month, and a tenant sees its own.

use crate::world::{World, delta, distinct, report, tenant, time};
use tenantry_kernel::{Reason, TenantId};
use tenantry_metering::Delta;
use tenantry_monitoring::{
    app::{
        ingest::NOBODY,
        paging::Query,
        usage::{Asked, Report},
    },
    domain::usage::{Step, Usage},
    jobs,
};

async fn usage(world: &World, n: u128, start: &str, step: Step) -> Report {
    let asked = Asked {
        start: Some(time(start)),
        end: None,
        step,
    };
    world.usage.get(&world.ctx(n), asked).await.expect("usage")
}

#[tokio::test]
async fn a_report_counts_once_however_often_and_from_however_many_sides_it_comes() {
    let world = World::new().await;
    let first = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[5; 7]), delta(2, &[5; 3])]);
    let takes = (0..20).map(|_| world.ingest.take("gateway", &first));
    let taken = futures::future::join_all(takes).await;
    let counted = taken.iter().filter(|outcome| matches!(outcome, Ok(true))).count();
    assert!(taken.iter().all(Result::is_ok), "{taken:?}");
    assert_eq!(counted, 1, "{taken:?}");
    assert!(
        !world
            .ingest
            .take("gateway", &first)
            .await
            .expect("a duplicate is no error")
    );

    // The next sequence, and the same one of another process, are other reports.
    let second = report(2, "2026-03-15T12:30:20Z", vec![delta(1, &[5; 2])]);
    let mut other = report(1, "2026-03-15T12:30:20Z", vec![delta(1, &[5; 1])]);
    other.instance = uuid::Uuid::from_u128(100);
    assert!(world.ingest.take("gateway", &second).await.expect("counts"));
    assert!(world.ingest.take("gateway", &other).await.expect("counts"));
    for step in [Step::Minute, Step::Hour, Step::Day] {
        let one = usage(&world, 1, "2026-03-15T12:00:00Z", step).await;
        assert_eq!((one.total.requests, one.quota.used), (10, 10), "{step:?}");
        let two = usage(&world, 2, "2026-03-15T12:00:00Z", step).await;
        assert_eq!((two.total.requests, two.quota.used), (3, 3), "{step:?}");
        assert_eq!((two.total.rows, two.total.request_bytes), (3, 30));
    }
    world.end().await;
}

/// What usage shows of so many equal deltas.
fn shown(delta: &Delta, times: u64) -> Usage {
    let number = |count: u64| i64::try_from(count * times).expect("small");
    Usage {
        requests: number(delta.requests),
        errors: number(delta.errors),
        limited: number(delta.limited),
        rows: number(delta.rows),
        request_bytes: number(delta.request_bytes),
        response_bytes: number(delta.response_bytes),
        latency: delta.latency.map(|count| count * times),
    }
}

/// All tenants as operators see them, from minutes or, where the span began long ago, from hours.
async fn fleet(world: &World, start: Option<&str>) -> Vec<(TenantId, Usage)> {
    let query = Query {
        page_size: 0,
        page_token: String::new(),
    };
    let page = world
        .fleet
        .usage(&world.operator(), "m", &query, start.map(time), None)
        .await;
    let (_, page) = page.expect("a page");
    page.items.into_iter().map(|one| (one.tenant, one.usage)).collect()
}

/// What stands in a column of a tenant's only row. `admitted` of minutes and hours is shown nowhere yet.
async fn stored(world: &World, delta: &Delta, table: &str, column: &str) -> u64 {
    let of = format!("monitoring.{table} WHERE tenant_id = '{}'", delta.tenant);
    assert_eq!(world.number(&format!("SELECT count(*) FROM {of}")).await, 1, "{of}");
    let found = world.number(&format!("SELECT {column} FROM {of}")).await;
    u64::try_from(found).expect("positive")
}

#[tokio::test]
async fn every_number_of_a_report_comes_back_in_its_own_field() {
    let world = World::new().await;
    let (one, two) = (distinct(1, 1), distinct(2, 1_000));
    // The first report makes the rows, the second adds to them.
    for times in 1..=2 {
        let sent = report(times, "2026-03-15T12:30:10Z", vec![one.clone(), two.clone()]);
        let read = tenantry_metering::Report::decode(&sent.encode());
        assert_eq!(read.as_ref(), Ok(&sent), "nothing in it is refused or lost on the way");
        assert!(world.ingest.take("gateway", &sent).await.expect("counts"));
        for (n, delta) in [(1, &one), (2, &two)] {
            let expected = shown(delta, times);
            for step in [Step::Minute, Step::Hour, Step::Day] {
                let found = usage(&world, n, "2026-03-15T12:00:00Z", step).await;
                assert_eq!(found.total, expected, "{step:?}");
                let steps: Vec<_> = found.steps.values().collect();
                assert_eq!(steps, [&expected], "{step:?}");
                assert_eq!(found.quota.used.cast_unsigned(), delta.admitted * times);
            }
            for table in ["tenant_minute", "tenant_hour", "tenant_month"] {
                let admitted = stored(&world, delta, table, "admitted").await;
                assert_eq!(admitted, delta.admitted * times, "{table}");
            }
            let requests = stored(&world, delta, "tenant_month", "requests").await;
            assert_eq!(requests, delta.requests * times);
        }
        let busiest = [(tenant(2), shown(&two, times)), (tenant(1), shown(&one, times))];
        assert_eq!(fleet(&world, None).await, busiest, "from minutes");
        assert_eq!(fleet(&world, Some("2026-03-12T00:00:00Z")).await, busiest, "from hours");
    }
    world.end().await;
}

#[tokio::test]
async fn minutes_hours_and_months_agree_and_end_where_they_should() {
    let world = World::new().await;
    let ends = [
        ("2026-03-15T11:59:59.999Z", 1),
        ("2026-03-15T12:00:00Z", 2),
        ("2026-03-15T12:00:59Z", 4),
        ("2026-03-15T12:01:00Z", 8),
        ("2026-02-28T23:59:59Z", 16),
    ];
    for (sequence, (end, count)) in (1..).zip(ends) {
        let one = report(sequence, end, vec![delta(1, &vec![1; count])]);
        assert!(world.ingest.take("gateway", &one).await.expect("counts"));
    }
    let steps = |report: &Report| -> Vec<(String, i64)> {
        let point = |(start, usage): (
            &chrono::DateTime<chrono::Utc>,
            &tenantry_monitoring::domain::usage::Usage,
        )| { (start.format("%d %H:%M").to_string(), usage.requests) };
        report.steps.iter().map(point).collect()
    };
    let expect = |pairs: &[(&str, i64)]| -> Vec<(String, i64)> {
        pairs.iter().map(|(at, count)| ((*at).to_owned(), *count)).collect()
    };
    let minutes = usage(&world, 1, "2026-03-15T11:00:00Z", Step::Minute).await;
    assert_eq!(
        steps(&minutes),
        expect(&[("15 11:59", 1), ("15 12:00", 6), ("15 12:01", 8)])
    );
    let hours = usage(&world, 1, "2026-03-15T11:00:00Z", Step::Hour).await;
    assert_eq!(steps(&hours), expect(&[("15 11:00", 1), ("15 12:00", 14)]));
    let days = usage(&world, 1, "2026-02-01T00:00:00Z", Step::Day).await;
    assert_eq!(steps(&days), expect(&[("28 00:00", 16), ("15 00:00", 15)]));
    assert_eq!(days.quota.used, 15, "February is another month");
    assert_eq!(days.quota.reset, time("2026-04-01T00:00:00Z"));
    world.end().await;
}

#[tokio::test]
async fn percentiles_come_from_the_sum_of_all_reports_and_services() {
    let world = World::new().await;
    let fast = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[10; 90])]);
    let slow = report(2, "2026-03-15T12:29:10Z", vec![delta(1, &[1_000; 10])]);
    let mut rows = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[])]);
    (rows.service, rows.instance) = ("business".to_owned(), uuid::Uuid::from_u128(5));
    rows.deltas[0].rows = 700;
    for (publisher, one) in [("gateway", &fast), ("gateway", &slow), ("business", &rows)] {
        assert!(world.ingest.take(publisher, one).await.expect("counts"));
    }
    let total = usage(&world, 1, "2026-03-15T12:00:00Z", Step::Hour).await.total;
    assert_eq!((total.requests, total.rows), (100, 800));
    assert!(
        (7.0..=10.0).contains(&total.latency_ms(0.5)),
        "{}",
        total.latency_ms(0.5)
    );
    assert!(
        (750.0..=1_000.0).contains(&total.latency_ms(0.95)),
        "{}",
        total.latency_ms(0.95)
    );
    assert!(
        (750.0..=1_000.0).contains(&total.latency_ms(0.99)),
        "{}",
        total.latency_ms(0.99)
    );
    world.end().await;
}

#[tokio::test]
async fn what_cannot_be_is_refused_whole() {
    let world = World::new().await;
    let good = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[5])]);
    let mut refusals = vec![("auth", good.clone()), ("business", good.clone())];
    for end in ["2026-02-01T00:00:00Z", "2026-03-15T14:00:00Z"] {
        refusals.push(("gateway", report(1, end, vec![delta(1, &[5])])));
    }
    for (publisher, one) in refusals {
        let error = world.ingest.take(publisher, &one).await.expect_err("refused");
        assert_eq!(error.reason(), Reason::InvalidArgument, "{publisher} {}", one.end);
    }
    assert_eq!(world.number("SELECT count(*) FROM monitoring.reports").await, 0);
    assert!(world.ingest.take("gateway", &good).await.expect("the good one counts"));
    world.end().await;
}

#[tokio::test]
async fn made_up_tenants_cost_one_row_and_few_questions() {
    let world = World::new().await;
    let mut deltas: Vec<_> = (1_000..1_499).map(|n| delta(n, &[1])).collect();
    deltas.insert(0, delta(1, &[1; 5]));
    assert!(
        world
            .ingest
            .take("gateway", &report(1, "2026-03-15T12:30:10Z", deltas))
            .await
            .expect("counts")
    );
    assert_eq!(world.number("SELECT count(*) FROM monitoring.tenant_minute").await, 2);
    assert_eq!(
        world
            .number("SELECT sum(requests)::bigint FROM monitoring.tenant_minute")
            .await,
        504,
        "the total stays right"
    );
    assert!(*world.plans.asked.lock().expect("not poisoned") <= 20);
    let mut shown: Vec<_> = world
        .series
        .ranking()
        .tenants
        .into_iter()
        .map(|(tenant, _)| tenant)
        .collect();
    shown.sort_unstable();
    assert_eq!(
        shown,
        [NOBODY, tenant(1)],
        "made-up ids take no place among the busiest"
    );
    assert_eq!(
        usage(&world, 1, "2026-03-15T12:00:00Z", Step::Hour)
            .await
            .total
            .requests,
        5
    );
    world.end().await;
}

#[tokio::test]
async fn a_tenant_reads_its_own_rows_and_writes_none() {
    let world = World::new().await;
    let both = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[5]), delta(2, &[5; 9])]);
    world.ingest.take("gateway", &both).await.expect("counts");
    let mut tx = world.store.begin(&world.ctx(1)).await.expect("begins");
    for table in ["tenant_minute", "tenant_hour", "tenant_month"] {
        let rows = tx
            .fetch_all(tenantry_db::query(format!(
                "SELECT t.tenant_id FROM monitoring.{table} t"
            )))
            .await
            .expect("reads");
        let owners: Vec<uuid::Uuid> = rows.iter().map(|row| tenantry_db::Row::get(row, "tenant_id")).collect();
        assert_eq!(owners, [tenant(1).uuid()], "{table}");
    }
    let steal = tenantry_db::query("UPDATE monitoring.tenant_month SET admitted = 0");
    assert!(tx.execute(steal).await.is_err(), "a tenant cannot reset its quota");
    drop(tx);
    world.end().await;
}

#[tokio::test]
async fn what_is_too_old_goes_and_nothing_else() {
    let world = World::new().await;
    let recent = report(1, "2026-03-15T12:30:10Z", vec![delta(1, &[5])]);
    let old = report(2, "2026-03-12T12:30:10Z", vec![delta(1, &[5])]);
    for one in [&recent, &old] {
        world.ingest.take("gateway", one).await.expect("counts");
    }
    jobs::janitor::run_once(&world.store, &world.clock)
        .await
        .expect("cleans");
    assert_eq!(world.number("SELECT count(*) FROM monitoring.tenant_minute").await, 1);
    assert_eq!(world.number("SELECT count(*) FROM monitoring.tenant_hour").await, 2);
    assert_eq!(world.number("SELECT count(*) FROM monitoring.tenant_month").await, 1);
    assert!(!world.ingest.take("gateway", &old).await.expect("still known"));
    world.end().await;
}

#[tokio::test]
async fn ten_thousand_tenants_stay_within_the_series_budget() {
    let world = World::new().await;
    for n in 0..20_u64 {
        let tenants = (1..=500).map(|tenant| u128::from(n) * 500 + tenant);
        let deltas = tenants.map(|id| {
            world.plans.set(tenant(id), 0);
            delta(id, &[1, 1])
        });
        let report = report(n + 1, "2026-03-15T12:30:10Z", deltas.collect());
        world.ingest.take("gateway", &report).await.expect("counts");
    }
    let ranking = world.series.ranking();
    let shown: u64 = ranking.tenants.iter().map(|(_, counts)| counts.requests).sum();
    assert_eq!(ranking.tenants.len(), 100);
    assert_eq!(shown + ranking.other.requests, 20_000, "the total stays right");
    assert!(ranking.error_bound > 0, "and it says how far off a tenant's can be");
    let text = tenantry_telemetry::metrics_text();
    let labelled = text.lines().filter(|line| line.contains("tenant=\"")).count();
    assert!((100..=303).contains(&labelled), "{labelled} series");
    world.end().await;
}
