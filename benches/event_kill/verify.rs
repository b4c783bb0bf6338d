//! Compares the delivered events with the posted ones.

use std::collections::{BTreeMap, HashSet};

use crate::{
    posting::{Posted, is_hung_up},
    support::Result,
    watching::{Delivered, Manner},
};

/// Checks that the log contains exactly the acknowledged events, each once.
///
/// Every posted event was acknowledged in the end, so none has an unknown outcome. Returns how many events were stored
/// although the response was lost: their retries were duplicates.
pub fn verify_log(log: &[Delivered], posted: &[Posted]) -> Result<usize> {
    let mut missing: BTreeMap<u64, &Posted> = posted.iter().map(|posted| (posted.number, posted)).collect();
    let mut ids = HashSet::new();
    let mut numbers = HashSet::new();
    let mut retried = 0;
    for event in log {
        let Delivered { event_id, number, received } = event;
        if !numbers.insert(*number) {
            return Err(format!("post {number} became two events, the second is {event_id}").into());
        }
        if !ids.insert(event_id) {
            return Err(format!("{event_id} is the ID of two events").into());
        }
        let posted = missing.remove(number).ok_or_else(|| format!("{event_id} ({number}) was not posted"))?;
        retried += usize::from(posted.lost && *received < posted.begun);
    }
    match missing.first_key_value() {
        None => Ok(retried),
        Some((number, _)) => Err(format!("{} posts were acknowledged and lost, first {number}", missing.len()).into()),
    }
}

/// Checks that a watcher received the log's events in order, each once.
pub fn verify_delivered(log: &[Delivered], manner: Manner, delivered: &[Delivered]) -> Result<()> {
    let is_wanted = |event: &&Delivered| manner != Manner::HungUp || is_hung_up(event.number);
    let mut sent = delivered.iter();
    for (index, expected) in log.iter().filter(is_wanted).enumerate() {
        let sent = sent.next();
        if sent != Some(expected) {
            let sent = sent.map_or("nothing", |sent| sent.event_id.as_str());
            let twice = delivered[..index].iter().any(|before| before.event_id == sent);
            let how = if twice { ", for the second time" } else { "" };
            return Err(
                format!("{} should have come as number {index}, and {sent} came{how}", expected.event_id).into()
            );
        }
    }
    match sent.next() {
        None => Ok(()),
        Some(more) => Err(format!("{} came after the last", more.event_id).into()),
    }
}
