//! Reports answer what brute force over the same measurements answers, in a constant number of statements, and never
//! from another tenant's rows.

mod columns;
mod current_minute;
mod distributions;
mod exact_reference;
pub mod fixture;
mod group_bombs;
mod groups;
mod metric_lists;
mod pages;
mod query_plans;
mod random_queries;
mod resolutions;
mod series;
mod sketch_formats;
mod slowest_search;
mod time_zones;

use std::collections::{BTreeMap, HashMap};

use perfgraph::{
    db::{Backend, StatementLog},
    error::Code,
    model::{
        EndpointId, Key, MetricType, OrganizationId, ProjectId, Role, Scope, filter::TextFilter,
        sketch::RELATIVE_ERROR, timestamp::MINUTE_MICROS,
    },
    reports::{
        AnswerSource, EndpointKey, Parent, Projects, Question, Slowest, Statistic, StatisticsNeeded, Stats,
        WorstSample, slowest, totals, worst_sample,
    },
};

use sea_orm::ConnectionTrait;

use self::{
    fixture::{Event, OURS, THEIRS, World, range},
    random_queries::questions,
};
use crate::{harness::TestDatabase, on_both_databases};

const SEED: u64 = 20_261_121;
const STATISTICS: [Statistic; 12] = [
    Statistic::Count,
    Statistic::Average,
    Statistic::Min,
    Statistic::Max,
    Statistic::Sum,
    Statistic::P50,
    Statistic::P75,
    Statistic::P90,
    Statistic::P95,
    Statistic::P99,
    Statistic::P999,
    Statistic::ErrorRate,
];

fn scopes() -> [Scope; 3] {
    [Scope::everything(), Scope::organization(OURS, Role::Viewer), Scope::organization(THEIRS, Role::Owner)]
}

const fn slowest(rank_by: Statistic, limit: u32, want: StatisticsNeeded) -> Slowest {
    Slowest { rank_by, limit, want }
}

fn parents(projects: &[Key<ProjectId>]) -> Vec<Parent> {
    projects.iter().copied().map(Parent::Project).collect()
}

async fn filled(database: &TestDatabase) -> World {
    let world = World::seeded(SEED);
    world.write(&database.writer()).await;
    world
}

#[expect(clippy::cast_precision_loss, reason = "a few thousand events")]
fn float(count: usize) -> f64 {
    count as f64
}

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs()
}

/// The value of rank `ceil(p / 100 * n)`, at least 1, for percentiles with one decimal place.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a thousand at most")]
fn percentile(events: &[&Event], p: f64) -> Option<f64> {
    let mut values: Vec<f64> = events.iter().map(|event| event.value).collect();
    values.sort_by(f64::total_cmp);
    let rank = ((p * 10.0).round() as usize * values.len()).div_ceil(1_000);
    values.get(rank.saturating_sub(1)).copied()
}

fn by_force(events: &[&Event], statistic: Statistic) -> Option<f64> {
    let sum: f64 = events.iter().map(|event| event.value).sum();
    let values = || events.iter().map(|event| event.value);
    let count = float(events.len());
    match statistic {
        Statistic::Count => Some(count),
        Statistic::Sum => Some(sum),
        Statistic::Average => (!events.is_empty()).then(|| sum / count),
        Statistic::Min => values().reduce(f64::min),
        Statistic::Max => values().reduce(f64::max),
        Statistic::ErrorRate => {
            (!events.is_empty()).then(|| float(events.iter().filter(|event| event.is_error()).count()) / count)
        }
        _ => percentile(events, statistic.percentile().unwrap()),
    }
}

fn assert_matches(stats: &Stats, events: &[&Event], want: StatisticsNeeded, question: &Question) {
    assert_eq!(stats.tally.count, events.len() as u64, "{question:?}");
    let errors = events.iter().filter(|event| event.is_error()).count();
    assert_eq!(stats.tally.errors, errors as u64, "{question:?}");
    assert_eq!(
        stats.tally.distribution.as_ref().map(perfgraph::reports::Distribution::count),
        match want {
            StatisticsNeeded::Scalars => None,
            StatisticsNeeded::Percentiles => Some(stats.tally.count),
        }
    );
    assert_eq!(stats.accuracy.is_exact, want == StatisticsNeeded::Scalars || question.exact.is_some());
    if let Some(distribution) = &stats.tally.distribution {
        distributions::assert_matches(distribution, stats, events, question);
    }
    for statistic in STATISTICS {
        let (told, exact) = (statistic.of(stats), by_force(events, statistic));
        match (told, exact) {
            (Some(told), Some(exact)) if statistic.percentile().is_some() => {
                assert!((told - exact).abs() <= exact * RELATIVE_ERROR + 1e-9, "{statistic:?} {told} {exact}");
                let quantile = stats.percentile(statistic.percentile().unwrap()).unwrap();
                if question.exact.is_some() {
                    assert_eq!([quantile.value, quantile.lower, quantile.upper], [exact; 3], "{question:?}");
                }
                assert!(quantile.lower <= exact && exact <= quantile.upper, "{quantile:?} {exact}");
                assert!(stats.tally.min() <= Some(told) && Some(told) <= stats.tally.max());
            }
            (Some(told), Some(exact)) if matches!(statistic, Statistic::Min | Statistic::Max) => {
                assert!(told.to_bits() == exact.to_bits(), "{statistic:?} {told} {exact} {question:?}");
            }
            (Some(told), Some(exact)) => assert!(is_close(told, exact), "{statistic:?} {told} {exact} {question:?}"),
            (None, _) if want == StatisticsNeeded::Scalars && statistic.percentile().is_some() => {}
            (told, exact) => assert_eq!(told, exact, "{statistic:?} {question:?}"),
        }
    }
}

on_both_databases! {
    async fn stats_equal_brute_force_in_one_statement(database: TestDatabase) {
        let world = filled(&database).await;
        let mut sources = HashMap::new();
        for (index, question) in questions(1, 150).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            let events = world.matching(&scope, &question);
            for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
                let session = database.database.reader(StatementLog::default());
                let answer = totals::run(&scope, &session, &question, want).await.unwrap();
                assert_matches(&answer, &events, want, &question);
                assert!(session.log().count() <= 1, "{:?}", session.log().statements());
                *sources.entry(format!("{:?}", answer.accuracy.source)).or_insert(0) += events.len().min(1);
            }
        }
        assert!(sources.len() == 3 && sources.values().all(|&times| times > 3), "all paths were taken: {sources:?}");
    }
}

on_both_databases! {
    async fn stats_by_project_equal_those_of_each_project(database: TestDatabase) {
        let world = filled(&database).await;
        for (index, question) in questions(2, 40).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
                for projects in [&world.projects[..1], &world.projects[..]] {
                    let session = database.reader();
                    let answers = totals::by_parent(&scope, &session, &question, &parents(projects), want).await.unwrap();
                    assert!(session.log().count() <= 1, "one for any number of projects");
                    assert_eq!(answers.len(), projects.len());
                    for project in projects {
                        let parent = Parent::Project(*project);
                        let (alone, answer) = (world.narrowed(&question, &parent), &answers[&parent]);
                        assert_matches(answer, &world.matching(&scope, &alone), want, &alone);
                        let run = totals::run(&scope, &session, &alone, want).await.unwrap();
                        let stats = |stats: &Stats| {
                            let tally = &stats.tally;
                            (tally.count, tally.min(), tally.max(), tally.distribution.clone(), stats.accuracy)
                        };
                        assert_eq!(stats(answer), stats(&run));
                    }
                }
            }
        }
    }
}

on_both_databases! {
    async fn many_keys_of_many_tenants_are_asked_for_in_portions(database: TestDatabase) {
        let world = filled(&database).await;
        let strangers = (100..1_098).map(|id| Key::new(OrganizationId(id), ProjectId(10)));
        let projects: Vec<_> = strangers.chain([world.projects[0], world.projects[0]]).collect();
        let question = Question::over(range(1, 100 * MINUTE_MICROS));
        let session = database.reader();
        let scope = Scope::everything();
        for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
            let answers = totals::by_parent(&scope, &session, &question, &parents(&projects), want).await.unwrap();
            assert_eq!(answers.len(), 999);
            assert_eq!(answers.values().filter(|stats| stats.tally.count > 0).count(), 1);
        }
        let keys: Vec<_> = projects.iter()
            .map(|project| EndpointKey { project: *project, endpoint: EndpointId(1_000) })
            .collect();
        assert_eq!(worst_sample::by_endpoint(&scope, &session, &question, &keys).await.unwrap().len(), 1);
        assert_eq!(session.log().count(), 3 * 2);
        let question = Question { projects: Projects::Keys(projects), ..question };
        let refused = totals::run(&scope, &session, &question, StatisticsNeeded::Scalars).await.unwrap_err();
        assert!(refused.to_string().starts_with("projectIds: "), "{refused}");
    }
}

on_both_databases! {
    async fn damaged_rows_are_a_fault_and_never_a_panic(database: TestDatabase) {
        filled(&database).await;
        let writer = database.writer();
        // A format of the future, and a count below zero.
        for change in ["sketch = ", "n = -1, n_err = -1, sketch = "] {
            let blob = match database.database.backend() {
                Backend::Sqlite(_) => "x'09'",
                Backend::Postgres(_) => "'\\x09'::bytea",
            };
            writer.execute_unprepared(&format!("UPDATE metric_rollup_part SET {change}{blob}")).await.unwrap();
            let question = Question::over(range(0, 100 * MINUTE_MICROS));
            let (scope, session) = (Scope::everything(), database.reader());
            totals::run(&scope, &session, &question, StatisticsNeeded::Scalars).await.unwrap();
            let fault = totals::run(&scope, &session, &question, StatisticsNeeded::Percentiles).await.unwrap_err();
            assert_eq!(fault.code(), Code::InternalServerError);
            slowest::run(&scope, &session, &question, slowest(Statistic::P95, 10, StatisticsNeeded::Scalars)).await.unwrap_err();
        }
    }
}

type ByEndpoint<'a> = BTreeMap<(Key<ProjectId>, &'static str), Vec<&'a Event>>;

fn by_endpoint<'a>(events: &[&'a Event]) -> ByEndpoint<'a> {
    let mut groups = ByEndpoint::new();
    for event in events {
        groups.entry((event.project, event.path)).or_default().push(event);
    }
    groups
}

on_both_databases! {
    async fn slowest_equals_brute_force_in_few_statements(database: TestDatabase) {
        let world = filled(&database).await;
        for (index, question) in questions(3, 96).into_iter().enumerate() {
            let (scope, rank_by) = (scopes()[index % 3], STATISTICS[index % STATISTICS.len()]);
            let want = if index % 2 == 0 { StatisticsNeeded::Scalars } else { StatisticsNeeded::Percentiles };
            let limit = [1, 3, 100][index / 3 % 3];
            let session = database.reader();
            let answer = slowest::run(&scope, &session, &question, slowest(rank_by, limit, want)).await.unwrap();
            let has_two = rank_by.percentile().is_none() && want == StatisticsNeeded::Percentiles;
            let most = if has_two { 2 } else { 1 };
            assert!(session.log().count() <= most, "{rank_by:?} {question:?}");

            let groups = by_endpoint(&world.matching(&scope, &question));
            let is_lowest_first = question.kinds == [MetricType::CacheHit]
                && !matches!(rank_by, Statistic::Count | Statistic::Sum | Statistic::ErrorRate);
            let mut expected: Vec<_> = groups
                .iter()
                .map(|(key, events)| (by_force(events, rank_by).unwrap(), *key))
                .collect();
            // The groups come in the order of project and path, and the sort keeps that among equals.
            expected.sort_by(|a, b| if is_lowest_first { a.0.total_cmp(&b.0) } else { b.0.total_cmp(&a.0) });
            expected.truncate(limit as usize);
            assert_eq!(answer.len(), expected.len(), "{question:?}");
            for (told, (value, key)) in answer.iter().zip(&expected) {
                let events = &groups[&(told.project, *groups.keys().map(|(_, path)| path)
                    .find(|path| **path == told.endpoint).unwrap())];
                let fetched = if rank_by.percentile().is_some() { StatisticsNeeded::Percentiles } else { want };
                assert_matches(&told.stats, events, fetched, &question);
                assert_eq!(told.endpoint_id, events[0].endpoint);
                assert_eq!(Some(told.value), rank_by.of(&told.stats));
                if rank_by.percentile().is_some() {
                    // Each estimate is within the bound of its own value, so the n-th of them is of the n-th value.
                    assert!((told.value - value).abs() <= value * RELATIVE_ERROR + 1e-9, "{told:?} {value}");
                } else {
                    assert!(is_close(told.value, *value), "{told:?} {value}");
                    // Sums differ in their last bits by the order of adding; counts and extremes never do.
                    if matches!(rank_by, Statistic::Count | Statistic::Min | Statistic::Max | Statistic::ErrorRate) {
                        assert_eq!((told.project, told.endpoint.as_str()), *key, "{rank_by:?} {question:?}");
                    }
                }
            }
        }
    }
}

on_both_databases! {
    async fn limits_out_of_range_are_refused(database: TestDatabase) {
        let question = Question::over(range(0, MINUTE_MICROS));
        for limit in [0, 101, u32::MAX] {
            let refused = slowest::run(
                &Scope::everything(), &database.reader(), &question, slowest(Statistic::P95, limit, StatisticsNeeded::Scalars),
            ).await.unwrap_err();
            assert!(refused.to_string().starts_with("first: "), "{refused}");
        }
        let zero_byte = TextFilter { contains: Some("a\0".to_owned()), ..TextFilter::default() };
        let question = Question { endpoint: Some(zero_byte), ..question };
        let refused = totals::run(&Scope::everything(), &database.reader(), &question, StatisticsNeeded::Scalars).await.unwrap_err();
        assert!(refused.to_string().starts_with("endpoint: "), "{refused}");
    }
}

on_both_databases! {
    async fn worst_samples_equal_brute_force_in_one_statement(database: TestDatabase) {
        let world = filled(&database).await;
        for (index, question) in questions(4, 90).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            // The endpoints replace the question's projects and paths.
            let everywhere = Question { projects: Projects::All, endpoint: None, ..question.clone() };
            let mut all: Vec<EndpointKey> = world.events.iter()
                .map(|event| EndpointKey { project: event.project, endpoint: event.endpoint })
                .collect();
            all.sort_unstable();
            all.dedup();
            let asked = &all[..[1, 5, all.len()][index % 3]];
            let session = database.reader();
            let answer = worst_sample::by_endpoint(&scope, &session, &question, asked).await.unwrap();
            assert!(session.log().count() <= 1);
            let mut expected: HashMap<EndpointKey, Vec<&Event>> = HashMap::new();
            for event in world.matching(&scope, &everywhere) {
                let key = EndpointKey { project: event.project, endpoint: event.endpoint };
                if asked.contains(&key) {
                    expected.entry(key).or_default().push(event);
                }
            }
            assert_eq!(answer.len(), expected.len(), "{question:?}");
            for (key, events) in expected {
                let sign = if question.kinds == [MetricType::CacheHit] { -1.0 } else { 1.0 };
                let event = events.into_iter()
                    .max_by(|a, b| (sign * a.value).total_cmp(&(sign * b.value)).then(a.ts.cmp(&b.ts)))
                    .unwrap();
                let sample = WorstSample {
                    id: event.id,
                    kind: event.kind,
                    value: event.value,
                    status: (event.status != 0).then_some(event.status),
                    timestamp: event.ts,
                    name: event.name.to_owned(),
                    release: event.release.to_owned(),
                };
                assert_eq!(answer[&key], sample, "{question:?}");
            }
        }
    }
}

on_both_databases! {
    async fn nothing_measured_is_zero_and_none(database: TestDatabase) {
        filled(&database).await;
        let before = Question::over(range(-600 * MINUTE_MICROS, 500 * MINUTE_MICROS));
        let scope = Scope::everything();
        for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
            let answer = totals::run(&scope, &database.reader(), &before, want).await.unwrap();
            assert_eq!((answer.tally.count, answer.tally.errors), (0, 0));
            assert_eq!((answer.tally.min(), answer.tally.max(), answer.average(), answer.error_rate()), (None, None, None, None));
            assert_eq!(answer.percentile(50.0), None);
            assert_eq!(answer.accuracy.source, AnswerSource::Rollup);
        }
        let answer = slowest::run(&scope, &database.reader(), &before, slowest(Statistic::P95, 10, StatisticsNeeded::Scalars)).await.unwrap();
        assert_eq!(answer, vec![]);
    }
}

on_both_databases! {
    async fn a_tenant_never_gets_another_tenants_rows(database: TestDatabase) {
        let world = filled(&database).await;
        let scope = Scope::organization(OURS, Role::Owner);
        let foreign: Vec<_> = world.projects.iter().copied().filter(|key| key.organization == THEIRS).collect();
        for projects in [Projects::Organizations(vec![THEIRS]), Projects::Keys(foreign.clone())] {
            let question = Question { projects, ..Question::over(range(-1, 500 * MINUTE_MICROS)) };
            let session = database.reader();
            let answer = totals::run(&scope, &session, &question, StatisticsNeeded::Percentiles).await.unwrap();
            assert_eq!(answer.tally.count, 0);
            assert_eq!(
                slowest::run(&scope, &session, &question, slowest(Statistic::Max, 100, StatisticsNeeded::Scalars)).await.unwrap(), vec![]);
            let answers = totals::by_parent(&scope, &session, &question, &parents(&foreign), StatisticsNeeded::Scalars).await.unwrap();
            assert!(answers.values().all(|stats| stats.tally.count == 0));
            let endpoints: Vec<_> = world.events.iter()
                .filter(|event| event.project.organization == THEIRS)
                .map(|event| EndpointKey { project: event.project, endpoint: event.endpoint })
                .take(20)
                .collect();
            assert!(worst_sample::by_endpoint(&scope, &session, &question, &endpoints).await.unwrap().is_empty());
            assert_eq!(session.log().count(), 0, "what cannot be seen is not even asked for");
        }
        // The same ids exist on both sides; only ours are counted.
        let question = Question::over(range(0, 180 * MINUTE_MICROS));
        let answer = totals::run(&scope, &database.reader(), &question, StatisticsNeeded::Scalars).await.unwrap();
        let ours = world.events.iter().filter(|event| event.project.organization == OURS).count();
        assert_eq!(answer.tally.count, ours as u64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_databases_give_the_same_answers() {
    let (sqlite, postgres) = (TestDatabase::sqlite().await, TestDatabase::postgres().await);
    filled(&sqlite).await;
    filled(&postgres).await;
    let scope = Scope::everything();
    for question in questions(5, 60) {
        let mut answers = Vec::new();
        for database in [&sqlite, &postgres] {
            let stats =
                totals::run(&scope, &database.reader(), &question, StatisticsNeeded::Percentiles).await.unwrap();
            let slowest = slowest::run(
                &scope,
                &database.reader(),
                &question,
                slowest(Statistic::P95, 10, StatisticsNeeded::Scalars),
            )
            .await
            .unwrap();
            let slowest: Vec<_> = slowest
                .into_iter()
                .map(|each| (each.project, each.endpoint, each.value, each.stats.tally.distribution.clone()))
                .collect();
            // Equality of tallies includes their sums, to the last bit.
            answers.push((stats, slowest));
        }
        assert_eq!(answers[0], answers[1], "{question:?}");
    }
}
