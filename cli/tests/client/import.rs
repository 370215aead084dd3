//! Imports from files, pipes and stdin.

use super::{
    BIN, Desk, Ran,
    stub::{Answer, Asked, Stub},
};
use serde_json::json;
use std::{fs, process::Stdio};

const CSV: &str = "name,price\nBelt,1\n";
const PREVIEW: [&str; 4] = ["--type", "goods", "--preview", "-ojson"];

fn desk() -> Desk {
    Desk::new(Stub::new(|_, _| {
        Answer::Json(200, json!({"import": {"name": "imports/1"}}))
    }))
}

fn uploaded(desk: &Desk) -> Asked {
    let mut asked = desk.server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    asked.remove(0)
}

#[test]
fn a_file_is_sent_with_its_length() {
    let desk = desk();
    fs::write(desk.path("goods.csv"), CSV).expect("written");
    desk.run(&[&["import", "goods.csv"], &PREVIEW[..]].concat()).ok();
    let asked = uploaded(&desk);
    assert_eq!((asked.body.as_str(), asked.query("filename")), (CSV, Some("goods.csv")));
    assert!(asked.headers.contains("content-length: 18\r\n"), "{}", asked.headers);
}

#[test]
fn stdin_and_a_pipe_are_sent_as_they_come() {
    let long = format!("name\n{}", "x\n".repeat(100_000));
    for csv in [CSV, &long, ""] {
        let desk = desk();
        desk.feed(&[&["import", "-"], &PREVIEW[..]].concat(), csv.as_bytes())
            .ok();
        let asked = uploaded(&desk);
        assert_eq!((asked.body.as_str(), asked.query("filename")), (csv, Some("stdin.csv")));
        assert!(!asked.headers.contains("content-length"), "{}", asked.headers);
    }
    let desk = desk();
    desk.bash("\"$0\" import <(printf 'name,price\\nBelt,1\\n') --type goods --preview")
        .ok();
    assert_eq!(uploaded(&desk).body, CSV);
}

#[test]
fn what_cannot_be_read_here_is_not_blamed_on_the_server() {
    let desk = desk();
    desk.run(&[&["import", "."], &PREVIEW[..]].concat())
        .failed(2, ".: Is a directory");
    desk.run(&[&["import", "missing.csv"], &PREVIEW[..]].concat())
        .failed(2, "missing.csv: No such file");
}

#[test]
fn an_early_answer_does_not_wait_for_a_stdin_that_never_ends() {
    let too_large = || Answer::Json(413, json!({"detail": "Too large."}));
    let desk = Desk::new(Stub::hasty(move |_, _| too_large()));
    let import = ["60", BIN, "import", "-", "--type", "goods"];
    let mut command = desk.with("timeout");
    let mut child = command.args(import).stdin(Stdio::piped()).spawn().expect("it starts");
    let never_closed = child.stdin.take();
    Ran::of(&child.wait_with_output().expect("it ends")).failed(1, "Too large.");
    drop(never_closed);
}

#[test]
fn a_pipe_is_not_swallowed_by_a_session_that_has_to_be_renewed() {
    let desk = Desk::new(Stub::new(|asked, _| {
        let fresh = asked.headers.contains("authorization: bearer fresh\r\n");
        match asked.path.as_str() {
            "/v1/auth:refresh" => Answer::Json(200, json!({"accessToken": "fresh", "refreshToken": "next"})),
            _ if fresh => Answer::Json(200, json!({"import": {"name": "imports/1"}})),
            _ => Answer::Json(401, json!({})),
        }
    }));
    let context = json!({"server": desk.server.url, "tenant": "acme", "accessToken": "old", "refreshToken": "one"});
    let contexts = json!({"current": "acme", "contexts": {"acme": context}});
    fs::create_dir(desk.path("tenantry")).expect("a folder");
    fs::write(desk.path("tenantry/contexts.json"), contexts.to_string()).expect("written");
    fs::write(desk.path("goods.csv"), CSV).expect("written");
    for line in [
        "cat goods.csv | \"$0\" import - --type goods --preview",
        "\"$0\" import goods.csv --type goods --preview",
    ] {
        let mut command = desk.bare("bash");
        Ran::of(&command.args(["-c", line, BIN]).output().expect("it runs")).ok();
    }
    let asked = desk.server.asked();
    let uploads: Vec<&str> = asked
        .iter()
        .filter(|asked| asked.path == "/v1/imports:upload")
        .map(|asked| asked.body.as_str())
        .collect();
    assert_eq!(uploads, [CSV, CSV]);
}
