//! Connections that log their statements, so that the statements of each request are known.

use std::{
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use async_trait::async_trait;
use futures_util::{Stream, TryStreamExt};
use sea_orm::{
    ConnectionTrait, DbBackend, DbErr, ExecResult, QueryResult, Statement as Query, sea_query::SelectStatement,
};

use super::{
    bound_statement::{BoundStatement, Executor},
    commit_notices::CommitNotices,
    connections::{Connections, OpenTransaction},
    file::FileWatch,
    statement::StatementLog,
};
use crate::{
    clock::Stopwatch,
    error::{Error, Result},
    model::{OrganizationId, RetainedSince, change::LogPosition},
};

/// A connection (pool or transaction) with the log of the request that uses it.
#[derive(Clone, Debug)]
pub struct Logged<C> {
    inner: C,
    log: StatementLog,
    kept: RetainedSince,
    own_organization: OrganizationId,
    asked: StatementCount,
    notices: CommitNotices<LogPosition>,
    file: FileWatch,
}

/// The number of statements that sessions have sent; clones share the counter.
#[derive(Clone, Debug, Default)]
pub struct StatementCount(Arc<AtomicU64>);

impl StatementCount {
    /// Number of statements so far.
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// One request's view of a pool. Rooms read and write through it.
pub type Session = Logged<Connections>;

/// A transaction of one request. Dropped without [`Transaction::commit`] it rolls back.
pub type Transaction = Logged<OpenTransaction>;

impl<C> Logged<C> {
    /// Logs the statements sent through `inner` to `log`.
    pub const fn new(
        inner: C,
        log: StatementLog,
        kept: RetainedSince,
        own_organization: OrganizationId,
        asked: StatementCount,
        notices: CommitNotices<LogPosition>,
        file: FileWatch,
    ) -> Self {
        Self { inner, log, kept, own_organization, asked, notices, file }
    }

    /// The bounds of retention when the session was created.
    pub const fn kept(&self) -> RetainedSince {
        self.kept
    }

    /// The organization for the server's own metrics, whether it was created already or not.
    pub const fn own_organization(&self) -> OrganizationId {
        self.own_organization
    }

    /// The statements of this request.
    pub const fn log(&self) -> &StatementLog {
        &self.log
    }

    fn record(&self, sql: Arc<str>, rows: usize, watch: Stopwatch) {
        self.asked.0.fetch_add(1, Ordering::Relaxed);
        self.log.add(sql, rows, watch);
    }

    /// Remembers damage of the file that a statement met.
    fn noted<T>(&self, answer: Result<T, DbErr>) -> Result<T, DbErr> {
        if let Err(error) = &answer {
            self.file.note_orm(error);
        }
        answer
    }
}

impl Session {
    /// Starts a transaction that logs to the same request.
    ///
    /// # Errors
    /// No connection is available.
    pub async fn begin(&self) -> Result<Transaction> {
        self.begin_with(false).await
    }

    /// Sends a query and passes its rows to `take` as they come, so that the answer is never in memory as a whole. An error
    /// of `take` ends the query.
    ///
    /// # Errors
    /// That of `take`, or the database fails.
    pub async fn each(
        &self,
        statement: &SelectStatement,
        mut take: impl FnMut(&QueryResult) -> Result<()> + Send,
    ) -> Result<()> {
        self.file.admits()?;
        let query = BoundStatement::from(self.inner.backend().build(statement));
        let (sql, watch, mut passed) = (Arc::clone(&query.sql), Stopwatch::start(), 0);
        let _turn = self.inner.long_turn().await;
        let mut rows = pin!(self.noted(self.inner.stream(query).await)?);
        let ended = loop {
            match self.noted(rows.try_next().await)? {
                None => break Ok(()),
                Some(row) => {
                    passed += 1;
                    if let Err(error) = take(&row) {
                        break Err(error);
                    }
                }
            }
        };
        self.record(sql, passed, watch);
        ended
    }

    /// Sends a statement and streams its rows, for results that are too large to buffer.
    ///
    /// # Errors
    /// The database fails.
    pub async fn stream(
        &self,
        statement: &SelectStatement,
    ) -> Result<impl Stream<Item = Result<QueryResult>> + Send + '_> {
        self.file.admits()?;
        let query = BoundStatement::from(self.inner.backend().build(statement));
        let (sql, watch) = (Arc::clone(&query.sql), Stopwatch::start());
        let rows = self.inner.stream(query).await?;
        self.record(sql, 0, watch);
        let file = self.file.clone();
        Ok(rows.map_err(move |error| {
            file.note_orm(&error);
            Error::from(error)
        }))
    }

    /// Starts a transaction for writing. On SQLite it takes the write lock at once: otherwise the data that it reads
    /// first could change before it writes, and the database would refuse the write.
    ///
    /// # Errors
    /// No connection is available, or another process holds SQLite's write lock.
    pub async fn begin_write(&self) -> Result<Transaction> {
        self.begin_with(true).await
    }

    async fn begin_with(&self, writes: bool) -> Result<Transaction> {
        self.file.look()?;
        let transaction = self.noted(self.inner.begin(writes).await)?;
        let (log, asked, notices) = (self.log.clone(), self.asked.clone(), self.notices.of_transaction());
        Ok(Logged::new(transaction, log, self.kept(), self.own_organization(), asked, notices, self.file.clone()))
    }
}

impl Transaction {
    /// Makes everything done in this transaction durable.
    ///
    /// # Errors
    /// The database refuses the commit, and nothing is stored. Or the SQLite file was taken away, and the transaction is
    /// stored in a file that the next start does not find.
    pub async fn commit(self) -> Result<()> {
        let Self { inner, notices, file, .. } = self;
        file.confirm(inner.commit().await.map_err(Error::from))?;
        notices.send();
        Ok(())
    }

    /// Announces new positions of change logs to listeners in this process after the commit.
    pub fn notify_on_commit(&self, positions: impl IntoIterator<Item = LogPosition>) {
        self.notices.add(positions);
    }
}

impl<C: Executor> Logged<C> {
    /// Sends a query and returns its rows.
    ///
    /// # Errors
    /// The database fails.
    pub async fn all(&self, query: BoundStatement) -> Result<Vec<QueryResult>, DbErr> {
        let (sql, watch) = (Arc::clone(&query.sql), Stopwatch::start());
        self.file.admits()?;
        let answer = self.noted(self.inner.all(query).await);
        self.record(sql, answer.as_ref().map_or(0, Vec::len), watch);
        answer
    }
}

#[async_trait]
impl<C: Executor> ConnectionTrait for Logged<C> {
    fn get_database_backend(&self) -> DbBackend {
        self.inner.backend()
    }

    async fn execute_raw(&self, query: Query) -> Result<ExecResult, DbErr> {
        let statement = BoundStatement::from(query);
        let (sql, watch) = (Arc::clone(&statement.sql), Stopwatch::start());
        self.file.look()?;
        let answer = self.noted(self.inner.execute(statement).await);
        let rows = answer.as_ref().map_or(0, ExecResult::rows_affected);
        self.record(sql, usize::try_from(rows).unwrap_or(usize::MAX), watch);
        answer
    }

    async fn execute_unprepared(&self, sql: &str) -> Result<ExecResult, DbErr> {
        let watch = Stopwatch::start();
        self.file.look()?;
        let answer = self.noted(self.inner.execute_text(sql).await);
        self.record(sql.into(), 0, watch);
        answer
    }

    async fn query_one_raw(&self, query: Query) -> Result<Option<QueryResult>, DbErr> {
        let query = BoundStatement::from(query);
        let (sql, watch) = (Arc::clone(&query.sql), Stopwatch::start());
        self.file.admits()?;
        let answer = self.noted(self.inner.one(query).await);
        self.record(sql, usize::from(matches!(answer, Ok(Some(_)))), watch);
        answer
    }

    async fn query_all_raw(&self, query: Query) -> Result<Vec<QueryResult>, DbErr> {
        self.all(query.into()).await
    }
}
