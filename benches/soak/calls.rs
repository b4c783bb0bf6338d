//! Calls with random deadlines. They go over HTTP/2 by hand, because a gRPC client ends a call at its deadline itself
//! and so hides a late response.

use std::{
    collections::BTreeMap,
    fmt,
    future::poll_fn,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use bytes::{BufMut as _, Bytes, BytesMut};
use h2::client::SendRequest;
use http::{HeaderMap, Request};
use prost::Message;
use switchboard::{
    error::code_name,
    proto::v1::{GetAgentRequest, ListAgentsRequest, ListQueuesRequest, LoginAgentRequest, StartCallbackRequest},
};
use tokio::{net::TcpStream, sync::watch, time::sleep};
use tonic::Code;

use crate::support::Result;

/// Deadlines and pauses, in milliseconds.
const DEADLINE_MS: std::ops::Range<u64> = 20..5_000;
const PAUSE_MS: std::ops::Range<u64> = 10..200;
/// A call without a response is an error of the gateway.
const MAX_WAIT: Duration = Duration::from_secs(30);

/// The responses so far.
#[derive(Clone, Default)]
pub(crate) struct Calls(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    codes: BTreeMap<&'static str, u64>,
    lateness: Duration,
}

impl Calls {
    fn add(&self, code: &'static str, lateness: Duration) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *state.codes.entry(code).or_default() += 1;
        state.lateness = state.lateness.max(lateness);
    }

    /// How long after its deadline the latest response came.
    pub(crate) fn lateness(&self) -> Duration {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).lateness
    }
}

impl fmt::Display for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        write!(f, "{} calls", state.codes.values().sum::<u64>())?;
        state.codes.iter().try_for_each(|(code, count)| write!(f, ", {count} {code}"))
    }
}

/// Calls a center until stopped.
pub(crate) async fn call(
    grpc: String,
    center: &'static str,
    calls: Calls,
    mut random: fastrand::Rng,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    let (mut sender, connection) = h2::client::handshake(TcpStream::connect(&grpc).await?).await?;
    tokio::spawn(connection);
    while !*stopped.borrow() {
        let (method, message) = request(center, &mut random);
        let deadline = Duration::from_millis(random.u64(DEADLINE_MS));
        let begin = Instant::now();
        let code = tokio::time::timeout(MAX_WAIT, unary(&mut sender, method, message, deadline));
        let code = code.await.map_err(|_| "a call got no response")??;
        calls.add(code_name(code), begin.elapsed().saturating_sub(deadline));
        sleep(Duration::from_millis(random.u64(PAUSE_MS))).await;
    }
    Ok(())
}

/// A read or a write.
fn request(center: &str, random: &mut fastrand::Rng) -> (&'static str, Bytes) {
    let parent = format!("centers/{center}");
    let agent = format!("{parent}/agents/{}", 1001 + random.u32(..15));
    match random.u8(..10) {
        0..4 => framed("GetAgent", &GetAgentRequest { name: agent, ..Default::default() }),
        4..6 => framed("ListAgents", &ListAgentsRequest { parent, page_size: 50, ..Default::default() }),
        6..7 => framed("ListQueues", &ListQueuesRequest { parent, page_size: 50, ..Default::default() }),
        7..8 => framed("LoginAgent", &LoginAgentRequest { name: agent, ..Default::default() }),
        _ => framed(
            "StartCallback",
            &StartCallbackRequest {
                parent,
                customer_number: format!("138{:08}", random.u32(..100_000_000)),
                entry_number: "01055500100".into(),
                request_id: uuid(random),
                ..Default::default()
            },
        ),
    }
}

fn uuid(random: &mut fastrand::Rng) -> String {
    let bits = random.u128(..);
    format!(
        "{:08x}-{:04x}-4{:03x}-8{:03x}-{:012x}",
        bits >> 96,
        bits >> 80 & 0xffff,
        bits >> 64 & 0xfff,
        bits >> 52 & 0xfff,
        bits & 0xffff_ffff_ffff
    )
}

/// The message with gRPC's prefix.
fn framed(method: &'static str, message: &impl Message) -> (&'static str, Bytes) {
    let mut bytes = BytesMut::new();
    bytes.put_u8(0);
    bytes.put_u32(u32::try_from(message.encoded_len()).unwrap_or_default());
    bytes.put(message.encode_to_vec().as_slice());
    (method, bytes.freeze())
}

async fn unary(sender: &mut SendRequest<Bytes>, method: &str, message: Bytes, deadline: Duration) -> Result<Code> {
    let request = Request::post(format!("http://gateway/contactcenter.v1.ContactCenter/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("grpc-timeout", format!("{}m", deadline.as_millis()))
        .body(())?;
    poll_fn(|cx| sender.poll_ready(cx)).await?;
    let (response, mut body) = sender.send_request(request, false)?;
    body.send_data(message, true)?;
    let response = response.await?;
    if let Some(code) = code(response.headers()) {
        return Ok(code);
    }
    let mut body = response.into_body();
    while let Some(data) = body.data().await {
        body.flow_control().release_capacity(data?.len())?;
    }
    let trailers = body.trailers().await?.ok_or("a response without trailers")?;
    code(&trailers).ok_or_else(|| "a response without a status".into())
}

fn code(headers: &HeaderMap) -> Option<Code> {
    headers.get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()))
}
