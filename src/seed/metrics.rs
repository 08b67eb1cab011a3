//! Metrics of the projects, generated chunk by chunk, so that any size takes the same memory.

use rand::rngs::StdRng;

use super::size::Size;
use crate::{
    app::Core,
    auth,
    db::StatementLog,
    error::{Error, Result},
    ingest::{Candidate, Mode, Submission},
    model::{Key, ProjectId, Scope, timestamp::MINUTE_MICROS},
    sample::{Sample, Timeline, all_series},
};

/// Rows of a submission.
const SUBMISSION_ROWS: usize = 5_000;

/// Stores the metrics of the projects, which are in the order of the description. Returns their number.
pub async fn fill(
    core: &Core,
    size: Size,
    sample: &Sample,
    projects: &[Key<ProjectId>],
    timeline: Timeline,
    random: &mut StdRng,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<u64> {
    let scope = auth::server_scope();
    #[expect(clippy::cast_precision_loss, reason = "rates need no more than a float's precision")]
    let per_minute = size.rows() as f64 / (size.span_micros() / MINUTE_MICROS) as f64;
    let mut all = all_series(sample, timeline, per_minute)?;
    let (mut rows, mut measured) = (0, Vec::new());
    let mut start = timeline.from();
    while start < timeline.until() {
        let end = start.plus_micros(size.chunk_micros()).min(timeline.until());
        for (project, described) in projects.iter().zip(&mut all) {
            for series in &mut described.series {
                series.measure(start, end, random, &mut measured);
            }
            measured.sort_by_key(|measurement| measurement.timestamp);
            let mut candidates = measured.drain(..).map(Candidate::from).peekable();
            while candidates.peek().is_some() {
                let submission = candidates.by_ref().take(SUBMISSION_ROWS).collect();
                rows += submit(core, &scope, *project, submission).await?;
                progress(rows);
            }
        }
        start = end;
    }
    Ok(rows)
}

async fn submit(core: &Core, scope: &Scope, project: Key<ProjectId>, candidates: Vec<Candidate>) -> Result<u64> {
    let submission =
        Submission { project, candidates, idempotency_key: None, source: "seed".to_owned(), mode: Mode::Atomic };
    let receipt = core.ingest.submit(scope, submission, &StatementLog::default()).await?;
    match receipt.rejected.first() {
        Some(row) => Err(Error::internal(format!("sample data was refused: {}", row.error))),
        None => Ok(u64::from(receipt.accepted)),
    }
}
