//! A client that speaks the contract as JSON, by its descriptors.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, FieldDescriptor, MethodDescriptor, SerializeOptions};
use serde_json::Value;
use switchboard::{proto::FILE_DESCRIPTOR_SET, server::SERVICE};
use tokio::net::TcpStream;
use tonic::{
    Code, Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

/// The contract's descriptors.
pub(crate) static POOL: LazyLock<DescriptorPool> =
    LazyLock::new(|| DescriptorPool::decode(FILE_DESCRIPTOR_SET).unwrap());

/// How long before a call's deadline its response must be on its way.
const AHEAD: Duration = Duration::from_millis(10);

/// A connection to a gateway.
#[derive(Clone)]
pub(crate) struct Client {
    pub channel: Channel,
    address: SocketAddr,
}

/// An error as a caller sees it.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub code: Code,
    pub message: String,
    pub reason: String,
    pub metadata: BTreeMap<String, String>,
    pub fields: Vec<String>,
    pub resource: Option<(String, String)>,
    pub retry_after: Option<Duration>,
    pub has_quota: bool,
    /// All that was reported, in full, but for the trace ID, which is random.
    pub reported: String,
}

impl Client {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let endpoint = Endpoint::try_from(format!("http://{address}")).unwrap();
        Self { channel: endpoint.connect().await.unwrap(), address }
    }

    /// Calls a method. Request and response are JSON with the contract's own field names.
    pub(crate) async fn call(&self, method: &str, request: Value) -> Result<Value, Failure> {
        self.call_within(method, request, Duration::from_secs(30)).await
    }

    /// The same with a deadline.
    pub(crate) async fn call_within(&self, method: &str, request: Value, timeout: Duration) -> Result<Value, Failure> {
        let descriptor = descriptor(method);
        let message = DynamicMessage::deserialize(descriptor.input(), &request)
            .unwrap_or_else(|error| panic!("{method} {request}: {error}"));
        let mut request = Request::new(message.encode_to_vec());
        request.set_timeout(timeout);
        let response = self.raw(method, request).await.map_err(Failure::of)?;
        Ok(json(&DynamicMessage::decode(descriptor.output(), response.as_slice()).unwrap()))
    }

    /// Calls a method by a clock that stands still until `sent` holds, and then leaps to [`AHEAD`] of the call's
    /// deadline: the response must be on its way by then, however slow the machine is. No other time may matter
    /// meanwhile.
    pub(crate) async fn call_to_the_deadline(
        &self,
        method: &'static str,
        request: Value,
        deadline: Duration,
        sent: impl Fn() -> bool,
    ) -> Result<Value, Failure> {
        // A task that yields all the time keeps a paused clock from advancing by itself.
        let limit = Instant::now() + Duration::from_secs(60);
        tokio::time::pause();
        let client = self.clone();
        let call = tokio::spawn(async move { client.call_bare(method, request, deadline).await });
        while !sent() {
            assert!(Instant::now() < limit && !call.is_finished(), "{method} was not sent");
            tokio::task::yield_now().await;
        }
        tokio::time::advance(deadline.saturating_sub(AHEAD)).await;
        while !call.is_finished() {
            assert!(Instant::now() < limit, "{method} has no response {AHEAD:?} before its deadline");
            tokio::task::yield_now().await;
        }
        tokio::time::resume();
        call.await.unwrap()
    }

    /// Calls a method over an HTTP/2 connection of its own that knows nothing of deadlines: what comes back is what the
    /// gateway said.
    pub(crate) async fn call_bare(&self, method: &str, request: Value, timeout: Duration) -> Result<Value, Failure> {
        self.call_with_header(method, request, &format!("{}m", timeout.as_millis())).await
    }

    /// The same with this `grpc-timeout`.
    pub(crate) async fn call_with_header(&self, method: &str, request: Value, timeout: &str) -> Result<Value, Failure> {
        let descriptor = descriptor(method);
        let message = DynamicMessage::deserialize(descriptor.input(), &request).unwrap().encode_to_vec();
        let mut frame = vec![0];
        frame.extend(u32::try_from(message.len()).unwrap().to_be_bytes());
        frame.extend(message);

        let stream = TcpStream::connect(self.address).await.unwrap();
        let (mut sender, connection) = h2::client::handshake(stream).await.unwrap();
        tokio::spawn(connection);
        let request = http::Request::post(format!("http://{}/{SERVICE}/{method}", self.address))
            .header("content-type", "application/grpc")
            .header("te", "trailers")
            .header("grpc-timeout", timeout)
            .body(())
            .unwrap();
        let (response, mut body) = sender.send_request(request, false).unwrap();
        body.send_data(frame.into(), true).unwrap();
        let (head, mut body) = response.await.unwrap().into_parts();
        let mut bytes = Vec::new();
        while let Some(chunk) = body.data().await {
            bytes.extend_from_slice(&chunk.unwrap());
        }
        let trailers = body.trailers().await.unwrap().unwrap_or(head.headers);
        match Status::from_header_map(&trailers) {
            Some(status) if status.code() != Code::Ok => Err(Failure::of(status)),
            _ => Ok(json(&DynamicMessage::decode(descriptor.output(), &bytes[5..]).unwrap())),
        }
    }

    /// Calls a method with bytes.
    pub(crate) async fn raw(&self, method: &str, request: Request<Vec<u8>>) -> Result<Vec<u8>, Status> {
        let path = format!("/{SERVICE}/{method}").parse().unwrap();
        let mut grpc = Grpc::new(self.channel.clone()).max_decoding_message_size(64 << 20);
        grpc.ready().await.map_err(|error| Status::unavailable(error.to_string()))?;
        Ok(grpc.unary(request, path, Bytes).await?.into_inner())
    }
}

/// A method of the contract.
pub(crate) fn descriptor(method: &str) -> MethodDescriptor {
    let service = POOL.get_service_by_name(SERVICE).unwrap();
    service.methods().find(|descriptor| descriptor.name() == method).unwrap_or_else(|| panic!("no method {method}"))
}

/// What the contract says of a field.
pub(crate) fn comment(field: &FieldDescriptor) -> String {
    let path = field.path();
    let info = field.parent_file().file_descriptor_proto().source_code_info.clone().unwrap_or_default();
    let location = info.location.into_iter().find(|location| location.path == path);
    location.and_then(|location| location.leading_comments).unwrap_or_default()
}

/// A message as JSON with the contract's own field names.
pub(crate) fn json(message: &DynamicMessage) -> Value {
    let options = SerializeOptions::new().use_proto_field_name(true);
    message.serialize_with_options(serde_json::value::Serializer, &options).unwrap()
}

impl Failure {
    /// Reads a status; every one has exactly one `ErrorInfo`, in our domain, and is small enough for any client.
    pub(crate) fn of(status: Status) -> Self {
        let details = status.get_error_details_vec();
        let infos = details.iter().filter(|detail| matches!(detail, tonic_types::ErrorDetail::ErrorInfo(_))).count();
        assert_eq!(infos, 1, "exactly one ErrorInfo: {status:?}");
        let is_plain = |byte: u8| (b' '..=b'~').contains(&byte) && byte != b'%';
        let message: usize = status.message().bytes().map(|byte| if is_plain(byte) { 1 } else { 3 }).sum();
        let size = message + status.details().len().div_ceil(3) * 4;
        assert!(size < 4096, "a status of {size} bytes");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.domain, "contactcenter.gateway");
        for key in ["method", "traceId"] {
            assert!(info.metadata.contains_key(key), "no {key} in {:?}", info.metadata);
        }
        let fields = status.get_details_bad_request().map_or_else(Vec::new, |details| details.field_violations);
        let reported = format!("{} {details:?}", status.message()).replace(&info.metadata["traceId"], "");
        Self {
            code: status.code(),
            message: status.message().to_owned(),
            reason: info.reason,
            metadata: info.metadata.into_iter().collect(),
            fields: fields.into_iter().map(|violation| violation.field).collect(),
            resource: status.get_details_resource_info().map(|info| (info.resource_type, info.resource_name)),
            retry_after: status.get_details_retry_info().and_then(|info| info.retry_delay),
            has_quota: status.get_details_quota_failure().is_some(),
            reported,
        }
    }
}

/// Messages as the bytes they are.
struct Bytes;

impl Codec for Bytes {
    type Encode = Vec<u8>;
    type Decode = Vec<u8>;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn encode(&mut self, item: Vec<u8>, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        bytes::BufMut::put_slice(buffer, &item);
        Ok(())
    }
}

impl Decoder for Bytes {
    type Item = Vec<u8>;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Vec<u8>>, Status> {
        use bytes::Buf as _;
        Ok(Some(buffer.copy_to_bytes(buffer.remaining()).to_vec()))
    }
}
