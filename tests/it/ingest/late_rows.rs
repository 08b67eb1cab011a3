//! What comes too late is refused and counted once, and every answer says how much of its days it lacks.

mod late_dropped;

use std::collections::BTreeMap;

use futures_util::future::join_all;
use perfgraph::{
    config,
    entity::{ingest_batch, metric_late},
    ingest::{Candidate, Mode, Submission},
    jobs::retention::Retention,
    model::{
        Key, MetricType, ProjectId, Role, Scope, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS},
    },
    reports::{Parent, Projects, Question, late},
};
use sea_orm::{EntityTrait, PaginatorTrait};

use crate::{
    harness::TestDatabase,
    ingest::batches::{ACME, ACME_SECOND, GLOBEX, NOW, Rig, candidate, submission},
    on_both_databases,
};

/// So many days back, at the hour of now.
fn back(days: i64) -> Timestamp {
    NOW.plus_micros(-days * DAY_MICROS)
}

fn at(timestamp: Timestamp) -> Candidate {
    Candidate { timestamp: Some(timestamp), ..candidate(1.0) }
}

fn keyed(key: &str, candidates: Vec<Candidate>) -> Submission {
    Submission { idempotency_key: Some(key.to_owned()), ..submission(ACME, candidates) }
}

fn day(timestamp: Timestamp) -> TimeRange {
    let start = timestamp.floor(DAY_MICROS);
    TimeRange::new(start, start.plus_micros(DAY_MICROS)).unwrap()
}

async fn asked(database: &TestDatabase, scope: Scope, question: &Question) -> u64 {
    let (parent, whole) = late::about(&Parent::Question, question);
    let answers = late::by_parent(&scope, &database.reader(), &whole, std::slice::from_ref(&parent)).await.unwrap();
    answers[&parent].touched_by(question.window)
}

/// What is counted on the day of this moment.
async fn counted(database: &TestDatabase, project: Key<ProjectId>, kinds: &[MetricType], moment: Timestamp) -> u64 {
    let projects = Projects::Keys(vec![project]);
    let question = Question { projects, kinds: kinds.to_vec(), ..Question::over(day(moment)) };
    asked(database, Scope::everything(), &question).await
}

async fn rows(database: &TestDatabase) -> Vec<metric_late::Model> {
    metric_late::Entity::find().all(&database.reader()).await.unwrap()
}

on_both_databases! {
    async fn a_repeated_key_counts_once_also_at_the_same_time_and_after_a_restart(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let batch = || vec![at(back(8)), candidate(2.0), at(back(8)), at(back(9))];
        for receipt in join_all((0..8).map(|_| rig.submit(keyed("a", batch())))).await {
            assert_eq!(receipt.unwrap().accepted, 1);
        }
        let first = rig.submit(keyed("a", batch())).await.unwrap();
        assert!(first.duplicate && first.rejected.len() == 3, "{first:?}");
        rig.ingest.close();
        rig.batcher.await.unwrap();
        let restarted = Rig::beside(&database).await;
        assert!(restarted.submit(keyed("a", batch())).await.unwrap().duplicate);
        assert_eq!(counted(&database, ACME, &[], back(8)).await, 2);
        assert_eq!(counted(&database, ACME, &[], back(9)).await, 1);
        // Without a key it is another batch, as its good rows are.
        restarted.submit(submission(ACME, batch())).await.unwrap();
        assert_eq!(counted(&database, ACME, &[], back(8)).await, 4);
        // What is stored is not late, however late it is sent again; and a key that is taken takes nothing else in.
        let in_time = || keyed("b", vec![at(back(6))]);
        assert_eq!(restarted.submit(in_time()).await.unwrap().accepted, 1);
        restarted.clock.set(NOW.plus_micros(30 * DAY_MICROS));
        assert!(restarted.submit(in_time()).await.unwrap().duplicate);
        restarted.submit(keyed("b", vec![at(back(6)), at(back(6))])).await.unwrap_err();
        assert_eq!(counted(&database, ACME, &[], back(6)).await, 0);
    }
}

on_both_databases! {
    async fn they_count_for_their_project_their_type_and_their_day(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let of = |kind| Candidate { kind, ..at(back(8)) };
        let batch = vec![of(MetricType::Custom), of(MetricType::Custom), of(MetricType::Database), candidate(1.0)];
        // In one commit, and so in one part.
        let calls = [ACME, ACME, ACME_SECOND, GLOBEX].map(|project| rig.submit(submission(project, batch.clone())));
        for receipt in join_all(calls).await {
            assert_eq!(receipt.unwrap().rejected.len(), 3);
        }
        assert_eq!(counted(&database, ACME, &[], back(8)).await, 6);
        assert_eq!(counted(&database, ACME, &[MetricType::Custom], back(8)).await, 4);
        assert_eq!(counted(&database, ACME, &[MetricType::Custom, MetricType::Database], back(8)).await, 6);
        assert_eq!(counted(&database, ACME_SECOND, &[MetricType::Database], back(8)).await, 1);
        assert_eq!(counted(&database, ACME, &[MetricType::ApiResponse], back(8)).await, 0);
        for other in [back(7), back(9)] {
            assert_eq!(counted(&database, ACME, &[], other).await, 0);
        }
        // A window of a moment touches its day; one that ends where the day begins does not.
        let touching = |from: Timestamp, to| Question::over(TimeRange::new(from, to).unwrap());
        let start = back(8).floor(DAY_MICROS);
        let everything = Scope::everything();
        let moment = touching(start.plus_micros(HOUR_MICROS), start.plus_micros(HOUR_MICROS + 1));
        assert_eq!(asked(&database, everything, &moment).await, 12);
        let before = touching(start.plus_micros(-HOUR_MICROS), start);
        assert_eq!(asked(&database, everything, &before).await, 0);
        // Each sees their own, whatever they name.
        for projects in [Projects::All, Projects::Keys(vec![ACME, GLOBEX]), Projects::Organizations(vec![ACME.organization])] {
            let theirs = Question { projects: projects.clone(), ..moment.clone() };
            let seen = asked(&database, Scope::organization(GLOBEX.organization, Role::Owner), &theirs).await;
            assert_eq!(seen, if matches!(projects, Projects::Organizations(_)) { 0 } else { 3 }, "{projects:?}");
        }
        // A version is one of a project; which one is not known.
        let released = Question { release: Some((ACME_SECOND, "1.0".to_owned())), ..moment.clone() };
        assert_eq!(asked(&database, everything, &released).await, 3);
    }
}

on_both_databases! {
    async fn a_batch_of_nothing_else_counts_and_has_no_cursor(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let receipt = rig.submit(submission(ACME, vec![at(back(8)), candidate(f64::NAN)])).await.unwrap();
        assert_eq!((receipt.accepted, receipt.rejected.len(), receipt.cursor), (0, 2, None));
        assert_eq!(counted(&database, ACME, &[], back(8)).await, 1);
        assert_eq!(ingest_batch::Entity::find().count(&database.reader()).await.unwrap(), 0);
        // It took no sequence.
        let next = rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        assert_eq!(next.cursor.unwrap().sequence, 1);
        // Under a key it is remembered.
        for is_again in [false, true] {
            let receipt = rig.submit(keyed("late", vec![at(back(9))])).await.unwrap();
            assert_eq!((receipt.cursor, receipt.duplicate), (None, is_again));
        }
        assert_eq!(counted(&database, ACME, &[], back(9)).await, 1);
    }
}

on_both_databases! {
    async fn what_its_sender_keeps_is_not_counted(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let atomic = |submission| Submission { mode: Mode::Atomic, ..submission };
        for all in [atomic(submission(ACME, vec![at(back(8)), candidate(1.0)])), atomic(keyed("a", vec![at(back(8))]))] {
            assert_eq!(rig.submit(all).await.unwrap().accepted, 0);
        }
        // What is wrong with these is something else.
        let bad = Candidate { value: -1.0, ..at(back(8)) };
        rig.submit(submission(ACME, vec![bad, at(NOW.plus_micros(DAY_MICROS)), candidate(1.0)])).await.unwrap();
        assert!(rows(&database).await.is_empty());
    }
}

on_both_databases! {
    async fn a_hostile_batch_leaves_few_rows(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let batch = (0..5_000).map(|number| at(back(8).plus_micros(-number * DAY_MICROS)));
        rig.submit(submission(ACME, batch.chain([at(Timestamp::from_micros(i64::MIN))]).collect())).await.unwrap();
        // From eight days ago to four hundred, and one for all before.
        assert_eq!(rows(&database).await.len(), 393 + 1);
        assert_eq!(counted(&database, ACME, &[], back(400)).await, 1);
        assert_eq!(counted(&database, ACME, &[], back(401)).await, 0);
        assert_eq!(counted(&database, ACME, &[], Timestamp::from_micros(0)).await, 5_001 - 393);
    }
}

on_both_databases! {
    async fn counts_go_with_the_hours_and_parts_become_one_row_a_day(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        for days in [8, 8, 9, 20, 500] {
            rig.submit(submission(ACME, vec![at(back(days)), at(back(days))])).await.unwrap();
        }
        rig.submit(submission(GLOBEX, vec![at(back(8))])).await.unwrap();
        assert_eq!(rows(&database).await.len(), 6);
        // Whoever else does the same at the same time takes nothing away, and adds nothing.
        let days = config::Retention { raw_days: 2, minute_days: 4, hour_days: 15, change_days: 30, key_days: 8, clock_settle_hours: 0 };
        let second = database.reopen().await;
        let looks = [&database.database, &second].map(async |database| {
            let mut retention = Retention::new(database.clone(), days.clone());
            for _ in 0..6 {
                retention.pass(&rig.clock).await.unwrap();
            }
        });
        join_all(looks).await;
        // And what comes after it is added to it.
        rig.submit(submission(ACME, vec![at(back(8))])).await.unwrap();
        let expected = |parts: [(i64, i64, i64); 3]| BTreeMap::from(parts.map(|(project, days, n)| {
            ((project, back(days).floor(DAY_MICROS).as_micros()), n)
        }));
        for is_tidied in [false, true] {
            let mut found = BTreeMap::new();
            for row in rows(&database).await {
                *found.entry((row.project_id.0, row.bucket.as_micros())).or_insert(0) += row.n;
            }
            assert_eq!(found, expected([(ACME.id.0, 8, 5), (ACME.id.0, 9, 2), (GLOBEX.id.0, 8, 1)]));
            assert_eq!(rows(&database).await.iter().filter(|row| row.part != 0).count(), usize::from(!is_tidied));
            let mut later = Retention::new(database.database.clone(), days.clone());
            for _ in 0..5 {
                later.pass(&rig.clock).await.unwrap();
            }
        }
        assert_eq!(counted(&database, ACME, &[], back(8)).await, 5);
        assert_eq!(counted(&database, ACME, &[], back(20)).await, 0);
    }
}
