//! The embedded database: what must outlive the gateway.
//!
//! One SQLite file, opened once. Whoever opens it holds it alone: a lock file beside it keeps a second gateway out, and
//! the system lets go of the lock when the process ends, however it ends; an orderly end closes the file before. A commit
//! is on disk when it returns (WAL, `synchronous=FULL`). All access runs on blocking threads, never on those that serve
//! calls.

mod event;
mod file;
mod idempotency;
mod kv;
mod subscription;

use std::{
    fmt, io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rusqlite::{Connection, OpenFlags, OptionalExtension as _, Transaction};
use tokio::sync::Semaphore;

pub use self::event::SqliteEventLog;
use self::file::Lock;
use crate::{
    config,
    error::{Error, ErrorReason, Result},
};

/// What brings a database of each version to the next, beginning with an empty one. Rows are only ever added.
const MIGRATIONS: [Migration; 4] = [
    |database| database.execute_batch(subscription::TABLE),
    |database| database.execute_batch(idempotency::TABLE),
    |database| {
        database.execute_batch(kv::TABLE)?;
        kv::migrate_subscriptions(database)
    },
    |database| database.execute_batch(event::TABLES),
];

/// One step of the schema.
type Migration = fn(&Transaction<'_>) -> rusqlite::Result<()>;

/// Memory for pages of the database, in KiB; and how many pages its write-ahead log gets before they are moved over.
const CACHE_KIB: i64 = 16 * 1024;
const CHECKPOINT_PAGES: i64 = 8192;

/// The open database. Cheap to clone: clones are the same database.
#[derive(Clone)]
pub struct Database(Arc<Open>);

struct Open {
    /// For reading while the other one writes. What is in memory has one connection only.
    reader: Option<Handle>,
    /// Closed last, because it is the one that can empty the write-ahead log.
    writer: Handle,
    /// The place of the one who reads: the others wait here, where they take no thread.
    reads: Arc<Semaphore>,
    /// Held as long as the database is open.
    lock: Mutex<Option<Lock>>,
}

/// A connection, until it is closed.
struct Handle(Mutex<Option<Connection>>);

/// Why the database cannot be used. Its text names the file and is fit for whoever runs the gateway.
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
    /// Opens the configured database, which it makes when there is none.
    ///
    /// # Errors
    /// When another process has it open, when a newer version of the gateway made it, or when it cannot be read or
    /// written. These are errors of the configuration: the process should end with exit code 2.
    pub fn open(config: &config::Storage) -> Result<Self, DatabaseError> {
        let path = &config.path;
        let failed = |cause| DatabaseError { path: path.clone(), cause };
        let lock = Lock::take(path).map_err(failed)?;
        // SQLite gives the files beside it the same mode.
        file::private(path).map_err(|error| failed(Cause::Io(error.kind())))?;
        let connection = Connection::open(path).and_then(prepared).map_err(|error| failed(error.into()))?;
        let reader = || Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY);
        Self::of(connection, Some((reader, lock))).map_err(failed)
    }

    /// A database that is gone with the last clone.
    ///
    /// # Errors
    /// When there is no memory for it.
    pub fn in_memory() -> Result<Self, DatabaseError> {
        let failed = |cause| DatabaseError { path: ":memory:".into(), cause };
        let connection = Connection::open_in_memory().map_err(|error| failed(error.into()))?;
        Self::of(connection, None::<(fn() -> _, Lock)>).map_err(failed)
    }

    fn of(
        mut connection: Connection,
        file: Option<(impl FnOnce() -> rusqlite::Result<Connection>, Lock)>,
    ) -> Result<Self, Cause> {
        migrate(&mut connection)?;
        let (reader, lock) = match file {
            Some((reader, lock)) => (Some(Handle::new(reader()?)), Some(lock)),
            None => (None, None),
        };
        let reads = Arc::new(Semaphore::new(1));
        Ok(Self(Arc::new(Open { reader, writer: Handle::new(connection), reads, lock: Mutex::new(lock) })))
    }

    /// Closes the database for every clone, after the work on it that has begun; it may be opened again at once. Further
    /// work fails with `STORAGE_UNAVAILABLE`.
    pub async fn close(&self) {
        let database = self.clone();
        let close = move || {
            let Open { reader, writer, lock, .. } = &*database.0;
            if let Some(reader) = reader {
                reader.close();
            }
            writer.close();
            drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
            Ok(())
        };
        // Only a panic fails it, which was told.
        let _ = on_blocking_thread(close).await;
    }

    /// Lets the database grow to this many pages of 4 KiB and no further, as a disk that is full would.
    ///
    /// # Errors
    /// `STORAGE_UNAVAILABLE`.
    pub async fn limit_pages(&self, most: u32) -> Result<()> {
        self.run(move |connection| connection.pragma_update_and_check(None, "max_page_count", most, |_| Ok(()))).await
    }

    /// Runs one piece of work on a blocking thread.
    async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let database = self.clone();
        on_blocking_thread(move || database.locked(work)).await
    }

    /// The same for work that only reads: it does not wait for a commit.
    async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T> {
        let place = self.0.reads.clone().acquire_owned().await;
        let place = place.map_err(|_| Error::internal("the storage accepts no reads"))?;
        let database = self.clone();
        let read = move || {
            // Also when nobody waits for it any more, it holds its place to the end.
            let _place = place;
            database.0.reader.as_ref().unwrap_or(&database.0.writer).with(|connection| work(connection))
        };
        on_blocking_thread(read).await
    }

    /// Runs one piece of work on this thread, which must be one that may wait.
    fn locked<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        self.0.writer.with(work)
    }
}

// === impl Handle ===

impl Handle {
    fn new(connection: Connection) -> Self {
        Self(Mutex::new(Some(connection)))
    }

    fn with<T>(&self, work: impl FnOnce(&mut Connection) -> rusqlite::Result<T>) -> Result<T> {
        let mut connection = self.locked();
        let connection = connection.as_mut().ok_or_else(|| {
            Error::new(ErrorReason::StorageUnavailable, "the gateway is shutting down and has closed its storage")
        })?;
        work(connection).map_err(|error| failed(&error))
    }

    fn close(&self) {
        drop(self.locked().take());
    }

    fn locked(&self) -> MutexGuard<'_, Option<Connection>> {
        // A panic in between leaves no half-done work: its transaction was rolled back.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn on_blocking_thread<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|_| Err(Error::internal("a storage task panicked")))
}

fn failed(error: &rusqlite::Error) -> Error {
    tracing::error!(cause = description(error), "storage failed");
    Error::new(ErrorReason::StorageUnavailable, "the gateway's storage is unavailable")
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Database")
    }
}

fn prepared(connection: Connection) -> rusqlite::Result<Connection> {
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES)?;
    Ok(connection)
}

/// Brings the schema to this version, all steps or none.
fn migrate(connection: &mut Connection) -> Result<(), Cause> {
    let transaction = connection.transaction()?;
    transaction.execute_batch("CREATE TABLE IF NOT EXISTS schema (version INTEGER NOT NULL) STRICT")?;
    let version: Option<i64> = transaction.query_row("SELECT version FROM schema", (), |row| row.get(0)).optional()?;
    let version = version.unwrap_or(0);
    let steps = usize::try_from(version).ok().and_then(|done| MIGRATIONS.get(done..)).ok_or(Cause::Newer(version))?;
    for step in steps {
        step(&transaction)?;
    }
    transaction.execute("DELETE FROM schema", ())?;
    transaction
        .execute("INSERT INTO schema (version) VALUES (?1)", [i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)])?;
    Ok(transaction.commit()?)
}

/// SQLite's name for what went wrong; its message could quote what it read.
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
    /// From now on nothing can be written.
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
    fn only_one_may_have_it_open() {
        let directory = tempfile::tempdir().unwrap();
        let first = Database::open(&config(&directory)).unwrap();
        let second = Database::open(&config(&directory)).unwrap_err().to_string();
        assert!(second.contains("switchboard.db: another process has it open"), "{second}");
        drop(first);
        Database::open(&config(&directory)).unwrap();
    }

    #[tokio::test]
    async fn what_is_closed_may_be_opened_again_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let first = Database::open(&config(&directory)).unwrap();
        let clone = first.clone();
        let answer = |connection: &Connection| connection.query_row("SELECT 42", (), |row| row.get::<_, i64>(0));
        assert_eq!(clone.read(answer).await.unwrap(), 42);
        first.close().await;
        first.close().await;
        let second = Database::open(&config(&directory)).unwrap();
        for refused in [clone.read(answer).await, clone.run(move |connection| answer(connection)).await] {
            assert_eq!(refused.unwrap_err().reason(), ErrorReason::StorageUnavailable);
        }
        assert_eq!(second.run(move |connection| answer(connection)).await.unwrap(), 42);
        second.close().await;
        let mut left: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|file| file.unwrap().file_name().into_string().unwrap())
            .collect();
        left.sort();
        assert_eq!(left, ["switchboard.db", "switchboard.db.lock"], "the write-ahead log was moved over");
    }

    #[cfg(unix)]
    #[test]
    fn only_its_owner_may_read_it() {
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
    fn what_cannot_be_used_is_told_with_its_path() {
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
    fn a_newer_gateways_database_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        drop(Database::open(&config(&directory)).unwrap());
        let connection = Connection::open(config(&directory).path).unwrap();
        connection.execute("UPDATE schema SET version = 999", ()).unwrap();
        drop(connection);
        let error = Database::open(&config(&directory)).unwrap_err().to_string();
        assert!(error.contains("version 999"), "{error}");
    }

    #[tokio::test]
    async fn what_is_committed_is_safe() {
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
