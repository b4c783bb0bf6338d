//! Vendors that respond by a script, and record their requests.

use std::{
    collections::{BTreeMap, VecDeque},
    fmt::Write as _,
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use serde_json::{Value, json};
use switchboard_simulators::{faults, huawei, udesk};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::{APP_ID, APP_KEY, APP_SECRET, AUTH_TOKEN, SID};

/// A request a vendor got.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Asked {
    pub method: String,
    pub path: String,
    pub query: BTreeMap<String, String>,
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

/// What a vendor does with a request.
#[derive(Debug, Clone)]
pub(crate) enum Response {
    /// Responds.
    Http { status: u16, headers: Vec<(&'static str, String)>, body: Vec<u8> },
    /// Closes the connection when the request has come whole.
    Reset,
    /// Announces a body and closes the connection within it.
    ResetWithin { status: u16, body: Vec<u8> },
    /// Says nothing.
    Hang,
    /// Gives a body byte by byte, one every so often.
    Drip { body: Vec<u8>, every: Duration },
}

/// A scripted vendor: responds in the order of its script, with the last response forever.
#[derive(Clone)]
pub(crate) struct Scripted {
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
    abandoned: Arc<AtomicUsize>,
}

impl Response {
    pub(crate) fn json(body: &Value) -> Self {
        Self::status(200, body)
    }

    pub(crate) fn status(status: u16, body: &Value) -> Self {
        let headers = vec![("content-type", "application/json".to_owned())];
        Self::Http { status, headers, body: body.to_string().into_bytes() }
    }

    pub(crate) fn text(status: u16, body: &str) -> Self {
        Self::Http { status, headers: vec![("content-type", "text/html".to_owned())], body: body.into() }
    }

    /// The response of tokenByAkSk, as its document has it.
    pub(crate) fn token() -> Self {
        Self::json(&json!({
            "AccessToken": "token-of-the-tests", "ApplyType": "Bearer", "CreateTime": "1545650171", "Expires": "600",
            "Scope": "0123456789abcdef0123456789abcdef", "AppKey": APP_KEY, "UserID": "Anonymous",
        }))
    }
}

impl Scripted {
    pub(crate) async fn start(script: impl IntoIterator<Item = Response>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let asked = Arc::<Mutex<Vec<Asked>>>::default();
        let script = Arc::new(Mutex::new(script.into_iter().collect::<VecDeque<_>>()));
        let abandoned = Arc::<AtomicUsize>::default();
        let (noted, counted) = (asked.clone(), abandoned.clone());
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, script.clone(), noted.clone(), counted.clone()));
            }
        });
        Self { address, asked, abandoned }
    }

    /// How many requests that it let hang were abandoned.
    pub(crate) fn abandoned(&self) -> usize {
        self.abandoned.load(Ordering::Acquire)
    }

    /// What it was asked so far, oldest first.
    pub(crate) fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }
}

async fn serve(
    mut stream: TcpStream,
    script: Arc<Mutex<VecDeque<Response>>>,
    noted: Arc<Mutex<Vec<Asked>>>,
    abandoned: Arc<AtomicUsize>,
) -> Option<()> {
    loop {
        let asked = read_request(&mut stream).await?;
        noted.lock().unwrap().push(asked);
        let response = {
            let mut script = script.lock().unwrap();
            if script.len() > 1 { script.pop_front() } else { script.front().cloned() }
        };
        match response.expect("a script has at least one response") {
            Response::Http { status, headers, body } => {
                let mut head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n", body.len());
                for (name, value) in headers {
                    let _ = write!(head, "{name}: {value}\r\n");
                }
                head.push_str("\r\n");
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(&body).await.ok()?;
            }
            Response::Reset => return None,
            Response::ResetWithin { status, body } => {
                let head = format!("HTTP/1.1 {status} Status\r\ncontent-length: {}\r\n\r\n", body.len() + 100);
                stream.write_all(head.as_bytes()).await.ok()?;
                stream.write_all(&body).await.ok()?;
                return None;
            }
            Response::Hang => {
                // Until the other side closes the connection.
                let _ = stream.read_u8().await;
                abandoned.fetch_add(1, Ordering::AcqRel);
                return None;
            }
            Response::Drip { body, every } => {
                let head = format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n", body.len());
                stream.write_all(head.as_bytes()).await.ok()?;
                for byte in body {
                    stream.write_u8(byte).await.ok()?;
                    tokio::time::sleep(every).await;
                }
            }
        }
    }
}

async fn read_request(stream: &mut TcpStream) -> Option<Asked> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.ok()?);
    }
    let head = String::from_utf8(head).ok()?;
    let mut lines = head.lines();
    let mut first = lines.next()?.split(' ');
    let (method, target) = (first.next()?.to_owned(), first.next()?);
    let url = url::Url::parse(&format!("http://vendor{target}")).ok()?;
    let headers: BTreeMap<String, String> = lines
        .filter_map(|line| line.split_once(':'))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.trim().to_owned()))
        .collect();
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    let mut body = vec![0; length];
    stream.read_exact(&mut body).await.ok()?;
    Some(Asked {
        method,
        path: url.path().to_owned(),
        query: url.query_pairs().into_owned().collect(),
        headers,
        body: String::from_utf8(body).ok()?,
    })
}

/// A simulated Udesk tenant with the tests' credentials.
pub(crate) fn udesk_options() -> udesk::Options {
    udesk::Options::new(APP_ID, SID, AUTH_TOKEN.into())
}

/// A simulated Huawei tenant with the tests' credentials.
pub(crate) fn huawei_options() -> huawei::Options {
    huawei::Options::new(APP_KEY, APP_SECRET.into())
}

/// Serves a simulator's router on a free port.
pub(crate) async fn serve_router(router: axum::Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(faults::serve(listener, router).into_future());
    address
}
