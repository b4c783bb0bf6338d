//! Subscriptions as they are changed: Udesk 18 to 20, and what is kept before and after.
//!
//! Udesk tells a subscription's ID when it is made and never again (C46), and may post before it answers. So what is
//! needed for either is kept before Udesk is asked; what a refusal leaves is dropped, what an outcome that nobody knows
//! leaves stays.

use serde::Serialize;
use url::Url;

use super::{
    Api, about,
    ccapi::{Ccapi, UNSUBSCRIBE, WRITE},
    codes,
    subscription_answers::{Replaced, subscribe},
    subscription_list::{self as list, Listed},
    subscription_spec::{Change, Ingress, Terms, WHOLE},
};
use crate::{
    context::Context,
    endpoint,
    error::{Error, ErrorReason, Result},
    event::address::{Addresses, Nonce},
    keyed_mutex::KeyedMutex,
    name::{CenterName, ResourceName as _, SubscriptionName},
    proto::v1,
    store::subscription_ids::{CallbackHash, SubscriptionIds},
    vendor::{Parts, de::Anything},
};

/// `PUT /subscriptions/{id}` (Udesk 19): the whole subscription (C45).
#[derive(Serialize)]
struct Replace<'a> {
    #[serde(skip)]
    id: &'a str,
    #[serde(flatten)]
    terms: &'a Terms,
}

endpoint!(
    Ccapi: Replace<'_>, PUT "/subscriptions/{id}", write, WRITE => Replaced,
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

/// One tenant's subscriptions: Udesk's side and the gateway's.
#[derive(Debug)]
pub struct Register {
    ccapi: Api,
    /// Where Udesk is.
    vendor: Url,
    subscription_ids: SubscriptionIds,
    addresses: Addresses,
    /// Changes of a subscription, which is written whole: one at a time (C45).
    locks: KeyedMutex<String>,
}

// === impl Register ===

impl Register {
    /// Of the tenant that this client speaks for.
    pub fn new(ccapi: Api, vendor: &Url, parts: &Parts) -> Self {
        Self {
            ccapi,
            vendor: vendor.clone(),
            subscription_ids: SubscriptionIds::new(parts.kv.clone()),
            addresses: parts.addresses.clone(),
            locks: KeyedMutex::new(),
        }
    }

    /// Every subscription.
    pub async fn list(&self, cx: &Context, center: &str) -> Result<Listed> {
        list::list(&self.ccapi, &self.subscription_ids, &self.addresses, cx, center).await
    }

    /// Makes a subscription and keeps its ID.
    pub async fn create(&self, cx: &Context, center: &CenterName, change: Change) -> Result<v1::Subscription> {
        let id = center.center();
        let terms = change.into_new().settled(&self.addresses, id, None, &self.vendor).await?;
        let callback = CallbackHash::of(&terms.callback);
        if let Err(error) = self.subscription_ids.add_pending(id, &terms.name, callback).await {
            self.discard(id, &terms).await;
            return Err(error);
        }
        let made = match subscribe(&self.ccapi, cx, &terms).await {
            Ok(made) => made,
            Err(error) => {
                let _ = self.subscription_ids.remove_pending(id, &terms.name, callback).await;
                if did_nothing(&error) {
                    self.discard(id, &terms).await;
                }
                return Err(about(error, "Subscription", center));
            }
        };
        // Udesk 21 may list it by the name it was asked for or by the one it answered with (C42).
        let names = [terms.name.as_str(), if made.name.is_empty() { &terms.name } else { &made.name }];
        let name = SubscriptionName::new(id, made.subid.0);
        if self.subscription_ids.resolve_pending(id, name.id(), &names, callback).await.is_err() {
            tracing::error!(center = id, id = name.id(), "the ID of a new subscription could not be kept");
        }
        self.adopted(&name, &terms, &[]).await;
        if !terms.enable {
            // Udesk 18 has no flag for it (C47).
            let disabled = self.ccapi.call(cx, &Replace { id: name.id(), terms: &terms }).await;
            disabled.map_err(|error| partly_done(error, &name))?;
        }
        Ok(terms.into_subscription(&name))
    }

    /// Writes what a subscription is to be, whole.
    pub async fn update(&self, cx: &Context, name: &SubscriptionName, change: Change) -> Result<v1::Subscription> {
        let (center, id) = (name.center(), name.id());
        let _guard = self.locks.lock(id.to_owned(), cx.deadline()).await?;
        let former = self.addresses.replaceable(center, id).await?;
        let plan = match change.into_whole() {
            Ok(plan) => plan,
            Err(change) => {
                let listed = self.list(cx, center).await?.subscriptions;
                let found = listed.into_iter().find(|identified| identified.id == id);
                change.merged(found.ok_or_else(|| unlisted(name))?.record)?
            }
        };
        let terms = plan.settled(&self.addresses, center, Some(id), &self.vendor).await?;
        self.replace(cx, name, &terms, &former).await?;
        Ok(terms.into_subscription(name))
    }

    /// Ends a subscription.
    pub async fn delete(&self, cx: &Context, name: &SubscriptionName) -> Result<()> {
        let deleted = self.ccapi.call(cx, &Unsubscribe { id: name.id() }).await;
        if deleted.as_ref().map_or_else(is_gone, |_| true) {
            self.gone(name).await;
        }
        deleted.map(|Anything| ()).map_err(|error| about(error, "Subscription", name))
    }

    /// Writes a whole subscription. What it will be listed by is known before it is sent, what it was listed by until
    /// done; the same goes for where it posts, of which `former` are the gateway's own.
    async fn replace(&self, cx: &Context, name: &SubscriptionName, terms: &Terms, former: &[Nonce]) -> Result<()> {
        let (center, id, callback) = (name.center(), name.id(), CallbackHash::of(&terms.callback));
        let is_new = match self.subscription_ids.add(center, id, &terms.name, callback).await {
            Ok(is_new) => is_new,
            Err(error) => {
                self.discard(center, terms).await;
                return Err(error);
            }
        };
        match self.ccapi.call(cx, &Replace { id, terms }).await {
            Ok(Replaced(told)) => {
                let _ = self.subscription_ids.remove_others(center, id, &terms.name, callback).await;
                if let Some((listed, number)) = told {
                    // Udesk 21 may list it by that name, as after Udesk 18.
                    let _ = self.subscription_ids.add(center, id, &listed, callback).await;
                    if number.to_string() != id {
                        tracing::warn!(center, id, "the answer to a change of a subscription has another number");
                    }
                }
                self.adopted(name, terms, former).await;
                Ok(())
            }
            Err(error) => {
                if did_nothing(&error) {
                    self.discard(center, terms).await;
                    if is_new {
                        let _ = self.subscription_ids.remove(center, id, &terms.name, callback).await;
                    }
                }
                if is_gone(&error) {
                    self.gone(name).await;
                }
                Err(about(error, "Subscription", name))
            }
        }
    }

    /// After Udesk took it: it posts by these terms and no longer to its former addresses.
    async fn adopted(&self, name: &SubscriptionName, terms: &Terms, former: &[Nonce]) {
        let (center, id) = (name.center(), name.id());
        let current = terms.ingress.as_ref().map(|ingress| &ingress.nonce);
        let adopted = match current {
            Some(nonce) => self.addresses.adopt(center, nonce, id).await,
            None => Ok(()),
        };
        let former: Vec<Nonce> = former.iter().filter(|nonce| current != Some(*nonce)).cloned().collect();
        let retired = self.addresses.retire(center, &former).await;
        if adopted.and(retired).is_err() {
            tracing::error!(
                center,
                id,
                "where a subscription posts could not be kept; its former addresses still work"
            );
        }
    }

    /// After Udesk said that there is no such subscription.
    async fn gone(&self, name: &SubscriptionName) {
        let (center, id) = (name.center(), name.id());
        // Done is done: what cannot be forgotten now names nothing.
        let _ = self.subscription_ids.remove_all(center, id).await;
        if self.addresses.retire_all(center, id).await.is_err() {
            tracing::error!(center, id, "the addresses of a subscription that is gone could not be given up");
        }
    }

    /// Gives up the address that was made for a request that did nothing.
    async fn discard(&self, center: &str, terms: &Terms) {
        if let Some(Ingress { nonce, is_fresh: true }) = &terms.ingress {
            // One that stays is known to nobody.
            let _ = self.addresses.discard(center, nonce).await;
        }
    }
}

/// Whether a write that failed did nothing for certain.
fn did_nothing(error: &Error) -> bool {
    !matches!(error.reason(), ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped)
}

/// Whether Udesk itself said that there is no such subscription. Somebody else's 404 does not say so, nor does any other
/// code that means "not found", such as one that belongs to another account: its ID is told once, and forgotten for good.
fn is_gone(error: &Error) -> bool {
    codes::is_no_records(error.vendor_code())
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
    let message = format!("no listed subscription is known by this ID; {WHOLE}");
    Error::new(ErrorReason::ResourceNotFound, message).about("Subscription", name)
}
