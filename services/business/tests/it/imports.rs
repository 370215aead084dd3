//! CSV imports: upload, check, write, stop, take over.

#![expect(clippy::unwrap_used, reason = "helpers of tests may fail by panic")]

use crate::world::{World, count, definition, map, run};
use serde_json::json;
use tenantry_business::{
    app::{imports::Start, records::Page},
    domain::{
        Field, FieldType,
        cell::Dialect,
        import::{Column, Import, ImportState},
        operation::Operation,
    },
};
use tenantry_kernel::{Ctx, Reason, Result};
use tenantry_operations::State;

pub(crate) async fn upload(world: &World, ctx: &Ctx, text: &[u8]) -> Result<Import> {
    let mut upload = world.imports.upload(ctx, "file.csv").await?;
    for chunk in text.chunks(1000) {
        if let Err(error) = upload.chunk(chunk.to_vec()).await {
            upload.discard().await;
            return Err(error);
        }
    }
    upload.finish().await
}

pub(crate) fn start(import: &Import, object_type: &str, create_type: bool) -> Start {
    Start {
        import: import.id,
        object_type: object_type.to_owned(),
        create_type,
        columns: Vec::new(),
        dialect: Dialect::default(),
    }
}

pub(crate) async fn finish(world: &World, ctx: &Ctx, operation: &Operation) -> Operation {
    for _ in 0..50 {
        world.worker.run_once().await.unwrap();
        let found = world.operations.get(ctx, operation.id).await.unwrap();
        if found.state != State::Running {
            return found;
        }
        let mut admin = world.superuser().await;
        run(&mut admin, "UPDATE business.operations SET next_time = now()").await;
    }
    panic!("the import does not end");
}

#[tokio::test]
async fn a_file_becomes_a_type_with_records() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let airports = "iata,name,opened,runways,latitude,id\n00M,\"Thigpen, \"\"T\"\"\",1990-01-31,2,31.95,7\n00R,Livingston,,3,30.68,8\n";
    let import = upload(&world, &ctx, airports.as_bytes()).await.unwrap();
    let understood: Vec<_> = import
        .columns
        .iter()
        .map(|column| (column.field_id.as_str(), column.kind))
        .collect();
    assert_eq!(
        understood,
        [
            ("iata", FieldType::String),
            ("name", FieldType::String),
            ("opened", FieldType::Date),
            ("runways", FieldType::Int64),
            ("latitude", FieldType::Double),
            ("id", FieldType::Int64)
        ]
    );
    assert_eq!(
        (import.row_count, import.state, import.columns[2].samples.as_slice()),
        (2, ImportState::Uploaded, ["1990-01-31".to_owned()].as_slice())
    );
    assert_eq!(
        world.imports.get(&world.ctx(2), import.id).await.unwrap_err().reason(),
        Reason::NotFound
    );
    let operation = world
        .imports
        .start(&ctx, &start(&import, "airports", true), None)
        .await
        .unwrap();
    assert_eq!(
        world
            .imports
            .start(&ctx, &start(&import, "airports", false), None)
            .await
            .unwrap_err()
            .reason(),
        Reason::FailedPrecondition
    );
    let done = finish(&world, &ctx, &operation).await;
    assert_eq!(
        (done.state, done.done_units, done.result),
        (
            State::Succeeded,
            2,
            Some(json!({"imported": 2, "one_transaction": true}))
        )
    );
    let (records, _) = world
        .records
        .list(
            &ctx,
            "airports",
            &Page {
                filter: "iata = \"00M\"".into(),
                ..Page::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(
        records[0].fields,
        map(
            json!({"iata": "00M", "name": "Thigpen, \"T\"", "opened": "1990-01-31", "runways": 2, "latitude": 31.95, "id": 7})
        )
    );
    assert_eq!(records[0].creator, "users/00000000-0000-0000-0000-000000000007");
    let mut admin = world.superuser().await;
    assert_eq!(
        count(&mut admin, "SELECT count(*) FROM business.import_chunks").await,
        0
    );
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.changes").await, 2);
    assert_eq!(
        world.imports.get(&ctx, import.id).await.unwrap().state,
        ImportState::Succeeded
    );
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn wrong_rows_are_named_by_line_and_nothing_is_written() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    world.help_desk(&ctx).await;
    let person = world
        .records
        .create(&ctx, "people", &map(json!({"email": "taken@x"})), None)
        .await
        .unwrap();
    let import = upload(&world, &ctx, b"email,name\na@x,A\na@x,B\n,C\ntaken@x,D\n")
        .await
        .unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&import, "people", false), None)
        .await
        .unwrap();
    let failed = finish(&world, &ctx, &operation).await;
    assert_eq!(failed.state, State::Failed);
    let rows = failed.result.unwrap();
    let lines: Vec<_> = rows["rows"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            (
                row["line"].as_i64().unwrap(),
                row["column"].as_str().unwrap().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        lines,
        [
            (3, "email".to_owned()),
            (4, "email".to_owned()),
            (5, "email".to_owned())
        ]
    );
    let mut admin = world.superuser().await;
    assert_eq!(
        count(
            &mut admin,
            &format!("SELECT count(*) FROM {}.o_people", world.tenant(1).schema())
        )
        .await,
        1
    );
    drop(admin);
    // References by name or id, other formats, nulls, a column left out.
    let file = format!(
        "Title,Due,Owner,Priority,Junk\none,23.11.2026,{},n/a,x\ntwo,n/a,{},4,y\n",
        person.name(),
        person.id
    );
    let import = upload(&world, &ctx, file.as_bytes()).await.unwrap();
    let column = |header: &str, field_id: &str| Column {
        header: header.into(),
        field_id: field_id.into(),
        kind: FieldType::String,
        samples: vec![],
    };
    let mut chosen = start(&import, "tickets", false);
    chosen.columns = vec![
        column("Title", "title"),
        column("Due", "due"),
        column("Owner", "owner"),
        column("Priority", "priority"),
    ];
    chosen.dialect = Dialect {
        null_values: vec!["n/a".into()],
        date_formats: vec!["%d.%m.%Y".into()],
        timezone_offset: String::new(),
    };
    let done = finish(&world, &ctx, &world.imports.start(&ctx, &chosen, None).await.unwrap()).await;
    assert_eq!(done.state, State::Succeeded, "{:?}", done.result);
    let (records, _) = world
        .records
        .list(
            &ctx,
            "tickets",
            &Page {
                order_by: "title".into(),
                ..Page::default()
            },
        )
        .await
        .unwrap();
    assert_eq!(
        records[0].fields,
        map(json!({"title": "one", "status": "open", "owner": person.name(), "due": "2026-11-23"}))
    );
    assert_eq!(records[1].fields["priority"], json!(4));
    world.drop().await;
}

#[tokio::test]
async fn files_that_are_not_csv_are_refused_and_leave_nothing() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let wide = vec!["x"; 300].join(",");
    for (bad, says) in [
        (b"".as_slice(), "empty"),
        (b"a,b\n1\n", "line 2"),
        (b"a\n\xff\xfe\n", "UTF-8"),
        (b"a,a\n1,2\n", "twice"),
        (wide.as_bytes(), "200"),
        (b"a\nx\0y\n", "NUL"),
    ] {
        let refused = upload(&world, &ctx, bad).await.unwrap_err();
        assert_eq!(refused.reason(), Reason::ImportInvalid);
        assert!(refused.public().contains(says), "{says}: {}", refused.public());
    }
    let mut upload = world.imports.upload(&ctx, "big.csv").await.unwrap();
    assert_eq!(
        upload.chunk(vec![b'a'; 1024 * 1024 + 1]).await.unwrap_err().reason(),
        Reason::RequestTooLarge
    );
    upload.discard().await;
    let over = world.ctx_with(1, 1);
    world.help_desk(&over).await;
    let mut admin = world.superuser().await;
    run(
        &mut admin,
        "UPDATE business.imports SET create_time = now() - interval '2 days'",
    )
    .await;
    tenantry_business::jobs::janitor::run_once(&world.parts.store)
        .await
        .unwrap();
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.imports").await, 0);
    drop(admin);
    world.drop().await;
}

fn large(rows: usize) -> Vec<u8> {
    let mut text = String::from("n,name\n");
    for i in 0..rows {
        text.push_str(&format!("{i},name {i}\n"));
    }
    text.into_bytes()
}

async fn numbers(world: &World, ctx: &Ctx) {
    let mut n = Field::new("n", FieldType::Int64);
    n.unique = true;
    world
        .types
        .create(
            ctx,
            "numbers",
            &definition(vec![n, Field::new("name", FieldType::String)]),
            None,
        )
        .await
        .unwrap();
}

#[tokio::test]
async fn a_large_file_goes_in_batches_and_says_what_stayed() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    numbers(&world, &ctx).await;
    let import = upload(&world, &ctx, &large(50_001)).await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&import, "numbers", false), None)
        .await
        .unwrap();
    world
        .faults
        .arm(serde_json::from_value(json!({"point": "business.import.after_batch", "action": "error"})).unwrap());
    world.worker.run_once().await.unwrap();
    let mut admin = world.superuser().await;
    let rows = format!("SELECT count(*) FROM {}.o_numbers", world.tenant(1).schema());
    assert_eq!(count(&mut admin, &rows).await, 10_000);
    let stopped = world.operations.get(&ctx, operation.id).await.unwrap();
    assert_eq!(
        (stopped.state, stopped.done_units),
        (State::Failed, 10_000),
        "an armed error is permanent"
    );
    assert_eq!(
        count(&mut admin, "SELECT count(*) FROM business.import_chunks").await,
        0,
        "batches stayed, so the file cannot be started again"
    );
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn a_killed_worker_is_replaced_without_doubling_a_row() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    numbers(&world, &ctx).await;
    let import = upload(&world, &ctx, &large(60_500)).await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&import, "numbers", false), None)
        .await
        .unwrap();
    let rows = format!("SELECT count(*) FROM {}.o_numbers", world.tenant(1).schema());
    let mut admin = world.superuser().await;
    for round in 1..100 {
        let worker = world.worker.clone();
        let running = tokio::spawn(async move { worker.run_once().await });
        // Killed somewhere in the middle, wherever that is; later each time, or a slow machine would never get on.
        tokio::time::sleep(std::time::Duration::from_millis(400 * round)).await;
        running.abort();
        drop(running.await);
        run(
            &mut admin,
            "UPDATE business.operations SET next_time = now() WHERE state = 'running'",
        )
        .await;
        if world.operations.get(&ctx, operation.id).await.unwrap().state != State::Running {
            break;
        }
    }
    let done = finish(&world, &ctx, &operation).await;
    assert_eq!(
        (done.state, done.result),
        (
            State::Succeeded,
            Some(json!({"imported": 60_500, "one_transaction": false}))
        )
    );
    assert_eq!(count(&mut admin, &rows).await, 60_500);
    assert_eq!(count(&mut admin, "SELECT count(*) FROM business.changes").await, 60_500);
    assert_eq!(
        count(&mut admin, "SELECT sum(records)::int8 FROM business.usage").await,
        60_500
    );
    drop(admin);
    world.drop().await;
}

#[tokio::test]
async fn an_import_can_be_cancelled_and_respects_the_plan() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    numbers(&world, &ctx).await;
    let import = upload(&world, &ctx, &large(3_000)).await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&import, "numbers", false), None)
        .await
        .unwrap();
    world.operations.cancel(&ctx, operation.id, None).await.unwrap();
    let cancelled = finish(&world, &ctx, &operation).await;
    assert_eq!(cancelled.state, State::Cancelled);
    assert_eq!(
        world
            .operations
            .cancel(&world.ctx(2), operation.id, None)
            .await
            .unwrap_err()
            .reason(),
        Reason::NotFound
    );
    // Nothing was written, so it can be started again.
    let again = world
        .imports
        .start(&ctx, &start(&import, "numbers", false), None)
        .await
        .unwrap();
    let waited = world
        .operations
        .wait(&ctx, again.id, std::time::Duration::from_millis(100))
        .await
        .unwrap();
    assert_eq!(waited.state, State::Running);
    assert_eq!(finish(&world, &ctx, &again).await.state, State::Succeeded);
    let (operations, _) = world.operations.list(&ctx, 0, "").await.unwrap();
    assert_eq!(
        operations.iter().map(|operation| operation.id).collect::<Vec<_>>(),
        [again.id, operation.id]
    );
    let twice = upload(&world, &ctx, &large(3_000)).await.unwrap();
    let refused = finish(
        &world,
        &ctx,
        &world
            .imports
            .start(&ctx, &start(&twice, "numbers", false), None)
            .await
            .unwrap(),
    )
    .await;
    assert_eq!(
        (refused.state, refused.result.unwrap()["rows"].as_array().unwrap().len()),
        (State::Failed, 100)
    );
    world.drop().await;
}

#[tokio::test]
async fn a_plan_without_the_features_neither_imports_nor_grows_types() {
    let world = World::new().await;
    let (ctx, bare) = (world.ctx(1), world.ctx_bare(1));
    let import = upload(&world, &ctx, b"x\n1\n").await.unwrap();
    let refused = |outcome: Result<()>, feature: &str| {
        let error = outcome.unwrap_err();
        assert_eq!(error.reason(), Reason::FeatureNotInPlan, "{error}");
        assert!(error.public().contains(feature), "{error}");
    };
    refused(upload(&world, &bare, b"x\n1\n").await.map(drop), "import");
    for create in [true, false] {
        let started = world.imports.start(&bare, &start(&import, "made", create), None).await;
        refused(started.map(drop), "import");
    }
    // Importing alone is not enough to make a type.
    let mut only_import = (**bare.route().unwrap()).clone();
    only_import.features.insert("import".to_owned());
    let importer = bare.clone().with_route(std::sync::Arc::new(only_import));
    let started = world
        .imports
        .start(&importer, &start(&import, "made", true), None)
        .await;
    refused(started.map(drop), "custom_types");

    let field = |id: &str| Field::new(id, FieldType::Int64);
    world
        .types
        .create(&ctx, "made", &definition(vec![field("x")]), None)
        .await
        .unwrap();
    let grown = definition(vec![field("x"), field("y")]);
    let update = world
        .types
        .update(&bare, "made", &grown, &["fields".into()], "", None)
        .await;
    refused(update.map(drop), "custom_types");
    let named = tenantry_business::domain::object_type::Definition {
        display_name: "Made".to_owned(),
        ..grown
    };
    let update = world
        .types
        .update(&bare, "made", &named, &["display_name".into()], "", None)
        .await;
    assert_eq!(
        update.unwrap().fields().len(),
        1,
        "texts can change, and nothing else did"
    );
    // With both, the same file goes in.
    let operation = world
        .imports
        .start(&importer, &start(&import, "made", false), None)
        .await
        .unwrap();
    assert_eq!(finish(&world, &ctx, &operation).await.state, State::Succeeded);
    world.drop().await;
}
