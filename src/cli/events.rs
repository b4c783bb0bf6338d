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

/// How long a gateway that was there is waited for since it last said something, and how long between two tries.
const LONGEST_SILENCE: Duration = Duration::from_secs(120);
const PAUSE: Duration = Duration::from_secs(1);
/// Longest that opening a connection may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Silence after which a gateway is given up: it sends a heartbeat every 15 s.
const SILENCE: Duration = Duration::from_secs(45);
/// Largest whole number that every double of its size holds exactly.
const EXACT: f64 = 9_007_199_254_740_992.0;
/// Largest item: a callback of 1 MiB takes more as a message.
const LARGEST_ITEM: usize = 16 << 20;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Print a center's events as they come, one JSON object a line
    ///
    /// Each line has the event and the cursor right after it; --from CURSOR goes on from there. When the gateway restarts,
    /// it goes on by itself where it was, and loses nothing. When it ends, it says where to go on.
    Tail(Tail),
}

#[derive(Debug, Args)]
pub struct Tail {
    /// The center, e.g. acme
    #[arg(long, value_name = "ID")]
    center: String,
    /// Go on right after this cursor; without it, with what comes from now on
    #[arg(long, value_name = "CURSOR")]
    from: Option<String>,
    /// Address of a running gateway's contract (listen.grpc)
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:50051")]
    grpc: SocketAddr,
}

/// Prints events until it is interrupted or nobody reads them any more.
pub async fn run(command: Command) -> Result<(), Failed> {
    let Command::Tail(Tail { center, from, grpc }) = command;
    let mut cursor = from;
    let result = tokio::select! {
        result = follow(&center, grpc, &mut cursor) => result,
        () = shutdown() => Ok(()),
    };
    match (result, cursor) {
        (Ok(()), Some(cursor)) => {
            eprintln!("{}", go_on(&cursor));
            Ok(())
        }
        (result, _) => result,
    }
}

/// What ended a stream.
enum Ended {
    /// What is to be printed cannot be.
    Print(io::Error),
    /// The gateway, or the way to it.
    Status(Status),
}

/// `cursor` moves with what was printed.
async fn follow(center: &str, grpc: SocketAddr, cursor: &mut Option<String>) -> Result<(), Failed> {
    let endpoint = Endpoint::from_shared(format!("http://{grpc}"))
        .map_err(|_| Failed::configuration("--grpc: not an address"))?
        .connect_timeout(CONNECT_TIMEOUT);
    let channel = endpoint.connect().await;
    let channel = channel.map_err(|_| Failed::running(format!("no gateway answers at {grpc}")))?;
    let client = ContactCenterClient::new(channel).max_decoding_message_size(LARGEST_ITEM);
    let shape = shape()?;
    let mut heard = Instant::now();
    loop {
        let status = match stream(client.clone(), center, cursor, &mut heard, &shape).await {
            // Nobody reads any more, as when `head` has its lines.
            Ended::Print(error) if error.kind() == io::ErrorKind::BrokenPipe => return Ok(()),
            Ended::Print(error) => {
                let advice = cursor.as_deref().map(|cursor| format!("\n{}", go_on(cursor))).unwrap_or_default();
                return Err(Failed::running(format!("events cannot be printed: {}{advice}", error.kind())));
            }
            Ended::Status(status) => status,
        };
        let is_over = heard.elapsed() > LONGEST_SILENCE;
        // A status without the gateway's own details is one of the way to it.
        let passes = status.code() == Code::Unavailable || status.get_details_error_info().is_none();
        // Without a cursor nothing is known of where to go on: that is the first call, which either works or does not.
        if !passes || cursor.is_none() || is_over {
            return Err(told(&status, cursor.as_deref()));
        }
        sleep(PAUSE).await;
    }
}

/// Prints one stream to its end. `heard` is when the gateway last said something.
async fn stream(
    mut client: ContactCenterClient<Channel>,
    center: &str,
    cursor: &mut Option<String>,
    heard: &mut Instant,
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
        let item = match timeout(SILENCE, items.message()).await {
            Ok(Ok(Some(item))) => item,
            Ok(Ok(None)) => return Ended::Status(Status::unavailable("the stream ended")),
            Ok(Err(status)) => return Ended::Status(status),
            Err(_) => return Ended::Status(Status::unavailable("the gateway has fallen silent")),
        };
        *heard = Instant::now();
        if matches!(item.item, Some(Item::Event(_)))
            && let Err(error) = print(&item, shape)
        {
            return Ended::Print(error);
        }
        *cursor = Some(item.cursor);
    }
}

/// One line, as the contract's JSON.
fn print(item: &WatchEventsResponse, shape: &MessageDescriptor) -> io::Result<()> {
    let unfit = || io::Error::from(io::ErrorKind::InvalidData);
    let message = DynamicMessage::decode(shape.clone(), &*item.encode_to_vec()).map_err(|_| unfit())?;
    let mut line = serde_json::to_value(&message).map_err(|_| unfit())?;
    whole_numbers(&mut line);
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Numbers of a payload are doubles; those that are whole are written as the vendor wrote them.
fn whole_numbers(value: &mut Value) {
    match value {
        Value::Number(number) => {
            #[expect(clippy::cast_possible_truncation, reason = "only what survives it is taken")]
            let whole = number.as_f64().map(|double| (double, double as i64));
            if let Some((double, whole)) = whole
                && number.is_f64()
                && double.abs() <= EXACT
            {
                #[expect(clippy::cast_precision_loss, clippy::float_cmp, reason = "within what a double holds exactly")]
                if whole as f64 == double {
                    *number = whole.into();
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(whole_numbers),
        Value::Object(members) => members.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn shape() -> Result<MessageDescriptor, Failed> {
    let shape = DescriptorPool::decode(FILE_DESCRIPTOR_SET)
        .ok()
        .and_then(|pool| pool.get_message_by_name("contactcenter.v1.WatchEventsResponse"));
    shape.ok_or_else(|| Failed::running("the contract's descriptors cannot be read"))
}

fn go_on(cursor: &str) -> String {
    format!("to go on from here: --from {cursor}")
}

/// A status as a person reads it.
fn told(status: &Status, cursor: Option<&str>) -> Failed {
    let info = status.get_details_error_info();
    let reason = info.as_ref().map_or("", |info| info.reason.as_str());
    let oldest = info.as_ref().and_then(|info| info.metadata.get("oldestCursor"));
    let advice = match (oldest, cursor) {
        (Some(oldest), _) => format!("\nthe oldest event that is kept comes right after --from {oldest}"),
        (None, Some(cursor)) if reason != "TOKEN_INVALID" => format!("\n{}", go_on(cursor)),
        (None, _) => String::new(),
    };
    Failed::running(format!("{:?} {reason}: {}{advice}", status.code(), status.message()))
}
