//! `load -- volume`: the same questions at a million and at ten million measurements, and what the same answers cost from
//! raw rows. CPU of server and database together, in one run. Each question is asked twice: about a window as `last` makes
//! it, of whole minutes, and about as much time to the microsecond, of which a minute has to be read from raw rows.

mod import;
mod raw;
mod sample;

use std::time::Duration;

use perfgraph::{
    model::{
        TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
    reports::until_now,
};
use serde_json::json;

use crate::{
    Outcome, client,
    databases::Kind,
    round::{self, Expect, Figures, Load},
};
use sample::{SIZES, Sample};

const ROUNDS: usize = 9;
const CONNECTIONS: usize = 4;
const WARM_UP: Load = Load { requests: 20, limit: Duration::from_secs(2), connections: CONNECTIONS };
const TIMED: Load = Load { requests: 4_000, limit: Duration::from_secs(2), connections: CONNECTIONS };

/// A question and the time it is about.
#[derive(Clone, Copy)]
pub struct Asked {
    question: Question,
    window: Window,
}

/// The end of the window that is asked about.
#[derive(Clone, Copy)]
enum Window {
    /// With the minute in which the sample does, as that of `last`.
    Minutes,
    /// With the sample, in the midst of a minute.
    Exact,
}

/// A question, asked of rollups by GraphQL and of raw rows in SQL.
#[derive(Clone, Copy)]
enum Question {
    /// W4: the summary of a day of a project.
    Summary,
    /// W6: a week of a project by the hour.
    Hourly,
    /// W7: the ten slowest endpoints of an organization by their 95th percentile of a day.
    Slowest,
}

const QUESTIONS: [Question; 3] = [Question::Summary, Question::Hourly, Question::Slowest];
/// The time of the day at which samples end, 13:47:23.5 UTC: in the busiest hour of the sample data, when most is in part of
/// a minute, and in the midst of everything that windows are cut along. At night the same windows cost less.
const BUSY_MICROS: i64 = 13 * HOUR_MICROS + 47 * MINUTE_MICROS + 23_500_000;

impl Question {
    const fn name(self) -> &'static str {
        match self {
            Self::Summary => "W4 summary 24 h",
            Self::Hourly => "W6 hourly 7 days",
            Self::Slowest => "W7 slowest 24 h",
        }
    }

    /// The length of the window in microseconds.
    const fn span_micros(self) -> i64 {
        match self {
            Self::Summary | Self::Slowest => DAY_MICROS,
            Self::Hourly => 7 * DAY_MICROS,
        }
    }

    const fn document(self) -> &'static str {
        match self {
            Self::Summary => {
                "query W4($filter: MetricFilter!) { performanceSummary(type: API_RESPONSE, filter: $filter) { \
                 count averageValue: average minValue: min maxValue: max \
                 stats { p50: percentile(p: 50) p95: percentile(p: 95) p99: percentile(p: 99) } } }"
            }
            Self::Hourly => {
                "query W6($filter: MetricFilter!) { metricSeries(filter: $filter, bucket: \"PT1H\") { \
                 start stats { count average percentile(p: 95) } } }"
            }
            Self::Slowest => {
                "query W7($filter: MetricFilter!) { slowestEndpoints(first: 10, rankBy: P95, filter: $filter) { \
                 endpoint value stats { count average } } }"
            }
        }
    }
}

impl Asked {
    fn range(self, sample: &Sample) -> TimeRange {
        let (span, until) = (self.question.span_micros(), sample.until);
        match self.window {
            Window::Minutes => until_now(span, until),
            Window::Exact => TimeRange::last(span, until),
        }
    }

    fn body(self, sample: &Sample) -> String {
        let range = self.range(sample);
        let time = json!({ "between": { "from": range.from().to_string(), "to": range.to().to_string() } });
        let filter = match self.question {
            Question::Summary => json!({ "time": time, "projectIds": [sample.project.node_id()] }),
            Question::Hourly => {
                json!({ "time": time, "projectIds": [sample.project.node_id()], "types": ["API_RESPONSE"] })
            }
            Question::Slowest => {
                let organization = sample.project.organization_node_id();
                json!({ "time": time, "organizationId": organization, "types": ["API_RESPONSE"] })
            }
        };
        json!({ "query": self.question.document(), "variables": { "filter": filter } }).to_string()
    }

    fn name(self) -> String {
        let window = match self.window {
            Window::Minutes => "",
            Window::Exact => ", to the us",
        };
        format!("{}{window}", self.question.name())
    }
}

/// The cost of an answer at one size, in microseconds.
#[derive(Clone, Copy)]
struct Cost {
    server: f64,
    database: f64,
    raw: f64,
}

impl Cost {
    fn rollups(self) -> f64 {
        self.server + self.database
    }
}

/// Measures one kind of database and prints the table.
pub async fn run(kind: Kind) -> Outcome<()> {
    let mut samples = Vec::new();
    let now = Timestamp::from_micros(jiff::Timestamp::now().as_microsecond());
    let until = now.plus_micros(-BUSY_MICROS).floor(DAY_MICROS).plus_micros(BUSY_MICROS);
    for size in SIZES {
        let sample = Sample::prepare(kind, size, until).await?;
        eprintln!("load: {kind} holds {} measurements", sample.rows);
        samples.push(sample);
    }
    let rows: Vec<i64> = samples.iter().map(|sample| sample.rows).collect();
    let mut costs = Vec::new();
    for question in QUESTIONS {
        for window in [Window::Minutes, Window::Exact] {
            let asked = Asked { question, window };
            let answered = costs_of(&mut samples, asked).await?;
            for Cost { server, database, raw } in &answered {
                eprintln!("load: {}: {:.0} us, from raw rows {raw:.0} us", asked.name(), server + database);
            }
            costs.push((asked, answered));
        }
    }
    print(kind, &rows, &costs);
    for sample in samples {
        sample.close().await?;
    }
    if kind == Kind::Sqlite {
        import::run().await?;
    }
    Ok(())
}

/// The cost of an answer at each size. Sizes take turns, because the speed of the machine changes from minute to minute.
async fn costs_of(samples: &mut [Sample], question: Asked) -> Outcome<Vec<Cost>> {
    let mut asked = Vec::new();
    for sample in samples.iter() {
        let request = client::post("/graphql", &question.body(sample), "");
        let length = client::Connection::open(sample.server.address).await?.send(&request).await?.len();
        let answer = client::ask(sample.server.address, &request).await?;
        if !answer["errors"].is_null() {
            return Err(format!("{}: {answer}", question.name()).into());
        }
        asked.push((request, Expect::Bytes(length)));
    }
    let mut rounds: Vec<Vec<Figures>> = vec![Vec::new(); samples.len()];
    for number in 0..=ROUNDS {
        let load = if number == 0 { WARM_UP } else { TIMED };
        for ((sample, (request, expect)), rounds) in samples.iter().zip(&asked).zip(&mut rounds) {
            let requests = std::slice::from_ref(request);
            let (figures, _) = round::run(&sample.server, sample.postmaster, requests, *expect, load).await?;
            if number > 0 {
                rounds.push(figures);
            }
        }
    }
    let mut costs = Vec::new();
    for (sample, rounds) in samples.iter_mut().zip(&rounds) {
        let figures = round::median(rounds);
        let raw = raw::cost(sample, question).await?;
        costs.push(Cost { server: figures.cpu_micros, database: figures.database_micros.unwrap_or(0.0), raw });
    }
    Ok(costs)
}

fn print(kind: Kind, rows: &[i64], costs: &[(Asked, Vec<Cost>)]) {
    println!("\n{kind}: CPU of server and database for one answer, in microseconds, at {rows:?} measurements");
    println!(
        "{:<28} {:>10} {:>10} {:>7} | {:>12} {:>12} {:>9}",
        "question", "at 1 M", "at 10 M", "ratio", "raw at 1 M", "raw at 10 M", "raw/ours"
    );
    for (question, costs) in costs {
        let [small, large] = costs[..] else { continue };
        println!(
            "{:<28} {:>10.0} {:>10.0} {:>7.2} | {:>12.0} {:>12.0} {:>9.1}",
            question.name(),
            small.rollups(),
            large.rollups(),
            large.rollups() / small.rollups(),
            small.raw,
            large.raw,
            large.raw / large.rollups()
        );
        println!(
            "{}",
            json!({
                "database": kind.to_string(), "question": question.name(), "rows": rows,
                "server_us": costs.iter().map(|cost| cost.server.round()).collect::<Vec<_>>(),
                "database_us": costs.iter().map(|cost| cost.database.round()).collect::<Vec<_>>(),
                "raw_us": costs.iter().map(|cost| cost.raw.round()).collect::<Vec<_>>(),
            })
        );
    }
}
