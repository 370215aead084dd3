//! Files that are written whole: a new one under a name that nobody else has, which takes the place of the old one when it
//! is complete. What stands beside it is never touched.

use std::{
    ffi::OsString,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};
use tenantry_kernel::{Ids, SystemIds};

/// A file that is being written beside its target; dropped, it is gone.
#[derive(Debug)]
pub(crate) struct Fresh {
    path: PathBuf,
    file: File,
}

impl Drop for Fresh {
    fn drop(&mut self) {
        // Already under its own name, or nobody left to tell.
        drop(fs::remove_file(&self.path));
    }
}

impl Fresh {
    /// Makes it in the folder of `target`, with at most this mode.
    ///
    /// # Errors
    /// Where that folder cannot be written.
    pub(crate) fn beside(target: &Path, mode: u32) -> io::Result<Self> {
        let name = target
            .file_name()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "is no name of a file"))?;
        let mut hidden = OsString::from(".");
        hidden.push(name);
        hidden.push(format!(".{}.part", SystemIds.new_v7()));
        let path = target.with_file_name(hidden);
        let file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&path)?;
        Ok(Self { path, file })
    }
    /// Where it is for now.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
    /// To write to.
    pub(crate) fn file(&self) -> &File {
        &self.file
    }
    /// Puts it in place of whatever is there.
    ///
    /// # Errors
    /// Where the disk is full or the folder cannot be written.
    pub(crate) fn replace(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.path, target)
    }
    /// Puts it where nothing is.
    ///
    /// # Errors
    /// `AlreadyExists` where something has appeared meanwhile; as [`Fresh::replace`].
    pub(crate) fn place(self, target: &Path) -> io::Result<()> {
        self.file.sync_all()?;
        match fs::hard_link(&self.path, target) {
            // A file system without links: an empty file takes the name first.
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                OpenOptions::new().write(true).create_new(true).open(target)?;
                fs::rename(&self.path, target)
            }
            linked => linked,
        }
    }
}
