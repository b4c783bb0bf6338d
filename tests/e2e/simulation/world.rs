//! The simulated world: the vendors, the network and the store.

use super::*;

/// The vendors and the network: the ground truth.
#[derive(Debug)]
pub(super) struct World {
    pub(super) rng: Rng,
    /// How often each customer was called.
    pub(super) rung: BTreeMap<String, usize>,
    /// Requests for each agent; each call reads another agent.
    pub(super) asked: BTreeMap<String, usize>,
    /// Calls to Udesk.
    pub(super) calls: usize,
    /// Whether the schedule is a burst of reads.
    pub(super) burst: bool,
    pub(super) tokens_at_once: usize,
    pub(super) most_tokens_at_once: usize,
    /// Tokens below this are rejected.
    pub(super) oldest_valid_token: usize,
    pub(super) tokens: usize,
    /// The probability of each fault, in percent.
    pub(super) faults: u8,
    pub(super) stored: BTreeMap<Hash, (Hash, Option<Vec<u8>>)>,
}

#[derive(Debug, Clone)]
pub(super) struct Shared(pub(super) Arc<Mutex<World>>);

impl Shared {
    pub(super) fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let faults = rng.u8(0..40);
        Self(Arc::new(Mutex::new(World {
            rng,
            rung: BTreeMap::new(),
            asked: BTreeMap::new(),
            calls: 0,
            burst: false,
            tokens_at_once: 0,
            most_tokens_at_once: 0,
            oldest_valid_token: 1,
            tokens: 0,
            faults,
            stored: BTreeMap::new(),
        })))
    }

    pub(super) fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    pub(super) fn chance(&self) -> bool {
        let mut world = self.world();
        let faults = world.faults;
        world.rng.u8(0..100) < faults
    }

    pub(super) fn millis(&self, most: u64) -> Duration {
        Duration::from_millis(self.world().rng.u64(0..=most))
    }

    /// The vendor processes a request.
    pub(super) async fn process(&self, request: &HttpRequest) -> Value {
        let path = request.uri.path();
        if path.ends_with("/tokenByAkSk") {
            {
                let mut world = self.world();
                world.tokens_at_once += 1;
                world.most_tokens_at_once = world.most_tokens_at_once.max(world.tokens_at_once);
            }
            let _fetch = TokenFetch(self.clone());
            sleep(self.millis(500)).await;
            let mut world = self.world();
            world.tokens += 1;
            return json!({"AccessToken": format!("token-{}", world.tokens), "Expires": "20"});
        }
        if path.ends_with("/callback2ivr") {
            let body: Value = serde_json::from_slice(request.body.as_ref().unwrap()).unwrap();
            let customer = body["caller"].as_str().unwrap().to_owned();
            let mut world = self.world();
            if world.rng.u8(0..100) < 10 {
                return json!({"code": "200022", "message": "no route"});
            }
            *world.rung.entry(customer.clone()).or_default() += 1;
            return json!({"code": "000000", "message": "OK", "results": format!("call-{customer}")});
        }
        if path.ends_with("/querySysInfo") {
            return json!({"serviceIp": "10.0.0.1", "servicePort": 448, "agents": []});
        }
        if path.ends_with("/queryPhone") {
            return json!({"retCode": "2", "retMsg": "none"});
        }
        json!({"ErrCode": "000000", "ErrDesc": "OK", "Result": {"AgentId": "7"}})
    }
}

pub(super) struct TokenFetch(pub(super) Shared);

impl Drop for TokenFetch {
    fn drop(&mut self) {
        self.0.world().tokens_at_once -= 1;
    }
}

pub(super) fn response(status: u16, body: impl Into<Bytes>) -> HttpResponse {
    HttpResponse { status: StatusCode::from_u16(status).unwrap(), headers: HeaderMap::new(), body: body.into() }
}

#[async_trait]
impl Transport for Shared {
    async fn send(&self, request: HttpRequest, _largest: usize) -> Result<HttpResponse, Lost> {
        let path = request.uri.path();
        if let Some((_, agent)) = path.split_once("/agents/") {
            *self.world().asked.entry(agent.to_owned()).or_default() += 1;
        }
        sleep(self.millis(40)).await;
        if self.chance() {
            return Err(Lost::NotSent("connection failed"));
        }
        if self.chance() {
            // The request is lost on its way; the client cannot know.
            sleep(self.millis(2_000)).await;
            return Err(Lost::Broken("the connection broke before the response"));
        }
        let token = request.headers.get("authorization").and_then(|value| value.to_str().ok()?.rsplit_once('-'));
        if let Some((_, number)) = token
            && number.parse::<usize>().unwrap() < self.world().oldest_valid_token
        {
            return Ok(response(401, "Unauthorized operation."));
        }
        if self.chance() {
            return Ok(response(if self.chance() { 503 } else { 500 }, "<html>overloaded</html>"));
        }
        let body = self.process(&request).await;
        sleep(self.millis(60)).await;
        // From here on, the vendor has processed the request.
        if self.chance() {
            return Err(Lost::Broken("the connection broke during the response"));
        }
        if self.chance() {
            sleep(Duration::from_secs(600)).await;
        }
        if self.chance() {
            return Ok(response(200, &b"{\"code\": \"0000"[..]));
        }
        Ok(response(200, body.to_string()))
    }
}

/// The store, which survives a killed gateway.
#[async_trait]
impl IdempotencyStore for Shared {
    async fn begin(&self, call: Hash, content: Hash, _now: SystemTime, _expired: SystemTime) -> Result<CallState> {
        sleep(self.millis(5)).await;
        let mut world = self.world();
        Ok(match world.stored.get(&call) {
            Some((other, _)) if *other != content => CallState::ContentMismatch,
            Some((_, Some(sealed))) => CallState::Completed(sealed.clone()),
            Some((_, None)) => CallState::Interrupted,
            None => {
                world.stored.insert(call, (content, None));
                CallState::New
            }
        })
    }

    async fn complete(&self, call: Hash, sealed: Vec<u8>) -> Result<()> {
        sleep(self.millis(5)).await;
        self.world().stored.entry(call).and_modify(|stored| stored.1 = Some(sealed));
        Ok(())
    }

    async fn discard(&self, call: Hash) -> Result<()> {
        sleep(self.millis(5)).await;
        self.world().stored.remove(&call);
        Ok(())
    }

    async fn key(&self) -> Result<Hash> {
        Ok([7; 32])
    }
}

/// No events in the simulation.
#[derive(Debug)]
pub(super) struct NoEvents;

#[async_trait]
impl EventLog for NoEvents {
    async fn append(&self, _center: &str, _body: Bytes, _fingerprint: Fingerprint) -> Result<Appended> {
        Err(Error::internal("no callbacks"))
    }

    async fn extent(&self, _center: &str) -> Result<Extent> {
        Err(Error::internal("nobody watches"))
    }

    async fn seek(&self, _center: &str, _time: SystemTime) -> Result<u64> {
        Err(Error::internal("nobody watches"))
    }

    async fn read(&self, _center: &str, _after: u64) -> Result<Box<dyn Reader>> {
        Err(Error::internal("nobody watches"))
    }
}
