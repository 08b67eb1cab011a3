//! PostgreSQL's statistics follow tables that grow, so that kept plans do too.

use perfgraph::{
    db::{Backend, Session, StatementLog},
    jobs::statistics,
    model::{Scope, timestamp::DAY_MICROS},
    reports::{Question, Slowest, Statistic, StatisticsNeeded, slowest},
};
use sea_orm::{ConnectionTrait, DbBackend, Statement};
use sqlx::{AssertSqlSafe, Executor, PgConnection, Row};

use crate::{
    harness::{TestDatabase, wait},
    reports::fixture::range,
};

/// A series and day for each of so many projects of one organization.
fn grains(projects: i64) -> String {
    format!(
        "INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint) \
         SELECT 1, i, 1, 0, 4, 4 FROM generate_series(1, {projects}) AS i ON CONFLICT DO NOTHING"
    )
}

async fn number(session: &Session, sql: &str) -> i64 {
    let statement = Statement::from_string(DbBackend::Postgres, sql.to_owned());
    session.query_one_raw(statement).await.unwrap().unwrap().try_get_by_index(0).unwrap()
}

async fn known_rows(session: &Session) -> i64 {
    number(session, "SELECT reltuples::BIGINT FROM pg_class WHERE oid = 'metric_grain'::regclass").await
}

async fn collected(session: &Session) -> i64 {
    number(session, "SELECT analyze_count FROM pg_stat_user_tables WHERE relid = 'metric_grain'::regclass").await
}

/// Passes until they have seen what was written.
async fn passes_until_known(database: &TestDatabase, session: &Session, rows: i64) {
    wait::until("statistics of what was written", async || {
        session.execute_unprepared("SELECT pg_stat_force_next_flush()").await.unwrap();
        statistics::pass(&database.database).await.unwrap();
        known_rows(session).await == rows
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn statistics_of_a_table_are_collected_each_time_it_doubles() {
    let database = TestDatabase::postgres().await;
    let session = database.writer();
    session.execute_unprepared("ALTER TABLE metric_grain SET (autovacuum_enabled = false)").await.unwrap();
    session.execute_unprepared(&grains(201)).await.unwrap();
    passes_until_known(&database, &session, 201).await;
    session.execute_unprepared(&grains(402)).await.unwrap();
    session.execute_unprepared("SELECT pg_stat_force_next_flush()").await.unwrap();
    wait::until("the database has counted them", async || {
        number(&session, "SELECT n_live_tup FROM pg_stat_user_tables WHERE relid = 'metric_grain'::regclass").await
            == 402
    })
    .await;
    let before = collected(&session).await;
    statistics::pass(&database.database).await.unwrap();
    assert_eq!((known_rows(&session).await, collected(&session).await), (201, before), "twice as many are few");
    session.execute_unprepared(&grains(403)).await.unwrap();
    passes_until_known(&database, &session, 403).await;
}

/// The lines of the plan that a connection keeps, which read the grains, each with the line after it.
async fn kept_plan(connection: &mut PgConnection, parameters: usize) -> Vec<String> {
    let nulls = vec!["NULL"; parameters].join(", ");
    let explain = format!("EXPLAIN (COSTS OFF) EXECUTE asked({nulls})");
    let rows = connection.fetch_all(AssertSqlSafe(explain)).await.unwrap();
    let lines: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    lines.windows(2).filter(|pair| pair[0].contains("metric_grain")).map(|pair| pair.join("\n")).collect()
}

/// A ranking of all projects looks each of them up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_plan_made_for_an_empty_table_is_made_anew() {
    const PROJECTS: i64 = 3_000;
    let database = TestDatabase::postgres().await;
    let Backend::Postgres(pool) = database.database.backend() else { unreachable!() };
    let projects = format!(
        "INSERT INTO project (organization_id, id, slug, name, status, created_at, updated_at) \
         SELECT 1, i, 'p' || i, 'p', 0, 0, 0 FROM generate_series(1, {PROJECTS}) AS i"
    );
    for sql in [
        "INSERT INTO organization (id, slug, name, created_at, updated_at) VALUES (1, 'a', 'A', 0, 0)",
        &projects,
        "ALTER TABLE metric_grain SET (autovacuum_enabled = false)",
        "ANALYZE",
    ] {
        pool.execute(AssertSqlSafe(sql)).await.unwrap();
    }
    let reader = database.database.reader(StatementLog::default());
    let question = Question::over(range(0, DAY_MICROS));
    let ranking = Slowest { rank_by: Statistic::Average, limit: 10, want: StatisticsNeeded::Scalars };
    slowest::run(&Scope::everything(), &reader, &question, ranking).await.unwrap();
    let statements = reader.log().statements();
    let sql = &statements.iter().find(|statement| statement.sql.contains("metric_grain")).unwrap().sql;
    let parameters = (1..10_000).take_while(|number| sql.contains(&format!("${number}"))).count();

    let mut connection = pool.acquire().await.unwrap();
    connection.execute("SET plan_cache_mode = force_generic_plan").await.unwrap();
    connection.execute(AssertSqlSafe(format!("PREPARE asked AS {sql}"))).await.unwrap();
    let of_an_empty_table = kept_plan(&mut connection, parameters).await;
    assert!(of_an_empty_table.iter().any(|lines| lines.contains("Seq Scan")), "{of_an_empty_table:#?}");
    let writer = database.writer();
    writer.execute_unprepared(&grains(PROJECTS)).await.unwrap();
    passes_until_known(&database, &writer, PROJECTS).await;
    let anew = kept_plan(&mut connection, parameters).await;
    assert!(!anew.is_empty());
    for lines in anew {
        assert!(lines.contains("metric_grain_pkey"), "{lines}");
        assert!(lines.contains("organization_id = ") && lines.contains("project_id = "), "{lines}");
    }
}
