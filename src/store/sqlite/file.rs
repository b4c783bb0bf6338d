//! The database's file and its lock file.

use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io,
    path::Path,
};

use super::Cause;

/// Excludes other gateways from the database until it is dropped.
pub(super) struct FileLock(File);

// === impl FileLock ===

impl FileLock {
    /// Acquires the lock file beside the database.
    ///
    /// SQLite's own locks belong to the process and are released when the process closes any handle of the file; they
    /// would also exclude the gateway's other connections.
    pub(super) fn acquire(path: &Path) -> Result<Self, Cause> {
        let mut name = path.file_name().ok_or(Cause::Io(io::ErrorKind::IsADirectory))?.to_owned();
        name.push(".lock");
        let lock = open_private(&path.with_file_name(name)).map_err(|error| Cause::Io(error.kind()))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self(lock)),
            Err(TryLockError::WouldBlock) => Err(Cause::InUse),
            Err(TryLockError::Error(error)) => Err(Cause::Io(error.kind())),
        }
    }
}

impl Drop for FileLock {
    fn drop(&mut self) {
        // Closing the file is not enough: a child process between fork and exec shares the handle and would keep the
        // lock. If the unlock fails, the end of the process releases it.
        let _ = self.0.unlock();
    }
}

/// Whether a file can be created beside `path`. The file is removed again.
pub(super) fn probe_folder(path: &Path) -> io::Result<()> {
    let mut name = path.file_name().ok_or(io::ErrorKind::IsADirectory)?.to_owned();
    name.push(format!(".probe-{}", std::process::id()));
    let probe = path.with_file_name(name);
    File::create_new(&probe)?;
    fs::remove_file(&probe)
}

/// Opens or creates a file with mode 0600; sets the mode of an existing file.
pub(super) fn open_private(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let file = options.open(path)?;
    #[cfg(unix)]
    file.set_permissions(<std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o600))?;
    Ok(file)
}
