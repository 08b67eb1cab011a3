//! Reads the minutes of both releases and compares them. One statement, whatever the number of endpoints.

use std::{collections::BTreeMap, sync::Arc};

use sea_orm::{ConnectionTrait, QueryResult};

use super::{
    cells::cells,
    estimate::Minutes,
    judge::{self, Change, Verdict},
    question::ComparisonQuestion,
    stored_minutes::StoredMinutes,
    windows,
};
use crate::{
    config::ComparisonLimits,
    db::Session,
    error::{Error, Result},
    model::{EndpointId, Scope, Sketch, Tally, TimeRange, sketch::RELATIVE_ERROR},
    reports::{Accuracy, AnswerSource, Distribution, Statistic, Stats, statistic::WorstValue},
};

/// The comparison of two releases.
#[derive(Clone, Debug)]
pub struct Comparison {
    /// Regressed if anything regressed, else improved if anything improved.
    pub verdict: Verdict,
    /// The change of all endpoints together; `None` with insufficient data.
    pub whole: Option<Change>,
    /// The endpoints: by verdict (regressed first), then by the size of the change.
    pub endpoints: Vec<EndpointComparison>,
}

/// The comparison of one endpoint.
#[derive(Clone, Debug)]
pub struct EndpointComparison {
    /// The path of the endpoint.
    pub endpoint: String,
    /// The verdict on the endpoint.
    pub verdict: Verdict,
    /// The statistics of the baseline.
    pub baseline: Arc<Stats>,
    /// The statistics of the candidate.
    pub candidate: Arc<Stats>,
    /// The change; `None` with insufficient data.
    pub change: Option<Change>,
    /// The smallest false discovery rate at which the change is reported.
    pub q_value: Option<f64>,
}

/// Compares two releases. One statement.
///
/// # Errors
/// The statistic is a count, a sum or an extreme, no whole minute of a release is retained, or the database fails.
pub async fn run(
    scope: &Scope,
    session: &Session,
    question: &ComparisonQuestion,
    limits: &ComparisonLimits,
) -> Result<Comparison> {
    if question.statistic.percentile().is_none()
        && !matches!(question.statistic, Statistic::Average | Statistic::ErrorRate)
    {
        let message = "is no figure to compare releases by; ask for a percentile, AVERAGE or ERROR_RATE";
        return Err(Error::input("statistic", message));
    }
    if !scope.sees(question.project.organization) {
        return Err(Error::not_found("project"));
    }
    let windows = windows::of(question, session.kept().minutes, limits.minutes_max)?;
    let mut endpoints: BTreeMap<i64, EndpointMinutes> = BTreeMap::new();
    let add = |row: &QueryResult| {
        let endpoint: i64 = row.try_get_by_index(0)?;
        endpoints.entry(endpoint).or_default().add(row)
    };
    session.each(&cells(session.get_database_backend(), question, windows, limits), add).await?;
    let observed = |minutes: EndpointMinutes| minutes.observed(windows, question.statistic);
    let whole = observed(endpoints.remove(&EndpointId::ALL.0).unwrap_or_default())?;
    let endpoints = endpoints.into_values().map(observed).collect::<Result<Vec<_>>>()?;
    Ok(judged(question, whole.change, endpoints))
}

/// The minutes of an endpoint: baseline, candidate. The minutes of one endpoint at a time are decoded.
#[derive(Default)]
struct EndpointMinutes {
    path: String,
    stored: [StoredMinutes; 2],
}

/// The measurements of an endpoint.
struct Observed {
    path: String,
    stats: [Stats; 2],
    change: Option<Change>,
}

impl EndpointMinutes {
    fn add(&mut self, row: &QueryResult) -> Result<()> {
        let side = usize::from(row.try_get_by_index::<i32>(1)? != 0);
        let count: i64 = row.try_get_by_index(3)?;
        let sketch = if let Some(sketch) = row.try_get_by_index::<Option<Vec<u8>>>(8)? {
            sketch
        } else {
            let mut sketch = Sketch::new();
            sketch.record(row.try_get_by_index(9)?, u64::try_from(count).unwrap_or(0));
            sketch.encode()
        };
        let columns = (
            count,
            row.try_get_by_index(4)?,
            row.try_get_by_index(5)?,
            row.try_get_by_index(6)?,
            row.try_get_by_index(7)?,
            sketch,
        );
        self.stored[side].push(row.try_get_by_index(2)?, columns).map_err(Error::internal)?;
        if let Some(path) = row.try_get_by_index::<Option<String>>(10)? {
            self.path = path;
        }
        Ok(())
    }

    fn observed(self, windows: [TimeRange; 2], statistic: Statistic) -> Result<Observed> {
        let [baseline, candidate] = self.stored;
        let decoded = |stored: StoredMinutes| stored.decoded().map_err(Error::internal);
        let sides = [decoded(baseline)?, decoded(candidate)?];
        let change = judge::change(&sides[0], &sides[1], statistic);
        let stats = [stats(&sides[0], windows[0]), stats(&sides[1], windows[1])];
        Ok(Observed { path: self.path, stats, change })
    }
}

fn stats(minutes: &Minutes, window: TimeRange) -> Stats {
    let mut tally = Tally::default();
    for minute in minutes.values() {
        tally.merge(minute);
    }
    let sketch = std::mem::take(&mut tally.distribution);
    Stats {
        tally: tally.with_distribution(Some(Distribution::Sketch(sketch))),
        accuracy: Accuracy {
            is_exact: false,
            covers: window,
            relative_error_bound: RELATIVE_ERROR,
            source: AnswerSource::Rollup,
        },
    }
}

/// The verdicts on all endpoints, controlled together for false discoveries.
fn judged(question: &ComparisonQuestion, whole: Option<Change>, endpoints: Vec<Observed>) -> Comparison {
    let worst = question.statistic.worst(&[question.kind]);
    let changes: Vec<_> = std::iter::once(whole).chain(endpoints.iter().map(|endpoint| endpoint.change)).collect();
    let mut verdicts = verdicts(&changes, worst).into_iter();
    let (whole_verdict, _) = verdicts.next().unwrap_or((Verdict::InsufficientData, None));
    let mut compared: Vec<_> = endpoints
        .into_iter()
        .zip(verdicts)
        .map(|(Observed { path, stats: [baseline, candidate], change }, (verdict, q_value))| EndpointComparison {
            endpoint: path,
            verdict,
            baseline: Arc::new(baseline),
            candidate: Arc::new(candidate),
            change,
            q_value,
        })
        .collect();
    let size = |one: &EndpointComparison| one.change.map_or(0.0, |change| change.ratio.ln().abs());
    compared.sort_by(|a, b| {
        a.verdict.cmp(&b.verdict).then(size(b).total_cmp(&size(a))).then_with(|| a.endpoint.cmp(&b.endpoint))
    });
    let all = || std::iter::once(whole_verdict).chain(compared.iter().map(|one| one.verdict));
    let verdict = [Verdict::Regressed, Verdict::Improved].into_iter().find(|verdict| all().any(|one| one == *verdict));
    Comparison { verdict: verdict.unwrap_or(whole_verdict), whole, endpoints: compared }
}

/// A verdict for each change, with its q-value if there is a change.
fn verdicts(changes: &[Option<Change>], worst: WorstValue) -> Vec<(Verdict, Option<f64>)> {
    let known: Vec<Change> = changes.iter().flatten().copied().collect();
    let mut q_values = judge::q_values_of(&known).into_iter();
    let verdict = |change: &Option<Change>| match change {
        Some(change) => {
            let q_value = q_values.next().unwrap_or(1.0);
            (judge::verdict(change, q_value, worst), Some(q_value))
        }
        None => (Verdict::InsufficientData, None),
    };
    changes.iter().map(verdict).collect()
}
