//! Takes a node, renews its lease in the background, takes a node again when the lease is lost, and gives it back at the end.

use std::time::Duration;

use sqlx::{Connection, PgConnection, SqlitePool, postgres::PgConnectOptions};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::{IdGenerator, Lease, State, Validity, postgres, sqlite};
use crate::{
    clock::{Clock, Stopwatch},
    db::{
        file::FileWatch,
        instance::SAMPLE_NODE,
        pool::{Backend, Database},
    },
    error::{Error, Result},
    model::{
        Timestamp,
        id::{IdBlock, IdPlace},
        timestamp::{SECOND_MICROS, whole_micros},
    },
};

/// Milliseconds of places per renewal on PostgreSQL: a minute for a lease of seconds. At 16,384 ids a millisecond no instance
/// makes as many.
const SPAN_MS: i64 = 60_000;
/// The same on SQLite, where nobody waits for the end of a lease and a renewal writes to the file: an hour.
const SPAN_MS_SQLITE: i64 = 3_600_000;
/// The pause between two looks at the places that are left on SQLite.
const PERIOD_SQLITE: Duration = Duration::from_secs(5);
/// The interval at which a node that is held is retried.
const RETRY: Duration = Duration::from_millis(50);
/// The most time to give a node back.
const RELEASE_TIMEOUT: Duration = Duration::from_millis(500);

/// The lease that an instance asks for.
#[derive(Clone, Copy, Debug)]
pub struct LeaseSettings {
    /// The node, or any that is free.
    pub node: Option<u8>,
    /// The duration of a lease on PostgreSQL.
    pub lasts: Duration,
    /// Time to wait for a free node, and for a connection.
    pub patience: Duration,
}

/// Keeps the lease of an [`IdGenerator`].
#[derive(Debug)]
pub struct Renewal {
    generator: IdGenerator,
    clock: Clock,
    settings: LeaseSettings,
    store: Store,
    is_failing: bool,
    is_clock_wrong: bool,
}

#[derive(Debug)]
enum Store {
    Sqlite(SqlitePool, FileWatch),
    /// A connection of its own, so that renewals never wait for the pool. Opened again when it fails.
    Postgres(Box<PgConnectOptions>, Option<PgConnection>),
}

/// A node that was taken, with its places.
struct Taken {
    lease: Lease,
    block: IdBlock,
    validity: Validity,
    /// The time of the database, where it has a clock of its own.
    now: Option<Timestamp>,
}

impl Renewal {
    /// Takes a node. The database must be migrated.
    ///
    /// # Errors
    /// Another instance holds the node, or the database fails.
    pub async fn begin(database: &Database, clock: Clock, settings: LeaseSettings) -> Result<(IdGenerator, Self)> {
        let mut store = match database.backend() {
            Backend::Sqlite(pool) => Store::Sqlite(pool.clone(), database.file_watch().clone()),
            Backend::Postgres(pool) => {
                let limit = attempt(settings.lasts).max(settings.patience).as_millis().to_string();
                let options = (*pool.connect_options()).clone().application_name("perfgraph node");
                Store::Postgres(Box::new(options.options([("statement_timeout", limit.as_str())])), None)
            }
        };
        let Taken { lease, block, validity, now } = match &mut store {
            Store::Sqlite(pool, _) => on_sqlite(pool, settings, clock.now()).await?,
            Store::Postgres(options, connection) => wait_for_node(options, connection, settings, &clock).await?,
        };
        tracing::debug!(node = lease.node, epoch = lease.epoch, "the node of this instance was taken");
        let generator = IdGenerator::alone(block.node());
        generator.replace(lease, block, validity);
        let mut renewal =
            Self { generator: generator.clone(), clock, settings, store, is_failing: false, is_clock_wrong: false };
        if let Some(now) = now {
            renewal.compare_clocks(now);
        }
        Ok((generator, renewal))
    }

    /// Renews the lease until `stopping` is cancelled, then gives the node back.
    pub async fn run(mut self, stopping: CancellationToken) {
        let mut pause = self.period();
        while stopping.run_until_cancelled(sleep(pause)).await.is_some() {
            let Some(renewed) = stopping.run_until_cancelled(self.pass()).await else { break };
            pause = match renewed {
                Ok(()) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!(node = self.generator.node(), "this instance has a lease again");
                    }
                    self.period()
                }
                Err(error) => {
                    self.disconnect();
                    if !std::mem::replace(&mut self.is_failing, true) {
                        tracing::warn!(
                            %error,
                            "the lease of this instance cannot be renewed; when it ends, writes are refused until the \
                             database answers"
                        );
                    }
                    self.period().min(self.settings.lasts / 15)
                }
            };
        }
        self.give_back().await;
    }

    fn period(&self) -> Duration {
        match self.store {
            Store::Sqlite(..) => PERIOD_SQLITE,
            Store::Postgres(..) => self.settings.lasts / 3,
        }
    }

    /// Drops a connection that failed: its next answer could belong to an earlier statement.
    fn disconnect(&mut self) {
        if let Store::Postgres(_, connection) = &mut self.store {
            *connection = None;
        }
    }

    async fn pass(&mut self) -> Result<()> {
        let now = self.clock.now();
        match &mut self.store {
            Store::Sqlite(pool, file) => {
                let (Some(lease), end) = self.generator.wanted(now, SPAN_MS_SQLITE) else { return Ok(()) };
                if self.generator.places_left(now) > SPAN_MS_SQLITE / 2 {
                    return Ok(());
                }
                file.look()?;
                let Some(end) = sqlite::renew(pool, lease, end).await? else {
                    // Taking it again would only take it from the process that has the file now.
                    self.generator.lose();
                    return Err(Error::internal("another process has taken this SQLite file"));
                };
                self.generator.extend(end, Validity::Endless);
                Ok(())
            }
            Store::Postgres(options, connection) => {
                let renewing = on_postgres(options, connection, &self.generator, self.settings, now);
                let database_now = timeout(attempt(self.settings.lasts), renewing)
                    .await
                    .map_err(|_| Error::from(sqlx::Error::PoolTimedOut))??;
                self.compare_clocks(database_now);
                Ok(())
            }
        }
    }

    /// Tells the clock of this instance the time of the database, by which it goes if it is wrong.
    fn compare_clocks(&mut self, database_now: Timestamp) {
        let ahead = self.clock.compare(database_now);
        let was_wrong = std::mem::replace(&mut self.is_clock_wrong, ahead.is_some());
        if let Some(ahead) = ahead
            && !was_wrong
        {
            tracing::error!(
                seconds_ahead = ahead / SECOND_MICROS,
                "the clock of this machine differs from the clock of the database. This instance goes by the clock of the \
                 database, and its retention removes nothing. Set the clocks with NTP"
            );
        } else if was_wrong && ahead.is_none() {
            tracing::info!("the clock of this machine agrees with the clock of the database again");
        }
    }

    /// Ends the lease, so that the next instance need not wait for its end.
    async fn give_back(mut self) {
        let (Some(lease), next) = self.generator.lose() else { return };
        let release = async {
            match &mut self.store {
                Store::Sqlite(pool, file) => {
                    file.look()?;
                    sqlite::release(pool, lease, next).await
                }
                Store::Postgres(options, connection) => {
                    postgres::release(connected(options, connection).await?, lease, next).await
                }
            }
        };
        if !matches!(timeout(RELEASE_TIMEOUT, release).await, Ok(Ok(()))) {
            tracing::info!(node = lease.node, "the node could not be given back; it is free when its lease has ended");
        }
    }
}

impl IdGenerator {
    fn replace(&self, lease: Lease, block: IdBlock, validity: Validity) {
        *self.state() = State { block, lease: Some(lease), validity };
    }

    fn extend(&self, end: IdPlace, validity: Validity) {
        let mut state = self.state();
        state.block.extend(end);
        state.validity = validity;
    }

    /// Makes no more ids. Returns the lease and the first place that was not used.
    fn lose(&self) -> (Option<Lease>, IdPlace) {
        let mut state = self.state();
        let is_held = !matches!(state.validity, Validity::Lost);
        state.validity = Validity::Lost;
        (state.lease.filter(|_| is_held), state.block.next())
    }

    /// The lease, and the end of the places to ask for: `span_ms` after the next place or the clock.
    fn wanted(&self, now: Timestamp, span_ms: i64) -> (Option<Lease>, IdPlace) {
        let state = self.state();
        (state.lease, state.block.next().max(IdPlace::at(now)).plus_ms(span_ms))
    }

    /// Milliseconds of places that are left after the next place or the clock.
    fn places_left(&self, now: Timestamp) -> i64 {
        let state = self.state();
        state.block.end().ms_since(state.block.next().max(IdPlace::at(now)))
    }
}

/// The most time for one renewal: several fit before the lease ends.
fn attempt(lease: Duration) -> Duration {
    lease / 5
}

/// The time for which a lease is relied on: a fifth less than the database grants, for statements that are under way.
fn relied_on(lease: Duration) -> Duration {
    lease * 4 / 5
}

async fn connected<'c>(
    options: &PgConnectOptions,
    connection: &'c mut Option<PgConnection>,
) -> sqlx::Result<&'c mut PgConnection> {
    let open = match connection.take() {
        Some(open) => open,
        None => PgConnection::connect_with(options).await?,
    };
    Ok(connection.insert(open))
}

fn taken(lease: Lease, end: IdPlace, span_ms: i64, validity: Validity, now: Option<Timestamp>) -> Result<Taken> {
    let node = u8::try_from(lease.node).map_err(Error::internal)?;
    Ok(Taken { lease, block: IdBlock::new(node, end.plus_ms(-span_ms), end), validity, now })
}

async fn on_sqlite(pool: &SqlitePool, settings: LeaseSettings, now: Timestamp) -> Result<Taken> {
    let span = IdPlace::from_stored(0).plus_ms(SPAN_MS_SQLITE).stored();
    let node = settings.node.unwrap_or(SAMPLE_NODE + 1);
    let (lease, end) = sqlite::take(pool, node, IdPlace::at(now), span).await?;
    taken(lease, end, SPAN_MS_SQLITE, Validity::Endless, None)
}

/// Takes a free node of the wanted ones, if there is one.
async fn take(connection: &mut PgConnection, settings: LeaseSettings, now: Timestamp) -> Result<Option<Taken>> {
    let span = IdPlace::from_stored(0).plus_ms(SPAN_MS).stored();
    // The sample data's node is nobody's by chance: seeding next to a running server must find it free.
    let nodes = settings.node.map_or((SAMPLE_NODE + 1, u8::MAX), |node| (node, node));
    let sent = Stopwatch::start();
    let found = postgres::take(connection, nodes, whole_micros(settings.lasts), IdPlace::at(now), span).await?;
    let validity = Validity::Until(sent, relied_on(settings.lasts));
    found.map(|(lease, end, now)| taken(lease, end, SPAN_MS, validity, Some(now))).transpose()
}

/// Renews the lease, or takes a node where another instance has taken this one's. Returns the time of the database.
async fn on_postgres(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    generator: &IdGenerator,
    settings: LeaseSettings,
    now: Timestamp,
) -> Result<Timestamp> {
    let connection = connected(options, connection).await?;
    let (lease, end) = generator.wanted(now, SPAN_MS);
    if let Some(lease) = lease {
        let sent = Stopwatch::start();
        let renewed = postgres::renew(connection, lease, whole_micros(settings.lasts), end).await?;
        if let Some((end, database_now)) = renewed {
            generator.extend(end, Validity::Until(sent, relied_on(settings.lasts)));
            return Ok(database_now);
        }
        generator.lose();
        tracing::error!(
            node = lease.node,
            "another instance has the node of this one, whose lease had ended; taking a free node"
        );
    }
    match take(connection, settings, now).await? {
        Some(Taken { lease, block, validity, now: database_now }) => {
            tracing::info!(node = lease.node, "this instance has a new lease");
            generator.replace(lease, block, validity);
            Ok(database_now.unwrap_or(now))
        }
        None => Err(held(settings.node)),
    }
}

/// Takes a node at the start. A wanted node whose holder shows no sign of life is waited for until its lease ends.
async fn wait_for_node(
    options: &PgConnectOptions,
    connection: &mut Option<PgConnection>,
    settings: LeaseSettings,
    clock: &Clock,
) -> Result<Taken> {
    let connection = timeout(settings.patience, connected(options, connection))
        .await
        .map_err(|_| Error::from(sqlx::Error::PoolTimedOut))??;
    let patience = settings.node.map_or(settings.patience, |_| settings.lasts + settings.patience);
    let waiting = Stopwatch::start();
    let mut first_look = None;
    loop {
        if let Some(taken) = take(connection, settings, clock.now()).await? {
            return Ok(taken);
        }
        if let Some(node) = settings.node {
            let holder = postgres::holder(connection, node).await?;
            let first = *first_look.get_or_insert_with(|| {
                tracing::info!(node, "the node is held; waiting until its holder renews its lease or the lease ends");
                holder
            });
            if first != holder {
                return Err(held(settings.node));
            }
        }
        if waiting.elapsed() > patience {
            return Err(held(settings.node));
        }
        sleep(RETRY).await;
    }
}

fn held(node: Option<u8>) -> Error {
    Error::input(
        "server.node",
        node.map_or_else(
            || "255 instances on this database hold every node: stop one first".to_owned(),
            |node| {
                format!(
                    "node {node} is held by another instance on this database: give each its own, or leave it unset and a \
                     free one is taken"
                )
            },
        ),
    )
}
