//! Drafts, publications and the way back.

use crate::world::{World, no_key, operator};
use tenantry_kernel::{Ctx, Kind, Reason, ThemeMode};
use tenantry_registry::{
    app::{BrandingChange, Idempotency, Query},
    domain::{BrandingRevision, TenantName},
};

fn color(text: &str, etag: &str) -> BrandingChange {
    BrandingChange {
        primary_color: Some(text.to_owned()),
        etag: etag.to_owned(),
        ..BrandingChange::default()
    }
}

fn etag(version: i64) -> String {
    format!("\"{version}\"")
}

async fn history(world: &World, ctx: &Ctx) -> Vec<BrandingRevision> {
    let page = world.branding.revisions(ctx, "test/List", &Query::default()).await;
    page.expect("a page").items
}

#[tokio::test]
async fn a_draft_is_seen_by_its_editor_until_it_is_published_and_can_be_taken_back() {
    let world = World::new().await;
    let id = world.active("acme").await;
    world.routes.follow().await.expect("follows");
    let ctx = world.call(id).await;
    let app = &world.branding;
    let pushed = async || {
        world.routes.follow().await.expect("follows");
        world
            .call(id)
            .await
            .route()
            .expect("a route")
            .brand
            .primary_color
            .clone()
    };
    let first = pushed().await;
    let draft = app
        .update_draft(&ctx, color("#AA0011", ""), &no_key())
        .await
        .expect("saved");
    assert_eq!(draft.brand.primary_color, "#aa0011");
    assert_eq!(app.draft(&ctx).await.expect("the draft"), draft);
    assert_eq!(
        app.get(&ctx).await.expect("published").version,
        0,
        "nothing is published"
    );
    assert_eq!(pushed().await, first);
    assert!(history(&world, &ctx).await.is_empty());

    let published = app
        .publish(&ctx, &etag(draft.version), &no_key())
        .await
        .expect("published");
    assert_eq!(published.brand.primary_color, "#aa0011");
    assert_eq!(pushed().await, "#aa0011");
    let nothing = app.publish(&ctx, "", &no_key()).await.expect("no draft");
    assert_eq!(nothing, published, "without a draft nothing changes");

    let change = BrandingChange {
        theme_mode: Some(ThemeMode::Dark),
        display_name: Some("Anvils".into()),
        ..color("#00aa11", "")
    };
    app.update(&ctx, change, &no_key())
        .await
        .expect("updated and published at once");
    assert_eq!(pushed().await, "#00aa11");
    let seen = history(&world, &ctx).await;
    let colors: Vec<_> = seen.iter().map(|one| one.brand.primary_color.as_str()).collect();
    assert_eq!(colors, ["#00aa11", "#aa0011"], "newest first");
    let user = ctx.principal().user().expect("a user");
    assert!(seen.iter().all(|one| one.publisher == format!("users/{user}")));

    let back = app
        .rollback(&ctx, seen[1].revision, &no_key())
        .await
        .expect("rolled back");
    assert_eq!(
        (back.brand.primary_color.as_str(), back.brand.theme_mode),
        ("#aa0011", ThemeMode::Auto)
    );
    assert_eq!(pushed().await, "#aa0011");
    assert_eq!(
        history(&world, &ctx).await.len(),
        3,
        "a rollback is a revision of its own"
    );
    assert_eq!(app.draft(&ctx).await.expect("no draft").brand, back.brand);
    let missing = app.rollback(&ctx, 99, &no_key()).await.expect_err("no such revision");
    assert_eq!(missing.kind(), Kind::NotFound);
    world.drop().await;
}

#[tokio::test]
async fn nobody_publishes_over_what_they_have_not_seen() {
    let world = World::new().await;
    let ctx = world.call(world.active("acme").await).await;
    let app = &world.branding;
    let draft = app
        .update_draft(&ctx, color("#aa0011", ""), &no_key())
        .await
        .expect("saved");
    let read = etag(draft.version);
    app.update_draft(&ctx, color("#aa0022", &read), &no_key())
        .await
        .expect("saved");
    let stale = app.update_draft(&ctx, color("#aa0033", &read), &no_key()).await;
    assert_eq!(stale.expect_err("changed since").reason(), Reason::EtagMismatch);
    let stale = app.publish(&ctx, &read, &no_key()).await;
    assert_eq!(stale.expect_err("changed since").reason(), Reason::EtagMismatch);
    // Something else was published: the draft stays, its etag does not.
    let read = etag(app.draft(&ctx).await.expect("the draft").version);
    app.update(&ctx, color("#00ff00", ""), &no_key())
        .await
        .expect("published");
    assert_eq!(app.draft(&ctx).await.expect("kept").brand.primary_color, "#aa0022");
    let stale = app.publish(&ctx, &read, &no_key()).await;
    assert_eq!(stale.expect_err("published since").reason(), Reason::EtagMismatch);
    // An etag of a draft that was published never fits a later draft.
    let read = etag(app.draft(&ctx).await.expect("the draft").version);
    app.publish(&ctx, &read, &no_key()).await.expect("published");
    app.update_draft(&ctx, color("#123456", ""), &no_key())
        .await
        .expect("saved");
    let stale = app.publish(&ctx, &read, &no_key()).await;
    assert_eq!(stale.expect_err("another draft").reason(), Reason::EtagMismatch);
    world.drop().await;
}

#[tokio::test]
async fn a_discarded_draft_is_gone_and_what_is_published_stays() {
    let world = World::new().await;
    let ctx = world.call(world.active("acme").await).await;
    let app = &world.branding;
    let nothing = app.discard(&ctx, "", &no_key()).await.expect("no draft");
    assert_eq!(nothing.version, 0, "without a draft nothing changes");
    let published = app
        .update(&ctx, color("#00aa11", ""), &no_key())
        .await
        .expect("published");
    let draft = app
        .update_draft(&ctx, color("#aa0011", ""), &no_key())
        .await
        .expect("saved");
    let read = etag(draft.version);
    app.update_draft(&ctx, color("#aa0022", &read), &no_key())
        .await
        .expect("saved");
    let stale = app.discard(&ctx, &read, &no_key()).await;
    assert_eq!(stale.expect_err("changed since").reason(), Reason::EtagMismatch);
    assert_eq!(app.draft(&ctx).await.expect("kept").brand.primary_color, "#aa0022");

    let once = Idempotency::new("test/Discard", "k", b"").expect("a key");
    let shown = app.discard(&ctx, "", &once).await.expect("discarded");
    assert_eq!(shown.brand, published.brand);
    assert_eq!(app.draft(&ctx).await.expect("the published values"), shown);
    assert_eq!(app.get(&ctx).await.expect("published"), published);
    assert_eq!(history(&world, &ctx).await.len(), 1, "nothing was published");
    // What it answers is what the next draft is made from; an etag of the discarded one fits nothing any more.
    let stale = app
        .update_draft(&ctx, color("#bb0011", &etag(draft.version + 1)), &no_key())
        .await;
    assert_eq!(stale.expect_err("another draft").reason(), Reason::EtagMismatch);
    app.update_draft(&ctx, color("#bb0011", &etag(shown.version)), &no_key())
        .await
        .expect("saved");
    // Repeated, it is still one: the draft that was begun since stays.
    assert_eq!(app.discard(&ctx, "", &once).await.expect("replayed"), shown);
    assert_eq!(app.draft(&ctx).await.expect("a draft").brand.primary_color, "#bb0011");
    world.drop().await;
}

#[tokio::test]
async fn a_repeated_publication_is_one_and_two_at_once_are_in_order() {
    let world = World::new().await;
    let ctx = world.call(world.active("acme").await).await;
    let app = &world.branding;
    app.update_draft(&ctx, color("#aa0011", ""), &no_key())
        .await
        .expect("saved");
    let once = Idempotency::new("test/Publish", "k", b"").expect("a key");
    let first = app.publish(&ctx, "", &once).await.expect("published");
    app.update_draft(&ctx, color("#bb0011", ""), &no_key())
        .await
        .expect("saved");
    assert_eq!(app.publish(&ctx, "", &once).await.expect("replayed"), first);
    assert_eq!(app.draft(&ctx).await.expect("a draft").brand.primary_color, "#bb0011");
    let key = no_key();
    let (a, b) = tokio::join!(
        app.update(&ctx, color("#cc0011", ""), &key),
        app.update(&ctx, color("#dd0011", ""), &key)
    );
    a.expect("one");
    b.expect("the other");
    let revisions: Vec<_> = history(&world, &ctx).await.iter().map(|one| one.revision).collect();
    assert_eq!(revisions, [3, 2, 1]);
    world.drop().await;
}

#[tokio::test]
async fn one_tenant_never_meets_anothers_drafts_or_history_and_a_purge_removes_both() {
    let world = World::new().await;
    let (acme, globex) = (world.active("acme").await, world.active("globex").await);
    let (a, b) = (world.call(acme).await, world.call(globex).await);
    let app = &world.branding;
    app.update(&a, color("#aa0011", ""), &no_key())
        .await
        .expect("published");
    app.update(&a, color("#aa0022", ""), &no_key())
        .await
        .expect("published");
    app.update_draft(&a, color("#aa0033", ""), &no_key())
        .await
        .expect("saved");
    assert_eq!(app.draft(&b).await.expect("nothing").version, 0);
    assert!(history(&world, &b).await.is_empty());
    app.discard(&b, "", &no_key()).await.expect("nothing of B's");
    assert_eq!(app.draft(&a).await.expect("A's").brand.primary_color, "#aa0033");
    let foreign = app.rollback(&b, 1, &no_key()).await.expect_err("A's");
    assert_eq!(foreign.kind(), Kind::NotFound);

    let mut conn = world.connect("tenantry_registry").await;
    for table in ["branding_drafts", "branding_revisions"] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT 1 FROM registry.{table}"));
        let rows = sqlx::query(sql).fetch_all(&mut conn).await.expect("may ask");
        assert!(rows.is_empty(), "{table} without a context");
    }
    let rewritten = sqlx::query("UPDATE registry.branding_revisions SET publisher = 'x'")
        .execute(&mut conn)
        .await;
    let code = rewritten.expect_err("history stays").into_database_error();
    assert_eq!(
        code.and_then(|e| e.code().map(std::borrow::Cow::into_owned)).as_deref(),
        Some("42501")
    );

    let left =
        "SELECT (SELECT count(*) FROM registry.branding_drafts) + (SELECT count(*) FROM registry.branding_revisions)";
    assert_eq!(world.count(left).await, 3);
    let name = TenantName::Id(acme);
    world
        .tenants
        .delete(&operator(), &name, "", true, &no_key())
        .await
        .expect("purges");
    world.settle().await;
    assert_eq!(world.count(left).await, 0);
    world.drop().await;
}

#[tokio::test]
async fn history_is_read_in_pages() {
    let world = World::new().await;
    let ctx = world.call(world.active("acme").await).await;
    for n in 0..5 {
        let change = color(&format!("#00000{n}"), "");
        world.branding.update(&ctx, change, &no_key()).await.expect("published");
    }
    let (mut token, mut seen) = (String::new(), Vec::new());
    loop {
        let query = Query {
            page_size: 2,
            page_token: token,
        };
        let page = world
            .branding
            .revisions(&ctx, "test/List", &query)
            .await
            .expect("a page");
        seen.extend(page.items.iter().map(|one| one.revision));
        token = page.next;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(seen, [5, 4, 3, 2, 1]);
    world.drop().await;
}
