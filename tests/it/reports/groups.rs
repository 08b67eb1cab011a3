//! Figures per group, and over time per group: what brute force finds for any combination of keys.

use std::sync::Arc;

use perfgraph::{
    db::Session,
    model::{
        filter::{Number, NumberFilter},
        order::Sort,
        timestamp::DAY_MICROS,
    },
    reports::{GroupBy, GroupKey, Groups, Having, groups},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};

use super::{fixture::range, *};

pub const KEYS: [GroupBy; 6] =
    [GroupBy::Project, GroupBy::Type, GroupBy::Name, GroupBy::Endpoint, GroupBy::StatusCode, GroupBy::Release];

pub fn key(by: GroupBy, event: &Event) -> GroupKey {
    match by {
        GroupBy::Project => GroupKey::Project(event.project),
        GroupBy::Type => GroupKey::Type(event.kind),
        GroupBy::Name => GroupKey::Name(event.name.into()),
        GroupBy::Endpoint => GroupKey::Endpoint(event.path.into()),
        GroupBy::StatusCode => GroupKey::StatusCode(event.status),
        GroupBy::Release => GroupKey::Release(event.release.into()),
    }
}

fn asked(rng: &mut StdRng) -> Groups {
    let count = rng.random_range(0..4);
    // Percentiles are within a bound only, so nothing here hangs on them.
    let statistics = [Statistic::Count, Statistic::Max, Statistic::Min];
    let at_least = |count: f64| NumberFilter { gte: Some(Number(count)), ..NumberFilter::default() };
    let having = match rng.random_range(0..3) {
        0 => vec![Having { statistic: Statistic::Count, value: at_least(3.0) }],
        _ => vec![],
    };
    Groups {
        by: KEYS.sample(rng, count).copied().collect(),
        having,
        order: *statistics.choose(rng).unwrap(),
        sort: *[Sort::Ascending, Sort::Descending].choose(rng).unwrap(),
        first: *[1, 4, 10_000].choose(rng).unwrap(),
        groups_max: 10_000,
        want: *[StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles].choose(rng).unwrap(),
    }
}

fn expected<'a>(events: &[&'a Event], groups: &Groups) -> Vec<(Vec<GroupKey>, Vec<&'a Event>)> {
    let mut found: BTreeMap<Vec<GroupKey>, Vec<&Event>> = BTreeMap::new();
    for event in events {
        found.entry(groups.by.iter().map(|by| key(*by, event)).collect()).or_default().push(event);
    }
    let figure = |events: &[&Event]| by_force(events, groups.order).unwrap();
    let mut found: Vec<_> =
        found.into_iter().filter(|(_, events)| groups.having.is_empty() || events.len() >= 3).collect();
    found.sort_by(|(_, a), (_, b)| match groups.sort {
        Sort::Ascending => figure(a).total_cmp(&figure(b)),
        Sort::Descending => figure(b).total_cmp(&figure(a)),
    });
    found.truncate(groups.first);
    found
}

/// One statement for all parents of a kind, every group as brute force has it, and its buckets, too.
pub async fn assert_groups(world: &World, session: &Session, scope: &Scope, question: &Question, rng: &mut StdRng) {
    let groups = asked(rng);
    let organizations = [OURS, THEIRS].map(Parent::Organization);
    let kinds: [Vec<Parent>; 3] = [vec![Parent::Question], organizations.into(), parents(&world.projects)];
    let parents = kinds.choose(rng).unwrap();
    let before = session.log().count();
    let answers = groups::by_parent(scope, session, question, parents, &groups).await.unwrap();
    assert!(session.log().count() <= before + 1, "one for any number of parents");
    assert_eq!(answers.len(), parents.len());
    for parent in parents {
        let events = world.matching(scope, &world.narrowed(question, parent));
        let expected = expected(&events, &groups);
        let answer = &answers[parent];
        let keys: Vec<_> = answer.iter().map(|group| group.keys.clone()).collect();
        assert_eq!(keys, expected.iter().map(|(keys, _)| keys.clone()).collect::<Vec<_>>(), "{groups:?} {question:?}");
        for (group, (_, events)) in answer.iter().zip(&expected) {
            assert_matches(&group.stats, events, groups.want, question);
        }
        let shown: Vec<_> = answer.iter().map(|group| group.parent.clone()).take(20).collect();
        let shown_events: Vec<_> = expected.into_iter().map(|(_, events)| events).collect();
        series::assert_series(session, scope, question, (&shown, &shown_events), rng).await;
    }
}

on_both_databases! {
    async fn groups_equal_brute_force_in_one_statement(database: TestDatabase) {
        let world = filled(&database).await;
        let mut rng = StdRng::seed_from_u64(SEED);
        for (index, question) in questions(8, 60).into_iter().enumerate() {
            assert_groups(&world, &database.reader(), &scopes()[index % 3], &question, &mut rng).await;
        }
    }
}

on_both_databases! {
    async fn too_many_groups_are_refused_and_percentiles_come_when_they_are_compared(database: TestDatabase) {
        filled(&database).await;
        let question = Question::over(range(0, DAY_MICROS));
        let above = NumberFilter { gt: Some(Number(1.0)), ..NumberFilter::default() };
        let all = Groups {
            by: vec![GroupBy::Project, GroupBy::Endpoint],
            having: vec![Having { statistic: Statistic::P95, value: above }],
            order: Statistic::P99,
            sort: Sort::Descending,
            first: 10_000,
            groups_max: 24,
            want: StatisticsNeeded::Scalars,
        };
        let (scope, session) = (Scope::everything(), database.reader());
        let parents = [Parent::Question];
        let answer = groups::by_parent(&scope, &session, &question, &parents, &all).await.unwrap();
        let ranks: Vec<_> = answer[&Parent::Question].iter().map(|group| Statistic::P99.of(&group.stats).unwrap()).collect();
        assert_eq!(ranks.len(), 24);
        assert!(ranks.is_sorted_by(|a, b| a >= b), "{ranks:?}");
        for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
            let fewer = Groups { groups_max: 23, having: vec![], order: Statistic::Count, want, ..all.clone() };
            let refused = groups::by_parent(&scope, &session, &question, &parents, &fewer).await.unwrap_err();
            assert!(refused.to_string().starts_with("groupBy: makes more than 23 groups"), "{refused}");
            let read = session.log().statements().last().map(|statement| statement.rows);
            assert!(want == StatisticsNeeded::Percentiles || read == Some(24), "one row too many ends it: {read:?}");
        }
        let none: Arc<str> = "".into();
        let named = Groups { by: vec![GroupBy::Name], having: vec![], groups_max: 10, want: StatisticsNeeded::Scalars, ..all };
        let answer = groups::by_parent(&scope, &session, &question, &parents, &named).await.unwrap();
        assert!(answer[&Parent::Question].iter().any(|group| group.keys == [GroupKey::Name(Arc::clone(&none))]));
        assert!(answer[&Parent::Question].iter().all(|group| group.stats.accuracy.source == AnswerSource::Rollup));
    }
}
