//! Which connections of a listener are open: its limits, and which connection is closed for a new one.
//!
//! A connection of HTTP/1.1 without a request is idle: it waits for a head. One of HTTP/2 is idle until its handshake
//! is complete, and never again. When the listener or an address has the most connections that it may have, the one
//! that has been idle for the longest time is closed, and the new connection has its place. So peers that are silent,
//! or that send half a head, delay no other connection, also when all of them have one address. A connection with a
//! request keeps its place.

use std::{
    collections::{BTreeMap, HashMap},
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Context, Poll},
};

use futures_util::task::AtomicWaker;
use tokio::sync::Notify;

/// The limits of one listener.
#[derive(Debug, Clone, Copy)]
pub(super) struct Limits {
    /// Most connections. The next one waits, unless an idle one is closed for it.
    pub(super) connections: usize,
    /// Most connections of one address. The next one is closed, unless an idle one is closed for it.
    pub(super) per_address: usize,
}

/// The connections of one listener. Clones share them.
#[derive(Debug, Clone)]
pub(super) struct Admission(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    limits: Limits,
    places: Mutex<Places>,
    /// A place may be free: one was returned, or its connection is idle.
    freed: Notify,
}

#[derive(Debug, Default)]
struct Places {
    taken: usize,
    by_address: HashMap<IpAddr, usize>,
    /// Idle connections, the one that has been idle for the longest time first.
    idle: BTreeMap<u64, Arc<Connection>>,
    /// The next key in `idle`.
    next: u64,
}

/// The place of one connection. Dropping it returns the place, unless another connection has it.
#[derive(Debug)]
pub(super) struct Place {
    admission: Admission,
    connection: Arc<Connection>,
}

#[derive(Debug)]
struct Connection {
    address: IpAddr,
    /// Its key in [`Places::idle`].
    idle: Mutex<Option<u64>>,
    /// Another connection has its place.
    is_closed: AtomicBool,
    waker: AtomicWaker,
}

/// Whether a connection may be open.
#[derive(Debug)]
pub(super) enum Admitted {
    /// It has a place. `closed`: of another connection, which is closed.
    Place { place: Arc<Place>, closed: bool },
    /// Its address has the most connections, each with a request.
    AddressFull,
}

// === impl Admission ===

impl Admission {
    pub(super) fn new(limits: Limits) -> Self {
        Self(Arc::new(Shared { limits, places: Mutex::default(), freed: Notify::new() }))
    }

    /// Waits for a place for a connection of this address.
    pub(super) async fn admit(&self, address: IpAddr) -> Admitted {
        loop {
            if let Some(admitted) = self.try_admit(address) {
                return admitted;
            }
            self.0.freed.notified().await;
        }
    }

    /// `None` when every place is taken by a connection with a request.
    fn try_admit(&self, address: IpAddr) -> Option<Admitted> {
        let address = network(address);
        let mut places = self.places();
        let is_address_full = places.of(address) >= self.0.limits.per_address;
        let closed = if is_address_full {
            let of_address = places.idle.iter().find(|(_, connection)| connection.address == address);
            let Some((&oldest, _)) = of_address else { return Some(Admitted::AddressFull) };
            places.idle.remove(&oldest)
        } else if places.taken >= self.0.limits.connections {
            Some(places.idle.pop_first()?.1)
        } else {
            None
        };
        if let Some(closed) = &closed {
            closed.is_closed.store(true, Ordering::Release);
            closed.waker.wake();
            places.give_back(closed.address);
        }
        places.taken += 1;
        *places.by_address.entry(address).or_default() += 1;
        let connection = Connection {
            address,
            idle: Mutex::default(),
            is_closed: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        };
        let place = Place { admission: self.clone(), connection: Arc::new(connection) };
        places.add_idle(&place.connection);
        Some(Admitted::Place { place: Arc::new(place), closed: closed.is_some() })
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        self.0.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Places ===

impl Places {
    fn of(&self, address: IpAddr) -> usize {
        self.by_address.get(&address).copied().unwrap_or_default()
    }

    fn give_back(&mut self, address: IpAddr) {
        self.taken -= 1;
        if let Some(count) = self.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                self.by_address.remove(&address);
            }
        }
    }

    fn add_idle(&mut self, connection: &Arc<Connection>) {
        let mut idle = connection.idle();
        if idle.is_none() {
            *idle = Some(self.next);
            self.idle.insert(self.next, connection.clone());
            self.next += 1;
        }
    }

    fn remove_idle(&mut self, connection: &Connection) {
        if let Some(idle) = connection.idle().take() {
            self.idle.remove(&idle);
        }
    }
}

// === impl Place ===

impl Place {
    /// The connection has a request, or its handshake is complete.
    pub(super) fn set_busy(&self) {
        self.admission.places().remove_idle(&self.connection);
    }

    /// The connection has no request any more.
    pub(super) fn set_idle(&self) {
        if self.connection.idle().is_some() {
            return;
        }
        let mut places = self.admission.places();
        if !self.is_closed() {
            places.add_idle(&self.connection);
            self.admission.0.freed.notify_one();
        }
    }

    /// Whether another connection has the place.
    pub(super) fn is_closed(&self) -> bool {
        self.connection.is_closed.load(Ordering::Acquire)
    }

    /// Ready when another connection has the place.
    pub(super) fn poll_closed(&self, cx: &mut Context<'_>) -> Poll<()> {
        self.connection.waker.register(cx.waker());
        if self.is_closed() { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut places = self.admission.places();
        places.remove_idle(&self.connection);
        if !self.is_closed() {
            places.give_back(self.connection.address);
            self.admission.0.freed.notify_one();
        }
    }
}

// === impl Connection ===

impl Connection {
    fn idle(&self) -> MutexGuard<'_, Option<u64>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An IPv6 peer has a network of 2^64 addresses.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
        address @ IpAddr::V4(_) => address,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    fn place(admission: &Admission, peer: u8) -> Arc<Place> {
        match admission.try_admit(address(peer)) {
            Some(Admitted::Place { place, .. }) => place,
            other => panic!("{other:?}"),
        }
    }

    fn busy(admission: &Admission, peer: u8) -> Arc<Place> {
        let place = place(admission, peer);
        place.set_busy();
        place
    }

    #[test]
    fn an_ipv6_network_is_one_address() {
        let parse = |text: &str| network(text.parse().unwrap());
        assert_eq!(parse("2001:db8:0:1::7"), parse("2001:db8:0:1:ffff::1"));
        assert_ne!(parse("2001:db8:0:1::7"), parse("2001:db8:0:2::7"));
        assert_eq!(parse("::ffff:192.0.2.1"), parse("192.0.2.1"));
    }

    #[test]
    fn a_connection_that_ends_returns_one_of_its_address_and_the_last_one_forgets_it() {
        let admission = Admission::new(Limits { connections: 8, per_address: 3 });
        let mut places: Vec<_> = (0..3).map(|_| busy(&admission, 1)).collect();
        places.pop();
        places.push(busy(&admission, 1));
        let full = admission.try_admit(address(1));
        assert!(matches!(full, Some(Admitted::AddressFull)), "the other two still count: {full:?}");
        drop(places);
        let places = admission.places();
        assert!(places.by_address.is_empty() && places.idle.is_empty(), "{places:?}");
        assert_eq!(places.taken, 0);
    }

    #[test]
    fn the_connection_that_is_idle_for_the_longest_time_is_closed_for_a_new_one() {
        let admission = Admission::new(Limits { connections: 4, per_address: 3 });
        let with_request = busy(&admission, 1);
        let [first, second, third] = [2, 1, 1].map(|peer| place(&admission, peer));
        // It had a request meanwhile.
        first.set_busy();
        first.set_idle();
        let closed = || [&with_request, &first, &second, &third].map(|place| place.is_closed());
        let new = place(&admission, 3);
        assert_eq!(closed(), [false, false, true, false]);
        // An address that has its share closes one of its own, although another one is idle for longer.
        let of_first = place(&admission, 1);
        assert_eq!(closed(), [false, false, true, true]);
        of_first.set_busy();
        drop((second, third));
        let places = admission.places();
        assert_eq!((places.taken, places.of(address(1)), places.idle.len()), (4, 2, 2), "{places:?}");
        drop(places);
        drop((of_first, new));
    }

    #[tokio::test]
    async fn with_a_request_on_every_connection_the_next_one_waits_for_an_idle_one() {
        let admission = Admission::new(Limits { connections: 2, per_address: 2 });
        let places = [busy(&admission, 1), busy(&admission, 2)];
        let mut next = Box::pin(admission.admit(address(3)));
        assert!(futures_util::poll!(&mut next).is_pending());
        places[1].set_idle();
        let Admitted::Place { closed, .. } = next.await else { panic!("not admitted") };
        assert!(closed && places[1].is_closed() && !places[0].is_closed());
        // A request that began before the connection saw its end does not make it idle again.
        places[1].set_busy();
        places[1].set_idle();
        assert!(!admission.places().idle.values().any(|idle| Arc::ptr_eq(idle, &places[1].connection)));
    }
}
