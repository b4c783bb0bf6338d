//! Reads subscriptions: Udesk 21. It documents no IDs, so the gateway stores those of Udesk 18 (C46).

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest as _, Sha256};

use super::{Api, VendorId, ccapi::Ccapi, events, operations::READ, or_empty};
use crate::{
    context::Context,
    endpoint,
    error::Result,
    event::address::Addresses,
    name::{CenterName, ResourceName as _, SubscriptionName},
    proto::v1,
    redact,
    store::subscription_ids::{CallbackHash, SubscriptionIds, SubscriptionRecord},
    vendor::{
        de::{Flag, List, Text, without_values},
        nameless,
    },
};

/// `GET /subscriptions` (Udesk 21).
#[derive(Serialize)]
struct ListSubscriptions {}

endpoint!(Ccapi: ListSubscriptions, GET "/subscriptions", read, READ => Records);

/// Response of Udesk 21: one object in the example, a list by the operation's name, or a list within an object (C46).
#[derive(Default)]
struct Records {
    records: Vec<Record>,
    /// Whether the response is one object, as in the example, so that there may be others.
    is_one_object: bool,
}

/// A subscription in Udesk 21. Its callback may contain a secret.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    subid: VendorId,
    id: VendorId,
    /// Its name.
    pub(super) name: Text,
    /// The address to which it posts.
    pub(super) callback: Text,
    /// Udesk's names of its events.
    pub(super) events: List<Text>,
    /// Whether it is delivered.
    pub(super) enable: Flag,
}

/// A subscription with its ID: the vendor's, or the placeholder `~` and a hash where it is unknown.
pub(super) struct Identified {
    /// The ID.
    pub(super) id: String,
    /// The rest.
    pub(super) record: Record,
    /// Whether it posts to the gateway's own ingress.
    is_ingress: bool,
}

/// The subscriptions of a center.
pub(super) struct Listed {
    /// The listed subscriptions.
    pub(super) subscriptions: Vec<Identified>,
    /// Why the list may be incomplete; empty when it is complete.
    pub(super) incomplete_reason: String,
}

/// Every subscription of a center.
pub(super) async fn list(
    ccapi: &Api,
    subscription_ids: &SubscriptionIds,
    addresses: &Addresses,
    cx: &Context,
    center: &str,
) -> Result<Listed> {
    let Records { records, is_one_object } = or_empty(ccapi.call(cx, &ListSubscriptions {}).await)?;
    let all_reported = records.iter().all(|record| record.own_id().is_some());
    let known = if all_reported && !is_one_object { Vec::new() } else { subscription_ids.list(center).await? };
    let mut recognized = Vec::with_capacity(records.len());
    for record in records {
        let is_ingress = addresses.recognize(center, &record.callback).await?.is_some();
        recognized.push((record, is_ingress));
    }
    let (mut subscriptions, unlisted) = identify(recognized, known);
    let ids: BTreeSet<&str> = unlisted.iter().map(|known| known.id.as_str()).collect();
    let incomplete_reason = match ids.len() {
        more if more > 0 && is_one_object => format!(
            "Udesk returned one subscription and no list; {more} more that the gateway knows are missing from the response, \
             or were deleted elsewhere"
        ),
        _ => String::new(),
    };
    let nameless = nameless::remove::<SubscriptionName, _>(&mut subscriptions, |identified| &identified.id);
    let incomplete_reason = nameless::joined([incomplete_reason, nameless::reason("Udesk", nameless, "subscriptions")]);
    Ok(Listed { subscriptions, incomplete_reason })
}

/// Assigns each record its ID, and returns the stored IDs without a record. A stored ID names one record only, because
/// two subscriptions may look the same.
///
/// The flag of a record says whether it posts to one of the gateway's own addresses. Such an address belongs to one
/// subscription and identifies it. Another address may belong to several, which their names distinguish; but the name
/// in Udesk 21 may differ from the requested one, so the last subscription at an address needs no name.
fn identify(
    records: Vec<(Record, bool)>,
    mut known: Vec<SubscriptionRecord>,
) -> (Vec<Identified>, Vec<SubscriptionRecord>) {
    let mut ids: Vec<Option<String>> = records
        .iter()
        .map(|(record, is_ingress)| {
            let callback = CallbackHash::of(&record.callback);
            let is_same =
                |known: &&SubscriptionRecord| known.callback == callback && (*is_ingress || known.name == *record.name);
            let id = record.own_id().or_else(|| known.iter().find(is_same).map(|known| known.id.as_str()));
            let id = id.map(str::to_owned);
            known.retain(|known| Some(&known.id) != id.as_ref());
            id
        })
        .collect();
    let open: Vec<_> = (0..records.len()).filter(|index| ids[*index].is_none()).collect();
    for index in &open {
        let callback = &records[*index].0.callback;
        let is_only = open.iter().filter(|other| records[**other].0.callback == *callback).count() == 1;
        let hash = CallbackHash::of(callback);
        let at_address: BTreeSet<_> = known.iter().filter(|known| known.callback == hash).map(|it| &it.id).collect();
        if let (true, [id]) = (is_only, at_address.into_iter().collect::<Vec<_>>().as_slice()) {
            ids[*index] = Some((*id).clone());
        }
    }
    known.retain(|known| !ids.iter().flatten().any(|id| *id == known.id));
    let identified = records.into_iter().zip(ids).map(|((record, is_ingress), id)| {
        let id = id.unwrap_or_else(|| record.placeholder());
        Identified { id, record, is_ingress }
    });
    (identified.collect(), known)
}

// === impl Records ===

impl<'de> Deserialize<'de> for Records {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The error's text quotes the input.
        let unreadable = |error| without_values(&error, "not a list of subscriptions");
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let (list, is_one_object) = if json.starts_with('{') {
            let fields: BTreeMap<String, &RawValue> = serde_json::from_str(json).map_err(unreadable)?;
            let is_record = ["name", "callback", "events"].iter().any(|field| fields.contains_key(*field));
            let list = fields.values().map(|field| field.get()).find(|field| field.starts_with('['));
            if is_record { (json, true) } else { (list.unwrap_or("[]"), false) }
        } else {
            (json, false)
        };
        let List(records) = serde_json::from_str(list).map_err(unreadable)?;
        Ok(Self { records, is_one_object })
    }
}

// === impl Record ===

impl Record {
    /// The vendor's ID, if the record contains one.
    fn own_id(&self) -> Option<&str> {
        [&self.subid, &self.id].into_iter().map(|id| id.0.as_str()).find(|id| !id.is_empty())
    }

    /// The placeholder for an unknown ID: the same for the same name and callback.
    fn placeholder(&self) -> String {
        let digest = Sha256::new().chain_update(&*self.name).chain_update([0]).chain_update(&*self.callback).finalize();
        let mut id = String::from("~");
        for byte in &digest[..8] {
            let _ = write!(id, "{byte:02x}");
        }
        id
    }
}

// === impl Identified ===

impl Identified {
    /// The subscription as the contract shows it: never with an address of the gateway's own, nor with what may be a
    /// secret in another one.
    pub(super) fn into_subscription(self, center: &CenterName) -> v1::Subscription {
        let Self { id, record: Record { subid: _, id: _, name, callback, events, enable }, is_ingress } = self;
        let (event_types, vendor_event_types) = split(events.into_iter().map(Text::into_string));
        v1::Subscription {
            name: SubscriptionName::new(center.center(), id).to_string(),
            display_name: name.into_string(),
            callback_uri: if is_ingress { String::new() } else { redact::uri(callback.into_string()) },
            event_types,
            enabled: enable.0,
            vendor_event_types,
        }
    }
}

/// Udesk's names of events as event types, and unchanged where the contract has none.
pub(super) fn split(names: impl IntoIterator<Item = String>) -> (Vec<i32>, Vec<String>) {
    let (mut known, mut others) = (Vec::new(), Vec::new());
    for name in names {
        match events::event_type(&name) {
            Some(event) => known.push(event.into()),
            None if name.is_empty() => {}
            None => others.push(name),
        }
    }
    (known, others)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn records(json: &str) -> Vec<Record> {
        serde_json::from_str::<Records>(json).unwrap().records
    }

    fn ids(json: &str, known: &[(&str, &str, &str)]) -> Vec<String> {
        let known = known.iter().map(|(id, name, callback)| SubscriptionRecord {
            id: (*id).to_owned(),
            name: (*name).to_owned(),
            callback: CallbackHash::of(callback),
        });
        let records = records(json).into_iter().map(|record| {
            let is_ingress = record.callback.starts_with("ours");
            (record, is_ingress)
        });
        identify(records.collect(), known.collect()).0.into_iter().map(|identified| identified.id).collect()
    }

    #[test]
    fn a_list_comes_in_many_forms() {
        let one = r#"{"callback":"http://ip:port","enable":"false","events":["acd_agent_state"],"name":"sub1"}"#;
        for json in [
            one.to_owned(),
            format!("[{one}]"),
            format!(r#"{{"total":1,"subscriptions":[{one}]}}"#),
            r#"[{"callback":"http://ip:port","enable":0,"events":["acd_agent_state"],"name":"sub1","more":{}}]"#
                .to_owned(),
        ] {
            let records = records(&json);
            assert_eq!(records.len(), 1, "{json}");
            assert_eq!((&*records[0].name, records[0].enable.0, records[0].events.0.len()), ("sub1", Some(false), 1));
        }
        for nothing in ["null", "\"\"", "[]", "{}", r#"{"subscriptions":null}"#] {
            assert!(records(nothing).is_empty(), "{nothing}");
        }
        for odd in ["1", "\"x\"", "[1]"] {
            let error = serde_json::from_str::<Records>(odd).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("not a list of subscriptions"), "{error}");
        }
    }

    #[test]
    fn an_id_is_listed_or_stored_or_a_placeholder() {
        let json = r#"[{"name":"a","callback":"x","subid":7},{"name":"b","callback":"x","id":"8"},
            {"name":"c","callback":"x"},{"name":"c","callback":"y"}]"#;
        let ids = ids(json, &[("9", "c", "x"), ("9", "c", "z")]);
        assert_eq!(ids[..3], ["7", "8", "9"]);
        assert!(ids[3].len() == 17 && ids[3].starts_with('~'), "{}", ids[3]);
    }

    #[test]
    fn the_gateways_own_address_identifies_the_subscription_under_any_name() {
        let json = r#"[{"name":"tenant","callback":"ours-1"},{"callback":"ours-2"},{"name":"a","callback":"ours-3"},
            {"name":"tenant","callback":"x"}]"#;
        let ids = ids(json, &[("7", "a", "ours-1"), ("8", "b", "ours-2"), ("9", "c", "x")]);
        assert_eq!(ids[..2], ["7", "8"]);
        assert!(ids[2].starts_with('~'), "{ids:?}");
        assert_eq!(ids[3], "9", "no other subscription posts there");
    }

    #[test]
    fn the_last_subscription_at_an_address_needs_no_name() {
        let known = [("7", "a", "x"), ("7", "A", "x"), ("8", "b", "x"), ("9", "c", "y")];
        // Two at one address: the name tells one, and the other remains.
        let one = r#"[{"name":"tenant","callback":"x"},{"name":"b","callback":"x"},{"name":"tenant","callback":"y"}]"#;
        assert_eq!(ids(one, &known), ["7", "8", "9"]);
        // Nothing tells these apart.
        let both = r#"[{"name":"tenant","callback":"x"},{"name":"tenant","callback":"x"}]"#;
        assert!(ids(both, &known).iter().all(|id| id.starts_with('~')));
        let more = r#"[{"name":"tenant","callback":"x"}]"#;
        assert!(ids(more, &known)[0].starts_with('~'), "7 or 8");
    }

    #[test]
    fn a_stored_id_names_one_subscription() {
        let twins = r#"[{"name":"a","callback":"x"},{"name":"a","callback":"x"},{"name":"a","callback":"x"}]"#;
        let ids = ids(twins, &[("7", "a", "x"), ("8", "a", "x")]);
        assert_eq!(ids[..2], ["7", "8"]);
        assert!(ids[2].starts_with('~'));
    }
}
