//! Subscriptions as they are changed: Udesk 18 to 20, and what is kept before and after.
//!
//! Udesk tells a subscription's ID when it is made and never again (C46), and may post before it answers. So what is
//! needed for either is kept before Udesk is asked; what a refusal leaves is dropped, what an outcome that nobody knows
//! leaves stays.

use serde::Serialize;
use url::Url;

use super::{
    Api, about, about_new,
    ccapi::Ccapi,
    is_missing,
    operations::{UNSUBSCRIBE, WRITE},
    subscription_answers::{Replaced, subscribe},
    subscription_list::{self, Listed},
    subscription_spec::{Change, Ingress, SubscriptionSpec, WHOLE},
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
    spec: &'a SubscriptionSpec,
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
pub(super) struct Register {
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
    pub(super) fn new(ccapi: Api, vendor: &Url, parts: &Parts) -> Self {
        Self {
            ccapi,
            vendor: vendor.clone(),
            subscription_ids: SubscriptionIds::new(parts.kv.clone()),
            addresses: parts.addresses.clone(),
            locks: KeyedMutex::new(),
        }
    }
}

/// Every subscription.
pub(super) async fn list(register: &Register, cx: &Context, center: &str) -> Result<Listed> {
    subscription_list::list(&register.ccapi, &register.subscription_ids, &register.addresses, cx, center).await
}

/// Makes a subscription and keeps its ID.
pub(super) async fn create(
    register: &Register,
    cx: &Context,
    center: &CenterName,
    change: Change,
) -> Result<v1::Subscription> {
    let id = center.center();
    let spec = change.into_new().settled(&register.addresses, id, None, &register.vendor).await?;
    let callback = CallbackHash::of(&spec.callback);
    if let Err(error) = register.subscription_ids.add_pending(id, &spec.name, callback).await {
        discard(register, id, &spec).await;
        return Err(error);
    }
    let made = match subscribe(&register.ccapi, cx, &spec).await {
        Ok(made) => made,
        Err(error) => {
            let _ = register.subscription_ids.remove_pending(id, &spec.name, callback).await;
            if did_nothing(&error) {
                discard(register, id, &spec).await;
            }
            return Err(about_new(error, "Subscription", center));
        }
    };
    // Udesk 21 may list it by the name it was asked for or by the one it answered with (C42).
    let names = [spec.name.as_str(), if made.name.is_empty() { &spec.name } else { &made.name }];
    let name = SubscriptionName::new(id, made.subid.0);
    if register.subscription_ids.resolve_pending(id, name.id(), &names, callback).await.is_err() {
        tracing::error!(center = id, id = name.id(), "the ID of a new subscription could not be kept");
    }
    adopted(register, &name, &spec, &[]).await;
    if !spec.enable {
        // Udesk 18 has no flag for it (C47).
        let disabled = register.ccapi.call(cx, &Replace { id: name.id(), spec: &spec }).await;
        disabled.map_err(|error| partly_done(error, &name))?;
    }
    Ok(spec.into_subscription(&name))
}

/// Writes what a subscription is to be, whole.
pub(super) async fn update(
    register: &Register,
    cx: &Context,
    name: &SubscriptionName,
    change: Change,
) -> Result<v1::Subscription> {
    let (center, id) = (name.center(), name.id());
    let _guard = register.locks.lock(id.to_owned(), cx.deadline()).await?;
    let former = register.addresses.replaceable(center, id).await?;
    let plan = match change.into_whole() {
        Ok(plan) => plan,
        Err(change) => {
            let listed = list(register, cx, center).await?.subscriptions;
            let found = listed.into_iter().find(|identified| identified.id == id);
            change.merged(found.ok_or_else(|| unlisted(name))?.record)?
        }
    };
    let spec = plan.settled(&register.addresses, center, Some(id), &register.vendor).await?;
    replace(register, cx, name, &spec, &former).await?;
    Ok(spec.into_subscription(name))
}

/// Ends a subscription.
pub(super) async fn delete(register: &Register, cx: &Context, name: &SubscriptionName) -> Result<()> {
    let deleted = register.ccapi.call(cx, &Unsubscribe { id: name.id() }).await;
    if deleted.as_ref().map_or_else(is_missing, |_| true) {
        gone(register, name).await;
    }
    deleted.map(|Anything| ()).map_err(|error| about(error, "Subscription", name))
}

/// Writes a whole subscription. What it will be listed by is known before it is sent, what it was listed by until
/// done; the same goes for where it posts, of which `former` are the gateway's own.
async fn replace(
    register: &Register,
    cx: &Context,
    name: &SubscriptionName,
    spec: &SubscriptionSpec,
    former: &[Nonce],
) -> Result<()> {
    let (center, id, callback) = (name.center(), name.id(), CallbackHash::of(&spec.callback));
    let is_new = match register.subscription_ids.add(center, id, &spec.name, callback).await {
        Ok(is_new) => is_new,
        Err(error) => {
            discard(register, center, spec).await;
            return Err(error);
        }
    };
    match register.ccapi.call(cx, &Replace { id, spec }).await {
        Ok(Replaced(told)) => {
            let _ = register.subscription_ids.remove_others(center, id, &spec.name, callback).await;
            if let Some((listed, number)) = told {
                // Udesk 21 may list it by that name, as after Udesk 18.
                let _ = register.subscription_ids.add(center, id, &listed, callback).await;
                if number.to_string() != id {
                    tracing::warn!(center, id, "the answer to a change of a subscription has another number");
                }
            }
            adopted(register, name, spec, former).await;
            Ok(())
        }
        Err(error) => {
            if did_nothing(&error) {
                discard(register, center, spec).await;
                if is_new {
                    let _ = register.subscription_ids.remove(center, id, &spec.name, callback).await;
                }
            }
            if is_missing(&error) {
                gone(register, name).await;
            }
            Err(about(error, "Subscription", name))
        }
    }
}

/// After Udesk took it: it posts by these spec and no longer to its former addresses.
async fn adopted(register: &Register, name: &SubscriptionName, spec: &SubscriptionSpec, former: &[Nonce]) {
    let (center, id) = (name.center(), name.id());
    let current = spec.ingress.as_ref().map(|ingress| &ingress.nonce);
    let adopted = match current {
        Some(nonce) => register.addresses.adopt(center, nonce, id).await,
        None => Ok(()),
    };
    let former: Vec<Nonce> = former.iter().filter(|nonce| current != Some(*nonce)).cloned().collect();
    let retired = register.addresses.retire(center, &former).await;
    if adopted.and(retired).is_err() {
        tracing::error!(center, id, "where a subscription posts could not be kept; its former addresses still work");
    }
}

/// After Udesk said that there is no such subscription.
async fn gone(register: &Register, name: &SubscriptionName) {
    let (center, id) = (name.center(), name.id());
    // Done is done: what cannot be forgotten now names nothing.
    let _ = register.subscription_ids.remove_all(center, id).await;
    if register.addresses.retire_all(center, id).await.is_err() {
        tracing::error!(center, id, "the addresses of a subscription that is gone could not be given up");
    }
}

/// Gives up the address that was made for a request that did nothing.
async fn discard(register: &Register, center: &str, spec: &SubscriptionSpec) {
    if let Some(Ingress { nonce, is_fresh: true }) = &spec.ingress {
        // One that stays is known to nobody.
        let _ = register.addresses.discard(center, nonce).await;
    }
}

/// Whether a write that failed did nothing for certain.
fn did_nothing(error: &Error) -> bool {
    !matches!(error.reason(), ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped)
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
