//! Subscriptions of callbacks to event types.

use std::sync::Arc;

use url::Url;

use super::mask::{self, Path};
use crate::{
    adapter::Adapter,
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    name::{CenterName, SubscriptionName},
    page::Page,
    proto::v1::{
        CreateSubscriptionRequest, DeleteSubscriptionRequest, EventType, GetSubscriptionRequest,
        ListSubscriptionsRequest, ListSubscriptionsResponse, Subscription, UpdateSubscriptionRequest,
    },
};

/// Most event types of a subscription.
const EVENT_TYPES: usize = 64;

pub async fn list_subscriptions(
    centers: &Centers,
    cx: &Context,
    mut request: ListSubscriptionsRequest,
) -> Result<ListSubscriptionsResponse> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    check.page_size(request.page_size);
    check.done()?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_subscriptions(cx, parent, page).await
}

pub async fn get_subscription(
    centers: &Centers,
    cx: &Context,
    request: GetSubscriptionRequest,
) -> Result<Subscription> {
    let mut check = Check::new();
    let name: SubscriptionName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.adapter.get_subscription(cx, name).await
}

pub async fn create_subscription(
    centers: &Centers,
    cx: &Context,
    mut request: CreateSubscriptionRequest,
) -> Result<Subscription> {
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &request.parent);
    match &request.subscription {
        Some(subscription) => {
            check.required("subscription.display_name", &subscription.display_name);
            let events = subscription.event_types.len() + subscription.vendor_event_types.len();
            check.count("subscription.event_types", events, (1, EVENT_TYPES));
            subscription_fields(&mut check, subscription);
        }
        None => check.invalid("subscription", "required"),
    }
    check.request_id(&request.request_id);
    check.done()?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    let call = async |adapter: Arc<dyn Adapter>, cx: Context, request: CreateSubscriptionRequest| {
        let CreateSubscriptionRequest { parent: _, subscription, request_id: _ } = request;
        adapter.create_subscription(&cx, parent, subscription.unwrap_or_default()).await
    };
    center.once(cx, &request_id, request, call).await
}

pub async fn update_subscription(
    centers: &Centers,
    cx: &Context,
    request: UpdateSubscriptionRequest,
) -> Result<Subscription> {
    let UpdateSubscriptionRequest { subscription, update_mask } = request;
    let mut check = Check::new();
    let subscription = check.message("subscription", subscription);
    let name: SubscriptionName = check.name("subscription.name", &subscription.name);
    subscription_fields(&mut check, &subscription);
    // The path stands for both lists: together they are the events that are delivered.
    let events = subscription.event_types.len() + subscription.vendor_event_types.len();
    check.count("subscription.event_types", events, (0, EVENT_TYPES));
    let paths = [
        Path::needed("display_name", !subscription.display_name.is_empty()),
        Path::clearing("callback_uri", !subscription.callback_uri.is_empty()),
        Path::needed("event_types", events > 0),
        Path::needed("enabled", subscription.enabled.is_some()),
    ];
    let mask = mask::paths(&mut check, "subscription", update_mask.as_ref(), &paths);
    check.done()?;
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| adapter.update_subscription(&cx, name, subscription, mask).await)
        .await
}

pub async fn delete_subscription(centers: &Centers, cx: &Context, request: DeleteSubscriptionRequest) -> Result<()> {
    let mut check = Check::new();
    let name: SubscriptionName = check.name("name", &request.name);
    check.done()?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_subscription(&cx, name).await).await
}

fn subscription_fields(check: &mut Check, subscription: &Subscription) {
    check.at_most("subscription.display_name", &subscription.display_name, 128);
    check.at_most("subscription.callback_uri", &subscription.callback_uri, 2048);
    let uri = &subscription.callback_uri;
    let absolute = Url::parse(uri).is_ok_and(|url| url.has_host() && matches!(url.scheme(), "http" | "https"));
    if !uri.is_empty() && !absolute {
        check.invalid("subscription.callback_uri", "an absolute http:// or https:// URI");
    }
    check.each::<EventType>("subscription.event_types", &subscription.event_types);
    if subscription.event_types.contains(&EventType::Vendor.into()) {
        check.invalid("subscription.event_types", "EVENT_TYPE_VENDOR is only received; name it in vendor_event_types");
    }
}
