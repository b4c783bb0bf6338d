//! Changes subscriptions: Udesk 18 to 20, and what the gateway stores before and after.
//!
//! Udesk returns a subscription's ID only when it is created (C46), and may post before it responds. So the gateway
//! stores what it needs for either before it sends the request. After a refusal it discards this, after an unknown
//! outcome it retains it.

use serde::Serialize;
use url::Url;

use super::{
    Api, about, about_new,
    ccapi::Ccapi,
    is_missing,
    operations::{UNSUBSCRIBE, WRITE},
    subscription_list::{self, Listed},
    subscription_responses::{Replaced, subscribe},
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
    /// Udesk's address.
    vendor: Url,
    subscription_ids: SubscriptionIds,
    addresses: Addresses,
    /// Serializes changes of a subscription, which is written whole (C45).
    locks: KeyedMutex<String>,
}

// === impl Register ===

impl Register {
    /// The subscriptions of this client's tenant.
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

/// Creates a subscription and stores its ID.
pub(super) async fn create(
    register: &Register,
    cx: &Context,
    center: &CenterName,
    change: Change,
) -> Result<v1::Subscription> {
    let id = center.center();
    let spec = change.into_new().into_spec(&register.addresses, id, None, &register.vendor).await?;
    let callback = CallbackHash::of(&spec.callback);
    if let Err(error) = register.subscription_ids.add_pending(id, &spec.name, callback).await {
        discard_address(register, id, &spec).await;
        return Err(error);
    }
    let made = match subscribe(&register.ccapi, cx, &spec).await {
        Ok(made) => made,
        Err(error) => {
            let _ = register.subscription_ids.remove_pending(id, &spec.name, callback).await;
            if had_no_effect(&error) {
                discard_address(register, id, &spec).await;
            }
            return Err(about_new(error, "Subscription", center));
        }
    };
    // Udesk 21 may list it by the requested name or by the one in the response (C42).
    let names = [spec.name.as_str(), if made.name.is_empty() { &spec.name } else { &made.name }];
    let name = SubscriptionName::new(id, made.subid.0);
    if register.subscription_ids.resolve_pending(id, name.id(), &names, callback).await.is_err() {
        tracing::error!(center = id, id = name.id(), "the ID of a new subscription could not be stored");
    }
    store_addresses(register, &name, &spec, &[]).await;
    if !spec.enable {
        // Udesk 18 has no such field (C47).
        let disabled = register.ccapi.call(cx, &Replace { id: name.id(), spec: &spec }).await;
        disabled.map_err(|error| partially_applied(error, &name))?;
    }
    Ok(spec.into_subscription(&name))
}

/// Changes a subscription: read, merged, written whole.
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
            let record = found.ok_or_else(|| not_listed(name))?.record;
            change.merged(record, register.subscription_ids.requested_name(center, id).await?)?
        }
    };
    let spec = plan.into_spec(&register.addresses, center, Some(id), &register.vendor).await?;
    replace(register, cx, name, &spec, &former).await?;
    Ok(spec.into_subscription(name))
}

/// Deletes a subscription.
pub(super) async fn delete(register: &Register, cx: &Context, name: &SubscriptionName) -> Result<()> {
    let deleted = register.ccapi.call(cx, &Unsubscribe { id: name.id() }).await;
    if deleted.as_ref().map_or_else(is_missing, |_| true) {
        forget(register, name).await;
    }
    deleted.map(|Anything| ()).map_err(|error| about(error, "Subscription", name))
}

/// Writes a whole subscription. The new name and callback are stored before the request, the old ones until it
/// succeeded. `former` are the gateway's own addresses to which it posted before.
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
            discard_address(register, center, spec).await;
            return Err(error);
        }
    };
    match register.ccapi.call(cx, &Replace { id, spec }).await {
        Ok(Replaced(reported)) => {
            let _ = register.subscription_ids.remove_others(center, id, &spec.name, callback).await;
            if let Some((listed, number)) = reported {
                // Udesk 21 may list it by that name, as after Udesk 18.
                let _ = register.subscription_ids.add_listed_name(center, id, &listed, callback).await;
                if number.to_string() != id {
                    tracing::warn!(center, id, "the response to a change of a subscription has another ID");
                }
            }
            store_addresses(register, name, spec, former).await;
            Ok(())
        }
        Err(error) => {
            if had_no_effect(&error) {
                discard_address(register, center, spec).await;
                if is_new {
                    let _ = register.subscription_ids.remove(center, id, &spec.name, callback).await;
                }
            }
            if is_missing(&error) {
                forget(register, name).await;
            }
            Err(about(error, "Subscription", name))
        }
    }
}

/// Udesk accepted the change: it posts to the address in `spec` and no longer to the former ones.
async fn store_addresses(register: &Register, name: &SubscriptionName, spec: &SubscriptionSpec, former: &[Nonce]) {
    let (center, id) = (name.center(), name.id());
    let current = spec.ingress.as_ref().map(|ingress| &ingress.nonce);
    let adopted = match current {
        Some(nonce) => register.addresses.adopt(center, nonce, id).await,
        None => Ok(()),
    };
    let former: Vec<Nonce> = former.iter().filter(|nonce| current != Some(*nonce)).cloned().collect();
    let retired = register.addresses.retire(center, &former).await;
    if adopted.and(retired).is_err() {
        tracing::error!(
            center,
            id,
            "a subscription's new callback address could not be stored; its former addresses still work"
        );
    }
}

/// Udesk reported that the subscription does not exist.
async fn forget(register: &Register, name: &SubscriptionName) {
    let (center, id) = (name.center(), name.id());
    // The subscription is deleted; a leftover record names nothing.
    let _ = register.subscription_ids.remove_all(center, id).await;
    if register.addresses.retire_all(center, id).await.is_err() {
        tracing::error!(center, id, "the callback addresses of a deleted subscription could not be retired");
    }
}

/// Discards the address that was created for a request without effect.
async fn discard_address(register: &Register, center: &str, spec: &SubscriptionSpec) {
    if let Some(Ingress { nonce, is_fresh: true }) = &spec.ingress {
        // Nobody knows a leftover address.
        let _ = register.addresses.discard(center, nonce).await;
    }
}

/// Whether a failed write certainly had no effect.
fn had_no_effect(error: &Error) -> bool {
    !matches!(error.reason(), ErrorReason::VendorOutcomeUnknown | ErrorReason::VendorCodeUnmapped)
}

fn partially_applied(error: Error, name: &SubscriptionName) -> Error {
    let unknown = u8::from(error.reason() == ErrorReason::VendorOutcomeUnknown);
    error
        .explained(
            ErrorReason::PartiallyApplied,
            "the subscription was created, but disabling it failed; disable it with UpdateSubscription",
        )
        .with("appliedCount", "1")
        .with("unknownCount", unknown.to_string())
        .with("remaining", name.id())
        .about("Subscription", name)
}

/// Udesk 21 lists no IDs, so a subscription that the gateway did not create cannot be found in its list.
fn not_listed(name: &SubscriptionName) -> Error {
    let message = format!("no listed subscription has this ID; {WHOLE}");
    Error::new(ErrorReason::ResourceNotFound, message).about("Subscription", name)
}
