//! The settings that statements on PostgreSQL rely on: those of a session, sent when it begins, or through a pooler in transaction
//! mode, which knows no sessions, those of each transaction.

use std::{str::FromStr, sync::Arc};

use sqlx::postgres::PgConnectOptions;

use crate::{
    config::{self, DatabaseUrl},
    error::{Error, Result},
};

/// Number of prepared statements of a connection, unless the URL says another one.
const STATEMENTS: usize = 256;
/// The parameter of the URL that says it.
const STATEMENTS_PARAMETER: &str = "statement-cache-capacity";

/// PostgreSQL gives a client up that is out of reach for this long, and rolls its transaction back, which frees its
/// locks. Seconds, a number, and milliseconds.
const OUT_OF_REACH: [(&str, &str); 4] = [
    ("tcp_keepalives_idle", "5"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
];

/// Settings, each with its value.
#[derive(Clone, Debug)]
pub struct SessionSettings(Vec<(&'static str, String)>);

impl SessionSettings {
    /// For queries.
    pub fn reading(settings: &config::Database) -> Self {
        let statement_timeout = settings.statement_timeout.as_millis().to_string();
        Self(vec![
            ("statement_timeout", statement_timeout.clone()),
            // A transaction between whose statements more time passes than any of them may take belongs to a client that is
            // gone.
            ("idle_in_transaction_session_timeout", statement_timeout),
            // Reports read thousands of rows, not millions: starting parallel workers or compiling the query would take
            // longer than the query.
            ("max_parallel_workers_per_gather", "0".to_owned()),
            ("jit", "off".to_owned()),
            // A report of three tables with partitions takes longer to plan than to run, and PostgreSQL planned it anew each
            // time: it believes that plans without values read all partitions.
            ("plan_cache_mode", "force_generic_plan".to_owned()),
        ])
    }

    /// For writes. They find rows by their keys: a plan that was made while a table was empty would read all of it, until PostgreSQL
    /// has collected statistics: never during a large first import.
    pub fn writing(settings: &config::Database) -> Self {
        let Self(mut all) = Self::reading(settings);
        all.push(("enable_seqscan", "off".to_owned()));
        Self(all)
    }

    /// Connections whose sessions begin with these.
    pub fn at_start(self, options: PgConnectOptions) -> PgConnectOptions {
        options.options(self.0).options(OUT_OF_REACH)
    }

    /// The statements that begin a transaction with these.
    pub fn begin(self) -> Arc<str> {
        // Without prepared statements, a plan is made for the values of its statement, which needs no setting.
        let of_transaction = self.0.into_iter().filter(|(name, _)| *name != "plan_cache_mode");
        let set = of_transaction.map(|(name, value)| format!("; SET LOCAL {name} = '{value}'"));
        format!("BEGIN{}", set.collect::<String>()).into()
    }
}

/// The address of a server, without settings of the session.
///
/// # Errors
/// The URL is invalid.
pub fn address(url: &DatabaseUrl) -> Result<PgConnectOptions> {
    let options = PgConnectOptions::from_str(url.reveal())
        .map_err(|error| Error::input("database.url", error.to_string()))?
        .application_name("perfgraph");
    let is_said = url.reveal().contains(STATEMENTS_PARAMETER);
    Ok(if is_said { options } else { options.statement_cache_capacity(STATEMENTS) })
}

/// The address of a pooler in transaction mode: it refuses settings of the session, also that of the driver for the digits of floating
/// point numbers, which are sent in binary form anyway.
///
/// # Errors
/// The URL is invalid.
pub fn pooler_address(url: &DatabaseUrl) -> Result<PgConnectOptions> {
    Ok(address(url)?.extra_float_digits(None).statement_cache_capacity(0))
}

/// False if the URL says that no statement shall be prepared.
pub fn are_prepared(url: &DatabaseUrl) -> bool {
    let Some((_, said)) = url.reveal().rsplit_once(STATEMENTS_PARAMETER) else { return true };
    said.trim_start_matches('=').split('&').next() != Some("0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_transaction_brings_its_own_settings() {
        let settings = config::Database::default();
        assert_eq!(
            &*SessionSettings::writing(&settings).begin(),
            "BEGIN; SET LOCAL statement_timeout = '10000'; SET LOCAL idle_in_transaction_session_timeout = '10000'; \
             SET LOCAL max_parallel_workers_per_gather = '0'; SET LOCAL jit = 'off'; SET LOCAL enable_seqscan = 'off'"
        );
    }

    #[test]
    fn the_url_may_say_how_many_statements_are_prepared() {
        for (parameters, expected) in [
            ("", true),
            ("?statement-cache-capacity=0", false),
            ("?statement-cache-capacity=0&sslmode=require", false),
            ("?sslmode=require&statement-cache-capacity=01", true),
            ("?statement-cache-capacity=100", true),
        ] {
            assert_eq!(
                are_prepared(&format!("postgres://a@b/c{parameters}").as_str().into()),
                expected,
                "{parameters}"
            );
        }
    }
}
