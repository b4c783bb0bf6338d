//! `switchboard events`.

use std::{
    io::{self, Write as _},
    net::SocketAddr,
    time::Duration,
};

use clap::{Args, Subcommand};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor};
use serde_json::Value;
use switchboard::proto::{
    FILE_DESCRIPTOR_SET,
    v1::{
        WatchEventsRequest, WatchEventsResponse, contact_center_client::ContactCenterClient, watch_events_request,
        watch_events_response::Item,
    },
};
use tokio::time::{Instant, sleep, timeout};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use super::{Failed, shutdown};

/// How long to retry after the last item of the gateway.
const RETRY_FOR: Duration = Duration::from_secs(120);
/// The pause between two attempts.
const RETRY_PAUSE: Duration = Duration::from_secs(1);
/// Longest time to connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Longest time without an item. The gateway sends a heartbeat every 15 s.
const IDLE_TIMEOUT: Duration = Duration::from_secs(45);
/// 2^53: below it a double holds every integer exactly.
const MAX_EXACT: f64 = 9_007_199_254_740_992.0;
/// Largest item. A callback of 1 MiB is larger as a message.
const MAX_ITEM: usize = 16 << 20;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a center's events as they arrive, one JSON object per line
    ///
    /// Each line has the event and the cursor after it; --from CURSOR resumes there. When the gateway restarts, the
    /// command reconnects and resumes without losing an event. On exit it prints the cursor to resume from.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// The center, e.g. acme
    #[arg(long, value_name = "ID")]
    center: String,
    /// Resume after this cursor; without it, print only new events
    #[arg(long, value_name = "CURSOR")]
    from: Option<String>,
    /// Address of a running gateway's contract (listen.grpc)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
}

/// Prints events until it is interrupted or its output is closed.
pub async fn run(command: Command) -> Result<(), Failed> {
    let Command::Tail(Tail { center, from, grpc }) = command;
    let mut cursor = from;
    let result = tokio::select! {
        result = follow(&center, grpc, &mut cursor) => result,
        () = shutdown() => Ok(()),
    };
    match (result, cursor) {
        (Ok(()), Some(cursor)) => {
            eprintln!("{}", resume_hint(&cursor));
            Ok(())
        }
        (result, _) => result,
    }
}

/// Why a stream ended.
enum Ended {
    /// An event cannot be printed.
    Print(io::Error),
    /// The gateway or the connection ended it.
    Status(Status),
}

/// Prints streams one after the other. `cursor` follows the items.
async fn follow(center: &str, grpc: SocketAddr, cursor: &mut Option<String>) -> Result<(), Failed> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}"))
        .map_err(|_| Failed::configuration("--grpc: not an address"))?
        .connect_timeout(CONNECT_TIMEOUT);
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|_| Failed::running(format!("no gateway responds at {grpc}")))?;
    let client = ContactCenterClient::new(channel).max_decoding_message_size(MAX_ITEM);
    let shape = shape()?;
    let mut last_item = Instant::now();
    loop {
        let status = match stream(client.clone(), center, cursor, &mut last_item, &shape).await {
            // The reader closed the pipe, as `head` does after its lines.
            Ended::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Ended::Print(error) => {
                let advice = cursor.as_deref().map(|cursor| format!("\n{}", resume_hint(cursor))).unwrap_or_default();
                return Err(Failed::running(format!("events cannot be printed: {}{advice}", error.kind())));
            }
            Ended::Status(status) => status,
        };
        let is_over = last_item.elapsed() > RETRY_FOR;
        // A status without the gateway's details comes from the connection.
        let is_transient = status.code() == Code::Unavailable || status.get_details_error_info().is_none();
        // Without a cursor, which the first item brings, there is nothing to resume from.
        if !is_transient || cursor.is_none() || is_over {
            return Err(failure(&status, cursor.as_deref()));
        }
        sleep(RETRY_PAUSE).await;
    }
}

/// Prints one stream to its end.
async fn stream(
    mut client: ContactCenterClient<Channel>,
    center: &str,
    cursor: &mut Option<String>,
    last_item: &mut Instant,
    shape: &MessageDescriptor,
) -> Ended {
    let request = WatchEventsRequest {
        parent: format!("centers/{center}"),
        start: cursor.clone().map(watch_events_request::Start::Cursor),
        ..WatchEventsRequest::default()
    };
    let mut items = match client.watch_events(request).await {
        Ok(response) => response.into_inner(),
        Err(status) => return Ended::Status(status),
    };
    loop {
        let item = match timeout(IDLE_TIMEOUT, items.message()).await {
            Ok(Ok(Some(item))) => item,
            Ok(Ok(None)) => return Ended::Status(Status::unavailable("the stream ended")),
            Ok(Err(status)) => return Ended::Status(status),
            Err(_) => return Ended::Status(Status::unavailable("the gateway sent no heartbeat")),
        };
        *last_item = Instant::now();
        if matches!(item.item, Some(Item::Event(_)))
            && let Err(error) = print(&item, shape)
        {
            return Ended::Print(error);
        }
        *cursor = Some(item.cursor);
    }
}

/// Prints one line, in the contract's JSON.
fn print(item: &WatchEventsResponse, shape: &MessageDescriptor) -> io::Result<()> {
    let invalid = || io::Error::from(io::ErrorKind::InvalidData);
    let message = DynamicMessage::decode(shape.clone(), &*item.encode_to_vec()).map_err(|_| invalid())?;
    let mut line = serde_json::to_value(&message).map_err(|_| invalid())?;
    restore_integers(&mut line);
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Writes integers as the vendor did: numbers of a payload are doubles.
fn restore_integers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "used only if nothing was truncated")]
            let whole = number.as_f64().map(|double| (double, double as i64));
            if let Some((double, whole)) = whole
                && number.is_f64()
                && double.abs() <= MAX_EXACT
            {
                #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "within what a double holds exactly")]
                if whole as f64 == double {
                    *number = whole.into();
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(restore_integers),
        Value::Object(members) => members.values_mut().for_each(restore_integers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn shape() -> Result<MessageDescriptor, Failed> {
    let shape = DescriptorPool::decode(FILE_DESCRIPTOR_SET)
        .ok()
        .and_then(|pool| pool.get_message_by_name("contactcenter.v1.WatchEventsResponse"));
    shape.ok_or_else(|| Failed::running("the contract's descriptors cannot be read"))
}

fn resume_hint(cursor: &str) -> String {
    format!("to resume from here: --from {cursor}")
}

/// The message for a status.
fn failure(status: &Status, cursor: Option<&str>) -> Failed {
    let info = status.get_details_error_info();
    let reason = info.as_ref().map_or("", |info| info.reason.as_str());
    let oldest = info.as_ref().and_then(|info| info.metadata.get("oldestCursor"));
    let advice = match (oldest, cursor) {
        (Some(oldest), _) => format!("\nthe oldest retained event follows --from {oldest}"),
        (None, Some(cursor)) if reason != "TOKEN_INVALID" => format!("\n{}", resume_hint(cursor)),
        (None, _) => String::new(),
    };
    Failed::running(format!("{:?} {reason}: {}{advice}", status.code(), status.message()))
}
