//! The write path: stored exactly once, acknowledged after COMMIT, bad rows named, commits shared.

use std::{collections::HashMap, time::Duration};

use futures_util::future::join_all;
use perfgraph::{
    clock::Clock,
    config,
    db::{Backend, Database, IdGenerator, StatementLog},
    entity::{endpoint, ingest_batch, metric_event, metric_rollup_part, organization, organization_stream, project},
    error::{Code, Error, Result},
    ingest::{Candidate, Ingest, Mode, OTHER_ENDPOINTS, Receipt, RejectionCode, Submission},
    live::Publisher,
    model::{
        Key, MetricType, OrganizationId, ProjectId, Role, Scope, Sketch, StreamCursor, Timestamp,
        timestamp::MINUTE_MICROS,
    },
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use sea_orm::{ActiveModelTrait, EntityTrait, IntoActiveModel, ModelTrait};
use tokio::task::JoinHandle;

use crate::{
    harness::{TestDatabase, books, wait},
    on_both_databases,
};

pub const NOW: Timestamp = Timestamp::from_millis(1_795_000_000_000);
pub const ACME: Key<ProjectId> = Key::new(OrganizationId(1), ProjectId(11));
pub const ACME_SECOND: Key<ProjectId> = Key::new(OrganizationId(1), ProjectId(12));
pub const GLOBEX: Key<ProjectId> = Key::new(OrganizationId(2), ProjectId(21));
const ARCHIVED: Key<ProjectId> = Key::new(OrganizationId(1), ProjectId(13));

/// Days for which single measurements are kept, by default.
const RAW_DAYS: u32 = 7;

/// A running write path over a database with two organizations.
pub struct Rig {
    pub ingest: Ingest,
    pub publisher: Publisher,
    pub clock: Clock,
    pub batcher: JoinHandle<()>,
}

impl Rig {
    pub async fn new(database: &TestDatabase) -> Self {
        Self::with(database, config::Ingest::default(), 1_024).await
    }

    /// With which rollups of every resolution are written, however few measurements there are.
    pub async fn with_all_rollups(database: &TestDatabase) -> Self {
        Self::with(database, config::Ingest { rollup_rows_percent: 1_000_000, ..config::Ingest::default() }, 1_024)
            .await
    }

    pub async fn with(database: &TestDatabase, settings: config::Ingest, capacity: usize) -> Self {
        directory(database).await;
        Self::over(database.database.clone(), 0, settings, capacity)
    }

    /// Another write path, with other settings.
    pub async fn again(database: &TestDatabase, node: u8, settings: config::Ingest) -> Self {
        Self::over(database.reopen().await, node, settings, 1)
    }

    /// A second server on the same database.
    pub async fn beside(database: &TestDatabase) -> Self {
        Self::over(database.reopen().await, 1, config::Ingest::default(), 1)
    }

    fn over(database: Database, node: u8, settings: config::Ingest, capacity: usize) -> Self {
        let (ingest, batcher, publisher, clock) = parts(database, node, settings, capacity);
        let batcher = tokio::spawn(batcher.run());
        Self { ingest, publisher, clock, batcher }
    }

    pub async fn submit(&self, submission: Submission) -> Result<Receipt> {
        self.logged(submission).await.0
    }

    async fn logged(&self, submission: Submission) -> (Result<Receipt>, StatementLog) {
        let log = StatementLog::default();
        let receipt = self.ingest.submit(&Scope::everything(), submission, &log).await;
        (receipt, log)
    }
}

fn parts(
    database: Database,
    node: u8,
    settings: config::Ingest,
    capacity: usize,
) -> (Ingest, perfgraph::ingest::Batcher, Publisher, Clock) {
    let (publisher, clock) = (Publisher::new(capacity), Clock::fixed(NOW));
    let ids = IdGenerator::alone(node);
    let (ingest, batcher) = Ingest::new(database, ids, clock.clone(), publisher.clone(), settings, RAW_DAYS);
    (ingest, batcher, publisher, clock)
}

async fn directory(database: &TestDatabase) {
    let session = database.writer();
    for id in [1, 2] {
        let row = organization::Model {
            id: OrganizationId(id),
            slug: format!("organization-{id}"),
            name: format!("Organization {id}"),
            is_active: true,
            employee_count: 0,
            created_at: NOW,
            updated_at: NOW,
        };
        row.into_active_model().insert(&session).await.unwrap();
    }
    for (key, status) in [(ACME, 0), (ACME_SECOND, 0), (ARCHIVED, 2), (GLOBEX, 0)] {
        let row = project::Model {
            organization_id: key.organization,
            id: key.id,
            slug: format!("project-{}", key.id.0),
            name: format!("Project {}", key.id.0),
            status,
            team_size: 0,
            created_at: NOW,
            updated_at: NOW,
        };
        row.into_active_model().insert(&session).await.unwrap();
    }
}

pub fn candidate(value: f64) -> Candidate {
    Candidate {
        kind: MetricType::ApiResponse,
        value,
        endpoint: "GET /orders".to_owned(),
        status: Some(200),
        timestamp: None,
        name: None,
        release: None,
        labels: Vec::new(),
    }
}

pub fn submission(project: Key<ProjectId>, candidates: Vec<Candidate>) -> Submission {
    Submission { project, candidates, idempotency_key: None, source: "test".to_owned(), mode: Mode::Partial }
}

fn keyed(key: &str, candidates: Vec<Candidate>) -> Submission {
    Submission { idempotency_key: Some(key.to_owned()), ..submission(ACME, candidates) }
}

/// Rows of all types, some endpoints, an hour, all statuses, some with a name or a release.
pub fn random_rows(rng: &mut StdRng, count: usize) -> Vec<Candidate> {
    let row = |_| Candidate {
        kind: MetricType::ALL[rng.random_range(0..5)],
        value: (rng.random_range(0.0..100.0_f64) * 1_000.0).round() / 1_000.0,
        endpoint: format!("GET /route/{}", ["a", "b", "c", "d", "e", "f", "g"][rng.random_range(0..7)]),
        status: [None, Some(200), Some(404), Some(500)][rng.random_range(0..4)],
        timestamp: Some(NOW.plus_micros(-rng.random_range(0..60 * MINUTE_MICROS))),
        name: [None, None, Some("LCP")][rng.random_range(0..3)].map(str::to_owned),
        release: [None, Some("1.4.2"), Some("1.4.3")][rng.random_range(0..3)].map(str::to_owned),
        labels: Vec::new(),
    };
    (0..count).map(row).collect()
}

async fn events(database: &Database) -> Vec<metric_event::Model> {
    let session = database.reader(StatementLog::default());
    metric_event::Entity::find().all(&session).await.unwrap()
}

async fn ledger(database: &TestDatabase) -> Vec<ingest_batch::Model> {
    ingest_batch::Entity::find().all(&database.reader()).await.unwrap()
}

fn cursor(sequence: i64, ordinal: u32) -> Option<StreamCursor> {
    Some(StreamCursor { organization: ACME.organization, sequence, ordinal })
}

on_both_databases! {
    async fn an_acknowledged_batch_is_there_for_everybody(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let other_process = database.reopen().await;
        let receipt = rig.submit(submission(ACME, vec![candidate(3.0), candidate(4.0)])).await.unwrap();
        let mut rows = events(&other_process).await;
        assert_eq!(receipt, Receipt { accepted: 2, rejected: vec![], duplicate: false, cursor: cursor(1, 1) });
        rows.sort_by_key(|row| row.id);
        assert_eq!(rows.iter().map(|row| row.value).collect::<Vec<_>>(), [3.0, 4.0]);
        assert_eq!(rows[1].id.0, rows[0].id.0 + 1);
        assert_eq!(rows[0].ts, NOW);
        let batch = &ledger(&database).await[0];
        assert_eq!((batch.seq, batch.n_accepted, batch.first_id), (Some(1), 2, rows[0].id.0));
        let stream = organization_stream::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!((stream.len(), stream[0].last_seq), (1, 1));
    }
}

type Series = (i64, i64, i16, i64, i64);

on_both_databases! {
    async fn rollups_equal_the_aggregation_of_the_raw_rows(database: TestDatabase) {
        let rig = Rig::with_all_rollups(&database).await;
        let mut rng = StdRng::seed_from_u64(7);
        for project in [ACME, GLOBEX, ACME_SECOND, ACME] {
            for count in [1, 317, 1_003] {
                rig.submit(submission(project, random_rows(&mut rng, count))).await.unwrap();
            }
        }
        let mut expected: HashMap<Series, (i64, i64, f64, f64, f64, Sketch)> = HashMap::new();
        let rows = events(&database.database).await;
        assert_eq!(rows.len(), 4 * (1 + 317 + 1_003));
        for row in &rows {
            for endpoint in [0, row.endpoint_id.0] {
                let bucket = row.ts.floor(MINUTE_MICROS).as_micros();
                let series = (row.organization_id.0, row.project_id.0, row.kind, bucket, endpoint);
                let cell = expected
                    .entry(series)
                    .or_insert_with(|| (0, 0, 0.0, f64::INFINITY, f64::NEG_INFINITY, Sketch::new()));
                cell.0 += 1;
                cell.1 += i64::from(row.status >= 400);
                cell.2 += row.value;
                cell.3 = cell.3.min(row.value);
                cell.4 = cell.4.max(row.value);
                cell.5.record(row.bin, 1);
            }
        }
        let mut actual: HashMap<Series, (i64, i64, f64, f64, f64, Sketch)> = HashMap::new();
        for part in metric_rollup_part::Entity::find().all(&database.reader()).await.unwrap() {
            let series = (
                part.organization_id.0, part.project_id.0, part.kind, part.bucket.as_micros(), part.endpoint_id.0,
            );
            let cell = actual
                .entry(series)
                .or_insert_with(|| (0, 0, 0.0, f64::INFINITY, f64::NEG_INFINITY, Sketch::new()));
            cell.0 += part.n;
            cell.1 += part.n_err;
            cell.2 += part.sum;
            cell.3 = cell.3.min(part.min);
            cell.4 = cell.4.max(part.max);
            cell.5.merge_encoded(&part.sketch).unwrap();
        }
        assert_eq!(actual.len(), expected.len());
        for (series, cell) in expected {
            let found = &actual[&series];
            assert_eq!((found.0, found.1, found.3, found.4), (cell.0, cell.1, cell.3, cell.4), "{series:?}");
            assert!((found.2 - cell.2).abs() < 1e-6, "{series:?}");
            assert_eq!(found.5.encode(), cell.5.encode(), "{series:?}");
        }
        let endpoints = endpoint::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!(endpoints.len(), 3 * 7, "each path once per project");
    }
}

on_both_databases! {
    async fn the_same_key_stores_once_and_gets_the_same_answer(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let rows = || vec![candidate(1.0), candidate(-1.0), candidate(2.0)];
        let first = rig.submit(keyed("a", rows())).await.unwrap();
        assert_eq!((first.accepted, first.duplicate, first.cursor), (2, false, cursor(1, 1)));
        // Far later the rows would be outside the window, were they new.
        rig.clock.set(NOW.plus_micros(30 * 86_400_000_000));
        let again = rig.submit(keyed("a", rows())).await.unwrap();
        assert_eq!(again, Receipt { duplicate: true, ..first });
        assert_eq!(events(&database.database).await.len(), 2);

        let other = rig.submit(keyed("a", vec![candidate(9.0)])).await.unwrap_err();
        assert_eq!(other.code(), Code::Conflict);
        assert_eq!(events(&database.database).await.len(), 2);
        // Another door's key is another key.
        let door = Submission { source: "other".to_owned(), ..keyed("a", vec![candidate(9.0)]) };
        assert_eq!(rig.submit(door).await.unwrap().cursor, cursor(2, 0));
    }
}

on_both_databases! {
    async fn the_same_key_at_the_same_time_stores_once(database: TestDatabase) {
        let settings = config::Ingest::default();
        let rig = Rig::with(&database, settings, 64).await;
        let receipts = join_all((0..40).map(|index| {
            // One of five has another body.
            let value = if index % 5 == 0 { 2.0 } else { 1.0 };
            rig.submit(keyed("same", vec![candidate(value)]))
        }))
        .await;
        let (accepted, refused): (Vec<_>, Vec<_>) = receipts.into_iter().partition(Result::is_ok);
        assert_eq!(accepted.iter().flatten().filter(|receipt| !receipt.duplicate).count(), 1);
        assert!(accepted.iter().flatten().all(|receipt| receipt.accepted == 1 && receipt.cursor == cursor(1, 0)));
        assert!(refused.len() == 8 || refused.len() == 32, "{}", refused.len());
        assert!(refused.into_iter().all(|refusal| refusal.unwrap_err().code() == Code::Conflict));
        assert_eq!(events(&database.database).await.len(), 1);
    }
}

on_both_databases! {
    async fn two_servers_with_the_same_key_store_once(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let second = Rig::beside(&database).await;
        for round in 0..20 {
            let same = || keyed(&format!("round {round}"), vec![candidate(f64::from(round))]);
            let (here, there) = tokio::join!(rig.submit(same()), second.submit(same()));
            let (here, there) = (here.unwrap(), there.unwrap());
            assert_ne!(here.duplicate, there.duplicate);
            assert_eq!(here.cursor, there.cursor);
        }
        assert_eq!(events(&database.database).await.len(), 20);
    }
}

on_both_databases! {
    async fn partial_keeps_the_good_rows_and_atomic_none(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let rows = || {
            let bad_status = Candidate { status: Some(42), ..candidate(1.0) };
            let no_endpoint = Candidate { endpoint: String::new(), ..candidate(1.0) };
            let early = Candidate { timestamp: Some(Timestamp::from_micros(0)), ..candidate(1.0) };
            vec![candidate(1.0), candidate(f64::NAN), bad_status, candidate(2.0), no_endpoint, early]
        };
        let partial = rig.submit(submission(ACME, rows())).await.unwrap();
        let bad: Vec<_> = partial.rejected.iter().map(|row| (row.index, row.code)).collect();
        let expected = [
            (1, RejectionCode::ValueNotFinite),
            (2, RejectionCode::StatusOutOfRange),
            (4, RejectionCode::EndpointEmpty),
            (5, RejectionCode::TimestampTooOld),
        ];
        assert_eq!(bad, expected);
        assert_eq!((partial.accepted, partial.cursor), (2, cursor(1, 1)));

        let atomic = Submission { mode: Mode::Atomic, ..submission(ACME, rows()) };
        let refused = rig.submit(atomic).await.unwrap();
        assert_eq!((refused.accepted, refused.cursor), (0, None));
        assert_eq!(refused.rejected, partial.rejected);
        assert_eq!((events(&database.database).await.len(), ledger(&database).await.len()), (2, 1));

        let good = Submission { mode: Mode::Atomic, ..submission(ACME, vec![candidate(5.0)]) };
        assert_eq!(rig.submit(good).await.unwrap().cursor, cursor(2, 0));
    }
}

on_both_databases! {
    async fn a_batch_without_a_good_row_is_remembered_only_by_its_key(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let (receipt, log) = rig.logged(submission(ACME, vec![candidate(-1.0)])).await;
        assert_eq!((receipt.unwrap().accepted, log.count()), (0, 1));
        assert!(ledger(&database).await.is_empty());

        let first = rig.submit(keyed("bad", vec![candidate(-1.0)])).await.unwrap();
        let again = rig.submit(keyed("bad", vec![candidate(-1.0)])).await.unwrap();
        assert_eq!((first.accepted, first.rejected.len(), first.cursor), (0, 1, None));
        assert_eq!(again, Receipt { duplicate: true, ..first });
        // It takes no sequence: the count of commits with rows stays gapless.
        assert_eq!(rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap().cursor, cursor(1, 0));
    }
}

on_both_databases! {
    async fn what_cannot_be_taken_is_refused_as_a_whole(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let many = |count| submission(ACME, vec![candidate(1.0); count]);
        let refusal = rig.submit(many(10_001)).await.unwrap_err();
        assert_eq!(refusal.code(), Code::ComplexityLimit);
        assert!(refusal.to_string().contains("10001") && refusal.to_string().contains("10000"), "{refusal}");
        assert_eq!(rig.submit(many(0)).await.unwrap_err().code(), Code::BadUserInput);
        assert_eq!(rig.submit(keyed(&"k".repeat(201), vec![candidate(1.0)])).await.unwrap_err().code(), Code::BadUserInput);
        let archived = rig.submit(submission(ARCHIVED, vec![candidate(1.0)])).await.unwrap_err();
        assert_eq!(archived.code(), Code::Conflict);
        assert!(events(&database.database).await.is_empty());
        assert_eq!(rig.submit(many(10_000)).await.unwrap().accepted, 10_000);
        assert_eq!(events(&database.database).await.len(), 10_000);
    }
}

on_both_databases! {
    async fn foreign_absent_and_forbidden_projects_answer_alike(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let log = StatementLog::default();
        let absent = Key::new(OrganizationId(1), ProjectId(999));
        let foreign_id = Key::new(OrganizationId(1), GLOBEX.id);
        let member = Scope::organization(OrganizationId(1), Role::Member);
        let viewer = Scope::organization(OrganizationId(1), Role::Viewer);
        let mut answers = Vec::new();
        for (scope, project) in [(member, absent), (member, GLOBEX), (member, foreign_id), (viewer, ACME)] {
            let answer = rig.ingest.submit(&scope, submission(project, vec![candidate(1.0)]), &log).await;
            let error = answer.unwrap_err();
            assert!(matches!(error, Error::NotFound { .. }), "{error}");
            answers.push(error.to_string());
        }
        answers.dedup();
        assert_eq!(answers.len(), 1, "{answers:?}");
        let own = rig.ingest.submit(&member, submission(ACME, vec![candidate(1.0)]), &log).await;
        assert_eq!(own.unwrap().accepted, 1);
    }
}

on_both_databases! {
    async fn many_small_writers_share_commits(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let writers = (0..200).map(|index| rig.logged(submission(ACME, vec![candidate(f64::from(index))])));
        let answers = join_all(writers).await;
        let mut sequences = Vec::new();
        let mut commits = 0;
        for (receipt, log) in answers {
            sequences.push(receipt.unwrap().cursor.unwrap().sequence);
            let ledger_inserts = |sql: &str| sql.starts_with("INSERT INTO ingest_batch");
            commits += log.statements().iter().filter(|statement| ledger_inserts(&statement.sql)).count();
        }
        assert!(commits < 40, "{commits} commits");
        // Whoever came first has the lower sequence where one committer took both; all together they are gapless.
        sequences.sort_unstable();
        assert_eq!(sequences, (1..=200).collect::<Vec<_>>());
        assert_eq!(events(&database.database).await.len(), 200);
    }
}

on_both_databases! {
    async fn a_commit_is_the_same_few_statements_for_one_row_and_for_a_thousand(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        // The project and the endpoint are known from here on.
        rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        let (one, log_of_one) = rig.logged(submission(ACME, vec![candidate(1.0)])).await;
        let (thousand, log_of_thousand) = rig.logged(submission(ACME, vec![candidate(1.0); 1_000])).await;
        assert_eq!((one.unwrap().accepted, thousand.unwrap().accepted), (1, 1_000));
        let sql = |log: &StatementLog| {
            let mut sql: Vec<_> = log.statements().into_iter().map(|statement| statement.sql).collect();
            sql.dedup();
            sql
        };
        assert_eq!(sql(&log_of_one), sql(&log_of_thousand));
        // Rows, parts, sequence and ledger; PostgreSQL does two of them at a time. SQLite writes 512 rows with one statement.
        let (of_one, of_thousand) = match database.database.backend() {
            Backend::Sqlite(_) => (4, 5),
            Backend::Postgres(_) => (2, 2),
        };
        assert_eq!(sql(&log_of_one).len(), of_one, "{:?}", sql(&log_of_one));
        assert_eq!(log_of_thousand.count(), of_thousand, "{:?}", sql(&log_of_thousand));
    }
}

on_both_databases! {
    async fn closing_commits_and_acknowledges_what_is_queued(database: TestDatabase) {
        directory(&database).await;
        let (ingest, batcher, _publisher, _clock) = parts(database.database.clone(), 0, config::Ingest::default(), 16);
        let callers: Vec<_> = (0..50)
            .map(|index| {
                let ingest = ingest.clone();
                tokio::spawn(async move {
                    let rows = submission(ACME, vec![candidate(f64::from(index)); 10]);
                    ingest.submit(&Scope::everything(), rows, &StatementLog::default()).await
                })
            })
            .collect();
        let running = tokio::spawn(batcher.run());
        let mut callers = callers.into_iter();
        let first = callers.next().unwrap().await.unwrap();
        ingest.close();
        let mut stored = usize::from(first.is_ok());
        for caller in callers {
            match caller.await.unwrap() {
                Ok(receipt) => stored += usize::from(receipt.accepted == 10),
                Err(error) => assert_eq!(error.code(), Code::Unavailable),
            }
        }
        running.await.unwrap();
        assert_eq!(events(&database.database).await.len(), stored * 10);
        let (scope, log) = (Scope::everything(), StatementLog::default());
        let late = ingest.submit(&scope, submission(ACME, vec![candidate(1.0)]), &log);
        assert_eq!(late.await.unwrap_err().code(), Code::Unavailable);
    }
}

on_both_databases! {
    async fn dropping_every_handle_ends_the_batcher(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, vec![candidate(1.0)])).await.unwrap();
        drop(rig.ingest);
        rig.batcher.await.unwrap();
    }
}

on_both_databases! {
    async fn a_caller_that_goes_away_hurts_nobody(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        rig.submit(submission(ACME, vec![candidate(0.0)])).await.unwrap();
        let gone = rig.submit(keyed("gone", vec![candidate(1.0)]));
        let stays = rig.submit(keyed("stays", vec![candidate(2.0)]));
        // Once polled it stands in the queue; then its caller hangs up.
        let mut gone = Box::pin(gone);
        assert!(futures_util::poll!(gone.as_mut()).is_pending());
        drop(gone);
        assert_eq!(stays.await.unwrap().accepted, 1);
        let again = rig.submit(keyed("gone", vec![candidate(1.0)])).await.unwrap();
        assert_eq!((again.accepted, again.duplicate), (1, true));
        assert_eq!(events(&database.database).await.len(), 3);
    }
}

on_both_databases! {
    async fn only_the_culprit_of_a_shared_commit_fails(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        for project in [ACME, ACME_SECOND] {
            rig.submit(submission(project, vec![candidate(1.0)])).await.unwrap();
        }
        // Gone behind our back while still remembered: its new endpoint cannot be stored.
        let key = (ACME_SECOND.organization, ACME_SECOND.id);
        let row = project::Entity::find_by_id(key).one(&database.reader()).await.unwrap().unwrap();
        row.delete(&database.writer()).await.unwrap();
        let new_path = || Candidate { endpoint: "GET /new".to_owned(), ..candidate(1.0) };
        let answers = join_all((0..10).map(|index| {
            let project = if index == 4 { ACME_SECOND } else { ACME };
            rig.submit(submission(project, vec![new_path()]))
        }))
        .await;
        for (index, answer) in answers.into_iter().enumerate() {
            if index == 4 {
                assert_eq!(answer.unwrap_err().code(), Code::NotFound);
            } else {
                assert_eq!(answer.unwrap().accepted, 1);
            }
        }
    }
}

on_both_databases! {
    async fn a_full_queue_says_so_at_once(database: TestDatabase) {
        directory(&database).await;
        let settings = config::Ingest { rows_max: 10, queue_rows_max: 10, ..config::Ingest::default() };
        let (ingest, batcher, _publisher, _clock) = parts(database.database.clone(), 0, settings, 16);
        let (scope, log) = (Scope::everything(), StatementLog::default());
        let ten = || submission(ACME, vec![candidate(1.0); 10]);
        let mut waiting = Box::pin(ingest.submit(&scope, ten(), &log));
        // Nobody commits yet; the project check needs a few polls.
        tokio::select! {
            answer = &mut waiting => panic!("answered without a commit: {answer:?}"),
            () = wait::fixed(Duration::from_millis(200), "an answer that must not come has no signal") => {}
        }
        let refused = ingest.submit(&scope, ten(), &log).await.unwrap_err();
        assert!(matches!(refused, Error::Unavailable { retry_after_s: 1.., .. }), "{refused:?}");
        let running = tokio::spawn(batcher.run());
        assert_eq!(waiting.await.unwrap().accepted, 10);
        assert_eq!(ingest.submit(&scope, ten(), &log).await.unwrap().accepted, 10);
        ingest.close();
        running.await.unwrap();
    }
}

fn at_endpoint(number: usize) -> Candidate {
    Candidate { kind: MetricType::Custom, endpoint: format!("thing {number}"), ..candidate(1.0) }
}

on_both_databases! {
    async fn a_project_has_so_many_endpoints_and_one_for_the_rest_whoever_makes_them(database: TestDatabase) {
        let settings = config::Ingest { endpoints_max: 10, ..config::Ingest::default() };
        let rig = Rig::with(&database, settings.clone(), 64).await;
        let second = Rig::over(database.reopen().await, 1, settings.clone(), 64);
        // Two servers, each with some paths of its own and some that both have.
        let calls = (0..12).map(|call| {
            let rig = if call % 2 == 0 { &rig } else { &second };
            rig.submit(submission(ACME, (call..call + 6).map(at_endpoint).collect()))
        });
        for receipt in join_all(calls).await {
            assert_eq!(receipt.unwrap().accepted, 6);
        }
        let stored = endpoint::Entity::find().all(&database.reader()).await.unwrap();
        let others: Vec<_> = stored.iter().filter(|one| one.path == OTHER_ENDPOINTS).collect();
        assert_eq!((stored.len(), others.len()), (11, 1), "{stored:?}");
        let rows = events(&database.database).await;
        let folded = rows.iter().filter(|row| row.endpoint_id == others[0].id).count();
        let named = |number: usize| stored.iter().any(|one| one.path == format!("thing {number}"));
        let expected = (0..12).flat_map(|call| call..call + 6).filter(|number| !named(*number)).count();
        assert_eq!((rows.len(), folded), (72, expected));
        books::check(&database).await;
        // What is full stays full for whoever starts later.
        let third = Rig::over(database.reopen().await, 2, settings, 64);
        third.submit(submission(ACME, vec![at_endpoint(99)])).await.unwrap();
        rig.submit(submission(ACME, vec![at_endpoint(98)])).await.unwrap();
        assert_eq!(endpoint::Entity::find().all(&database.reader()).await.unwrap().len(), 11);
        // Another project is not touched by it.
        rig.submit(submission(ACME_SECOND, vec![at_endpoint(98)])).await.unwrap();
        assert_eq!(endpoint::Entity::find().all(&database.reader()).await.unwrap().len(), 12);
    }
}

on_both_databases! {
    async fn ids_in_paths_make_no_endpoints(database: TestDatabase) {
        let rig = Rig::new(&database).await;
        let order = |number| Candidate { endpoint: format!("GET /orders/{number}?full=1"), ..candidate(1.0) };
        assert_eq!(rig.submit(submission(ACME, (0..50).map(order).collect())).await.unwrap().accepted, 50);
        let stored = endpoint::Entity::find().all(&database.reader()).await.unwrap();
        assert_eq!(stored.iter().map(|one| &*one.path).collect::<Vec<_>>(), ["GET /orders/:id"]);
    }
}
