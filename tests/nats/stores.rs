//! The suites of all stores against JetStream.

use std::{sync::Arc, time::Duration};

use switchboard::{
    config::{Events, Nats},
    store::{
        event_log::EventLog,
        jetstream::{JetStream, JetStreamError},
    },
};
use tokio::sync::OnceCell;

use crate::{event_log, server::Server};

/// A server that starts with the first log.
#[derive(Default)]
struct Real(OnceCell<Server>);

impl event_log::World for Real {
    async fn log(&self, events: &Events) -> Arc<dyn EventLog> {
        let server = self.0.get_or_init(Server::start_quick).await;
        Arc::new(connect_with(&nats(server), events).await.unwrap())
    }

    async fn pass(&self, time: Duration) {
        tokio::time::sleep(time).await;
    }
}

/// The `[nats]` of a configuration with this server.
pub(crate) fn nats(server: &Server) -> Nats {
    Nats { url: server.url().into(), credentials: None, replicas: 1 }
}

/// The store of another gateway with the centers `acme` and `beta`.
pub(crate) async fn connect(server: &Server) -> JetStream {
    connect_with(&nats(server), &event_log::events()).await.unwrap()
}

pub(crate) async fn connect_with(nats: &Nats, events: &Events) -> Result<JetStream, JetStreamError> {
    JetStream::connect(nats, events, ["acme", "beta"]).await
}

async fn store() -> (Arc<JetStream>, Server) {
    let server = Server::start_quick().await;
    (Arc::new(connect(&server).await), server)
}

mod log {
    crate::event_log::event_log_tests!(super::Real::default());
}

mod kv {
    crate::kv::kv_tests!(super::store());
}

mod idempotency {
    crate::idempotency::idempotency_tests!(super::store());
}
