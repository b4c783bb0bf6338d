//! A subscription's fields and their changes, in Udesk's values.

use serde::Serialize;
use url::Url;

use super::{
    events,
    subscription_list::{
        Record, {self as list},
    },
};
use crate::{
    check::Check,
    error::{Error, Result, Violation},
    event::address::{Addresses, Nonce},
    name::SubscriptionName,
    proto::{enum_value, v1},
    redact,
    vendor::{de::Text, written_back::WrittenBack},
};

/// The advice where Udesk 21 does not return the whole subscription.
pub(super) const WHOLE: &str = "an update_mask of display_name, callback_uri, event_types and enabled replaces the whole subscription without reading it";

/// All fields of a subscription, as written.
#[derive(Serialize)]
pub(super) struct SubscriptionSpec {
    /// The address to which it posts; may contain a secret.
    pub(super) callback: String,
    /// Its name.
    pub(super) name: String,
    /// Udesk's names of its events.
    pub(super) events: Vec<String>,
    /// Whether it is delivered.
    pub(super) enable: bool,
    /// The gateway's own address, if the callback is one.
    #[serde(skip)]
    pub(super) ingress: Option<Ingress>,
}

/// One of the gateway's own addresses.
pub(super) struct Ingress {
    /// The nonce of the address.
    pub(super) nonce: Nonce,
    /// Whether it was created for the current request and is unknown to Udesk until the request succeeds.
    pub(super) is_fresh: bool,
}

/// All fields of a subscription before its address exists.
pub(super) struct Plan {
    destination: Destination,
    name: String,
    events: Vec<String>,
    enable: bool,
}

/// The changes of a subscription.
pub(super) struct Change {
    destination: Option<Destination>,
    name: Option<String>,
    /// Events that the contract has, by Udesk's names.
    event_types: Option<Vec<String>>,
    /// The others.
    vendor_event_types: Option<Vec<String>>,
    enable: Option<bool>,
}

/// The new destination of a subscription.
enum Destination {
    /// A new address of the gateway.
    Ingress,
    /// This address.
    Uri(String),
}

// === impl Plan ===

impl Plan {
    /// Creates the address where the destination is the gateway. `id` is the vendor's ID, once known; `vendor` is the
    /// vendor's address.
    ///
    /// # Errors
    /// As for [`Addresses::mint`]; nothing must be sent then.
    pub(super) async fn into_spec(
        self,
        addresses: &Addresses,
        center: &str,
        id: Option<&str>,
        vendor: &Url,
    ) -> Result<SubscriptionSpec> {
        let Self { destination, name, events, enable } = self;
        let (callback, ingress) = match destination {
            Destination::Ingress => {
                let (callback, nonce) = addresses.mint(center, id, vendor).await?.into_parts();
                (callback, Some(Ingress { nonce, is_fresh: true }))
            }
            Destination::Uri(callback) => {
                let nonce = addresses.recognize(center, &callback).await?;
                (callback, nonce.map(|nonce| Ingress { nonce, is_fresh: false }))
            }
        };
        Ok(SubscriptionSpec { callback, name, events, enable, ingress })
    }
}

// === impl Change ===

impl Change {
    /// Validates the changed fields, together with the violations in `check`.
    pub(super) fn of(
        subscription: v1::Subscription,
        is_masked: impl Fn(&str) -> bool,
        mut check: Check,
    ) -> Result<Self> {
        let v1::Subscription { name: _, display_name, callback_uri, event_types, enabled, vendor_event_types } =
            subscription;
        let event_types = event_types.into_iter().map(enum_value).collect();
        let event_types = event_names(&mut check, event_types, &vendor_event_types);
        check.done()?;
        let destination = if callback_uri.is_empty() { Destination::Ingress } else { Destination::Uri(callback_uri) };
        Ok(Self {
            destination: is_masked("callback_uri").then_some(destination),
            name: is_masked("display_name").then_some(display_name),
            event_types: is_masked("event_types").then_some(event_types),
            vendor_event_types: is_masked("vendor_event_types").then_some(vendor_event_types),
            enable: enabled.filter(|_| is_masked("enabled")),
        })
    }

    /// A new subscription. By default it posts to the gateway and is enabled.
    pub(super) fn into_new(self) -> Plan {
        let Self { destination, name, event_types, vendor_event_types, enable } = self;
        Plan {
            destination: destination.unwrap_or(Destination::Ingress),
            name: name.unwrap_or_default(),
            events: union(event_types.unwrap_or_default(), vendor_event_types.unwrap_or_default()),
            enable: enable.unwrap_or(true),
        }
    }

    /// The whole subscription, where every field changes, so that no read is required.
    pub(super) fn into_whole(self) -> Result<Plan, Self> {
        match self {
            Self {
                destination: Some(destination),
                name: Some(name),
                event_types: Some(event_types),
                vendor_event_types: Some(vendor_event_types),
                enable: Some(enable),
            } => Ok(Plan { destination, name, events: union(event_types, vendor_event_types), enable }),
            partial => Err(partial),
        }
    }

    /// The whole subscription: unchanged fields keep the vendor's values, including events without an event type. Its
    /// name is the one that was requested last, because Udesk's table calls the listed one the tenant's.
    ///
    /// # Errors
    /// `FIELD_INVALID` where the vendor does not return all fields, which its document allows: written without them,
    /// events would stop and a disabled subscription would be enabled. And as for [`WrittenBack::done`].
    pub(super) fn merged(self, record: Record, requested_name: Option<String>) -> Result<Plan> {
        let Record { name, callback, events, enable, .. } = record;
        let reported = |text: Text| Some(text.into_string()).filter(|text| !text.is_empty());
        let events: Vec<String> = events.into_iter().filter_map(reported).collect();
        // An empty list may be an omitted one, so no event is known.
        let (event_types, vendor_event_types) = if events.is_empty() {
            (None, None)
        } else {
            let (known, others) = events.into_iter().partition(|name| events::event_type(name).is_some());
            (Some(known), Some(others))
        };
        let mut kept = WrittenBack::default();
        let whole = Self {
            destination: self.destination.or_else(|| {
                let callback = reported(callback).inspect(|callback| kept.text("subscription.callback_uri", callback));
                callback.map(Destination::Uri)
            }),
            name: (self.name.or(requested_name))
                .or_else(|| reported(name).inspect(|name| kept.text("subscription.display_name", name))),
            event_types: self.event_types.or(event_types),
            vendor_event_types: self.vendor_event_types.or_else(|| {
                vendor_event_types.inspect(|events| kept.text("subscription.vendor_event_types", &events.concat()))
            }),
            enable: self.enable.or(enable.0),
        };
        let plan = whole.into_whole().map_err(|partial| partial.missing())?;
        kept.done()?;
        Ok(plan)
    }

    fn missing(&self) -> Error {
        let fields = [
            ("display_name", self.name.is_none()),
            ("callback_uri", self.destination.is_none()),
            ("event_types", self.event_types.is_none() || self.vendor_event_types.is_none()),
            ("enabled", self.enable.is_none()),
        ];
        let missing: Vec<&str> = fields.into_iter().filter_map(|(field, is_none)| is_none.then_some(field)).collect();
        let description = format!(
            "the vendor did not return {} of this subscription, and nothing was written; {WHOLE}",
            missing.join(", ")
        );
        Error::invalid(vec![Violation::new("update_mask", description)])
    }
}

// === impl SubscriptionSpec ===

impl SubscriptionSpec {
    /// The subscription as the contract shows it: never with an address of the gateway's own, nor with what may be a
    /// secret in another one.
    pub(super) fn into_subscription(self, name: &SubscriptionName) -> v1::Subscription {
        let Self { callback, name: display_name, events, enable, ingress } = self;
        let (event_types, vendor_event_types) = list::split(events);
        v1::Subscription {
            name: name.to_string(),
            display_name,
            callback_uri: if ingress.is_some() { String::new() } else { redact::uri(callback) },
            event_types,
            enabled: Some(enable),
            vendor_event_types,
        }
    }
}

/// Udesk's names of the requested event types. Each of these and of the others must occur once.
fn event_names(check: &mut Check, event_types: Vec<v1::EventType>, others: &[String]) -> Vec<String> {
    let mut names = Vec::with_capacity(event_types.len());
    for (index, event) in event_types.into_iter().enumerate() {
        match events::name(event) {
            Some(name) => names.push(name.to_owned()),
            None => check.unsupported(
                format!("subscription.event_types[{index}]"),
                "Udesk has no such event; GetCapabilities lists its event types",
            ),
        }
    }
    for (index, name) in others.iter().enumerate() {
        let field = || format!("subscription.vendor_event_types[{index}]");
        if name.is_empty() || name.len() > 128 {
            check.invalid(field(), "1 to 128 characters");
        } else if names.contains(name) || others[..index].contains(name) {
            check.invalid(field(), "is a duplicate");
        }
    }
    names
}

/// All events to deliver, each once: a retained event may be in the other list, too.
fn union(mut events: Vec<String>, others: Vec<String>) -> Vec<String> {
    for name in others {
        if !events.contains(&name) {
            events.push(name);
        }
    }
    events
}
