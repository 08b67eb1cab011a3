//! The request headers that show or limit the SQL statements of an operation.

use async_graphql::Value;
use axum::http::HeaderMap;
use serde_json::json;

use crate::{
    engine::{
        Outcome,
        error::{Phase, refuse},
    },
    error::{Error, Result},
};

/// With the value 1, the response carries the statements and the cost in `extensions.db` and `extensions.cost`.
const EXPLAIN: &str = "perfgraph-explain";
/// Maximum number of statements. If an operation needs more, the response is an error. For tests of frontends.
const STATEMENTS_MAX: &str = "perfgraph-max-statements";

/// The values of these headers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    is_wanted: bool,
    statements_max: Option<usize>,
}

impl Explain {
    /// Reads the headers.
    ///
    /// # Errors
    /// [`Error::Input`] naming the header whose value is invalid.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self> {
        let is_wanted = headers.get(EXPLAIN).is_some_and(|value| value == "1");
        let statements_max = headers.get(STATEMENTS_MAX).map(|value| {
            let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| {
                Error::input(STATEMENTS_MAX, "must be a whole number, the maximum number of SQL statements")
            })
        });
        Ok(Self { is_wanted, statements_max: statements_max.transpose()? })
    }

    /// Adds the statements and the cost to the answer, or replaces it by an error if there were too many statements. Changes
    /// made by a mutation remain.
    pub fn apply(self, answer: &mut Outcome) {
        let count = answer.statements.len();
        if let Some(limit) = self.statements_max.filter(|limit| count > *limit) {
            answer.response = refuse(&Error::Limit {
                what: "the number of SQL statements",
                actual: u64::try_from(count).unwrap_or(u64::MAX),
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
                advice: "the header perfgraph-max-statements sets the limit; perfgraph-explain: 1 shows the statements",
            });
            answer.phase = Phase::Execution;
        }
        if self.is_wanted {
            let shown = [("db", Some(database(answer))), ("cost", cost(answer))];
            for (name, value) in shown {
                if let Some(Ok(value)) = value.map(Value::from_json) {
                    answer.response.extensions.insert(name.to_owned(), value);
                }
            }
        }
    }
}

/// The numbers of statements and rows, their duration in milliseconds, and the SQL.
fn database(answer: &Outcome) -> serde_json::Value {
    let statements = answer
        .statements
        .iter()
        .map(|statement| json!({ "sql": *statement.sql, "rows": statement.rows, "ms": statement.elapsed_ms }));
    json!({
        "statements": answer.statements.len(),
        "rows": answer.statements.iter().map(|statement| statement.rows).sum::<u64>(),
        "ms": answer.statements.iter().map(|statement| statement.elapsed_ms).fold(0.0, |sum: f64, ms| sum + ms),
        "sql": statements.collect::<Vec<_>>(),
    })
}

fn cost(answer: &Outcome) -> Option<serde_json::Value> {
    answer.cost.map(|cost| json!({ "requested": cost.requested, "limit": cost.limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_are_parsed() {
        let read = |pairs: &[(&'static str, &'static str)]| {
            let mut headers = HeaderMap::new();
            for (name, value) in pairs {
                headers.insert(*name, value.parse().unwrap());
            }
            Explain::from_headers(&headers)
        };
        assert_eq!(read(&[]).unwrap(), Explain::default());
        assert_eq!(read(&[("perfgraph-explain", "0")]).unwrap(), Explain::default());
        let both = read(&[("perfgraph-explain", "1"), ("perfgraph-max-statements", " 3 ")]).unwrap();
        assert_eq!(both, Explain { is_wanted: true, statements_max: Some(3) });
        for wrong in ["", "-1", "three"] {
            assert!(read(&[("perfgraph-max-statements", wrong)]).is_err(), "{wrong}");
        }
    }
}
