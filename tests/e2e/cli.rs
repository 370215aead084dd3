//! `tenantctl`, the real binary, as people and scripts use it. Every run is checked for escape codes and for secrets in
//! what it says.

mod access;
mod data;
mod operator;
mod output;
mod platform;

use serde_json::Value;
use std::{
    fs,
    io::Write,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};
use tenantry_testkit::World;
use tenantry_tests::{Operator, Tenant, unique};

/// One person's machine: a configuration directory and what must never be shown.
struct Machine {
    bin: PathBuf,
    home: PathBuf,
    server: String,
    secrets: Vec<String>,
    env: Vec<(String, String)>,
}

/// What a run left.
struct Ran {
    code: i32,
    out: String,
    err: String,
}

impl Ran {
    /// stdout of a success.
    #[track_caller]
    fn ok(self) -> String {
        assert_eq!(self.code, 0, "{}{}", self.out, self.err);
        self.out
    }
    /// stdout of a success as JSON.
    #[track_caller]
    fn json(self) -> Value {
        let text = self.ok();
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    }
    /// A failure with this code, nothing on stdout, and this text on stderr.
    #[track_caller]
    fn failed(self, code: i32, text: &str) {
        assert_eq!((self.code, self.out.as_str()), (code, ""), "{}", self.err);
        assert!(self.err.contains(text), "{}", self.err);
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.home));
    }
}

impl Machine {
    fn new(world: &World) -> Self {
        let home = std::env::temp_dir().join(unique("tenantctl"));
        fs::create_dir_all(&home).expect("a directory under /tmp");
        Self {
            bin: world.bin_dir.join("tenantctl"),
            home,
            server: world.gateway_url.clone(),
            secrets: Vec::new(),
            env: Vec::new(),
        }
    }
    /// A machine on which the owner of a new tenant has signed in.
    async fn of_owner(prefix: &str) -> (World, Operator, Tenant, Self) {
        let world = World::load();
        let operator = Operator::sign_in(&world).await;
        let tenant = operator.tenant(prefix).await;
        let mut machine = Self::new(&world);
        machine.login(&tenant.slug, &tenant.owner.email, &tenant.owner.password);
        (world, operator, tenant, machine)
    }
    /// A machine on which the operator has signed in.
    fn of_operator(world: &World) -> Self {
        let mut machine = Self::new(world);
        machine.login("operator", &world.operator.email, &world.operator.password);
        machine
    }
    fn login(&mut self, tenant: &str, email: &str, password: &str) {
        self.secrets.push(password.to_owned());
        let server = self.server.clone();
        let args = [
            "login",
            "--server",
            &server,
            "--tenant",
            tenant,
            "--email",
            email,
            "--password-stdin",
        ];
        self.feed(&args, password).ok();
        let kept = fs::read_to_string(self.contexts()).expect("the contexts are kept");
        let kept: Value = serde_json::from_str(&kept).expect("JSON");
        for context in kept["contexts"].as_object().into_iter().flat_map(|all| all.values()) {
            for key in ["accessToken", "refreshToken"] {
                self.secrets.push(context[key].as_str().expect("a token").to_owned());
            }
        }
    }
    fn contexts(&self) -> PathBuf {
        self.home.join("tenantry/contexts.json")
    }
    fn file(&self, name: &str, content: &str) -> String {
        let path = self.home.join(name);
        fs::write(&path, content).expect("a file in /tmp");
        path.to_str().expect("a plain path").to_owned()
    }
    fn run(&self, args: &[&str]) -> Ran {
        self.feed(args, "")
    }
    fn feed(&self, args: &[&str], stdin: &str) -> Ran {
        // What is secret is nowhere in the arguments, where every user of the machine could read it.
        for secret in &self.secrets {
            assert!(!args.iter().any(|arg| arg.contains(secret.as_str())), "{args:?}");
        }
        let mut command = Command::new(&self.bin);
        for name in ["CONTEXT", "TENANT", "SERVER", "API_KEY", "API_KEY_FILE"] {
            command.env_remove(format!("TENANTCTL_{name}"));
        }
        let ran = piped(
            command
                .args(args)
                .env("XDG_CONFIG_HOME", &self.home)
                .envs(self.env.iter().cloned()),
            stdin,
        );
        for text in [&ran.out, &ran.err] {
            assert!(!text.contains('\u{1b}'), "{args:?} coloured a pipe: {text}");
            for secret in &self.secrets {
                assert!(!text.contains(secret.as_str()), "{args:?} shows a secret");
            }
        }
        ran
    }
    fn json(&self, args: &[&str]) -> Value {
        self.run(&[&["-o", "json"], args].concat()).json()
    }
    /// Runs with a terminal; when `prompt` appears, `typed` is typed. What the terminal showed.
    fn on_terminal(&self, args: &[&str], (prompt, typed): (&str, &str), env: &[(&str, &str)]) -> Ran {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/e2e/cli/terminal.py");
        let hidden = if prompt.starts_with("Password") { "1" } else { "0" };
        let mut command = Command::new("python3");
        command
            .args([script, prompt, typed, hidden])
            .arg(&self.bin)
            .args(args)
            .env("XDG_CONFIG_HOME", &self.home)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .envs(env.iter().copied());
        piped(&mut command, "")
    }
}

fn piped(command: &mut Command, stdin: &str) -> Ran {
    let spawned = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut child = spawned.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut pipe = child.stdin.take().expect("a pipe");
    // A command that reads nothing may be gone already.
    drop(pipe.write_all(stdin.as_bytes()));
    drop(pipe);
    let output = child.wait_with_output().expect("it ends");
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
    Ran {
        code: output.status.code().expect("no signal"),
        out: text(&output.stdout),
        err: text(&output.stderr),
    }
}

fn mode(path: &Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

fn names(items: &Value, key: &str) -> Vec<String> {
    let items = items.as_array().expect("a list").iter();
    items
        .map(|item| item[key].as_str().unwrap_or_default().to_owned())
        .collect()
}
