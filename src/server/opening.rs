//! How long a peer may take to open a connection or a request.
//!
//! A connection that is not opened in time is closed, so that a peer that is silent or sends byte by byte does not
//! occupy it for long.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Sleep, sleep};

use super::admission::Place;

/// Longest time to an HTTP/2 client's preface and SETTINGS.
pub(super) const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest time to a whole head of an HTTP/1.1 request: after connecting, and after its first byte.
pub(super) const HEAD_TIMEOUT: Duration = Duration::from_secs(5);

/// The client preface (RFC 9113, 3.4), and the header of the SETTINGS frame after it.
const PREFACE_BYTES: usize = 24;
const FRAME_HEADER_BYTES: usize = 9;

/// The protocol of a listener.
#[derive(Debug, Clone, Copy)]
pub(super) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2 with prior knowledge.
    Http2,
}

/// What a connection still has to open. Its place is idle meanwhile.
pub(super) enum Opening {
    Http1(Head),
    Http2(Handshake),
}

/// Whether an HTTP/1.1 connection is within a request, whose head is complete.
#[derive(Debug, Clone)]
pub(super) struct InRequest(Arc<InRequestState>);

#[derive(Debug)]
struct InRequestState {
    place: Arc<Place>,
    in_request: AtomicBool,
    /// Whether a head was completed since [`Head`] last looked. A response can be complete before that.
    head_completed: AtomicBool,
}

pub(super) struct Head {
    in_request: InRequest,
    timer: Timer,
}

pub(super) struct Handshake {
    place: Arc<Place>,
    timer: Timer,
    /// The first bytes, until the length of SETTINGS is known.
    start: Vec<u8>,
    received: usize,
}

type Timer = Option<Pin<Box<Sleep>>>;

// === impl Opening ===

impl Opening {
    pub(super) fn new(protocol: Protocol, place: Arc<Place>) -> Self {
        match protocol {
            Protocol::Http1 => {
                Self::Http1(Head { in_request: InRequest::new(place), timer: Some(Box::pin(sleep(HEAD_TIMEOUT))) })
            }
            Protocol::Http2 => Self::Http2(Handshake {
                place,
                timer: Some(Box::pin(sleep(HANDSHAKE_TIMEOUT))),
                start: Vec::new(),
                received: 0,
            }),
        }
    }

    /// Bytes arrived.
    pub(super) fn received(&mut self, bytes: &[u8]) {
        match self {
            Self::Http1(head) => head.received(bytes),
            Self::Http2(handshake) => handshake.received(bytes),
        }
    }

    /// Everything that was written is sent. After a response an HTTP/1.1 connection is idle.
    pub(super) fn flushed(&self) {
        if let Self::Http1(Head { in_request, .. }) = self
            && !in_request.get()
        {
            in_request.0.place.set_idle();
        }
    }

    /// Whether another connection has the place of this one. A request may end before.
    pub(super) fn is_closed(&self) -> bool {
        match self {
            Self::Http1(Head { in_request, .. }) => in_request.0.place.is_closed() && !in_request.get(),
            Self::Http2(handshake) => handshake.place.is_closed(),
        }
    }

    /// Ready when the time has expired, or when another connection has the place. Poll it when a read is pending.
    pub(super) fn poll_expired(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let (timer, place, in_request) = match self {
            Self::Http1(head) => {
                head.stop_timer_of_complete_head();
                (&mut head.timer, &head.in_request.0.place, head.in_request.get())
            }
            Self::Http2(handshake) => (&mut handshake.timer, &handshake.place, false),
        };
        if place.poll_closed(cx).is_ready() && !in_request {
            return Poll::Ready(());
        }
        timer.as_mut().map_or(Poll::Pending, |timer| timer.as_mut().poll(cx))
    }

    /// The state that the server of an HTTP/1.1 connection sets.
    pub(super) fn in_request(&self) -> InRequest {
        match self {
            Self::Http1(head) => head.in_request.clone(),
            Self::Http2(handshake) => InRequest::new(handshake.place.clone()),
        }
    }
}

// === impl InRequest ===

impl InRequest {
    fn new(place: Arc<Place>) -> Self {
        let (in_request, head_completed) = (AtomicBool::new(false), AtomicBool::new(false));
        Self(Arc::new(InRequestState { place, in_request, head_completed }))
    }

    /// A head is complete, or its response is.
    pub(super) fn set(&self, in_request: bool) {
        self.0.in_request.store(in_request, Ordering::Release);
        if in_request {
            self.0.place.set_busy();
            self.0.head_completed.store(true, Ordering::Release);
        }
    }

    fn get(&self) -> bool {
        self.0.in_request.load(Ordering::Acquire)
    }

    fn take_completed_head(&self) -> bool {
        self.0.head_completed.swap(false, Ordering::AcqRel)
    }
}

// === impl Head ===

impl Head {
    /// The first byte of the next request starts its time.
    fn received(&mut self, bytes: &[u8]) {
        self.stop_timer_of_complete_head();
        if !bytes.is_empty() && self.timer.is_none() && !self.in_request.get() {
            self.timer = Some(Box::pin(sleep(HEAD_TIMEOUT)));
        }
    }

    fn stop_timer_of_complete_head(&mut self) {
        if self.in_request.take_completed_head() {
            self.timer = None;
        }
    }
}

// === impl Handshake ===

impl Handshake {
    fn received(&mut self, bytes: &[u8]) {
        if self.timer.is_none() {
            return;
        }
        self.received += bytes.len();
        let missing = PREFACE_BYTES + FRAME_HEADER_BYTES - self.start.len();
        self.start.extend(&bytes[..missing.min(bytes.len())]);
        // h2 rejects another preface, and another frame than SETTINGS.
        if let Some(&[_, high, middle, low]) = self.start.get(PREFACE_BYTES - 1..PREFACE_BYTES + 3)
            && self.received >= PREFACE_BYTES + FRAME_HEADER_BYTES + u32::from_be_bytes([0, high, middle, low]) as usize
        {
            self.timer = None;
            self.place.set_busy();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::admission::{Admission, Admitted, Limits},
        *,
    };

    async fn opening_of(protocol: Protocol) -> Opening {
        let admission = Admission::new(Limits { connections: 1, per_address: 1 });
        let Admitted::Place { place, .. } = admission.admit([127, 0, 0, 1].into()).await else { panic!("no place") };
        Opening::new(protocol, place)
    }

    /// The preface and a SETTINGS frame with one setting.
    fn opened() -> Vec<u8> {
        [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".as_slice(), &[0, 0, 6, 4, 0, 0, 0, 0, 0], &[0, 3, 0, 0, 0, 9]].concat()
    }

    async fn expires(opening: &mut Opening, after: Duration) -> bool {
        tokio::time::timeout(after, std::future::poll_fn(|cx| opening.poll_expired(cx))).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn a_handshake_is_open_after_its_settings() {
        let bytes = opened();
        for whole in [0, 1, 23, 24, 30, 33, bytes.len() - 1] {
            let mut opening = opening_of(Protocol::Http2).await;
            bytes[..whole].iter().for_each(|byte| opening.received(&[*byte]));
            assert!(!expires(&mut opening, Duration::from_secs(9)).await, "{whole}");
            assert!(expires(&mut opening, Duration::from_secs(2)).await, "{whole}");
        }
        let mut opening = opening_of(Protocol::Http2).await;
        opening.received(&bytes);
        assert!(!expires(&mut opening, Duration::from_secs(3600)).await);
    }

    #[tokio::test]
    async fn a_handshake_keeps_no_more_than_the_length_of_its_settings() {
        let mut bytes = opened();
        // SETTINGS that never end.
        bytes[24..27].fill(0xff);
        let mut opening = opening_of(Protocol::Http2).await;
        for _ in 0..100 {
            opening.received(&bytes);
        }
        let Opening::Http2(Handshake { start, received, .. }) = &opening else { panic!("not HTTP/2") };
        assert_eq!((start.as_slice(), *received), (&bytes[..PREFACE_BYTES + FRAME_HEADER_BYTES], 100 * bytes.len()));
    }

    #[tokio::test(start_paused = true)]
    async fn every_head_has_its_time_and_a_request_has_none() {
        let mut opening = opening_of(Protocol::Http1).await;
        opening.received(b"POST");
        assert!(!expires(&mut opening, Duration::from_secs(4)).await);
        opening.received(b" ");
        assert!(expires(&mut opening, Duration::from_secs(2)).await, "bytes do not prolong it");

        let mut opening = opening_of(Protocol::Http1).await;
        let in_request = opening.in_request();
        in_request.set(true);
        opening.received(b"body");
        assert!(!expires(&mut opening, Duration::from_secs(60)).await);
        in_request.set(false);
        assert!(!expires(&mut opening, Duration::from_secs(60)).await, "idle");
        opening.received(b"P");
        assert!(expires(&mut opening, Duration::from_secs(6)).await, "the next head");

        let mut opening = opening_of(Protocol::Http1).await;
        let in_request = opening.in_request();
        opening.received(b"GET / HTTP/1.1\r\n\r\n");
        in_request.set(true);
        in_request.set(false);
        assert!(!expires(&mut opening, Duration::from_secs(60)).await, "a request that ended before the next read");
    }
}
