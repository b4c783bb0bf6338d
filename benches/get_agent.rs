//! CPU time and memory of the gateway for sequential `GetAgent` calls.
//!
//! `cargo bench --bench get_agent [-- CALLS]` starts a simulated Udesk tenant and the gateway as processes, makes the
//! calls over one connection, and prints the kernel's figures of the gateway's process: user and system CPU time, and
//! resident memory. They do not include the simulator and this client. Linux only, because they come from `/proc`.

use std::{
    error::Error,
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use switchboard::proto::v1::{GetAgentRequest, contact_center_client::ContactCenterClient};
use tonic::transport::Channel;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// Default number of calls.
const CALLS: u32 = 10_000;
/// Calls before the measurement, which open connections and fill caches.
const WARM_UP: u32 = 1_000;
/// The clock ticks of `/proc/PID/stat`: `USER_HZ`, 100 a second on every Linux.
const TICK: Duration = Duration::from_millis(10);
/// An agent of the simulated tenant.
const AGENT: &str = "centers/acme/agents/1001";
/// An address with a free port.
const ANY: &str = "127.0.0.1:0";
/// The goals.
const MOST_CPU_PER_CALL: Duration = Duration::from_micros(150);
const MOST_MEMORY_KIB: u64 = 40 * 1024;

/// A process that is killed on drop.
struct Process(Child);

fn main() -> Result<()> {
    // cargo adds `--bench`; `cargo test --benches` does not, and then nothing is measured.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return Ok(());
    }
    let calls = match arguments.iter().find(|argument| !argument.starts_with("--")) {
        Some(calls) => calls.parse()?,
        None => CALLS,
    };
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure(calls))
}

async fn measure(calls: u32) -> Result<()> {
    let (_simulator, center) = start_simulator()?;
    let folder = tempfile::tempdir()?;
    let (gateway, address) = start_gateway(&center, folder.path())?;
    let channel = Channel::from_shared(format!("http://{address}"))?.connect().await?;
    let mut client = ContactCenterClient::new(channel);

    run(&mut client, WARM_UP).await?;
    let cpu_before = gateway.cpu_time()?;
    let start = Instant::now();
    run(&mut client, calls).await?;
    let elapsed = start.elapsed();
    let cpu = gateway.cpu_time()?.saturating_sub(cpu_before);
    report(&gateway, calls, cpu, elapsed)
}

async fn run(client: &mut ContactCenterClient<Channel>, calls: u32) -> Result<()> {
    for _ in 0..calls {
        let request = GetAgentRequest { name: AGENT.to_owned(), ..GetAgentRequest::default() };
        let agent = client.get_agent(request).await?.into_inner();
        if agent.name != AGENT {
            return Err(format!("asked for {AGENT}, got {}", agent.name).into());
        }
    }
    Ok(())
}

fn report(gateway: &Process, calls: u32, cpu: Duration, elapsed: Duration) -> Result<()> {
    let (now, most) = (gateway.memory_kib("VmRSS")?, gateway.memory_kib("VmHWM")?);
    let cpu_per_call = cpu / calls;
    println!("machine      {} x {}", std::thread::available_parallelism()?, processor()?);
    println!("system       Linux {}", fs::read_to_string("/proc/sys/kernel/osrelease")?.trim());
    let build = if cfg!(debug_assertions) { "debug build, which says nothing" } else { "release build" };
    println!("switchboard  {}, {build}, {}", env!("CARGO_PKG_VERSION"), output("rustc", &["--version"])?);
    println!("calls        {calls} x GetAgent in sequence over one connection, after {WARM_UP} to warm up");
    println!("CPU time     {} us a call (goal: below {} us)", cpu_per_call.as_micros(), MOST_CPU_PER_CALL.as_micros());
    println!("round trip   {} us a call, on average", (elapsed / calls).as_micros());
    println!(
        "memory       {:.1} MiB resident, {:.1} MiB at most (goal: below {} MiB)",
        mebibytes(now),
        mebibytes(most),
        MOST_MEMORY_KIB / 1024
    );
    let met = cpu_per_call < MOST_CPU_PER_CALL && most < MOST_MEMORY_KIB;
    println!("goals        {}", if met { "met" } else { "NOT met" });
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "for people, to one decimal place")]
fn mebibytes(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// Starts a simulated tenant. Returns its process and the configuration of its center.
fn start_simulator() -> Result<(Process, String)> {
    let mut simulator =
        switchboard().args(["simulate", "udesk", "--listen", ANY]).stdout(Stdio::piped()).spawn().map(Process)?;
    let mut center = String::new();
    for line in BufReader::new(simulator.0.stdout.take().ok_or("no standard output")?).lines() {
        let line = line?;
        center.push_str(&line);
        center.push('\n');
        // The secret is the last of the lines.
        if line.starts_with("auth_token") {
            return Ok((simulator, center));
        }
    }
    Err("the simulator ended".into())
}

/// Starts a gateway with this center and its files in this folder. Returns its process and gRPC address.
fn start_gateway(center: &str, folder: &Path) -> Result<(Process, String)> {
    let listen = format!("[listen]\ngrpc = \"{ANY}\"\nhttp = \"{ANY}\"\nadmin = \"{ANY}\"\n");
    fs::write(folder.join("gateway.toml"), listen + center)?;
    let mut gateway = switchboard()
        .args(["serve", "--config", "gateway.toml"])
        .current_dir(folder)
        .stderr(Stdio::piped())
        .spawn()
        .map(Process)?;
    let mut log = BufReader::new(gateway.0.stderr.take().ok_or("no standard error")?);
    let mut line = String::new();
    while !line.contains("\"serving\"") {
        line.clear();
        if log.read_line(&mut line)? == 0 {
            return Err("the gateway ended".into());
        }
    }
    // Drains the log, so that it does not fill the pipe.
    std::thread::spawn(move || std::io::copy(&mut log, &mut std::io::sink()));
    let address = serde_json::from_str::<serde_json::Value>(&line)
        .ok()
        .and_then(|line| line.get("grpc")?.as_str().map(str::to_owned))
        .ok_or("the gateway does not say where it listens")?;
    Ok((gateway, address))
}

fn switchboard() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_switchboard"));
    command.stdin(Stdio::null()).stdout(Stdio::null());
    command
}

fn processor() -> Result<String> {
    let all = fs::read_to_string("/proc/cpuinfo")?;
    let model = all.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    Ok(model.map_or("unknown processor", |(_, model)| model).to_owned())
}

fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program).args(arguments).output()?;
    Ok(String::from_utf8(output.stdout)?.trim().to_owned())
}

// === impl Process ===

impl Process {
    /// CPU time of its threads: fields 14 and 15 of `/proc/PID/stat` (proc(5)).
    fn cpu_time(&self) -> Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.0.id()))?;
        // The second field is the name, in parentheses, and may contain any character.
        let (_, fields) = stat.rsplit_once(')').ok_or("no name in /proc/PID/stat")?;
        let fields: Vec<&str> = fields.split_whitespace().collect();
        let ticks = |number: usize| -> Result<u32> {
            Ok(fields.get(number - 3).ok_or("/proc/PID/stat is too short")?.parse()?)
        };
        Ok(TICK * (ticks(14)? + ticks(15)?))
    }

    /// A line of `/proc/PID/status`, in KiB.
    fn memory_kib(&self, key: &str) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.0.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
        let value = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no such line in /proc/PID/status")?;
        Ok(value.parse()?)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // It may have exited already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
