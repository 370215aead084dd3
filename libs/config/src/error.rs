//! What can be wrong with a configuration.

use std::{io, path::PathBuf};

/// `EX_USAGE` of sysexits: the exit code for a configuration that cannot be used.
pub const EX_USAGE: u8 = 64;

/// A configuration that cannot be used. The text names the key and what is accepted.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file named by `--config` or by a `<key>_file` entry cannot be read.
    #[error("configuration file {} cannot be read: {source}; give the path of a readable file", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A layer does not parse, a key is unknown or missing, or a value has the wrong type.
    #[error("configuration: {0}")]
    Parse(String),
    /// A value is understood but not accepted.
    #[error("configuration: {key} {accepted}")]
    Invalid {
        /// `section.key`
        key: String,
        /// What is accepted, as the rest of a sentence: "must be ..".
        accepted: String,
    },
}

impl ConfigError {
    /// A refused value; `accepted` goes on after the key: `("db.pool_size", "must be 1 to 200")`.
    pub fn invalid(key: impl Into<String>, accepted: impl Into<String>) -> Self {
        Self::Invalid {
            key: key.into(),
            accepted: accepted.into(),
        }
    }
    /// The exit code of a process that was given this configuration.
    #[must_use]
    pub const fn exit_code(&self) -> u8 {
        EX_USAGE
    }
}
