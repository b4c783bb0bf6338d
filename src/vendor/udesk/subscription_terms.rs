//! What a subscription consists of, and what is to change of it, in Udesk's words.

use serde::Serialize;

use super::{
    events,
    subscription_list::{self as list, Record},
};
use crate::{check::Check, error::Result, name::SubscriptionName, proto::v1, vendor::lenient::Text};

/// Everything a subscription consists of.
#[derive(Serialize)]
pub struct Terms {
    /// Where it posts; may hold a secret.
    pub callback: String,
    /// Its name.
    pub name: String,
    /// Udesk's names of its events.
    pub events: Vec<String>,
    /// Whether it is delivered.
    pub enable: bool,
}

/// What is to change of a subscription.
pub struct Change {
    callback: Option<String>,
    name: Option<String>,
    events: Option<Vec<String>>,
    enable: Option<bool>,
}

// === impl Change ===

impl Change {
    /// The fields that are to change, checked together with what `check` holds already.
    pub fn of(subscription: v1::Subscription, is_masked: impl Fn(&str) -> bool, mut check: Check) -> Result<Self> {
        let event_types: Vec<_> = subscription.event_types().collect();
        let v1::Subscription { name: _, display_name, callback_uri, event_types: _, enabled, vendor_event_types } =
            subscription;
        check.unsupported_if(
            is_masked("callback_uri") && callback_uri.is_empty(),
            "subscription.callback_uri",
            "the gateway receives no events yet; name the address of whoever receives them",
        );
        let events = event_names(&mut check, event_types, vendor_event_types);
        check.done()?;
        Ok(Self {
            callback: is_masked("callback_uri").then_some(callback_uri),
            name: is_masked("display_name").then_some(display_name),
            events: is_masked("event_types").then_some(events),
            enable: enabled.filter(|_| is_masked("enabled")),
        })
    }

    /// A new subscription, enabled unless told.
    pub fn into_new(self) -> Terms {
        let Self { callback, name, events, enable } = self;
        Terms {
            callback: callback.unwrap_or_default(),
            name: name.unwrap_or_default(),
            events: events.unwrap_or_default(),
            enable: enable.unwrap_or(true),
        }
    }

    /// The whole subscription, where everything is to change: then nothing needs to be read.
    pub fn into_whole(self) -> Result<Terms, Self> {
        match self {
            Self { callback: Some(callback), name: Some(name), events: Some(events), enable: Some(enable) } => {
                Ok(Terms { callback, name, events, enable })
            }
            partial => Err(partial),
        }
    }

    /// The whole subscription: what is not to change is as the vendor has it, events without a name here included.
    pub fn merged(self, record: Record) -> Terms {
        let Record { name, callback, events, enable, .. } = record;
        Terms {
            callback: self.callback.unwrap_or_else(|| callback.into_string()),
            name: self.name.unwrap_or_else(|| name.into_string()),
            events: self.events.unwrap_or_else(|| events.into_iter().map(Text::into_string).collect()),
            // The document's only word about a subscription of which nothing is said is that one begins by being made.
            enable: self.enable.or(enable.0).unwrap_or(true),
        }
    }
}

// === impl Terms ===

impl Terms {
    /// The subscription as the contract shows it.
    pub fn into_subscription(self, name: &SubscriptionName) -> v1::Subscription {
        let Self { callback, name: display_name, events, enable } = self;
        let (event_types, vendor_event_types) = list::split(events);
        v1::Subscription {
            name: name.to_string(),
            display_name,
            callback_uri: callback,
            event_types,
            enabled: Some(enable),
            vendor_event_types,
        }
    }
}

/// Udesk's names of the events asked for, each once.
fn event_names(check: &mut Check, event_types: Vec<v1::EventType>, vendor_event_types: Vec<String>) -> Vec<String> {
    let mut names = Vec::with_capacity(event_types.len() + vendor_event_types.len());
    for (index, event) in event_types.into_iter().enumerate() {
        match events::name(event) {
            Some(name) => names.push(name.to_owned()),
            None => check.unsupported(
                format!("subscription.event_types[{index}]"),
                "Udesk has no such event; GetCapabilities tells which it has",
            ),
        }
    }
    for (index, name) in vendor_event_types.into_iter().enumerate() {
        let field = || format!("subscription.vendor_event_types[{index}]");
        if name.is_empty() || name.len() > 128 {
            check.invalid(field(), "1 to 128 characters");
        } else if names.contains(&name) {
            check.invalid(field(), "is there twice");
        } else {
            names.push(name);
        }
    }
    names
}
