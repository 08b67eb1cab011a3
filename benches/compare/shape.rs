//! The shapes of the data: how measurements fall on projects, endpoints and time. The directory is the same in all of them:
//! 50 organizations with 20 projects and 200 people each.

use std::{fmt, str::FromStr};

use perfgraph::model::Timestamp;
use rand::{RngExt, SeedableRng, rngs::StdRng};
use rand_distr::{Distribution, LogNormal, Zipf};

use crate::Outcome;

/// Projects of all organizations together, by number from 1.
pub const PROJECTS: u32 = 1_000;
/// The time span of the data.
pub const DAYS: i64 = 7;
/// Measurements arrive in turns of this length, each project's together, as agents send them.
const TURN_MICROS: i64 = 6 * 3_600 * 1_000_000;
const DAY_MICROS: i64 = 24 * 3_600 * 1_000_000;
const RNG_SEED: u64 = 1;

/// A shape of the data.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Few endpoints with many requests: 20 projects of 10 endpoints.
    Dense,
    /// Many endpoints with few requests: 1,000 projects of 200 endpoints, whose sizes follow Zipf's law; a series has about one
    /// measurement an hour, or fewer.
    Sparse,
    /// One project of 50 endpoints has 80 % of the measurements, 999 projects share the rest.
    Skewed,
}

/// A measurement.
pub struct Row {
    /// The number of its project.
    pub project: u32,
    /// `API_RESPONSE` or `PAGE_LOAD`.
    pub kind: &'static str,
    /// The path.
    pub endpoint: String,
    /// The value in milliseconds.
    pub value: f64,
    /// The status; 0 for none.
    pub status: u16,
    /// The time.
    pub at: Timestamp,
    /// The name; empty for most.
    pub name: &'static str,
    /// The version of the release.
    pub release: String,
}

impl Row {
    /// The number of the organization of its project.
    pub const fn organization(&self) -> u32 {
        (self.project - 1) / 20 + 1
    }
}

impl Shape {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Dense, Self::Sparse, Self::Skewed];

    /// The project that single-project questions are about: one of the larger ones.
    pub const fn project(self) -> u32 {
        match self {
            Self::Dense => 3,
            Self::Sparse => 4,
            Self::Skewed => 1,
        }
    }

    /// The number of endpoints of a project.
    pub const fn endpoints(self, project: u32) -> u32 {
        match (self, project) {
            (Self::Dense, _) => 10,
            (Self::Sparse, _) => 200,
            (Self::Skewed, 1) => 50,
            (Self::Skewed, _) => 20,
        }
    }

    /// The project of a measurement.
    fn draw(self, zipf: Zipf<f64>, random: &mut StdRng) -> u32 {
        match self {
            Self::Dense => random.random_range(1..=20),
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a number from 1 to 1,000")]
            Self::Sparse => zipf.sample(random) as u32,
            Self::Skewed if random.random_bool(0.8) => 1,
            Self::Skewed => random.random_range(2..=PROJECTS),
        }
    }

    /// The measurements of the days before `until`, in turns. The same for the same number and time.
    pub fn turns(self, rows: usize, until: Timestamp) -> Outcome<impl Iterator<Item = Vec<Row>>> {
        let turns = usize::try_from(DAYS * DAY_MICROS / TURN_MICROS)?;
        let (zipf, latency) = (Zipf::new(f64::from(PROJECTS), 0.8)?, LogNormal::new(4.0, 0.8)?);
        let mut random = StdRng::seed_from_u64(RNG_SEED);
        let begin = until.plus_micros(-DAYS * DAY_MICROS);
        Ok((0..turns).map(move |turn| {
            let start = begin.plus_micros(i64::try_from(turn).unwrap_or(0) * TURN_MICROS);
            let count = rows * (turn + 1) / turns - rows * turn / turns;
            let mut rows: Vec<Row> = (0..count).map(|_| self.row(zipf, latency, turn, start, &mut random)).collect();
            rows.sort_by_key(|row| (row.project, row.at));
            rows
        }))
    }

    fn row(self, zipf: Zipf<f64>, latency: LogNormal<f64>, turn: usize, start: Timestamp, random: &mut StdRng) -> Row {
        let project = self.draw(zipf, random);
        let endpoint = random.random_range(0..self.endpoints(project));
        let is_page = random.random_bool(0.1);
        // Some endpoints are slower than others, and the tail is long.
        let value = latency.sample(random) * (1.0 + f64::from(endpoint % 7));
        let roll = random.random_range(0..1_000);
        Row {
            project,
            kind: if is_page { "PAGE_LOAD" } else { "API_RESPONSE" },
            // No digits alone: such a part of a path stands for any number.
            endpoint: format!("/items/e{endpoint}x"),
            value: (value * 1_000.0).round() / 1_000.0,
            status: match roll {
                0..970 => 200,
                970..990 => 404,
                990..995 => 429,
                _ => 500,
            },
            at: start.plus_micros(random.random_range(0..TURN_MICROS)),
            name: if is_page { ["LCP", "FCP", "INP", "TTFB"][random.random_range(0..4)] } else { "" },
            release: format!("1.{}.0", turn / 7),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Dense => "dense",
            Self::Sparse => "sparse",
            Self::Skewed => "skewed",
        })
    }
}

impl FromStr for Shape {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|shape| shape.to_string() == name);
        found.ok_or_else(|| format!("no shape is called {name}: dense, sparse or skewed"))
    }
}
