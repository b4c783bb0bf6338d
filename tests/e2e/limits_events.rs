//! The bounds of streams and callbacks, over the wire.

use prost_types::Duration as Interval;
use switchboard::{clock::Clock, proto::v1::WatchEventsRequest};
use tokio::time::{Instant, pause, resume};

use crate::support::{
    Gateway,
    events::{Watcher, address, post, posting, request},
    whole_seconds,
};

fn with_heartbeat(seconds: i64, nanos: i32) -> WatchEventsRequest {
    WatchEventsRequest { heartbeat_interval: Some(Interval { seconds, nanos }), ..request("beta") }
}

#[tokio::test]
async fn a_heartbeat_comes_after_a_second_to_five_minutes_of_silence() {
    let gateway = Gateway::start(&posting()).await;
    for (seconds, nanos) in [(0, 0), (0, 999_999_999), (300, 1), (301, 0), (-1, 0)] {
        let opened = Watcher::open(gateway.client.channel.clone(), with_heartbeat(seconds, nanos)).await;
        assert_eq!(opened.err().map(|failure| failure.fields), Some(vec!["heartbeat_interval".to_owned()]));
    }
    for (asked, silence) in [(with_heartbeat(1, 0), 1), (with_heartbeat(300, 0), 300), (request("beta"), 15)] {
        let mut watcher = Watcher::live(&gateway, asked).await;
        pause();
        let begun = Instant::now();
        assert!(watcher.next().await.unwrap().is_none());
        assert_eq!(whole_seconds(begun.elapsed()), silence);
        resume();
    }
}

#[tokio::test]
async fn a_callback_is_a_mebibyte_at_most() {
    let gateway = Gateway::start_with(&posting(), "", Clock::system()).await;
    for (bytes, status) in [(1 << 20, 200), ((1 << 20) + 1, 413)] {
        assert_eq!(post(&address(gateway.http), vec![b'x'; bytes]).await.0, status);
    }
}
