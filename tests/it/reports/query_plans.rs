//! No report reads a metric table from end to end: every access is an index search, on both databases.

use perfgraph::{
    config::ComparisonLimits,
    db::{Backend, Session, StatementLog},
    jobs::partitions,
    model::{
        EndpointId, Key, MetricId, MetricKey, MetricType, OrganizationId, ProjectId, Scope, filter::TextFilter,
        order::Sort, timestamp::DAY_MICROS,
    },
    reports::{
        Buckets, EndpointKey, EndpointStats, GroupBy, Groups, MeasurementOrder, Measurements, Parent, Projects,
        Question, Series, Slowest, Statistic, StatisticsNeeded, StatusFilter, comparison, groups, labels, late,
        measurements, metric, series, slowest, totals, worst_sample,
    },
};
use sqlx::{AssertSqlSafe, Executor, Row};

use super::fixture::{START, range};
use crate::{harness::TestDatabase, on_both_databases};

const ORGANIZATION: OrganizationId = OrganizationId(3);

/// A day of 20 projects in 4 organizations: enough rows that a planner who could not use an index would show it.
async fn fill(database: &TestDatabase) {
    partitions::ensure_range(&database.database, range(0, DAY_MICROS)).await.unwrap();
    let start = START.as_micros();
    let sketch = match database.database.backend() {
        Backend::Sqlite(_) => "x'01'",
        Backend::Postgres(_) => "'\\x01'::bytea",
    };
    let numbers = |count: i64, sql: &str| {
        format!("WITH RECURSIVE s (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM s WHERE i < {count} - 1) {sql}")
    };
    let rollup = |table: &str, buckets: i64, width: i64| {
        numbers(
            buckets * 80,
            &format!(
                "INSERT INTO {table} \
                 (organization_id, project_id, kind, bucket, endpoint_id, part, n, n_err, sum, min, max, sketch) \
                 SELECT i % 20 % 4 + 1, i % 20, 1, {start} + CAST(i / 80 AS BIGINT) * {width}, \
                 CASE WHEN i % 80 < 20 THEN 0 ELSE i % 80 - 19 END, 0, 1, 0, 1.5, 1.5, 1.5, {sketch} FROM s"
            ),
        )
    };
    let breakdown = |table: &str, buckets: i64, width: i64| {
        numbers(
            buckets * 80,
            &format!(
                "INSERT INTO {table} \
                 (organization_id, project_id, kind, bucket, status, release, name, detail, n, n_err, sum, min, max, sketch) \
                 SELECT i % 20 % 4 + 1, i % 20, 1, {start} + CAST(i / 80 AS BIGINT) * {width}, \
                 200 + i % 80 / 20, '1.0', '', 4, 1, 0, 1.5, 1.5, 1.5, {sketch} FROM s"
            ),
        )
    };
    for sql in [
        numbers(
            4,
            "INSERT INTO organization (id, slug, name, created_at, updated_at) \
             SELECT i + 1, 'o' || i, 'o' || i, 0, 0 FROM s",
        ),
        numbers(
            20,
            "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at) \
             SELECT i % 4 + 1, i, 'p' || i, 'p' || i, 0, 0, 0 FROM s",
        ),
        // Far more than were measured in this time.
        numbers(
            20_000,
            "INSERT INTO endpoint (organization_id, id, project_id, path) \
             SELECT i % 20 % 4 + 1, i + 1, i % 20, '/e/' || i FROM s",
        ),
        // A row per second, of one project after the other.
        numbers(
            86_400,
            &format!(
                "INSERT INTO metric_event (organization_id, project_id, kind, ts, id, value, endpoint_id, status, bin) \
                 SELECT i % 20 % 4 + 1, i % 20, 1, {start} + CAST(i AS BIGINT) * 1000000, i, 1.5, i % 60 + 1, 200, 7 \
                 FROM s"
            ),
        ),
        // Each of them with labels.
        "INSERT INTO metric_label (organization_id, project_id, kind, ts, id, labels) \
         SELECT organization_id, project_id, kind, ts, id, '{\"a\":\"b\"}' FROM metric_event"
            .to_owned(),
        // A row per project, endpoint (and all of them) and minute, in every rollup.
        rollup("metric_rollup_part", 1_440, 60_000_000),
        rollup("metric_rollup_1m", 1_440, 60_000_000),
        rollup("metric_rollup_5m", 720, 300_000_000),
        rollup("metric_rollup_1h", 240, 3_600_000_000),
        rollup("metric_rollup_1d", 200, 86_400_000_000),
        breakdown("metric_breakdown_1h", 240, 3_600_000_000),
        breakdown("metric_breakdown_1d", 200, 86_400_000_000),
        // Days of each project, of every grain, with breakdowns of some hours.
        numbers(
            20 * 400,
            &format!(
                "INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint, \
                 status_parts, release_parts, name_parts, all_parts, seen_parts) \
                 SELECT i % 20 % 4 + 1, i % 20, 1, {start} + CAST(i / 20 - 4 AS BIGINT) * 86400000000, i % 4, i % 5, \
                 33554431 - i % 7, 33554431 - i % 7, 33554431 - i % 7, 33554431 - i % 7, 33554431 FROM s"
            ),
        ),
        // Three parts a day.
        numbers(
            20 * 200 * 3,
            &format!(
                "INSERT INTO metric_late (organization_id, project_id, kind, bucket, part, n) \
                 SELECT i % 20 % 4 + 1, i % 20, 1, {start} + CAST(i / 60 AS BIGINT) * 86400000000, i / 20 % 3, 1 FROM s"
            ),
        ),
        "ANALYZE".to_owned(),
    ] {
        match database.database.backend() {
            Backend::Sqlite(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
            Backend::Postgres(pool) => drop(pool.execute(AssertSqlSafe(sql)).await.unwrap()),
        }
    }
}

/// The plan of a statement for any values, as the database keeps it for a prepared statement.
async fn plan(database: &TestDatabase, sql: &str) -> Vec<String> {
    match database.database.backend() {
        Backend::Sqlite(pool) => sqlx::query(AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}")))
            .fetch_all(pool)
            .await
            .unwrap()
            .iter()
            .map(|row| row.get("detail"))
            .collect(),
        Backend::Postgres(pool) => {
            let mut connection = pool.acquire().await.unwrap();
            let parameters = (1..10_000).take_while(|number| sql.contains(&format!("${number}"))).count();
            let nulls = vec!["NULL"; parameters].join(", ");
            // Without pruning, because no partition would survive a window of NULLs.
            for setting in ["plan_cache_mode = force_generic_plan", "enable_partition_pruning = off"] {
                connection.execute(AssertSqlSafe(format!("SET {setting}"))).await.unwrap();
            }
            connection.execute(AssertSqlSafe(format!("PREPARE asked AS {sql}"))).await.unwrap();
            let rows = connection
                .fetch_all(AssertSqlSafe(format!("EXPLAIN (COSTS OFF) EXECUTE asked ({nulls})")))
                .await
                .unwrap();
            connection.execute("DEALLOCATE asked").await.unwrap();
            rows.iter().map(|row| row.get(0)).collect()
        }
    }
}

fn groups_by(by: Vec<GroupBy>, want: StatisticsNeeded) -> Groups {
    let (order, sort) = (Statistic::Count, Sort::Descending);
    Groups { by, having: vec![], order, sort, first: 10, groups_max: 100_000, want }
}

/// By what else groups are told apart, alone and together, and each of them over time, as in columns.
async fn ask_groups(scope: &Scope, session: &Session, question: &Question) {
    for by in [
        vec![],
        vec![GroupBy::Project],
        vec![GroupBy::Name],
        vec![GroupBy::StatusCode],
        vec![GroupBy::Project, GroupBy::Endpoint],
        vec![GroupBy::Type, GroupBy::Name, GroupBy::StatusCode, GroupBy::Release],
    ] {
        let asked = groups_by(by, StatisticsNeeded::Scalars);
        let found = groups::by_parent(scope, session, question, &[Parent::Question], &asked).await.unwrap();
        let found: Vec<_> = found[&Parent::Question].iter().map(|group| group.parent.clone()).collect();
        let series = Series { buckets: Buckets::in_utc(DAY_MICROS, 100_000), want: StatisticsNeeded::Scalars };
        series::by_parent(scope, session, question, &found, &series).await.unwrap();
    }
}

/// Single measurements, endpoints and releases, by what names them.
async fn ask_by_name(scope: &Scope, session: &Session, own: &[Key<ProjectId>], ranking: &mut [EndpointStats]) {
    let key = |second: i64| MetricKey {
        project: own[0],
        kind: MetricType::ApiResponse,
        timestamp: START.plus_micros(second * 1_000_000),
        id: MetricId(second),
    };
    metric::by_keys(scope, session, &[key(2), key(22), key(42)]).await.unwrap();
    labels::by_keys(scope, session, &[key(2), key(22), key(42)]).await.unwrap();
    slowest::identify(scope, session, ranking).await.unwrap();
    for statistic in [Statistic::P95, Statistic::Average, Statistic::ErrorRate] {
        let question = comparison::ComparisonQuestion {
            project: own[0],
            kind: MetricType::ApiResponse,
            statistic,
            baseline: range(0, DAY_MICROS / 2),
            candidate: range(DAY_MICROS / 2, DAY_MICROS),
        };
        comparison::run(scope, session, &question, &ComparisonLimits::default()).await.unwrap();
    }
}

fn assert_no_full_scan(plan: &[String], sql: &str) {
    let all = plan.join("\n");
    let mut searches = 0;
    for (index, line) in plan.iter().map(|line| line.trim()).enumerate() {
        // The default partition is empty: reading it whole is reading nothing.
        let is_scan = line == "SCAN m" || line.starts_with("SCAN m ") || line.contains("Seq Scan on metric_");
        // PostgreSQL does not know how few groups there are, and takes the paths of all endpoints for them.
        let is_for_groups = sql.contains(r#"AS "g" CROSS JOIN "endpoint" AS "e""#);
        let all_endpoints = line == "SCAN e" || line.contains("Seq Scan on endpoint") && !is_for_groups;
        assert!(!all_endpoints, "endpoints of every tenant are read: {sql}\n{all}");
        assert!(!is_scan || line.contains("_default"), "{sql}\n{all}");
        // By organization or project, by type, and up to the time: a search by less reads too much.
        let sqlite = line.starts_with("SEARCH m ");
        if sqlite {
            let by_time = line.contains("ts>? AND ts<?") || line.contains("bucket>? AND bucket<?");
            assert!(by_time && line.contains("(organization_id=? AND project_id=? AND kind=? AND"), "{sql}\n{all}");
        }
        let postgres = line.starts_with("Index Cond:") && (line.contains("ts >= ") || line.contains("bucket >= "));
        if postgres {
            // Whoever asks for every project of all tenants, or of half of them, wants most rows of that time: searching by
            // time is right.
            let is_everything = sql.contains(r#"("m"."organization_id", "m"."project_id") IN (SELECT"#);
            // Of hours, days and late ones there are so few that their series may be sorted out as an organization's are read.
            let coarse =
                ["metric_rollup_1h", "metric_rollup_1d", "metric_late", "metric_breakdown_1h", "metric_breakdown_1d"];
            // Of five minutes too, if endpoints are named, because the database expects few rows then.
            let sifts_endpoints = plan[..index].iter().rev().take(3).any(|line| line.contains("endpoint_id = ANY"));
            let is_coarse = coarse.iter().any(|table| plan[index - 1].contains(table))
                || plan[index - 1].contains("metric_rollup_5m") && sifts_endpoints;
            // Who asks for five minutes of every type has all of a project's: by type is as good as by time.
            let is_every_type =
                plan[index - 1].contains("metric_rollup_5m") && plan[index + 1].contains("kind = ANY (");
            let by_series = line.contains("project_id = ") && (is_every_type || line.contains("kind = "))
                || is_coarse && line.contains("organization_id = ");
            assert!(by_series || is_everything, "{sql}\n{all}");
        }
        searches += usize::from(sqlite || postgres);
    }
    // Endpoints that meet a condition are sifted out by a hash. Without one each row would be compared with all of them; and
    // begun with, each of them would be looked for among all rows of the time.
    let is_sifted = plan.iter().any(|line| line.contains("hashed SubPlan"));
    assert!(is_sifted || !sql.contains(" IS TRUE"), "{sql}\n{all}");
    let by_endpoint = |line: &String| line.contains("bucket >= ") && line.contains("endpoint_id = n");
    assert!(!plan.iter().any(by_endpoint), "{sql}\n{all}");
    assert!(searches > 0, "{sql}\n{all}");
}

/// What is named is found by an index, and nothing else is looked at.
fn assert_found(plan: &[String], sql: &str) {
    let lines = || plan.iter().map(|line| line.trim().trim_start_matches("->").trim());
    let all = plan.join("\n");
    // Other than tables: the keys that a statement is given, and the rows that a part of it has found.
    let given = ["SCAN b", "SCAN c", "SCAN k", "SCAN w", "SCAN asked", "SCAN CONSTANT ROW"];
    let is_given = |line: &str| given.iter().any(|given| line.starts_with(given));
    let is_table = |line: &str| !is_given(line) && !line.contains("_default");
    let is_scan = |line: &str| line.starts_with("SCAN ") || line.contains("Seq Scan on ");
    assert!(!lines().any(|line| is_scan(line) && is_table(line)), "{sql}\n{all}");
    assert!(lines().any(|line| line.starts_with("SEARCH ") || line.starts_with("Index ")), "{sql}\n{all}");
}

on_both_databases! {
    async fn every_statement_searches_by_index(database: TestDatabase) {
        fill(&database).await;
        let own: Vec<_> = [2, 6, 10].map(|id| Key::new(ORGANIZATION, ProjectId(id))).into();
        let several: Vec<_> = own.iter().copied().chain([Key::new(OrganizationId(1), ProjectId(4))]).collect();
        let endpoints: Vec<_> = [3, 7].map(EndpointId).map(|endpoint| EndpointKey { project: own[0], endpoint }).into();
        // Ragged on both sides, so that raw rows and every level of rollups are read.
        let everything = Question::over(range(5_400_000_001, 30 * DAY_MICROS));
        let session = database.database.reader(StatementLog::default());
        let scope = Scope::everything();
        let parents: Vec<_> = own.iter().copied().map(Parent::Project).collect();
        let organizations = [OrganizationId(1), ORGANIZATION].map(Parent::Organization);
        let ranking = Slowest { rank_by: Statistic::Max, limit: 3, want: StatisticsNeeded::Scalars };
        let mut ranking = slowest::run(&scope, &session, &everything, ranking).await.unwrap();
        let trends: Vec<_> = ranking.iter().map(EndpointStats::as_parent).collect();
        for projects in [
            Projects::All, Projects::Organizations(vec![ORGANIZATION]), Projects::Keys(own.clone()), Projects::Keys(several),
        ] {
            for kinds in [vec![], vec![MetricType::ApiResponse]] {
                let plain = Question { projects: projects.clone(), kinds, ..everything.clone() };
                let path = TextFilter { starts_with: Some("/e/1".to_owned()), ..TextFilter::default() };
                let status = StatusFilter { gte: Some(400), ..StatusFilter::default() };
                // Groups are told apart alike, whoever's they are.
                let is_asked = matches!(&projects, Projects::All) || projects == Projects::Keys(own.clone());
                if is_asked && !plain.kinds.is_empty() {
                    ask_groups(&scope, &session, &plain).await;
                }
                for question in [
                    plain.clone(),
                    Question { endpoint: Some(path), ..plain.clone() },
                    Question { status: Some(status), ..plain },
                ] {
                    for want in [StatisticsNeeded::Scalars, StatisticsNeeded::Percentiles] {
                        totals::run(&scope, &session, &question, want).await.unwrap();
                        totals::by_parent(&scope, &session, &question, &parents, want).await.unwrap();
                        totals::by_parent(&scope, &session, &question, &organizations, want).await.unwrap();
                        let slowest = Slowest { rank_by: Statistic::Average, limit: 10, want };
                        slowest::run(&scope, &session, &question, slowest).await.unwrap();
                        slowest::by_parent(&scope, &session, &question, &parents, slowest).await.unwrap();
                        for by in [GroupBy::Endpoint, GroupBy::Type, GroupBy::Release] {
                            let groups = groups_by(vec![by], want);
                            groups::by_parent(&scope, &session, &question, &parents, &groups).await.unwrap();
                        }
                        let berlin = Buckets::in_zone(DAY_MICROS, 100_000, "Europe/Berlin".parse().unwrap()).unwrap();
                        for buckets in [Buckets::in_utc(DAY_MICROS, 100_000), Buckets::in_utc(90_000_000, 100_000), berlin] {
                            let series = Series { buckets, want };
                            series::by_parent(&scope, &session, &question, &parents, &series).await.unwrap();
                            series::by_parent(&scope, &session, &question, &trends, &series).await.unwrap();
                        }
                    }
                    for order in [MeasurementOrder::Timestamp, MeasurementOrder::Value] {
                        let rows = Measurements { value: None, order, sort: Sort::Descending, after: None, first: 20 };
                        measurements::by_parent(&scope, &session, &question, &[Parent::Question], &rows).await.unwrap();
                        measurements::by_parent(&scope, &session, &question, &parents, &rows).await.unwrap();
                    }
                    for parents in [&[Parent::Question][..], &parents, &organizations, &trends] {
                        let asked: Vec<_> = parents.iter().map(|parent| late::about(parent, &question)).collect();
                        let same: Vec<_> = asked.iter().map(|(parent, _)| parent.clone()).collect();
                        late::by_parent(&scope, &session, &asked[0].1, &same).await.unwrap();
                    }
                    worst_sample::by_endpoint(&scope, &session, &question, &endpoints).await.unwrap();
                }
            }
        }
        let mut statements: Vec<_> = session.log().statements().into_iter().map(|statement| statement.sql).collect();
        statements.sort_unstable();
        statements.dedup();
        assert!(statements.len() > 30, "every shape: {}", statements.len());
        for sql in statements {
            assert_no_full_scan(&plan(&database, &sql).await, &sql);
        }
        let named = database.database.reader(StatementLog::default());
        ask_by_name(&scope, &named, &own, &mut ranking).await;
        let mut statements: Vec<_> = named.log().statements().into_iter().map(|statement| statement.sql).collect();
        statements.sort_unstable();
        statements.dedup();
        assert_eq!(statements.len(), 4, "a measurement, its labels, an endpoint, a comparison: {statements:?}");
        for sql in statements {
            assert_found(&plan(&database, &sql).await, &sql);
        }
    }
}
