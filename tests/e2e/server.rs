//! The server from the view of clients and operators.

use std::time::Duration;

use serde_json::json;
use switchboard::{clock::Clock, config::Config, gateway, server::SERVICE, store::Stores};
use switchboard_simulators::udesk;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tonic::{Code, Request};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{
    Gateway, acme,
    client::{Client, Failure},
    http_client, udesk as udesk_center,
    vendor::{Response, Scripted, serve_router, udesk_options},
};

async fn simulated() -> Gateway {
    let simulator = udesk::Simulator::new(udesk_options());
    Gateway::start(&acme(serve_router(simulator.router()).await)).await
}

#[tokio::test]
async fn a_call_reaches_the_vendor_and_comes_back() {
    let gateway = simulated().await;
    let agent = gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1001"})).await.unwrap();
    assert_eq!(agent["display_name"], "Mara Lindholm");
    let centers = gateway.client.call("ListCenters", json!({})).await.unwrap();
    assert_eq!(centers, json!({"centers": [{"name": "centers/acme", "display_name": "acme", "vendor": "udesk"}]}));
}

#[tokio::test]
async fn health_is_served_for_the_server_and_the_service() {
    let gateway = simulated().await;
    let mut health = HealthClient::new(gateway.client.channel.clone());
    for service in ["", SERVICE] {
        let response = health.check(HealthCheckRequest { service: service.to_owned() }).await.unwrap();
        assert_eq!(response.into_inner().status, 1, "{service:?} is SERVING");
    }
    let unknown = health.check(HealthCheckRequest { service: "other".to_owned() }).await.unwrap_err();
    assert_eq!(unknown.code(), Code::NotFound);
}

#[tokio::test]
async fn reflection_serves_the_contract_its_comments_and_the_error_details_in_both_versions() {
    let gateway = simulated().await;
    let symbols = [SERVICE, "google.rpc.ErrorInfo", "google.rpc.BadRequest", "grpc.health.v1.Health"];
    let mut client = v1::server_reflection_client::ServerReflectionClient::new(gateway.client.channel.clone());
    let mut alpha = v1alpha::server_reflection_client::ServerReflectionClient::new(gateway.client.channel.clone());
    for symbol in symbols {
        let ask = v1::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(v1::server_reflection_request::MessageRequest::FileContainingSymbol(symbol.into())),
        };
        let mut responses = client.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
        let response = responses.message().await.unwrap().unwrap().message_response.unwrap();
        let v1::server_reflection_response::MessageResponse::FileDescriptorResponse(files) = response else {
            unreachable!("{symbol}: {response:?}")
        };
        if symbol == SERVICE {
            let text = String::from_utf8_lossy(&files.file_descriptor_proto[0]).into_owned();
            assert!(text.contains("Vendor-neutral contact center."), "the service's comment is served");
        }
        let ask = v1alpha::ServerReflectionRequest {
            host: String::new(),
            message_request: Some(v1alpha::server_reflection_request::MessageRequest::FileContainingSymbol(
                symbol.into(),
            )),
        };
        let mut responses = alpha.server_reflection_info(tokio_stream::iter([ask])).await.unwrap().into_inner();
        let response = responses.message().await.unwrap().unwrap().message_response.unwrap();
        assert!(
            matches!(response, v1alpha::server_reflection_response::MessageResponse::FileDescriptorResponse(_)),
            "{symbol}"
        );
    }
}

#[tokio::test]
async fn a_message_above_the_limit_is_rejected_and_the_connection_stays_open() {
    let gateway = simulated().await;
    let huge = Request::new(vec![0; (256 << 10) + 1]);
    let failure = Failure::of(gateway.client.raw("GetAgent", huge).await.unwrap_err());
    assert_eq!((failure.code, failure.reason.as_str()), (Code::ResourceExhausted, "REQUEST_TOO_LARGE"));
    gateway.client.call("GetCenter", json!({"name": "centers/acme"})).await.unwrap();
}

#[tokio::test]
async fn an_unknown_method_and_a_malformed_message_are_rejected() {
    let gateway = simulated().await;
    let failure = Failure::of(gateway.client.raw("DialAgent", Request::new(Vec::new())).await.unwrap_err());
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unimplemented, "METHOD_UNSUPPORTED"));
    let failure = Failure::of(gateway.client.raw("GetAgent", Request::new(vec![0xff; 3])).await.unwrap_err());
    assert_eq!((failure.code, failure.reason.as_str()), (Code::InvalidArgument, "FIELD_INVALID"));
    assert_eq!(failure.fields, ["request"]);
}

#[tokio::test]
async fn errors_contain_the_callers_trace_id() {
    let gateway = simulated().await;
    let mut request = Request::new(Vec::new());
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    let failure = Failure::of(gateway.client.raw("GetAgent", request).await.unwrap_err());
    assert_eq!(failure.metadata["traceId"], "4bf92f3577b34da6a3ce929d0e0e4736");
    assert_eq!(failure.metadata["method"], "GetAgent");
}

#[tokio::test]
async fn operators_see_probes_and_metrics() {
    let gateway = simulated().await;
    gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1001"})).await.unwrap();
    gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/9999"})).await.unwrap_err();
    for probe in ["/healthz", "/readyz"] {
        assert_eq!(gateway.admin(probe).await, (200, "ok\n".to_owned()));
    }
    let (_, metrics) = gateway.admin("/metrics").await;
    let labels = format!("grpc_method=\"GetAgent\",grpc_service=\"{SERVICE}\",grpc_type=\"unary\"");
    for line in [
        format!("grpc_server_started_total{{{labels}}} 2"),
        format!("grpc_server_handled_total{{grpc_code=\"OK\",{labels}}} 1"),
        format!("grpc_server_handled_total{{grpc_code=\"NOT_FOUND\",{labels}}} 1"),
        format!("grpc_server_handling_seconds_count{{{labels}}} 2"),
        "switchboard_vendor_requests_total{center=\"acme\",operation=\"GET /agents/{id}\",outcome=\"ok\"} 1".to_owned(),
        "switchboard_vendor_requests_total{center=\"acme\",operation=\"GET /agents/{id}\",outcome=\"refused\"} 1"
            .to_owned(),
    ] {
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    // The callback address does not serve them.
    let callbacks = http_client().get(format!("http://{}/metrics", gateway.http)).send().await.unwrap();
    assert_eq!(callbacks.status(), 404);
}

#[tokio::test]
async fn a_drain_completes_running_calls_and_rejects_new_ones() {
    let vendor = Scripted::start([Response::Drip {
        body: br#"{"ErrCode":"000000","Result":{"AgentId":"7","Name":"slow"}}"#.to_vec(),
        every: Duration::from_millis(50),
    }])
    .await;
    let mut gateway = Gateway::start(&acme(vendor.address)).await;
    let other = Client::connect(gateway.grpc).await;
    let running = tokio::spawn({
        let client = gateway.client.clone();
        async move { client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await }
    });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.stop();
    let failure = loop {
        match other.call("GetCenter", json!({"name": "centers/acme"})).await {
            Ok(_) => tokio::task::yield_now().await,
            Err(failure) => break failure,
        }
    };
    assert_eq!(gateway.admin("/readyz").await, (503, "draining\n".to_owned()));
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unavailable, "GATEWAY_DRAINING"));
    assert!(failure.retry_after.is_some());
    assert_eq!(running.await.unwrap().unwrap()["display_name"], "slow");
    gateway.ended().await.unwrap();
    assert_eq!(vendor.asked().len(), 1);
}

#[tokio::test]
async fn a_drain_ends_although_a_call_hangs() {
    let vendor = Scripted::start([Response::Hang]).await;
    let mut gateway = Gateway::start_with(&acme(vendor.address), "drain_timeout = \"100ms\"", Clock::system()).await;
    let client = gateway.client.clone();
    let running = tokio::spawn(async move { client.call("GetAgent", json!({"name": "centers/acme/agents/7"})).await });
    while vendor.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    gateway.stop();
    tokio::time::timeout(Duration::from_secs(30), gateway.ended()).await.unwrap().unwrap();
    running.abort();
}

#[tokio::test]
async fn connections_beyond_the_limit_wait_and_other_protocols_delay_no_call() {
    let simulator = udesk::Simulator::new(udesk_options());
    let centers = acme(serve_router(simulator.router()).await);
    let gateway = Gateway::start_with(&centers, "max_connections = 4", Clock::system()).await;
    // One address may have two: the client holds one. This peer occupies the other and does not speak HTTP/2.
    let mut stranger = TcpStream::connect(gateway.grpc).await.unwrap();
    stranger.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut response = Vec::new();
    let _ = stranger.read_to_end(&mut response).await;
    gateway.client.call("GetAgent", json!({"name": "centers/acme/agents/1001"})).await.unwrap();
}

#[tokio::test]
async fn an_address_in_use_is_reported_with_its_key() {
    let gateway = simulated().await;
    let text = format!(
        "[listen]\ngrpc = \"{}\"\nhttp = \"127.0.0.1:0\"\nadmin = \"127.0.0.1:0\"\n{}",
        gateway.grpc,
        udesk_center("acme", gateway.grpc)
    );
    let config = Config::parse(&text, "test", &|_| None).unwrap();
    let clock = Clock::system();
    let stores = Stores::in_memory(&config, &clock).unwrap();
    let error = gateway::bind(config, clock, stores).await.unwrap_err().to_string();
    assert_eq!(error, format!("listen.grpc: cannot listen on {}: the address is in use", gateway.grpc));
}
