//! The rows of the event logs: what is asked of SQLite.

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
    store::event_log::{Appended, Extent, PAGE_BYTES, PAGE_RECORDS, Record},
    store::fingerprint::Fingerprint,
};

pub const TABLES: &str = "
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

/// How far a clock must be set back, in microseconds, to be taken for one that was wrong.
const CORRECTED: i64 = 60_000_000;
/// What an event takes on disk beside its body, about.
const OVERHEAD: i64 = 64;
/// Sequences of one log.
const SEQUENCES: i64 = 1 << 40;

/// An event to append to a log.
pub struct NewEvent {
    /// The log's number.
    pub number: i64,
    /// The callback's body.
    pub body: Bytes,
    /// Identifies a duplicate.
    pub fingerprint: Fingerprint,
}

/// A log as of the last commit.
#[derive(Clone)]
pub struct State {
    oldest: i64,
    newest: i64,
    /// When the newest event was received.
    received: i64,
    bytes: i64,
    /// Tells readers the position of the newest event.
    pub told: watch::Sender<u64>,
}

// === impl State ===

impl State {
    /// Whether nothing came or went.
    pub fn is_same(&self, other: &Self) -> bool {
        (self.oldest, self.newest) == (other.oldest, other.newest)
    }

    /// Keeps what is not in the events themselves.
    pub fn save(&self, at: &Connection, number: i64) -> rusqlite::Result<()> {
        let update = "UPDATE event_log SET oldest = ?2, newest = ?3, received = ?4, bytes = ?5 WHERE number = ?1";
        at.prepare_cached(update)?
            .execute(params![number, self.oldest, self.newest, self.received, self.bytes])
            .map(drop)
    }

    /// Tells readers what there is, once it is on disk.
    pub fn tell(&self) {
        let newest = self.newest.cast_unsigned();
        self.told.send_if_modified(|told| std::mem::replace(told, newest) != newest);
    }
}

/// The number of a center's log, which is made when there is none.
pub fn number(connection: &mut Connection, center: &str) -> rusqlite::Result<i64> {
    let known = "SELECT number FROM event_log WHERE center = ?1";
    if let Some(number) = connection.query_row(known, [center], |row| row.get(0)).optional()? {
        return Ok(number);
    }
    let mut identity = [0; 8];
    SystemRandom::new().fill(&mut identity).map_err(|_| rusqlite::Error::InvalidQuery)?;
    let insert =
        "INSERT INTO event_log (center, identity, oldest, newest, received, bytes) VALUES (?1, ?2, 0, 0, 0, 0)";
    connection.execute(insert, params![center, i64::from_le_bytes(identity)])?;
    Ok(connection.last_insert_rowid())
}

/// Every log there is, by number.
pub fn states(connection: &mut Connection) -> rusqlite::Result<BTreeMap<i64, State>> {
    connection
        .prepare("SELECT number, oldest, newest, received, bytes FROM event_log")?
        .query_map((), |row| {
            let newest: i64 = row.get(2)?;
            let (told, _) = watch::channel(newest.cast_unsigned());
            Ok((row.get(0)?, State { oldest: row.get(1)?, newest, received: row.get(3)?, bytes: row.get(4)?, told }))
        })?
        .collect()
}

/// What a log holds of this time or later: what is older is about to be removed.
pub fn extent(connection: &Connection, number: i64, since: i64) -> rusqlite::Result<Extent> {
    let kept = seek(connection, number, since)?;
    let select = "SELECT identity, oldest, newest FROM event_log WHERE number = ?1";
    connection.prepare_cached(select)?.query_row([number], |row| {
        let (log, oldest, newest): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
        let oldest = oldest.cast_unsigned().max(kept);
        Ok(Extent { log: log.cast_unsigned(), oldest, newest: newest.cast_unsigned() })
    })
}

/// Keeps an event, unless it was seen within its window.
pub fn append(
    at: &Transaction<'_>,
    logs: &mut BTreeMap<i64, State>,
    terms: &config::Events,
    now: i64,
    event: &NewEvent,
) -> rusqlite::Result<Appended> {
    let window = event.fingerprint.window(terms.duplicate_window);
    if !window.is_zero() && !is_new(at, event, window, now)? {
        return Ok(Appended::Duplicate);
    }
    let log = logs.get_mut(&event.number).ok_or(rusqlite::Error::QueryReturnedNoRows)?;
    log.newest += 1;
    log.received = later(log.received, now);
    log.bytes += i64::try_from(event.body.len()).unwrap_or(i64::MAX - OVERHEAD) + OVERHEAD;
    at.prepare_cached("INSERT INTO event (id, received, body) VALUES (?1, ?2, ?3)")?.execute(params![
        event.number * SEQUENCES + log.newest,
        log.received,
        &*event.body
    ])?;
    Ok(Appended::Fresh)
}

/// When something is received now after something that was received then. A clock that went back a little stands still; one
/// that was set right is gone by from now on, or its error would last as long as it was large.
fn later(then: i64, now: i64) -> i64 {
    if then.saturating_sub(now) > CORRECTED { now } else { then.max(now) }
}

/// Notes that an event was seen, unless it was within its window.
fn is_new(at: &Transaction<'_>, event: &NewEvent, window: Duration, now: i64) -> rusqlite::Result<bool> {
    // A time that lies further ahead than the window is of a clock that was set back since.
    let see = "INSERT INTO event_seen (log, key, seen) VALUES (?1, ?2, ?3) \
               ON CONFLICT (log, key) DO UPDATE SET seen = ?3 WHERE seen < ?4 OR seen > ?5";
    let window = duration_micros(window);
    let (since, until) = (now.saturating_sub(window), now.saturating_add(window));
    Ok(at.prepare_cached(see)?.execute(params![event.number, event.fingerprint.key, now, since, until])? > 0)
}

/// Removes what is too old or too much, up to a bound, and says how many events that were.
pub fn trim(
    at: &Transaction<'_>,
    logs: &mut BTreeMap<i64, State>,
    terms: &config::Events,
    now: i64,
    most_removed: u32,
) -> rusqlite::Result<u32> {
    let expired = now.saturating_sub(duration_micros(terms.retention));
    let most = i64::try_from(terms.retention_size).unwrap_or(i64::MAX);
    let mut removed = 0;
    for (number, log) in logs {
        let mut last = log.oldest;
        let mut oldest = at.prepare_cached(
            "SELECT id, received, length(body) FROM event WHERE id > ?1 AND id <= ?2 ORDER BY id LIMIT ?3",
        )?;
        let limit = most_removed - removed;
        let mut rows =
            oldest.query(params![number * SEQUENCES + log.oldest, number * SEQUENCES + log.newest, limit])?;
        while let Some(row) = rows.next()? {
            let (id, received, length): (i64, i64, i64) = (row.get(0)?, row.get(1)?, row.get(2)?);
            if received >= expired && log.bytes <= most {
                break;
            }
            last = id - number * SEQUENCES;
            log.bytes -= length + OVERHEAD;
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

/// Forgets what was seen longer ago than any window, up to a bound.
pub fn forget_seen(at: &Transaction<'_>, terms: &config::Events, now: i64, most: u32) -> rusqlite::Result<()> {
    let since = now.saturating_sub(duration_micros(terms.duplicate_window));
    let forget = "DELETE FROM event_seen WHERE (log, key) IN \
                  (SELECT log, key FROM event_seen INDEXED BY event_seen_seen WHERE seen < ?1 LIMIT ?2)";
    at.prepare_cached(forget)?.execute(params![since, most]).map(drop)
}

/// The next events of a log.
pub fn page(connection: &Connection, number: i64, after: u64) -> rusqlite::Result<Vec<Record>> {
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

/// The position right before the first event of this time or later. Times do not decrease within a log, but where a clock
/// was set right, so it is found by halving.
pub fn seek(connection: &Connection, number: i64, time: i64) -> rusqlite::Result<u64> {
    let (mut low, mut high): (i64, i64) =
        connection.query_row("SELECT oldest, newest FROM event_log WHERE number = ?1", [number], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    let mut at = connection.prepare_cached("SELECT received FROM event WHERE id = ?1")?;
    // Everything up to `low` is earlier, everything past `high` is not.
    while low < high {
        let middle = low + (high - low + 1) / 2;
        let received: Option<i64> = at.query_row([number * SEQUENCES + middle], |row| row.get(0)).optional()?;
        // One that is not there any more was among the oldest.
        if received.is_none_or(|received| received < time) {
            low = middle;
        } else {
            high = middle - 1;
        }
    }
    Ok(low.cast_unsigned())
}

/// Microseconds since 1970.
pub fn micros(time: SystemTime) -> i64 {
    duration_micros(time.duration_since(UNIX_EPOCH).unwrap_or_default())
}

/// The first microsecond that is not before this time.
pub fn first_micro(time: SystemTime) -> i64 {
    let whole = micros(time);
    if self::time(whole) < time { whole.saturating_add(1) } else { whole }
}

/// A duration in microseconds.
pub fn duration_micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn time(micros: i64) -> SystemTime {
    UNIX_EPOCH + Duration::from_micros(micros.cast_unsigned())
}
