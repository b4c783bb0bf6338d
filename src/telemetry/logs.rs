//! Log lines, and the writer that never blocks on them.
//!
//! Standard error may be a pipe that nobody reads. A worker thread writes to it; the queue before the worker is
//! bounded, and a line that finds it full is dropped and counted.

use std::{
    io::{self, IsTerminal as _, Write},
    sync::{
        Mutex, OnceLock, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    thread,
    time::Duration,
};

use prometheus::{
    IntCounter, Opts,
    core::{Collector, Desc},
    proto::MetricFamily,
};
use tracing::{Level, Metadata, Subscriber};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::{
    EnvFilter, Layer, filter::filter_fn, fmt, layer::SubscriberExt as _, util::SubscriberInitExt as _,
};

/// Most lines that wait for standard error: about 1 MiB.
const MAX_QUEUED_LINES: usize = 4096;
/// Longest time to write the queued lines at the end of the process.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(1);

/// The writer of this process, once logging is installed. Standard error belongs to the process, too.
static WRITER: OnceLock<NonBlocking> = OnceLock::new();
static WORKER: Mutex<Option<WorkerGuard>> = Mutex::new(None);
/// Lines that the system did not accept, for example because the pipe's reader ended.
static FAILED_LINES: AtomicU64 = AtomicU64::new(0);

/// The counter of dropped lines.
pub(super) struct DroppedLines {
    options: Opts,
    counter: IntCounter,
}

/// A destination that counts the lines that it does not accept.
struct Counted<W>(W);

/// Logs to standard error: text on a terminal, JSON otherwise. `RUST_LOG` sets the levels, within [`log_filter`]; the
/// default is warnings, and `info` for the gateway itself.
pub fn install_logging() {
    let (writer, worker) = non_blocking(io::stderr());
    *WORKER.lock().unwrap_or_else(PoisonError::into_inner) = Some(worker);
    let writer = WRITER.get_or_init(|| writer).clone();
    let requested = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("warn,switchboard=info"));
    let logs = tracing_subscriber::registry().with(log_filter(requested));
    let is_terminal = io::stderr().is_terminal();
    let lines = fmt::layer().with_writer(writer).with_ansi(is_terminal);
    if is_terminal {
        logs.with(lines.with_target(false)).init();
    } else {
        logs.with(lines.json().flatten_event(true).with_current_span(false).with_span_list(false)).init();
    }
}

/// Standard error through the writer of the logs, so that a message for people does not block either.
pub fn stderr() -> Box<dyn Write> {
    WRITER.get().map_or_else(|| Box::new(io::stderr()) as Box<dyn Write>, |writer| Box::new(writer.clone()))
}

/// Writes the queued lines at the end of the process, for at most [`FLUSH_TIMEOUT`]. Later lines are dropped.
pub fn flush() {
    let Some(worker) = WORKER.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
    let (done, flushed) = mpsc::channel();
    // Dropping the guard waits for the worker, and may print to a standard output that blocks, too.
    thread::spawn(move || {
        drop(worker);
        let _ = done.send(());
    });
    let _ = flushed.recv_timeout(FLUSH_TIMEOUT);
}

/// The requested levels, but only warnings and errors of libraries: at lower levels they log URLs with signatures,
/// headers with tokens, and bodies.
pub fn log_filter<S: Subscriber>(requested: EnvFilter) -> impl Layer<S> {
    requested.and_then(filter_fn(|metadata| is_ours(metadata) || *metadata.level() <= Level::WARN))
}

fn is_ours(metadata: &Metadata<'_>) -> bool {
    metadata.target().strip_prefix("switchboard").is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
}

fn non_blocking(destination: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(MAX_QUEUED_LINES)
        .thread_name("logs")
        .finish(Counted(destination))
}

// === impl DroppedLines ===

impl DroppedLines {
    pub(super) fn new() -> Result<Self, prometheus::Error> {
        let options = Opts::new(
            "switchboard_log_lines_dropped_total",
            "Log lines dropped because standard error did not accept them in time.",
        );
        Ok(Self { counter: IntCounter::with_opts(options.clone())?, options })
    }
}

impl Collector for DroppedLines {
    fn desc(&self) -> Vec<&Desc> {
        self.counter.desc()
    }

    fn collect(&self) -> Vec<MetricFamily> {
        // The writer counts; a fresh counter carries its number, so that concurrent scrapes do not add up.
        let Ok(counter) = IntCounter::with_opts(self.options.clone()) else { return Vec::new() };
        let queue_full = WRITER.get().map(NonBlocking::error_counter).as_ref().map_or(0, ErrorCounter::dropped_lines);
        counter.inc_by(queue_full as u64 + FAILED_LINES.load(Ordering::Relaxed));
        counter.collect()
    }
}

// === impl Counted ===

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_all(&mut self, line: &[u8]) -> io::Result<()> {
        self.0.write_all(line).inspect_err(|_| {
            FAILED_LINES.fetch_add(1, Ordering::Relaxed);
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pipe that nobody reads, until the test drops its sender.
    struct Stuck(mpsc::Receiver<()>);

    impl Write for Stuck {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_queue_drops_lines_and_counts_them() {
        let (release, stuck) = mpsc::channel();
        let (mut writer, worker) = non_blocking(Stuck(stuck));
        let counter = writer.error_counter();
        let (done, written) = mpsc::channel();
        thread::spawn(move || {
            for _ in 0..MAX_QUEUED_LINES + 100 {
                writer.write_all(b"line\n").unwrap();
            }
            done.send(()).unwrap();
        });
        written.recv_timeout(Duration::from_secs(60)).expect("no line waits for the pipe");
        // The worker may hold one line.
        assert!((99..=100).contains(&counter.dropped_lines()), "{}", counter.dropped_lines());
        drop(release);
        drop(worker);
    }
}
