//! A response of `WatchEvents` that is encoded once and sent to every watcher.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, skip_field},
};

use super::v1;

/// An encoded [`v1::WatchEventsResponse`]. Cheap to clone: clones share the bytes.
///
/// The generated server sends it in place of the message.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct EncodedWatchEventsResponse(Bytes);

impl From<&v1::WatchEventsResponse> for EncodedWatchEventsResponse {
    fn from(response: &v1::WatchEventsResponse) -> Self {
        Self(response.encode_to_vec().into())
    }
}

impl Message for EncodedWatchEventsResponse {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    /// The type is only sent, never received.
    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        buffer: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        skip_field(wire_type, tag, buffer, context)
    }

    fn encoded_len(&self) -> usize {
        self.0.len()
    }

    fn clear(&mut self) {
        self.0 = Bytes::new();
    }
}

impl fmt::Debug for EncodedWatchEventsResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EncodedWatchEventsResponse").field("bytes", &self.0.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_bytes_are_the_message() {
        let response = v1::WatchEventsResponse {
            cursor: "c".into(),
            item: Some(v1::watch_events_response::Item::Heartbeat(v1::WatchHeartbeat::default())),
        };
        let encoded = EncodedWatchEventsResponse::from(&response);
        assert_eq!(v1::WatchEventsResponse::decode(&*encoded.encode_to_vec()).unwrap(), response);
        assert_eq!(encoded.encoded_len(), response.encoded_len());
    }

    #[test]
    fn of_what_is_received_nothing_is_kept_but_whether_it_is_a_message() {
        let bytes = v1::WatchEventsResponse { cursor: "c".into(), item: None }.encode_to_vec();
        assert_eq!(EncodedWatchEventsResponse::decode(&*bytes).unwrap(), EncodedWatchEventsResponse::default());
        assert!(EncodedWatchEventsResponse::decode(&bytes[..bytes.len() - 1]).is_err());
        let mut encoded = EncodedWatchEventsResponse(bytes.into());
        encoded.clear();
        assert_eq!(encoded, EncodedWatchEventsResponse::default());
    }
}
