//! Names that would leave their collection; contexts that do not fit; what a wrong command line is told.

use super::{
    BIN, Desk, Ran,
    stub::{Answer, Stub},
};
use serde_json::json;
use std::fs;

fn anything() -> Desk {
    Desk::new(Stub::new(|_, _| Answer::Json(200, json!({}))))
}

#[test]
fn a_name_that_leaves_its_collection_is_refused_before_anything_is_sent() {
    let desk = anything();
    for args in [
        &["records", "delete", "objectTypes/zzz/../victim", "--yes"][..],
        &["records", "delete", "victim", "--yes"],
        &["records", "get", "objectTypes/victim"],
        &["records", "get", "victim/.."],
        &["records", "update", "victim/..", "--set", "a=b"],
        &["records", "list", ".."],
        &["records", "create", "../users", "--set", "a=b"],
        &["keys", "revoke", "apiKeys/../users/1", "--yes"],
        &["keys", "get", ""],
        &["members", "delete", "users/..", "--yes"],
        &["members", "disable", "../apiKeys/1"],
        &["members", "set-role", "users/1/x", "owner"],
        &["tenants", "get", "../plans"],
        &["tenants", "suspend", "."],
        &["tenants", "delete", "..", "--purge", "--yes-destroy", ".."],
        &["tenants", "update", "tenants/", "--plan", "free"],
        &["types", "delete", "..", "--force", "--yes"],
        &["types", "get", "../users"],
        &["sessions", "revoke", "sessions/../x"],
        &["domains", "delete", "../users/1", "--yes"],
        &["domains", "list", ".."],
        &["domains", "verify", "..", "help.acme.example"],
        &["domains", "verify", "acme", ".."],
        &["backups", "delete", "snapshots/../x", "--yes"],
        &["backups", "restore", "..", "--in-place", "--yes"],
        &["backups", "verify", "."],
        &["plans", "get", "../tenants"],
        &["plans", "update", "..", "--records", "1"],
        &["operations", "get", "../users"],
        &["operations", "cancel", ".."],
        &["operations", "wait", "operations/a/b"],
        &["export", ".."],
    ] {
        desk.run(args).failed(2, "error:");
        assert_eq!(desk.server.lines(), Vec::<String>::new(), "{args:?}");
    }
    desk.run(&["records", "delete", "parts/1", "--yes"]).ok();
    assert_eq!(desk.server.lines(), ["DELETE /v1/objectTypes/parts/records/1"]);
}

#[test]
fn what_a_name_does_is_not_asked_where_the_name_is_wrong() {
    let desk = anything();
    for args in [
        &["records", "delete", "victim"][..],
        &["keys", "revoke", ".."],
        &["tenants", "delete", "../plans"],
        &["types", "delete", ".."],
        &["members", "delete", ".."],
        &["domains", "delete", ".."],
        &["backups", "delete", ".."],
        &["backups", "restore", "..", "--in-place"],
    ] {
        let ran = desk.run(args);
        ran.failed(2, "is not a name like");
        assert!(!ran.err.contains("--yes"), "{}", ran.err);
    }
}

#[test]
fn a_context_that_does_not_fit_is_refused_before_anything_is_sent() {
    let desk = anything();
    let bare = |args: &[&str], env: &[(&str, &str)]| {
        let mut command = desk.bare(BIN);
        Ran::of(&command.args(args).envs(env.iter().copied()).output().expect("it runs"))
    };
    let url = desk.server.url.clone();
    for (context, tenant) in [("prod", "acme"), ("lab", "globex")] {
        let set = [
            "context",
            "set",
            context,
            "--server",
            &url,
            "--tenant",
            tenant,
            "--api-key-file",
            "api.key",
        ];
        bare(&set, &[]).ok();
    }
    let key = ["--api-key-file", "api.key"];
    let types = ["types", "delete", "parts", "--yes"];
    for (args, env) in [
        (&["--context", "prod", "--tenant", "globex"][..], &[][..]),
        (&["--context", "prod", "--server", "http://127.0.0.1:1"], &[]),
        (&["--tenant", "globex"], &[("TENANTCTL_CONTEXT", "prod")]),
        (&["--server", "http://127.0.0.1:1"], &[("TENANTCTL_CONTEXT", "prod")]),
    ] {
        bare(&[args, &types].concat(), env).failed(2, "the context prod is of tenant acme at http");
        bare(&[args, &key, &types].concat(), env).failed(2, "the context prod is of tenant acme at http");
        assert_eq!(desk.server.lines(), Vec::<String>::new(), "{args:?}");
    }
    bare(&[&["--context", "lab", "--tenant", "globex"], &types[..]].concat(), &[]).ok();
    let asked = desk.server.asked().remove(0);
    assert!(asked.headers.contains("host: globex.localhost"), "{}", asked.headers);
}

#[test]
fn a_wrong_command_line_is_told_what_would_be_right() {
    let desk = anything();
    let restore = desk.run(&["backups", "restore", "snapshots/1"]);
    restore.failed(2, "--in-place");
    assert!(restore.err.contains("--new-tenant <SLUG>"), "{}", restore.err);
    let both = ["backups", "restore", "snapshots/1", "--in-place", "--new-tenant", "x"];
    desk.run(&both).failed(2, "cannot be used with");
    let purge = desk.run(&["tenants", "delete", "acme", "--purge", "--yes"]);
    purge.failed(
        2,
        "Confirm it with --yes-destroy acme (--yes is not enough for a purge)",
    );
    assert!(!purge.err.contains("with --yes."), "{}", purge.err);
    let long = ["keys", "create", "x", "--scope", "a", "--expires-in-days", "4294967295"];
    desk.run(&long).failed(2, "1..=365");
    assert_eq!(desk.server.lines(), Vec::<String>::new());
}

#[test]
fn an_api_key_without_the_scope_is_told_which_it_needs() {
    let problem = json!({"detail": "You need the permission x.", "metadata": {"scope": "types.write"}});
    let desk = Desk::new(Stub::new(move |_, _| Answer::Json(403, problem.clone())));
    desk.run(&["types", "list"])
        .failed(4, "an API key needs the scope types.write");
    fs::write(desk.path("api.key"), "").expect("written");
    desk.run(&["types", "list"]).failed(2, "api.key is empty");
}
