//! Posts callbacks over one keep-alive connection, at little cost to the measured machine.

use std::io::Write as _;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::Result;

/// Center `beta`, whose vendor only posts callbacks.
pub(crate) const CENTER: &str = "[centers.beta]\nvendor = \"huawei\"\nbase_url = \"http://127.0.0.1:1\"\n\
    allow_plaintext = true\napp_key = \"key\"\napp_secret = \"secret-of-the-app\"\ncallback_secret = \"console-secret-9f3a\"\n";
const PATH: &str = "/callbacks/beta/console-secret-9f3a";

/// Largest response.
const MAX_RESPONSE: usize = 1024;

/// One connection with one request at a time.
pub(crate) struct Poster {
    stream: TcpStream,
    request: Vec<u8>,
    response: Vec<u8>,
}

// === impl Poster ===

impl Poster {
    /// Connects to a gateway's callback listener.
    pub(crate) async fn connect(http: &str) -> Result<Self> {
        let stream = TcpStream::connect(http).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), response: Vec::with_capacity(MAX_RESPONSE) })
    }

    /// Posts a body and returns the response's status.
    pub(crate) async fn post(&mut self, body: &[u8]) -> Result<u16> {
        self.request.clear();
        write!(
            self.request,
            "POST {PATH} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.response.clear();
        loop {
            if self.stream.read_buf(&mut self.response).await? == 0 {
                return Err("the connection ended before the response".into());
            }
            if let Some(status) = status(&self.response)? {
                return Ok(status);
            }
            if self.response.len() >= MAX_RESPONSE {
                return Err("the response is too long".into());
            }
        }
    }
}

/// The status of a response, once it is complete.
fn status(response: &[u8]) -> Result<Option<u16>> {
    let Some(end) = response.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&response[..end])?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if response.len() < end + 4 + length.map_or(Ok(0), str::parse)? {
        return Ok(None);
    }
    Ok(Some(head.split(' ').nth(1).ok_or("no status")?.parse()?))
}
