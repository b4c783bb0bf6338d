//! The stream of a center's events.

use std::time::{Duration, SystemTime};

use futures_util::{Stream, StreamExt as _};
use tonic::Status;

use crate::{
    center::Centers,
    check::Check,
    context::Context,
    error::Result,
    event::watch::{Start, WatchOptions},
    name::CenterName,
    proto::{
        EncodedWatchEventsResponse,
        v1::{EventType, WatchEventsRequest, watch_events_request},
    },
};

/// Most event types of a stream.
const EVENT_TYPES: usize = 64;
/// Silence after which a heartbeat is sent, when the caller does not say.
const HEARTBEAT: Duration = Duration::from_secs(15);

pub(super) async fn watch_events(
    centers: &Centers,
    cx: &Context,
    request: WatchEventsRequest,
) -> Result<impl Stream<Item = Result<EncodedWatchEventsResponse, Status>> + Send + use<>> {
    let WatchEventsRequest { parent, event_types, start, heartbeat_interval } = request;
    let mut check = Check::new();
    let parent: CenterName = check.name("parent", &parent);
    check.each::<EventType>("event_types", &event_types, (0, EVENT_TYPES));
    let heartbeat = heartbeat_interval.map_or(Some(HEARTBEAT), |interval| {
        let interval = Duration::try_from(interval).ok()?;
        (Duration::from_secs(1)..=Duration::from_secs(300)).contains(&interval).then_some(interval)
    });
    if heartbeat.is_none() {
        check.invalid("heartbeat_interval", "1 s to 5 min");
    }
    let start = match start {
        None => Start::Live,
        Some(watch_events_request::Start::Cursor(cursor)) => Start::Cursor(cursor),
        Some(watch_events_request::Start::StartTime(time)) => match SystemTime::try_from(time) {
            Ok(time) => Start::Time(time),
            Err(_) => {
                check.invalid("start_time", "a point in time");
                Start::Live
            }
        },
    };
    check.done()?;

    let center = centers.get(cx, &parent)?;
    center.adapter.can_post()?;
    let deadline = cx.caller_deadline();
    let heartbeat_interval = heartbeat.unwrap_or(HEARTBEAT);
    let options = WatchOptions { start, event_types, heartbeat_interval, deadline };
    let watch = center.watch(options).await?;
    let cx = cx.clone();
    Ok(watch.items().map(move |item| item.map_err(|error| error.into_status(&cx))))
}
