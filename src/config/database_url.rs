//! The database's address, which may carry a password: shown without it everywhere except through `reveal`.

use std::convert::Infallible;
use std::fmt;
use std::str::FromStr;

/// A database URL whose `Debug` and `Display` hide the password.
///
/// Anything can be one; [`Config::check`](super::Config::check) refuses what no supported database understands.
#[derive(Clone, PartialEq, Eq)]
pub struct DatabaseUrl(String);

impl DatabaseUrl {
    /// The whole URL with its password: only for whoever opens the connection.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// What stands before the first colon (`sqlite`, `postgres`, `postgresql`); empty when it holds no plain word.
    #[must_use]
    pub fn scheme(&self) -> &str {
        let scheme = self.0.split_once(':').map_or("", |(scheme, _)| scheme);
        if scheme.bytes().all(|byte| byte.is_ascii_lowercase()) { scheme } else { "" }
    }

    /// Whether the database is a SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        self.scheme() == "sqlite"
    }

    /// Whether the database is a PostgreSQL server.
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

/// Works on URLs that no parser would accept: a slip in the URL must not print the password, so in doubt it hides more.
fn masked(url: &DatabaseUrl) -> String {
    if url.is_sqlite() {
        return mask_parameters(&url.0);
    }
    let Some((scheme, rest)) = url.0.split_once("://") else {
        return "***".to_owned();
    };
    // The last @, because a password may hold one that was not escaped.
    let shown = match rest.rsplit_once('@') {
        Some((user, host)) => {
            user.split_once(':').map_or_else(|| rest.to_owned(), |(user, _)| format!("{user}:***@{host}"))
        }
        None => mask_misplaced_password(rest),
    };
    mask_parameters(&format!("{scheme}://{shown}"))
}

/// `user:password/db` with the host forgotten: what should be a port is no number.
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
    fn no_form_of_url_shows_its_password() {
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
