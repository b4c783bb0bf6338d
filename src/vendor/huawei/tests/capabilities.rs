//! The methods behave as `GetCapabilities` says.

use super::*;
use crate::{
    error::ErrorReason,
    name::{ExtensionName, PhoneNumberName, SubscriptionName},
    proto::METHODS,
};

fn support(capabilities: &v1::Capabilities, method: &str) -> v1::Support {
    capabilities.methods.iter().find(|row| row.method == method).unwrap().support()
}

#[tokio::test]
async fn unsupported_methods_are_refused_and_send_nothing() {
    let server = TestServer::start("").await;
    let capabilities = server.adapter.capabilities();
    let adapter = &server.adapter;
    let (extension, subscription) = (ExtensionName::new("beta", "1"), SubscriptionName::new("beta", "1"));
    let number = PhoneNumberName::new("beta", "1");
    let page = Page::take("ListSubscriptions", &mut v1::ListSubscriptionsRequest::default()).unwrap();
    let results = [
        ("SetDefaultPhoneNumber", adapter.set_default_phone_number(&cx("SetDefaultPhoneNumber"), number).await),
        ("ClearDefaultPhoneNumber", adapter.clear_default_phone_number(&cx("ClearDefaultPhoneNumber"), center()).await),
        (
            "BindAgentExtensions",
            adapter.bind_agent_extensions(&cx("BindAgentExtensions"), agent_name("101"), vec![extension.clone()]).await,
        ),
        (
            "UnbindAgentExtensions",
            adapter
                .unbind_agent_extensions(&cx("UnbindAgentExtensions"), agent_name("101"), vec![extension.clone()])
                .await,
        ),
        (
            "CreateExtension",
            adapter
                .create_extension(&cx("CreateExtension"), extension.clone(), v1::Extension::default())
                .await
                .map(drop),
        ),
        ("DeleteExtension", adapter.delete_extension(&cx("DeleteExtension"), extension).await),
        (
            "StartCallback",
            adapter.start_callback(&cx("StartCallback"), center(), v1::StartCallbackRequest::default()).await.map(drop),
        ),
        ("ListSubscriptions", adapter.list_subscriptions(&cx("ListSubscriptions"), center(), page).await.map(drop)),
        ("GetSubscription", adapter.get_subscription(&cx("GetSubscription"), subscription.clone()).await.map(drop)),
        (
            "CreateSubscription",
            adapter
                .create_subscription(&cx("CreateSubscription"), center(), v1::Subscription::default())
                .await
                .map(drop),
        ),
        (
            "UpdateSubscription",
            adapter
                .update_subscription(
                    &cx("UpdateSubscription"),
                    subscription.clone(),
                    v1::Subscription::default(),
                    Vec::new(),
                )
                .await
                .map(drop),
        ),
        ("DeleteSubscription", adapter.delete_subscription(&cx("DeleteSubscription"), subscription).await),
    ];
    for (method, result) in results {
        assert_eq!(support(&capabilities, method), v1::Support::Unsupported, "{method}");
        assert_eq!(result.unwrap_err().reason(), ErrorReason::MethodUnsupported, "{method}");
    }
    assert!(server.simulator.requests().is_empty());
}

#[tokio::test]
async fn everything_else_is_supported() {
    let capabilities = TestServer::start("").await.adapter.capabilities();
    assert_eq!(capabilities.methods.len(), METHODS.len());
    let unsupported: Vec<&str> = capabilities
        .methods
        .iter()
        .filter(|row| row.support() == v1::Support::Unsupported)
        .map(|row| row.method.as_str())
        .collect();
    let expected = [
        "SetDefaultPhoneNumber",
        "ClearDefaultPhoneNumber",
        "BindAgentExtensions",
        "UnbindAgentExtensions",
        "CreateExtension",
        "DeleteExtension",
        "StartCallback",
        "ListSubscriptions",
        "GetSubscription",
        "CreateSubscription",
        "UpdateSubscription",
        "DeleteSubscription",
    ];
    assert_eq!(unsupported, expected);
}
