//! How large a request of health or reflection is.

use std::net::SocketAddr;

use tonic::{Code, Status};
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};
use tonic_reflection::pb::{v1, v1alpha};

use crate::support::{Gateway, acme};

/// Whether the response of reflection to a file's name is about the file. A request that is not read has none.
macro_rules! is_read_by_reflection {
    ($version:ident, $gateway:expr, $name:expr) => {{
        let channel = $gateway.client.channel.clone();
        let mut client = $version::server_reflection_client::ServerReflectionClient::new(channel);
        let file = $version::server_reflection_request::MessageRequest::FileByFilename($name);
        let request = $version::ServerReflectionRequest { host: String::new(), message_request: Some(file) };
        let mut responses = client.server_reflection_info(tokio_stream::iter([request])).await.unwrap().into_inner();
        match responses.message().await {
            Ok(response) => response.is_some(),
            Err(status) => is_of_reading(&status),
        }
    }};
}

fn is_of_reading(status: &Status) -> bool {
    assert!(matches!(status.code(), Code::NotFound | Code::OutOfRange), "{status:?}");
    status.code() == Code::NotFound
}

#[tokio::test]
async fn a_request_of_health_or_reflection_has_16_kib_at_most() {
    let gateway = Gateway::start(&acme(SocketAddr::from(([127, 0, 0, 1], 1)))).await;
    // A message is three bytes longer than its text.
    for (length, is_read) in [((16 << 10) - 3, true), ((16 << 10) - 2, false)] {
        let text = "x".repeat(length);
        let mut health = HealthClient::new(gateway.client.channel.clone());
        let unknown = health.check(HealthCheckRequest { service: text.clone() }).await.unwrap_err();
        assert_eq!(is_of_reading(&unknown), is_read, "health, {length}");
        assert_eq!(is_read_by_reflection!(v1, gateway, text.clone()), is_read, "reflection v1, {length}");
        assert_eq!(is_read_by_reflection!(v1alpha, gateway, text), is_read, "reflection v1alpha, {length}");
    }
}
