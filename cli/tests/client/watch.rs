//! Watching: it ends with its reader and outlives its server.

use super::{
    Desk, Ran,
    stub::{Answer, Stub},
};
use serde_json::{Value, json};

fn change(token: &str) -> Value {
    let change = json!({"kind": "CHANGE_KIND_CREATED", "record": {"name": format!("objectTypes/a/records/{token}")}});
    json!({"changes": [change], "resumeToken": token})
}

#[test]
fn it_ends_with_its_reader_though_nothing_more_happens() {
    let desk = Desk::new(Stub::new(|_, _| Answer::Silent(vec![change("1")])));
    for output in ["table", "json", "yaml", "name"] {
        let line = format!("timeout 60 \"$0\" records watch -o {output} | head -1; echo ${{PIPESTATUS[0]}}");
        let ran = desk.bash(&line);
        assert_eq!((ran.out.lines().count(), ran.err.as_str()), (2, ""), "{output}");
        assert!(ran.out.ends_with("\n0\n"), "{output}: {}", ran.out);
    }
}

#[test]
fn it_ends_when_it_writes_to_a_reader_that_is_gone() {
    // Changes without an end: the pipe is full before anybody could ask whether it is read.
    let desk = Desk::new(Stub::new(|_, _| {
        Answer::Lines((0..20_000).map(|_| change("1")).collect())
    }));
    let ran = desk.bash("timeout 60 \"$0\" -o json records watch | head -1; echo ${PIPESTATUS[0]}");
    assert!(
        ran.out.ends_with("\n0\n") && ran.err.is_empty(),
        "{}{}",
        ran.out,
        ran.err
    );
    assert_eq!(
        desk.server.lines().len(),
        1,
        "a stream that was read to its end is taken up again"
    );
}

#[test]
fn it_goes_on_where_it_was_when_the_server_is_back() {
    let desk = Desk::new(Stub::new(|_, before| match before {
        0 => Answer::Lines(vec![json!({"resumeToken": "0"}), change("1")]),
        1 => Answer::Gone,
        2 => Answer::Json(503, json!({})),
        _ => Answer::Silent(vec![change("2")]),
    }));
    let ran = desk.run(&["-o", "name", "records", "watch", "--count", "2", "--timeout", "60"]);
    assert!(ran.err.contains("it is taken up again"), "{}", ran.err);
    assert_eq!(ran.err.lines().count(), 1, "{}", ran.err);
    assert_eq!(ran.ok(), "objectTypes/a/records/1\nobjectTypes/a/records/2\n");
    let asked = desk.server.asked();
    let tokens: Vec<Option<&str>> = asked.iter().map(|asked| asked.query("resumeToken")).collect();
    assert_eq!(tokens, [None, Some("1"), Some("1"), Some("1")]);
}

#[test]
fn it_does_not_try_again_what_stays_wrong() {
    for (first, code) in [
        (Answer::Json(404, json!({"detail": "No such type."})), 3),
        (
            Answer::Lines(vec![json!({"error": {"status": 409, "detail": "Too old."}})]),
            5,
        ),
    ] {
        let first = std::sync::Mutex::new(Some(first));
        let desk = Desk::new(Stub::new(move |_, _| {
            first.lock().expect("no panic").take().unwrap_or(Answer::Gone)
        }));
        desk.run(&["records", "watch", "a"]).failed(code, "error:");
        assert_eq!(desk.server.lines().len(), 1);
    }
}

#[test]
fn a_server_that_was_never_there_is_told_soon() {
    let desk = Desk::new(Stub::new(|_, _| Answer::Gone));
    let watch = ["records", "watch", "--timeout", "60"];
    let ran = desk
        .with(super::BIN)
        .args(watch)
        .env("TENANTCTL_SERVER", "http://127.0.0.1:1")
        .output();
    Ran::of(&ran.expect("it runs")).failed(1, "cannot reach");
}
