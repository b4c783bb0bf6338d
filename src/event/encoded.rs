//! An item of `WatchEvents` in the bytes it is sent in.

use std::fmt;

use bytes::{Buf, BufMut, Bytes};
use prost::{
    DecodeError, Message,
    encoding::{DecodeContext, WireType, skip_field},
};

use crate::proto::v1;

/// A `WatchEventsResponse`, encoded once for whoever is sent it. Cheap to clone: clones share the bytes.
///
/// The server takes it as the message, because that is what its bytes are.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Encoded(Bytes);

impl From<&v1::WatchEventsResponse> for Encoded {
    fn from(response: &v1::WatchEventsResponse) -> Self {
        Self(response.encode_to_vec().into())
    }
}

impl Message for Encoded {
    fn encode_raw(&self, buffer: &mut impl BufMut) {
        buffer.put_slice(&self.0);
    }

    /// Nobody decodes what is only sent.
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

impl fmt::Debug for Encoded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("bytes", &self.0.len()).finish()
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
        let encoded = Encoded::from(&response);
        assert_eq!(v1::WatchEventsResponse::decode(&*encoded.encode_to_vec()).unwrap(), response);
        assert_eq!(encoded.encoded_len(), response.encoded_len());
    }
}
