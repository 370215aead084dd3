//! What jobs find over all tenants, on a database of its own: turns, tries, what expires, what an operator is told.

#![expect(clippy::disallowed_methods, reason = "tests may use the real clock and random ids")]

use super::base::{Base, LEASE, ctx, tenant};
use chrono::{TimeDelta, Utc};
use std::time::Duration;
use tenantry_backup::{
    domain::{
        operation::{Checkpoint, Verb},
        snapshot::Kind,
    },
    store::{SCHEMA, operation, policy, retention, snapshot},
};
use tenantry_kernel::Reason;
use tenantry_operations::{is_lost, lease};
use uuid::Uuid;

#[tokio::test]
async fn operations_of_a_tenant_take_turns_also_while_one_waits_for_its_next_try() {
    let base = Base::new().await;
    let (a, b) = (tenant(), tenant());
    let (first, _) = base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let (second, _) = base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let (other, _) = base.start(b, Verb::CreateSnapshot, Kind::OnDemand).await;
    let claims = base.claim(10).await;
    let claimed: Vec<_> = claims.iter().map(|claim| claim.operation).collect();
    assert_eq!(claimed.len(), 2, "one a tenant");
    assert!(claimed.contains(&first.id) && claimed.contains(&other.id));
    assert_eq!(base.claim(10).await, [], "leased");
    let claim = claims
        .into_iter()
        .find(|claim| claim.operation == first.id)
        .expect("claimed");
    base.later(&claim).await;
    assert_eq!(
        base.claim(10).await,
        [],
        "the second waits for the first, which waits for its next try"
    );
    base.sql("UPDATE backup.operations SET next_time = now() WHERE lease_owner IS NULL")
        .await;
    let again = base.claim(10).await;
    assert_eq!(
        again
            .iter()
            .map(|claim| (claim.operation, claim.attempt))
            .collect::<Vec<_>>(),
        [(first.id, 2)]
    );
    base.finish(&again[0]).await;
    assert_eq!(
        base.claim(10)
            .await
            .iter()
            .map(|claim| claim.operation)
            .collect::<Vec<_>>(),
        [second.id]
    );
    base.drop().await;
}

#[tokio::test]
async fn tries_are_counted_until_an_operation_gets_further_than_ever() {
    let base = Base::new().await;
    let a = tenant();
    base.start(a, Verb::RestoreSnapshot, Kind::OnDemand).await;
    let mut checkpoint = Checkpoint::default();
    for attempt in 1..=12 {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, attempt);
        let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
        // Each try passes all steps, and takes a copy of its own.
        for step in ["verify", "snapshot", "restore"] {
            operation::advance(&mut tx, &claim, step, 0, 10, LEASE)
                .await
                .expect("ours");
        }
        checkpoint.before_restore = Some(Uuid::now_v7());
        let further = checkpoint.height() > checkpoint.high;
        operation::checkpoint(&mut tx, &claim, &checkpoint, further)
            .await
            .expect("ours");
        lease::retry_later(&mut tx, SCHEMA, &claim, "away", Duration::ZERO)
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    // Further than ever once: the tries before do not count. As far again is no progress.
    checkpoint.committed = true;
    assert_eq!((checkpoint.height(), checkpoint.high), (3, 0));
    for expected in [13, 2, 3] {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, expected);
        let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
        let further = checkpoint.height() > checkpoint.high;
        checkpoint.high = checkpoint.height();
        operation::checkpoint(&mut tx, &claim, &checkpoint, further)
            .await
            .expect("ours");
        lease::retry_later(&mut tx, SCHEMA, &claim, "away", Duration::ZERO)
            .await
            .expect("ours");
        tx.commit().await.expect("committed");
    }
    // What is parked has not been tried.
    for _ in 0..3 {
        let claim = base.claim(1).await.pop().expect("due");
        assert_eq!(claim.attempt, 4);
        let mut tx = base.store.begin_system("test").await.expect("begun");
        operation::park(&mut tx, &claim, Duration::ZERO).await.expect("ours");
        let lost = operation::park(&mut tx, &claim, Duration::ZERO)
            .await
            .expect_err("given back");
        assert!(is_lost(&lost));
        tx.commit().await.expect("committed");
    }
    base.drop().await;
}

#[tokio::test]
async fn who_cancels_does_not_wait_for_the_next_try() {
    let base = Base::new().await;
    let a = tenant();
    let (operation, _) = base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    let claim = base.claim(1).await.pop().expect("due");
    base.later(&claim).await;
    assert_eq!(base.claim(1).await, []);
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    assert!(
        lease::request_cancel(&mut tx, SCHEMA, operation.id)
            .await
            .expect("asked")
    );
    tx.commit().await.expect("committed");
    assert_eq!(base.claim(1).await.len(), 1);
    base.drop().await;
}

#[tokio::test]
async fn what_is_corrupt_or_in_work_does_not_expire() {
    let base = Base::new().await;
    let a = tenant();
    base.policy(a, Utc::now() + TimeDelta::days(1)).await;
    let mut made = Vec::new();
    for _ in 0..4 {
        made.push(base.start(a, Verb::RestoreSnapshot, Kind::BeforeRestore).await);
    }
    base.sql("UPDATE backup.snapshots SET state = 'ready', expire_time = now() - interval '1 day'")
        .await;
    // All four operations run: each has made a snapshot that it may need.
    assert_eq!(base.mark().await, 0);
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    for (operation, snapshot) in &made {
        let mut copy = snapshot.clone();
        copy.id = Uuid::now_v7();
        assert!(
            operation::works_on(&mut tx, &copy).await.expect("asked"),
            "the operation that made it runs"
        );
        assert_eq!(copy.operation, operation.id);
    }
    tx.commit().await.expect("committed");
    let [first, second] = [made[0].1.id, made[1].1.id];
    base.sql(&format!("UPDATE backup.operations SET state = 'succeeded'; UPDATE backup.snapshots SET state = 'corrupt' WHERE id IN ('{first}', '{second}')")).await;
    // Of the two that are ready the older one goes; the corrupt ones stay.
    assert_eq!(base.mark().await, 1);
    let left = "SELECT count(*) FROM backup.snapshots WHERE state = 'corrupt'";
    assert_eq!(base.count(left).await, 2);
    base.drop().await;
}

#[tokio::test]
async fn finished_operations_are_forgotten_after_a_while() {
    let base = Base::new().await;
    let a = tenant();
    for _ in 0..3 {
        base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    }
    let claim = base.claim(1).await.pop().expect("due");
    base.finish(&claim).await;
    base.sql("UPDATE backup.operations SET update_time = now() - interval '31 days'")
        .await;
    let mut tx = base.store.begin_system("test").await.expect("begun");
    let until = Utc::now() - TimeDelta::days(30);
    assert_eq!(
        retention::forget_operations(&mut tx, until).await.expect("forgotten"),
        1
    );
    tx.commit().await.expect("committed");
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    assert_eq!(operation::running(&mut tx).await.expect("a count"), 2);
    drop(tx);
    base.drop().await;
}

#[tokio::test]
async fn a_snapshot_that_is_removed_while_it_is_written_does_not_become_ready() {
    let base = Base::new().await;
    let a = tenant();
    let (_, found) = base.start(a, Verb::CreateSnapshot, Kind::OnDemand).await;
    let manifest = tenantry_backup::domain::Manifest {
        version: 1,
        tenant: a,
        snapshot: found.id,
        snapshot_time: Utc::now(),
        create_time: Utc::now(),
        data_format: 1,
        key_version: 1,
        types: Vec::new(),
        segments: Vec::new(),
        totals: tenantry_backup::domain::manifest::Totals::default(),
    };
    let mut tx = base.store.begin(&ctx(a)).await.expect("begun");
    snapshot::deleting(&mut tx, found.id).await.expect("marked");
    let refused = snapshot::ready(&mut tx, &manifest, None)
        .await
        .expect_err("it is going");
    assert_eq!(refused.reason(), Reason::FailedPrecondition);
    drop(tx);
    base.drop().await;
}

#[tokio::test]
async fn a_scheduled_start_waits_for_the_one_before_and_for_its_tenant() {
    let base = Base::new().await;
    let (a, suspended) = (tenant(), tenant());
    let due = Utc::now() - TimeDelta::minutes(1);
    for tenant in [a, suspended] {
        base.policy(tenant, due).await;
    }
    let found = async || {
        let mut tx = base.store.begin_system("test").await.expect("begun");
        let found = policy::due(&mut tx, Utc::now(), &[a.uuid()], 10).await.expect("due");
        found.into_iter().map(|(tenant, _)| tenant).collect::<Vec<_>>()
    };
    assert_eq!(
        found().await,
        [a],
        "whose tenant is not active is not due, and stays so"
    );
    base.start(a, Verb::CreateSnapshot, Kind::Scheduled).await;
    assert_eq!(found().await, []);
    base.sql("UPDATE backup.snapshots SET state = 'failed'").await;
    assert_eq!(found().await, [a]);
    base.drop().await;
}

#[tokio::test]
async fn only_active_tenants_whose_time_has_come_are_without_a_snapshot() {
    let base = Base::new().await;
    let now = Utc::now();
    let [fresh, overdue, failed, suspended, deleted, good] = std::array::from_fn(|_| tenant());
    for tenant in [fresh, failed, suspended, deleted, good] {
        base.policy(tenant, now + TimeDelta::hours(3)).await;
    }
    base.policy(overdue, now - TimeDelta::hours(1)).await;
    for tenant in [failed, suspended, deleted, good] {
        base.start(tenant, Verb::CreateSnapshot, Kind::Scheduled).await;
    }
    base.sql(&format!(
        "UPDATE backup.snapshots SET state = 'failed'; UPDATE backup.snapshots SET state = 'ready', snapshot_time = now() - interval '2 days' WHERE tenant_id = '{deleted}';
         UPDATE backup.snapshots SET state = 'ready', snapshot_time = now() - interval '1 hour' WHERE tenant_id = '{good}'"
    )).await;
    assert_eq!(base.ages(&[fresh]).await, (0.0, 0), "its first snapshot is not due yet");
    assert_eq!(base.ages(&[overdue]).await.1, 1);
    assert_eq!(base.ages(&[failed]).await.1, 1);
    let (oldest, without) = base.ages(&[fresh, overdue, failed, good]).await;
    assert_eq!(without, 2, "suspended and deleted tenants do not count");
    assert!((3_500.0..3_800.0).contains(&oldest), "{oldest}");
    base.start(fresh, Verb::CreateSnapshot, Kind::Scheduled).await;
    assert_eq!(base.ages(&[fresh]).await.1, 0, "the first one is being taken");
    base.drop().await;
}
