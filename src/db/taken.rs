//! A connection in use. However the use ends, the connection is back at once, stopped first, or replaced.

use std::{sync::Arc, time::Duration};

use futures_util::{
    FutureExt, Stream, StreamExt,
    future::BoxFuture,
    stream::{self, select},
};
use sea_orm::{ExecResult, QueryResult};
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;

use super::{
    bound_statement::BoundStatement,
    connection::Connection,
    line::Line,
    recovery,
    stock::{Kept, PING_TIMEOUT, Place, Stock},
    watch::Watch,
};

/// Number of rows of a stream that are read ahead. Few, because a row may carry a long list.
const ROWS_AHEAD: usize = 4;

/// A connection in use by one owner.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "four facts that do not exclude each other")]
pub struct Taken {
    place: Option<Place>,
    kept: Option<Kept>,
    /// Opened for this use, so that it cannot have died before.
    is_new: bool,
    /// A statement was sent, and its answer is not complete.
    is_busy: bool,
    is_in_transaction: bool,
    is_lost: bool,
}

impl Taken {
    pub(super) const fn new(place: Place, kept: Kept, is_new: bool) -> Self {
        Self { place: Some(place), kept: Some(kept), is_new, is_busy: false, is_in_transaction: false, is_lost: false }
    }

    /// A connection in a transaction. Starting it tests the connection, so that one that died is replaced.
    ///
    /// # Errors
    /// No connection is free, or the database cannot be reached.
    pub async fn in_transaction(stock: &Arc<Stock>) -> sqlx::Result<Self> {
        loop {
            let mut taken = stock.take().await?;
            let patience = if taken.is_new { stock.acquire_timeout } else { PING_TIMEOUT };
            let begun = timeout(patience, taken.begin()).await;
            taken.is_in_transaction = true;
            match begun {
                Ok(Ok(())) => return Ok(taken),
                Err(_) if !taken.is_new => taken.is_lost = true,
                Ok(Err(_)) if !taken.is_new && taken.is_lost => {}
                Err(_) => return Err(sqlx::Error::PoolTimedOut),
                Ok(Err(error)) => return Err(error),
            }
        }
    }

    async fn begin(&mut self) -> sqlx::Result<()> {
        let begin = self.pooled_begin().unwrap_or_else(|| "BEGIN".into());
        self.run(|connection| connection.execute_text(begin.to_string())).await?;
        Ok(())
    }

    /// The statements that begin a transaction, if every statement needs one.
    fn pooled_begin(&self) -> Option<Arc<str>> {
        self.place.as_ref().and_then(|place| place.stock.pooled_begin()).cloned()
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// The database refuses, or its answer is lost: then it is unknown whether the transaction was committed.
    pub async fn commit(mut self) -> sqlx::Result<()> {
        self.end("COMMIT").await
    }

    async fn end(&mut self, how: &'static str) -> sqlx::Result<()> {
        self.run(|connection| connection.execute_text(how.to_owned())).await?;
        self.is_in_transaction = false;
        Ok(())
    }

    /// True if the connection was at hand before and turned out to be dead: another one may serve.
    pub const fn was_dead(&self) -> bool {
        self.is_lost && !self.is_new
    }

    /// Executes a statement and returns all rows.
    ///
    /// # Errors
    /// As the driver's, or no answer comes.
    pub async fn all(&mut self, statement: BoundStatement) -> sqlx::Result<Vec<QueryResult>> {
        self.run_alone(|connection| connection.all(statement)).await
    }

    /// Executes a statement and returns its first row, if there is one.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn one(&mut self, statement: BoundStatement) -> sqlx::Result<Option<QueryResult>> {
        self.run_alone(|connection| connection.one(statement)).await
    }

    /// Executes a statement with values.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn execute(&mut self, statement: BoundStatement) -> sqlx::Result<ExecResult> {
        self.run_alone(|connection| connection.execute(statement)).await
    }

    /// Executes statements without values, which are not prepared.
    ///
    /// # Errors
    /// As [`Self::all`].
    pub async fn execute_text(&mut self, sql: String) -> sqlx::Result<ExecResult> {
        self.run_alone(|connection| connection.execute_text(sql)).await
    }

    /// Executes a statement, behind a pooler in a transaction of its own unless there is one.
    async fn run_alone<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        if self.is_in_transaction || self.pooled_begin().is_none() {
            return self.run(work).await;
        }
        self.begin().await?;
        self.is_in_transaction = true;
        let answer = self.run(work).await;
        if answer.is_ok() {
            self.end("COMMIT").await?;
        } else if !self.is_lost {
            self.end("ROLLBACK").await?;
        }
        answer
    }

    async fn run<T>(
        &mut self,
        work: impl for<'c> FnOnce(&'c mut Connection) -> BoxFuture<'c, sqlx::Result<T>>,
    ) -> sqlx::Result<T> {
        let watch = self.watch();
        let Some(Kept { connection, .. }) = &mut self.kept else { return Err(sqlx::Error::PoolClosed) };
        self.is_busy = true;
        let answer = watch.answer(work(connection)).await;
        self.is_lost = answer.as_ref().is_err_and(is_lost);
        self.is_busy = self.is_lost;
        answer
    }

    /// The connection below the ORM, and the watch that waits for its answers. It counts as busy until the commit.
    ///
    /// # Errors
    /// The connection is not one to PostgreSQL.
    pub fn postgres(&mut self) -> sqlx::Result<(Watch, Line<'_>)> {
        self.is_busy = true;
        let watch = self.watch();
        let connection = self.kept.as_mut().and_then(|kept| kept.connection.postgres());
        Ok((watch, connection.ok_or(sqlx::Error::PoolClosed)?))
    }

    fn watch(&self) -> Watch {
        let longest = self.place.as_ref().map_or(Duration::MAX, |place| place.stock.answer_timeout);
        Watch::new(self.kept.as_ref().and_then(|kept| kept.connection.server_process()).cloned(), longest)
    }

    /// Streams the rows of a statement. Dropping the stream stops the statement.
    pub fn rows(self, statement: BoundStatement) -> impl Stream<Item = sqlx::Result<QueryResult>> + Send {
        let (sender, rows) = mpsc::channel(ROWS_AHEAD);
        // The sender and the receiver are polled by the same task, so that nothing runs on after the stream.
        let reading = stream::once(self.send_rows(statement, sender)).filter_map(|()| std::future::ready(None));
        select(ReceiverStream::new(rows), reading)
    }

    async fn send_rows(mut self, statement: BoundStatement, sender: mpsc::Sender<sqlx::Result<QueryResult>>) {
        if self.pooled_begin().is_some() && !self.is_in_transaction {
            if let Err(error) = self.begin().await {
                let _ = sender.send(Err(error)).await;
                return;
            }
            self.is_in_transaction = true;
        }
        let watch = self.watch();
        let Some(Kept { connection, .. }) = &mut self.kept else { return };
        self.is_busy = true;
        let mut answer = connection.rows(statement);
        let mut failed = false;
        while let Some(row) = watch.answer(answer.next().map(Ok)).await.transpose() {
            let row = row.flatten();
            if let Err(error) = &row {
                self.is_lost = is_lost(error);
                failed = true;
            }
            if sender.send(row).await.is_err() {
                return;
            }
            if failed {
                break;
            }
        }
        drop(answer);
        self.is_busy = self.is_lost;
        if self.pooled_begin().is_some() && !self.is_lost {
            // A query has changed nothing. If this fails, the connection is replaced.
            let _ = self.end("ROLLBACK").await;
        }
    }
}

impl Drop for Taken {
    fn drop(&mut self) {
        let (Some(kept), Some(place)) = (self.kept.take(), self.place.take()) else { return };
        if self.is_lost {
            place.stock.lost(kept.connection);
        } else if self.is_busy || self.is_in_transaction {
            recovery::settle(place, kept, self.is_busy, self.is_in_transaction);
        } else {
            place.stock.put_back(kept);
        }
    }
}

/// Returns whether the connection is of no more use after this error: the bytes on it no longer make sense, or the server
/// has ended it (57P01 to 57P05, 08) or a transaction on it (25P03).
fn is_lost(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(cause) if cause.try_downcast_ref::<sqlx::sqlite::SqliteError>().is_none() => {
            cause.code().is_some_and(|code| code.starts_with("57P") || code.starts_with("08") || code == "25P03")
        }
        _ => false,
    }
}
