//! Subscriptions: Udesk 18 to 21.
//!
//! Udesk returns a subscription's ID only when it is created, so the gateway stores it before it responds. A
//! subscription whose ID is unknown is read-only.

use async_trait::async_trait;

use super::{
    Udesk,
    formats::Formats as _,
    subscription_changes::{self, Register},
    subscription_list::{Identified, Listed},
    subscription_spec::Change,
};
use crate::{
    adapter::Subscriptions,
    check::Check,
    context::Context,
    error::{Error, Result},
    lists::{self, WholeList},
    name::{CenterName, ResourceName as _, SubscriptionName},
    page::Page,
    proto::v1,
    vendor::refuse_other_paths,
};

/// The paths that Udesk 19 can change.
const PATHS: &[&str] = &["display_name", "callback_uri", "event_types", "vendor_event_types", "enabled"];

#[async_trait]
impl Subscriptions for Udesk {
    async fn list_subscriptions(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
    ) -> Result<v1::ListSubscriptionsResponse> {
        list(self, cx, center, page).await
    }

    async fn get_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<v1::Subscription> {
        get(&self.subscriptions, cx, name).await
    }

    async fn create_subscription(
        &self,
        cx: &Context,
        center: CenterName,
        subscription: v1::Subscription,
    ) -> Result<v1::Subscription> {
        create(&self.subscriptions, cx, center, subscription).await
    }

    async fn update_subscription(
        &self,
        cx: &Context,
        name: SubscriptionName,
        subscription: v1::Subscription,
        mask: Vec<String>,
    ) -> Result<v1::Subscription> {
        update(&self.subscriptions, cx, name, subscription, mask).await
    }

    async fn delete_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<()> {
        delete(&self.subscriptions, cx, name).await
    }
}

/// Lists subscriptions.
async fn list(udesk: &Udesk, cx: &Context, center: CenterName, page: Page) -> Result<v1::ListSubscriptionsResponse> {
    let read = async {
        let listed = subscription_changes::list(&udesk.subscriptions, cx, center.center()).await?;
        let resource = |it: Identified| lists::Listed::new(it.id.clone(), it.into_subscription(&center));
        Ok(WholeList::counted(listed.subscriptions.into_iter().map(resource).collect(), listed.incomplete_reason))
    };
    let page = udesk.lists.page(cx, &page, read).await?;
    Ok(v1::ListSubscriptionsResponse {
        subscriptions: page.resources(),
        incomplete_reason: page.incomplete_reason(),
        next_page_token: page.next_page_token,
    })
}

/// Gets a subscription.
async fn get(register: &Register, cx: &Context, name: SubscriptionName) -> Result<v1::Subscription> {
    let center = CenterName::new(name.center());
    let Listed { subscriptions, incomplete_reason } = subscription_changes::list(register, cx, name.center()).await?;
    match subscriptions.into_iter().find(|identified| identified.id == name.id()) {
        Some(identified) => Ok(identified.into_subscription(&center)),
        None if incomplete_reason.is_empty() => Err(Error::not_found("Subscription", name)),
        None => Err(Error::not_found("Subscription", name).with("cause", incomplete_reason)),
    }
}

/// Creates a subscription.
async fn create(
    register: &Register,
    cx: &Context,
    center: CenterName,
    subscription: v1::Subscription,
) -> Result<v1::Subscription> {
    let change = Change::of(subscription, |_| true, Check::of(cx))?;
    subscription_changes::create(register, cx, &center, change).await
}

/// Changes the fields that `mask` names of a subscription.
async fn update(
    register: &Register,
    cx: &Context,
    name: SubscriptionName,
    subscription: v1::Subscription,
    mask: Vec<String>,
) -> Result<v1::Subscription> {
    let mut check = Check::of(cx);
    check.subscription_id("subscription.name", name.id());
    refuse_other_paths(&mut check, "subscription", &mask, PATHS);
    let change = Change::of(subscription, |path| mask.iter().any(|masked| masked == path), check)?;
    subscription_changes::update(register, cx, &name, change).await
}

/// Deletes a subscription.
async fn delete(register: &Register, cx: &Context, name: SubscriptionName) -> Result<()> {
    let mut check = Check::of(cx);
    check.subscription_id("name", name.id());
    check.done()?;
    subscription_changes::delete(register, cx, &name).await
}
