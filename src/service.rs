//! The service: the one `impl ContactCenter`, one line per method.
//!
//! Each method passes its request to a function of its family in a submodule, which validates it against the contract,
//! finds the center and calls the center's adapter. Errors become statuses here, once.

mod agents;
mod calls;
mod centers;
mod events;
mod extensions;
mod mask;
mod phone_numbers;
mod queues;
mod response;
mod softphones;
mod subscriptions;

use std::{pin::Pin, sync::Arc, time::Duration};

use prost::Message;
use tokio::time::Instant;
use tokio_stream::Stream;
use tonic::{Request, Response, Status};

use crate::{
    center::Centers,
    check,
    context::Context,
    error::{Error, Result, code_name},
    proto::{EncodedWatchEventsResponse, service::contact_center_server::ContactCenter, v1},
    telemetry::millis,
};

/// The service. Clones are cheap and serve the same centers.
#[derive(Debug, Clone)]
pub struct Service {
    centers: Arc<Centers>,
}

// === impl Service ===

impl Service {
    /// Serves these centers.
    pub fn new(centers: Arc<Centers>) -> Self {
        Self { centers }
    }

    /// Runs one unary method.
    async fn run<Q, A: Message>(
        &self,
        request: Request<Q>,
        method: impl AsyncFnOnce(&Centers, &Context, Q) -> Result<A>,
    ) -> Result<Response<A>, Status> {
        let bounded = async |centers: &Centers, cx: &Context, request| {
            method(centers, cx, request).await.and_then(|response| response::bounded(cx.method(), response))
        };
        self.start(request, bounded).await
    }

    /// Runs one method with the context that the request layer put into the request.
    async fn start<Q, A>(
        &self,
        request: Request<Q>,
        method: impl AsyncFnOnce(&Centers, &Context, Q) -> Result<A>,
    ) -> Result<Response<A>, Status> {
        let (_, extensions, request) = request.into_parts();
        let Some(cx) = extensions.get::<Context>() else {
            return Err(Status::internal("the service runs without its request layer"));
        };
        let start = Instant::now();
        match check::outcome(cx, method(&self.centers, cx, request).await) {
            Ok(response) => Ok(Response::new(response)),
            Err(error) => {
                log_failed(cx, &error, start.elapsed());
                self.centers.count_failure(cx, &error);
                Err(error.into_status(cx))
            }
        }
    }
}

/// Logs one line of a failed call: a warning where only the operator can act.
fn log_failed(cx: &Context, error: &Error, took: Duration) {
    macro_rules! log {
        ($level:ident) => {
            tracing::$level!(
                method = cx.method(),
                trace_id = cx.trace_id(),
                center = cx.center().map(|center| center.id.as_str()),
                code = code_name(error.code()),
                reason = error.reason().as_str_name(),
                vendor_code = Some(error.vendor_code()).filter(|code| !code.is_empty()),
                vendor_status = error.vendor_http_status(),
                cause = error.cause(),
                took_ms = millis(took),
                "call failed"
            )
        };
    }
    if error.concerns_operator() {
        log!(warn);
    } else {
        log!(info);
    }
}

macro_rules! unary {
    ($($method:ident($request:ident) -> $response:ty => $family:ident;)*) => {
        #[tonic::async_trait]
        impl ContactCenter for Service {
            $(
                async fn $method(&self, request: Request<v1::$request>) -> Result<Response<$response>, Status> {
                    self.run(request, $family::$method).await
                }
            )*

            type WatchEventsStream = Pin<Box<dyn Stream<Item = Result<EncodedWatchEventsResponse, Status>> + Send>>;

            async fn watch_events(
                &self,
                request: Request<v1::WatchEventsRequest>,
            ) -> Result<Response<Self::WatchEventsStream>, Status> {
                let stream = self.start(request, events::watch_events).await?;
                Ok(stream.map(|items| Box::pin(items) as Self::WatchEventsStream))
            }
        }
    };
}

unary! {
    list_centers(ListCentersRequest) -> v1::ListCentersResponse => centers;
    get_center(GetCenterRequest) -> v1::Center => centers;
    get_capabilities(GetCapabilitiesRequest) -> v1::Capabilities => centers;

    list_phone_numbers(ListPhoneNumbersRequest) -> v1::ListPhoneNumbersResponse => phone_numbers;
    get_phone_number(GetPhoneNumberRequest) -> v1::PhoneNumber => phone_numbers;
    set_default_phone_number(SetDefaultPhoneNumberRequest) -> v1::SetDefaultPhoneNumberResponse => phone_numbers;
    clear_default_phone_number(ClearDefaultPhoneNumberRequest) -> v1::ClearDefaultPhoneNumberResponse => phone_numbers;

    list_agents(ListAgentsRequest) -> v1::ListAgentsResponse => agents;
    get_agent(GetAgentRequest) -> v1::Agent => agents;
    create_agent(CreateAgentRequest) -> v1::Agent => agents;
    update_agent(UpdateAgentRequest) -> v1::Agent => agents;
    delete_agent(DeleteAgentRequest) -> () => agents;
    login_agent(LoginAgentRequest) -> v1::LoginAgentResponse => agents;
    logout_agent(LogoutAgentRequest) -> v1::LogoutAgentResponse => agents;
    bind_agent_extensions(BindAgentExtensionsRequest) -> v1::BindAgentExtensionsResponse => agents;
    unbind_agent_extensions(UnbindAgentExtensionsRequest) -> v1::UnbindAgentExtensionsResponse => agents;
    add_agent_queues(AddAgentQueuesRequest) -> v1::AddAgentQueuesResponse => agents;
    set_agent_queues(SetAgentQueuesRequest) -> v1::SetAgentQueuesResponse => agents;
    remove_agent_queues(RemoveAgentQueuesRequest) -> v1::RemoveAgentQueuesResponse => agents;

    list_extensions(ListExtensionsRequest) -> v1::ListExtensionsResponse => extensions;
    get_extension(GetExtensionRequest) -> v1::Extension => extensions;
    create_extension(CreateExtensionRequest) -> v1::Extension => extensions;
    delete_extension(DeleteExtensionRequest) -> () => extensions;

    list_queues(ListQueuesRequest) -> v1::ListQueuesResponse => queues;
    get_queue(GetQueueRequest) -> v1::Queue => queues;
    create_queue(CreateQueueRequest) -> v1::Queue => queues;
    update_queue(UpdateQueueRequest) -> v1::Queue => queues;
    delete_queue(DeleteQueueRequest) -> () => queues;
    add_queue_agents(AddQueueAgentsRequest) -> v1::AddQueueAgentsResponse => queues;

    get_softphone_config(GetSoftphoneConfigRequest) -> v1::SoftphoneConfig => softphones;
    access_softphone_credentials(AccessSoftphoneCredentialsRequest) -> v1::AccessSoftphoneCredentialsResponse => softphones;
    get_user_call_settings(GetUserCallSettingsRequest) -> v1::UserCallSettings => softphones;
    update_user_call_settings(UpdateUserCallSettingsRequest) -> v1::UserCallSettings => softphones;

    start_callback(StartCallbackRequest) -> v1::StartCallbackResponse => calls;

    list_subscriptions(ListSubscriptionsRequest) -> v1::ListSubscriptionsResponse => subscriptions;
    get_subscription(GetSubscriptionRequest) -> v1::Subscription => subscriptions;
    create_subscription(CreateSubscriptionRequest) -> v1::Subscription => subscriptions;
    update_subscription(UpdateSubscriptionRequest) -> v1::Subscription => subscriptions;
    delete_subscription(DeleteSubscriptionRequest) -> () => subscriptions;
}
