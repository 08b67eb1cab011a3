//! Count, errors, sum, extremes and percentiles of a set of measurements, alone or per project. One statement each.
//!
//! The summary of one metric type is this report with one type in the question.

use std::collections::HashMap;

use super::{
    Projects, Question, Want,
    filter::ALTERNATIVES_MAX,
    narrow::Narrowed,
    plan::{Piece, Resolution},
    sql::{self, Group, Grouping},
};
use crate::{
    db::Session,
    error::Result,
    model::{
        Key, ProjectId, Scope, Sketch, TimeRange,
        sketch::{Quantile, RELATIVE_ERROR},
    },
};

/// What is known of a set of measurements. Values are in the unit of their type.
#[derive(Clone, Debug, PartialEq)]
pub struct Stats {
    /// How many.
    pub count: u64,
    /// How many carry an error status (400 or above).
    pub errors: u64,
    /// All values added up.
    pub sum: f64,
    /// The smallest value; `None` when there is none.
    pub min: Option<f64>,
    /// The largest value; `None` when there is none.
    pub max: Option<f64>,
    /// Where percentiles come from; `None` unless [`Want::Percentiles`] was asked for.
    pub sketch: Option<Sketch>,
    /// How true all this is.
    pub accuracy: Accuracy,
}

/// How true an answer is, as of the moment at which its statement ran: whatever was committed by then is in it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accuracy {
    /// Whether every figure is exact, and about the very window that was asked for. Percentiles never are.
    pub is_exact: bool,
    /// The window that the figures are about. Where single measurements are no longer kept it is wider than asked for, by
    /// less than a minute, an hour or a day at each end; where only they can answer, it is shorter.
    pub covers: TimeRange,
    /// How far a percentile may be off, as a share of its true value (0.01 is 1 %).
    pub relative_error_bound: f64,
    /// Which tables answered.
    pub source: Source,
}

/// Which tables answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// Single measurements.
    Raw,
    /// Rollups.
    Rollup,
    /// Rollups, and single measurements at the edges of the window.
    Mixed,
}

impl Stats {
    /// The mean, or `None` when there is nothing to average.
    pub fn average(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.count > 0).then(|| self.sum / self.count as f64)
    }

    /// The share of measurements with an error status, 0 to 1, or `None` when there is none at all.
    pub fn error_rate(&self) -> Option<f64> {
        #[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^53")]
        (self.count > 0).then(|| self.errors as f64 / self.count as f64)
    }

    /// The value that `p` percent (0 to 100) of the measurements do not pass, with the interval that surely holds it.
    /// `None` when nothing was measured or no percentiles were asked for.
    pub fn percentile(&self, p: f64) -> Option<Quantile> {
        let (quantile, min, max) = (self.sketch.as_ref()?.quantile(p / 100.0)?, self.min?, self.max?);
        // The extremes are exact, so no estimate passes them. Not `clamp`: it panics where min > max.
        let inside = |value: f64| value.max(min).min(max);
        Some(Quantile { value: inside(quantile.value), lower: inside(quantile.lower), upper: inside(quantile.upper) })
    }

    pub(super) fn empty(narrowed: &Narrowed, want: Want) -> Self {
        Self {
            count: 0,
            errors: 0,
            sum: 0.0,
            min: None,
            max: None,
            sketch: (want == Want::Percentiles).then(Sketch::new),
            accuracy: Accuracy {
                is_exact: want == Want::Scalars && narrowed.covers_all(),
                covers: narrowed.covers(),
                relative_error_bound: match want {
                    Want::Scalars => 0.0,
                    Want::Percentiles => RELATIVE_ERROR,
                },
                source: source(narrowed.pieces()),
            },
        }
    }
}

/// Everything that the question asks for, together. One statement.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn run(scope: &Scope, session: &Session, question: &Question, want: Want) -> Result<Stats> {
    let narrowed = Narrowed::new(scope, question, session.kept())?;
    let mut groups = sql::fetch(session, &narrowed, Grouping::Whole, want).await?;
    Ok(groups.remove(&Group::default()).unwrap_or_else(|| Stats::empty(&narrowed, want)))
}

/// The same for each of these projects, which take the place of the question's. One statement for up to 500.
///
/// Every project has an answer: one without measurements, one that does not exist and one outside of the scope all have
/// the same empty one.
///
/// # Errors
/// When a condition of the question cannot be judged, or the database fails.
pub async fn by_project(
    scope: &Scope,
    session: &Session,
    question: &Question,
    projects: &[Key<ProjectId>],
    want: Want,
) -> Result<HashMap<Key<ProjectId>, Stats>> {
    let mut answers = HashMap::with_capacity(projects.len());
    for chunk in projects.chunks(ALTERNATIVES_MAX) {
        let question = Question { projects: Projects::Keys(chunk.to_vec()), ..question.clone() };
        let narrowed = Narrowed::new(scope, &question, session.kept())?;
        let mut groups = sql::fetch(session, &narrowed, Grouping::Project, want).await?;
        for key in chunk {
            let group = Group { organization: key.organization.0, project: key.id.0, endpoint: 0 };
            let stats = groups.remove(&group);
            // Only the first of a key named twice finds its group.
            answers.entry(*key).or_insert_with(|| stats.unwrap_or_else(|| Stats::empty(&narrowed, want)));
        }
    }
    Ok(answers)
}

fn source(pieces: &[Piece]) -> Source {
    let raw = pieces.iter().filter(|piece| piece.resolution == Resolution::Raw).count();
    match raw {
        0 => Source::Rollup,
        _ if raw == pieces.len() => Source::Raw,
        _ => Source::Mixed,
    }
}
