//! Waiting for operations: they can be found again, and a bar that moves.

use super::{
    BIN, Desk, Ran, interrupt,
    stub::{Answer, Stub},
};
use serde_json::{Value, json};

const NAME: &str = "operations/registry-1";

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
    let child = desk.start(&["tenants", "suspend", "initech"]);
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
    desk.run(&["tenants", "suspend", "initech"])
        .failed(4, "operations/registry-1: No longer.");
}

#[test]
fn who_looks_at_a_bar_gets_an_answer_every_second() {
    for (on_terminal, timeout) in [(true, "\"1s\""), (false, "\"10s\"")] {
        let desk = Desk::new(Stub::new(|_, before| Answer::Json(200, operation(before > 1))));
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/e2e/cli/terminal.py");
        let suspend = [BIN, "tenants", "suspend", "initech"];
        let mut command = if on_terminal {
            desk.with("python3")
        } else {
            desk.with(BIN)
        };
        if on_terminal {
            command.args([script, "", "", "0"]).args(suspend).env("TERM", "xterm");
        } else {
            command.args(&suspend[1..]);
        }
        let ran = Ran::of(&command.output().expect("it runs"));
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        let body = &desk.server.asked()[1].body;
        assert!(body.contains(timeout), "{body}");
    }
}
