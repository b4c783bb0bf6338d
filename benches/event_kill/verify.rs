//! Whether what was delivered is what was posted.

use std::collections::{BTreeMap, HashSet};

use crate::{
    posting::{Posted, is_hung_up},
    support::Result,
    watching::{Delivered, Manner},
};

/// Compares the log with what was acknowledged: each event is there, once, and no other.
///
/// Every event that was posted was acknowledged in the end, so there is none of which nobody knows whether it was kept.
/// Answers how many had been kept although the answer was lost, so that their repeats had to be seen for what they were.
pub fn verify_log(log: &[Delivered], posted: &[Posted]) -> Result<usize> {
    let mut missing: BTreeMap<u64, &Posted> = posted.iter().map(|posted| (posted.number, posted)).collect();
    let mut ids = HashSet::new();
    let mut numbers = HashSet::new();
    let mut repeated = 0;
    for event in log {
        let Delivered { event_id, number, received } = event;
        if !numbers.insert(*number) {
            return Err(format!("post {number} became two events, the second is {event_id}").into());
        }
        if !ids.insert(event_id) {
            return Err(format!("{event_id} is the ID of two events").into());
        }
        let posted = missing.remove(number).ok_or_else(|| format!("{event_id} ({number}) was not posted"))?;
        repeated += usize::from(posted.lost && *received < posted.begun);
    }
    match missing.first_key_value() {
        None => Ok(repeated),
        Some((number, _)) => Err(format!("{} posts were acknowledged and lost, first {number}", missing.len()).into()),
    }
}

/// Compares what one watcher was sent with the log: the same, in the same order, each once.
pub fn verify_delivered(log: &[Delivered], manner: Manner, delivered: &[Delivered]) -> Result<()> {
    let is_wanted = |event: &&Delivered| manner != Manner::HungUp || is_hung_up(event.number);
    let mut sent = delivered.iter();
    for (place, expected) in log.iter().filter(is_wanted).enumerate() {
        let sent = sent.next();
        if sent != Some(expected) {
            let sent = sent.map_or("nothing", |sent| sent.event_id.as_str());
            let twice = delivered[..place].iter().any(|before| before.event_id == sent);
            let how = if twice { ", for the second time" } else { "" };
            return Err(
                format!("{} should have come as number {place}, and {sent} came{how}", expected.event_id).into()
            );
        }
    }
    match sent.next() {
        None => Ok(()),
        Some(more) => Err(format!("{} came after the last", more.event_id).into()),
    }
}
