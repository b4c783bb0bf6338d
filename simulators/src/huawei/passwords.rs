//! Rules for sign-in passwords: their form (B3.5), and how they change (B3.6).

use std::time::{Duration, SystemTime};

use super::{envelope::Refusal, fields::ensure};

/// Wrong old passwords that lock an account.
const MAX_FAILURES: u32 = 3;

/// How long an account is locked.
const LOCKED: Duration = Duration::from_mins(30);

/// Shortest time between two changes of a password.
const CHANGE_INTERVAL: Duration = Duration::from_hours(24);

/// The history that the rules for changing a password depend on (B3.6).
#[derive(Default)]
pub(super) struct PasswordRules {
    failures: u32,
    locked_until: Option<SystemTime>,
    changed_at: Option<SystemTime>,
}

// === impl PasswordRules ===

impl PasswordRules {
    /// Records a change of the password, if it is allowed. A wrong old password is counted.
    pub(super) fn change(&mut self, old_is_right: bool, now: SystemTime) -> Result<(), Refusal> {
        if let Some(until) = self.locked_until {
            ensure(until <= now, "The account is locked")?;
            *self = PasswordRules { changed_at: self.changed_at, ..PasswordRules::default() };
        }
        if !old_is_right {
            self.failures += 1;
            if self.failures == MAX_FAILURES {
                self.locked_until = Some(now + LOCKED);
            }
            return Err(Refusal::because("The old password is incorrect"));
        }
        self.failures = 0;
        ensure(
            self.changed_at.is_none_or(|at| at + CHANGE_INTERVAL <= now),
            "The password can be changed once in 24 hours",
        )?;
        self.changed_at = Some(now);
        Ok(())
    }
}

/// Checks a sign-in password: exactly 8 characters, of four classes (B3.5).
pub(super) fn check(password: &str) -> Result<(), Refusal> {
    let has = |class: fn(&u8) -> bool| password.as_bytes().iter().any(&class);
    ensure(
        password.len() == 8
            && password.bytes().all(|byte| byte.is_ascii_graphic())
            && has(u8::is_ascii_uppercase)
            && has(u8::is_ascii_lowercase)
            && has(u8::is_ascii_digit)
            && has(u8::is_ascii_punctuation),
        "The password must have 8 characters: upper case, lower case, digit and special",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_have_8_characters_of_four_classes() {
        assert_eq!(check("Abcde#12"), Ok(()));
        for invalid in ["Abcd#12", "Abcdef#12", "abcde#12", "ABCDE#12", "Abcdef#g", "Abcdef12", "Abc e#12"] {
            assert!(check(invalid).is_err(), "{invalid}");
        }
    }

    /// Minutes since some start.
    fn at(minutes: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_mins(minutes)
    }

    #[test]
    fn three_wrong_passwords_lock_for_30_minutes() {
        let mut rules = PasswordRules::default();
        for _ in 0..3 {
            assert!(rules.change(false, at(0)).is_err());
        }
        assert_eq!(rules.change(true, at(29)), Err(Refusal::because("The account is locked")));
        assert_eq!(rules.change(true, at(30)), Ok(()));
    }

    #[test]
    fn a_right_password_and_the_end_of_a_lock_begin_the_count_anew() {
        let mut rules = PasswordRules::default();
        let wrong = Err(Refusal::because("The old password is incorrect"));
        for start in [0, 30] {
            for _ in 0..3 {
                assert_eq!(rules.change(false, at(start)), wrong);
            }
        }
        assert_eq!(rules.change(false, at(60)), wrong);
        assert_eq!(rules.change(false, at(60)), wrong);
        assert_eq!(rules.change(true, at(60)), Ok(()));
        assert_eq!(rules.change(false, at(60)), wrong);
        assert_eq!(rules.change(false, at(60)), wrong);
        assert_eq!(rules.change(true, at(60 + 24 * 60)), Ok(()));
    }

    #[test]
    fn a_password_is_changed_once_in_24_hours() {
        let mut rules = PasswordRules::default();
        assert_eq!(rules.change(true, at(0)), Ok(()));
        assert!(rules.change(true, at(24 * 60 - 1)).is_err());
        assert_eq!(rules.change(true, at(24 * 60)), Ok(()));
    }
}
