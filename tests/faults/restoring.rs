//! A restore survives the death of business just before and just after its swap: the same restore id, sent again,
//! answers as if nothing had happened, and nothing half-done is left.

use crate::{
    customers::{all_records, owner, tenant},
    lab::{Lab, SERVICES, request_id},
};
use sqlx::Row;
use std::time::Duration;
use tenantry_tests::Data;

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_survives_a_death_before_its_swap() {
    dies_at("business.restore.before_swap", "after the backup").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restore_survives_a_death_after_its_swap() {
    dies_at("business.restore.after_swap", "in the backup").await;
}

/// `shows` is what the tenant has while nobody has repeated the restore.
async fn dies_at(point: &str, shows: &str) {
    let lab = Lab::enter().await;
    let (tenant, data) = (tenant(&lab.operator().await).await, Data::of(&lab.world, "backup"));
    let titles = async || {
        let found = all_records(&owner(&tenant), "tickets", "title").await;
        found.into_iter().map(|(_, title)| title).collect::<Vec<_>>()
    };
    tenant.ticket("in the backup").await;
    let parts = data.export(&tenant.id).await.expect("exported");
    for (name, _) in all_records(&owner(&tenant), "tickets", "title").await {
        tenant.rest().delete(&format!("/v1/{name}")).await.ok();
    }
    tenant.ticket("after the backup").await;

    let (id, old) = (request_id(), lab.pid("business").expect("it runs"));
    data.export_for(&tenant.id, &id).await.expect("held");
    lab.arm(point, "abort").await;
    data.restore(&tenant.id, &id, &parts).await.expect_err("it died");
    lab.replaced("business", old, Duration::from_secs(5)).await;
    lab.ready(&SERVICES).await;
    assert_eq!(titles().await, [shows], "{point}");

    // As backup does: a try begins with a copy of what is there. For one that is done nobody is held.
    drop(data.export_for(&tenant.id, &id).await);
    let done = data.restore(&tenant.id, &id, &parts).await.expect("restored");
    assert_eq!((done.object_types, done.rows), (2, 1), "{point}");
    assert_eq!(titles().await, ["in the backup"], "{point}");
    tenant.ticket("goes on").await;
    let again = data.restore(&tenant.id, &id, &[]).await.expect("known");
    assert_eq!(again, done);
    assert_eq!(titles().await.len(), 2, "{point}: it was done once");

    let left = sqlx::query("SELECT count(*) FROM pg_namespace WHERE nspname LIKE $1")
        .bind(format!("r\\_{}%", tenant.id.replace('-', "")));
    let superuser = lab.superuser("tenantry_data").await;
    let left: i64 = left.fetch_one(&superuser).await.expect("a count").get(0);
    assert_eq!(left, 0, "{point}: a schema is left");
    println!("{point}: died there, and the restore was repeated");
}
