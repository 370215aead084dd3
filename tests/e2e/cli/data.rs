//! Types, records, import, export, operations.

use super::{Machine, names};
use serde_json::{Value, json};
use sqlx::{AssertSqlSafe, PgPool};
use std::fs;
use tenantry_testkit::eventually;

#[tokio::test(flavor = "multi_thread")]
async fn types_are_made_from_fields_and_files_changed_and_removed() {
    let (_, _, tenant, machine) = Machine::of_owner("ctlt").await;
    let made = machine.json(&[
        "types",
        "create",
        "parts",
        "--display-name",
        "Parts",
        "--field",
        "sku:string:required,unique,max=40",
        "--field",
        "state:enum=new|used:indexed",
        "--field",
        "price:decimal:scale=2",
    ]);
    assert_eq!(made, tenant.rest().get("/v1/objectTypes/parts").await.ok());
    assert_eq!(made["fields"][0]["maxLength"], 40);
    machine.json(&[
        "types",
        "update",
        "parts",
        "--field",
        "weight:double",
        "--display-name",
        "Spares",
    ]);
    let changed = machine.json(&["types", "get", "parts"]);
    assert_eq!(
        (
            changed["displayName"].as_str(),
            changed["fields"].as_array().map(Vec::len)
        ),
        (Some("Spares"), Some(4))
    );

    let file = machine.file("parts.json", &changed.to_string());
    let copy = machine.json(&["types", "create", "copies", "--file", &file]);
    assert_eq!(copy["fields"], changed["fields"]);
    assert_eq!(
        machine.run(&["types", "list", "-o", "name"]).ok(),
        "objectTypes/copies\nobjectTypes/parts\n"
    );
    machine
        .run(&["types", "create", "parts", "--field", "a:string"])
        .failed(5, "ALREADY_EXISTS");
    machine
        .run(&["types", "create", "x", "--field", "a:words"])
        .failed(2, "no kind of field");
    machine
        .run(&["types", "update", "parts"])
        .failed(2, "nothing to change");

    machine.json(&["records", "create", "parts", "--set", "sku=A"]);
    machine.run(&["types", "delete", "parts"]).failed(2, "--yes");
    machine.run(&["types", "delete", "parts", "--yes"]).failed(5, "");
    assert_eq!(
        machine.json(&["types", "delete", "parts", "--force", "--yes"]),
        json!({})
    );
    machine.run(&["types", "get", "parts"]).failed(3, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn records_are_written_with_the_types_of_their_fields() {
    let (_, _, tenant, machine) = Machine::of_owner("ctld").await;
    tenant.help_desk().await;
    let made = machine.json(&[
        "records",
        "create",
        "tickets",
        "--set",
        "title=42",
        "--set",
        "priority=7",
        "--set",
        "ratio=0.5",
        "--set",
        "cost=1.50",
        "--set",
        "urgent=true",
        "--set",
        "extra={\"a\":[1]}",
        "--set",
        "status=open",
    ]);
    let name = made["name"].as_str().expect("a name").to_owned();
    let path = format!("/v1/{name}");
    assert_eq!(made, tenant.rest().get(&path).await.ok());
    assert_eq!(
        (&made["fields"]["title"], &made["fields"]["ratio"]),
        (&json!("42"), &json!(0.5))
    );
    assert_eq!(
        (&made["fields"]["cost"], &made["fields"]["extra"]),
        (&json!("1.50"), &json!({"a": [1]}))
    );

    let short = name.replace("objectTypes/", "").replace("/records/", "/");
    let etag = made["etag"].as_str().expect("an etag");
    let changed = machine.json(&[
        "records",
        "update",
        &short,
        "--set",
        "priority=8",
        "--unset",
        "ratio",
        "--etag",
        etag,
    ]);
    assert_eq!(
        (changed["fields"]["title"].as_str(), changed["fields"].get("ratio")),
        (Some("42"), None)
    );
    let stale = ["records", "update", &short, "--set", "priority=9", "--etag", etag];
    machine.run(&stale).failed(5, "ETAG_MISMATCH");
    machine
        .run(&["records", "update", &short, "--set", "priority=many"])
        .failed(2, "not a value");
    machine
        .run(&["records", "update", &short, "--set", "nothing=1"])
        .failed(2, "has no field 'nothing'");
    machine.run(&["records", "update", &short]).failed(2, "required");

    let second = machine.feed(
        &["-o", "json", "records", "create", "tickets", "--file", "-"],
        "{\"fields\": {\"title\": \"b\"}}",
    );
    let second = second.json()["name"].as_str().expect("a name").to_owned();
    let listed = machine.json(&["records", "list", "tickets", "--filter", "priority >= 8"]);
    assert_eq!(names(&listed, "name"), [name.as_str()]);
    let two = machine
        .run(&["records", "list", "tickets", "--order-by", "title desc", "-o", "name"])
        .ok();
    assert_eq!(two, format!("{second}\n{name}\n"));
    assert_eq!(
        machine
            .json(&["records", "list", "tickets", "--limit", "1"])
            .as_array()
            .map(Vec::len),
        Some(1)
    );
    machine
        .run(&["records", "list", "tickets", "--filter", "priority ~ 8"])
        .failed(1, "INVALID_FILTER");
    machine.run(&["records", "delete", &second]).failed(2, "--yes");
    machine.run(&["records", "delete", &second, "--yes"]).ok();
    machine.run(&["records", "get", &second]).failed(3, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_watched_and_taken_up_again() {
    let (_, _, tenant, machine) = Machine::of_owner("ctlw").await;
    tenant.help_desk().await;
    machine
        .run(&["records", "watch", "tickets", "--count", "1", "--timeout", "1"])
        .failed(124, "not enough changes");
    let watched = std::thread::scope(|scope| {
        let watcher = scope.spawn(|| {
            machine.run(&[
                "-o",
                "json",
                "records",
                "watch",
                "tickets",
                "--count",
                "1",
                "--timeout",
                "60",
            ])
        });
        // Until the watcher has seen one: it begins at now, whenever that is.
        while !watcher.is_finished() {
            let made = machine.run(&["records", "create", "tickets", "--set", "title=seen"]);
            assert_eq!(made.code, 0, "{}", made.err);
        }
        watcher.join().expect("it ran")
    });
    let line = watched.ok();
    let message: Value = serde_json::from_str(line.lines().next().expect("a line")).expect("JSON");
    assert_eq!(message["changes"][0]["record"]["fields"]["title"], "seen");
    let resume = message["resumeToken"].as_str().expect("a token");
    machine
        .run(&["records", "create", "tickets", "--set", "title=later"])
        .ok();
    let table = machine
        .run(&[
            "records",
            "watch",
            "--resume",
            resume,
            "--count",
            "1",
            "--timeout",
            "60",
        ])
        .ok();
    assert!(
        table.contains("created") && table.contains("objectTypes/tickets/records/"),
        "{table}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_exported_can_be_imported_again() {
    let (_, _, _, machine) = Machine::of_owner("ctle").await;
    let fields = [
        "--field",
        "name:string:max=100",
        "--field",
        "price:decimal:scale=2",
        "--field",
        "note:text",
    ];
    machine.json(&[&["types", "create", "goods"][..], &fields].concat());
    machine.json(&[&["types", "create", "copies"][..], &fields].concat());
    let csv = "name,price,note\nBelt,9.50,\"two\nlines, and a comma\"\nClip,0.05,\n\"a \"\"b\"\"\",1.00,x\n";
    let file = machine.file("goods.csv", csv);
    let preview = machine.json(&["import", &file, "--type", "goods", "--preview"]);
    assert_eq!(
        (preview["rowCount"].as_str(), preview["columns"][1]["header"].as_str()),
        (Some("3"), Some("price"))
    );
    assert_eq!(machine.json(&["records", "list", "goods"]), json!([]));
    assert_eq!(
        machine.json(&["import", &file, "--type", "goods"])["importedCount"],
        "3"
    );

    let out = machine.home.join("out.csv");
    let to = out.to_str().expect("a plain path");
    machine.run(&["export", "goods", "--file", to]).ok();
    let exported = fs::read_to_string(&out).expect("a file");
    assert_eq!(exported, csv);
    machine.run(&["export", "goods", "--file", to]).failed(5, "--force");
    machine.run(&["export", "goods", "--file", to, "--force"]).ok();
    machine.run(&["import", to, "--type", "copies"]).ok();
    let values = |of: &str| -> Vec<Value> {
        let records = machine.json(&["records", "list", of, "--order-by", "name"]);
        records
            .as_array()
            .expect("a list")
            .iter()
            .map(|record| record["fields"].clone())
            .collect()
    };
    assert_eq!(values("goods"), values("copies"));

    let lines = machine.run(&["export", "goods", "--format", "ndjson"]).ok();
    let listed = machine.json(&["records", "list", "goods", "--limit", "0"]);
    let parsed: Vec<Value> = lines
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(json!(parsed), listed);
    assert_eq!(machine.run(&["export", "goods", "--format", "json"]).json(), listed);
    let some = machine.run(&["export", "goods", "--filter", "name = \"Clip\""]).ok();
    assert_eq!(some, "name,price,note\nClip,0.05,\n");
    machine.run(&["export", "nothing"]).failed(3, "NOT_FOUND");
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_rows_are_named_with_their_lines_and_operations_can_be_asked_about() {
    let (_, _, _, machine) = Machine::of_owner("ctlo").await;
    machine.json(&[
        "types",
        "create",
        "goods",
        "--field",
        "name:string:required",
        "--field",
        "price:int64",
    ]);
    let file = machine.file("goods.csv", "name,price\nBelt,1\nClip,many\n,3\n");
    let wrong = machine.run(&["import", &file, "--type", "goods", "--column", "price=FIELD_TYPE_INT64"]);
    assert_eq!((wrong.code, wrong.out.as_str()), (1, ""), "{}", wrong.err);
    assert!(
        wrong.err.contains("line 3") && wrong.err.contains("line 4"),
        "{}",
        wrong.err
    );
    assert_eq!(machine.json(&["records", "list", "goods"]), json!([]));

    let file = machine.file("more.csv", "name,price\nBelt,1\n");
    let started = machine.json(&["import", &file, "--type", "goods", "--no-wait"]);
    let name = started["name"].as_str().expect("an operation");
    assert!(name.starts_with("operations/business-"), "{name}");
    let done = machine.json(&["operations", "wait", name]);
    assert_eq!(
        (&done["done"], &done["response"]["importedCount"]),
        (&json!(true), &json!("1"))
    );
    assert_eq!(machine.json(&["operations", "get", name]), done);
    let listed = machine.json(&["operations", "list", "--service", "business"]);
    assert_eq!(listed.as_array().map(Vec::len), Some(2), "{listed}");
    // It is over: what there is to cancel is nothing, and it stays as it is.
    machine.run(&["operations", "cancel", name]).ok();
    assert_eq!(machine.json(&["operations", "get", name]), done);
    let missing = "operations/business-0193a1b2-0000-7000-8000-000000000000";
    machine.run(&["operations", "get", missing]).failed(3, "NOT_FOUND");
    machine.run(&["operations", "cancel", missing]).failed(3, "NOT_FOUND");
}

/// The import is stopped in the middle of writing: it waits for a lock on its table that the test holds, until it has been
/// cancelled. Were the wait too long for it, it would be tried again, and end the same way.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_that_runs_is_cancelled_and_writes_nothing() {
    let (world, _, tenant, machine) = Machine::of_owner("ctlu").await;
    machine.json(&["types", "create", "goods", "--field", "name:string"]);
    let file = machine.file("goods.csv", &format!("name\n{}", "Belt\n".repeat(3_000)));
    let pool = PgPool::connect(&world.db.superuser["tenantry_data"])
        .await
        .expect("superuser");
    let table = format!("t_{}.o_goods", tenant.id.replace('-', ""));
    let mut held = pool.begin().await.expect("a transaction");
    let lock = format!("LOCK TABLE {table} IN SHARE MODE");
    sqlx::query(AssertSqlSafe(lock))
        .execute(&mut *held)
        .await
        .expect("held");

    let started = machine.json(&["import", &file, "--type", "goods", "--no-wait"]);
    let name = started["name"].as_str().expect("an operation");
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE relation = '{table}'::regclass AND mode = 'RowExclusiveLock' AND NOT granted"
    );
    eventually("the import is about to write", || async {
        let found: i64 = sqlx::query_scalar(AssertSqlSafe(waiting.clone()))
            .fetch_one(&pool)
            .await
            .expect("a count");
        if found == 1 { Ok(()) } else { Err(found) }
    })
    .await;
    let running = machine.json(&["operations", "get", name]);
    assert!(
        running["done"] != json!(true) && running["metadata"]["step"] == "apply",
        "{running}"
    );
    machine.run(&["operations", "cancel", name]).ok();
    held.rollback().await.expect("let go");

    machine.run(&["operations", "wait", name]).failed(1, "CANCELLED");
    let ended = machine.json(&["operations", "get", name]);
    assert_eq!(
        (&ended["done"], &ended["error"]["details"][0]["reason"]),
        (&json!(true), &json!("CANCELLED")),
        "{ended}"
    );
    assert_eq!(machine.json(&["records", "list", "goods"]), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_cannot_reach_another_collection() {
    let (_, _, tenant, machine) = Machine::of_owner("ctly").await;
    machine.json(&["types", "create", "victim", "--field", "name:string"]);
    for args in [
        &["records", "delete", "objectTypes/zzz/../victim", "--yes"][..],
        &["keys", "revoke", &format!("apiKeys/../{}", tenant.owner.name), "--yes"],
        &["sessions", "revoke", "../plans"],
        &["members", "get", "../plans"],
    ] {
        machine.run(args).failed(2, "is not a name like");
    }
    machine.json(&["types", "get", "victim"]);
    machine.json(&["members", "get", &tenant.owner.name]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_list_from_a_pipe_is_whole_for_programs_and_a_page_for_people() {
    let (_, _, _, machine) = Machine::of_owner("ctlq").await;
    machine.json(&["types", "create", "goods", "--field", "name:string"]);
    let csv = format!("name\n{}", "Belt\n".repeat(60));
    let import = ["-o", "json", "import", "-", "--type", "goods"];
    assert_eq!(machine.feed(&import, &csv).json()["importedCount"], "60");
    let all = machine.json(&["records", "list", "goods"]);
    assert_eq!(all.as_array().map(Vec::len), Some(60));
    let table = machine.run(&["records", "list", "goods"]);
    assert!(table.err.contains("--limit 0"), "{}", table.err);
    assert_eq!(table.ok().lines().count(), 51);
    let exact = machine.run(&["records", "list", "goods", "--limit", "60"]);
    assert_eq!((exact.err.as_str(), exact.out.lines().count()), ("", 61));
}
