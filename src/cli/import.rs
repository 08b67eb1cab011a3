//! `perfgraph import`: imports metrics or the access log of a web server from a file or standard input, in parts.
//!
//! The idempotency key of a part is the digest of the file up to its end, so a second run finds the parts that the first one
//! stored. Partitions are created for days before the server's time window. A row older than the import's own limit ends the
//! import, because a part that the ledger records with refused rows could not be imported again.

mod content;
mod destination;
mod log;
mod progress;
mod rejects;
mod source;

use self::{
    destination::{
        Destination,
        database::{self, DatabaseDestination},
        server::{self, ServerDestination},
    },
    progress::Progress,
    rejects::Rejects,
    source::Text,
};
use super::{arguments::Import, client::DEFAULT_URL, failure::Failure, output, signals::Signals};
use crate::{
    app::Core,
    clock::Clock,
    config::{self, Config},
    db::{Instance, instance::require_file},
    error::Error,
    ingest::{
        self, FieldError,
        bulk::{Options, Summary},
        formats::{Format, ParsedRow, RecordReader},
    },
    jobs::partitions::PartitionDays,
    model::{
        Measurement, Timestamp,
        timestamp::{DAY_MICROS, epoch::PLAUSIBLE_FROM},
    },
};

/// Maximum age of rows without `--since`, in days: the default retention of hourly rollups.
const DAYS_BACK: i64 = config::Ingest::DAYS_BACK_MAX;

/// Number of refused rows shown at the end.
const SHOWN: usize = 10;

/// Number of rows that `--dry-run` shows as they would be stored.
const SAMPLES: usize = 3;

/// Imports the file, or only validates it.
pub async fn run(config: &Config, command: &Import) -> Result<(), Failure> {
    let name = command.project.clone().unwrap_or_default();
    // A server that is not there is known before the file is read. Rows are measured by its clock.
    let server = match &command.url {
        Some(address) if !command.dry_run => Some((address, server::find(address, &name).await?)),
        _ => None,
    };
    let served_at = server.as_ref().and_then(|(_, (_, _, date))| *date);
    let now = served_at.unwrap_or_else(|| Clock::system().now());
    let since = command.since;
    let from = since.unwrap_or_else(|| now.plus_micros(-DAYS_BACK * DAY_MICROS));
    let settings = config.ingest.reaching_back(from, now);
    let part_rows = config.ingest.part_rows;
    let mut text = Text::open(&command.file).await?;
    let format = text.format(command).await?;
    if let Format::AccessLog(log) = &format {
        output::say(&log.description());
    }
    let progress = Progress::new(&text);
    let rejects = Rejects::create(command.rejects.as_deref(), &format)?;
    let records = RecordReader::new(text.into_bytes(), format, u64::MAX).with_digest();
    let run = ImportRun {
        records,
        rejects,
        progress,
        oldest: since.is_none().then_some(from),
        is_sent: command.url.is_some(),
        index: 0,
    };
    if command.dry_run {
        return run.validate(&settings, now).await;
    }
    if let Some((address, (client, project, _))) = server {
        let destination = ServerDestination::new(client, address.clone(), project, part_rows, from);
        return run.store(destination, part_rows).await;
    }
    require_file(&config.database)?;
    let instance = Instance::claim(&config.database, config.server.node).map_err(|fault| match fault {
        Error::Unavailable { message, .. } => Failure::Unavailable(format!(
            "{message}. Or send the rows to the server that works on it: --url {DEFAULT_URL}"
        )),
        other => other.into(),
    })?;
    let core = Core::open_with(config, Clock::system(), instance, &settings).await?;
    let imported = async {
        let scope = database::scope();
        let project = database::find(&core, &scope, &name).await?;
        let days = PartitionDays::within(from, settings.time_window_future_minutes);
        run.store(DatabaseDestination::new(&core, &scope, (&name, project), part_rows, days), part_rows).await
    };
    let imported = imported.await;
    core.close().await;
    imported
}

/// An import in progress.
struct ImportRun {
    records: RecordReader<source::Bytes>,
    rejects: Rejects,
    progress: Progress,
    /// The oldest time allowed. An older row ends the import.
    oldest: Option<Timestamp>,
    /// The rows go to a running server.
    is_sent: bool,
    index: u64,
}

impl ImportRun {
    /// Stores all rows.
    async fn store(mut self, mut destination: impl Destination, part_rows: usize) -> Result<(), Failure> {
        let mut signals = Signals::listen()?;
        loop {
            let record = tokio::select! {
                biased;
                _ = signals.stop() => return Err(self.interrupted(destination.summary())),
                record = self.records.next() => record.map_err(|broken| self.broken(&broken.to_string()))?,
            };
            let is_over = record.is_none();
            if let Some(record) = record {
                self.row(record, &mut destination).await?;
            }
            if is_over || destination.is_full() || self.rejects.is_full(part_rows) {
                let stored = tokio::select! {
                    stored = self.part(&mut destination) => Some(stored),
                    _ = signals.stop() => None,
                };
                match stored {
                    Some(stored) => stored?,
                    None => return Err(self.interrupted(destination.summary())),
                }
            }
            if is_over {
                return self.end(destination.summary(), "imported");
            }
        }
    }

    async fn row(
        &mut self,
        record: Result<ParsedRow, FieldError>,
        destination: &mut impl Destination,
    ) -> Result<(), Failure> {
        self.rejects.hold(self.records.raw());
        match record {
            Ok(ParsedRow { project: named, candidate }) => {
                self.check_age(candidate.timestamp)?;
                if named.is_none_or(|named| destination.is_project(&named)) {
                    destination.row(self.index, candidate).await?;
                } else {
                    destination.reject(self.index, elsewhere());
                }
            }
            Err(unreadable) => destination.reject(self.index, unreadable),
        }
        self.index += 1;
        Ok(())
    }

    async fn part(&mut self, destination: &mut impl Destination) -> Result<(), Failure> {
        let digest = self.records.digest().ok_or_else(|| Failure::internal("the text was read without a digest"))?;
        let refused = match destination.store(&digest).await {
            Ok(refused) => refused,
            Err(Failure::Unavailable(why)) => {
                self.progress.clear();
                let stored = destination.summary().accepted;
                return Err(Failure::Unavailable(format!(
                    "{why}; {stored} metrics are imported. Run the same command again to continue"
                )));
            }
            Err(other) => return Err(other),
        };
        self.rejects.write(self.records.header(), refused)?;
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
                    summary.reject(self.index, unreadable, Options::ERRORS_MAX);
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
        if self.is_sent {
            return Err(Failure::Data(format!(
                "row {} is of {timestamp}: a running server takes rows of the last {DAYS_BACK} days. Import earlier ones \
                 while it is stopped, without --url and with --since {}",
                self.index + 1,
                timestamp.floor(DAY_MICROS),
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

/// The error of a row that names another project.
fn elsewhere() -> FieldError {
    FieldError::new("projectId", "names another project than --project; remove it, or import the row into that project")
}
