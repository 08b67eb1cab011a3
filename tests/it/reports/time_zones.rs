//! Buckets of time zones against the calendar, minute by minute: through changes of clocks, days that were skipped, and
//! offsets that are no whole hours.

use std::sync::Arc;

use jiff::{civil::Date, tz::TimeZoneDatabase};
use perfgraph::{
    jobs::compaction,
    model::{
        RetainedSince, TimeRange, TimeZone, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
    reports::{Bucket, Buckets, Series, series},
};
use rand::RngExt;
use serde_json::{Value, json};

use super::{
    fixture::START,
    random_queries::{CHANGES, days_of_a_zone},
    resolutions::random,
    series::assert_buckets,
    *,
};
use crate::{graphql::statement_counts::counted, harness::Server};

const DAYS: i64 = 5;

/// The days of a zone around some days: each date with the first minute that has it, in order of time.
struct Calendar(Vec<(i64, Timestamp)>);

impl Calendar {
    fn around(zone: &str, start: Timestamp) -> Self {
        let zone = TimeZoneDatabase::bundled().get(zone).unwrap_or_else(|_| {
            jiff::tz::TimeZone::fixed(jiff::tz::Offset::from_seconds(5 * 3_600 + 45 * 60).unwrap())
        });
        let epoch = Date::constant(1970, 1, 1);
        let date = |at: Timestamp| {
            let local = zone.to_datetime(jiff::Timestamp::from_microsecond(at.as_micros()).unwrap());
            i64::from(epoch.until(local.date()).unwrap().get_days())
        };
        let mut days: Vec<(i64, Timestamp)> = Vec::new();
        let mut at = start.plus_micros(-12 * DAY_MICROS);
        while at < start.plus_micros(22 * DAY_MICROS) {
            let date = date(at);
            if days.iter().all(|(known, _)| *known < date) {
                days.push((date, at));
            }
            at = at.plus_micros(MINUTE_MICROS);
        }
        // The first did not begin there.
        days.remove(0);
        Self(days)
    }

    /// The buckets that overlap a window.
    fn buckets(&self, width: i64, window: TimeRange) -> Vec<TimeRange> {
        let mut starts = Vec::new();
        let days = (width / DAY_MICROS).max(1);
        let monday = if days % 7 == 0 { 4 } else { 0 };
        let mut last = None;
        for pair in self.0.windows(2) {
            let [(date, start), (_, end)] = [pair[0], pair[1]];
            if width < DAY_MICROS {
                let parts = (0..).map(|part| start.plus_micros(part * width)).take_while(|part| *part < end);
                starts.extend(parts);
            } else if last.replace((date - monday).div_euclid(days)) != Some((date - monday).div_euclid(days)) {
                starts.push(start);
            }
        }
        let all = starts.windows(2).map(|pair| TimeRange::new(pair[0], pair[1]).unwrap());
        all.filter(|range| range.common(window).is_some()).collect()
    }
}

fn start(date: &str) -> Timestamp {
    format!("{date}T00:00:00Z").parse().unwrap()
}

/// A share of the measurements in the days of each zone.
async fn filled(database: &TestDatabase, rng_seed: u64) -> World {
    let mut world = World::over(rng_seed, DAYS * 24 * 60);
    let share = world.events.len().div_ceil(CHANGES.len());
    for (events, (_, date)) in world.events.chunks_mut(share).zip(CHANGES) {
        for event in events {
            event.ts = event.ts.plus_micros(start(date).as_micros() - START.as_micros());
        }
    }
    world.write(&database.writer()).await;
    world
}

async fn asked(database: &TestDatabase, scope: &Scope, question: &Question, series: &Series) -> Arc<[Bucket]> {
    let session = database.reader();
    let before = session.log().count();
    let mut answers = series::by_parent(scope, &session, question, &[Parent::Question], series).await.unwrap();
    assert!(session.log().count() <= before + 1);
    answers.remove(&Parent::Question).unwrap()
}

on_both_databases! {
    async fn buckets_of_a_zone_are_those_of_the_calendar(database: TestDatabase) {
        let (rng_seed, mut rng) = random();
        let world = filled(&database, rng_seed).await;
        let calendars = CHANGES.map(|(zone, date)| Calendar::around(zone, start(date)));
        for is_merged in [false, true] {
            if is_merged {
                assert!(compaction::round(&database.database, start("2026-12-01")).await.unwrap() > 1_000);
            }
            for (index, question) in questions(rng.random(), 120).into_iter().enumerate() {
                let (zone, date) = CHANGES[index % CHANGES.len()];
                let (window, width) = days_of_a_zone(&mut rng, start(date));
                let question = Question { window, ..question };
                let want = [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles][rng.random_range(0..2)];
                let zone: TimeZone = zone.parse().unwrap();
                let series = Series { buckets: Buckets::in_zone(width, 1_000, zone).unwrap(), want };
                let scope = scopes()[index % 3];
                let buckets = asked(&database, &scope, &question, &series).await;
                let ranges = calendars[index % CHANGES.len()].buckets(width, window);
                assert_buckets(&buckets, &ranges, &world.matching(&scope, &question), want, &question);
            }
        }
    }
}

on_both_databases! {
    async fn where_only_coarse_rows_are_kept_buckets_move_and_say_so(database: TestDatabase) {
        let (rng_seed, mut rng) = random();
        let world = filled(&database, rng_seed).await;
        compaction::round(&database.database, start("2026-12-01")).await.unwrap();
        for (number, (name, date)) in CHANGES.into_iter().enumerate() {
            let kept = |days: i64| start(date).plus_micros(days * DAY_MICROS);
            // A day of days, two of hours, the rest of minutes and single measurements.
            let bounds = RetainedSince {
                raw: kept(4),
                minutes: kept(3),
                five_minutes: kept(3),
                hours: kept(1),
                ..RetainedSince::EVERYTHING
            };
            database.database.set_kept(bounds);
            for _ in 0..12 {
                let (window, width) = days_of_a_zone(&mut rng, start(date));
                let question = Question::over(window);
                let zone: TimeZone = name.parse().unwrap();
                let want = StatisticsNeeded::Scalars;
                let series = Series { buckets: Buckets::in_zone(width, 1_000, zone).unwrap(), want };
                let session = database.reader();
                let scope = Scope::everything();
                let answer = series::by_parent(&scope, &session, &question, &[Parent::Question], &series).await;
                let Ok(mut answer) = answer else {
                    assert!(width < DAY_MICROS && window.to() <= kept(if width < HOUR_MICROS { 3 } else { 1 }), "{window:?}");
                    continue;
                };
                let buckets = answer.remove(&Parent::Question).unwrap();
                for bucket in &*buckets {
                    // Exactly the measurements of the window that it says, and every one in one bucket.
                    let covers = bucket.stats.accuracy.covers;
                    let events = world.matching(&scope, &Question::over(covers));
                    assert_eq!(bucket.stats.tally.count, events.len() as u64, "{number} {name} {bucket:?}");
                    let is_exact = Some(covers) == bucket.range.common(window);
                    assert_eq!(bucket.stats.accuracy.is_exact, is_exact, "{name} {bucket:?}");
                    assert!(is_exact || !bucket.is_whole || bucket.range.from() < kept(3), "{name} {bucket:?}");
                }
                for pair in buckets.windows(2) {
                    assert_eq!(pair[0].stats.accuracy.covers.to(), pair[1].stats.accuracy.covers.from());
                }
            }
        }
        database.database.set_kept(RetainedSince::EVERYTHING);
    }
}

on_both_databases! {
    async fn a_time_zone_is_an_argument_wherever_buckets_are(database: TestDatabase) {
        let server = Server::fixed(database).await;
        let world = server.seed("organizations=1 projects=2 metrics=30").await;
        let query = "query ($ids: [ID!], $zone: String, $time: TimeRange!) {
            metricSeries(filter: { projectIds: $ids, time: $time }, bucket: \"P1D\", timeZone: $zone) { start end isComplete stats { count } }
            metricGroups(filter: { projectIds: $ids, time: $time }, groupBy: [], bucket: \"P1D\", timeZone: $zone) {
                buckets { start end isComplete stats { count } }
            }
            metricColumns(filter: { projectIds: $ids, time: $time }, bucket: \"P1D\", timeZone: $zone) { starts ends counts isComplete }
            slowestEndpoints(first: 1, filter: { projectIds: $ids, time: $time }) { trend(bucket: \"P1D\", timeZone: $zone) { start end } }
        }";
        let time = json!({ "between": { "start": "2026-10-24T22:00:00Z", "end": "2026-11-01T12:00:00Z" } });
        let ids = json!([world.id("project", 1), world.id("project", 2)]);
        let variables = |zone: Value| json!({ "ids": ids, "zone": zone, "time": time });
        let (utc, statements) = counted(&server, query, variables(Value::Null)).await;
        assert_eq!(utc["metricSeries"][0]["start"], "2026-10-24T00:00:00Z");
        let (data, of_a_zone) = counted(&server, query, variables(json!("Europe/Berlin"))).await;
        assert_eq!(of_a_zone, statements);
        let series = data["metricSeries"].as_array().unwrap();
        assert_eq!(series.len(), 8);
        assert_eq!(series[0], json!({
            "start": "2026-10-24T22:00:00Z", "end": "2026-10-25T23:00:00Z", "isComplete": true, "stats": { "count": 0 },
        }), "a day of 25 hours");
        assert_eq!(series[7], json!({
            "start": "2026-10-31T23:00:00Z", "end": "2026-11-01T23:00:00Z", "isComplete": false, "stats": { "count": 60 },
        }));
        assert_eq!(data["metricGroups"][0]["buckets"], data["metricSeries"]);
        let part = |name: &str| Value::Array(series.iter().map(|bucket| bucket[name].clone()).collect());
        let columns = &data["metricColumns"][0];
        assert_eq!((&columns["starts"], &columns["ends"], &columns["isComplete"]), (&part("start"), &part("end"), &part("isComplete")));
        let trend = data["slowestEndpoints"][0]["trend"].as_array().unwrap();
        assert_eq!((trend.len(), &trend[0]["end"]), (8, &json!("2026-10-25T23:00:00Z")));

        let (code, message) = server.graphql("{ metricGroups(groupBy: [], timeZone: \"UTC\") { type } }", Value::Null).await.error();
        assert!(code == "BAD_USER_INPUT" && message.starts_with("timeZone: needs `bucket`"), "{message}");
        // Before anything is read, also where the filter names something.
        let query = "query ($ids: [ID!]) { metricColumns(filter: { projectIds: $ids }, bucket: \"P1D\", timeZone: \"x\") { starts } }";
        let body = json!({ "query": query, "variables": { "ids": ids } });
        let request = server.request(reqwest::Method::POST, "/graphql").header("perfgraph-explain", "1").json(&body);
        let reply = crate::harness::server::send(request).await.json();
        assert_eq!((&reply["errors"][0]["extensions"]["field"], &reply["extensions"]["db"]["statements"]), (&json!("timeZone"), &json!(0)));
        for (zone, bucket, field, message) in [
            ("Europe/Berln", "P1D", "timeZone", "did you mean `Europe/Berlin`"),
            ("", "P1D", "timeZone", "give a name of the IANA database"),
            ("+24:00", "P1D", "timeZone", "give a name of the IANA database"),
            ("Asia/Kolkata", "PT5H", "bucket", "it must be whole days or whole minutes that divide a day"),
            ("Asia/Kolkata", "PT36H", "bucket", "it must be whole days or whole minutes that divide a day"),
        ] {
            for (head, tail) in [
                ("metricSeries(", "{ start } }"), ("metricGroups(groupBy: [], ", "{ keys { value } } }"), ("metricColumns(", "{ starts } }"),
            ] {
                let query = format!("{{ {head}bucket: \"{bucket}\", timeZone: \"{zone}\") {tail}");
                let body = server.graphql(&query, Value::Null).await.json();
                let error = &body["errors"][0];
                assert_eq!(error["extensions"], json!({ "code": "BAD_USER_INPUT", "field": field }), "{query}: {body}");
                assert!(error["message"].as_str().unwrap().contains(message), "{error}");
            }
        }
    }
}
