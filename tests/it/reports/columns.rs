//! Lists for charts and histograms as clients get them: whatever was merged when, and in which order the measurements
//! arrived, every item is what brute force finds.

use perfgraph::{
    clock::Clock,
    graphql::node::NodeId,
    jobs::compaction,
    model::{
        Timestamp,
        timestamp::{DAY_MICROS, SECOND_MICROS},
    },
    reports::{GroupBy, GroupKey, HistogramBar},
};
use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};
use serde_json::{Value, json};

use super::{
    distributions::assert_histogram,
    fixture::{START, write_events},
    groups::{KEYS, key},
    resolutions::{DAYS, random, window},
    *,
};
use crate::harness::Server;

const PERCENTILES: [f64; 5] = [0.0, 50.0, 95.0, 99.9, 100.0];
const QUERY: &str = "query ($filter: MetricFilter!, $bucket: Duration!, $by: [MetricGroupKey!], $bars: Int!) {
    metricStats(filter: $filter) { ...figures }
    metricColumns(filter: $filter, bucket: $bucket, groupBy: $by, first: 100) { ...columns }
    projects(first: 10) { nodes {
        id
        metricStats(filter: $filter) { ...figures }
        metricColumns(filter: $filter, bucket: $bucket, groupBy: $by, first: 100) { ...columns }
    } }
}
fragment figures on MetricAggregate {
    count histogram(maxBuckets: $bars) { from to count } accuracy { isExact }
    percentiles(p: [0, 50, 95, 99.9, 100]) { p value lower upper }
}
fragment columns on SeriesColumns {
    keys { key value } starts counts complete accuracy { isExact }
    maxima: values(statistic: MAX) minima: values(statistic: MIN) sums: values(statistic: SUM)
    means: values(statistic: AVERAGE) medians: values(statistic: P50) rates: values(statistic: ERROR_RATE)
}";

/// What is asked, for the server and for brute force.
struct Asked {
    question: Question,
    width: i64,
    by: Vec<GroupBy>,
    bars: usize,
}

impl Asked {
    fn random(rng: &mut StdRng) -> Self {
        let window = window(rng);
        let length = window.to().as_micros() - window.from().as_micros();
        // Whole seconds, never whole weeks, and few enough of them for 42 series.
        let width = rng.random_range(length / 100..=length) / SECOND_MICROS * SECOND_MICROS + 61 * SECOND_MICROS;
        let count = rng.random_range(0..3);
        let kinds = if rng.random_bool(0.5) { vec![*MetricType::ALL.choose(rng).unwrap()] } else { vec![] };
        let releases = rng.random_bool(0.2).then(|| vec!["1.4.2".to_owned()]);
        let exact = rng.random_bool(0.4).then_some(100_000);
        Self {
            question: Question { kinds, releases, exact, ..Question::over(window) },
            width,
            by: KEYS.sample(rng, count).copied().collect(),
            bars: rng.random_range(1..=200),
        }
    }

    fn variables(&self) -> Value {
        let Question { window, kinds, releases, exact, .. } = &self.question;
        let mut filter = json!({
            "time": { "between": { "from": window.from().to_string(), "to": window.to().to_string() } },
            "exact": exact.is_some(),
        });
        if !kinds.is_empty() {
            filter["types"] = kinds.iter().map(|kind| kind.name()).collect();
        }
        if let Some(releases) = releases {
            filter["releases"] = json!(releases);
        }
        let by: Vec<_> = self.by.iter().map(|by| name(*by)).collect();
        let bucket = format!("PT{}S", self.width / SECOND_MICROS);
        json!({ "filter": filter, "bucket": bucket, "by": by, "bars": self.bars })
    }

    fn is_exact(&self) -> bool {
        self.question.exact.is_some()
    }

    fn assert_figures(&self, told: &Value, events: &[&Event]) {
        assert_eq!(count(&told["count"]), events.len() as u64, "{:?}", self.question);
        assert_eq!(told["accuracy"]["isExact"], self.is_exact());
        let mut values: Vec<f64> = events.iter().map(|event| event.value).collect();
        values.sort_by(f64::total_cmp);
        let float = |value: &Value| value.as_f64().unwrap();
        let bars: Vec<_> = told["histogram"]
            .as_array()
            .unwrap()
            .iter()
            .map(|bar| HistogramBar { from: float(&bar["from"]), to: float(&bar["to"]), count: count(&bar["count"]) })
            .collect();
        assert_histogram(&bars, &values, self.bars);
        for (told, p) in told["percentiles"].as_array().unwrap().iter().zip(PERCENTILES) {
            let expected = percentile(events, p);
            assert_eq!(told["p"], p);
            self.assert_percentile(&told["value"], expected);
            if self.is_exact() {
                self.assert_percentile(&told["lower"], expected);
                self.assert_percentile(&told["upper"], expected);
            }
        }
    }

    fn assert_percentile(&self, told: &Value, expected: Option<f64>) {
        let Some(expected) = expected else { return assert_eq!(told, &Value::Null) };
        let bound = if self.is_exact() { 0.0 } else { expected * RELATIVE_ERROR + 1e-9 };
        let told = told.as_f64().unwrap();
        assert!((told - expected).abs() <= bound + expected * f64::EPSILON, "{told} {expected} {:?}", self.question);
    }

    fn assert_columns(&self, told: &Value, events: &[&Event], as_of: Timestamp) {
        let mut groups: BTreeMap<Vec<String>, Vec<&Event>> = BTreeMap::new();
        if self.by.is_empty() {
            groups.insert(Vec::new(), Vec::new());
        }
        for event in events {
            groups.entry(self.by.iter().map(|by| text(key(*by, event))).collect()).or_default().push(event);
        }
        let series = told.as_array().unwrap();
        assert_eq!(series.len(), groups.len(), "{:?} {:?}", self.by, self.question);
        for one in series {
            let keys: Vec<String> =
                one["keys"].as_array().unwrap().iter().map(|key| key["value"].as_str().unwrap().to_owned()).collect();
            let names: Vec<_> =
                one["keys"].as_array().unwrap().iter().map(|key| key["key"].as_str().unwrap()).collect();
            assert_eq!(names, self.by.iter().map(|by| name(*by)).collect::<Vec<_>>());
            self.assert_series(one, &groups.remove(&keys).unwrap_or_else(|| panic!("nobody has {keys:?}")), as_of);
        }
    }

    fn assert_series(&self, told: &Value, events: &[&Event], as_of: Timestamp) {
        assert_eq!(told["accuracy"]["isExact"], self.is_exact());
        let window = self.question.window;
        let (first, last) = (window.from().floor(self.width), window.to().plus_micros(-1).floor(self.width));
        let slots = (last.as_micros() - first.as_micros()) / self.width + 1;
        let starts: Vec<_> = (0..slots).map(|slot| first.plus_micros(slot * self.width)).collect();
        let texts: Vec<_> = starts.iter().map(ToString::to_string).collect();
        assert_eq!(told["starts"], json!(texts), "{:?}", self.question);
        for (place, start) in starts.into_iter().enumerate() {
            let end = start.plus_micros(self.width);
            let inside: Vec<_> = events.iter().copied().filter(|event| start <= event.ts && event.ts < end).collect();
            assert_eq!(count(&told["counts"][place]), inside.len() as u64, "{:?}", self.question);
            let is_complete = window.from() <= start && end <= window.to() && end <= as_of;
            assert_eq!(told["complete"][place], is_complete);
            for (column, statistic) in [
                ("maxima", Statistic::Max),
                ("minima", Statistic::Min),
                ("sums", Statistic::Sum),
                ("means", Statistic::Average),
                ("rates", Statistic::ErrorRate),
            ] {
                let expected = (!inside.is_empty()).then(|| by_force(&inside, statistic)).flatten();
                match (told[column][place].as_f64(), expected) {
                    (Some(told), Some(expected)) => assert!(is_close(told, expected), "{column} {told} {expected}"),
                    (told, expected) => assert_eq!(told, expected, "{column} {:?}", self.question),
                }
            }
            self.assert_percentile(&told["medians"][place], percentile(&inside, 50.0));
        }
    }
}

fn name(by: GroupBy) -> &'static str {
    match by {
        GroupBy::Project => "PROJECT",
        GroupBy::Type => "TYPE",
        GroupBy::Name => "NAME",
        GroupBy::Endpoint => "ENDPOINT",
        GroupBy::StatusCode => "STATUS_CODE",
        GroupBy::Release => "RELEASE",
    }
}

fn text(key: GroupKey) -> String {
    match key {
        GroupKey::Project(key) => NodeId::Project(key).encode().0,
        GroupKey::Type(kind) => kind.name().to_owned(),
        GroupKey::StatusCode(0) => String::new(),
        GroupKey::StatusCode(code) => code.to_string(),
        GroupKey::Name(text) | GroupKey::Endpoint(text) | GroupKey::Release(text) => text.to_string(),
    }
}

/// Counts may be written as texts.
fn count(told: &Value) -> u64 {
    told.as_u64().or_else(|| told.as_str()?.parse().ok()).unwrap_or_else(|| panic!("{told} is no count"))
}

on_both_databases! {
    async fn columns_and_histograms_equal_brute_force_in_any_state(database: TestDatabase) {
        let (rng_seed, mut rng) = random();
        let as_of = START.plus_micros(DAYS * DAY_MICROS);
        let settings = "self_monitoring.enabled = false\nlimits.cost_max = 10000000\ncompaction.interval_ms = 3600000";
        let server = Server::start(database, Clock::fixed(as_of), settings).await;
        let mut world = World::over(rng_seed, DAYS * 24 * 60);
        let writer = server.database.writer();
        world.write_directory(&writer).await;
        let all = std::mem::take(&mut world.events);
        let mut merged = 0;
        for commit in all.chunk_by(Event::is_of_one_commit) {
            write_events(&writer, commit).await;
            world.events.extend_from_slice(commit);
            if rng.random_bool(0.7) {
                let until = START.plus_micros(rng.random_range(0..DAYS * DAY_MICROS));
                merged += compaction::round(&server.database.database, until).await.unwrap();
            }
            for _ in 0..5 {
                let asked = Asked::random(&mut rng);
                let answer = server.graphql(QUERY, asked.variables()).await.data();
                let events = world.matching(&Scope::everything(), &asked.question);
                asked.assert_figures(&answer["metricStats"], &events);
                asked.assert_columns(&answer["metricColumns"], &events, as_of);
                let projects = answer["projects"]["nodes"].as_array().unwrap();
                assert_eq!(projects.len(), world.projects.len());
                for project in projects {
                    let own: Vec<_> = events.iter().copied()
                        .filter(|event| NodeId::Project(event.project).encode().0 == project["id"].as_str().unwrap())
                        .collect();
                    asked.assert_figures(&project["metricStats"], &own);
                    asked.assert_columns(&project["metricColumns"], &own, as_of);
                }
            }
        }
        assert!(merged > 1_000, "{merged}");
    }
}
