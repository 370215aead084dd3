//! A new key: its secret arrives, or the key is not there.

use super::{
    Desk, Ran, mode,
    stub::{Answer, Stub},
};
use serde_json::json;
use std::{
    fs::{self, File},
    io,
};

const CREATE: [&str; 5] = ["keys", "create", "nightly", "--scope", "records.read"];

fn desk() -> Desk {
    Desk::new(Stub::new(|asked, _| {
        Answer::Json(
            200,
            match asked.method.as_str() {
                "POST" => json!({"apiKey": {"name": "apiKeys/1"}, "secret": "the-secret"}),
                _ => json!({}),
            },
        )
    }))
}

fn create(desk: &Desk, more: &[&str]) -> Ran {
    desk.run(&[&CREATE, more].concat())
}

#[test]
fn no_key_is_made_where_its_secret_has_no_place() {
    let desk = desk();
    create(&desk, &["--secret-file", "nodir/x.key"]).failed(2, "nodir/x.key");
    create(&desk, &["--secret-file", "api.key"]).failed(2, "api.key exists");
    create(&desk, &["-o", "name"]).failed(2, "--secret-file");
    assert_eq!(desk.server.lines(), Vec::<String>::new());
    assert_eq!(fs::read_to_string(desk.path("api.key")).expect("kept"), "the-key\n");

    let named = create(&desk, &["-o", "name", "--secret-file", "acme.key"]).ok();
    assert_eq!(named, "apiKeys/1\n");
    assert_eq!(fs::read_to_string(desk.path("acme.key")).expect("kept"), "the-secret\n");
}

#[test]
fn a_secret_file_is_private_and_leaves_its_neighbours_alone() {
    let desk = desk();
    fs::write(desk.path("acme.new"), "mine").expect("written");
    create(&desk, &["--secret-file", "acme.key"]).ok();
    assert_eq!(fs::read_to_string(desk.path("acme.new")).expect("kept"), "mine");
    assert_eq!(mode(&desk.path("acme.key")), 0o600);
    assert_eq!(desk.files(), ["acme.key", "acme.new"]);
}

#[test]
fn a_refused_key_leaves_no_file() {
    let desk = Desk::new(Stub::new(|_, _| Answer::Json(403, json!({}))));
    create(&desk, &["--secret-file", "acme.key"]).failed(4, "");
    assert_eq!(desk.files(), Vec::<String>::new());
}

#[test]
fn a_key_whose_secret_cannot_be_written_is_revoked_again() {
    let made_and_revoked = ["POST /v1/apiKeys", "DELETE /v1/apiKeys/1"];
    for output in [&[][..], &["-o", "json"], &["-o", "yaml"]] {
        let desk = desk();
        let full = File::options().write(true).open("/dev/full").expect("a device");
        let mut command = desk.with(super::BIN);
        let ran = command
            .args(CREATE)
            .args(output)
            .stdout(full)
            .output()
            .expect("it runs");
        Ran::of(&ran).failed(1, "apiKeys/1 is revoked again");
        assert_eq!(desk.server.lines(), made_and_revoked);
    }
    // A reader that is gone before the secret comes.
    let unread = desk();
    let (reader, writer) = io::pipe().expect("a pipe");
    drop(reader);
    let ran = unread.with(super::BIN).args(CREATE).stdout(writer).output();
    Ran::of(&ran.expect("it runs")).failed(1, "apiKeys/1 is revoked again");
    assert_eq!(unread.server.lines(), made_and_revoked);
    // The disk is full: no file may become longer than nothing.
    let full = desk();
    let ran = full.bash("trap '' XFSZ; ulimit -f 0; \"$0\" keys create x --scope records.read --secret-file acme.key");
    ran.failed(1, "apiKeys/1 is revoked again");
    assert_eq!(
        (full.server.lines(), full.files()),
        (made_and_revoked.map(str::to_owned).to_vec(), vec![])
    );
}

#[test]
fn a_key_that_cannot_be_revoked_is_named() {
    let desk = Desk::new(Stub::new(|asked, _| match asked.method.as_str() {
        "POST" => Answer::Json(200, json!({"apiKey": {"name": "apiKeys/1"}})),
        _ => Answer::Json(403, json!({"detail": "No."})),
    }));
    create(&desk, &["--secret-file", "acme.key"]).failed(1, "apiKeys/1 is live and cannot be revoked: No.");
    assert_eq!(desk.files(), Vec::<String>::new());
}
