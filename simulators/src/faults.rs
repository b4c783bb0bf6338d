//! Faults: what a vendor does on a bad day, switched on by rules while a simulator runs.
//!
//! A rule names the operation it befalls, how often, and what happens: slowness, a status, a connection that ends, an
//! answer that cannot be read, throttling, a wrong clock, revoked tokens, a batch done in part. Rules are asked in the
//! order in which they were added; the first one that strikes is the only one for that call. `docs/faults.md` is the
//! reference of the keys.
//!
//! # Layout
//!
//! `keys` reads a rule, `rule` decides whether it strikes; `fault` is what then happens around the operation; `garbage` and
//! `bomb` spoil answers; `wire` is the listener whose connections can be cut; `admin` is `/simulator/faults`.
//!
//! A simulator keeps one [`Faults`], asks it with [`Faults::strike`] once a request has come whole and its operation is
//! known, and runs the operation inside [`Fault::around`].

mod admin;
mod bomb;
mod fault;
mod garbage;
mod keys;
mod rule;
#[cfg(test)]
mod testing;
mod wire;

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use axum::http::Uri;
use serde_json::Value;
use tokio::time::Instant;

use self::rule::Rule;
pub(super) use self::{fault::Fault, wire::Wire};
pub use self::{
    rule::RuleError,
    wire::{Serving, serve},
};

/// The most rules at once.
const MOST_RULES: usize = 100;

/// What a simulator's faults know about its vendor.
pub(super) struct Vendor {
    /// The places in the vendor's table of the operations that go by a name; none if the name is unknown.
    pub find: fn(&str) -> Vec<usize>,
    /// How an operation is named, for those who did not know.
    pub naming: &'static str,
    /// Whether there are access tokens to revoke.
    pub has_tokens: bool,
    /// Whether a batch can be done in part.
    pub has_batches: bool,
}

/// The rules of one simulator.
pub struct Faults {
    vendor: Vendor,
    /// Never held across an await.
    rules: Mutex<Vec<Rule>>,
}

/// A request that has come whole.
pub(super) struct Arrived<'a> {
    /// The operation's place in the vendor's table; `None` where the request leads to none.
    pub operation: Option<usize>,
    pub uri: &'a Uri,
    pub body: &'a [u8],
}

/// What changes inside an operation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Alteration {
    /// Seconds by which the vendor's clock is ahead.
    pub clock_skew: i64,
    /// So many entries of a batch are applied, and then the call is refused.
    pub partial: Option<usize>,
}

// === impl Faults ===

impl Faults {
    pub(super) fn new(vendor: Vendor) -> Arc<Self> {
        Arc::new(Self { vendor, rules: Mutex::default() })
    }

    /// `/simulator/faults`.
    pub(super) fn routes(self: &Arc<Self>) -> axum::Router {
        admin::routes(self)
    }

    /// Adds a rule behind the others. `rule` is what `POST /simulator/faults` takes.
    ///
    /// # Errors
    /// When a key is unknown, a value is out of its limits or keys contradict each other, or there are 100 rules.
    pub fn add(&self, rule: &Value) -> Result<(), RuleError> {
        let rule = Rule::read(rule, &self.vendor)?;
        let mut rules = self.lock();
        if rules.len() >= MOST_RULES {
            return Err(RuleError::new("", format!("there are {MOST_RULES} rules already: clear them first")));
        }
        rules.push(rule);
        Ok(())
    }

    /// The rules in force, in the order in which they are asked. `times` is what is left of it.
    pub fn list(&self) -> Vec<Value> {
        self.lock().iter().map(Rule::shown).collect()
    }

    /// Removes every rule. Calls that were struck already end as they were to.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// What befalls this request: most often nothing.
    pub(super) fn strike(&self, arrived: &Arrived<'_>) -> Fault {
        let now = Instant::now();
        let mut rules = self.lock();
        let struck = rules.iter_mut().enumerate().find_map(|(place, rule)| Some((place, rule.strike(arrived, now)?)));
        let Some((place, fault)) = struck else {
            return Fault::default();
        };
        if rules[place].is_used_up() {
            rules.remove(place);
        }
        fault
    }

    /// A rule is changed in one step, so what a panic left behind is whole.
    fn lock(&self) -> MutexGuard<'_, Vec<Rule>> {
        self.rules.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A rule may hold a telephone number.
        f.debug_struct("Faults").field("rules", &self.lock().len()).finish_non_exhaustive()
    }
}

// === impl Alteration ===

impl Alteration {
    /// The time that the vendor's clock shows when it is really `now`.
    pub(super) fn clock(self, now: SystemTime) -> SystemTime {
        let skew = Duration::from_secs(self.clock_skew.unsigned_abs());
        let shifted = if self.clock_skew < 0 { now.checked_sub(skew) } else { now.checked_add(skew) };
        shifted.unwrap_or(now)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::{testing::vendor, *};

    fn struck(faults: &Faults, operation: Option<usize>, target: &str, body: &str) -> bool {
        let uri = target.parse().expect("tests use real targets");
        !faults.strike(&Arrived { operation, uri: &uri, body: body.as_bytes() }).is_nothing()
    }

    #[test]
    fn a_rule_strikes_its_operation_so_many_times() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "read", "times": 2, "status": 503 })).unwrap();
        assert!(!struck(&faults, Some(1), "/", ""));
        assert!(struck(&faults, Some(0), "/", ""));
        assert_eq!(faults.list()[0]["times"], 1);
        assert!(struck(&faults, Some(0), "/", ""));
        assert!(!struck(&faults, Some(0), "/", "") && faults.list().is_empty());
    }

    #[test]
    fn a_rule_for_all_lasts_until_it_is_cleared() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "status": 503 })).unwrap();
        for operation in [None, Some(0), Some(1)] {
            assert!(struck(&faults, operation, "/", ""));
        }
        faults.clear();
        assert!(!struck(&faults, None, "/", ""));
    }

    #[test]
    fn one_call_is_picked_by_a_text_in_path_query_or_body() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "matching": "a b+1", "status": 503 })).unwrap();
        for (target, body) in [("/x?q=a+b%2B1", ""), ("/a%20b%2B1", ""), ("/x", "{\"name\":\"a b+1\"}")] {
            assert!(struck(&faults, Some(0), target, body), "{target} {body}");
        }
        assert!(!struck(&faults, Some(0), "/x?q=a+b", "{\"name\":\"a b\"}"));
    }

    #[test]
    fn the_first_rule_that_strikes_is_the_only_one() {
        let faults = Faults::new(vendor());
        for rule in [
            json!({ "operation": "write", "times": 1, "status": 500 }),
            json!({ "operation": "*", "times": 5, "status": 503 }),
        ] {
            faults.add(&rule).unwrap();
        }
        assert!(struck(&faults, Some(1), "/", ""));
        assert_eq!(faults.list().iter().map(|rule| rule["times"].clone()).collect::<Vec<_>>(), [json!(5)]);
    }

    #[test]
    fn a_seed_makes_a_probability_repeatable() {
        let rule = |seed: u64| json!({ "operation": "*", "probability": 0.5, "seed": seed, "status": 503 });
        let play = |seed: u64| -> Vec<bool> {
            let faults = Faults::new(vendor());
            faults.add(&rule(seed)).unwrap();
            (0..64).map(|_| struck(&faults, None, "/", "")).collect()
        };
        assert_eq!(play(7), play(7));
        assert_ne!(play(7), play(8));
        assert!(play(7).contains(&true) && play(7).contains(&false));
        let never = Faults::new(vendor());
        never.add(&json!({ "operation": "*", "probability": 0, "status": 503 })).unwrap();
        assert!((0..64).all(|_| !struck(&never, None, "/", "")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_strikes_what_comes_above_it() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "rate": 2 })).unwrap();
        let burst = || [0; 4].map(|_| struck(&faults, None, "/", ""));
        assert_eq!(burst(), [false, false, true, true]);
        tokio::time::advance(Duration::from_millis(500)).await;
        assert_eq!(burst(), [false, true, true, true]);
        tokio::time::advance(Duration::from_mins(10)).await;
        assert_eq!(burst(), [false, false, true, true]);
    }

    #[test]
    fn there_are_at_most_a_hundred_rules_and_none_is_printed() {
        let faults = Faults::new(vendor());
        let rule = json!({ "operation": "*", "matching": "13800000000", "status": 503 });
        for _ in 0..MOST_RULES {
            faults.add(&rule).unwrap();
        }
        let refused = faults.add(&rule).unwrap_err().to_string();
        assert!(refused.contains("100 rules"), "{refused}");
        let printed = format!("{faults:?}");
        assert!(printed.contains("100") && !printed.contains("138"), "{printed}");
    }

    #[test]
    fn a_clock_is_shifted_both_ways() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(100);
        let shifted = |clock_skew| Alteration { clock_skew, partial: None }.clock(now);
        assert_eq!(shifted(-60), now - Duration::from_mins(1));
        assert_eq!(shifted(60), now + Duration::from_mins(1));
    }
}
