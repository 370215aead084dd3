//! Tenants, plans and domains; the limits of a plan.

use super::{Machine, names};
use serde_json::{Value, json};
use tenantry_testkit::{World, eventually};
use tenantry_tests::{Member, Operator, unique};

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_makes_a_plan_and_takes_a_tenant_through_its_life() {
    let world = World::load();
    let (operator, machine) = (Operator::sign_in(&world).await, Machine::of_operator(&world));
    let (plan, slug) = (unique("p"), unique("ctlx"));
    let made = machine.json(&[
        "plans",
        "create",
        &plan,
        "--display-name",
        "Tiny",
        "--requests-per-second",
        "500",
        "--burst",
        "1000",
        "--members",
        "3",
        "--types",
        "1",
        "--records",
        "2",
        "--keys",
        "1",
        "--feature",
        "custom_types",
        "--feature",
        "custom_domain",
    ]);
    assert_eq!(made, operator.rest.get(&format!("/v1/plans/{plan}")).await.ok());
    let changed = machine.json(&["plans", "update", &plan, "--records", "3"]);
    assert_eq!(
        (&changed["limits"]["records"], &changed["limits"]["objectTypes"]),
        (&json!("3"), &json!(1))
    );
    assert_eq!(machine.json(&["plans", "get", &plan]), changed);
    assert!(names(&machine.json(&["plans", "list"]), "name").contains(&format!("plans/{plan}")));

    let email = format!("owner@{slug}.example");
    let made = machine.json(&[
        "tenants",
        "create",
        &slug,
        "--plan",
        &plan,
        "--admin-email",
        &email,
        "--wait",
    ]);
    let link = made["inviteUri"].as_str().expect("a link");
    let owner = Member::accept(&world, &world.host(&slug), &email, link).await;
    assert_eq!(machine.json(&["tenants", "get", &slug])["state"], "TENANT_STATE_ACTIVE");
    assert_eq!(
        names(&machine.json(&["tenants", "list", "--prefix", &slug]), "slug"),
        [slug.as_str()]
    );
    let renamed = machine.json(&["tenants", "update", &slug, "--display-name", "Renamed"]);
    assert_eq!(renamed, operator.rest.get(&format!("/v1/tenants/{slug}")).await.ok());
    machine
        .run(&["tenants", "create", &slug, "--admin-email", &email])
        .failed(5, "");

    let mut theirs = Machine::new(&world);
    theirs.login(&slug, &owner.email, &owner.password);
    limits(&theirs);
    domain(&theirs, &machine, &slug);
    life(&machine, &theirs, &slug).await;
}

/// The plan allows one type and three records.
fn limits(theirs: &Machine) {
    theirs.json(&["types", "create", "parts", "--field", "sku:string"]);
    theirs
        .run(&["types", "create", "more", "--field", "sku:string"])
        .failed(6, "QUOTA_EXCEEDED");
}

fn domain(theirs: &Machine, operator: &Machine, slug: &str) {
    let domain = format!("help.{slug}.example");
    let made = theirs.run(&["domains", "create", &domain]);
    assert!(made.err.contains(&format!("_tenantry-verify.{domain}")), "{}", made.err);
    made.ok();
    let list = theirs.json(&["domains", "list"]);
    assert_eq!(
        (list[0]["name"].as_str(), list[0]["state"].as_str()),
        (Some(format!("domains/{domain}").as_str()), Some("DOMAIN_STATE_PENDING"))
    );
    assert_eq!(
        operator.json(&["domains", "list", slug]),
        list,
        "pending, with its token"
    );
    let verified = operator.json(&["domains", "verify", slug, &domain]);
    assert_eq!(verified["state"], "DOMAIN_STATE_VERIFIED");
    assert_eq!(operator.json(&["domains", "list", slug]), json!([verified]));
    operator
        .run(&["domains", "list", "no-such-tenant"])
        .failed(3, "NOT_FOUND");
    theirs.run(&["domains", "list", slug]).failed(4, "PERMISSION_DENIED");
    theirs.run(&["domains", "delete", &domain]).failed(2, "--yes");
    theirs.run(&["domains", "delete", &domain, "--yes"]).ok();
    assert_eq!(theirs.json(&["domains", "list"]), json!([]));
}

async fn life(machine: &Machine, theirs: &Machine, slug: &str) {
    let state = |args: &[&str]| -> Value { machine.json(args)["state"].clone() };
    assert_eq!(
        state(&["tenants", "suspend", slug, "--reason", "unpaid"]),
        "TENANT_STATE_SUSPENDED"
    );
    eventually("the tenant is locked", || async {
        let ran = theirs.run(&["types", "list"]);
        if ran.code == 0 {
            Err("still served".to_owned())
        } else {
            Ok(ran.err)
        }
    })
    .await;
    assert_eq!(state(&["tenants", "resume", slug]), "TENANT_STATE_ACTIVE");
    let operation = machine.json(&["tenants", "suspend", slug, "--no-wait"]);
    let name = operation["name"].as_str().expect("an operation");
    assert!(name.starts_with("operations/registry-"), "{name}");
    assert_eq!(machine.json(&["operations", "wait", name])["done"], true);
    let of_registry = machine.json(&["operations", "list", "--service", "registry", "--limit", "0"]);
    assert!(names(&of_registry, "name").contains(&name.to_owned()));

    machine.run(&["tenants", "delete", slug]).failed(2, "--yes");
    assert_eq!(state(&["tenants", "delete", slug, "--yes"]), "TENANT_STATE_DELETED");
    let id = machine.json(&["tenants", "list", "--prefix", slug, "--show-deleted"])[0]["tenantId"].clone();
    let id = id.as_str().expect("an id");
    machine.json(&["tenants", "undelete", id]);
    machine
        .run(&["tenants", "delete", slug, "--purge", "--yes"])
        .failed(2, "--yes-destroy");
    machine
        .run(&["tenants", "delete", slug, "--purge", "--yes-destroy", "other"])
        .failed(2, "would be destroyed");
    machine.json(&["tenants", "delete", slug, "--purge", "--yes-destroy", slug]);
    machine
        .run(&["tenants", "get", "no-such-tenant"])
        .failed(3, "NOT_FOUND");
}
