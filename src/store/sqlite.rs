//! The embedded database.
//!
//! One SQLite file. A lock file beside it excludes a second gateway: a shutdown closes the database and releases the
//! lock, and after a crash the operating system releases it. A commit is on disk when it returns (WAL,
//! `synchronous=FULL`). All access runs on blocking threads, never on the threads that serve calls.

mod event;
mod file;
mod idempotency;
mod kv;
mod probe;
mod subscription;

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};
use tokio::sync::Semaphore;

pub use self::event::SqliteEventLog;
use self::file::FileLock;
use crate::{
    config,
    error::{Error, ErrorReason, Result},
    telemetry,
};

/// The migration from each schema version to the next, starting with an empty database. New ones are appended.
static MIGRATIONS: [Migration; 4] = [
    |database| database.execute_batch(subscription::TABLE),
    |database| database.execute_batch(idempotency::TABLE),
    |database| {
        database.execute_batch(kv::TABLE)?;
        kv::migrate_subscriptions(database)
    },
    |database| database.execute_batch(event::TABLES),
];

/// One migration.
type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// The page cache in KiB, and the pages in the write-ahead log that start a checkpoint.
const CACHE_KIB: i64 = 16 * 1024;
const CHECKPOINT_PAGES: i64 = 8192;

/// The open database. Cheap to clone: clones share it.
#[derive(Clone)]
pub struct Database(Arc<Inner>);

struct Inner {
    /// Reads while the writer writes. An in-memory database has only the writer.
    reader: Option<ClosableConnection>,
    /// Closed last, because only a writable connection can checkpoint the write-ahead log.
    writer: ClosableConnection,
    /// One permit: other reads wait for it as tasks and block no thread.
    read_permit: Arc<Semaphore>,
    /// Its file; `None` in memory.
    path: Option<PathBuf>,
    /// Held while the database is open.
    lock: Mutex<Option<FileLock>>,
}

/// A connection that can be closed while it is shared.
struct ClosableConnection(Mutex<Option<Connection>>);

/// Why the database cannot be used. Its text names the file and is for the operator.
#[derive(Debug)]
pub struct DatabaseError {
    path: PathBuf,
    cause: Cause,
}

#[derive(Debug)]
enum Cause {
    InUse,
    Io(io::ErrorKind),
    Newer(i64),
    Database(&'static str),
}

// === impl Database ===

impl Database {
    /// Opens the configured database, and creates it if it does not exist.
    ///
    /// # Errors
    /// When another process has it open, when a newer version of the gateway wrote it, or when it cannot be read or
    /// written. These are configuration errors: the process should exit with code 2.
    pub fn open(config: &config::Storage) -> Result<Self, DatabaseError> {
        let path = &config.path;
        let failed = |cause| DatabaseError { path: path.clone(), cause };
        let lock = FileLock::acquire(path).map_err(failed)?;
        // SQLite creates the files beside it with the same mode.
        file::open_private(path).map_err(|error| failed(Cause::Io(error.kind())))?;
        let connection = Connection::open(path).and_then(configure).map_err(|error| failed(error.into()))?;
        let reader = || Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        Self::with_connection(connection, Some((reader, lock))).map_err(failed)
    }

    /// An in-memory database, which is discarded with the last clone.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let failed = |cause| DatabaseError { path: ":memory:".into(), cause };
        let connection = Connection::open_in_memory().map_err(|error| failed(error.into()))?;
        Self::with_connection(connection, None::<(fn() -> _, FileLock)>).map_err(failed)
    }

    fn with_connection(
        mut connection: Connection,
        file: Option<(impl FnOnce() -> rusqlite::Result<Connection>, FileLock)>,
    ) -> Result<Self, Cause> {
        migrate(&mut connection)?;
        let path = connection.path().filter(|path| !path.is_empty()).map(PathBuf::from);
        let (reader, lock) = match file {
            Some((reader, lock)) => (Some(ClosableConnection::new(reader()?)), Some(lock)),
            None => (None, None),
        };
        let (writer, read_permit) = (ClosableConnection::new(connection), Arc::new(Semaphore::new(1)));
        Ok(Self(Arc::new(Inner { reader, writer, read_permit, path, lock: Mutex::new(lock) })))
    }

    /// The database's file; `None` in memory.
    pub fn path(&self) -> Option<&Path> {
        self.0.path.as_deref()
    }

    /// Closes the database for every clone, after the operations that have begun; it can be opened again at once. Later
    /// operations fail with `STORAGE_UNAVAILABLE`.
    pub async fn close(&self) {
        let database = self.clone();
        let close = move || {
            let Inner { reader, writer, lock, .. } = &*database.0;
            if let Some(reader) = reader {
                reader.close();
            }
            writer.close();
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        };
        // It fails only by a panic, which the panic hook logs.
        let _ = run_blocking(close).await;
    }

    /// Limits the database to this many pages of 4 KiB, to simulate a full disk.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn limit_pages(&self, max_pages: u32) -> Result<()> {
        self.run(move |connection| connection.pragma_update_and_check(None, "max_page_count", max_pages, |_| Ok(())))
            .await
    }

    /// Runs an operation with the writer, on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.clone();
        run_blocking(move || database.run_here(work)).await
    }

    /// Runs an operation that only reads, on a blocking thread. It does not wait for a commit.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let permit = self.0.read_permit.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Error::internal("the storage accepts no reads"))?;
        let database = self.clone();
        let read = move || {
            // Held to the end, also when the caller cancels.
            let _permit = permit;
            database.0.reader.as_ref().unwrap_or(&database.0.writer).with(|connection| work(connection))
        };
        run_blocking(read).await
    }

    /// Runs an operation with the writer, on this thread, which must be a blocking one.
    fn run_here<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.0.writer.with(work)
    }
}

// === impl ClosableConnection ===

impl ClosableConnection {
    fn new(connection: Connection) -> Self {
        Self(Mutex::new(Some(connection)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.lock();
        let connection = connection.as_mut().ok_or_else(|| {
            Error::new(ErrorReason::StorageUnavailable, "the gateway is shutting down and has closed its storage")
        })?;
        work(connection).map_err(|error| unavailable(&error))
    }

    fn close(&self) {
        drop(self.lock().take());
    }

    fn lock(&self) -> MutexGuard<'_, Option<Connection>> {
        // A panic leaves no partial work: its transaction was rolled back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn run_blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let result = tokio::task::spawn_blocking(work).await;
    result.unwrap_or_else(|_| Err(Error::internal("a storage task panicked")))
}

fn unavailable(error: &rusqlite::Error) -> Error {
    telemetry::storage_failed();
    tracing::error!(cause = description(error), "storage failed");
    Error::new(ErrorReason::StorageUnavailable, "the gateway's storage is unavailable")
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

fn configure(connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// Migrates the schema to this version, in one transaction.
fn migrate(connection: &mut Connection) -> Result<(), Cause> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL) STRICT")?;
    let version: Option<i64> = transaction.query_row("SELECT version FROM schema", (), |row| row.get(0)).optional()?;
    for migration in migrations_from(version.unwrap_or(0))? {
        migration(&transaction)?;
    }
    transaction.execute("DELETE FROM schema", ())?;
    transaction
        .execute("INSERT INTO schema (version) VALUES (?1)", [i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)])?;
    Ok(transaction.commit()?)
}

/// The migrations that a schema of this version lacks.
fn migrations_from(version: i64) -> Result<&'static [Migration], Cause> {
    usize::try_from(version).ok().and_then(|applied| MIGRATIONS.get(applied..)).ok_or(Cause::Newer(version))
}

/// SQLite's name of the error code. Its message could quote data.
fn description(error: &rusqlite::Error) -> &'static str {
    error.sqlite_error().map_or("not of the expected shape", |error| rusqlite::ffi::code_to_str(error.extended_code))
}

// === impl DatabaseError ===

impl fmt::Display for DatabaseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "storage.path: {}: ", self.path.display())?;
        match &self.cause {
            Cause::InUse => f.write_str("another process has it open; each gateway needs a file of its own"),
            Cause::Io(kind) => write!(f, "cannot be opened: {kind}"),
            Cause::Newer(version) => write!(
                f,
                "its schema has version {version}, which a newer gateway wrote; this gateway supports up to {}",
                MIGRATIONS.len()
            ),
            Cause::Database(what) => write!(f, "cannot be used: {what}"),
        }
    }
}

impl std::error::Error for DatabaseError {}

// === impl Cause ===

impl From<rusqlite::Error> for Cause {
    fn from(error: rusqlite::Error) -> Self {
        Self::Database(description(&error))
    }
}

#[cfg(test)]
impl Database {
    /// Lets every write fail from now on.
    pub(crate) async fn refuse_writes(&self) {
        self.run(|connection| connection.pragma_update(None, "query_only", true)).await.unwrap();
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn config(directory: &tempfile::TempDir) -> config::Storage {
        config::Storage { path: directory.path().join("switchboard.db") }
    }

    #[test]
    fn only_one_process_can_open_it() {
        let directory = tempfile::tempdir().unwrap();
        let first = Database::open(&config(&directory)).unwrap();
        let second = Database::open(&config(&directory)).unwrap_err().to_string();
        assert!(second.contains("switchboard.db: another process has it open"), "{second}");
        drop(first);
        Database::open(&config(&directory)).unwrap();
    }

    #[tokio::test]
    async fn a_closed_database_can_be_opened_again_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = Database::open(&config(&directory)).unwrap();
        let clone = first.clone();
        let query = |connection: &Connection| connection.query_row("SELECT 42", (), |row| row.get::<_, i64>(0));
        assert_eq!(clone.read(query).await.unwrap(), 42);
        first.close().await;
        first.close().await;
        let second = Database::open(&config(&directory)).unwrap();
        for refused in [clone.read(query).await, clone.run(move |connection| query(connection)).await] {
            assert_eq!(refused.unwrap_err().reason(), ErrorReason::StorageUnavailable);
        }
        assert_eq!(second.run(move |connection| query(connection)).await.unwrap(), 42);
        second.close().await;
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["switchboard.db", "switchboard.db.lock"], "the write-ahead log was checkpointed");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_can_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let directory = tempfile::tempdir().unwrap();
        fs::write(config(&directory).path, "").unwrap();
        let _open = Database::open(&config(&directory)).unwrap();
        let files: Vec<_> = fs::read_dir(directory.path()).unwrap().map(Result::unwrap).collect();
        assert!(files.len() >= 3, "the database, its log and the lock");
        for file in files {
            assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", file.file_name());
        }
    }

    #[test]
    fn an_error_names_the_path() {
        let directory = tempfile::tempdir().unwrap();
        let missing = config::Storage { path: directory.path().join("missing/switchboard.db") };
        let error = Database::open(&missing).unwrap_err().to_string();
        assert!(error.contains("missing/switchboard.db: cannot be opened: entity not found"), "{error}");

        fs::write(config(&directory).path, "no database, and longer than the header of one would be".repeat(99))
            .unwrap();
        let error = Database::open(&config(&directory)).unwrap_err().to_string();
        assert!(error.contains("cannot be used: "), "{error}");
    }

    #[test]
    fn a_database_of_a_newer_version_is_rejected() {
        let directory = tempfile::tempdir().unwrap();
        drop(Database::open(&config(&directory)).unwrap());
        let connection = Connection::open(config(&directory).path).unwrap();
        connection.execute("UPDATE schema SET version = 999", ()).unwrap();
        drop(connection);
        let error = Database::open(&config(&directory)).unwrap_err().to_string();
        assert!(error.contains("version 999"), "{error}");
    }

    #[tokio::test]
    async fn a_commit_is_synchronous() {
        let directory = tempfile::tempdir().unwrap();
        let database = Database::open(&config(&directory)).unwrap();
        let pragma = |name: &'static str| {
            database.run(move |connection| {
                connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            })
        };
        assert_eq!(pragma("journal_mode").await.unwrap(), rusqlite::types::Value::Text("wal".into()));
        assert_eq!(pragma("synchronous").await.unwrap(), rusqlite::types::Value::Integer(2));
    }
}
