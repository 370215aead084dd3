//! Exports to files: whole or not at all, and nothing else is touched.

use super::{
    Desk, Ran, interrupt, mode, set_mode,
    stub::{Answer, Asked, Stub},
};
use serde_json::{Value, json};
use std::{
    fs,
    os::unix::fs::symlink,
    process::Command,
    sync::Mutex,
    sync::mpsc::{Receiver, channel},
};

const WHOLE: &str = "name\nBelt\nClip\n";

fn record(name: &str) -> Value {
    json!({"fields": {"name": name}})
}

/// A type of one field, and two pages of one record; the second page is the closure's.
fn pages(second: impl Fn(&Asked) -> Answer + Send + Sync + 'static) -> Desk {
    Desk::new(Stub::new(move |asked, _| {
        if !asked.path.ends_with("/records") {
            return Answer::Json(200, json!({"fields": [{"fieldId": "name"}]}));
        }
        match asked.query("pageToken") {
            None => Answer::Json(200, json!({"records": [record("Belt")], "nextPageToken": "2"})),
            Some(_) => second(asked),
        }
    }))
}

fn clip() -> Answer {
    Answer::Json(200, json!({"records": [record("Clip")]}))
}

fn export(desk: &Desk, more: &[&str]) -> Ran {
    desk.run(&[&["export", "goods"], more].concat())
}

fn read(desk: &Desk, name: &str) -> String {
    fs::read_to_string(desk.path(name)).expect("a file")
}

#[test]
fn a_replaced_file_keeps_its_mode_and_the_link_that_leads_to_it() {
    let desk = pages(|_| clip());
    fs::write(desk.path("d.csv"), "old").expect("written");
    set_mode(&desk.path("d.csv"), 0o600);
    symlink("d.csv", desk.path("link.csv")).expect("a link");
    for name in ["d.csv", "link.csv"] {
        export(&desk, &["--file", name]).failed(5, "--force replaces it");
        export(&desk, &["--file", name, "--force"]).ok();
        assert_eq!(
            (read(&desk, "d.csv").as_str(), mode(&desk.path("d.csv"))),
            (WHOLE, 0o600)
        );
    }
    assert!(desk.path("link.csv").is_symlink());
    export(&desk, &["--file", "new.csv"]).ok();
    assert_eq!(read(&desk, "new.csv"), WHOLE);
    assert_eq!(desk.files(), ["d.csv", "link.csv", "new.csv"]);
    symlink("nowhere.csv", desk.path("dangling.csv")).expect("a link");
    export(&desk, &["--file", "dangling.csv"]).failed(2, "a link to nothing");
    export(&desk, &["--file", "."]).failed(2, "is a folder");
}

#[test]
fn a_failed_export_leaves_what_was_there() {
    let desk = pages(|_| Answer::Json(400, json!({"detail": "No more."})));
    for name in ["d.csv", "d.csv.part"] {
        fs::write(desk.path(name), "mine").expect("written");
    }
    export(&desk, &["--file", "d.csv", "--force"]).failed(1, "No more.");
    export(&desk, &["--file", "e.csv"]).failed(1, "No more.");
    assert_eq!(desk.files(), ["d.csv", "d.csv.part"]);
    assert_eq!(
        (read(&desk, "d.csv").as_str(), read(&desk, "d.csv.part").as_str()),
        ("mine", "mine")
    );
}

#[test]
fn an_interrupted_export_leaves_nothing() {
    let desk = pages(|_| Answer::Silent(vec![]));
    let child = desk.start(&["export", "goods", "--file", "d.csv"]);
    desk.server.wait_for(3);
    assert_eq!(desk.files().len(), 1, "the half that is there");
    interrupt(&child);
    let ran = Ran::of(&child.wait_with_output().expect("it ends"));
    assert_eq!((ran.code, desk.files()), (Some(130), vec![]), "{}", ran.err);
}

#[test]
fn two_exports_to_one_file_do_not_mix() {
    let (finish, finished) = channel::<()>();
    let finished: Mutex<Receiver<()>> = Mutex::new(finished);
    // The slow one gets its second page when the other is done.
    let desk = pages(move |asked| {
        if asked.query("filter").is_some() {
            finished.lock().expect("no panic").recv().expect("it is told");
        }
        clip()
    });
    let slow = desk.start(&["export", "goods", "--file", "d.csv", "--filter", "slow"]);
    desk.server.wait_for(3);
    export(&desk, &["--file", "d.csv"]).ok();
    assert_eq!(read(&desk, "d.csv"), WHOLE);
    fs::write(desk.path("d.csv"), "the second one's").expect("written");
    finish.send(()).expect("it waits");
    Ran::of(&slow.wait_with_output().expect("it ends")).failed(5, "d.csv is there already");
    assert_eq!(read(&desk, "d.csv"), "the second one's");
    assert_eq!(desk.files(), ["d.csv"]);
}

#[test]
fn a_pipe_is_written_to_and_stays() {
    let desk = pages(|_| clip());
    let made = Command::new("mkfifo").arg(desk.path("pipe")).status();
    assert!(made.expect("mkfifo runs").success());
    let ran = desk.bash("timeout 60 cat pipe & timeout 60 \"$0\" export goods --file pipe --force && wait");
    assert_eq!(ran.ok(), WHOLE);
    assert_eq!(desk.files(), ["pipe"]);
    export(&desk, &["--file", "/dev/null"]).ok();
    export(&desk, &["--file", "/dev/full"]).failed(1, "No space left");
}

#[test]
fn a_dash_is_stdout() {
    let desk = pages(|_| clip());
    let ran = export(&desk, &["--file", "-"]);
    assert_eq!(
        (ran.err.as_str(), ran.out.as_str()),
        ("2 records of goods exported.\n", WHOLE)
    );
    assert_eq!(desk.files(), Vec::<String>::new());
}
