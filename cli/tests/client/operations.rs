//! Waiting for operations: they can be found again, and a bar that moves.

use super::{
    BIN, Desk, Ran, interrupt,
    stub::{Answer, Stub},
};
use serde_json::{Value, json};

const NAME: &str = "operations/registry-1";
const SUSPEND: [&str; 3] = ["tenants", "suspend", "initech"];

fn operation(done: bool) -> Value {
    json!({"name": NAME, "done": done, "response": {"state": "x"}})
}

#[test]
fn a_done_operation_is_seen_however_short_the_wait() {
    let desk = Desk::new(Stub::new(|_, _| Answer::Json(200, operation(true))));
    let ran = desk.run(&["operations", "wait", NAME, "--timeout", "0", "-o", "name"]);
    assert_eq!(ran.ok(), format!("{NAME}\n"));
    assert_eq!(desk.server.lines(), [format!("GET /v1/{NAME}")]);
    let desk = Desk::new(Stub::new(|_, _| Answer::Json(200, operation(false))));
    desk.run(&["operations", "wait", NAME, "--timeout", "0"])
        .failed(124, "is not done after 0 s");
}

#[test]
fn its_name_is_said_first_and_again_when_the_waiting_is_interrupted() {
    let desk = Desk::new(Stub::new(|asked, _| match asked.path.ends_with(":wait") {
        true => Answer::Silent(vec![]),
        false => Answer::Json(200, operation(false)),
    }));
    let child = desk.start(&SUSPEND);
    desk.server.wait_for(2);
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, ran.out.as_str()), (Some(130), ""), "{}", ran.err);
    let lines: Vec<&str> = ran.err.lines().collect();
    assert_eq!(lines[0], format!("{NAME} has begun."));
    assert!(
        lines[1].contains(&format!("tenantctl operations wait {NAME}")),
        "{}",
        ran.err
    );
}

#[test]
fn a_wait_that_fails_names_the_operation() {
    let desk = Desk::new(Stub::new(|asked, _| match asked.path.ends_with(":wait") {
        true => Answer::Json(403, json!({"detail": "No longer."})),
        false => Answer::Json(200, operation(false)),
    }));
    desk.run(&SUSPEND).failed(4, "operations/registry-1: No longer.");
}

/// Suspends a tenant before a terminal: what it showed is in `out`.
fn suspend_on_terminal(desk: &Desk) -> Ran {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/e2e/cli/terminal.py");
    let mut command = desk.with("python3");
    command.args([script, "", "", "0", BIN]).args(SUSPEND);
    Ran::of(&command.env("TERM", "xterm").output().expect("it runs"))
}

#[test]
fn who_looks_at_a_bar_gets_an_answer_every_second() {
    for (on_terminal, timeout) in [(true, "\"1s\""), (false, "\"10s\"")] {
        let desk = Desk::new(Stub::new(|_, before| Answer::Json(200, operation(before > 1))));
        let ran = if on_terminal {
            suspend_on_terminal(&desk)
        } else {
            desk.run(&SUSPEND)
        };
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        let body = &desk.server.asked()[1].body;
        assert!(body.contains(timeout), "{body}");
    }
}

#[test]
fn a_bar_shows_the_step_and_how_much_of_it_is_done() {
    let units = json!({"step": "apply", "doneUnits": "500", "totalUnits": "2000"});
    let desk = Desk::new(Stub::new(move |_, before| {
        let mut now = operation(before > 0);
        now["metadata"] = units.clone();
        Answer::Json(200, now)
    }));
    let ran = suspend_on_terminal(&desk);
    assert_eq!(ran.code, Some(0), "{}", ran.out);
    let (_, bar) = ran.out.split_once("apply \u{2588}").expect("a bar that has begun");
    let (bar, _) = bar.split_once(" 500/2000").expect("how much");
    assert!(bar.chars().all(|one| one == '\u{2588}' || one == '\u{2591}'), "{bar}");
    let full = 1 + bar.chars().filter(|one| *one == '\u{2588}').count();
    let all = 1 + bar.chars().count();
    assert_eq!(full, all / 4, "{full} of {all}");
}
