//! Metrics of the store.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::LazyLock,
};

use prometheus::{
    IntCounter, IntGauge,
    core::{Collector, Desc},
    proto::MetricFamily,
};

/// Of the process, because a process opens one store, before it has metrics. `None` if the name were invalid.
static ERRORS: LazyLock<Option<IntCounter>> = LazyLock::new(|| {
    IntCounter::new("switchboard_storage_errors_total", "Failed operations of the gateway's storage.").ok()
});

/// The size of the embedded database, read when the metrics are.
pub(super) struct DatabaseSize {
    gauge: IntGauge,
    files: [PathBuf; 3],
}

/// Counts a failed operation of the storage.
pub fn storage_failed() {
    if let Some(errors) = &*ERRORS {
        errors.inc();
    }
}

/// The counter of failed operations.
pub(super) fn errors() -> Option<IntCounter> {
    ERRORS.clone()
}

// === impl DatabaseSize ===

impl DatabaseSize {
    /// The size of the database in this file: with its write-ahead log.
    pub(super) fn of(path: &Path) -> Result<Self, prometheus::Error> {
        let beside = |suffix: &str| {
            let mut name = path.as_os_str().to_owned();
            name.push(suffix);
            PathBuf::from(name)
        };
        let help = "Size of the embedded database with its write-ahead log.";
        let gauge = IntGauge::new("switchboard_storage_bytes", help)?;
        Ok(Self { gauge, files: [path.to_owned(), beside("-wal"), beside("-shm")] })
    }
}

impl Collector for DatabaseSize {
    fn desc(&self) -> Vec<&Desc> {
        self.gauge.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        let bytes: u64 = self.files.iter().filter_map(|file| fs::metadata(file).ok()).map(|file| file.len()).sum();
        self.gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
        self.gauge.collect()
    }
}
