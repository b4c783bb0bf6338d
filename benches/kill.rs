//! Kills the gateway and checks that no customer is called twice and no response names an unknown call.
//!
//! `cargo bench --bench kill [-- KILLS [SEED]]` starts a simulated Udesk tenant and the gateway as processes.
//! In each round it sends a burst of `StartCallback` with request IDs, each for another customer, kills the gateway
//! with SIGKILL at a random time, restarts it on the same storage, and retries every call with its request ID until the
//! outcome is definite or `VENDOR_OUTCOME_UNKNOWN`. Then it compares the outcomes with the simulator's callbacks. It
//! fails if
//!
//! - a customer was called twice,
//! - a response names a call that the simulator does not know, or the call of another customer,
//! - a replay differs from the first response,
//! - a valid call is rejected,
//! - no kill interrupted a call: then the run proved nothing.
//!
//! The seed is printed; the same seed kills at the same delays.

#[path = "support/reason.rs"]
mod reason;
#[path = "support/simulator.rs"]
mod simulator;
mod support;

use std::{
    collections::HashMap,
    process::ExitCode,
    time::{Duration, Instant},
};

use reason::reason;
use serde_json::json;
use simulator::Simulator;
use support::{Process, Result, endpoint};
use switchboard::proto::v1::{StartCallbackRequest, contact_center_client::ContactCenterClient};
use tokio::task::JoinSet;
use tonic::{Request, transport::Channel};

/// Default number of kills.
const KILLS: u64 = 20;
/// Calls in a burst.
const CALLS: u64 = 40;
/// Longest random delay of the vendor before it calls, so that kills hit every stage of a call.
const JITTER: Duration = Duration::from_millis(10);
/// How long a call is retried.
const RETRY_TIMEOUT: Duration = Duration::from_secs(30);
const DEADLINE: Duration = Duration::from_secs(10);
/// The first customer's number.
const FIRST_CUSTOMER: u64 = 13_000_000_000;
/// A relay number of the simulated tenant.
const ENTRY: &str = "01055500100";

type Client = ContactCenterClient<Channel>;

/// One call, which is retried unchanged.
#[derive(Clone)]
struct Call {
    customer: String,
    request_id: String,
}

/// The final outcome of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Outcome {
    /// The call with this ID calls the customer.
    Rung(String),
    /// `VENDOR_OUTCOME_UNKNOWN`.
    Unknown,
}

/// The result of one attempt.
enum Attempt {
    Definite(Outcome),
    /// No definite outcome: retry.
    Again,
    /// Rejected, for this reason.
    Refused(String),
}

/// Counts over all kills.
#[derive(Default)]
struct Tally {
    calls: u64,
    /// Calls without a response when the gateway was killed.
    interrupted: u64,
    unknown: u64,
    /// Calls of unknown outcome whose customer was called.
    unknown_and_rung: u64,
}

fn main() -> ExitCode {
    support::run(run)
}

fn run(arguments: &[u64]) -> Result<()> {
    let kills = arguments.first().copied().unwrap_or(KILLS);
    let seed = arguments.get(1).copied().unwrap_or_else(|| fastrand::u64(..1_000_000_000));
    println!("kills        {kills}, {CALLS} calls each; replay with: cargo bench --bench kill -- {kills} {seed}");
    rustls::crypto::ring::default_provider().install_default().map_err(|_| "two providers of cryptography")?;
    let folder = tempfile::tempdir()?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(rehearse(kills, seed, folder.path()));
    if result.is_err() {
        eprintln!("the gateway's storage stays in {}", folder.keep().display());
    }
    result
}

async fn rehearse(kills: u64, seed: u64, folder: &std::path::Path) -> Result<()> {
    let mut random = fastrand::Rng::with_seed(seed);
    let simulator = Simulator::start("udesk")?;
    let jitter = json!({ "operation": "callback2ivr", "jitter_ms": JITTER.as_millis(), "seed": seed });
    simulator.fail(&jitter).await?;
    let center = simulator.center("acme");
    let (mut gateway, addresses) = Process::gateway(folder, &center).await?;
    let mut client = Client::new(endpoint(addresses.of("grpc")?)?.connect().await?);
    let start = Instant::now();
    let mut tally = Tally::default();

    // The duration of an undisturbed burst: kills fall anywhere within it. The first burst is slower, and so is one
    // that the machine interrupts.
    let mut span = Duration::MAX;
    for _ in 0..5 {
        let calls = burst(&mut tally, &mut random);
        let undisturbed = Instant::now();
        let responses = retry_all(&client, &calls).await?;
        span = span.min(undisturbed.elapsed());
        verify(&simulator, &calls, &responses, &mut tally).await?;
    }

    for kill in 1..=kills {
        let delay = span.mul_f64(random.f64());
        let context = |error| format!("kill {kill}, {} us into its burst: {error}", delay.as_micros());
        let calls = burst(&mut tally, &mut random);
        let first = tokio::spawn(attempt_all(client.clone(), calls.clone()));
        tokio::time::sleep(delay).await;
        gateway.kill()?;
        let first = first.await??;
        tally.interrupted += u64::try_from(first.iter().filter(|response| response.is_none()).count())?;

        let (again, addresses) = Process::gateway(folder, &center).await.map_err(context)?;
        gateway = again;
        client = Client::new(endpoint(addresses.of("grpc")?)?.connect().await?);
        let responses = retry_all(&client, &calls).await.map_err(context)?;
        for ((call, first), second) in calls.iter().zip(&first).zip(&responses) {
            if first.as_ref().is_some_and(|first| first != second) {
                let changed = format!("{} got {first:?} and then {second:?}", call.customer);
                return Err(context(changed.into()).into());
            }
        }
        verify(&simulator, &calls, &responses, &mut tally).await.map_err(context)?;
    }
    // Requests of a killed gateway may still call customers.
    tokio::time::sleep(JITTER * 5).await;
    verify(&simulator, &[], &[], &mut tally).await?;
    report(kills, &tally, start.elapsed())
}

fn report(kills: u64, tally: &Tally, elapsed: Duration) -> Result<()> {
    let Tally { calls, interrupted, unknown, unknown_and_rung } = tally;
    println!("calls        {calls}, {interrupted} of them in flight when the gateway was killed");
    println!("unknown      {unknown} with VENDOR_OUTCOME_UNKNOWN, {unknown_and_rung} of them had called the customer");
    println!(
        "time         {:.1} s, {} ms a kill",
        elapsed.as_secs_f64(),
        elapsed.as_millis() / u128::from(kills.max(1))
    );
    if *interrupted == 0 && kills > 0 {
        return Err("no kill interrupted a call".into());
    }
    println!("result       no customer was called twice, every response was correct");
    Ok(())
}

/// Calls to new customers.
fn burst(tally: &mut Tally, random: &mut fastrand::Rng) -> Vec<Call> {
    let first = FIRST_CUSTOMER + tally.calls;
    tally.calls += CALLS;
    let call = |customer: u64| Call {
        customer: customer.to_string(),
        request_id: uuid::Builder::from_random_bytes(random.u128(..).to_be_bytes()).into_uuid().to_string(),
    };
    (first..first + CALLS).map(call).collect()
}

/// Makes one attempt of every call, concurrently.
async fn attempt_all(client: Client, calls: Vec<Call>) -> Result<Vec<Option<Outcome>>> {
    let mut running = JoinSet::new();
    for (index, call) in calls.into_iter().enumerate() {
        let client = client.clone();
        running.spawn(async move { (index, attempt(client, &call).await) });
    }
    let mut responses = vec![None; running.len()];
    while let Some(ended) = running.join_next().await {
        let (index, attempt) = ended?;
        responses[index] = match attempt {
            Attempt::Definite(outcome) => Some(outcome),
            Attempt::Again => None,
            Attempt::Refused(reason) => return Err(format!("a call was refused: {reason}").into()),
        };
    }
    Ok(responses)
}

/// Retries every call until its outcome is final.
async fn retry_all(client: &Client, calls: &[Call]) -> Result<Vec<Outcome>> {
    let start = Instant::now();
    let mut responses = vec![None; calls.len()];
    loop {
        let open: Vec<usize> = (0..calls.len()).filter(|index| responses[*index].is_none()).collect();
        let asked = open.iter().map(|index| calls[*index].clone()).collect();
        for (index, response) in open.into_iter().zip(attempt_all(client.clone(), asked).await?) {
            responses[index] = response;
        }
        if responses.iter().all(Option::is_some) {
            return Ok(responses.into_iter().flatten().collect());
        }
        if start.elapsed() > RETRY_TIMEOUT {
            return Err(format!("no definite response within {} s", RETRY_TIMEOUT.as_secs()).into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn attempt(mut client: Client, call: &Call) -> Attempt {
    let mut request = Request::new(StartCallbackRequest {
        parent: "centers/acme".to_owned(),
        customer_number: call.customer.clone(),
        entry_number: ENTRY.to_owned(),
        request_id: call.request_id.clone(),
        ..StartCallbackRequest::default()
    });
    request.set_timeout(DEADLINE);
    let status = match client.start_callback(request).await {
        Ok(response) => return Attempt::Definite(Outcome::Rung(response.into_inner().call_id)),
        Err(status) => status,
    };
    match reason(&status).as_deref() {
        Some("VENDOR_OUTCOME_UNKNOWN") => Attempt::Definite(Outcome::Unknown),
        // A broken connection, and what the contract says is safe to retry.
        None
        | Some(
            "CENTER_OVERLOADED"
            | "DEADLINE_BEFORE_SEND"
            | "GATEWAY_DRAINING"
            | "STORAGE_UNAVAILABLE"
            | "VENDOR_RATE_LIMITED"
            | "VENDOR_UNAVAILABLE",
        ) => Attempt::Again,
        Some(reason) => Attempt::Refused(format!("{:?}, {reason}: {}", status.code(), status.message())),
    }
}

/// The simulator's callbacks.
async fn callbacks(simulator: &Simulator) -> Result<serde_json::Value> {
    let response = simulator.client.get(format!("{}/simulator/callbacks", simulator.address)).send().await;
    let body = response.map_err(|_| "the simulator does not respond")?.bytes().await;
    serde_json::from_slice(&body.map_err(|_| "the simulator's response broke off")?).map_err(|_| "no JSON".into())
}

/// Compares the outcomes with the simulator's callbacks: no customer was called twice, in this burst or before.
async fn verify(simulator: &Simulator, calls: &[Call], responses: &[Outcome], tally: &mut Tally) -> Result<()> {
    let page = callbacks(simulator).await?;
    let rows = page["callbacks"].as_array().ok_or("the simulator lists no callbacks")?;
    let mut rung = HashMap::new();
    for row in rows {
        let customer = row["customer"].as_str().unwrap_or_default();
        if row["times"] != 1 {
            return Err(format!("customer {customer} was rung {} times", row["times"]).into());
        }
        rung.insert(customer, row["call_id"].as_str().unwrap_or_default());
    }
    for (call, response) in calls.iter().zip(responses) {
        let truth = rung.get(call.customer.as_str());
        match response {
            Outcome::Rung(id) if truth != Some(&id.as_str()) => {
                return Err(
                    format!("customer {} got the ID of a call that the vendor does not know", call.customer).into()
                );
            }
            Outcome::Rung(_) => {}
            Outcome::Unknown => {
                tally.unknown += 1;
                tally.unknown_and_rung += u64::from(truth.is_some());
            }
        }
    }
    Ok(())
}
