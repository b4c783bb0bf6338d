//! Whether the database can be opened, without a change.

use std::{fs, io::ErrorKind, path::Path};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _};

use super::{
    Cause, Database, DatabaseError,
    file::{self, FileLock},
    migrations_from,
};
use crate::config;

impl Database {
    /// Whether [`Database::open`] would succeed. It creates and changes nothing that stays, and migrates nothing.
    ///
    /// # Errors
    /// As for [`Database::open`]. A database that another process has open can be used: that is a running gateway's.
    pub fn probe(config: &config::Storage) -> Result<(), DatabaseError> {
        let path = &config.path;
        probe(path).map_err(|cause| DatabaseError { path: path.clone(), cause })
    }
}

fn probe(path: &Path) -> Result<(), Cause> {
    if !path.exists() {
        // The file would be created where a link leads.
        let target = fs::read_link(path).ok().map(|target| path.parent().unwrap_or(path).join(target));
        return file::probe_folder(target.as_deref().unwrap_or(path)).map_err(|error| Cause::Io(error.kind()));
    }
    if !path.is_file() {
        return Err(Cause::Io(ErrorKind::InvalidInput));
    }
    file::open_private(path).map_err(|error| Cause::Io(error.kind()))?;
    let _lock = match FileLock::acquire(path) {
        Err(Cause::InUse) => return Ok(()),
        lock => lock?,
    };
    // Writable, so that the write-ahead log that the connection may create goes with it.
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    let has_schema: bool =
        connection.query_row("SELECT count(*) FROM sqlite_schema WHERE name = 'schema'", (), |row| row.get(0))?;
    if has_schema {
        let version = connection.query_row("SELECT version FROM schema", (), |row| row.get(0)).optional()?;
        migrations_from(version.unwrap_or(0))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(directory: &tempfile::TempDir) -> config::Storage {
        config::Storage { path: directory.path().join("switchboard.db") }
    }

    #[tokio::test]
    async fn a_probe_fails_where_opening_would_and_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let files = || fs::read_dir(directory.path()).unwrap().count();
        let missing = config::Storage { path: directory.path().join("missing/switchboard.db") };
        assert_eq!(
            Database::probe(&missing).unwrap_err().to_string(),
            Database::open(&missing).unwrap_err().to_string()
        );
        for path in [directory.path(), Path::new("/dev/null")] {
            assert!(Database::probe(&config::Storage { path: path.to_owned() }).is_err(), "{}", path.display());
        }
        #[cfg(unix)]
        for (target, is_usable) in [("missing/target.db", false), ("target.db", true)] {
            let link = config::Storage { path: directory.path().join("link.db") };
            std::os::unix::fs::symlink(target, &link.path).unwrap();
            assert_eq!(Database::probe(&link).is_ok(), is_usable, "{target}");
            fs::remove_file(link.path).unwrap();
        }

        Database::probe(&config(&directory)).unwrap();
        assert_eq!(files(), 0);
        let open = Database::open(&config(&directory)).unwrap();
        Database::probe(&config(&directory)).unwrap();
        open.close().await;
        Database::probe(&config(&directory)).unwrap();

        let connection = Connection::open(config(&directory).path).unwrap();
        connection.execute("UPDATE schema SET version = 0", ()).unwrap();
        Database::probe(&config(&directory)).unwrap();
        let version: i64 = connection.query_row("SELECT version FROM schema", (), |row| row.get(0)).unwrap();
        assert_eq!(version, 0, "nothing was migrated");
        connection.execute("UPDATE schema SET version = 999", ()).unwrap();
        drop(connection);
        assert!(Database::probe(&config(&directory)).unwrap_err().to_string().contains("version 999"));
        fs::write(config(&directory).path, "no database, and longer than the header of one would be".repeat(99))
            .unwrap();
        assert!(Database::probe(&config(&directory)).unwrap_err().to_string().contains("cannot be used: "));
    }
}
