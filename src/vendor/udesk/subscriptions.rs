//! Subscriptions: what the contract asks, led to Udesk 18 to 21.
//!
//! Udesk tells a subscription's ID when it is made and never again, so the gateway remembers it before it answers.
//! A subscription whose ID nobody knows can be read but not changed.

use async_trait::async_trait;

use super::{Udesk, formats::Formats as _, subscription_list::Listed, subscription_spec::Change};
use crate::{
    adapter::Subscriptions,
    check::Check,
    context::Context,
    error::{Error, Result},
    name::{CenterName, ResourceName as _, SubscriptionName},
    page::Page,
    proto::v1,
    vendor::refuse_other_paths,
};

/// What Udesk 19 can change of a subscription.
const PATHS: &[&str] = &["display_name", "callback_uri", "event_types", "vendor_event_types", "enabled"];

#[async_trait]
impl Subscriptions for Udesk {
    async fn list_subscriptions(
        &self,
        cx: &Context,
        center: CenterName,
        page: Page,
    ) -> Result<v1::ListSubscriptionsResponse> {
        let Listed { subscriptions, incomplete_reason } = self.subscriptions.list(cx, center.center()).await?;
        let (subscriptions, next_page_token) = page.cut(subscriptions, |identified| &identified.id);
        let subscriptions = subscriptions.into_iter().map(|identified| identified.into_subscription(&center)).collect();
        Ok(v1::ListSubscriptionsResponse { subscriptions, next_page_token, incomplete_reason })
    }

    async fn get_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<v1::Subscription> {
        let center = CenterName::new(name.center());
        let Listed { subscriptions, incomplete_reason } = self.subscriptions.list(cx, name.center()).await?;
        match subscriptions.into_iter().find(|identified| identified.id == name.id()) {
            Some(identified) => Ok(identified.into_subscription(&center)),
            None if incomplete_reason.is_empty() => Err(Error::not_found("Subscription", name)),
            None => Err(Error::not_found("Subscription", name).with("cause", incomplete_reason)),
        }
    }

    async fn create_subscription(
        &self,
        cx: &Context,
        center: CenterName,
        subscription: v1::Subscription,
    ) -> Result<v1::Subscription> {
        let change = Change::of(subscription, |_| true, Check::new())?;
        self.subscriptions.create(cx, &center, change).await
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
        refuse_other_paths(&mut check, "subscription", &mask, PATHS);
        let change = Change::of(subscription, |path| mask.iter().any(|masked| masked == path), check)?;
        self.subscriptions.update(cx, &name, change).await
    }

    async fn delete_subscription(&self, cx: &Context, name: SubscriptionName) -> Result<()> {
        let mut check = Check::new();
        check.subscription_id("name", name.id());
        check.done()?;
        self.subscriptions.delete(cx, &name).await
    }
}
