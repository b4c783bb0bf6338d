//! Posts callbacks over one keep-alive connection, at little cost to the measured machine.

use std::io::Write as _;

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::Result;

/// Center `beta`, whose vendor only posts callbacks.
pub const CENTER: &str = "[centers.beta]\nvendor = \"huawei\"\nbase_url = \"http://127.0.0.1:1\"\n\
    allow_plaintext = true\napp_key = \"key\"\napp_secret = \"secret-of-the-app\"\ncallback_secret = \"console-secret-9f3a\"\n";
const PATH: &str = "/callbacks/beta/console-secret-9f3a";

/// Largest response.
const ANSWER: usize = 1024;

/// One connection with one request at a time.
pub struct Poster {
    stream: TcpStream,
    request: Vec<u8>,
    answer: Vec<u8>,
}

// === impl Poster ===

impl Poster {
    /// Connects to a gateway's callback listener.
    pub async fn connect(http: &str) -> Result<Self> {
        let stream = TcpStream::connect(http).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, request: Vec::new(), answer: Vec::with_capacity(ANSWER) })
    }

    /// Posts a body and returns the response's status.
    pub async fn post(&mut self, body: &[u8]) -> Result<u16> {
        self.request.clear();
        write!(
            self.request,
            "POST {PATH} HTTP/1.1\r\nhost: gateway\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
            body.len()
        )?;
        self.request.extend_from_slice(body);
        self.stream.write_all(&self.request).await?;
        self.answer.clear();
        loop {
            if self.stream.read_buf(&mut self.answer).await? == 0 {
                return Err("the connection ended before the answer".into());
            }
            if let Some(status) = status(&self.answer)? {
                return Ok(status);
            }
            if self.answer.len() >= ANSWER {
                return Err("the answer is too long".into());
            }
        }
    }
}

/// The status of a response, once it is complete.
fn status(answer: &[u8]) -> Result<Option<u16>> {
    let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") else { return Ok(None) };
    let head = std::str::from_utf8(&answer[..end])?;
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    if answer.len() < end + 4 + length.map_or(Ok(0), str::parse)? {
        return Ok(None);
    }
    Ok(Some(head.split(' ').nth(1).ok_or("no status")?.parse()?))
}
