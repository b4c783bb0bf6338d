//! Peers that connect, send a part of what they should, and are silent.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    io::AsyncWriteExt as _,
    net::{TcpSocket, TcpStream},
    sync::watch,
    time::sleep,
};

use crate::support::Result;

const PAUSE: Duration = Duration::from_millis(100);
/// Most silent peers at a time; the oldest one leaves.
const PEERS: usize = 200;
/// What a peer sends: nothing, a byte, half a head, a head without its body, or half a handshake.
const STARTS: [&[u8]; 6] = [
    b"",
    b"P",
    b"POST /callbacks/beta/wrong HTTP/1.1\r\nhost:",
    b"POST /callbacks/beta/console-secret-9f3a HTTP/1.1\r\nhost: x\r\ncontent-length: 900000\r\n\r\n{",
    b"PRI * HTTP/2.0\r\n\r\nSM",
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00",
];

/// Opens connections to these addresses until stopped.
pub(crate) async fn connect(
    addresses: [String; 2],
    mut random: fastrand::Rng,
    stopped: watch::Receiver<bool>,
) -> Result<()> {
    let mut peers: VecDeque<TcpStream> = VecDeque::new();
    while !*stopped.borrow() {
        let socket = TcpSocket::new_v4()?;
        socket.bind(([127, 0, 1, random.u8(1..=20)], 0).into())?;
        if let Ok(mut peer) = socket.connect(addresses[random.usize(..2)].parse()?).await {
            // The gateway may have closed it.
            let _ = peer.write_all(STARTS[random.usize(..STARTS.len())]).await;
            peers.push_back(peer);
        }
        if peers.len() > PEERS {
            peers.pop_front();
        }
        sleep(PAUSE).await;
    }
    Ok(())
}
