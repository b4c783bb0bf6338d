//! Deviations from the simulator's default responses, each switched on by name.

use std::{collections::BTreeSet, fmt, str::FromStr};

use serde_json::{Value, json};

/// The number of an enumerated member with [`Quirk::UnknownEnums`].
pub(super) const UNKNOWN_NUMBER: u32 = 77;
/// The text of an enumerated member with [`Quirk::UnknownEnums`].
pub(super) const UNKNOWN_TEXT: &str = "77";

/// The members whose values the documents enumerate.
const ENUMERATED: [&str; 10] = [
    "agentType",
    "callType",
    "ccRoleId",
    "deviceType",
    "mediaTypeId",
    "mediatypeId",
    "numCallAttr",
    "status",
    "transferType",
    "videoMode",
];

macro_rules! quirks {
    ($($(#[$doc:meta])+ $variant:ident = $name:literal,)+) => {
        /// One deviation from the simulator's default responses.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Quirk {
            $($(#[$doc])+ $variant,)+
        }

        impl Quirk {
            /// Every quirk.
            pub const ALL: &[Quirk] = &[$(Quirk::$variant),+];

            /// The name that switches it on.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self {
                    $(Quirk::$variant => $name,)+
                }
            }
        }
    };
}

quirks! {
    /// Ports of querySysInfo and queryAgentInfo are texts, as in their tables; by default they are numbers, as in
    /// document 000's example.
    TextNumbers = "text-numbers",
    /// A business failure is HTTP 500 in place of HTTP 200, with the same body (B2).
    FailuresAs500 = "failures-as-500",
    /// `queryPhone` has `poolRegServ` in place of `singleRegServ` (document 001).
    Pool = "pool",
    /// `queryPhone` has the shape of document 001's example, which is that of v1; overrides `pool`.
    V1Shape = "v1-shape",
    /// `queryAgentInfoBySkillId` has `userAccount`, as in its table; by default `accountCode`, as in its example
    /// (B3.11).
    TableSpellings = "table-spellings",
    /// `queryAccessCodeList` has the list itself as `data`, without a total (B3.17).
    OldShape = "old-shape",
    /// `createSkill` does not return the new queue's ID (B3.13).
    NoSkillId = "no-skill-id",
    /// Bodies that a table wraps in `requestParam` or `requestParams` must be wrapped (B3.5 to B3.11).
    WrappedOnly = "wrapped-only",
    /// The same bodies must not be wrapped.
    UnwrappedOnly = "unwrapped-only",
    /// `tokenByAkSk` has no `Expires`; overrides `numeric-expires`.
    MissingExpires = "missing-expires",
    /// `tokenByAkSk` has `Expires` as a number.
    NumericExpires = "numeric-expires",
    /// A web application firewall responds to `tokenByAkSk`: HTTP 418 and a page of HTML (A).
    HtmlFirewall = "html-firewall",
    /// Every JSON object has an undocumented member; querySysInfo also has those of its newest page (B3.1).
    ExtraFields = "extra-fields",
    /// Every enumerated member has an undocumented value.
    UnknownEnums = "unknown-enums",
}

/// A set of quirks, parsed from their names separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Quirks(BTreeSet<Quirk>);

/// A text that names no quirk. The message lists the quirks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownQuirk(String);

// === impl Quirks ===

impl Quirks {
    /// Whether the set has this quirk.
    pub(super) fn contains(&self, quirk: Quirk) -> bool {
        self.0.contains(&quirk)
    }

    /// Applies the quirks that change every JSON response in the same way.
    pub(super) fn distort(&self, response: &mut Value) {
        if self.contains(Quirk::UnknownEnums) {
            each_object(response, &mut |object| {
                for name in ENUMERATED {
                    match object.get_mut(name) {
                        Some(Value::String(text)) => UNKNOWN_TEXT.clone_into(text),
                        Some(number @ Value::Number(_)) => *number = json!(UNKNOWN_NUMBER),
                        _ => {}
                    }
                }
            });
        }
        if self.contains(Quirk::ExtraFields) {
            each_object(response, &mut |object| {
                object.insert("addedLater".to_owned(), json!([1, "two", null, { "deep": true }]));
            });
        }
    }
}

impl FromIterator<Quirk> for Quirks {
    fn from_iter<I: IntoIterator<Item = Quirk>>(quirks: I) -> Quirks {
        Quirks(quirks.into_iter().collect())
    }
}

impl FromStr for Quirks {
    type Err = UnknownQuirk;

    fn from_str(names: &str) -> Result<Quirks, UnknownQuirk> {
        names.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::parse).collect()
    }
}

// === impl UnknownQuirk ===

impl fmt::Display for UnknownQuirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown quirk {:?}; there are", self.0)?;
        for (index, quirk) in Quirk::ALL.iter().enumerate() {
            write!(f, "{} {quirk}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    }
}

impl std::error::Error for UnknownQuirk {}

// === impl Quirk ===

impl FromStr for Quirk {
    type Err = UnknownQuirk;

    fn from_str(name: &str) -> Result<Quirk, UnknownQuirk> {
        Quirk::ALL.iter().copied().find(|quirk| quirk.name() == name).ok_or_else(|| UnknownQuirk(name.to_owned()))
    }
}

impl fmt::Display for Quirk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

fn each_object(value: &mut Value, change: &mut impl FnMut(&mut serde_json::Map<String, Value>)) {
    match value {
        Value::Object(object) => {
            object.values_mut().for_each(|member| each_object(member, change));
            change(object);
        }
        Value::Array(items) => items.iter_mut().for_each(|item| each_object(item, change)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::{
            Tenant,
            testing::{MANAGEMENT, TestServer},
        },
        *,
    };

    #[test]
    fn every_quirk_is_named_by_its_own_text() {
        for quirk in Quirk::ALL {
            assert_eq!(quirk.to_string().parse(), Ok(*quirk));
        }
        let error = "pools".parse::<Quirk>().unwrap_err().to_string();
        assert!(error.contains("\"pools\"") && error.contains("pool, v1-shape"), "{error}");
    }

    #[test]
    fn a_set_is_a_list_of_names() {
        let quirks: Quirks = "pool, old-shape".parse().unwrap();
        assert_eq!(quirks, [Quirk::OldShape, Quirk::Pool].into_iter().collect());
        assert_eq!("".parse::<Quirks>(), Ok(Quirks::default()));
        assert!("pool,nonsense".parse::<Quirks>().is_err());
    }

    #[test]
    fn enumerated_members_keep_their_type() {
        let mut response = json!({ "data": [{ "agentType": 4, "callType": "0", "workNo": 1001, "status": null }] });
        "unknown-enums".parse::<Quirks>().unwrap().distort(&mut response);
        assert_eq!(
            response,
            json!({ "data": [{ "agentType": 77, "callType": "77", "workNo": 1001, "status": null }] })
        );
    }

    #[test]
    fn extra_fields_are_in_every_object() {
        let mut response = json!({ "data": [{ "workNo": 1001 }] });
        "extra-fields".parse::<Quirks>().unwrap().distort(&mut response);
        assert!(response["addedLater"].is_array() && response["data"][0]["addedLater"].is_array());
    }

    #[tokio::test]
    async fn responses_may_hold_fields_and_values_that_no_document_knows() {
        let extra = TestServer::start(Tenant::Seeded, "extra-fields").await;
        let response = extra.get(&format!("{MANAGEMENT}/querySysInfo")).await.ok();
        assert!(response["addedLater"].is_array() && response["agents"][0]["addedLater"].is_array());
        assert_eq!(response["agents"][0]["accountCode"], "anna.berg");
        assert_eq!(response["agents"][0]["ccRoleId"], "2");
        let unknown = TestServer::start(Tenant::Seeded, "unknown-enums").await;
        let response = unknown.rest("agentAccount/query", json!({ "pageNum": 0, "pageSize": 1 })).await;
        assert_eq!(response["data"][0]["agentType"], 77);
        assert_eq!(response["data"][0]["workNo"], 1001);
    }
}
