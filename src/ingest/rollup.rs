//! Raw rows of a commit, and the parts that they add to the rollups of their series. Pure.

use crate::model::{
    EndpointId, Measurement, SeriesDay, Sketch, StoredTally,
    sketch::bin_of,
    timestamp::{DAY_MICROS, Timestamp},
};

use super::{commit_group::CommitEntry, grain::CommitGrains};

/// A row of the table `metric_event`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RawRow<'a> {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub ts: i64,
    pub id: i64,
    pub value: f64,
    pub endpoint: i64,
    pub status: i16,
    pub bin: i16,
    /// The measurement, if it has a name or a release. A reference keeps the row small, because sorting moves rows around.
    pub tags: Option<&'a Measurement>,
}

impl<'a> RawRow<'a> {
    /// The name, or the empty string.
    pub fn name(&self) -> &'a str {
        self.tags.map_or("", |measurement| &measurement.name)
    }

    /// The release, or the empty string.
    pub fn release(&self) -> &'a str {
        self.tags.map_or("", |measurement| &measurement.release)
    }

    /// The series and day.
    pub const fn series_day(&self) -> SeriesDay {
        let day = bucket(self, DAY_MICROS);
        SeriesDay { organization: self.organization, project: self.project, kind: self.kind, day }
    }
}

/// The measurements of one commit in one bucket of one series: in the finest one that the series has rollups of.
#[derive(Clone, Debug, PartialEq)]
pub struct RollupPart {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub bucket: i64,
    pub endpoint: i64,
    pub tally: StoredTally,
}

/// The raw rows of these entries, sorted by the table's index: sorted inserts touch 40 times fewer pages.
pub fn rows<'e, 'j: 'e>(entries: impl IntoIterator<Item = &'e CommitEntry<'j>>) -> Vec<RawRow<'e>> {
    let mut rows = Vec::new();
    for entry in entries {
        let project = entry.job.project;
        let numbered = (entry.first_id..).zip(&entry.job.measurements).zip(&entry.endpoints);
        rows.extend(numbered.map(|((id, measurement), endpoint)| RawRow {
            organization: project.organization.0,
            project: project.id.0,
            kind: measurement.kind.code(),
            ts: measurement.timestamp.as_micros(),
            id,
            value: measurement.value,
            endpoint: endpoint.0,
            status: measurement.status,
            bin: bin_of(measurement.value),
            tags: measurement.is_tagged().then_some(measurement),
        }));
    }
    rows.sort_unstable_by_key(|row| (row.organization, row.project, row.kind, row.ts, row.id));
    rows
}

/// A row of the table `metric_label`: the labels of a measurement that has any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LabelRow {
    pub organization: i64,
    pub project: i64,
    pub kind: i16,
    pub ts: i64,
    pub id: i64,
    pub labels: String,
}

/// The rows of labels of these entries, sorted as [`rows`].
pub fn labels<'e, 'j: 'e>(entries: impl IntoIterator<Item = &'e CommitEntry<'j>>) -> Vec<LabelRow> {
    let mut rows = Vec::new();
    for entry in entries {
        let project = entry.job.project;
        rows.extend((entry.first_id..).zip(&entry.job.measurements).filter_map(|(id, measurement)| {
            Some(LabelRow {
                organization: project.organization.0,
                project: project.id.0,
                kind: measurement.kind.code(),
                ts: measurement.timestamp.as_micros(),
                id,
                labels: measurement.labels.to_stored()?,
            })
        }));
    }
    rows.sort_unstable_by_key(|row| (row.organization, row.project, row.kind, row.ts, row.id));
    rows
}

/// The parts of rows that [`rows`] has sorted: per bucket one for all endpoints, and one for each, as fine as the grain of the
/// series on that day.
pub fn parts(rows: &[RawRow<'_>], grains: &CommitGrains) -> Vec<RollupPart> {
    let mut parts = Vec::new();
    let mut sorted = Vec::new();
    for of_day in rows.chunk_by(|a, b| a.series_day() == b.series_day()) {
        let Some(first) = of_day.first() else { continue };
        let grain = grains.of(first.series_day());
        if let Some(width) = grain.all_endpoints.width_micros() {
            let same = |a: &RawRow<'_>, b: &RawRow<'_>| bucket(a, width) == bucket(b, width);
            let of_buckets = of_day.chunk_by(same);
            parts.extend(of_buckets.filter_map(|rows| part(rows.iter(), EndpointId::ALL.0, width)));
        }
        if let Some(width) = grain.by_endpoint.width_micros() {
            let same = |a: &RawRow<'_>, b: &RawRow<'_>| bucket(a, width) == bucket(b, width);
            for of_bucket in of_day.chunk_by(same) {
                sorted.clear();
                sorted.extend(of_bucket);
                sorted.sort_unstable_by_key(|row: &&RawRow<'_>| row.endpoint);
                let of_endpoints = sorted.chunk_by(|a, b| a.endpoint == b.endpoint);
                parts.extend(of_endpoints.filter_map(|own| {
                    let endpoint = own.first()?.endpoint;
                    part(own.iter().copied(), endpoint, width)
                }));
            }
        }
    }
    parts
}

const fn bucket(row: &RawRow<'_>, width: i64) -> i64 {
    Timestamp::from_micros(row.ts).floor(width).as_micros()
}

fn part<'r>(rows: impl Iterator<Item = &'r RawRow<'r>> + Clone, endpoint: i64, width: i64) -> Option<RollupPart> {
    let first = rows.clone().next()?;
    // A sketch that is built from all its bins at once does not have to grow.
    let mut tally = StoredTally::empty(Sketch::of(rows.clone().map(|row| row.bin)).encode());
    for row in rows {
        tally.add_figures(row.value, row.status);
    }
    Some(RollupPart {
        organization: first.organization,
        project: first.project,
        kind: first.kind,
        bucket: bucket(first, width),
        endpoint,
        tally,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Grain, SeriesGrain, timestamp::HOUR_MICROS};

    fn row(ts: i64, endpoint: i64, value: f64, status: i16) -> RawRow<'static> {
        RawRow {
            organization: 1,
            project: 2,
            kind: 1,
            ts,
            id: ts,
            value,
            endpoint,
            status,
            bin: bin_of(value),
            tags: None,
        }
    }

    #[test]
    fn a_minute_has_one_part_per_endpoint_and_one_for_all() {
        let rows =
            [row(0, 7, 3.0, 200), row(1, 8, 1.0, 500), row(59_999_999, 7, 2.0, 404), row(60_000_000, 7, 9.0, 399)];
        let parts = parts(&rows, &CommitGrains::default());
        let summary: Vec<_> = parts
            .iter()
            .map(|RollupPart { bucket, endpoint, tally, .. }| {
                let extremes = tally.min().zip(tally.max()).unwrap();
                (*bucket, *endpoint, tally.count, tally.errors, tally.sum.value(), extremes.0, extremes.1)
            })
            .collect();
        assert_eq!(
            summary,
            [
                (0, 0, 3, 2, 6.0, 1.0, 3.0),
                (60_000_000, 0, 1, 0, 9.0, 9.0, 9.0),
                (0, 7, 2, 1, 5.0, 2.0, 3.0),
                (0, 8, 1, 1, 1.0, 1.0, 1.0),
                (60_000_000, 7, 1, 0, 9.0, 9.0, 9.0),
            ]
        );
        let mut all = crate::model::Tally::default();
        all.merge_stored(&parts[2].tally).unwrap();
        all.merge_stored(&parts[3].tally).unwrap();
        assert_eq!(all.encode(), parts[0].tally);
    }

    #[test]
    fn parts_are_as_fine_as_the_grain_of_their_day() {
        let next_day = DAY_MICROS + 1;
        let rows = [
            row(1, 7, 3.0, 200),
            row(HOUR_MICROS, 7, 1.0, 200),
            row(HOUR_MICROS + 1, 8, 2.0, 500),
            row(next_day, 7, 4.0, 200),
        ];
        let grain = SeriesGrain { all_endpoints: Grain::Day, by_endpoint: Grain::Hour };
        let without = SeriesGrain { all_endpoints: Grain::FiveMinutes, by_endpoint: Grain::Raw };
        let grains = [(rows[0].series_day(), grain), (rows[3].series_day(), without)].into_iter().collect();
        let summary: Vec<_> =
            parts(&rows, &grains).iter().map(|part| (part.bucket, part.endpoint, part.tally.count)).collect();
        assert_eq!(summary, [(0, 0, 3), (0, 7, 1), (HOUR_MICROS, 7, 1), (HOUR_MICROS, 8, 1), (DAY_MICROS, 0, 1),]);
    }
}
