//! Signing in and out, contexts, members, sessions, keys.

use super::{Machine, mode, names};
use serde_json::json;
use std::{fs, path::Path};
use tenantry_testkit::{World, eventually};
use tenantry_tests::Rest;

#[tokio::test(flavor = "multi_thread")]
async fn a_session_is_kept_for_its_owner_only_and_ends_with_logout() {
    let (world, _, tenant, mut machine) = Machine::of_owner("ctls").await;
    assert_eq!(mode(&machine.contexts()), 0o600);
    assert_eq!(mode(machine.contexts().parent().expect("a directory")), 0o700);

    let me = machine.json(&["whoami"]);
    let rest = tenant.rest().get("/v1/sessions/current").await.ok();
    assert_eq!((&me["user"], &me["tenantSlug"]), (&rest["user"], &rest["tenantSlug"]));
    assert_ne!(me["session"]["name"], rest["session"]["name"]);

    // A second machine; the first one ends it.
    let mut other = Machine::new(&world);
    other.login(&tenant.slug, &tenant.owner.email, &tenant.owner.password);
    let theirs = other.json(&["whoami"])["session"]["name"]
        .as_str()
        .expect("a session")
        .to_owned();
    let sessions = machine.json(&["sessions", "list"]);
    assert!(names(&sessions, "name").contains(&theirs), "{sessions}");
    machine.run(&["sessions", "revoke", &theirs]).ok();
    eventually("the revoked session ends", || async {
        match other.run(&["whoami"]).code {
            4 => Ok(()),
            code => Err(code),
        }
    })
    .await;
    other.login(&tenant.slug, &tenant.owner.email, &tenant.owner.password);
    assert!(machine.json(&["sessions", "revoke-others"])["revokedCount"].as_i64() >= Some(1));

    let kept: serde_json::Value = serde_json::from_slice(&fs::read(machine.contexts()).expect("kept")).expect("JSON");
    let refresh = &kept["contexts"][&tenant.slug]["refreshToken"];
    machine.run(&["logout"]).ok();
    machine.run(&["whoami"]).failed(4, "nobody is signed in here");
    let again = Rest::new(&world, &tenant.host)
        .post("/v1/auth:refresh", json!({"refreshToken": refresh}))
        .await;
    assert_eq!(again.status, 401, "{}", again.text);
    machine.login(&tenant.slug, &tenant.owner.email, &tenant.owner.password);
    machine.run(&["logout", "--all"]).ok();
    assert_eq!(machine.json(&["context", "list"]), json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_expired_token_is_renewed_and_two_processes_share_one_refresh_token() {
    let (_, _, _, machine) = Machine::of_owner("ctlr").await;
    let path = machine.contexts();
    let text = fs::read_to_string(&path).expect("kept");
    let mut kept: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    for context in kept["contexts"]
        .as_object_mut()
        .into_iter()
        .flat_map(|all| all.values_mut())
    {
        context["accessToken"] = json!("no.longer.valid");
    }
    fs::write(&path, kept.to_string()).expect("written");
    std::thread::scope(|scope| {
        let runs: Vec<_> = (0..4).map(|_| scope.spawn(|| machine.run(&["whoami"]).ok())).collect();
        for run in runs {
            run.join().expect("it ran");
        }
    });
    assert_eq!(mode(&path), 0o600);
}

#[tokio::test(flavor = "multi_thread")]
async fn contexts_are_listed_used_set_and_forgotten() {
    let (world, _, tenant, mut machine) = Machine::of_owner("ctlc").await;
    machine.login("operator", &world.operator.email, &world.operator.password);
    let list = machine.json(&["context", "list"]);
    assert_eq!(names(&list, "name"), [tenant.slug.as_str(), "operator"]);
    assert_eq!(
        (&list[0]["current"], &list[1]["current"]),
        (&json!(false), &json!(true))
    );
    assert_eq!(machine.json(&["whoami"])["tenantSlug"], "operator");
    // `--tenant` finds the context that fits, `--context` names it, `use` keeps it.
    for by in [["--tenant", tenant.slug.as_str()], ["--context", tenant.slug.as_str()]] {
        assert_eq!(
            machine.json(&[&by[..], &["whoami"]].concat())["tenantSlug"],
            tenant.slug.as_str()
        );
    }
    machine.run(&["context", "use", &tenant.slug]).ok();
    assert_eq!(machine.json(&["whoami"])["tenantSlug"], tenant.slug.as_str());
    machine
        .run(&["context", "use", "nobody"])
        .failed(3, "no context 'nobody'");
    // A context that is pointed elsewhere takes no token along.
    machine
        .run(&["context", "set", &tenant.slug, "--server", "http://127.0.0.1:1"])
        .ok();
    machine
        .run(&["--context", &tenant.slug, "whoami"])
        .failed(4, "nobody is signed in");
    machine.run(&["context", "delete", &tenant.slug]).ok();
    assert_eq!(names(&machine.json(&["contexts", "list"]), "name"), ["operator"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_comes_from_stdin_a_file_or_a_prompt_and_is_not_echoed() {
    let (_, _, tenant, mut machine) = Machine::of_owner("ctlp").await;
    let (owner, server) = (tenant.owner.clone(), machine.server.clone());
    let base = [
        "login",
        "--server",
        &server,
        "--tenant",
        &tenant.slug,
        "--email",
        &owner.email,
    ];
    machine.run(&base).failed(2, "no terminal to ask");
    machine
        .feed(&[&base[..], &["--password-stdin"]].concat(), "")
        .failed(2, "stdin holds no password");
    machine
        .feed(&[&base[..], &["--password-stdin"]].concat(), "wrong\n")
        .failed(4, "");
    let file = machine.file("bot.env", &format!("TENANTRY_PASSWORD='{}'\n", owner.password));
    machine.run(&[&base[..], &["--env-file", &file]].concat()).ok();
    let shown = machine.on_terminal(&base, ("Password of", &owner.password), &[]);
    assert_eq!(shown.code, 0, "{}", shown.out);
    assert!(
        shown.out.contains("Password of") && !shown.out.contains(&owner.password),
        "{}",
        shown.out
    );
    machine.secrets.push("the-key".to_owned());
    machine.env.push(("TENANTCTL_API_KEY".to_owned(), "the-key".to_owned()));
    for args in [&["--help"][..], &["records", "list", "--help"], &["login", "--help"]] {
        assert!(machine.run(args).ok().contains("Example"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn members_are_invited_changed_locked_and_removed() {
    let (world, _, tenant, machine) = Machine::of_owner("ctlm").await;
    let email = format!("mia@{}.example", tenant.slug);
    let made = machine.json(&["members", "invite", &email, "--role", "viewer", "--display-name", "Mia"]);
    assert_eq!(
        (&made["user"]["role"], &made["user"]["state"]),
        (&json!("ROLE_VIEWER"), &json!("USER_STATE_INVITED"))
    );
    let link = made["inviteUri"].as_str().expect("a link");
    tenantry_tests::Member::accept(&world, &tenant.host, &email, link).await;

    assert_eq!(
        machine.json(&["members", "set-role", &email, "admin"])["role"],
        "ROLE_ADMIN"
    );
    assert_eq!(machine.json(&["members", "get", &email])["role"], "ROLE_ADMIN");
    assert_eq!(
        machine.json(&["members", "disable", &email])["state"],
        "USER_STATE_DISABLED"
    );
    assert_eq!(
        machine.json(&["members", "enable", &email])["state"],
        "USER_STATE_ACTIVE"
    );
    let reset = machine.json(&["members", "reset-link", &email]);
    assert!(
        reset["resetUri"].as_str().is_some_and(|link| link.contains("token=")),
        "{reset}"
    );
    let table = machine.run(&["members", "list"]).ok();
    assert!(table.starts_with("EMAIL") && table.contains("admin"), "{table}");

    machine.run(&["members", "delete", &email]).failed(2, "--yes");
    let typed = machine.on_terminal(&["members", "delete", &email], ("confirm: ", "something else"), &[]);
    assert_eq!(typed.code, 2, "{}", typed.out);
    machine.json(&["members", "get", &email]);
    let typed = machine.on_terminal(&["members", "delete", &email], ("confirm: ", &email), &[]);
    assert_eq!(typed.code, 0, "{}", typed.out);
    machine
        .run(&["members", "get", &email])
        .failed(3, "no member has the e-mail");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_shown_once_and_works_from_a_file_and_from_the_environment() {
    let (_, _, tenant, mut machine) = Machine::of_owner("ctlk").await;
    tenant.help_desk().await;
    let create = [
        "keys",
        "create",
        "nightly",
        "--scope",
        "types.read",
        "--expires-in-days",
        "7",
    ];
    let made = machine.run(&create);
    assert_eq!((made.code, made.out.lines().count()), (0, 1), "{}", made.err);
    let secret = made.out.trim().to_owned();
    assert!(
        !made.err.contains(&secret) && made.err.contains("types.read"),
        "{}",
        made.err
    );
    let list = machine.json(&["keys", "list"]);
    assert!(!list.to_string().contains(&secret), "{list}");
    let name = list[0]["name"].as_str().expect("a name").to_owned();
    assert_eq!(machine.json(&["keys", "get", &name])["displayName"], "nightly");

    machine.secrets.push(secret.clone());
    let (server, file) = (machine.server.clone(), machine.file("acme.key", &format!("{secret}\n")));
    let at = ["--server", &server, "--tenant", &tenant.slug];
    let types = ["types", "list", "-o", "name"];
    let by_file = machine
        .run(&[&at[..], &["--api-key-file", &file], &types].concat())
        .ok();
    assert_eq!(by_file, "objectTypes/people\nobjectTypes/tickets\n");
    machine.env = vec![("TENANTCTL_API_KEY".to_owned(), secret)];
    assert_eq!(machine.run(&[&at[..], &types].concat()).ok(), by_file);
    machine.run(&[&at[..], &["members", "list"]].concat()).failed(4, "");
    machine.env.clear();
    let set = [
        "context",
        "set",
        "bot",
        "--server",
        &server,
        "--tenant",
        &tenant.slug,
        "--api-key-file",
        &file,
    ];
    machine.run(&set).ok();
    assert_eq!(machine.run(&[&["--context", "bot"][..], &types].concat()).ok(), by_file);

    let secret_file = machine.home.join("new.key");
    let path = secret_file.to_str().expect("a plain path");
    let made = machine.run(&[&create[..], &["--secret-file", path]].concat());
    let secret = fs::read_to_string(Path::new(path)).expect("the secret");
    assert_eq!((made.code, mode(&secret_file)), (0, 0o600));
    assert!(!made.out.contains(secret.trim()) && !made.err.contains(secret.trim()));
    machine
        .run(&[&create[..], &["--secret-file", path]].concat())
        .failed(2, "exists");

    machine.run(&["keys", "revoke", &name]).failed(2, "--yes");
    machine.run(&["keys", "revoke", &name, "--yes"]).ok();
    eventually("the key is refused", || async {
        match machine.run(&[&["--context", "bot"][..], &types].concat()).code {
            4 => Ok(()),
            code => Err(code),
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_viewer_is_denied_what_an_owner_may_do() {
    let (world, _, tenant, _) = Machine::of_owner("ctlv").await;
    let viewer = tenant.member("ROLE_VIEWER").await;
    let mut machine = Machine::new(&world);
    machine.login(&tenant.slug, &viewer.email, &viewer.password);
    machine
        .run(&["types", "create", "parts", "--field", "sku:string"])
        .failed(4, "PERMISSION_DENIED");
    machine.run(&["tenants", "list"]).failed(4, "");
    machine
        .run(&["members", "invite", "x@y.example"])
        .failed(4, "PERMISSION_DENIED");
}

#[test]
fn an_unreachable_server_is_an_error_that_says_where() {
    let machine = Machine::new(&World::load());
    let login = [
        "login",
        "--server",
        "http://127.0.0.1:1",
        "--email",
        "a@b.example",
        "--password-stdin",
    ];
    machine
        .feed(&login, "secret-enough")
        .failed(1, "cannot reach http://127.0.0.1:1");
}
