//! What an answer cost, for clients that want to know or to be held to it.

use async_graphql::Value;
use axum::http::HeaderMap;
use serde_json::json;

use crate::{
    engine::{
        Answer,
        error::{Phase, refuse},
    },
    error::{Error, Result},
};

/// Asks for the statements and the cost of a request in `extensions.db` and `extensions.cost`.
const EXPLAIN: &str = "perfgraph-explain";
/// Makes an answer that took more statements an error: with it a frontend's own tests hold their queries to a number.
const STATEMENTS_MAX: &str = "perfgraph-max-statements";

/// What a client wants to know about cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Explain {
    is_wanted: bool,
    statements_max: Option<usize>,
}

impl Explain {
    /// As the headers say.
    ///
    /// # Errors
    /// [`Error::Input`] naming the header whose value makes no sense.
    pub fn from_headers(headers: &HeaderMap) -> Result<Self> {
        let is_wanted = headers.get(EXPLAIN).is_some_and(|value| value == "1");
        let statements_max = headers.get(STATEMENTS_MAX).map(|value| {
            let number = value.to_str().ok().and_then(|text| text.trim().parse().ok());
            number.ok_or_else(|| Error::input(STATEMENTS_MAX, "must be a whole number of SQL statements"))
        });
        Ok(Self { is_wanted, statements_max: statements_max.transpose()? })
    }

    /// Shows the cost in the answer, or makes it an error when it was too much. What a mutation has done stays done.
    pub fn apply(self, answer: &mut Answer) {
        let count = answer.statements.len();
        if let Some(limit) = self.statements_max.filter(|limit| count > *limit) {
            answer.response = refuse(&Error::Limit {
                what: "the number of SQL statements",
                actual: u64::try_from(count).unwrap_or(u64::MAX),
                limit: u64::try_from(limit).unwrap_or(u64::MAX),
                advice: "the header perfgraph-max-statements allows no more; perfgraph-explain: 1 shows them",
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

/// Statements, rows, milliseconds and the SQL.
fn database(answer: &Answer) -> serde_json::Value {
    let statements = answer
        .statements
        .iter()
        .map(|statement| json!({ "sql": statement.sql, "rows": statement.rows, "ms": statement.elapsed_ms }));
    json!({
        "statements": answer.statements.len(),
        "rows": answer.statements.iter().map(|statement| statement.rows).sum::<u64>(),
        "ms": answer.statements.iter().map(|statement| statement.elapsed_ms).fold(0.0, |sum: f64, ms| sum + ms),
        "sql": statements.collect::<Vec<_>>(),
    })
}

fn cost(answer: &Answer) -> Option<serde_json::Value> {
    answer.cost.map(|cost| json!({ "requested": cost.requested, "limit": cost.limit }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_say_what_is_wanted() {
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
