//! Callback addresses of others: their user information and query may be secrets.

use url::Url;

use super::MASK;

/// A URI without its user information and query.
pub fn uri(text: String) -> String {
    let (address, has_query) = match text.split_once('?') {
        Some((address, _)) => (address, true),
        None => (text.as_str(), false),
    };
    let mut masked = without_user_information(address);
    if has_query {
        masked.push('?');
        masked.push_str(MASK);
    }
    masked
}

fn without_user_information(address: &str) -> String {
    if let Ok(mut url) = Url::parse(address)
        && url.has_host()
    {
        if url.username().is_empty() && url.password().is_none() {
            return address.to_owned();
        }
        if url.set_password(None).is_ok() && url.set_username(MASK).is_ok() {
            return url.into();
        }
    }
    // No URL with a host: nothing before an `@` is shown.
    match address.rsplit_once('@') {
        Some((_, rest)) => format!("{MASK}@{rest}"),
        None => address.to_owned(),
    }
}

/// Whether [`uri`] masked a part of this URI.
pub fn is_masked_uri(url: &Url) -> bool {
    url.username() == MASK || url.query() == Some(MASK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_information_and_query_are_masked_and_nothing_else() {
        for (text, masked) in [
            ("https://crm.example.com/calls", "https://crm.example.com/calls"),
            ("https://crm.example.com/@team/calls#part", "https://crm.example.com/@team/calls#part"),
            ("https://crm.example.com:8443/calls?token=t0ken&a=b", "https://crm.example.com:8443/calls?***"),
            ("https://crm.example.com/calls?", "https://crm.example.com/calls?***"),
            ("https://crm.example.com/#part?t0ken", "https://crm.example.com/#part?***"),
            ("https://me:t0ken@crm.example.com/calls", "https://***@crm.example.com/calls"),
            ("https://t0ken@crm.example.com", "https://***@crm.example.com/"),
            ("https://:t0ken@crm.example.com/?t0ken", "https://***@crm.example.com/?***"),
            ("http:/me:t0ken@crm.example.com/a", "http://***@crm.example.com/a"),
            ("http:\\\\me:t0ken@crm.example.com", "http://***@crm.example.com/"),
            ("me:t0ken@crm.example.com/calls?t0ken", "***@crm.example.com/calls?***"),
            ("//me:t0ken@crm.example.com/calls", "***@crm.example.com/calls"),
            ("crm.example.com/calls", "crm.example.com/calls"),
            ("", ""),
        ] {
            assert_eq!(uri(text.to_owned()), masked, "{text}");
            assert!(!uri(text.to_owned()).contains("t0ken"));
            // Masked again, it is the same; and what is masked shows as such.
            assert_eq!(uri(masked.to_owned()), masked);
            if let Some(url) = Url::parse(masked).ok().filter(Url::has_host) {
                assert_eq!(
                    is_masked_uri(&url),
                    masked.split('#').next().unwrap_or_default().contains(MASK),
                    "{masked}"
                );
            }
        }
    }
}
