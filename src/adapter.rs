//! The traits that an adapter implements; they are vendor-neutral.
//!
//! One small object-safe trait per family of resources. Every method returns `METHOD_UNSUPPORTED` by default, so an
//! adapter implements only what its vendor supports. The contract's messages are the domain model: an adapter accepts
//! typed names and the request, and returns the contract's resource.
//!
//! Requests arrive validated against the contract. The adapter enforces formats that only its vendor requires, before
//! anything is sent.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    context::Context,
    error::{Error, Result},
    name::{AgentName, CallSettingsName, CenterName, ExtensionName, PhoneNumberName, QueueName, SubscriptionName},
    page::Page,
    proto::v1,
};

/// All families of operations of one vendor.
#[async_trait]
pub trait Adapter: PhoneNumbers + Agents + Extensions + Queues + Softphones + Calls + Subscriptions + Events {
    /// The vendor's name in the contract, in kebab-case.
    fn vendor(&self) -> &'static str;

    /// What this adapter supports. The caller fills in the resource names.
    fn capabilities(&self) -> v1::Capabilities;

    /// A read without side effects that shows whether the vendor responds and accepts the gateway's credentials.
    async fn probe(&self, cx: &Context) -> Result<()>;
}

/// A vendor's callbacks, and the response it expects to each.
pub trait Events: Send + Sync {
    /// Fails unless the vendor can post callbacks to the gateway.
    ///
    /// # Errors
    /// `CENTER_MISCONFIGURED`: the center's configuration lacks a required key.
    fn can_post(&self) -> Result<()> {
        Ok(())
    }

    /// The secret path segment of the callback address, for a vendor whose callbacks are set up in its console and not
    /// by a subscription.
    fn callback_secret(&self) -> Option<&SecretString> {
        None
    }

    /// The JSON body of the response that acknowledges a callback.
    fn acknowledgement(&self) -> &'static str;

    /// Parses a callback; any body is an event. The caller fills in `event_id`, `center` and `receive_time`.
    fn read_event(&self, center: &str, body: &[u8]) -> v1::Event;
}

macro_rules! family {
    (
        $(#[$doc:meta])*
        $family:ident {
            $($(#[$method_doc:meta])* $method:ident($($argument:ident: $type:ty),*) -> $response:ty;)*
        }
    ) => {
        $(#[$doc])*
        #[async_trait]
        pub trait $family: Send + Sync {
            $(
                $(#[$method_doc])*
                async fn $method(&self, cx: &Context, $($argument: $type),*) -> Result<$response> {
                    $(let _ = $argument;)*
                    Err(Error::unsupported_method(cx.method()))
                }
            )*
        }
    };
}

family! {
    /// Numbers on the public network.
    PhoneNumbers {
        /// Lists them.
        list_phone_numbers(center: CenterName, page: Page, request: v1::ListPhoneNumbersRequest) -> v1::ListPhoneNumbersResponse;
        /// Gets one.
        get_phone_number(name: PhoneNumberName, request: v1::GetPhoneNumberRequest) -> v1::PhoneNumber;
        /// Makes one the default caller ID.
        set_default_phone_number(name: PhoneNumberName) -> ();
        /// Removes the center's default caller ID.
        clear_default_phone_number(center: CenterName) -> ();
    }
}

family! {
    /// People who handle calls.
    Agents {
        /// Lists them, or those of one queue.
        list_agents(center: CenterName, queue: Option<QueueName>, page: Page, request: v1::ListAgentsRequest) -> v1::ListAgentsResponse;
        /// Gets one with its state.
        get_agent(name: AgentName, request: v1::GetAgentRequest) -> v1::Agent;
        /// Creates one.
        create_agent(center: CenterName, request: v1::CreateAgentRequest) -> v1::Agent;
        /// Changes the fields in `mask`.
        update_agent(name: AgentName, agent: v1::Agent, mask: Vec<String>) -> v1::Agent;
        /// Deletes one.
        delete_agent(name: AgentName) -> ();
        /// Signs one in.
        login_agent(name: AgentName, queues: Vec<QueueName>, request: v1::LoginAgentRequest) -> v1::LoginAgentResponse;
        /// Signs one out.
        logout_agent(name: AgentName) -> v1::LogoutAgentResponse;
        /// Binds extensions to one.
        bind_agent_extensions(agent: AgentName, extensions: Vec<ExtensionName>) -> ();
        /// Unbinds extensions from one.
        unbind_agent_extensions(agent: AgentName, extensions: Vec<ExtensionName>) -> ();
        /// Adds one to queues.
        add_agent_queues(agent: AgentName, queues: Vec<QueueName>) -> ();
        /// Replaces the queues of one.
        set_agent_queues(agent: AgentName, queues: Vec<QueueName>) -> ();
        /// Removes one from queues.
        remove_agent_queues(agent: AgentName, queues: Vec<QueueName>) -> ();
    }
}

family! {
    /// The lines that calls are delivered to.
    Extensions {
        /// Lists them, without passwords.
        list_extensions(center: CenterName, page: Page, request: v1::ListExtensionsRequest) -> v1::ListExtensionsResponse;
        /// Gets one, without its password.
        get_extension(name: ExtensionName, request: v1::GetExtensionRequest) -> v1::Extension;
        /// Creates one; only this response contains its password.
        create_extension(name: ExtensionName, extension: v1::Extension) -> v1::Extension;
        /// Deletes one.
        delete_extension(name: ExtensionName) -> ();
    }
}

family! {
    /// Queues of waiting calls.
    Queues {
        /// Lists them.
        list_queues(center: CenterName, page: Page, request: v1::ListQueuesRequest) -> v1::ListQueuesResponse;
        /// Gets one.
        get_queue(name: QueueName, request: v1::GetQueueRequest) -> v1::Queue;
        /// Creates one; the vendor may assign another ID than the requested one.
        create_queue(center: CenterName, request: v1::CreateQueueRequest) -> v1::Queue;
        /// Changes the fields in `mask`.
        update_queue(name: QueueName, queue: v1::Queue, mask: Vec<String>) -> v1::Queue;
        /// Deletes one.
        delete_queue(name: QueueName) -> ();
        /// Adds agents to one.
        add_queue_agents(queue: QueueName, agents: Vec<AgentName>) -> ();
    }
}

family! {
    /// Addresses and credentials for softphones.
    Softphones {
        /// Gets the addresses.
        get_softphone_config(center: CenterName) -> v1::SoftphoneConfig;
        /// Returns passwords.
        access_softphone_credentials(center: CenterName, agent: Option<AgentName>, page: Page) -> v1::AccessSoftphoneCredentialsResponse;
        /// Gets a user's outbound-call settings.
        get_user_call_settings(name: CallSettingsName, request: v1::GetUserCallSettingsRequest) -> v1::UserCallSettings;
        /// Changes the fields in `mask` of a user's outbound-call settings.
        update_user_call_settings(name: CallSettingsName, settings: v1::UserCallSettings, mask: Vec<String>, allow_missing: bool) -> v1::UserCallSettings;
    }
}

family! {
    /// Calls.
    Calls {
        /// Calls a customer.
        start_callback(center: CenterName, request: v1::StartCallbackRequest) -> v1::StartCallbackResponse;
    }
}

family! {
    /// Subscriptions of callbacks to event types.
    Subscriptions {
        /// Lists them.
        list_subscriptions(center: CenterName, page: Page) -> v1::ListSubscriptionsResponse;
        /// Gets one.
        get_subscription(name: SubscriptionName) -> v1::Subscription;
        /// Creates one.
        create_subscription(center: CenterName, subscription: v1::Subscription) -> v1::Subscription;
        /// Changes the fields in `mask`, which names each list of events separately.
        update_subscription(name: SubscriptionName, subscription: v1::Subscription, mask: Vec<String>) -> v1::Subscription;
        /// Deletes one.
        delete_subscription(name: SubscriptionName) -> ();
    }
}
