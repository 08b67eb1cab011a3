//! `perfgraph import`: a file (or standard input) of metrics or a web server's log into a project, a part at a time.
//!
//! A part is stored under what the file held up to its end, so a second run finds what the first one stored. Days that
//! are older than the server's window get the partitions they need; a row older than the import's own bound ends it, for
//! what the ledger remembers as refused could not be imported later.

mod progress;
mod rejects;
mod source;

use std::{collections::BTreeSet, path::Path};

use tokio::signal::unix::{SignalKind, signal};

use self::{progress::Progress, rejects::Rejects, source::Text};
use super::{
    arguments::{Import, ImportFormat},
    failure::Failure,
};
use crate::{
    app::Core,
    auth,
    clock::Clock,
    config::{self, Config},
    db::{Instance, StatementLog},
    directory::{OrganizationFields, ProjectFields, organization, project},
    error::Error,
    graphql::node::NodeId,
    ingest::{
        self, FieldError, Mode,
        bulk::{Bulk, Options, RejectedIndexes, Summary},
        formats::{ParsedRow, RecordReader},
    },
    jobs::partitions,
    model::{
        Key, ProjectId, TimeRange, Timestamp,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS},
    },
};

/// The door that the ledger names.
const SOURCE: &str = "import";

/// How far back rows may be where nothing else is said: as long as hours are worth keeping.
const DAYS_BACK: i64 = 400;

/// Refused rows that are shown at the end.
const SHOWN: usize = 10;

/// Imports, or looks at what would be imported.
pub async fn run(config: &Config, command: &Import) -> Result<(), Failure> {
    let now = Clock::system().now();
    let since = command.since.map(|since| Timestamp::from_micros(since.as_microsecond()));
    let from = since.unwrap_or_else(|| now.plus_micros(-DAYS_BACK * DAY_MICROS));
    let settings = settings(config, now, from);
    let days = Days::within(from, settings.time_window_future_minutes);
    let mut text = Text::open(&command.file).await?;
    let format = text.format(command.format, command.time_unit).await?;
    let progress = Progress::new(&text);
    let records = RecordReader::new(text.into_bytes(), format, u64::MAX).with_digest();
    let rejects = Rejects::create(command.rejects.as_deref(), format)?;
    let reading = Reading { records, rejects, progress, oldest: since.is_none().then_some(from), index: 0 };
    if command.dry_run {
        return reading.look(&settings, now).await;
    }
    let name = command.project.as_deref().unwrap_or_default();
    let instance = Instance::claim(&config.database, config.server.node).await?;
    let core = Core::open_with(config, Clock::system(), instance, &settings).await?;
    let imported = async { reading.store(&core, find(&core, name).await?, config.ingest.part_rows, days).await }.await;
    core.close().await;
    imported
}

/// What is taken in, with a window that reaches back to `from`.
fn settings(config: &Config, now: Timestamp, from: Timestamp) -> config::Ingest {
    // A day more, because the clock goes on while rows are read.
    let hours = (now.as_micros() - from.as_micros()).max(0) / HOUR_MICROS + 1 + 24;
    let hours = u32::try_from(hours).unwrap_or(u32::MAX).max(config.ingest.time_window_past_hours);
    config::Ingest { time_window_past_hours: hours, ..config.ingest.clone() }
}

/// The project with this node id, or with these slugs: `organization/project`.
async fn find(core: &Core, name: &str) -> Result<Key<ProjectId>, Failure> {
    let absent =
        || Failure::Data(format!("there is no project `{name}`; name one as ORGANIZATION/PROJECT, by their slugs"));
    if let Some(known) = NodeId::project(&name.into()) {
        return Ok(known);
    }
    let (scope, db) = (auth::server_scope(), core.database.reader(StatementLog::default()));
    let (organization, project) = name.split_once('/').ok_or_else(absent)?;
    let slugs = [organization.to_owned()];
    let found = organization::by_slugs(&scope, &db, &slugs, OrganizationFields::empty()).await?;
    let organization = found.values().next().ok_or_else(absent)?.key;
    let project = project::by_slug(&scope, &db, organization, project, ProjectFields::empty()).await?;
    Ok(project.ok_or_else(absent)?.key)
}

/// An import under way.
struct Reading {
    records: RecordReader<source::Bytes>,
    rejects: Rejects,
    progress: Progress,
    /// A row before it ends the import.
    oldest: Option<Timestamp>,
    index: u64,
}

impl Reading {
    /// Stores everything.
    async fn store(
        mut self,
        core: &Core,
        project: Key<ProjectId>,
        part_rows: usize,
        mut days: Days,
    ) -> Result<(), Failure> {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(Failure::internal)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(Failure::internal)?;
        let scope = auth::server_scope();
        core.ingest.admit(&scope, project).await.map_err(as_data)?;
        let options = Options { source: SOURCE, mode: Mode::Partial, part_rows, rejected: RejectedIndexes::Kept };
        let mut bulk = Bulk::new(&scope, &core.ingest, options);
        loop {
            let record = tokio::select! {
                biased;
                _ = interrupt.recv() => return Err(self.interrupted(bulk.summary())),
                _ = terminate.recv() => return Err(self.interrupted(bulk.summary())),
                record = self.records.next() => record.map_err(|broken| self.broken(&broken.to_string()))?,
            };
            let Some(record) = record else { break };
            self.rejects.hold(self.records.raw());
            match record {
                Ok(ParsedRow { project: named, candidate }) => {
                    self.check_age(candidate.timestamp)?;
                    if named.is_none_or(|id| NodeId::project(&id.into()) == Some(project)) {
                        days.note(candidate.timestamp);
                        bulk.row(self.index, Some(project), candidate).await?;
                    } else {
                        bulk.reject(self.index, elsewhere());
                    }
                }
                Err(unreadable) => bulk.reject(self.index, unreadable),
            }
            self.index += 1;
            if bulk.is_full() || self.rejects.is_full(part_rows) {
                self.part(&mut bulk, &mut days, core, project).await?;
            }
        }
        self.part(&mut bulk, &mut days, core, project).await?;
        self.end(bulk.summary(), "imported")
    }

    async fn part(
        &mut self,
        bulk: &mut Bulk<'_>,
        days: &mut Days,
        core: &Core,
        project: Key<ProjectId>,
    ) -> Result<(), Failure> {
        days.make(core).await?;
        let digest = self.records.digest().ok_or_else(|| Failure::internal("the text was read without a digest"))?;
        bulk.store(Some(&format!("{} {digest}", project.id.0))).await.map_err(as_data)?;
        self.rejects.write(self.records.header(), bulk.take_rejected())?;
        self.progress.show(self.index);
        Ok(())
    }

    /// Reads and checks everything without a database.
    async fn look(mut self, settings: &config::Ingest, now: Timestamp) -> Result<(), Failure> {
        let mut summary = Summary::default();
        while let Some(record) = self.records.next().await.map_err(|broken| self.broken(&broken.to_string()))? {
            self.rejects.hold(self.records.raw());
            let refusal = match record {
                Ok(ParsedRow { candidate, .. }) => {
                    self.check_age(candidate.timestamp)?;
                    ingest::review(vec![candidate], now, settings).pop().map(|rejection| rejection.error)
                }
                Err(unreadable) => Some(unreadable),
            };
            match refusal {
                None => summary.accepted += 1,
                Some(unreadable) => {
                    summary.reject(self.index, unreadable);
                    self.rejects.write(self.records.header(), vec![self.index])?;
                }
            }
            self.rejects.forget();
            self.index += 1;
            if self.index.is_multiple_of(10_000) {
                self.progress.show(self.index);
            }
        }
        self.end(&summary, "could be imported")
    }

    fn check_age(&self, timestamp: Option<Timestamp>) -> Result<(), Failure> {
        let (Some(oldest), Some(timestamp)) = (self.oldest, timestamp) else { return Ok(()) };
        if timestamp >= oldest {
            return Ok(());
        }
        Err(Failure::Data(format!(
            "row {} is of {timestamp}, before {oldest}: say with --since from when on rows are taken, such as --since {}; \
             rows before it are then refused one by one",
            self.index + 1,
            timestamp.floor(DAY_MICROS),
        )))
    }

    fn broken(&self, words: &str) -> Failure {
        self.progress.clear();
        Failure::Data(format!("the text {words}, behind row {}", self.index))
    }

    fn interrupted(&self, summary: &Summary) -> Failure {
        self.progress.clear();
        let stored = summary.accepted;
        Failure::Interrupted(format!(
            "interrupted; {stored} metrics are imported. The same command goes on from there and stores none twice"
        ))
    }

    /// Says what became of all rows. Refused ones make a bad end, so that scripts notice.
    #[expect(clippy::print_stderr, reason = "the result is for the person at the terminal")]
    fn end(mut self, summary: &Summary, verb: &str) -> Result<(), Failure> {
        self.rejects.finish()?;
        self.progress.clear();
        let Summary { accepted, repeated, rejected, errors, .. } = summary;
        let before = if *repeated > 0 { format!(", {repeated} of them by an earlier run") } else { String::new() };
        eprintln!("{accepted} metrics {verb}{before}, {rejected} refused, {}", self.progress.rate(self.index));
        for error in errors.iter().take(SHOWN) {
            eprintln!("  row {}: {}", error.index + 1, error.error);
        }
        match rejected {
            0 if self.index == 0 => Err(Failure::Data("there is not a single row".to_owned())),
            0 => Ok(()),
            _ => Err(Failure::Data(format!("{rejected} rows were refused{}", self.rejects.words()))),
        }
    }
}

/// What the write path refuses is the data's fault here, unless the database is away.
fn as_data(fault: Error) -> Failure {
    match fault {
        Error::Conflict(_) => Failure::Data(format!(
            "{fault}: if the same file was imported before with another format or time unit, what it stored then is there"
        )),
        Error::NotFound { .. } => Failure::Data(fault.to_string()),
        other => other.into(),
    }
}

/// A row that would be counted where it does not belong.
fn elsewhere() -> FieldError {
    FieldError::new("projectId", "names another project than --project does; leave it out, or import it into its own")
}

/// The days that rows fall into, and for which there are partitions.
struct Days {
    first: Timestamp,
    future_minutes: u32,
    noted: BTreeSet<Timestamp>,
    made: BTreeSet<Timestamp>,
}

impl Days {
    const fn within(from: Timestamp, future_minutes: u32) -> Self {
        Self { first: from.plus_micros(-DAY_MICROS), future_minutes, noted: BTreeSet::new(), made: BTreeSet::new() }
    }

    fn note(&mut self, timestamp: Option<Timestamp>) {
        let day = timestamp.map(|timestamp| timestamp.floor(DAY_MICROS));
        self.noted.extend(day.filter(|day| !self.made.contains(day)));
    }

    /// Makes the partitions of days that are new.
    async fn make(&mut self, core: &Core) -> Result<(), Failure> {
        let ahead = i64::from(self.future_minutes) * MINUTE_MICROS;
        let (first, last) = (self.first.floor(DAY_MICROS), core.clock.now().plus_micros(ahead));
        let noted = std::mem::take(&mut self.noted);
        // Rows of other days are refused one by one: a garbled date would leave a partition behind for ever.
        for day in noted.into_iter().filter(|day| (first..=last).contains(day)) {
            if let Ok(range) = TimeRange::new(day, day.plus_micros(DAY_MICROS)) {
                partitions::ensure_range(&core.database, range).await?;
            }
            self.made.insert(day);
        }
        Ok(())
    }
}

/// The formats of the command line, by the names of files.
pub fn by_name(file: &Path) -> Option<ImportFormat> {
    let name = file.file_name()?.to_str()?.to_ascii_lowercase();
    let name = name.strip_suffix(".gz").or_else(|| name.strip_suffix(".zst")).unwrap_or(&name);
    match name.rsplit_once('.')?.1 {
        "ndjson" | "jsonl" => Some(ImportFormat::Ndjson),
        "json" => Some(ImportFormat::Json),
        "csv" => Some(ImportFormat::Csv),
        "log" => Some(ImportFormat::AccessLog),
        _ => None,
    }
}
