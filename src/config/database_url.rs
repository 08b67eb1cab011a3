//! The address of the database. It may contain a password, which only `reveal` shows.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A database URL whose `Debug` and `Display` hide the password.
///
/// Any text is accepted; [`Config::check`](super::Config::check) refuses addresses of unsupported databases.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The URL with its password, for opening the connection only.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// The text before the first colon (`sqlite`, `postgres`, `postgresql`). Empty unless it is lower-case letters.
    #[must_use]
    pub fn scheme(&self) -> &str {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        if scheme.bytes().all(|byte| byte.is_ascii_lowercase()) { scheme } else { "" }
    }

    /// True if the database is a SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.scheme() == "sqlite"
    }

    /// True if the database is a PostgreSQL server.
    #[must_use]
    pub fn is_postgres(&self) -> bool {
        matches!(self.scheme(), "postgres" | "postgresql")
    }
}

impl From<&str> for DatabaseUrl {
    fn from(url: &str) -> Self {
        Self(url.to_owned())
    }
}

impl FromStr for DatabaseUrl {
    type Err = Infallible;

    fn from_str(url: &str) -> Result<Self, Infallible> {
        Ok(Self::from(url))
    }
}

impl fmt::Display for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&masked(self))
    }
}

impl fmt::Debug for DatabaseUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "DatabaseUrl({:?})", masked(self))
    }
}

/// The URL without its password. Also handles malformed URLs, so that a typing error does not reveal the password.
fn masked(url: &DatabaseUrl) -> String {
    if url.is_sqlite() {
        return mask_parameters(&url.0);
    }
    if url.0.is_empty() {
        return String::new();
    }
    let Some((scheme, rest)) = url.0.split_once("://") else {
        return "***".to_owned();
    };
    // The last @, because a password may contain one that is not escaped.
    let shown = match rest.rsplit_once('@') {
        Some((user, host)) => {
            user.split_once(':').map_or_else(|| rest.to_owned(), |(user, _)| format!("{user}:***@{host}"))
        }
        None => mask_misplaced_password(rest),
    };
    mask_parameters(&format!("{scheme}://{shown}"))
}

/// Masks `user:password/db`, where the host is missing: the text in the place of the port is not a number.
fn mask_misplaced_password(rest: &str) -> String {
    let (authority, path) = rest.find(['/', '?']).map_or((rest, ""), |end| rest.split_at(end));
    match authority.split_once(':') {
        Some((host, port)) if !host.starts_with('[') && !port.bytes().all(|byte| byte.is_ascii_digit()) => {
            format!("{host}:***{path}")
        }
        _ => rest.to_owned(),
    }
}

fn mask_parameters(url: &str) -> String {
    let Some((address, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let parameters: Vec<_> = query
        .split('&')
        .map(|parameter| match parameter.split_once('=') {
            Some((name, _)) if ["pass", "secret", "token"].iter().any(|word| name.contains(word)) => {
                format!("{name}=***")
            }
            _ => parameter.to_owned(),
        })
        .collect();
    format!("{address}?{}", parameters.join("&"))
}

#[cfg(test)]
mod tests {
    use super::DatabaseUrl;

    #[test]
    fn no_url_shows_its_password() {
        for (url, shown) in [
            ("postgres://user:hunter2@host/db", "postgres://user:***@host/db"),
            ("postgres://user:hun@ter2@host:5432/db", "postgres://user:***@host:5432/db"),
            ("postgres://user:hun/ter?2@host/db", "postgres://user:***@host/db"),
            ("postgres://host/db?user=me&password=hunter2", "postgres://host/db?user=me&password=***"),
            ("postgres://user:hunter2/db", "postgres://user:***/db"),
            ("postgres://host:5432/db", "postgres://host:5432/db"),
            ("postgres://user@host/db", "postgres://user@host/db"),
            ("postgres://[::1]:5432/db", "postgres://[::1]:5432/db"),
            ("host=localhost password=hunter2", "***"),
            ("sqlite://perfgraph.sqlite?mode=rwc", "sqlite://perfgraph.sqlite?mode=rwc"),
        ] {
            let secret = DatabaseUrl::from(url);
            assert_eq!(secret.to_string(), shown);
            assert_eq!(format!("{secret:?}"), format!("DatabaseUrl({shown:?})"));
            assert_eq!(secret.reveal(), url);
        }
    }
}
