//! Formats, terminals, completions, man pages, the command line itself.

use super::{Machine, piped};
use std::{fs, process::Command};
use tenantry_testkit::World;

#[tokio::test(flavor = "multi_thread")]
async fn json_is_what_rest_answers_and_the_other_formats_say_the_same() {
    let (_, _, tenant, machine) = Machine::of_owner("ctlj").await;
    tenant.help_desk().await;
    tenant.ticket("no: # \"yaml\"").await;
    let rest = tenant.rest();
    for (args, path, items) in [
        (&["types", "list"][..], "/v1/objectTypes", "objectTypes"),
        (
            &["records", "list", "tickets"],
            "/v1/objectTypes/tickets/records",
            "records",
        ),
        (&["members", "list"], "/v1/users", "users"),
        (&["keys", "list"], "/v1/apiKeys", "apiKeys"),
        (&["domains", "list"], "/v1/domains", "domains"),
        (
            &["operations", "list", "--service", "business"],
            "/v1/operations",
            "operations",
        ),
    ] {
        let mut answer = rest.get(path).await.ok();
        let items = match answer[items].take() {
            serde_json::Value::Null => serde_json::json!([]),
            items => items,
        };
        assert_eq!(machine.json(args), items, "{args:?}");
    }
    for (args, path) in [
        (&["types", "get", "tickets"][..], "/v1/objectTypes/tickets"),
        (&["branding", "get"], "/v1/branding"),
        (
            &["members", "get", &tenant.owner.name],
            &format!("/v1/{}", tenant.owner.name),
        ),
    ] {
        assert_eq!(machine.json(args), rest.get(path).await.ok(), "{args:?}");
    }
    let yaml = machine.run(&["-o", "yaml", "types", "get", "people"]).ok();
    assert!(
        yaml.contains("name: objectTypes/people\n") && yaml.contains("required: true"),
        "{yaml}"
    );
    let narrow = machine.run(&["members", "list"]).ok();
    let wide = machine.run(&["members", "list", "-o", "wide"]).ok();
    assert!(!narrow.contains("users/") && wide.contains("users/"), "{wide}");
}

/// The table has these titles and a row for each item of the JSON, the YAML has as many items.
fn says_the_same(machine: &Machine, list: &[&str], titles: &str) {
    let items = machine.json(list).as_array().map_or(0, Vec::len);
    assert!(items > 0, "{list:?} shows nothing");
    let table = machine.run(list).ok();
    let words: Vec<&str> = table.lines().next().unwrap_or_default().split_whitespace().collect();
    assert_eq!(
        (words.join(" ").as_str(), table.lines().count()),
        (titles, items + 1),
        "{table}"
    );
    let yaml = machine.run(&[&["-o", "yaml"], list].concat()).ok();
    let begun = yaml.lines().filter(|line| line.starts_with("- ")).count();
    assert_eq!(begun, items, "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_and_yaml_list_as_many_as_json() {
    let (world, _, tenant, machine) = Machine::of_owner("ctlg").await;
    tenant.help_desk().await;
    let domain = format!("help.{}.example", tenant.slug);
    machine.run(&["domains", "create", &domain]).ok();
    machine
        .run(&["keys", "create", "nightly", "--scope", "types.read"])
        .ok();
    for (list, titles) in [
        (["types", "list"], "TYPE NAME FIELDS CREATED"),
        (["members", "list"], "EMAIL NAME ROLE STATE CREATED"),
        (["keys", "list"], "KEY NAME SCOPES EXPIRES LAST USED"),
        (["domains", "list"], "DOMAIN STATE TXT VALUE CREATED"),
        (["sessions", "list"], "SESSION CLIENT SINCE LAST USED ENDS"),
        (["context", "list"], "NAME CURRENT SERVER TENANT EMAIL"),
    ] {
        says_the_same(&machine, &list, titles);
    }
    let operator = Machine::of_operator(&world);
    says_the_same(&operator, &["services", "list"], "SERVICE READY SINCE PROBLEM");
    // Other tests make plans meanwhile: no count, but one that is always there.
    let table = operator.run(&["plans", "list"]).ok();
    assert!(table.starts_with("PLAN ") && table.contains("\nplans/free "), "{table}");
    let yaml = operator.run(&["plans", "list", "-o", "yaml"]).ok();
    assert!(yaml.contains("name: plans/free\n"), "{yaml}");
}

#[tokio::test(flavor = "multi_thread")]
async fn colours_and_bars_are_for_terminals_only() {
    let (_, _, _, machine) = Machine::of_owner("ctlb").await;
    machine.json(&["types", "create", "goods", "--field", "name:string"]);
    let file = machine.file("goods.csv", &format!("name\n{}", "x\n".repeat(2_000)));
    let import = ["import", file.as_str(), "--type", "goods"];
    let ran = machine.run(&import);
    // Nothing but the name by which the operation can be found again.
    assert!(
        ran.err.starts_with("operations/business-")
            && ran.err.ends_with(" has begun.\n")
            && ran.err.lines().count() == 1,
        "{}",
        ran.err
    );
    // The upload's bar at its end. The import's own has little to show before all is done: cli/tests/client/operations.rs.
    let shown = machine.on_terminal(&import, ("", ""), &[]);
    assert!(
        shown.code == 0 && shown.out.contains('\u{1b}') && shown.out.contains("\u{2588} 3.91 KiB/3.91 KiB"),
        "no bar: {}",
        shown.out
    );

    let missing = ["types", "get", "nothing"];
    let shown = machine.on_terminal(&missing, ("", ""), &[]);
    assert!(shown.code == 3 && shown.out.contains("\u{1b}[31m"), "{}", shown.out);
    let shown = machine.on_terminal(&missing, ("", ""), &[("NO_COLOR", "1")]);
    assert!(shown.code == 3 && !shown.out.contains("\u{1b}["), "{}", shown.out);
    let help = machine.on_terminal(&["--help"], ("", ""), &[("NO_COLOR", "1")]);
    assert!(!help.out.contains("\u{1b}["), "{}", help.out);
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let machine = Machine::new(&World::load());
    let line = format!(
        "'{}' reference | head -1; exit ${{PIPESTATUS[0]}}",
        machine.bin.display()
    );
    let ran = piped(Command::new("bash").args(["-c", &line]), "");
    assert_eq!(
        (ran.code, ran.out.as_str(), ran.err.as_str()),
        (0, "# `tenantctl`\n", "")
    );
}

#[test]
fn the_command_line_says_what_is_wrong_with_it() {
    let machine = Machine::new(&World::load());
    for args in [
        &["no-such-noun"][..],
        &["records"],
        &["records", "list"],
        &["-o", "xml", "plans", "list"],
        &["login", "--email", "a@b.example", "--password", "in the arguments"],
        &["keys", "create", "x"],
        &["backups", "restore", "snapshots/1"],
        &["backups", "restore", "snapshots/1", "--in-place", "--new-tenant", "x"],
    ] {
        let ran = machine.run(args);
        assert!(
            ran.err.contains("Usage:") || ran.err.contains("try '--help'"),
            "{}",
            ran.err
        );
        ran.failed(2, "");
    }
    assert!(machine.run(&["--version"]).ok().starts_with("tenantctl "));
}

/// Every command with its words, from the help of each: what a person would find.
fn commands(machine: &Machine, path: &[String], into: &mut Vec<Vec<String>>) {
    let mut args: Vec<&str> = path.iter().map(String::as_str).collect();
    args.push("--help");
    let help = machine.run(&args).ok();
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let nouns: Vec<String> = listed
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.strip_prefix("  ")?.split_whitespace().next().map(str::to_owned))
        .filter(|name| name != "help")
        .collect();
    assert!(help.contains("Example"), "{path:?} has no example");
    if nouns.is_empty() {
        into.push(path.to_vec());
    }
    for noun in nouns {
        commands(machine, &[path, &[noun]].concat(), into);
    }
}

#[test]
fn every_command_has_help_a_man_page_and_completions() {
    let machine = Machine::new(&World::load());
    let mut all = Vec::new();
    commands(&machine, &[], &mut all);
    assert!(all.len() > 60, "{}", all.len());

    let man = machine.home.join("man1");
    machine.run(&["man", man.to_str().expect("a plain path")]).ok();
    for path in &all {
        let page = man.join(format!("tenantctl-{}.1", path.join("-")));
        let text = fs::read_to_string(&page).unwrap_or_else(|error| panic!("{}: {error}", page.display()));
        assert!(text.contains(".TH ") && text.contains("SYNOPSIS"), "{}", page.display());
    }
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let script = machine.run(&["completion", shell]).ok();
        for path in &all {
            assert!(
                script.contains(path.last().expect("a word").as_str()),
                "{shell} {path:?}"
            );
        }
        if shell == "bash" {
            let file = machine.file("completion.bash", &script);
            let line = format!(
                "source {file}; COMP_WORDS=(tenantctl records wa); COMP_CWORD=2; _tenantctl tenantctl wa records; echo \"${{COMPREPLY[@]}}\""
            );
            assert_eq!(piped(Command::new("bash").args(["-c", &line]), "").ok(), "watch\n");
        }
    }
}
