//! The SQL of the event logs.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use ring::rand::{SecureRandom as _, SystemRandom};
use rusqlite::{Connection, OptionalExtension as _, Transaction, params};
use tokio::sync::watch;

use crate::{
    config,
    store::{
        event_log::{Appended, Extent, PAGE_BYTES, PAGE_RECORDS, Record},
        fingerprint::Fingerprint,
    },
};

pub(crate) const TABLES: &str = "
    CREATE TABLE event_log (
        number INTEGER PRIMARY KEY,
        center TEXT NOT NULL UNIQUE,
        identity INTEGER NOT NULL,
        oldest INTEGER NOT NULL,
        newest INTEGER NOT NULL,
        received INTEGER NOT NULL,
        bytes INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE event (
        id INTEGER PRIMARY KEY,
        received INTEGER NOT NULL,
        body BLOB NOT NULL
    ) STRICT;
    CREATE TABLE event_seen (
        log INTEGER NOT NULL,
        key BLOB NOT NULL,
        seen INTEGER NOT NULL,
        PRIMARY KEY (log, key)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX event_seen_seen ON event_seen (seen);
";

/// A larger step back of the clock, in microseconds, is a correction.
const CLOCK_CORRECTION: i64 = 60_000_000;
/// Approximate bytes of an event on disk beside its body.
const ROW_OVERHEAD: i64 = 64;
/// The range of sequences of one log.
const SEQUENCES: i64 = 1 << 40;

/// An event to append to a log.
pub(super) struct NewEvent {
    /// The log's number.
    pub number: i64,
    /// The callback's body.
    pub body: Bytes,
    /// The body's fingerprint.
    pub fingerprint: Fingerprint,
}

/// The state of a log at the last commit.
#[derive(Clone)]
pub(super) struct LogState {
    oldest: i64,
    newest: i64,
    /// When the newest event was received.
    received: i64,
    bytes: i64,
    /// Publishes the position of the newest event to readers.
    pub published: watch::Sender<u64>,
}

// === impl LogState ===

impl LogState {
    /// Whether the positions are the same.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        (self.oldest, self.newest) == (other.oldest, other.newest)
    }

    /// Stores the state in the log's row.
    pub(super) fn save(&self, at: &Connection, number: i64) -> rusqlite::Result<()> {
        let update = "UPDATE event_log SET oldest = ?2, newest = ?3, received = ?4, bytes = ?5 WHERE number = ?1";
        at.prepare_cached(update)?
            .execute(params![number, self.oldest, self.newest, self.received, self.bytes])
            .map(drop)
    }

    /// Publishes the newest position to readers, after the commit.
    pub(super) fn publish(&self) {
        let newest = self.newest.cast_unsigned();
        self.published.send_if_modified(|published| std::mem::replace(published, newest) != newest);
    }
}

/// The number of a center's log; creates the log if it does not exist.
pub(super) fn number(connection: &mut Connection, center: &str) -> rusqlite::Result<i64> {
    let select = "SELECT number FROM event_log WHERE center = ?1";
    if let Some(number) = connection.query_row(select, [center], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let mut identity = [0; 8];
    SystemRandom::new().fill(&mut identity).map_err(|_| rusqlite::Error::InvalidQuery)?;
    let insert =
        "INSERT INTO event_log (center, identity, oldest, newest, received, bytes) VALUES (?1, ?2, 0, 0, 0, 0)";
    connection.execute(insert, params![center, i64::from_le_bytes(identity)])?;
    Ok(connection.last_insert_rowid())
}

/// The state of every log, by number.
pub(super) fn states(connection: &mut Connection) -> rusqlite::Result<BTreeMap<i64, LogState>> {
    connection
        .prepare("SELECT number, oldest, newest, received, bytes FROM event_log")?
        .query_map((), |row| {
            let newest: i64 = row.get(2)?;
            let (published, _) = watch::channel(newest.cast_unsigned());
            Ok((
                row.get(0)?,
                LogState { oldest: row.get(1)?, newest, received: row.get(3)?, bytes: row.get(4)?, published },
            ))
        })?
        .collect()
}

/// The extent of a log from this time on: older events are expired.
pub(super) fn extent(connection: &Connection, number: i64, since: i64) -> rusqlite::Result<Extent> {
    let unexpired = seek(connection, number, since)?;
    let select = "SELECT identity, oldest, newest FROM event_log WHERE number = ?1";
    connection.prepare_cached(select)?.query_row([number], |row| {
        let (log, oldest, newest): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let oldest = oldest.cast_unsigned().max(unexpired);
        Ok(Extent { log: log.cast_unsigned(), oldest, newest: newest.cast_unsigned() })
    })
}

/// Appends an event, unless it is a duplicate within its window.
pub(super) fn append(
    at: &Transaction<'_>,
    logs: &mut BTreeMap<i64, LogState>,
    config: &config::Events,
    now: i64,
    event: &NewEvent,
) -> rusqlite::Result<Appended> {
    let window = event.fingerprint.window(config.duplicate_window);
    if !window.is_zero() && !is_new(at, event, window, now)? {
        return Ok(Appended::Duplicate);
    }
    let log = logs.get_mut(&event.number).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    log.newest += 1;
    log.received = receive_time(log.received, now);
    log.bytes += i64::try_from(event.body.len()).unwrap_or(i64::MAX - ROW_OVERHEAD) + ROW_OVERHEAD;
    at.prepare_cached("INSERT INTO event (id, received, body) VALUES (?1, ?2, ?3)")?.execute(params![
        event.number * SEQUENCES + log.newest,
        log.received,
        &*event.body
    ])?;
    Ok(Appended::Stored)
}

/// The receive time of an event after one that was received at `last`. After a small step back of the clock, times
/// stand still. After a correction they follow the clock: otherwise they would stand still for as long as the error was
/// large.
fn receive_time(last: i64, now: i64) -> i64 {
    if last.saturating_sub(now) > CLOCK_CORRECTION { now } else { last.max(now) }
}

/// Records that an event was seen. Returns `false` for a duplicate within its window.
fn is_new(at: &Transaction<'_>, event: &NewEvent, window: Duration, now: i64) -> rusqlite::Result<bool> {
    // A time further ahead than the window is from before the clock was set back.
    let upsert = "INSERT INTO event_seen (log, key, seen) VALUES (?1, ?2, ?3) \
               ON CONFLICT (log, key) DO UPDATE SET seen = ?3 WHERE seen < ?4 OR seen > ?5";
    let window = duration_micros(window);
    let (since, until) = (now.saturating_sub(window), now.saturating_add(window));
    Ok(at.prepare_cached(upsert)?.execute(params![event.number, event.fingerprint.key, now, since, until])? > 0)
}

/// Removes events beyond the retention by age or size, at most `max_removed`. Returns how many it removed.
pub(super) fn trim(
    at: &Transaction<'_>,
    logs: &mut BTreeMap<i64, LogState>,
    config: &config::Events,
    now: i64,
    max_removed: u32,
) -> rusqlite::Result<u32> {
    let expired = now.saturating_sub(duration_micros(config.retention));
    let max_bytes = i64::try_from(config.retention_size).unwrap_or(i64::MAX);
    let mut removed = 0;
    for (number, log) in logs {
        let mut last = log.oldest;
        let mut oldest = at.prepare_cached(
            "SELECT id, received, length(body) FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let limit = max_removed - removed;
        let mut rows =
            oldest.query(params![number * SEQUENCES + log.oldest, number * SEQUENCES + log.newest, limit])?;
        while let Some(row) = rows.next()? {
            let (id, received, length): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if received >= expired && log.bytes <= max_bytes {
                break;
            }
            last = id - number * SEQUENCES;
            log.bytes -= length + ROW_OVERHEAD;
            removed += 1;
        }
        if last > log.oldest {
            at.prepare_cached("DELETE FROM event WHERE id > ?1 AND id <= ?2")?
                .execute([number * SEQUENCES + log.oldest, number * SEQUENCES + last])?;
            log.oldest = last;
        }
    }
    Ok(removed)
}

/// Removes duplicate-detection rows that are older than any window, at most `max_removed`.
pub(super) fn trim_seen(
    at: &Transaction<'_>,
    config: &config::Events,
    now: i64,
    max_removed: u32,
) -> rusqlite::Result<()> {
    let since = now.saturating_sub(duration_micros(config.duplicate_window));
    let delete = "DELETE FROM event_seen WHERE (log, key) IN \
                  (SELECT log, key FROM event_seen INDEXED BY event_seen_seen WHERE seen < ?1 LIMIT ?2)";
    at.prepare_cached(delete)?.execute(params![since, max_removed]).map(drop)
}

/// The next page of a log.
pub(super) fn page(connection: &Connection, number: i64, after: u64) -> rusqlite::Result<Vec<Record>> {
    let first = number * SEQUENCES;
    let after = i64::try_from(after).unwrap_or(i64::MAX).min(SEQUENCES - 1);
    let mut select = connection
        .prepare_cached("SELECT id, received, body FROM event WHERE id > ?1 AND id < ?2 ORDER BY id LIMIT ?3")?;
    let limit = i64::try_from(PAGE_RECORDS).unwrap_or(i64::MAX);
    let mut rows = select.query([first + after, first + SEQUENCES, limit])?;
    let mut page = Vec::new();
    let mut bytes = 0;
    while let Some(row) = rows.next()? {
        let (id, received): (i64, i64) = (row.get(0)?, row.get(1)?);
        let body: Vec<u8> = row.get(2)?;
        bytes += body.len();
        if bytes > PAGE_BYTES && !page.is_empty() {
            break;
        }
        page.push(Record { sequence: (id - first).cast_unsigned(), received: time(received), body: body.into() });
    }
    Ok(page)
}

/// The position right before the first event of this time or later, by binary search: times do not decrease within a
/// log, except after a correction of the clock.
pub(super) fn seek(connection: &Connection, number: i64, time: i64) -> rusqlite::Result<u64> {
    let (mut low, mut high): (i64, i64) =
        connection.query_row("SELECT oldest, newest FROM event_log WHERE number = ?1", [number], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut at = connection.prepare_cached("SELECT received FROM event WHERE id = ?1")?;
    // Events up to `low` are earlier, events after `high` are not.
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let received: Option<i64> = at.query_row([number * SEQUENCES + middle], |row| row.get(0)).optional()?;
        // A missing event was removed as one of the oldest.
        if received.is_none_or(|received| received < time) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low.cast_unsigned())
}

/// Microseconds since 1970.
pub(super) fn micros(time: SystemTime) -> i64 {
    duration_micros(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// Microseconds since 1970, rounded up.
pub(super) fn micros_ceil(time: SystemTime) -> i64 {
    let whole = micros(time);
    if self::time(whole) < time { whole.saturating_add(1) } else { whole }
}

/// A duration in microseconds.
pub(super) fn duration_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.cast_unsigned())
}
