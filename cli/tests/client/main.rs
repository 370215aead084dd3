//! The real binary against a server that says what each test wants it to say: what it sends, what it leaves behind, and
//! how it behaves when the server, a reader or a person goes away. `tests/e2e/cli.rs` runs it against Tenantry.

mod export;
mod import;
mod keys;
mod lists;
mod names;
mod operations;
mod stub;
mod watch;

use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};
use stub::Stub;
use tenantry_kernel::{Ids, SystemIds};

/// A folder of its own, a key in it, and a server to talk to.
struct Desk {
    folder: PathBuf,
    server: Stub,
}

/// What a run left.
struct Ran {
    code: Option<i32>,
    out: String,
    err: String,
}

impl Ran {
    fn of(output: &Output) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        }
    }
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, Some(0), "{}{}", self.out, self.err);
        self.out
    }
    #[track_caller]
    fn failed(&self, code: i32, text: &str) {
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.err);
        assert!(self.err.contains(text), "{}", self.err);
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.folder));
    }
}

impl Desk {
    fn new(server: Stub) -> Self {
        let folder = std::env::temp_dir().join(format!("tenantctl-{}", SystemIds.new_v7()));
        fs::create_dir_all(&folder).expect("a folder under /tmp");
        fs::write(folder.join("api.key"), "the-key\n").expect("a file");
        Self { folder, server }
    }
    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }
    /// What is in the folder beside the key.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.folder).expect("the folder");
        let names = entries.map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned());
        let mut names: Vec<String> = names.filter(|name| name != "api.key").collect();
        names.sort();
        names
    }
    /// A command in the folder that knows no server.
    fn bare(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        for name in ["CONTEXT", "TENANT", "SERVER", "API_KEY", "API_KEY_FILE"] {
            command.env_remove(format!("TENANTCTL_{name}"));
        }
        command
            .current_dir(&self.folder)
            .env("XDG_CONFIG_HOME", &self.folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }
    /// The same, with server, tenant and key in the environment.
    fn with(&self, program: &str) -> Command {
        let mut command = self.bare(program);
        command
            .env("TENANTCTL_SERVER", &self.server.url)
            .env("TENANTCTL_TENANT", "acme")
            .env("TENANTCTL_API_KEY_FILE", self.path("api.key"));
        command
    }
    fn run(&self, args: &[&str]) -> Ran {
        Ran::of(&self.with(BIN).args(args).output().expect("it runs"))
    }
    fn start(&self, args: &[&str]) -> Child {
        self.with(BIN).args(args).spawn().expect("it starts")
    }
    /// A line of bash; `$0` is the command.
    fn bash(&self, line: &str) -> Ran {
        let output = self.with("bash").args(["-c", line, BIN]).output();
        Ran::of(&output.expect("it runs"))
    }
    fn feed(&self, args: &[&str], stdin: &[u8]) -> Ran {
        let mut child = self
            .with(BIN)
            .args(args)
            .stdin(Stdio::piped())
            .spawn()
            .expect("it starts");
        let mut pipe = child.stdin.take().expect("a pipe");
        pipe.write_all(stdin).expect("it reads");
        drop(pipe);
        Ran::of(&child.wait_with_output().expect("it ends"))
    }
}

const BIN: &str = env!("CARGO_BIN_EXE_tenantctl");

fn interrupt(child: &Child) {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(sent.expect("kill runs").success());
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn set_mode(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("a mode");
}
