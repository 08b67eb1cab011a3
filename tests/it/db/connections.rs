//! Connections of queries: they stay at hand, and nobody waits in vain for one, whatever becomes of a query.

use std::time::Duration;

use futures_util::{StreamExt, future::join_all};
use perfgraph::{
    config,
    db::{Database, Session, StatementLog},
    error::Error,
};
use sea_orm::{
    ConnectionTrait, DbBackend, Statement,
    sea_query::{Expr, Query, SelectStatement},
};
use tokio::time::timeout;

use crate::{harness::TestDatabase, on_both_databases};

/// Far longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(20);

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

/// A statement that takes far more than the patience of who asks it.
fn slow(session: &Session) -> Statement {
    let sql = match session.get_database_backend() {
        DbBackend::Sqlite => {
            "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 2000000) SELECT COUNT(*) FROM n"
        }
        _ => "SELECT pg_sleep(2)",
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
            assert_eq!(timeout(PATIENCE, ask(&session)).await.unwrap(), 1);
            let wrong = Statement::from_string(session.get_database_backend(), "SELECT nothing FROM nowhere");
            assert!(session.query_all_raw(wrong).await.is_err());
            assert_eq!(timeout(PATIENCE, ask(&session)).await.unwrap(), 1);
        }
    }
}

on_both_databases! {
    async fn the_queries_of_one_request_leave_connections_to_others(database: TestDatabase) {
        let settings = config::Database {
            url: database.url.as_str().into(),
            read_connections: 4,
            acquire_timeout: Duration::from_millis(500),
            ..config::Database::default()
        };
        let database = Database::open(&settings).await.unwrap();
        let (request, other) = (database.reader_for_request(StatementLog::default()), database.reader(StatementLog::default()));
        let sql = match request.get_database_backend() {
            DbBackend::Sqlite => {
                "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400000) SELECT COUNT(*) FROM n"
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
