//! Lists of single measurements: paging through them finds each once, in order, for one parent as for many.

use perfgraph::{
    db::Session,
    model::{
        filter::{Number, NumberFilter},
        order::Sort,
    },
    reports::{MeasurementOrder, Measurements, measurements},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::*;

const PAGES_MAX: usize = 3;

fn asked(rng: &mut StdRng) -> Measurements {
    let at_least = NumberFilter { gte: Some(Number(5.0)), ..NumberFilter::default() };
    Measurements {
        value: rng.random_bool(0.3).then_some(at_least),
        order: *[MeasurementOrder::Timestamp, MeasurementOrder::Value].choose(rng).unwrap(),
        sort: *[Sort::Ascending, Sort::Descending].choose(rng).unwrap(),
        after: None,
        first: *[1, 7, 100].choose(rng).unwrap(),
    }
}

fn expected<'a>(mut events: Vec<&'a Event>, rows: &Measurements) -> Vec<&'a Event> {
    events.retain(|event| rows.value.is_none_or(|filter| filter.accepts(event.value)));
    events.sort_by(|a, b| match rows.order {
        MeasurementOrder::Timestamp => (a.ts, a.id).cmp(&(b.ts, b.id)),
        MeasurementOrder::Value => a.value.total_cmp(&b.value).then(a.id.cmp(&b.id)),
    });
    if rows.sort == Sort::Descending {
        events.reverse();
    }
    events
}

async fn assert_pages(
    session: &Session,
    scope: &Scope,
    question: &Question,
    parent: &Parent,
    events: Vec<&Event>,
    rows: Measurements,
) {
    let all = expected(events, &rows);
    let mut after = None;
    for (page, expected) in all.chunks(rows.first as usize).enumerate().take(PAGES_MAX) {
        let asked = Measurements { after, ..rows.clone() };
        let parents = [parent.clone()];
        let answer =
            measurements::by_parent(scope, session, question, &parents, &asked).await.unwrap().remove(parent).unwrap();
        assert_eq!(
            answer.rows.iter().map(|(key, _)| key.id).collect::<Vec<_>>(),
            expected.iter().map(|event| event.id).collect::<Vec<_>>(),
            "{asked:?} {question:?}"
        );
        assert_eq!(answer.has_next, (page + 1) * (rows.first as usize) < all.len(), "{asked:?}");
        for ((key, measurement), event) in answer.rows.iter().zip(expected) {
            assert_eq!(
                (key.project, key.timestamp, measurement.value.to_bits()),
                (event.project, event.ts, event.value.to_bits())
            );
            assert_eq!((measurement.endpoint.as_str(), measurement.status), (event.path, event.status));
        }
        after = answer.rows.last().map(|(key, measurement)| rows.order.position(key, measurement));
    }
}

on_both_databases! {
    async fn pages_are_in_order_and_one_statement_for_many_parents(database: TestDatabase) {
        let world = filled(&database).await;
        let mut rng = StdRng::seed_from_u64(SEED);
        for (index, question) in questions(9, 60).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            let session = database.reader();
            let rows = asked(&mut rng);
            let of = |parent: Parent| {
                let events = world.matching(&scope, &world.narrowed(&question, &parent));
                (parent, events)
            };
            assert_pages(&session, &scope, &question, &Parent::Question, world.matching(&scope, &question), rows.clone()).await;
            let organizations = [OURS, THEIRS].map(|id| of(Parent::Organization(id)));
            let projects = world.projects.iter().map(|key| of(Parent::Project(*key)));
            for parents in [Vec::from(organizations), projects.collect()] {
                let keys: Vec<_> = parents.iter().map(|(parent, _)| parent.clone()).collect();
                let before = session.log().count();
                let answers = measurements::by_parent(&scope, &session, &question, &keys, &rows).await.unwrap();
                assert!(session.log().count() <= before + 1, "one for any number of parents");
                for (parent, events) in parents {
                    let first: Vec<_> = answers[&parent].rows.iter().map(|(key, _)| key.id).collect();
                    let mut expected = expected(events, &rows);
                    assert_eq!(answers[&parent].has_next, expected.len() > rows.first as usize);
                    expected.truncate(rows.first as usize);
                    assert_eq!(first, expected.iter().map(|event| event.id).collect::<Vec<_>>(), "{rows:?} {question:?}");
                }
            }
        }
    }
}

on_both_databases! {
    async fn exact_answers_are_brute_force_and_refused_where_they_are_too_large(database: TestDatabase) {
        let world = filled(&database).await;
        for (index, question) in questions(10, 40).into_iter().enumerate() {
            let scope = scopes()[index % 3];
            let question = Question { exact: Some(100_000), ..question };
            let events = world.matching(&scope, &question);
            let session = database.reader();
            let stats = totals::run(&scope, &session, &question, StatisticsNeeded::Percentiles).await.unwrap();
            assert!(session.log().count() <= 1);
            assert!(stats.accuracy.is_exact && stats.accuracy.relative_error_bound == 0.0);
            for p in [0.0, 50.0, 95.0, 99.9, 100.0] {
                let told = stats.percentile(p).map(|quantile| [quantile.value, quantile.lower, quantile.upper]);
                assert_eq!(told, percentile(&events, p).map(|value| [value; 3]), "{p} {question:?}");
            }
            let count = float(events.len());
            let mean = events.iter().map(|event| event.value).sum::<f64>() / count;
            let variance = events.iter().map(|event| (event.value - mean).powi(2)).sum::<f64>() / count;
            if let Some(deviation) = stats.deviation() {
                assert!((deviation - variance.sqrt()).abs() <= 1e-9 * (mean + deviation), "{deviation} {variance}");
            }
            if events.len() > 1 {
                let few = Question { exact: Some(u32::try_from(events.len()).unwrap() - 1), ..question.clone() };
                let refused = totals::run(&scope, &session, &few, StatisticsNeeded::Percentiles).await.unwrap_err().to_string();
                assert!(refused.starts_with("filter.isExact: the answer would be read from more than"), "{refused}");
                // What is exact in any case needs no single measurements.
                assert!(totals::run(&scope, &session, &few, StatisticsNeeded::Scalars).await.unwrap().accuracy.is_exact);
            }
        }
    }
}
