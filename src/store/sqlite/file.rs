//! The database's file, and the lock beside it.

use std::{
    fs::{File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::Cause;

/// Keeps other gateways from the file as long as it lives.
pub struct Lock(File);

// === impl Lock ===

impl Lock {
    /// Takes the lock beside the database.
    ///
    /// SQLite's own locks are of the process and are dropped when any file handle of the database is closed in it; they
    /// also would keep the gateway's own further connections out.
    pub fn take(path: &Path) -> Result<Self, Cause> {
        let mut name = path.file_name().ok_or(Cause::Io(io::ErrorKind::IsADirectory))?.to_owned();
        name.push(".lock");
        let lock = private(&path.with_file_name(name)).map_err(|error| Cause::Io(error.kind()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => Err(Cause::InUse),
            Err(TryLockError::Error(error)) => Err(Cause::Io(error.kind())),
        }
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // Closing alone would leave it to a process that is just being started: that has the file, too, until it runs a
        // program of its own. When this fails, the end of the process does it.
        let _ = self.0.unlock();
    }
}

/// Opens a file that only its owner may read, also where it was there with other rights.
pub fn private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(<std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600))?;
    Ok(file)
}
