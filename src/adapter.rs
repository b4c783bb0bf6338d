//! What the gateway asks of a vendor. No vendor's word stands here.
//!
//! One small object-safe trait per family of resources. Every method answers *unsupported* unless the vendor's adapter
//! says otherwise, so an adapter holds only what its vendor can do. The contract's messages are the domain model: an
//! adapter takes typed names and the request, and returns the contract's resource.
//!
//! Requests arrive checked against the contract; formats that only one vendor imposes are the adapter's to enforce,
//! before anything is sent.

use async_trait::async_trait;
use secrecy::SecretString;

use crate::{
    context::Context,
    error::{Error, Result},
    name::{AgentName, CallSettingsName, CenterName, ExtensionName, PhoneNumberName, QueueName, SubscriptionName},
    page::Page,
    proto::v1,
};

/// Everything a vendor may offer.
#[async_trait]
pub trait Adapter: PhoneNumbers + Agents + Extensions + Queues + Softphones + Calls + Subscriptions + Events {
    /// The vendor's name in the contract, in kebab-case.
    fn vendor(&self) -> &'static str;

    /// What this adapter can do, and how. The names in it are filled by the caller.
    fn capabilities(&self) -> v1::Capabilities;

    /// A harmless read that shows whether the vendor answers and takes our credentials.
    async fn probe(&self, cx: &Context) -> Result<()>;
}

/// What a vendor posts, and what it wants to hear.
pub trait Events: Send + Sync {
    /// Whether the vendor can post to the gateway.
    ///
    /// # Errors
    /// `CENTER_MISCONFIGURED`: something is missing in the center's configuration.
    fn can_post(&self) -> Result<()> {
        Ok(())
    }

    /// The path segment that was entered in the vendor's console, for a vendor that is not asked to subscribe.
    fn callback_secret(&self) -> Option<&SecretString> {
        None
    }

    /// Body, in JSON, of the answer that tells the vendor that a post was taken.
    fn acknowledgement(&self) -> &'static str;

    /// What a post is about; whatever was posted is an event. Its `event_id`, `center` and `receive_time` are filled by
    /// the caller.
    fn read_event(&self, center: &str, body: &[u8]) -> v1::Event;
}

macro_rules! family {
    (
        $(#[$doc:meta])*
        $family:ident {
            $($(#[$method_doc:meta])* $method:ident($($argument:ident: $type:ty),*) -> $answer:ty;)*
        }
    ) => {
        $(#[$doc])*
        #[async_trait]
        pub trait $family: Send + Sync {
            $(
                $(#[$method_doc])*
                async fn $method(&self, cx: &Context, $($argument: $type),*) -> Result<$answer> {
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
        /// Leaves the center without a default caller ID.
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
    /// Lines that calls are delivered to.
    Extensions {
        /// Lists them, without passwords.
        list_extensions(center: CenterName, page: Page, request: v1::ListExtensionsRequest) -> v1::ListExtensionsResponse;
        /// Gets one, without its password.
        get_extension(name: ExtensionName, request: v1::GetExtensionRequest) -> v1::Extension;
        /// Creates one; its password is in this answer only.
        create_extension(name: ExtensionName, extension: v1::Extension) -> v1::Extension;
        /// Deletes one.
        delete_extension(name: ExtensionName) -> ();
    }
}

family! {
    /// Where waiting calls are held.
    Queues {
        /// Lists them.
        list_queues(center: CenterName, page: Page, request: v1::ListQueuesRequest) -> v1::ListQueuesResponse;
        /// Gets one.
        get_queue(name: QueueName, request: v1::GetQueueRequest) -> v1::Queue;
        /// Creates one; the vendor may assign another ID than the one asked for.
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
    /// Where softphones register, and with what.
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
        /// Changes the fields in `mask`, in which each list of events stands for itself.
        update_subscription(name: SubscriptionName, subscription: v1::Subscription, mask: Vec<String>) -> v1::Subscription;
        /// Deletes one.
        delete_subscription(name: SubscriptionName) -> ();
    }
}
