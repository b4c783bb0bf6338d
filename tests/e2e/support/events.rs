//! Posting as a vendor does, and watching.

use std::{net::SocketAddr, time::SystemTime};

use reqwest::StatusCode;
use switchboard::proto::v1::{
    Event, WatchEventsRequest, WatchEventsResponse, contact_center_client::ContactCenterClient, watch_events_request,
    watch_events_response::Item,
};
use tonic::{Status, Streaming, transport::Channel};

use super::{Gateway, client::Failure, http_client};

/// The path segment that was entered in the vendor's console.
pub(crate) const CALLBACK_SECRET: &str = "console-secret-9f3a";

/// Lines of a configuration: center `beta`, a Huawei tenant that posts and is never asked anything.
pub(crate) fn posting() -> String {
    format!("{}callback_secret = \"{CALLBACK_SECRET}\"\n", super::beta("127.0.0.1:1".parse().unwrap()))
}

/// The address of center `beta`'s posts.
pub(crate) fn address(http: SocketAddr) -> String {
    format!("http://{http}/callbacks/beta/{CALLBACK_SECRET}")
}

/// Posts a body, and gives status and body of the response.
pub(crate) async fn post(url: &str, body: impl Into<reqwest::Body>) -> (StatusCode, String) {
    let response = http_client().post(url).body(body).send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// A post to center `beta` that differs from every other.
pub(crate) fn numbered(number: usize) -> String {
    format!(r#"{{"callSerialNo":"c-{number}","uuid":"u-{number}"}}"#)
}

/// Posts these to center `beta`, which accepts them.
pub(crate) async fn posted(gateway: &Gateway, bodies: impl IntoIterator<Item = String>) {
    for body in bodies {
        assert_eq!(post(&address(gateway.http), body).await.0, StatusCode::OK);
    }
}

/// What a stream of a center begins with.
pub(crate) fn request(center: &str) -> WatchEventsRequest {
    WatchEventsRequest { parent: format!("centers/{center}"), ..WatchEventsRequest::default() }
}

/// The same from a cursor.
pub(crate) fn from(center: &str, cursor: &str) -> WatchEventsRequest {
    let start = Some(watch_events_request::Start::Cursor(cursor.to_owned()));
    WatchEventsRequest { start, ..request(center) }
}

/// The same from a time.
pub(crate) fn at(center: &str, time: SystemTime) -> WatchEventsRequest {
    let start = Some(watch_events_request::Start::StartTime(time.into()));
    WatchEventsRequest { start, ..request(center) }
}

/// An open stream.
pub(crate) struct Watcher {
    items: Streaming<WatchEventsResponse>,
    /// Of the last item.
    pub cursor: String,
}

impl Watcher {
    pub(crate) async fn open(channel: Channel, request: WatchEventsRequest) -> Result<Self, Failure> {
        let mut client = ContactCenterClient::new(channel).max_decoding_message_size(64 << 20);
        let items = client.watch_events(request).await.map_err(Failure::of)?.into_inner();
        Ok(Self { items, cursor: String::new() })
    }

    /// A stream that the gateway holds open and has reported that it is live.
    pub(crate) async fn live(gateway: &Gateway, request: WatchEventsRequest) -> Self {
        let mut watcher = Self::open(gateway.client.channel.clone(), request).await.unwrap();
        assert!(watcher.next().await.unwrap().is_none(), "a stream begins by saying that it has caught up");
        watcher
    }

    /// The next event, or `None` for a heartbeat.
    pub(crate) async fn next(&mut self) -> Result<Option<Event>, Status> {
        let response = self.items.message().await?.expect("a stream ends with a status");
        self.cursor = response.cursor;
        Ok(match response.item.expect("an item") {
            Item::Event(event) => Some(event),
            Item::Heartbeat(heartbeat) => {
                assert!(heartbeat.send_time.is_some());
                None
            }
        })
    }

    /// The next event; heartbeats are passed over.
    pub(crate) async fn event(&mut self) -> Event {
        loop {
            if let Some(event) = self.next().await.unwrap() {
                return event;
            }
        }
    }

    /// The end of the stream, regardless of what comes before.
    pub(crate) async fn failure(&mut self) -> Failure {
        loop {
            if let Err(status) = self.next().await {
                return Failure::of(status);
            }
        }
    }
}
