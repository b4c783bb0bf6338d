//! The rules of one simulator.

use std::{
    fmt,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::time::Instant;

use super::{
    fault::Fault,
    rule::Rule,
    vendor::{ReceivedRequest, Vendor},
};
use crate::rule_error::RuleError;

/// Most rules at once.
const MAX_RULES: usize = 100;

/// The rules of one simulator.
pub struct Faults {
    vendor: Vendor,
    /// Never held across an await.
    rules: Mutex<Vec<Rule>>,
}

// === impl Faults ===

impl Faults {
    pub(crate) fn new(vendor: Vendor) -> Arc<Self> {
        Arc::new(Self { vendor, rules: Mutex::default() })
    }

    /// Adds a rule after the others. `rule` is the body of `POST /simulator/faults`.
    ///
    /// # Errors
    /// A key is unknown, a value is out of its limits, keys contradict each other, or there are 100 rules.
    pub fn add(&self, rule: &Value) -> Result<(), RuleError> {
        let rule = Rule::read(rule, &self.vendor)?;
        let mut rules = self.lock();
        if rules.len() >= MAX_RULES {
            return Err(RuleError::new("", format!("there are {MAX_RULES} rules already: clear them first")));
        }
        rules.push(rule);
        Ok(())
    }

    /// The rules in force, in the order in which they are tried. `times` is what remains of it.
    pub(crate) fn list(&self) -> Vec<Value> {
        self.lock().iter().map(Rule::to_json).collect()
    }

    /// Removes every rule. A fault that was triggered before still runs to its end.
    pub fn clear(&self) {
        self.lock().clear();
    }

    /// The fault of the first rule that this request triggers; without one, a fault that does nothing.
    pub(crate) fn trigger(&self, request: &ReceivedRequest<'_>) -> Fault {
        let now = Instant::now();
        let mut rules = self.lock();
        let triggered =
            rules.iter_mut().enumerate().find_map(|(index, rule)| Some((index, rule.trigger(request, now)?)));
        let Some((index, fault)) = triggered else {
            return Fault::default();
        };
        if rules[index].is_exhausted() {
            rules.remove(index);
        }
        fault
    }

    /// A rule changes in one step, so a panic leaves no rule half changed.
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::{super::testing::vendor, *};

    fn triggered(faults: &Faults, operation: Option<usize>, target: &str, body: &str) -> bool {
        let uri = target.parse().expect("tests use real targets");
        !faults.trigger(&ReceivedRequest { operation, uri: &uri, body: body.as_bytes() }).is_none()
    }

    #[test]
    fn a_rule_strikes_its_operation_so_many_times() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "read", "times": 2, "status": 503 })).unwrap();
        assert!(!triggered(&faults, Some(1), "/", ""));
        assert!(triggered(&faults, Some(0), "/", ""));
        assert_eq!(faults.list()[0]["times"], 1);
        assert!(triggered(&faults, Some(0), "/", ""));
        assert!(!triggered(&faults, Some(0), "/", "") && faults.list().is_empty());
    }

    #[test]
    fn a_rule_for_all_lasts_until_it_is_cleared() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "status": 503 })).unwrap();
        for operation in [None, Some(0), Some(1)] {
            assert!(triggered(&faults, operation, "/", ""));
        }
        faults.clear();
        assert!(!triggered(&faults, None, "/", ""));
    }

    #[test]
    fn one_call_is_picked_by_a_text_in_path_query_or_body() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "matching": "a b+1", "status": 503 })).unwrap();
        for (target, body) in [("/x?q=a+b%2B1", ""), ("/a%20b%2B1", ""), ("/x", "{\"name\":\"a b+1\"}")] {
            assert!(triggered(&faults, Some(0), target, body), "{target} {body}");
        }
        assert!(!triggered(&faults, Some(0), "/x?q=a+b", "{\"name\":\"a b\"}"));
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
        assert!(triggered(&faults, Some(1), "/", ""));
        assert_eq!(faults.list().iter().map(|rule| rule["times"].clone()).collect::<Vec<_>>(), [json!(5)]);
    }

    #[test]
    fn a_seed_makes_a_probability_repeatable() {
        let rule = |seed: u64| json!({ "operation": "*", "probability": 0.5, "seed": seed, "status": 503 });
        let play = |seed: u64| -> Vec<bool> {
            let faults = Faults::new(vendor());
            faults.add(&rule(seed)).unwrap();
            (0..64).map(|_| triggered(&faults, None, "/", "")).collect()
        };
        assert_eq!(play(7), play(7));
        assert_ne!(play(7), play(8));
        assert!(play(7).contains(&true) && play(7).contains(&false));
        let never = Faults::new(vendor());
        never.add(&json!({ "operation": "*", "probability": 0, "status": 503 })).unwrap();
        assert!((0..64).all(|_| !triggered(&never, None, "/", "")));
    }

    #[tokio::test(start_paused = true)]
    async fn a_rate_strikes_what_comes_above_it() {
        let faults = Faults::new(vendor());
        faults.add(&json!({ "operation": "*", "rate": 2 })).unwrap();
        let burst = || [0; 4].map(|_| triggered(&faults, None, "/", ""));
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
        for _ in 0..MAX_RULES {
            faults.add(&rule).unwrap();
        }
        let refused = faults.add(&rule).unwrap_err().to_string();
        assert!(refused.contains("100 rules"), "{refused}");
        let printed = format!("{faults:?}");
        assert!(printed.contains("100") && !printed.contains("138"), "{printed}");
    }
}
