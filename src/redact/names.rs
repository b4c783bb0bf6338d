//! Names of fields that hold secrets.

/// Whether a vendor's field of this name holds a secret.
pub(crate) fn is_secret(key: &str) -> bool {
    // This runs for each field of every callback, so a word is compared only where its first letter occurs.
    let key = key.as_bytes();
    let holds = |at: usize| {
        let words: &[&[u8]] = match key[at].to_ascii_lowercase() {
            b'a' => &[b"authorization"],
            b'c' => &[b"credential"],
            b'p' => &[b"passwd", b"password", b"pwd"],
            b's' => &[b"secret", b"signature"],
            b't' => &[b"token"],
            _ => return false,
        };
        let begins = |word: &&[u8]| key[at..].get(..word.len()).is_some_and(|part| part.eq_ignore_ascii_case(word));
        words.iter().any(begins)
    };
    (0..key.len()).any(holds) || ends_in_sign(key)
}

/// Whether the last word of a name is `Sign`: `Sign`, `app_sign`, `appSign`, but not `design` or `SignalType`.
fn ends_in_sign(key: &[u8]) -> bool {
    let Some((before, word)) = key.split_last_chunk::<4>() else { return false };
    word.eq_ignore_ascii_case(b"sign")
        && match before.last() {
            None | Some(b'_' | b'-' | b'.') => true,
            Some(letter) => letter.is_ascii_lowercase() && word[0] == b'S',
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for secret in
            ["Password", "sipPwd", "AccessToken", "Sign", "sign", "app_sign", "appSign", "signature", "SECRET"]
        {
            assert!(is_secret(secret), "{secret}");
        }
        for plain in ["", "SignalType", "design", "assign", "SIGNAL", "IsSignedIn", "AgentId", "pass", "callSerialNo"] {
            assert!(!is_secret(plain), "{plain}");
        }
    }

    #[test]
    fn each_word_for_a_secret_is_known_anywhere_in_a_name() {
        for word in ["authorization", "credential", "passwd", "password", "pwd", "secret", "signature", "token"] {
            for name in [word.to_owned(), format!("app_{word}"), format!("{word}_1"), word.to_uppercase()] {
                assert!(is_secret(&name), "{name}");
            }
            assert!(!is_secret(&word[..word.len() - 1]) || word == "password", "{word}");
        }
    }
}
