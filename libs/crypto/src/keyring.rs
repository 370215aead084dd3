//! The two ends of the key hierarchy: the root key in a file and the data keys that do the sealing.

use crate::{SealError, random, seal};
use base64::{Engine, prelude::BASE64_STANDARD};
use std::{
    fmt, fs, io,
    io::Write,
    os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt},
    path::{Path, PathBuf},
};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

/// A key file that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// It cannot be read or written.
    #[error("key file {} cannot be used: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it.
    #[error("key file {} has mode {mode:o}; others could read it, so run: chmod 600 {}", path.display(), path.display())]
    Mode {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It holds something else.
    #[error("key file {} must hold 32 bytes in base64", .0.display())]
    Content(PathBuf),
    /// Raw key bytes of the wrong length.
    #[error("a key has 32 bytes")]
    Length,
}

/// 32 bytes that seal data. Zeroized on drop, never printed.
#[derive(Clone, Zeroize, ZeroizeOnDrop)]
pub struct DataKey([u8; 32]);

impl DataKey {
    /// A new random key.
    #[must_use]
    pub fn generate() -> Self {
        Self(random::array())
    }
    /// Wraps raw bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
    /// Wraps raw bytes of a length known only at run time.
    ///
    /// # Errors
    /// Where there are not 32.
    pub fn from_slice(bytes: &[u8]) -> Result<Self, KeyError> {
        bytes.try_into().map(Self).map_err(|_| KeyError::Length)
    }
    /// The bytes, for wrapping and for a cipher.
    #[must_use]
    pub const fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DataKey(***)")
    }
}

/// Only its owner may read a key. The one exception is a file of root read by another user through its group: that is how
/// an orchestrator mounts a secret (`fsGroup`), and the reader can neither change nor chmod it.
const fn kept_apart(mode: u32, owner: u32, reader: u32) -> bool {
    let lent_by_root = owner == 0 && reader != 0;
    mode & (if lent_by_root { 0o137 } else { 0o177 }) == 0
}

/// 32 bytes in base64 from a file that [`kept_apart`] holds for.
pub(crate) fn read_key(path: &Path) -> Result<DataKey, KeyError> {
    let io = |source| KeyError::Io {
        path: path.to_owned(),
        source,
    };
    let mut file = fs::File::open(path).map_err(io)?;
    // On the open file, so that nobody can swap it between check and read.
    let found = file.metadata().map_err(io)?;
    let mode = found.permissions().mode() & 0o7777;
    let me = fs::metadata("/proc/self").map_err(io)?.uid();
    if !kept_apart(mode, found.uid(), me) {
        return Err(KeyError::Mode {
            path: path.to_owned(),
            mode,
        });
    }
    let mut text = Zeroizing::new(String::new());
    io::Read::read_to_string(&mut file, &mut text).map_err(io)?;
    let content = || KeyError::Content(path.to_owned());
    let bytes = Zeroizing::new(BASE64_STANDARD.decode(text.trim()).map_err(|_| content())?);
    DataKey::from_slice(&bytes).map_err(|_| content())
}

/// The root key (KEK): wraps tenant keys, never data. Never printed.
#[derive(Clone)]
pub struct RootKey(DataKey);

impl RootKey {
    /// Reads 32 bytes in base64 from a file that only its owner can read.
    ///
    /// # Errors
    /// Missing file, mode wider than 0600, other content.
    pub fn from_file(path: &Path) -> Result<Self, KeyError> {
        read_key(path).map(Self)
    }
    /// Writes a new random key to a file that must not exist yet.
    ///
    /// # Errors
    /// Where the file exists or cannot be written.
    pub fn create_file(path: &Path) -> Result<Self, KeyError> {
        let io = |source| KeyError::Io {
            path: path.to_owned(),
            source,
        };
        let key = DataKey::generate();
        let text = Zeroizing::new(BASE64_STANDARD.encode(key.expose()));
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(path)
            .map_err(io)?;
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(io)?;
        Ok(Self(key))
    }
    /// A root key from raw bytes (tests).
    #[must_use]
    pub const fn new(key: DataKey) -> Self {
        Self(key)
    }
    /// Wraps a key; `aad` says whose it is, so that a wrapped key moved elsewhere does not unwrap.
    #[must_use]
    pub fn wrap(&self, aad: &[u8], key: &[u8]) -> Vec<u8> {
        seal::encrypt(&seal::cipher(&self.0), aad, key)
    }
    /// Undoes [`RootKey::wrap`].
    ///
    /// # Errors
    /// Where the bytes were not wrapped by this key under this `aad`.
    pub fn unwrap(&self, aad: &[u8], wrapped: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        seal::decrypt(&seal::cipher(&self.0), aad, wrapped).map(Zeroizing::new)
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("tenantry-key-{}-{name}", std::process::id()));
        drop(fs::remove_file(&path));
        path
    }

    #[test]
    fn a_root_key_file_is_made_once_and_refused_when_others_can_read_it() {
        let path = path("root");
        let made = RootKey::create_file(&path).expect("new file");
        assert!(
            RootKey::create_file(&path).is_err(),
            "an existing key is never overwritten"
        );
        let wrapped = made.wrap(b"tenant-a", b"key");
        let read = RootKey::from_file(&path).expect("0600");
        assert_eq!(read.unwrap(b"tenant-a", &wrapped).expect("same key").as_slice(), b"key");
        assert!(read.unwrap(b"tenant-b", &wrapped).is_err());
        for mode in [0o640, 0o604, 0o700] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("chmod");
            assert!(
                matches!(RootKey::from_file(&path), Err(KeyError::Mode { .. })),
                "{mode:o}"
            );
        }
    }

    #[test]
    fn a_mounted_secret_may_be_read_through_its_group_by_somebody_who_is_not_its_owner() {
        assert!(kept_apart(0o440, 0, 10_001), "a volume with fsGroup");
        assert!(!kept_apart(0o440, 10_001, 10_001), "one's own file");
        assert!(!kept_apart(0o440, 0, 0), "root's own file");
        assert!(!kept_apart(0o444, 0, 10_001), "everybody");
        assert!(!kept_apart(0o460, 0, 10_001), "writable");
    }

    #[test]
    fn a_short_key_is_refused_and_nothing_prints_one() {
        let path = path("short");
        fs::write(&path, "c2hvcnQ=").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("chmod");
        assert!(matches!(RootKey::from_file(&path), Err(KeyError::Content(_))));
        let key = DataKey::new([7; 32]);
        assert_eq!(
            format!("{key:?} {:?}", RootKey::new(key.clone())),
            "DataKey(***) RootKey(***)"
        );
    }
}
