//! The search for secrets and personal data in what the gateway wrote.

use super::*;

/// The logs of this thread, which runs the test's runtime.
#[derive(Clone, Default)]
pub(crate) struct Logs(pub(super) Arc<Mutex<Vec<u8>>>);

/// The secrets and personal data of the inputs.
#[derive(Default)]
pub(super) struct Sought {
    /// Secrets, passwords, tokens, signatures: allowed only in the responses that return them.
    pub(super) credentials: BTreeSet<String>,
    /// Telephone numbers, e-mail addresses and names: allowed in responses only.
    pub(super) people: BTreeSet<String>,
}

/// The outputs.
#[derive(Default)]
pub(super) struct Found {
    /// With the resource names of the request, which an error may repeat.
    pub(super) errors: Vec<(String, Vec<String>)>,
    pub(super) responses: Vec<(String, Value)>,
    /// Lines without their values, which differ between gateways.
    pub(super) metrics: BTreeSet<String>,
}

// === impl Logs ===

impl Logs {
    /// Captures the logs at these `RUST_LOG` directives.
    pub(crate) fn capture(directives: &str) -> (Self, DefaultGuard) {
        /// While only one dispatcher exists, tracing asks the dispatcher of the thread that meets an event first. If
        /// that is another test's thread, which has none, the event stays disabled.
        static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(tracing_subscriber::registry()));
        LazyLock::force(&SECOND);
        let logs = Self::default();
        let lines = fmt::layer().with_ansi(false).without_time().with_writer({
            let logs = logs.clone();
            move || logs.clone()
        });
        let guard =
            tracing_subscriber::registry().with(log_filter(EnvFilter::new(directives))).with(lines).set_default();
        (logs, guard)
    }

    /// The text so far, without trace IDs, which are random.
    pub(crate) fn text(&self) -> String {
        let text = String::from_utf8(self.0.lock().unwrap().clone()).unwrap();
        Regex::new("trace_id=\"[0-9a-f]{32}\"").unwrap().replace_all(&text, "").into_owned()
    }
}

impl io::Write for Logs {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// === impl Sought ===

impl Sought {
    /// The credentials of the test tenants.
    pub(super) fn new() -> Self {
        // The last two begin every password of the simulated Huawei tenant.
        let fixed = [AUTH_TOKEN, APP_SECRET, SID, APP_KEY, "token-of-the-tests", "Sip~phone", "Aa#1"];
        Self { credentials: fixed.map(str::to_owned).into(), people: BTreeSet::new() }
    }

    /// Collects the secrets and personal data of a request or response on either side.
    pub(super) fn collect(&mut self, key: &str, value: &Value) {
        match value {
            Value::Object(members) => members.iter().for_each(|(key, value)| self.collect(key, value)),
            Value::Array(items) => items.iter().for_each(|item| self.collect(key, item)),
            Value::String(text) => {
                if let Some(inner) = serde_json::from_str(text).ok().filter(Value::is_object) {
                    self.collect(key, &inner);
                }
                self.collect_text(&key.to_lowercase(), text);
            }
            Value::Number(number) => self.collect_text(key, &number.to_string()),
            Value::Null | Value::Bool(_) => {}
        }
    }

    pub(super) fn collect_text(&mut self, key: &str, text: &str) {
        let is_password = ["password", "pwd", "secret"].iter().any(|word| key.contains(word)) && key != "page_token";
        if is_password && text.len() > 3 && text.bytes().any(|byte| byte != b'*') {
            self.credentials.insert(text.to_owned());
        }
        let named = ["name", "nickname", "agentname", "username", "accountname", "display_name", "login_account"];
        let is_name = named.contains(&key) && !text.contains('/') && text.chars().any(char::is_alphabetic);
        let is_address = text.split_once('@').is_some_and(|(_, host)| host.contains('.'));
        if text.len() > 3 && (is_name || is_address) {
            self.people.insert(text.to_owned());
        }
        let numbers = text.split(|char: char| !char.is_ascii_digit()).filter(|number| number.len() >= 7);
        self.people.extend(numbers.map(str::to_owned));
    }

    /// Collects those of a vendor request.
    pub(super) fn collect_asked(&mut self, asked: &Asked) {
        self.credentials.extend(asked.query.get("Sign").cloned());
        self.collect("", &serde_json::from_str(&asked.body).unwrap_or_default());
        asked.query.iter().for_each(|(key, value)| self.collect(key, &json!(value)));
    }

    pub(super) fn all(&self) -> impl Iterator<Item = &String> {
        self.credentials.iter().chain(&self.people)
    }
}

// === impl Found ===

impl Found {
    /// Makes a call and stores its outcome.
    pub(super) async fn call(&mut self, sought: &mut Sought, client: &Client, method: &str, request: &Value) {
        sought.collect("", request);
        match client.call(method, request.clone()).await {
            Ok(response) => {
                sought.collect("", &response);
                self.responses.push((method.to_owned(), response));
            }
            Err(failure) => self.errors.push((format!("{method}: {}", failure.reported), names(request))),
        }
    }

    /// Stores a gateway's metrics.
    pub(super) async fn metrics(&mut self, gateway: &Gateway) {
        let (status, text) = gateway.admin("/metrics").await;
        assert_eq!(status, 200);
        self.metrics.extend(text.lines().filter_map(|line| Some(line.rsplit_once(' ')?.0.to_owned())));
    }

    /// Panics at the first leak.
    pub(super) fn search(self, sought: &Sought, logs: &str) {
        let leak = leak(logs, sought.all().map(String::as_str));
        let line = leak.and_then(|text| logs.lines().find(|line| line.contains(text)));
        assert!(leak.is_none(), "{leak:?} is in the logs: {line:?}");
        let metrics = self.metrics.into_iter().collect::<Vec<_>>().join("\n");
        let strange = |(error, mut own): (String, Vec<String>)| {
            own.sort_by_key(|name| std::cmp::Reverse(name.len()));
            own.iter().fold(error, |error, name| error.replace(name, ""))
        };
        let errors: Vec<String> = self.errors.into_iter().map(strange).collect();
        for text in sought.all() {
            for error in &errors {
                assert!(!error.contains(text.as_str()), "{text:?} is in {error}");
            }
            assert!(!metrics.contains(text.as_str()), "{text:?} is in the metrics");
        }
        for (method, mut response) in self.responses {
            if method == "AccessSoftphoneCredentials" {
                continue;
            }
            let fields = response.as_object_mut().unwrap();
            match method.as_str() {
                "CreateExtension" => fields.remove("initial_password"),
                "CreateAgent" => fields.remove("provisioned_extensions"),
                _ => None,
            };
            let response = response.to_string();
            for text in &sought.credentials {
                assert!(!response.contains(text.as_str()), "{text:?} is in the response of {method}: {response}");
            }
        }
    }
}

/// The resource names in a request, including that of a callback's entry number.
pub(super) fn names(request: &Value) -> Vec<String> {
    match request {
        Value::Object(members) => {
            let number = members.get("entry_number").and_then(Value::as_str);
            let number = number.map(|number| format!("phoneNumbers/{number}"));
            members.values().flat_map(names).chain(number).collect()
        }
        Value::Array(items) => items.iter().flat_map(names).collect(),
        Value::String(text) if text.starts_with("centers/") => vec![text.clone()],
        _ => Vec::new(),
    }
}

/// The first leak in the logs.
pub(super) fn leak<'a>(logs: &'a str, mut texts: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    // Secrets have one of these forms or follow one of these words.
    const FORMS: &str = r"(?i-u)://|bearer|sign=|authorization|\b[0-9a-f]{40}\b|\b1[3-9][0-9]{9}\b";
    let form = || Regex::new(FORMS).unwrap().find(logs).map(|found| found.as_str());
    texts.find(|text| logs.contains(text)).or_else(form)
}
