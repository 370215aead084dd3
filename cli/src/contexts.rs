//! Contexts: signed-in sessions in one file, 0600, under the user's configuration directory. Every change happens under
//! a lock: a refresh token works once, so two processes must not use the same one.

use crate::{Exit, Failure, args::Globals, files::Fresh, host, output};
use clap::Subcommand;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::{
    collections::BTreeMap,
    fs::{self, File, OpenOptions},
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// `tenantctl context`
#[derive(Debug, Subcommand)]
pub(crate) enum ContextCommand {
    /// All contexts; the current one is marked
    #[command(after_help = "Example:\n  tenantctl context list")]
    List,
    /// Make a context the current one
    #[command(after_help = "Example:\n  tenantctl context use acme")]
    Use {
        /// As `context list` shows it
        name: String,
    },
    /// Make a context without signing in, for an API key; or change where one points
    #[command(
        after_help = "Example:\n  tenantctl context set nightly --server https://tenantry.example --tenant acme --api-key-file ~/.acme.key"
    )]
    Set {
        /// Its name
        name: String,
    },
    /// Forget a context on this machine; `logout` also ends its session
    #[command(after_help = "Example:\n  tenantctl context delete acme")]
    Delete {
        /// As `context list` shows it
        name: String,
    },
}

/// One session.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(crate) struct Context {
    /// URL of the gateway.
    pub(crate) server: String,
    /// Short name of the tenant.
    pub(crate) tenant: Option<String>,
    /// Who signed in.
    pub(crate) email: String,
    /// 300 s.
    pub(crate) access_token: String,
    /// Works once.
    pub(crate) refresh_token: String,
    /// Where the API key is that is used instead of a session; the key itself is not kept here.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) api_key_file: Option<PathBuf>,
}

/// The file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Contexts {
    /// The one that is used without `--context`.
    pub(crate) current: Option<String>,
    /// By name.
    pub(crate) contexts: BTreeMap<String, Context>,
}

/// Runs `context`.
///
/// # Errors
/// Unknown name; a file that cannot be read or written.
pub(crate) fn run(globals: &Globals, command: &ContextCommand) -> Result<(), Failure> {
    match command {
        ContextCommand::List => list(globals),
        ContextCommand::Use { name } => {
            change(|all| {
                all.get(name)?;
                all.current = Some(name.clone());
                Ok(())
            })?;
            output::say(&format!("The current context is {name} now."));
            Ok(())
        }
        ContextCommand::Set { name } => set(globals, name),
        ContextCommand::Delete { name } => {
            change(|all| all.remove(name))?;
            output::say(&format!("{name} is forgotten."));
            Ok(())
        }
    }
}

fn set(globals: &Globals, name: &str) -> Result<(), Failure> {
    change(|all| {
        let before = all.contexts.get(name).cloned().unwrap_or_default();
        let server = globals.server.clone().unwrap_or_else(|| before.server.clone());
        let tenant = globals.tenant.clone().or_else(|| before.tenant.clone());
        host::tenant_url(&server, tenant.as_deref())?;
        let moved = server != before.server || tenant != before.tenant;
        let mut context = Context {
            server,
            tenant,
            ..before
        };
        if moved {
            // Tokens of one address are not shown to another.
            (context.access_token, context.refresh_token, context.email) = Default::default();
        }
        if let Some(file) = &globals.api_key_file {
            context.api_key_file = Some(std::path::absolute(file)?);
        }
        all.contexts.insert(name.to_owned(), context);
        all.current.get_or_insert_with(|| name.to_owned());
        Ok(())
    })?;
    output::say(&format!("The context {name} is set."));
    Ok(())
}

fn list(globals: &Globals) -> Result<(), Failure> {
    let all = read(&path()?)?;
    let row = |(name, context): (&String, &Context)| {
        json!({
            "current": all.current.as_ref() == Some(name), "name": name, "server": context.server,
            "tenant": context.tenant, "email": context.email, "apiKeyFile": context.api_key_file,
            "mark": if all.current.as_ref() == Some(name) { "*" } else { "" },
        })
    };
    let rows: Vec<_> = all.contexts.iter().map(row).collect();
    globals.output.list(
        &[
            output::text("NAME", "/name"),
            output::text("CURRENT", "/mark"),
            output::text("SERVER", "/server"),
            output::text("TENANT", "/tenant"),
            output::text("EMAIL", "/email"),
            output::text("API KEY FILE", "/apiKeyFile").wide(),
        ],
        &rows,
    )
}

impl Contexts {
    /// Takes one out.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub(crate) fn remove(&mut self, name: &str) -> Result<(), Failure> {
        self.get(name)?;
        self.contexts.remove(name);
        if self.current.as_deref() == Some(name) {
            self.current = None;
        }
        Ok(())
    }
    /// By name.
    ///
    /// # Errors
    /// Where there is none of that name.
    pub(crate) fn get(&self, name: &str) -> Result<&Context, Failure> {
        self.contexts.get(name).ok_or_else(|| {
            let known: Vec<&str> = self.contexts.keys().map(String::as_str).collect();
            let known = if known.is_empty() {
                "there is none; see `tenantctl login --help`".to_owned()
            } else {
                format!("there are: {}", known.join(", "))
            };
            Failure::new(Exit::NotFound, format!("no context '{name}': {known}"))
        })
    }
}

/// Where the file is.
///
/// # Errors
/// Where no home directory is known.
pub(crate) fn path() -> Result<PathBuf, Failure> {
    let base = tenantry_config::env_var("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute());
    let base = base.or_else(|| std::env::home_dir().map(|home| home.join(".config")));
    let base = base.ok_or_else(|| Failure::other("no home directory is known: set XDG_CONFIG_HOME"))?;
    Ok(base.join("tenantry").join("contexts.json"))
}

/// Reads the file; a missing one is empty.
///
/// # Errors
/// Where it cannot be read.
pub(crate) fn read(path: &Path) -> Result<Contexts, Failure> {
    match fs::read(path) {
        Ok(bytes) => {
            serde_json::from_slice(&bytes).map_err(|error| Failure::other(format!("{}: {error}", path.display())))
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Contexts::default()),
        Err(error) => Err(Failure::other(format!("{}: {error}", path.display()))),
    }
}

/// Changes the file under its lock.
///
/// # Errors
/// What `edit` says; a file that cannot be written.
pub(crate) fn change<T>(edit: impl FnOnce(&mut Contexts) -> Result<T, Failure>) -> Result<T, Failure> {
    let path = path()?;
    let _lock = lock(&path)?;
    let mut all = read(&path)?;
    let result = edit(&mut all)?;
    write_private(&path, &serde_json::to_vec_pretty(&all)?)?;
    Ok(result)
}

/// Waits for the file's lock; dropping it opens the lock.
///
/// # Errors
/// Where the lock file cannot be made.
pub(crate) fn lock(path: &Path) -> Result<File, Failure> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

/// Writes a whole file that only its owner can read: a reader sees the old one or the new one.
///
/// # Errors
/// Where it cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("{}: {error}", path.display()));
    let fresh = Fresh::beside(path, 0o600).map_err(failed)?;
    fresh.file().write_all(content).map_err(failed)?;
    fresh.replace(path).map_err(failed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use tenantry_kernel::{Ids, SystemIds};

    #[test]
    fn a_private_file_leaves_its_neighbours_alone() {
        let folder = std::env::temp_dir().join(format!("tenantctl-{}", SystemIds.new_v7()));
        fs::create_dir_all(&folder).unwrap();
        let (path, neighbour) = (folder.join("contexts.json"), folder.join("contexts.new"));
        fs::write(&neighbour, "mine").unwrap();
        for content in ["one", "two"] {
            write_private(&path, content.as_bytes()).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
        }
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&neighbour).unwrap(), "mine");
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
