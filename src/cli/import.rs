//! `perfgraph import`: imports metrics or the access log of a web server from a file or standard input, in parts.
//!
//! The idempotency key of a part is the digest of the file up to its end, so a second run finds the parts that the first one
//! stored. Partitions are created for days before the server's time window. A row older than the import's own limit ends the
//! import, because a part that the ledger records with refused rows could not be imported again.

mod content;
mod log;
mod progress;
mod rejects;
mod source;

use std::collections::BTreeSet;

use self::{progress::Progress, rejects::Rejects, source::Text};
use super::{arguments::Import, failure::Failure, output, signals::Signals};
use crate::{
    app::Core,
    auth,
    clock::Clock,
    config::{self, Config},
    db::Instance,
    error::Error,
    graphql::node::NodeId,
    ingest::{
        self, FieldError, Mode,
        bulk::{Bulk, Options, RejectedIndexes, Summary},
        formats::{Format, ParsedRow, RecordReader},
    },
    jobs::partitions,
    model::{
        Key, Measurement, ProjectId, TimeRange, Timestamp,
        slug::NoProjectSlug,
        timestamp::{DAY_MICROS, HOUR_MICROS, MINUTE_MICROS, epoch::PLAUSIBLE_FROM},
    },
};

/// The source recorded in the ledger.
const SOURCE: &str = "import";

/// Maximum age of rows without `--since`, in days: the default retention of hourly rollups.
const DAYS_BACK: i64 = 400;

/// Number of refused rows shown at the end.
const SHOWN: usize = 10;

/// Number of rows that `--dry-run` shows as they would be stored.
const SAMPLES: usize = 3;

/// Imports the file, or only validates it.
pub async fn run(config: &Config, command: &Import) -> Result<(), Failure> {
    let now = Clock::system().now();
    let since = command.since;
    let from = since.unwrap_or_else(|| now.plus_micros(-DAYS_BACK * DAY_MICROS));
    let settings = settings(config, now, from);
    let days = PartitionDays::within(from, settings.time_window_future_minutes);
    let mut text = Text::open(&command.file).await?;
    let format = text.format(command).await?;
    if let Format::AccessLog(log) = &format {
        output::say(&log.description());
    }
    let progress = Progress::new(&text);
    let rejects = Rejects::create(command.rejects.as_deref(), &format)?;
    let records = RecordReader::new(text.into_bytes(), format, u64::MAX).with_digest();
    let name = command.project.clone().unwrap_or_default();
    let oldest = since.is_none().then_some(from);
    let run = ImportRun { records, rejects, progress, oldest, project: name.clone(), index: 0 };
    if command.dry_run {
        return run.validate(&settings, now).await;
    }
    let instance = Instance::claim(&config.database, config.server.node)?;
    let core = Core::open_with(config, Clock::system(), instance, &settings).await?;
    let imported = async { run.store(&core, find(&core, &name).await?, config.ingest.part_rows, days).await }.await;
    core.close().await;
    imported
}

/// The settings of the write path, with a time window that begins at `from`.
fn settings(config: &Config, now: Timestamp, from: Timestamp) -> config::Ingest {
    // A day more, because the clock goes on while rows are read.
    let hours = (now.as_micros() - from.as_micros()).max(0) / HOUR_MICROS + 1 + 24;
    let hours = u32::try_from(hours).unwrap_or(u32::MAX).max(config.ingest.time_window_past_hours);
    config::Ingest { time_window_past_hours: hours, ..config.ingest.clone() }
}

/// Finds a project by its node id or its slugs (`organization/project`).
async fn find(core: &Core, name: &str) -> Result<Key<ProjectId>, Failure> {
    if let Some(known) = NodeId::project(&name.into()) {
        return Ok(known);
    }
    let slug = name.parse().map_err(|error: NoProjectSlug| Failure::Data(format!("--project: {error}")))?;
    core.ingest.find(&auth::server_scope(), &slug, None).await.map_err(as_data)
}

/// An import in progress.
struct ImportRun {
    records: RecordReader<source::Bytes>,
    rejects: Rejects,
    progress: Progress,
    /// The oldest time allowed. An older row ends the import.
    oldest: Option<Timestamp>,
    /// The name of the project on the command line.
    project: String,
    index: u64,
}

impl ImportRun {
    /// Stores all rows.
    async fn store(
        mut self,
        core: &Core,
        project: Key<ProjectId>,
        part_rows: usize,
        mut days: PartitionDays,
    ) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        let scope = auth::server_scope();
        core.ingest.admit(&scope, project).await.map_err(as_data)?;
        let options = Options { source: SOURCE, mode: Mode::Partial, part_rows, rejected: RejectedIndexes::Kept };
        let mut bulk = Bulk::new(&scope, &core.ingest, options);
        loop {
            let record = tokio::select! {
                biased;
                _ = signals.stop() => return Err(self.interrupted(bulk.summary())),
                record = self.records.next() => record.map_err(|broken| self.broken(&broken.to_string()))?,
            };
            let Some(record) = record else { break };
            self.rejects.hold(self.records.raw());
            match record {
                Ok(ParsedRow { project: named, candidate }) => {
                    self.check_age(candidate.timestamp)?;
                    if named
                        .is_none_or(|named| named == self.project || NodeId::project(&named.into()) == Some(project))
                    {
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
        days: &mut PartitionDays,
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

    /// Validates all rows without a database.
    async fn validate(mut self, settings: &config::Ingest, now: Timestamp) -> Result<(), Failure> {
        let mut summary = Summary::default();
        let mut samples = Vec::new();
        while let Some(record) = self.records.next().await.map_err(|broken| self.broken(&broken.to_string()))? {
            self.rejects.hold(self.records.raw());
            let refusal = match record {
                Ok(ParsedRow { candidate, .. }) => {
                    self.check_age(candidate.timestamp)?;
                    match ingest::preview(candidate, now, settings) {
                        Ok(measurement) => {
                            if samples.len() < SAMPLES {
                                samples.push(format!("  row {}: {}", self.index + 1, shown(&measurement)));
                            }
                            None
                        }
                        Err(refusal) => Some(refusal),
                    }
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
        self.progress.clear();
        for sample in samples {
            output::say(&sample);
        }
        self.end(&summary, "could be imported")
    }

    fn check_age(&self, timestamp: Option<Timestamp>) -> Result<(), Failure> {
        let (Some(oldest), Some(timestamp)) = (self.oldest, timestamp) else { return Ok(()) };
        if timestamp >= oldest {
            return Ok(());
        }
        // To take such rows would store them in 1970, so the message does not say that --since does.
        if timestamp < PLAUSIBLE_FROM {
            return Err(Failure::Data(format!(
                "row {} is of {timestamp}: correct its time, which is text such as 2026-01-31T12:00:00Z or milliseconds \
                 since 1970",
                self.index + 1
            )));
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
            "interrupted; {stored} metrics are imported. Run the same command again to continue; no metric is stored twice"
        ))
    }

    /// Prints the result. Refused rows are a failure, so that scripts notice them.
    fn end(mut self, summary: &Summary, verb: &str) -> Result<(), Failure> {
        self.rejects.finish()?;
        self.progress.clear();
        let Summary { accepted, repeated, rejected, errors, .. } = summary;
        let before = if *repeated > 0 { format!(", {repeated} of them by an earlier run") } else { String::new() };
        let rate = self.progress.rate(self.index);
        output::say(&format!("{accepted} metrics {verb}{before}, {rejected} refused, {rate}"));
        for error in errors.iter().take(SHOWN) {
            output::say(&format!("  row {}: {}", error.index + 1, error.error));
        }
        match rejected {
            0 if self.index == 0 => Err(Failure::Data("the file contains no rows".to_owned())),
            0 => Ok(()),
            _ => Err(Failure::Data(format!("{rejected} rows were refused{}", self.rejects.words()))),
        }
    }
}

/// A measurement as one line, with the unit of its type.
fn shown(measurement: &Measurement) -> String {
    let Measurement { kind, value, endpoint, status, timestamp, .. } = measurement;
    let status = if *status == 0 { String::new() } else { format!(", status {status}") };
    format!("{} {endpoint}{status}, {timestamp}, {value} {}", kind.name(), kind.unit()).trim_end().to_owned()
}

/// Converts a fault of the write path. Conflicts and missing objects are errors of the data.
fn as_data(fault: Error) -> Failure {
    match fault {
        Error::Conflict(_) => Failure::Data(format!(
            "{fault}: was the same file imported before with another format or time unit? Its rows are stored already"
        )),
        Error::NotFound { .. } => Failure::Data(fault.to_string()),
        other => other.into(),
    }
}

/// The error of a row that names another project.
fn elsewhere() -> FieldError {
    FieldError::new("projectId", "names another project than --project; remove it, or import the row into that project")
}

/// The days of the imported rows, for which partitions are needed.
struct PartitionDays {
    first: Timestamp,
    future_minutes: u32,
    noted: BTreeSet<Timestamp>,
    made: BTreeSet<Timestamp>,
}

impl PartitionDays {
    const fn within(from: Timestamp, future_minutes: u32) -> Self {
        Self { first: from.plus_micros(-DAY_MICROS), future_minutes, noted: BTreeSet::new(), made: BTreeSet::new() }
    }

    fn note(&mut self, timestamp: Option<Timestamp>) {
        let day = timestamp.map(|timestamp| timestamp.floor(DAY_MICROS));
        self.noted.extend(day.filter(|day| !self.made.contains(day)));
    }

    /// Creates the partitions of new days.
    async fn make(&mut self, core: &Core) -> Result<(), Failure> {
        let ahead = i64::from(self.future_minutes) * MINUTE_MICROS;
        let (first, last) = (self.first.floor(DAY_MICROS), core.clock.now().plus_micros(ahead));
        let noted = std::mem::take(&mut self.noted);
        // Rows outside of this range are refused; creating partitions for corrupt dates would leave them behind.
        for day in noted.into_iter().filter(|day| (first..=last).contains(day)) {
            if let Ok(range) = TimeRange::new(day, day.plus_micros(DAY_MICROS)) {
                partitions::ensure_range(&core.database, range).await?;
            }
            self.made.insert(day);
        }
        Ok(())
    }
}
