//! Grains in the database: one statement decides those that are not decided yet, and reads them all.
//!
//! The choice that was made for later days when an earlier one was over comes first, then an estimate, then the grain of the
//! earlier day; a series without any of them has all rollups. Rows are locked in the order of their keys.

use serde_json::json;

use crate::{
    clock::Stopwatch,
    db::{StatementLog, Taken, Writer, json_array},
    error::Result,
    model::{GrainColumns, SeriesDay, SeriesGrain},
};

/// Days before the choice began in this database have all rollups, and no row. The update changes nothing: it returns the row
/// that was there.
macro_rules! decide {
    ($asked:literal) => {
        concat!(
            "WITH asked AS (",
            $asked,
            "), decided AS (SELECT asked.organization_id, asked.project_id, asked.kind, asked.day, \
             CASE WHEN asked.expires THEN 0 ELSE \
             COALESCE(earlier.next_all_endpoints, asked.all_endpoints, earlier.all_endpoints, 0) END AS all_endpoints, \
             CASE WHEN asked.expires THEN 0 ELSE \
             COALESCE(earlier.next_by_endpoint, asked.by_endpoint, earlier.by_endpoint, 0) END AS by_endpoint \
             FROM asked LEFT JOIN metric_grain AS earlier ON earlier.organization_id = asked.organization_id \
             AND earlier.project_id = asked.project_id AND earlier.kind = asked.kind AND earlier.day = \
             (SELECT MAX(g.day) FROM metric_grain AS g WHERE g.organization_id = asked.organization_id \
             AND g.project_id = asked.project_id AND g.kind = asked.kind AND g.day < asked.day) \
             WHERE asked.day >= COALESCE((SELECT since FROM metric_kept WHERE table_name = 'metric_grain'), asked.day)) \
             INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint) \
             SELECT * FROM decided WHERE TRUE ORDER BY organization_id, project_id, kind, day \
             ON CONFLICT (organization_id, project_id, kind, day) DO UPDATE SET day = excluded.day \
             RETURNING organization_id, project_id, kind, day, all_endpoints, by_endpoint"
        )
    };
}

/// Series, days, estimates, and what expires soon are seven arrays.
pub const DECIDE: &str = decide!(
    "SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::smallint[], $4::bigint[], $5::smallint[], $6::smallint[], \
     $7::boolean[]) AS one (organization_id, project_id, kind, day, all_endpoints, by_endpoint, expires)"
);
const DECIDE_SQLITE: &str = decide!(
    "SELECT value->>0 AS organization_id, value->>1 AS project_id, value->>2 AS kind, value->>3 AS day, \
     value->>4 AS all_endpoints, value->>5 AS by_endpoint, value->>6 AS expires FROM json_each(?1)"
);

/// A series on a day whose grain may not be decided.
#[derive(Clone, Copy, Debug)]
pub struct Undecided {
    pub series: SeriesDay,
    /// The grain of an estimate.
    pub estimated: Option<SeriesGrain>,
    /// True if its single measurements are about to be removed, or were: it gets all rollups.
    pub expires: bool,
}

/// The grains of these series and days, ascending. Those without a row have all rollups.
pub async fn decide(
    writer: &Writer,
    log: &StatementLog,
    asked: &[Undecided],
) -> Result<impl Iterator<Item = (SeriesDay, SeriesGrain)>> {
    let watch = Stopwatch::start();
    let codes = |grain: &Option<SeriesGrain>| grain.map(|grain| (grain.all_endpoints.code(), grain.by_endpoint.code()));
    let (sql, rows): (_, Vec<GrainColumns>) = match writer {
        Writer::Sqlite(pool) => {
            let keys = json_array(asked.iter().map(|Undecided { series, estimated, expires }| {
                let (all, by) = codes(estimated).unzip();
                json!([series.organization, series.project, series.kind, series.day, all, by, expires])
            }));
            (DECIDE_SQLITE, sqlx::query_as(DECIDE_SQLITE).bind(keys).fetch_all(pool).await?)
        }
        Writer::Postgres(stock) => {
            let mut transaction = Taken::in_transaction(stock).await?;
            let decide = sqlx::query_as(DECIDE)
                .bind(asked.iter().map(|one| one.series.organization).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| one.series.project).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| one.series.kind).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| one.series.day).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| codes(&one.estimated).map(|codes| codes.0)).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| codes(&one.estimated).map(|codes| codes.1)).collect::<Vec<_>>())
                .bind(asked.iter().map(|one| one.expires).collect::<Vec<_>>());
            let (answers, connection) = transaction.postgres()?;
            let rows = answers.answer(decide.fetch_all(connection)).await?;
            transaction.commit().await?;
            (DECIDE, rows)
        }
    };
    log.add(sql, rows.len(), watch);
    let finest = asked.iter().map(|one| (one.series, SeriesGrain::default())).collect::<Vec<_>>();
    Ok(finest.into_iter().chain(rows.into_iter().map(SeriesGrain::from_columns)))
}
