//! Export and restore: what comes back is what was there, in one moment, and nothing older is served after it.

#![expect(clippy::disallowed_methods, reason = "tests may use random ids")]
#![expect(clippy::unwrap_used, reason = "helpers of tests may fail by panic")]

use crate::world::{Never, World, count, definition, map, run};
use serde_json::json;
use sqlx::{AssertSqlSafe, PgConnection};
use std::time::Duration;
use tenantry_business::{
    app::{holds, records::Page, records::Update},
    domain::{Field, FieldType, change::Change, data::Part},
    store::restore::Counts,
};
use tenantry_kernel::{Ctx, Reason, Result, TenantId};
use tokio::sync::mpsc;
use uuid::Uuid;

pub(crate) async fn export(world: &World, n: u128) -> Vec<Part> {
    collect(world.exports.open(world.tenant(n), None).await.unwrap()).await
}

/// Everything, and it is complete.
pub(crate) async fn collect(mut stream: mpsc::Receiver<Result<Part>>) -> Vec<Part> {
    let mut parts = Vec::new();
    while let Some(part) = stream.recv().await {
        parts.push(part.unwrap());
    }
    assert!(
        matches!(parts.last(), Some(Part::Footer { .. })),
        "the export is complete"
    );
    parts
}

/// Restores as backup does: what will be replaced is held. What cannot be held is refused by the restore itself.
pub(crate) async fn restore(world: &World, n: u128, id: Uuid, parts: &[Part]) -> Result<Counts> {
    drop(holds::take(&world.parts.store, world.tenant(n), id).await);
    send(world, n, id, parts).await
}

/// Only the restore.
pub(crate) async fn send(world: &World, n: u128, id: Uuid, parts: &[Part]) -> Result<Counts> {
    let (out, stream) = mpsc::channel(1);
    let parts = parts.to_vec();
    let feed = tokio::spawn(async move {
        for part in parts {
            if out.send(Ok(part)).await.is_err() {
                return;
            }
        }
    });
    let outcome = world.restores.run(world.tenant(n), id, stream).await;
    feed.await.unwrap();
    outcome
}

async fn texts(conn: &mut PgConnection, sql: String) -> Vec<String> {
    sqlx::query_scalar(AssertSqlSafe(sql.clone()))
        .fetch_all(conn)
        .await
        .unwrap_or_else(|error| panic!("{error}: {sql}"))
}

/// Every value of every record but versions, by type and id.
pub(crate) async fn content(conn: &mut PgConnection, tenant: TenantId) -> Vec<String> {
    let schema = tenant.schema();
    let tables =
        format!("SELECT table_name::text FROM information_schema.tables WHERE table_schema = '{schema}' ORDER BY 1");
    let mut all = Vec::new();
    for table in texts(conn, tables).await {
        let rows = format!(
            "SELECT '{table}' || (to_jsonb(t) - 'tenant_id' - 'version')::text FROM {schema}.{table} t ORDER BY id"
        );
        all.extend(texts(conn, rows).await);
    }
    all
}

/// Columns, constraints, indexes, row security, policies and grants. Names hold the key of their type and its tenant;
/// both are taken out.
async fn shape(conn: &mut PgConnection, tenant: TenantId) -> Vec<String> {
    let schema = tenant.schema();
    let sql = format!(
        "SELECT regexp_replace(x, '([ui])_[0-9a-f]{{12}}_|t_[0-9a-f]{{32}}', '\\1', 'g') FROM (
           SELECT c.relname || a.attnum || a.attname || format_type(a.atttypid, a.atttypmod) || a.attnotnull || coalesce(pg_get_expr(d.adbin, d.adrelid), '')
             FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
            WHERE c.relnamespace = '{schema}'::regnamespace AND c.relkind = 'r' AND a.attnum > 0
           UNION ALL SELECT conrelid::regclass::text || conname || pg_get_constraintdef(oid) || convalidated FROM pg_constraint WHERE connamespace = '{schema}'::regnamespace
           UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = '{schema}'
           UNION ALL SELECT relname || relrowsecurity || relforcerowsecurity || relacl::text FROM pg_class WHERE relnamespace = '{schema}'::regnamespace AND relkind = 'r'
           UNION ALL SELECT tablename || policyname || roles::text || qual || with_check FROM pg_policies WHERE schemaname = '{schema}'
           UNION ALL SELECT 'schema' || nspacl::text FROM pg_namespace WHERE nspname = '{schema}') s (x) ORDER BY 1"
    );
    texts(conn, sql).await
}

pub(crate) async fn nothing_left(conn: &mut PgConnection) {
    let sql = "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'r\\_%' UNION ALL SELECT id::text FROM business.restores WHERE state = 'filling' UNION ALL SELECT restore_id::text FROM business.holds";
    assert_eq!(texts(conn, sql.to_owned()).await, Vec::<String>::new());
}

async fn lint_is_clean(world: &World) {
    let mut tx = world.parts.store.begin_system("lint").await.unwrap();
    tenantry_db::ensure_clean(&mut tx, &["business", "t\\_%", "r\\_%"])
        .await
        .unwrap();
    tx.commit().await.unwrap();
}

/// One type with every kind of field, and records with the odd values of each.
async fn everything(world: &World, ctx: &Ctx) {
    world.help_desk(ctx).await;
    let field = |id: &str, kind| Field::new(id, kind);
    let mut decimal = field("decimal", FieldType::Decimal);
    decimal.scale = 3;
    let mut choice = field("choice", FieldType::Enum);
    choice.enum_values = vec!["it's".into(), "a\\b".into()];
    let mut refers = field("refers", FieldType::Reference);
    refers.reference_type = "odd".into();
    let mut unique = field("code", FieldType::String);
    (unique.unique, unique.max_length) = (true, 50);
    let mut text = field("text", FieldType::Text);
    text.default_value = json!("O'Neil \\ \"x\"");
    let fields = vec![
        text,
        unique,
        decimal,
        choice,
        refers,
        field("int", FieldType::Int64),
        field("float", FieldType::Double),
        field("flag", FieldType::Bool),
        field("day", FieldType::Date),
        field("moment", FieldType::Timestamp),
        field("uid", FieldType::Uuid),
        field("json", FieldType::Json),
    ];
    world.types.create(ctx, "odd", &definition(fields), None).await.unwrap();
    // A field that came later has its column behind.
    let mut grown = world.types.get(ctx, "odd").await.unwrap().definition;
    let mut late = field("late", FieldType::Int64);
    (late.required, late.default_value, late.indexed) = (true, json!(7), true);
    grown.fields.push(late);
    world
        .types
        .update(ctx, "odd", &grown, &["fields".into()], "", None)
        .await
        .unwrap();
    let first = world.records.create(ctx, "odd", &map(json!({
        "text": "tab\tnewline\nreturn\r\\N \\. back\\slash \"quote\" 'single' \u{1} é 漢字 🦀", "code": "\\.", "decimal": "-12.345", "choice": "it's",
        "int": "-9223372036854775808", "float": 0.1, "flag": true, "day": "0001-01-01", "moment": "2026-11-23T10:00:00.123456Z",
        "uid": Uuid::nil().to_string(), "json": {"a\t\"": ["\\", "\n", null, 1e300, "\u{1}"]}
    })), None).await.unwrap();
    world
        .records
        .create(
            ctx,
            "odd",
            &map(json!({"text": "", "code": "", "refers": first.name()})),
            None,
        )
        .await
        .unwrap();
    world
        .records
        .create(
            ctx,
            "odd",
            &map(json!({"text": null, "code": "\\N", "choice": "a\\b"})),
            None,
        )
        .await
        .unwrap();
    let person = world
        .records
        .create(ctx, "people", &map(json!({"email": "a@x.org"})), None)
        .await
        .unwrap();
    world
        .records
        .create(
            ctx,
            "tickets",
            &map(json!({"title": "t", "owner": person.name()})),
            None,
        )
        .await
        .unwrap();
    // What only other writers could have stored.
    let mut admin = world.superuser().await;
    let odd = format!("{}.o_odd", ctx.tenant().unwrap().schema());
    run(&mut admin, &format!("UPDATE {odd} SET f_float = 'NaN', f_day = 'infinity', f_moment = '-infinity' WHERE f_code = ''; UPDATE {odd} SET f_float = '-Infinity' WHERE f_code = E'\\\\N'")).await;
}

#[tokio::test]
async fn what_was_exported_comes_back_in_place_and_as_a_clone() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    everything(&world, &ctx).await;
    let mut admin = world.superuser().await;
    let (tenant, other) = (world.tenant(1), world.tenant(2));
    let (before, shape_before) = (content(&mut admin, tenant).await, shape(&mut admin, tenant).await);
    let parts = export(&world, 1).await;
    assert_eq!(before.len(), 5);

    // Everything changes, then comes back.
    world.types.delete(&ctx, "odd", "", true, None).await.unwrap();
    world
        .types
        .create(&ctx, "later", &definition(vec![Field::new("x", FieldType::Bool)]), None)
        .await
        .unwrap();
    world
        .records
        .create(&ctx, "people", &map(json!({"email": "b@x.org"})), None)
        .await
        .unwrap();
    let counts = restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();
    assert_eq!(
        counts,
        Counts {
            object_types: 3,
            records: 5
        }
    );
    assert_eq!(content(&mut admin, tenant).await, before);
    assert_eq!(shape(&mut admin, tenant).await, shape_before);

    // A clone: another tenant, whose schema is there and empty.
    restore(&world, 2, Uuid::now_v7(), &parts).await.unwrap();
    assert_eq!(content(&mut admin, other).await, before);
    assert_eq!(shape(&mut admin, other).await, shape_before);
    for tenant in [tenant, other] {
        let foreign = format!(
            "SELECT count(*) FROM {}.o_odd WHERE tenant_id <> '{tenant}'",
            tenant.schema()
        );
        assert_eq!(count(&mut admin, &foreign).await, 0);
        let usage = format!("SELECT sum(records)::bigint FROM business.usage WHERE tenant_id = '{tenant}'");
        assert_eq!(count(&mut admin, &usage).await, 5);
    }
    nothing_left(&mut admin).await;
    lint_is_clean(&world).await;

    // The service itself never stores these, and its driver cannot read them.
    for tenant in [tenant, other] {
        run(
            &mut admin,
            &format!(
                "UPDATE {}.o_odd SET f_day = NULL, f_moment = NULL WHERE f_code = ''",
                tenant.schema()
            ),
        )
        .await;
    }

    // Both go on: constraints hold, types can grow and go, each sees its own.
    for ctx in [&ctx, &world.ctx(2)] {
        let twice = world
            .records
            .create(ctx, "odd", &map(json!({"code": "\\."})), None)
            .await
            .unwrap_err();
        assert_eq!(twice.reason(), Reason::UniqueViolation);
        let nobody = format!("objectTypes/odd/records/{}", Uuid::now_v7());
        let lost = world
            .records
            .create(ctx, "odd", &map(json!({"refers": nobody})), None)
            .await
            .unwrap_err();
        assert_eq!(lost.reason(), Reason::ReferenceNotFound);
        world
            .records
            .create(ctx, "odd", &map(json!({"code": "new"})), None)
            .await
            .unwrap();
        let mut grown = world.types.get(ctx, "odd").await.unwrap().definition;
        grown.fields.push(Field::new("again", FieldType::Bool));
        world
            .types
            .update(ctx, "odd", &grown, &["fields".into()], "", None)
            .await
            .unwrap();
        world.types.delete(ctx, "tickets", "", true, None).await.unwrap();
        let listed = world.records.list(ctx, "odd", &Page::default()).await.unwrap().0;
        assert_eq!(listed.len(), 4);
    }
    // And what was restored can be exported and restored again.
    let again = export(&world, 2).await;
    restore(&world, 2, Uuid::now_v7(), &again).await.unwrap();
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn an_export_shows_one_moment() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    for name in ["left", "right"] {
        let fields = vec![
            Field::new("amount", FieldType::Int64),
            Field::new("note", FieldType::Text),
        ];
        world.types.create(&ctx, name, &definition(fields), None).await.unwrap();
        world
            .records
            .create(&ctx, name, &map(json!({"amount": 1000})), None)
            .await
            .unwrap();
    }
    // More than lies in buffers on the way, so that the export stands still in the first type.
    let mut admin = world.superuser().await;
    let (tenant, schema) = (world.tenant(1), world.tenant(1).schema());
    run(&mut admin, &format!("INSERT INTO {schema}.o_left (tenant_id, id, version, create_time, update_time, creator, f_amount, f_note)
        SELECT '{tenant}', gen_random_uuid(), 1, now(), now(), '', 0, repeat(md5(i::text), 3000) FROM generate_series(1, 200) i")).await;
    let mut stream = world.exports.open(tenant, None).await.unwrap();
    let mut parts = Vec::new();
    for _ in 0..3 {
        parts.push(stream.recv().await.unwrap().unwrap());
    }
    assert!(
        matches!(&parts[2], Part::Rows { .. }),
        "rows of the first type have been read"
    );
    run(&mut admin, &format!("BEGIN; UPDATE {schema}.o_left SET f_amount = f_amount - 400 WHERE f_note IS NULL; UPDATE {schema}.o_right SET f_amount = f_amount + 400; COMMIT")).await;
    while let Some(part) = stream.recv().await {
        parts.push(part.unwrap());
    }
    for part in &parts {
        if let Part::Rows { text, rows } = part {
            assert!(text.len() <= 1024 * 1024 && text.ends_with(b"\n"));
            assert_eq!(text.iter().filter(|byte| **byte == b'\n').count() as u64, *rows);
        }
    }
    restore(&world, 2, Uuid::now_v7(), &parts).await.unwrap();
    let other = world.tenant(2).schema();
    let sum = format!(
        "SELECT ((SELECT sum(f_amount) FROM {other}.o_left) + (SELECT sum(f_amount) FROM {other}.o_right))::bigint"
    );
    assert_eq!(count(&mut admin, &sum).await, 2000);
    // A client that goes away ends the transaction.
    let mut stream = world.exports.open(tenant, None).await.unwrap();
    stream.recv().await.unwrap().unwrap();
    drop(stream);
    let open = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = 'tenantry_business' AND query LIKE 'COPY%' AND state <> 'idle'";
    let mut left = count(&mut admin, open).await;
    while left > 0 {
        tokio::task::yield_now().await;
        left = count(&mut admin, open).await;
    }
    let unknown = world.exports.open(world.tenant(9), None).await.unwrap_err();
    assert_eq!(unknown.reason(), Reason::TenantNotActive);
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn nothing_older_is_served_after_a_restore() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let ticket = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "old"})), None)
        .await
        .unwrap();
    let parts = export(&world, 1).await;
    // As long as it runs, a new stream begins with what was committed since.
    let mut slow = world.superuser().await;
    run(&mut slow, "BEGIN; SELECT pg_current_xact_id()").await;
    let change = |title: &str, etag: &str| Update {
        id: ticket.id,
        fields: map(json!({"title": title})),
        mask: vec![],
        etag: etag.into(),
    };
    world
        .records
        .update(&ctx, "tickets", &change("newer", ""), None)
        .await
        .unwrap();
    let mut grown = world.types.get(&ctx, "tickets").await.unwrap().definition;
    grown.fields.push(Field::new("later", FieldType::Bool));
    let type_before = world
        .types
        .update(&ctx, "tickets", &grown, &["fields".into()], "", None)
        .await
        .unwrap();
    world
        .types
        .create(&ctx, "fresh", &definition(vec![Field::new("x", FieldType::Bool)]), None)
        .await
        .unwrap();
    let late = world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "later"})), None)
        .await
        .unwrap();
    // Cached, all of it.
    assert_eq!(
        world.records.get(&ctx, "tickets", ticket.id).await.unwrap().fields["title"],
        json!("newer")
    );
    world.records.get(&ctx, "tickets", late.id).await.unwrap();
    world.types.get(&ctx, "fresh").await.unwrap();
    let mut open = world.watch.open(&ctx, None, "", Never).await.unwrap();
    let token = open.recv().await.unwrap().unwrap().resume_token;

    restore(&world, 1, Uuid::now_v7(), &parts).await.unwrap();

    let restored = world.records.get(&ctx, "tickets", ticket.id).await.unwrap();
    assert_eq!(restored.fields["title"], json!("old"));
    assert!(
        restored.version > 2,
        "a version that somebody has seen does not come again"
    );
    let gone = world.records.get(&ctx, "tickets", late.id).await.unwrap_err();
    assert_eq!(gone.reason(), Reason::NotFound);
    assert_eq!(
        world.types.get(&ctx, "fresh").await.unwrap_err().reason(),
        Reason::NotFound
    );
    let type_after = world.types.get(&ctx, "tickets").await.unwrap();
    assert!(type_after.field("later").is_none() && type_after.version > type_before.version);
    let stale = world
        .records
        .update(&ctx, "tickets", &change("x", "\"2\""), None)
        .await
        .unwrap_err();
    assert_eq!(stale.reason(), Reason::EtagMismatch);
    let next = world
        .records
        .update(&ctx, "tickets", &change("next", ""), None)
        .await
        .unwrap();
    assert_eq!(next.version, restored.version + 1);
    assert_eq!(world.records.get(&ctx, "tickets", ticket.id).await.unwrap(), next);

    // Streams end and older tokens are refused; a new stream shows nothing from before.
    let ended = async {
        loop {
            if let Err(error) = open.recv().await.expect("it says why it ends") {
                return error;
            }
        }
    };
    let ended = tokio::time::timeout(Duration::from_secs(30), ended)
        .await
        .expect("it ends");
    assert_eq!(ended.reason(), Reason::ResumeTokenExpired);
    let refused = world.watch.open(&ctx, None, &token, Never).await.unwrap_err();
    assert_eq!(refused.reason(), Reason::ResumeTokenExpired);
    let mut admin = world.superuser().await;
    let stale = format!(
        "SELECT count(*) FROM business.changes WHERE tenant_id = '{}' AND record->'fields'->>'title' IS DISTINCT FROM 'next'",
        world.tenant(1)
    );
    assert_eq!(count(&mut admin, &stale).await, 0);
    let mut anew = world.watch.open(&ctx, None, "", Never).await.unwrap();
    run(&mut slow, "ROLLBACK").await;
    world
        .records
        .create(&ctx, "tickets", &map(json!({"title": "last"})), None)
        .await
        .unwrap();
    let (mut titles, mut token) = (Vec::new(), String::new());
    while titles.last() != Some(&json!("last")) {
        let batch = anew.recv().await.unwrap().unwrap();
        let title = |change: &Change| change.record.as_ref().map(|record| record.fields["title"].clone());
        titles.extend(batch.changes.iter().filter_map(title));
        token = batch.resume_token;
    }
    assert_eq!(titles, ["next", "last"], "only changes of the data that is there");
    world.watch.open(&ctx, None, &token, Never).await.unwrap();
    drop((admin, slow, anew));
    world.drop().await;
}
