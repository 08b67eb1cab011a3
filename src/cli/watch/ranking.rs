//! The ranking that the server pushes, and the trend of each endpoint.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::cli::arguments::{RankBy, Watch};
use crate::cli::client::{ClientError, project::Project};

/// The subscription.
pub const QUERY: &str = "subscription Watch($project: ID!, $window: Duration!, $every: Duration!, $limit: Int!, $rankBy: Statistic!) {
    slowestEndpoints(filter: { projectIds: [$project] }, window: $window, every: $every, first: $limit, rankBy: $rankBy) {
        endpoint value owners(first: 3) { name }
        stats { count errorRate percentile(p: 95) accuracy { to } }
    }
}";

/// Number of values in a trend.
const TREND_MAX: usize = 12;
/// Minimum range of a trend as a share of its highest value, so that small changes look small.
const SPREAD_MIN: f64 = 0.25;

/// The variables of [`QUERY`].
pub fn variables(project: &Project, command: &Watch) -> Value {
    json!({
        "project": project.id,
        "window": command.window,
        "every": command.every,
        "limit": command.limit,
        "rankBy": statistic(command.rank_by),
    })
}

/// The statistic's name in the schema.
pub const fn statistic(rank_by: RankBy) -> &'static str {
    match rank_by {
        RankBy::P50 => "P50",
        RankBy::P90 => "P90",
        RankBy::P95 => "P95",
        RankBy::P99 => "P99",
        RankBy::Average => "AVERAGE",
        RankBy::Max => "MAX",
        RankBy::Count => "COUNT",
        RankBy::ErrorRate => "ERROR_RATE",
    }
}

/// One endpoint of a ranking.
#[derive(Clone, Debug, PartialEq)]
pub struct RankedEndpoint {
    /// The route, page or query.
    pub endpoint: String,
    /// The value that it is ranked by.
    pub value: f64,
    /// The 95th percentile in milliseconds.
    pub p95: f64,
    /// Measurements per second.
    pub rate: f64,
    /// The share of measurements with an error status, 0 to 1.
    pub errors: f64,
    /// The names of its owners.
    pub owners: Vec<String>,
}

/// The slowest endpoints of one window.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranking {
    /// The end of the window. Empty if there are no measurements.
    pub until: String,
    /// The endpoints in descending order of their value.
    pub rows: Vec<RankedEndpoint>,
}

impl Ranking {
    /// Parses an event about a window of this length.
    pub fn read(data: &Value, window_micros: i64) -> Result<Self, ClientError> {
        let unknown = || ClientError::Refused("the server sent an event that this version cannot read".to_owned());
        let endpoints = data["slowestEndpoints"].as_array().ok_or_else(unknown)?;
        #[expect(clippy::cast_precision_loss, reason = "a window of years is still exact")]
        let seconds = window_micros as f64 / 1e6;
        let row = |endpoint: &Value| {
            let stats = &endpoint["stats"];
            let owners = endpoint["owners"].as_array().into_iter().flatten();
            Some(RankedEndpoint {
                endpoint: endpoint["endpoint"].as_str()?.to_owned(),
                value: endpoint["value"].as_f64()?,
                p95: stats["percentile"].as_f64().unwrap_or_default(),
                rate: stats["count"].as_f64()? / seconds,
                errors: stats["errorRate"].as_f64().unwrap_or_default(),
                owners: owners.filter_map(|owner| owner["name"].as_str()).map(ToOwned::to_owned).collect(),
            })
        };
        let until = endpoints.first().and_then(|first| first["stats"]["accuracy"]["to"].as_str()).unwrap_or_default();
        let rows = endpoints.iter().map(row).collect::<Option<Vec<_>>>().ok_or_else(unknown)?;
        Ok(Self { until: until.to_owned(), rows })
    }

    /// One line per endpoint for other programs, with fields separated by tabs.
    pub fn lines(&self) -> Vec<String> {
        let line = |(place, row): (usize, &RankedEndpoint)| {
            format!(
                "{}\t{}\t{}\tvalue={}\tp95={}ms\trate={}/s\terrors={}\towners={}",
                self.until,
                place + 1,
                row.endpoint,
                figure(row.value),
                figure(row.p95),
                figure(row.rate),
                figure(row.errors),
                row.owners.join(",")
            )
        };
        self.rows.iter().enumerate().map(line).collect()
    }
}

/// A figure with the digits that it is worth: percentiles are right within 1 %, which is three digits. Counts keep all.
pub fn figure(value: f64) -> String {
    let decimals = match value {
        value if value >= 100.0 || value == 0.0 => 0,
        value if value >= 10.0 => 1,
        value if value >= 1.0 => 2,
        value if value >= 0.1 => 3,
        _ => 4,
    };
    format!("{value:.decimals$}")
}

/// The last values of each endpoint in the ranking.
#[derive(Debug, Default)]
pub struct Trends(HashMap<String, Vec<f64>>);

impl Trends {
    /// Adds the values of a ranking, and removes endpoints that are no longer in it.
    pub fn add(&mut self, ranking: &Ranking) {
        let mut kept = HashMap::new();
        for row in &ranking.rows {
            let mut values = self.0.remove(&row.endpoint).unwrap_or_default();
            values.push(row.value);
            values.drain(..values.len().saturating_sub(TREND_MAX));
            kept.insert(row.endpoint.clone(), values);
        }
        self.0 = kept;
    }

    /// The trend of an endpoint as a bar chart in eight steps.
    pub fn of(&self, endpoint: &str) -> String {
        const STEPS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
        let values = self.0.get(endpoint).map(Vec::as_slice).unwrap_or_default();
        let (low, high) = values.iter().fold((f64::INFINITY, 0.0_f64), |(low, high), v| (low.min(*v), high.max(*v)));
        let spread = (high - low).max(high * SPREAD_MIN);
        let step = |value: &f64| {
            let share = if spread > 0.0 { 0.5 + (value - f64::midpoint(low, high)) / spread } else { 0.5 };
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 7")]
            let step = (share * 7.0).round() as usize;
            STEPS[step.min(7)]
        };
        values.iter().map(step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_have_three_digits_and_counts_all() {
        let figures = [0.0, 0.031_25, 0.512_49, 5.238, 61.74, 183.21, 12_345.0].map(figure);
        assert_eq!(figures, ["0", "0.0312", "0.512", "5.24", "61.7", "183", "12345"]);
    }

    #[test]
    fn a_trend_shows_changes_in_proportion() {
        let of = |values: &[f64]| Trends(HashMap::from([("e".to_owned(), values.to_vec())])).of("e");
        assert_eq!(of(&[10.0, 20.0, 80.0]), "▁▂█");
        assert_eq!(of(&[100.0, 101.0, 99.0]), "▅▅▄");
        assert_eq!((of(&[5.0, 5.0]), of(&[0.0]), of(&[])), ("▅▅".to_owned(), "▅".to_owned(), String::new()));
    }
}
