//! The cost of the same answers without rollups: one good statement on the raw rows, by the index that is there.

use super::{Asked, Question, sample::Sample};
use crate::{Outcome, cpu, databases::Direct};

/// The number of repetitions; each takes a long time.
const RUNS: u32 = 3;

const POSTGRES_SUMMARY: &str = "SELECT COUNT(*), AVG(value), MIN(value), MAX(value), \
    PERCENTILE_DISC(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (ORDER BY value) FROM metric_event \
    WHERE organization_id = $1 AND project_id = $2 AND kind = 1 AND ts >= $3 AND ts < $4";
const POSTGRES_HOURLY: &str = "SELECT ts / 3600000000, COUNT(*), AVG(value), \
    PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) FROM metric_event \
    WHERE organization_id = $1 AND project_id = $2 AND kind = 1 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY 1";
const POSTGRES_SLOWEST: &str = "SELECT e.path, g.* FROM (SELECT endpoint_id, COUNT(*), AVG(value), \
    PERCENTILE_DISC(0.95) WITHIN GROUP (ORDER BY value) AS p95 FROM metric_event \
    WHERE organization_id = $1 AND project_id IN (SELECT id FROM project WHERE organization_id = $1 AND $2 > 0) \
    AND kind = 1 AND ts >= $3 AND ts < $4 GROUP BY 1 ORDER BY p95 DESC LIMIT 10) g \
    JOIN endpoint e ON e.organization_id = $1 AND e.id = g.endpoint_id";

const SQLITE_SUMMARY: &str = "WITH ordered AS (SELECT value, ROW_NUMBER() OVER (ORDER BY value) AS place, \
    COUNT(*) OVER () AS n FROM metric_event \
    WHERE organization_id = ? AND project_id = ? AND kind = 1 AND ts >= ? AND ts < ?) \
    SELECT COUNT(*), AVG(value), MIN(value), MAX(value), MAX(value) FILTER (WHERE place <= (n * 50 + 99) / 100), \
    MAX(value) FILTER (WHERE place <= (n * 95 + 99) / 100), MAX(value) FILTER (WHERE place <= (n * 99 + 99) / 100) \
    FROM ordered";
const SQLITE_HOURLY: &str = "WITH ordered AS (SELECT ts / 3600000000 AS hour, value, \
    ROW_NUMBER() OVER (PARTITION BY ts / 3600000000 ORDER BY value) AS place, \
    COUNT(*) OVER (PARTITION BY ts / 3600000000) AS n FROM metric_event \
    WHERE organization_id = ? AND project_id = ? AND kind = 1 AND ts >= ? AND ts < ?) \
    SELECT hour, COUNT(*), AVG(value), MAX(value) FILTER (WHERE place <= (n * 95 + 99) / 100) \
    FROM ordered GROUP BY hour ORDER BY hour";
const SQLITE_SLOWEST: &str = "WITH ordered AS (SELECT endpoint_id, value, \
    ROW_NUMBER() OVER (PARTITION BY endpoint_id ORDER BY value) AS place, \
    COUNT(*) OVER (PARTITION BY endpoint_id) AS n FROM metric_event \
    WHERE organization_id = ?1 AND project_id IN (SELECT id FROM project WHERE organization_id = ?1 AND ?2 > 0) \
    AND kind = 1 AND ts >= ?3 AND ts < ?4) \
    SELECT endpoint_id, COUNT(*), AVG(value), MAX(value) FILTER (WHERE place <= (n * 95 + 99) / 100) AS p95 \
    FROM ordered GROUP BY endpoint_id ORDER BY p95 DESC LIMIT 10";

/// CPU microseconds of one answer. SQLite runs in this very process.
pub async fn cost(sample: &mut Sample, asked: Asked) -> Outcome<f64> {
    let sql = match (&sample.direct, asked.question) {
        (Direct::Postgres(_), Question::Summary) => POSTGRES_SUMMARY,
        (Direct::Postgres(_), Question::Hourly) => POSTGRES_HOURLY,
        (Direct::Postgres(_), Question::Slowest) => POSTGRES_SLOWEST,
        (Direct::Sqlite(_), Question::Summary) => SQLITE_SUMMARY,
        (Direct::Sqlite(_), Question::Hourly) => SQLITE_HOURLY,
        (Direct::Sqlite(_), Question::Slowest) => SQLITE_SLOWEST,
    };
    let (organization, project) = sample.project.key();
    let range = asked.range(sample);
    let bound = [organization, project, range.from().as_micros(), range.to().as_micros()];
    let used = |postmaster: Option<u32>| match postmaster {
        Some(postmaster) => cpu::of_family(postmaster),
        None => Ok(cpu::of(std::process::id())?.own),
    };
    // The first one warms the caches, as the rounds before did for the rollups.
    sample.direct.rows(sql, &bound).await?;
    let before = used(sample.postmaster)?;
    for _ in 0..RUNS {
        if sample.direct.rows(sql, &bound).await? == 0 {
            return Err("the raw rows have no answer".into());
        }
    }
    Ok((used(sample.postmaster)? - before) * 1e6 / f64::from(RUNS))
}
