//! What imports leave behind that came to nothing: files that must not block the next ones, and types made for them.

use crate::{
    imports::{finish, start, upload},
    world::{World, count, map, run},
};
use serde_json::json;
use tenantry_business::domain::import::ImportState;
use tenantry_kernel::Reason;
use tenantry_operations::State;

const WRONG: &[u8] = b"name,amount\na,1\nb,x\n";

async fn waiting(world: &World) -> i64 {
    count(&mut world.superuser().await, "SELECT count(*) FROM business.imports").await
}

#[tokio::test]
async fn the_type_of_an_import_that_wrote_nothing_goes_with_it() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let wrong = upload(&world, &ctx, WRONG).await.unwrap();
    let mut columns = wrong.columns.clone();
    columns[1].kind = tenantry_business::domain::FieldType::Int64;
    let mut first = start(&wrong, "things", true);
    first.columns = columns;
    let operation = world.imports.start(&ctx, &first, None).await.unwrap();
    assert!(world.types.get(&ctx, "things").await.is_ok());
    assert_eq!(finish(&world, &ctx, &operation).await.state, State::Failed);
    assert_eq!(
        world.types.get(&ctx, "things").await.unwrap_err().reason(),
        Reason::NotFound
    );

    // The same command with the corrected file.
    let right = upload(&world, &ctx, b"name,amount\na,1\nb,2\n").await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&right, "things", true), None)
        .await
        .unwrap();
    assert_eq!(finish(&world, &ctx, &operation).await.state, State::Succeeded);
    assert!(world.types.get(&ctx, "things").await.is_ok());
    world.drop().await;
}

#[tokio::test]
async fn a_type_that_somebody_uses_or_had_before_stays() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    let import = upload(&world, &ctx, b"name,amount\na,1\n").await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&import, "used", true), None)
        .await
        .unwrap();
    world.operations.cancel(&ctx, operation.id, None).await.unwrap();
    world
        .records
        .create(&ctx, "used", &map(json!({"name": "mine"})), None)
        .await
        .unwrap();
    assert_eq!(finish(&world, &ctx, &operation).await.state, State::Cancelled);
    assert!(world.types.get(&ctx, "used").await.is_ok(), "it has a record");

    let wrong = upload(&world, &ctx, WRONG).await.unwrap();
    let operation = world
        .imports
        .start(&ctx, &start(&wrong, "used", false), None)
        .await
        .unwrap();
    assert_eq!(finish(&world, &ctx, &operation).await.state, State::Failed);
    assert!(world.types.get(&ctx, "used").await.is_ok(), "it was there before");
    world.drop().await;
}

#[tokio::test]
async fn what_failed_or_broke_off_does_not_keep_others_out() {
    let world = World::new().await;
    let ctx = world.ctx(1);
    for _ in 0..51 {
        assert_eq!(
            upload(&world, &ctx, b"a,b\n1\n").await.unwrap_err().reason(),
            Reason::ImportInvalid
        );
    }
    assert_eq!(waiting(&world).await, 0, "a file that cannot be read leaves nothing");

    // Its caller hangs up: the task that received it is dropped in the middle.
    let mut broken = world.imports.upload(&ctx, "x.csv").await.unwrap();
    broken.chunk(b"a,b\n1,2\n".to_vec()).await.unwrap();
    drop(broken);
    while waiting(&world).await > 0 {}

    let import = upload(&world, &ctx, b"a,b\n1,2\n").await.unwrap();
    let mut admin = world.superuser().await;
    let copies = |state: ImportState, age: &str, many: u32| {
        format!(
            "INSERT INTO business.imports (tenant_id, id, filename, size_bytes, row_count, columns, state, creator, create_time) \
             SELECT tenant_id, gen_random_uuid(), filename, size_bytes, row_count, columns, '{}', creator, create_time - interval '{age}' \
             FROM business.imports CROSS JOIN generate_series(1, {many}) WHERE id = '{}'",
            state.as_str(),
            import.id
        )
    };
    run(&mut admin, &copies(ImportState::Failed, "1 minute", 60)).await;
    run(&mut admin, &copies(ImportState::Uploading, "1 hour", 60)).await;
    upload(&world, &ctx, b"a,b\n1,2\n").await.unwrap();
    assert_eq!(
        waiting(&world).await,
        22,
        "two files that wait, and the newest twenty that failed"
    );

    run(&mut admin, &copies(ImportState::Uploaded, "1 minute", 48)).await;
    assert_eq!(
        upload(&world, &ctx, b"a,b\n1,2\n").await.unwrap_err().reason(),
        Reason::QuotaExceeded
    );
    world.drop().await;
}
