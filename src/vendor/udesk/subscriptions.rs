//! Subscriptions: what the contract asks, led to Udesk 18 to 21.
//!
//! Udesk tells a subscription's ID when it is made and never again, so the gateway remembers it before it answers.
//! A subscription whose ID nobody knows can be read but not changed.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{
    Api, Udesk, VendorId, about,
    codes::SUCCESS,
    formats::Formats as _,
    sign::{Ccapi, UNSUBSCRIBE, WRITE},
    subscription_list as list,
    subscription_terms::{Change, Terms},
};
use crate::{
    adapter::Subscriptions,
    check::Check,
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result, Vendor},
    http::Endpoint as _,
    name::{CenterName, ResourceName as _, SubscriptionName},
    page::Page,
    proto::v1,
    storage::{Callback, Storage},
    vendor::lenient::{Anything, List, Object, Text},
};

/// `POST /subscriptions` (Udesk 18), one at a time, so that the answer is about it (C41).
#[derive(Serialize)]
struct Subscribe<'a> {
    subscriptions: [Asked<'a>; 1],
}

#[derive(Serialize)]
struct Asked<'a> {
    callback: &'a str,
    events: &'a [String],
    name: &'a str,
}

endpoint!(Ccapi: Subscribe<'_>, POST "/subscriptions", write, WRITE => Object<Subscribed>);

/// Answer of Udesk 18, which names what failed beside a code of success (C42).
#[derive(Default, Deserialize)]
#[serde(default)]
struct Subscribed {
    sub_succ: List<Made>,
    sub_fail: Value,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Made {
    subid: VendorId,
    /// Need not be the name asked for.
    name: Text,
}

/// `PUT /subscriptions/{id}` (Udesk 19): the whole subscription (C45).
#[derive(Serialize)]
struct Replace<'a> {
    #[serde(skip)]
    id: &'a str,
    #[serde(flatten)]
    terms: &'a Terms,
}

endpoint!(
    Ccapi: Replace<'_>, PUT "/subscriptions/{id}", write, WRITE => Anything,
    path |e| format!("/subscriptions/{}", e.id)
);

/// `DELETE /subscriptions/{id}` (Udesk 20).
#[derive(Serialize)]
struct Unsubscribe<'a> {
    id: &'a str,
}

endpoint!(
    Ccapi: Unsubscribe<'_>, DELETE "/subscriptions/{id}", write_bare, UNSUBSCRIBE => Anything,
    path |e| format!("/subscriptions/{}", e.id)
);

#[async_trait]
impl Subscriptions for Udesk {
    async fn list_subscriptions(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
    ) -> Result<v1::ListSubscriptionsResponse> {
        let subscriptions = list::list(&self.ccapi, &self.storage, cx, center.center()).await?;
        let (subscriptions, next_page_token) = page.cut(subscriptions, |identified| &identified.id);
        let subscriptions = subscriptions.into_iter().map(|identified| identified.into_subscription(&center)).collect();
        Ok(v1::ListSubscriptionsResponse { subscriptions, next_page_token, incomplete_reason: String::new() })
    }

    async fn get_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<v1::Subscription> {
        let center = CenterName::new(name.center());
        let subscriptions = list::list(&self.ccapi, &self.storage, cx, name.center()).await?;
        let found = subscriptions.into_iter().find(|identified| identified.id == name.id());
        found
            .map(|identified| identified.into_subscription(&center))
            .ok_or_else(|| Error::not_found("Subscription", name))
    }

    async fn create_subscription(
        &self,
        cx: &Context,
        center: CenterName,
        subscription: v1::Subscription,
    ) -> Result<v1::Subscription> {
        let terms = Change::of(subscription, |_| true, Check::new())?.into_new();
        create(&self.ccapi, &self.storage, cx, &center, terms).await
    }

    async fn update_subscription(
        &self,
        cx: &Context,
        name: SubscriptionName,
        subscription: v1::Subscription,
        mask: Vec<String>,
    ) -> Result<v1::Subscription> {
        let mut check = Check::new();
        check.subscription_id("subscription.name", name.id());
        let change = Change::of(subscription, |path| mask.iter().any(|masked| masked == path), check)?;
        let _turn = self.subscription_turns.turn(name.id().to_owned(), cx.deadline()).await?;
        let terms = match change.into_whole() {
            Ok(terms) => terms,
            Err(change) => {
                let subscriptions = list::list(&self.ccapi, &self.storage, cx, name.center()).await?;
                let found = subscriptions.into_iter().find(|identified| identified.id == name.id());
                change.merged(found.ok_or_else(|| unlisted(&name))?.record)
            }
        };
        replace(&self.ccapi, &self.storage, cx, &name, &terms).await?;
        Ok(terms.into_subscription(&name))
    }

    async fn delete_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<()> {
        let mut check = Check::new();
        check.subscription_id("name", name.id());
        check.done()?;
        let unsubscribe = Unsubscribe { id: name.id() };
        let deleted = self.ccapi.call(cx, &unsubscribe).await.map_err(|error| about(error, "Subscription", &name));
        let is_gone = deleted.as_ref().map_or_else(|error| error.reason() == ErrorReason::ResourceNotFound, |_| true);
        if is_gone {
            // Done is done: what cannot be forgotten now names nothing.
            let _ = self.storage.forget_subscription(name.center(), name.id()).await;
        }
        deleted.map(|Anything| ())
    }
}

/// Makes a subscription and keeps its ID.
async fn create(
    ccapi: &Api,
    storage: &Storage,
    cx: &Context,
    center: &CenterName,
    terms: Terms,
) -> Result<v1::Subscription> {
    let callback = Callback::of(&terms.callback);
    storage.await_subscription(center.center(), &terms.name, callback).await?;
    let made = match subscribe(ccapi, cx, &terms).await {
        Ok(made) => made,
        Err(error) => {
            let _ = storage.stop_awaiting_subscription(center.center(), &terms.name, callback).await;
            return Err(about(error, "Subscription", center));
        }
    };
    // Udesk 21 may list it by the name it was asked for or by the one it answered with (C42).
    let names = [terms.name.as_str(), if made.name.is_empty() { &terms.name } else { &made.name }];
    let name = SubscriptionName::new(center.center(), made.subid.0);
    if storage.keep_subscription(center.center(), name.id(), &names, callback).await.is_err() {
        tracing::error!(center = center.center(), id = name.id(), "the ID of a new subscription could not be kept");
    }
    if !terms.enable {
        // Udesk 18 has no flag for it (C47).
        let disabled = ccapi.call(cx, &Replace { id: name.id(), terms: &terms }).await;
        disabled.map_err(|error| partly_done(error, &name))?;
    }
    Ok(terms.into_subscription(&name))
}

/// Udesk 18, and what its answer means.
async fn subscribe(ccapi: &Api, cx: &Context, terms: &Terms) -> Result<Made> {
    let asked = Asked { callback: &terms.callback, events: &terms.events, name: &terms.name };
    let Object(Subscribed { sub_succ, sub_fail }) = ccapi.call(cx, &Subscribe { subscriptions: [asked] }).await?;
    let failed = match &sub_fail {
        Value::Null => false,
        Value::String(text) => !text.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Bool(_) | Value::Number(_) => true,
    };
    let answer = |reason, message| {
        let operation = Subscribe::operation().name;
        Err(Error::new(reason, message).from_vendor(Vendor { operation, code: SUCCESS.into(), ..Vendor::default() }))
    };
    match sub_succ.into_iter().next() {
        Some(made) if !failed && !made.subid.0.is_empty() => Ok(made),
        Some(_) if !failed => answer(
            ErrorReason::VendorOutcomeUnknown,
            "Udesk reports that the subscription was made, but not its ID; look at it before asking again",
        ),
        _ => answer(ErrorReason::VendorRejected, "Udesk refused the subscription and does not say why"),
    }
}

/// Writes a whole subscription. What it will be listed by is known before it is sent, what it was listed by until done.
async fn replace(ccapi: &Api, storage: &Storage, cx: &Context, name: &SubscriptionName, terms: &Terms) -> Result<()> {
    let (center, id, callback) = (name.center(), name.id(), Callback::of(&terms.callback));
    let is_new = storage.know_subscription(center, id, &terms.name, callback).await?;
    match ccapi.call(cx, &Replace { id, terms }).await {
        Ok(Anything) => {
            let _ = storage.forget_other_versions(center, id, &terms.name, callback).await;
            Ok(())
        }
        Err(error) => {
            if error.reason() == ErrorReason::ResourceNotFound {
                let _ = storage.forget_subscription(center, id).await;
            } else if is_new && error.reason() != ErrorReason::VendorOutcomeUnknown {
                let _ = storage.forget_version(center, id, &terms.name, callback).await;
            }
            Err(about(error, "Subscription", name))
        }
    }
}

fn partly_done(error: Error, name: &SubscriptionName) -> Error {
    let unknown = u8::from(error.reason() == ErrorReason::VendorOutcomeUnknown);
    error
        .explained(
            ErrorReason::PartiallyApplied,
            "the subscription was made, but disabling it failed; UpdateSubscription can disable it",
        )
        .with("appliedCount", "1")
        .with("unknownCount", unknown.to_string())
        .with("remaining", name.id())
        .about("Subscription", name)
}

/// Udesk 21 tells no IDs, so one that the gateway did not give out cannot be found in its list.
fn unlisted(name: &SubscriptionName) -> Error {
    let message = "no listed subscription is known by this ID; an update_mask of display_name, callback_uri, \
                   event_types and enabled replaces the whole of it without looking";
    Error::new(ErrorReason::ResourceNotFound, message).about("Subscription", name)
}
