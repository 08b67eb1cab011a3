//! The finest rollups that a series has on one day, and the choice of it by density. Pure.
//!
//! A rollup row takes about as many bytes as a measurement, so a resolution pays only where its rows hold several. Finer
//! questions are then answered from the measurements themselves, which are few.

use super::{
    Key, MetricType, ProjectId, Timestamp,
    timestamp::{DAY_MICROS, FIVE_MINUTES_MICROS, HOUR_MICROS, MINUTE_MICROS},
};

/// The finest rollups of a series on one UTC day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grain {
    /// Minutes, and all coarser ones.
    #[default]
    Minute,
    /// Five minutes, and all coarser ones.
    FiveMinutes,
    /// Hours and days.
    Hour,
    /// Days only.
    Day,
    /// No rollups.
    Raw,
}

/// All grains, from fine to coarse. The position is the number that is stored.
const ALL: [Grain; 5] = [Grain::Minute, Grain::FiveMinutes, Grain::Hour, Grain::Day, Grain::Raw];

/// Of all rollup rows that a series may have, the share of those for all endpoints together.
const SHARE_OF_ALL_ENDPOINTS: f64 = 0.4;

impl Grain {
    /// The number that is stored.
    pub const fn code(self) -> i16 {
        match self {
            Self::Minute => 0,
            Self::FiveMinutes => 1,
            Self::Hour => 2,
            Self::Day => 3,
            Self::Raw => 4,
        }
    }

    /// The grain of a stored number. A number of a later version means no rollups, which any series can be answered from.
    pub fn from_code(code: i16) -> Self {
        usize::try_from(code).ok().and_then(|code| ALL.get(code)).copied().unwrap_or(Self::Raw)
    }

    /// The length of the finest buckets in microseconds; `None` without rollups.
    pub const fn width_micros(self) -> Option<i64> {
        match self {
            Self::Minute => Some(MINUTE_MICROS),
            Self::FiveMinutes => Some(FIVE_MINUTES_MICROS),
            Self::Hour => Some(HOUR_MICROS),
            Self::Day => Some(DAY_MICROS),
            Self::Raw => None,
        }
    }

    /// The grains that are coarser than the finest one.
    pub fn coarser() -> impl Iterator<Item = Self> {
        ALL.into_iter().skip(1)
    }

    /// The finest grain of which all rollups together have at most `rows_max` rows on a day. `series` has the number of
    /// measurements of each series of a day, which are taken to be spread evenly.
    fn affordable(series: &[f64], rows_max: f64) -> Self {
        let mut rows = 0.0;
        let mut finest = Self::Raw;
        for grain in ALL.into_iter().rev() {
            let Some(width) = grain.width_micros() else { continue };
            #[expect(clippy::cast_precision_loss, reason = "at most 1,440")]
            let buckets = (DAY_MICROS / width) as f64;
            rows += series.iter().map(|count| expected_buckets(*count, buckets)).sum::<f64>();
            if rows > rows_max {
                break;
            }
            finest = grain;
        }
        finest
    }
}

/// The expected number of buckets with a measurement: `count` of them fall into `buckets` independently.
fn expected_buckets(count: f64, buckets: f64) -> f64 {
    -buckets * (-count / buckets).exp_m1()
}

/// A series, which is a project and a type, on a UTC day.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SeriesDay {
    /// The organization.
    pub organization: i64,
    /// The project.
    pub project: i64,
    /// The number of the metric type.
    pub kind: i16,
    /// The start of the day in microseconds.
    pub day: i64,
}

impl SeriesDay {
    /// The day of a moment.
    pub const fn new(project: Key<ProjectId>, kind: MetricType, at: Timestamp) -> Self {
        let Key { organization, id } = project;
        Self { organization: organization.0, project: id.0, kind: kind.code(), day: at.floor(DAY_MICROS).as_micros() }
    }
}

/// The stored columns of a grain: organization, project, type, day, and the grains of all endpoints and by endpoint.
pub type GrainColumns = (i64, i64, i16, i64, i16, i16);

/// The grains of a project and type on one day.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct SeriesGrain {
    /// Of the rows for all endpoints together.
    pub all_endpoints: Grain,
    /// Of the rows by endpoint.
    pub by_endpoint: Grain,
}

impl SeriesGrain {
    /// A series and day with its grains, as they are stored.
    pub fn from_columns((organization, project, kind, day, all, by): GrainColumns) -> (SeriesDay, Self) {
        let grain = Self { all_endpoints: Grain::from_code(all), by_endpoint: Grain::from_code(by) };
        (SeriesDay { organization, project, kind, day }, grain)
    }

    /// The choice for a day with these numbers of measurements by endpoint: the finest grains with at most `rows_max` rollup
    /// rows per measurement. All endpoints together have days in any case, which are at most one row.
    pub fn choose(endpoints: &[f64], rows_max: f64) -> Self {
        let all: f64 = endpoints.iter().sum();
        let of_all = SHARE_OF_ALL_ENDPOINTS * rows_max * all;
        Self {
            all_endpoints: Grain::affordable(&[all], of_all).min(Grain::Day),
            by_endpoint: Grain::affordable(endpoints, rows_max * all - of_all),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ROWS_MAX: f64 = 0.6;

    fn chosen(endpoints: usize, each: f64) -> (Grain, Grain) {
        let SeriesGrain { all_endpoints, by_endpoint } = SeriesGrain::choose(&vec![each; endpoints], ROWS_MAX);
        (all_endpoints, by_endpoint)
    }

    #[test]
    fn codes_are_read_back_and_unknown_ones_mean_no_rollups() {
        for (grain, code) in ALL.into_iter().zip(0..) {
            assert_eq!((grain.code(), Grain::from_code(code)), (code, grain));
        }
        assert_eq!([Grain::from_code(5), Grain::from_code(-1)], [Grain::Raw; 2]);
        assert!(ALL.is_sorted());
    }

    #[test]
    fn dense_series_get_fine_rollups_and_sparse_ones_none() {
        assert_eq!(chosen(10, 1_000_000.0), (Grain::Minute, Grain::Minute));
        assert_eq!(chosen(10, 144.0), (Grain::FiveMinutes, Grain::Hour));
        assert_eq!(chosen(200, 14.0), (Grain::FiveMinutes, Grain::Day));
        assert_eq!(chosen(200, 0.14), (Grain::Day, Grain::Raw));
        assert_eq!(chosen(1, 1.0), (Grain::Day, Grain::Raw));
        assert_eq!(chosen(0, 0.0), (Grain::Minute, Grain::Minute), "of no measurements all are affordable");
        // One busy endpoint beside quiet ones, which cost little.
        let mut skewed = vec![50_000.0];
        skewed.resize(500, 2.0);
        assert_eq!(SeriesGrain::choose(&skewed, ROWS_MAX).by_endpoint, Grain::Minute);
    }

    proptest! {
        #[test]
        fn rollups_have_at_most_so_much_of_the_measurements(
            counts in prop::collection::vec(0.0..20_000.0, 1..200),
            rows_max in 0.1..2.0,
        ) {
            let chosen = SeriesGrain::choose(&counts, rows_max);
            let rows = |series: &[f64], grain: Grain| -> f64 {
                ALL.iter().filter(|level| **level >= grain).filter_map(|level| level.width_micros()).map(|width| {
                    let buckets = f64::from(u32::try_from(DAY_MICROS / width).unwrap());
                    series.iter().map(|count| expected_buckets(*count, buckets)).sum::<f64>()
                }).sum()
            };
            let all: f64 = counts.iter().sum();
            // The day of all endpoints is kept, whatever it costs.
            let stored = rows(&[all], chosen.all_endpoints) + rows(&counts, chosen.by_endpoint);
            prop_assert!(stored <= rows_max * all + 1.0, "{stored} rows for {all}");
        }
    }
}
