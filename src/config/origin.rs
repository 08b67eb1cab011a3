//! The origin of a web page, as browsers send it: scheme, host, and the port unless it is the default.

use std::fmt;

/// An origin in lower case, such as `https://app.example.com` or `http://localhost:3000`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    text: String,
    authority_at: usize,
}

impl Origin {
    /// Parses an origin. Paths, wildcards and user names are refused.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim().to_ascii_lowercase();
        let (scheme, authority) = text.split_once("://")?;
        let default_port = match scheme {
            "http" => ":80",
            "https" => ":443",
            _ => return None,
        };
        let host = authority.strip_suffix(default_port).unwrap_or(authority);
        let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-.:[]_".contains(&byte);
        if host.is_empty() || host.starts_with([':', '.']) || !host.bytes().all(is_host) {
            return None;
        }
        Some(Self { text: format!("{scheme}://{host}"), authority_at: scheme.len() + "://".len() })
    }

    /// The value of the header `Origin`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Host and port, as in the header `Host`.
    pub fn authority(&self) -> &str {
        &self.text[self.authority_at..]
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_origins_are_parsed() {
        for (text, origin, authority) in [
            ("https://App.Example.com", "https://app.example.com", "app.example.com"),
            (" http://localhost:3000 ", "http://localhost:3000", "localhost:3000"),
            ("https://example.com:443", "https://example.com", "example.com"),
            ("http://[::1]:80", "http://[::1]", "[::1]"),
            ("https://example.com:80", "https://example.com:80", "example.com:80"),
        ] {
            let parsed = Origin::parse(text).unwrap();
            assert_eq!((parsed.as_str(), parsed.authority()), (origin, authority));
        }
        for text in [
            "",
            "*",
            "null",
            "example.com",
            "ftp://a",
            "https://",
            "https://a/",
            "https://u@a",
            "https://*.a",
            "https://:1",
        ] {
            assert_eq!(Origin::parse(text), None, "{text}");
        }
    }
}
