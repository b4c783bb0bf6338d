//! The client of the measurements: gRPC calls whose cost and time a script could not tell from its own.

use std::{
    error::Error,
    fs,
    io::Write as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use bytes::{Buf as _, BufMut as _, Bytes};
use clap::{Args, Parser, Subcommand};
use contract::{GetAgentRequest, ListAgentsRequest, contact_center_client::ContactCenterClient};
use tokio::{runtime::Runtime, task::JoinSet, time::sleep};
use tonic::{
    Request, Status,
    client::Grpc,
    codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder},
    transport::{Channel, Endpoint},
};

/// The gateway's contract.
mod contract {
    tonic::include_proto!("contactcenter.v1");
}

type Client = ContactCenterClient<Channel>;
type Answer<T> = Result<T, Box<dyn Error + Send + Sync>>;

/// Connections of a crowd.
const CONNECTIONS: usize = 8;

#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Repeats a call of any method until it succeeds. Writes the response, and to standard error when it arrived, in
    /// nanoseconds since 1970.
    Call {
        /// http://HOST:PORT.
        #[arg(long)]
        address: String,
        /// /package.Service/Method.
        #[arg(long)]
        method: String,
        /// A file with the encoded request.
        #[arg(long)]
        request: PathBuf,
        /// Seconds until the call has failed.
        #[arg(long, default_value_t = 10)]
        timeout: u64,
    },
    /// Lists all agents once.
    Walk(List),
    /// Requests many first pages at the same time.
    Crowd {
        #[command(flatten)]
        list: List,
        /// How many.
        #[arg(long, default_value_t = 200)]
        callers: usize,
    },
    /// Calls `GetAgent` in sequence over a connection of its own while others list all agents in a loop.
    Beside {
        #[command(flatten)]
        list: List,
        /// How many others.
        #[arg(long)]
        callers: usize,
        /// How long.
        #[arg(long, default_value_t = 5.0)]
        seconds: f64,
        /// ID of the agent.
        #[arg(long)]
        agent: String,
    },
}

#[derive(Args, Clone)]
struct List {
    /// http://HOST:PORT.
    #[arg(long)]
    address: String,
    /// ID of the center.
    #[arg(long)]
    center: String,
    /// Agents on a page.
    #[arg(long)]
    page_size: i32,
}

/// Messages as they are encoded.
#[derive(Default)]
struct Raw;

fn main() -> ExitCode {
    let Err(error) = run(Options::parse().command) else {
        return ExitCode::SUCCESS;
    };
    match error.downcast_ref::<Status>() {
        Some(status) => eprintln!("{:?}: {}", status.code(), status.message()),
        None => eprintln!("{error}"),
    }
    ExitCode::FAILURE
}

fn run(command: Command) -> Answer<()> {
    match command {
        Command::Call { address, method, request, timeout } => {
            let request = Bytes::from(fs::read(request)?);
            single()?.block_on(call(&address, &method, request, Duration::from_secs(timeout)))
        }
        Command::Walk(list) => single()?.block_on(walk(list)),
        Command::Crowd { list, callers } => single()?.block_on(crowd(list, callers)),
        Command::Beside { list, callers, seconds, agent } => beside(list, callers, seconds, &agent),
    }
}

fn single() -> std::io::Result<Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

async fn call(address: &str, method: &str, request: Bytes, timeout: Duration) -> Answer<()> {
    let end = Instant::now() + timeout;
    loop {
        match once(address, method, request.clone()).await {
            Ok(response) => {
                eprintln!("{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_nanos());
                std::io::stdout().write_all(&response)?;
                return Ok(());
            }
            Err(error) if Instant::now() > end => return Err(error),
            Err(_) => sleep(Duration::from_millis(1)).await,
        }
    }
}

async fn once(address: &str, method: &str, request: Bytes) -> Answer<Bytes> {
    let mut grpc = Grpc::new(Endpoint::from_shared(address.to_owned())?.connect().await?);
    grpc.ready().await?;
    Ok(grpc.unary(Request::new(request), method.parse()?, Raw).await?.into_inner())
}

async fn walk(list: List) -> Answer<()> {
    let mut client = list.client().await?;
    let start = Instant::now();
    let (mut names, pages) = list.walk(&mut client).await?;
    let seconds = start.elapsed().as_secs_f64();
    let listed = names.len();
    names.sort_unstable();
    names.dedup();
    println!(r#"{{"seconds":{seconds},"pages":{pages},"agents":{listed},"different_agents":{}}}"#, names.len());
    Ok(())
}

async fn crowd(list: List, callers: usize) -> Answer<()> {
    let mut clients = Vec::new();
    for _ in 0..CONNECTIONS {
        clients.push(list.client().await?);
    }
    let start = Instant::now();
    let mut calls = JoinSet::new();
    for client in clients.iter().cycle().take(callers) {
        let (list, mut client) = (list.clone(), client.clone());
        calls.spawn(async move { client.list_agents(list.request(String::new())).await });
    }
    let (mut agents, mut failures) = (0, Vec::new());
    while let Some(called) = calls.join_next().await {
        match called? {
            Ok(response) => agents += response.into_inner().agents.len(),
            Err(status) => failures.push(format!("{:?}: {}", status.code(), status.message())),
        }
    }
    let seconds = start.elapsed().as_secs_f64();
    println!(
        r#"{{"seconds":{seconds},"calls":{callers},"agents":{agents},"failed":{},"first_failure":{:?}}}"#,
        failures.len(),
        failures.first().map_or("", String::as_str)
    );
    Ok(())
}

fn beside(list: List, callers: usize, seconds: f64, agent: &str) -> Answer<()> {
    let ended = Arc::new(AtomicBool::new(false));
    let walks = Arc::new(AtomicU64::new(0));
    let others = {
        let (list, ended, walks) = (list.clone(), Arc::clone(&ended), Arc::clone(&walks));
        thread::spawn(move || single()?.block_on(list_in_loops(list, callers, ended, walks)))
    };
    let mut latencies = single()?.block_on(get_agents(&list, seconds, agent))?;
    ended.store(true, Relaxed);
    others.join().map_err(|_| "a list caller panicked")??;
    latencies.sort_unstable();
    let at = |share: f64| {
        // Nearest rank.
        let rank = (share * latencies.len() as f64).ceil() as usize;
        latencies.get(rank.saturating_sub(1)).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    };
    println!(
        r#"{{"calls":{},"p50_ms":{},"p99_ms":{},"max_ms":{},"walks":{}}}"#,
        latencies.len(),
        at(0.5),
        at(0.99),
        at(1.0),
        walks.load(Relaxed)
    );
    Ok(())
}

async fn list_in_loops(list: List, callers: usize, ended: Arc<AtomicBool>, walks: Arc<AtomicU64>) -> Answer<()> {
    let mut loops = JoinSet::new();
    for _ in 0..callers {
        let (list, ended, walks) = (list.clone(), Arc::clone(&ended), Arc::clone(&walks));
        let mut client = list.client().await?;
        loops.spawn(async move {
            while !ended.load(Relaxed) {
                list.walk(&mut client).await?;
                walks.fetch_add(1, Relaxed);
            }
            Answer::Ok(())
        });
    }
    while let Some(ended) = loops.join_next().await {
        ended??;
    }
    Ok(())
}

/// The latencies of calls in sequence. Those of the first tenth of the time are warm-up.
async fn get_agents(list: &List, seconds: f64, agent: &str) -> Answer<Vec<Duration>> {
    let mut client = list.client().await?;
    let name = format!("centers/{}/agents/{agent}", list.center);
    let (begin, mut latencies) = (Instant::now(), Vec::new());
    loop {
        let start = Instant::now();
        let agent = client.get_agent(GetAgentRequest { name: name.clone(), view: 0 }).await?.into_inner();
        if agent.name != name {
            return Err("another agent".into());
        }
        let since = begin.elapsed().as_secs_f64();
        if since > seconds * 1.1 {
            return Ok(latencies);
        }
        if since > seconds * 0.1 {
            latencies.push(start.elapsed());
        }
    }
}

// === impl List ===

impl List {
    async fn client(&self) -> Answer<Client> {
        let channel = Endpoint::from_shared(self.address.clone())?.connect().await?;
        Ok(ContactCenterClient::new(channel).max_decoding_message_size(usize::MAX))
    }

    fn request(&self, page_token: String) -> Request<ListAgentsRequest> {
        let Self { address: _, center, page_size } = self;
        let parent = format!("centers/{center}");
        let mut request =
            Request::new(ListAgentsRequest { parent, page_size: *page_size, page_token, ..Default::default() });
        request.set_timeout(Duration::from_secs(60));
        request
    }

    /// The names of all agents, and the number of pages.
    async fn walk(&self, client: &mut Client) -> Result<(Vec<String>, u64), Status> {
        let (mut names, mut pages, mut token) = (Vec::new(), 0, String::new());
        loop {
            let page = client.list_agents(self.request(token)).await?.into_inner();
            names.extend(page.agents.into_iter().map(|agent| agent.name));
            pages += 1;
            token = page.next_page_token;
            if token.is_empty() {
                return Ok((names, pages));
            }
        }
    }
}

// === impl Raw ===

impl Codec for Raw {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, item: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(item);
        Ok(())
    }
}

impl Decoder for Raw {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}
