//! Connections of queries: they stay at hand, and nobody waits in vain for one, whatever becomes of a query.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use futures_util::{
    StreamExt,
    future::{join, join_all},
};
use perfgraph::{
    config,
    db::{Backend, Database, Session, StatementLog},
    error::Error,
};
use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sea_query::{Expr, Query, SelectStatement},
};
use tokio::time::timeout;

use crate::{
    harness::{TestDatabase, process::PATIENCE, wait},
    on_both_databases,
};

/// Time for a statement that nobody waits for to end.
const STOPPED_WITHIN: Duration = Duration::from_secs(4);

/// The same database with so many connections for queries, for which nobody waits long.
async fn impatient(database: &TestDatabase, read_connections: u32) -> Database {
    let settings = config::Database {
        url: database.url.as_str().into(),
        read_connections,
        // Shorter than the queries of a test together.
        acquire_timeout: Duration::from_millis(500),
        ..config::Database::default()
    };
    Database::open(&settings).await.unwrap()
}

/// The same database with so many connections for queries.
async fn narrow(database: &TestDatabase, read_connections: u32) -> Database {
    let settings = config::Database {
        url: database.url.as_str().into(),
        read_connections,
        write_connections: 1,
        acquire_timeout: Duration::from_secs(5),
        statement_timeout: Duration::from_secs(30),
        ..config::Database::default()
    };
    Database::open(&settings).await.unwrap()
}

fn one() -> SelectStatement {
    Query::select().expr(Expr::val(1)).to_owned()
}

async fn ask(session: &Session) -> i64 {
    let row = session.query_one(&one()).await.unwrap().unwrap();
    row.try_get_by_index::<i32>(0).map(i64::from).or_else(|_| row.try_get_by_index(0)).unwrap()
}

/// A statement that takes far more than the patience of anybody.
fn slow(session: &Session) -> Statement {
    let sql = match session.get_database_backend() {
        DbBackend::Sqlite => {
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000000) SELECT COUNT(*) FROM n"
        }
        _ => "SELECT pg_sleep(25)",
    };
    Statement::from_string(session.get_database_backend(), sql)
}

on_both_databases! {
    async fn more_queries_than_connections_take_turns(database: TestDatabase) {
        let database = narrow(&database, 2).await;
        let session = database.reader(StatementLog::default());
        let asked = join_all((0..200).map(|_| ask(&session)));
        assert_eq!(timeout(PATIENCE, asked).await.unwrap(), vec![1; 200]);
        assert_eq!(session.log().count(), 200);
        timeout(PATIENCE, database.close()).await.unwrap();
    }
}

on_both_databases! {
    async fn streams_and_queries_do_not_starve_each_other(database: TestDatabase) {
        let database = narrow(&database, 1).await;
        let session = database.reader(StatementLog::default());
        for _ in 0..20 {
            assert_eq!(ask(&session).await, 1);
            // The only connection is at hand now, and a stream takes it from there.
            let rows = timeout(PATIENCE, session.stream(&one())).await.unwrap().unwrap();
            let (rows, asked) = timeout(PATIENCE, async {
                let asked = tokio::spawn({
                    let session = session.clone();
                    async move { ask(&session).await }
                });
                (rows.collect::<Vec<_>>().await.len(), asked.await.unwrap())
            })
            .await
            .unwrap();
            assert_eq!((rows, asked), (1, 1));
            timeout(PATIENCE, database.ping()).await.unwrap().unwrap();
        }
    }
}

on_both_databases! {
    async fn a_query_that_is_given_up_or_fails_costs_no_connection(database: TestDatabase) {
        let database = narrow(&database, 1).await;
        let session = database.reader(StatementLog::default());
        for _ in 0..3 {
            let given_up = timeout(Duration::from_millis(50), session.query_one_raw(slow(&session))).await;
            assert!(given_up.is_err(), "it was slow");
            // The statement is stopped, so that the next one does not wait for its end.
            assert_eq!(timeout(STOPPED_WITHIN, ask(&session)).await.expect("the statement was stopped"), 1);
            if let Backend::Postgres(pool) = database.backend() {
                let sql = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() \
                           AND state = 'active' AND query LIKE '%pg_sleep(25)%' AND pid <> pg_backend_pid()";
                wait::until("PostgreSQL stops it", async || {
                    sqlx::query_scalar::<_, i64>(sql).fetch_one(pool).await.unwrap() == 0
                })
                .await;
            }
            let wrong = Statement::from_string(session.get_database_backend(), "SELECT nothing FROM nowhere");
            assert!(session.query_all_raw(wrong).await.is_err());
            assert_eq!(timeout(PATIENCE, ask(&session)).await.unwrap(), 1);
        }
    }
}

on_both_databases! {
    async fn more_reports_than_connections_wait_and_leave_room_to_others(database: TestDatabase) {
        let database = impatient(&database, 4).await;
        let reader = || database.reader_for_request(StatementLog::default());
        let slow = match reader().get_database_backend() {
            DbBackend::Sqlite => {
                "(WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 300000) SELECT COUNT(*) FROM n)"
            }
            _ => "CAST(pg_sleep(0.3) AS TEXT)",
        };
        let report = async || {
            let mut rows = 0;
            let count = |_: &_| { rows += 1; Ok(()) };
            reader().each(&Query::select().expr(Expr::cust(slow)).to_owned(), count).await.map(|()| rows)
        };
        let reports = join_all((0..24).map(|_| report()));
        let done = AtomicBool::new(false);
        let beside = async {
            let mut asked = 0;
            while !done.load(Ordering::Relaxed) {
                assert_eq!(ask(&reader()).await, 1);
                asked += 1;
                tokio::task::yield_now().await;
            }
            asked
        };
        let reports = async {
            let answers = reports.await;
            done.store(true, Ordering::Relaxed);
            answers
        };
        let (answers, asked) = timeout(PATIENCE, join(reports, beside)).await.unwrap();
        for answer in answers {
            assert_eq!(answer.expect("it waits for its turn instead of being refused"), 1);
        }
        assert!(asked > 24, "{asked} others were served meanwhile");
    }
}

on_both_databases! {
    async fn the_queries_of_one_request_leave_connections_to_others(database: TestDatabase) {
        let database = impatient(&database, 4).await;
        let (request, other) = (database.reader_for_request(StatementLog::default()), database.reader(StatementLog::default()));
        let sql = match request.get_database_backend() {
            DbBackend::Sqlite => {
                "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 200000) SELECT COUNT(*) FROM n"
            }
            _ => "SELECT pg_sleep(0.3)",
        };
        let slow = || request.query_one_raw(Statement::from_string(request.get_database_backend(), sql));
        // Together they take far longer than anybody waits for a connection.
        let slow = join_all((0..20).map(|_| slow()));
        let beside = async {
            while request.log().count() < 20 {
                assert_eq!(ask(&other).await, 1);
                tokio::task::yield_now().await;
            }
        };
        let (answers, ()) = timeout(PATIENCE, async { tokio::join!(slow, beside) }).await.unwrap();
        assert!(answers.iter().all(Result::is_ok), "{answers:?}");
    }
}

on_both_databases! {
    async fn rows_are_passed_on_as_they_come_and_an_error_ends_the_query(database: TestDatabase) {
        let database = narrow(&database, 1).await;
        let session = database.reader(StatementLog::default());
        let numbers = match session.get_database_backend() {
            DbBackend::Sqlite => {
                "(WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 1000000) SELECT x FROM n)"
            }
            _ => "(SELECT CAST(x AS BIGINT) AS x FROM generate_series(1, 1000000) AS g (x))",
        };
        let numbers = |below: i64| {
            let mut select = Query::select();
            select.expr(Expr::cust(format!("n.x FROM {numbers} AS n WHERE n.x < {below}"))).take()
        };
        for _ in 0..3 {
            let mut sum = 0;
            let add = |row: &sea_orm::QueryResult| {
                sum += row.try_get_by_index::<i64>(0)?;
                Ok(())
            };
            session.each(&numbers(101), add).await.unwrap();
            assert_eq!(sum, 5_050);
            let mut seen = 0;
            let third = |_: &sea_orm::QueryResult| {
                seen += 1;
                if seen == 3 { Err(Error::input("rows", "enough")) } else { Ok(()) }
            };
            let refused = timeout(PATIENCE, session.each(&numbers(i64::MAX), third)).await.unwrap();
            assert!(matches!(refused, Err(Error::Input { .. })) && seen == 3, "{refused:?}");
            assert_eq!(session.log().statements().last().unwrap().rows, 3);
            // The only connection is there again, or another in its place.
            assert_eq!(timeout(PATIENCE, ask(&session)).await.unwrap(), 1);
        }
        timeout(PATIENCE, database.close()).await.unwrap();
    }
}

on_both_databases! {
    async fn a_closed_database_says_so_at_once(database: TestDatabase) {
        let database = narrow(&database, 2).await;
        let session = database.reader(StatementLog::default());
        assert_eq!(ask(&session).await, 1);
        timeout(PATIENCE, database.close()).await.unwrap();
        let refused = timeout(PATIENCE, session.query_one(&one())).await.unwrap();
        assert!(refused.is_err());
    }
}

on_both_databases! {
    async fn a_transaction_that_is_given_up_is_rolled_back_at_once(database: TestDatabase) {
        let database = narrow(&database, 1).await;
        let session = database.writer(StatementLog::default());
        let insert = "INSERT INTO organization (id, name, slug, created_at, updated_at) VALUES (1, 'a', 'a', 0, 0)";
        for _ in 0..3 {
            let transaction = session.begin_write().await.unwrap();
            let inserted = transaction.execute_unprepared(insert).await;
            assert!(inserted.is_ok(), "{inserted:?}");
            drop(transaction);
            let transaction = timeout(STOPPED_WITHIN, session.begin_write()).await.expect("the connection is back").unwrap();
            let count = Query::select().expr(Expr::cust("COUNT(*)")).from("organization").to_owned();
            let row = transaction.query_one(&count).await.unwrap().unwrap();
            assert_eq!(row.try_get_by_index::<i64>(0).unwrap(), 0);
        }
        timeout(PATIENCE, database.close()).await.unwrap();
    }
}

on_both_databases! {
    async fn connections_are_given_in_the_order_of_asking(database: TestDatabase) {
        let database = narrow(&database, 1).await;
        let sessions: Vec<_> = (0..20).map(|_| database.reader(StatementLog::default())).collect();
        let held = sessions[0].stream(&one()).await.unwrap();
        let served = Mutex::new(Vec::new());
        let served = &served;
        let asked = join_all(sessions.iter().enumerate().map(|(number, session)| async move {
            ask(session).await;
            served.lock().unwrap().push(number);
        }));
        // All of them wait by the time the connection comes back.
        let give_back = async { drop(held) };
        timeout(PATIENCE, async { tokio::join!(asked, give_back) }).await.unwrap();
        assert_eq!(*served.lock().unwrap(), (0..20).collect::<Vec<_>>());
    }
}
