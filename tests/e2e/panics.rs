//! A panic below a call is an error of that call, which says whether its outcome is known.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use switchboard::{
    center::Centers,
    clock::Clock,
    config::Config,
    context::Context,
    drain::Draining,
    event::address::Addresses,
    http::{Connections, Failure as Lost, HttpRequest, HttpResponse, Transport},
    idempotency::Idempotency,
    lists::Lists,
    proto::{service::contact_center_server::ContactCenter as _, v1},
    service::Service,
    store::Stores,
    telemetry::Metrics,
    token::Tokens,
    vendor::Parts,
};
use tokio::time::Instant;
use tonic::{Code, Request};

use crate::support::{acme, client::Failure};

/// A transport that panics after the request was sent.
#[derive(Debug)]
struct PanickingTransport;

#[async_trait]
impl Transport for PanickingTransport {
    async fn send(&self, _request: HttpRequest, _largest: usize) -> Result<HttpResponse, Lost> {
        panic!("a panic that the test causes");
    }
}

#[tokio::test]
async fn a_panic_after_a_write_was_sent_is_an_unknown_outcome() {
    let nobody = "127.0.0.1:1".parse().unwrap();
    let config = Config::parse(&acme(nobody), "test", &|_| None).unwrap();
    let (clock, metrics) = (Clock::system(), Metrics::new().unwrap());
    let Stores { events, idempotency, kv, .. } = Stores::in_memory(&config, &clock).unwrap();
    let connections = Connections::over(Arc::new(PanickingTransport));
    let idempotency = Idempotency::new(idempotency, clock.clone(), connections.running_writes());
    let tokens = Tokens::new(clock.clone(), metrics.clone());
    let addresses = Addresses::new(&config.events, kv.clone(), clock.clone());
    let lists = Lists::new(clock.clone());
    let parts = Parts { connections, metrics, clock, tokens, lists, kv, addresses };
    let centers = Centers::build(&config.centers, &parts, &idempotency, &events, &Draining::default()).unwrap();
    let service = Service::new(Arc::new(centers));
    let mut request = Request::new(v1::StartCallbackRequest {
        parent: "centers/acme".to_owned(),
        customer_number: "13800000000".to_owned(),
        entry_number: "01055500100".to_owned(),
        ..v1::StartCallbackRequest::default()
    });
    let deadline = Instant::now() + Duration::from_secs(20);
    request.extensions_mut().insert(Context::new("StartCallback", String::new(), deadline));
    let failure = Failure::of(service.start_callback(request).await.unwrap_err());
    assert_eq!((failure.code, failure.reason.as_str()), (Code::Unknown, "VENDOR_OUTCOME_UNKNOWN"));
    assert_eq!((failure.metadata["sent"].as_str(), failure.metadata["center"].as_str()), ("true", "acme"));
}
