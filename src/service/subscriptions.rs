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
    redact::is_masked_uri,
};

/// At most this many event types per subscription.
const EVENT_TYPES: usize = 64;

pub(super) async fn list_subscriptions(
    centers: &Centers,
    cx: &Context,
    mut request: ListSubscriptionsRequest,
) -> Result<ListSubscriptionsResponse> {
    let ListSubscriptionsRequest { parent, page_size, page_token: _ } = &request; // Page::take reads the token
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    check.page_size(*page_size);
    check.hand_over(cx)?;
    let adapter = &centers.get(cx, &parent)?.adapter;
    let page = Page::take(cx.method(), &mut request)?;
    adapter.list_subscriptions(cx, parent, page).await
}

pub(super) async fn get_subscription(
    centers: &Centers,
    cx: &Context,
    request: GetSubscriptionRequest,
) -> Result<Subscription> {
    let GetSubscriptionRequest { name } = request;
    let mut check = Check::new();
    let name: SubscriptionName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.adapter.get_subscription(cx, name).await
}

pub(super) async fn create_subscription(
    centers: &Centers,
    cx: &Context,
    mut request: CreateSubscriptionRequest,
) -> Result<Subscription> {
    let CreateSubscriptionRequest { parent, subscription, request_id } = &request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", parent);
    match subscription {
        Some(subscription) => {
            check.required("subscription.display_name", &subscription.display_name);
            subscription_fields(&mut check, subscription, 1);
        }
        None => check.invalid("subscription", "required"),
    }
    check.request_id(request_id);
    check.hand_over(cx)?;
    let request_id = std::mem::take(&mut request.request_id);
    let center = centers.get(cx, &parent)?;
    let call = async |adapter: Arc<dyn Adapter>, cx: Context, request: CreateSubscriptionRequest| {
        let CreateSubscriptionRequest { parent: _, subscription, request_id: _ } = request;
        adapter.create_subscription(&cx, parent, subscription.unwrap_or_default()).await
    };
    center.write_idempotent(cx, &request_id, request, call).await
}

pub(super) async fn update_subscription(
    centers: &Centers,
    cx: &Context,
    request: UpdateSubscriptionRequest,
) -> Result<Subscription> {
    let UpdateSubscriptionRequest { subscription, update_mask } = request;
    let mut check = Check::new();
    let subscription = check.message("subscription", subscription);
    let name: SubscriptionName = check.name("subscription.name", &subscription.name);
    let paths = subscription_fields(&mut check, &subscription, 0);
    let mask = mask::paths(&mut check, "subscription", update_mask.as_ref(), &paths);
    check.hand_over(cx)?;
    let mask = with_both_lists(mask, update_mask.is_some(), &subscription);
    centers
        .get(cx, &name)?
        .write(cx, async move |adapter, cx| adapter.update_subscription(&cx, name, subscription, mask).await)
        .await
}

pub(super) async fn delete_subscription(
    centers: &Centers,
    cx: &Context,
    request: DeleteSubscriptionRequest,
) -> Result<()> {
    let DeleteSubscriptionRequest { name } = request;
    let mut check = Check::new();
    let name: SubscriptionName = check.name("name", &name);
    check.hand_over(cx)?;
    centers.get(cx, &name)?.write(cx, async move |adapter, cx| adapter.delete_subscription(&cx, name).await).await
}

/// The paths that an adapter changes. In a mask, `event_types` stands for both lists; without a mask each list is a
/// field of its own and stays unchanged when it is not set.
fn with_both_lists(mut paths: Vec<String>, is_masked: bool, subscription: &Subscription) -> Vec<String> {
    let Some(place) = paths.iter().position(|path| path == "event_types") else { return paths };
    let lists = [
        ("event_types", subscription.event_types.is_empty()),
        ("vendor_event_types", subscription.vendor_event_types.is_empty()),
    ];
    let changed = lists.into_iter().filter(|(_, is_empty)| is_masked || !is_empty);
    paths.splice(place..=place, changed.map(|(list, _)| list.to_owned()));
    paths
}

/// Validates the fields of a new or changed subscription and returns the paths that `UpdateSubscription` can change.
fn subscription_fields(check: &mut Check, subscription: &Subscription, fewest_events: usize) -> [Path; 4] {
    let Subscription {
        name: _, // UpdateSubscription reads it, CreateSubscription ignores it
        display_name,
        callback_uri,
        event_types,
        enabled,
        vendor_event_types,
    } = subscription;
    // In a mask, event_types stands for both lists, which together are the delivered events.
    let events = event_types.len() + vendor_event_types.len();
    check.count("subscription.event_types", events, (fewest_events, EVENT_TYPES));
    check.at_most("subscription.display_name", display_name, 128);
    check.at_most("subscription.callback_uri", callback_uri, 2048);
    // A URL of these schemes has a host.
    let is_http = |url: &Url| matches!(url.scheme(), "http" | "https");
    match Url::parse(callback_uri).ok().filter(is_http) {
        // The vendor would post to the mask.
        Some(url) if is_masked_uri(&url) => check.invalid(
            "subscription.callback_uri",
            "a URI that is not masked; to keep the current one, leave the field out of the update_mask",
        ),
        None if !callback_uri.is_empty() => {
            check.invalid("subscription.callback_uri", "an absolute http:// or https:// URI");
        }
        Some(_) | None => {}
    }
    if events <= EVENT_TYPES {
        check.each::<EventType>("subscription.event_types", event_types, (0, EVENT_TYPES));
    }
    if event_types.contains(&EventType::Vendor.into()) {
        check.invalid(
            "subscription.event_types",
            "EVENT_TYPE_VENDOR cannot be subscribed to; name the event in vendor_event_types",
        );
    }
    [
        Path::needed("display_name", !display_name.is_empty()),
        Path::clearing("callback_uri", !callback_uri.is_empty()),
        Path::needed("event_types", events > 0),
        Path::needed("enabled", enabled.is_some()),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_events_change_together_only_where_a_mask_says_so() {
        let lists = |event_types: &[EventType], vendor_event_types: &[&str]| Subscription {
            event_types: event_types.iter().map(|event| (*event).into()).collect(),
            vendor_event_types: vendor_event_types.iter().map(|&name| name.into()).collect(),
            ..Default::default()
        };
        let (known, others) = (lists(&[EventType::CallHungUp], &[]), lists(&[], &["begin"]));
        let paths = |is_masked, subscription| {
            let given = ["display_name", "event_types", "enabled"].map(str::to_owned).to_vec();
            with_both_lists(given, is_masked, subscription)
        };
        for subscription in [&known, &others] {
            let both = ["display_name", "event_types", "vendor_event_types", "enabled"];
            assert_eq!(paths(true, subscription), both);
        }
        assert_eq!(paths(false, &known), ["display_name", "event_types", "enabled"]);
        assert_eq!(paths(false, &others), ["display_name", "vendor_event_types", "enabled"]);
        let elsewhere = vec!["enabled".to_owned()];
        assert_eq!(with_both_lists(elsewhere.clone(), true, &known), elsewhere);
    }

    #[test]
    fn a_callback_uri_is_an_absolute_http_or_https_uri() {
        let is_accepted = |uri: &str| {
            let mut check = Check::new();
            subscription_fields(&mut check, &Subscription { callback_uri: uri.to_owned(), ..Default::default() }, 0);
            check.done().is_ok()
        };
        let of_length = |length: usize| format!("{:u<length$}", "https://gw.example.com/");
        for good in ["", "http://gw.example.com", "https://gw.example.com:8443/events?a=1", &of_length(2048)] {
            assert!(is_accepted(good), "{good}");
        }
        assert!(!is_accepted(&of_length(2049)));
        for bad in ["/events", "gw.example.com", "ftp://gw.example.com/events", "mailto:a@example.com", "http://"] {
            assert!(!is_accepted(bad), "{bad}");
        }
    }

    #[test]
    fn without_a_mask_exactly_the_fields_that_are_set_change() {
        type Set = fn(&mut Subscription);
        let sets: [(&str, Set); 5] = [
            ("display_name", |subscription| subscription.display_name = "calls".into()),
            ("callback_uri", |subscription| subscription.callback_uri = "https://gw.example.com".into()),
            ("event_types", |subscription| subscription.event_types = vec![EventType::CallHungUp.into()]),
            ("event_types", |subscription| subscription.vendor_event_types = vec!["begin".into()]),
            ("enabled", |subscription| subscription.enabled = Some(false)),
        ];
        for (field, set) in sets {
            let mut subscription = Subscription::default();
            set(&mut subscription);
            let mut check = Check::new();
            let paths = subscription_fields(&mut check, &subscription, 0);
            assert_eq!(mask::paths(&mut check, "subscription", None, &paths), [field]);
            check.done().unwrap();
        }
    }
}
