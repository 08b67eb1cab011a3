//! Demo traffic: measurements for the projects of the sample data, about three per second, so that live views move.
//!
//! The measurements of a second follow from the second and the project alone, and are submitted under a key of both. So they
//! are stored once, however many instances send them, and also if a process is killed and started again.

use futures_util::future::join_all;
use rand::{SeedableRng, rngs::StdRng};

use crate::{
    clock::Clock,
    db::{Database, Session, StatementLog, instance::SAMPLE_NODE},
    directory::{OrganizationFields, ProjectFields, ProjectStatus, organization, project},
    error::{Error, Result},
    ingest::{Candidate, Ingest, Mode, Submission},
    model::{Key, ProjectId, Scope, Timestamp, id, timestamp::SECOND_MICROS},
    sample::{ProjectSeries, Sample, Series, Timeline, all_series},
};

/// Measurements of all projects together in an average minute.
const PER_MINUTE: f64 = 180.0;

/// A project gets measurements of one second in this many. Every submission leaves a row in the ledger, so few with several
/// measurements take less space than many with one.
const TURNS: u8 = 15;

/// Number of seconds that are sent late, after a pause of the process. Earlier ones are left out.
const LATE_SECONDS_MAX: i64 = 5;

/// The source recorded in the ledger.
const SOURCE: &str = "demo";

/// Sends demo traffic to the sample projects of a database.
#[derive(Debug)]
pub struct DemoTraffic {
    scope: Scope,
    database: Database,
    ingest: Ingest,
    clock: Clock,
    projects: Vec<SampleProject>,
    /// The last second that was sent, since 1970.
    sent: i64,
}

/// A project of the sample data.
#[derive(Debug)]
struct SampleProject {
    key: Key<ProjectId>,
    turn: i64,
    series: Vec<Series>,
}

impl DemoTraffic {
    /// Finds the sample projects. Returns `None` if the database has none.
    ///
    /// # Errors
    /// The database fails.
    pub async fn begin(scope: Scope, database: Database, ingest: Ingest, clock: Clock) -> Result<Option<Self>> {
        let projects = sample_projects(&scope, &database.reader(StatementLog::default())).await?;
        let sent = complete_second(&clock) - 1;
        Ok((!projects.is_empty()).then_some(Self { scope, database, ingest, clock, projects, sent }))
    }

    /// Sends the measurements of the seconds since the last call. Sends nothing any more once the sample projects are deleted
    /// or archived.
    ///
    /// # Errors
    /// The write path fails for another reason than being busy.
    pub async fn pass(&mut self) -> Result<()> {
        let last = complete_second(&self.clock);
        // A clock that was set back.
        self.sent = self.sent.min(last);
        for second in (self.sent + 1).max(last + 1 - LATE_SECONDS_MAX)..=last {
            self.send(second).await?;
            self.sent = second;
        }
        Ok(())
    }

    async fn send(&mut self, second: i64) -> Result<()> {
        let due = self.projects.iter().filter(|project| project.turn == second.rem_euclid(i64::from(TURNS)));
        let sent = join_all(due.map(|project| self.submit(project, second))).await;
        for outcome in sent {
            match outcome {
                // Busy or without a database, which others report.
                Ok(()) | Err(Error::Unavailable { .. }) => {}
                // Deleted or archived, or sent by an instance of another version.
                Err(Error::NotFound { .. } | Error::Conflict(_)) => return self.find_again().await,
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    async fn find_again(&mut self) -> Result<()> {
        let db = self.database.reader(StatementLog::default());
        self.projects = sample_projects(&self.scope, &db).await?;
        if self.projects.is_empty() {
            tracing::info!("demo traffic ends: the sample projects were deleted or archived");
        }
        Ok(())
    }

    async fn submit(&self, project: &SampleProject, second: i64) -> Result<()> {
        let candidates = project.measured(second);
        if candidates.is_empty() {
            return Ok(());
        }
        let submission = Submission {
            project: project.key,
            candidates,
            idempotency_key: Some(format!("demo {second}")),
            source: SOURCE.to_owned(),
            mode: Mode::Partial,
        };
        self.ingest.submit(&self.scope, submission, &StatementLog::default()).await.map(drop)
    }
}

impl SampleProject {
    /// The measurements of a second.
    fn measured(&self, second: i64) -> Vec<Candidate> {
        let mut random = StdRng::seed_from_u64((second ^ self.key.id.0).cast_unsigned());
        let from = Timestamp::from_micros(second * SECOND_MICROS);
        let mut measured = Vec::new();
        for series in &self.series {
            // A copy, because a series remembers what it has drawn, and this instance may have drawn other seconds.
            series.clone().measure(from, from.plus_micros(SECOND_MICROS), &mut random, &mut measured);
        }
        measured.sort_by_key(|measurement| measurement.timestamp);
        measured.into_iter().map(Candidate::from).collect()
    }
}

/// The last second that is over.
fn complete_second(clock: &Clock) -> i64 {
    clock.now().as_micros().div_euclid(SECOND_MICROS) - 1
}

/// The projects in this database that the sample data created and that take measurements. An organization of somebody else
/// may have the slug of one of the sample data; its id is of another node.
async fn sample_projects(scope: &Scope, db: &Session) -> Result<Vec<SampleProject>> {
    let sample = Sample::bundled()?;
    let slugs: Vec<_> = sample.organizations.iter().map(|organization| organization.slug.clone()).collect();
    let organizations = organization::by_slugs(scope, db, &slugs, OrganizationFields::empty()).await?;
    let mut projects = Vec::new();
    for (turn, described) in turns().zip(described(&sample)?) {
        let organization = organizations.get(&described.organization).map(|organization| organization.key);
        let Some(organization) = organization.filter(|key| id::node(key.0) == SAMPLE_NODE) else { continue };
        let found = project::by_slug(scope, db, organization, &described.project, ProjectFields::STATUS).await?;
        let Some(project) = found.filter(|project| id::node(project.key.id.0) == SAMPLE_NODE) else { continue };
        if project.status()? != ProjectStatus::Archived {
            projects.push(SampleProject { key: project.key, turn, series: described.series });
        }
    }
    Ok(projects)
}

/// All projects of the description, in its latest releases, with the rate in the seconds of their turns.
fn described(sample: &Sample) -> Result<Vec<ProjectSeries>> {
    let deployed = Timeline::over(Timestamp::from_micros(0));
    all_series(sample, deployed, PER_MINUTE * f64::from(TURNS))
}

fn turns() -> impl Iterator<Item = i64> {
    (0..i64::from(TURNS)).cycle()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::OrganizationId;

    fn projects() -> Vec<SampleProject> {
        let series = described(&Sample::bundled().unwrap()).unwrap();
        let project = |(number, (turn, described)): (i64, (i64, ProjectSeries))| SampleProject {
            key: Key::new(OrganizationId(1), ProjectId(number)),
            turn,
            series: described.series,
        };
        (1..).zip(turns().zip(series)).map(project).collect()
    }

    #[test]
    #[expect(clippy::cast_precision_loss, reason = "counts of a day")]
    fn a_day_has_about_three_measurements_per_second() {
        let (projects, mut sent, mut submissions) = (projects(), 0, 0);
        // Every seventh second: all turns, and all times of day.
        let seconds = (0..86_400_u32).step_by(7);
        let count = seconds.len() as f64;
        for second in seconds.map(i64::from) {
            for project in projects.iter().filter(|project| project.turn == second % i64::from(TURNS)) {
                let measured = project.measured(second).len();
                sent += measured;
                submissions += usize::from(measured > 0);
            }
        }
        let (rate, submissions) = (sent as f64 / count, submissions as f64 / count);
        assert!((2.8..3.2).contains(&rate), "{rate} measurements per second");
        assert!(submissions < 2.0, "{submissions} rows of the ledger per second");
    }

    #[test]
    fn a_second_of_a_project_is_always_the_same_and_another_one_is_not() {
        let project = projects().swap_remove(0);
        let busy = (0..).find(|second| project.measured(*second).len() > 1).unwrap();
        let first = project.measured(busy);
        assert_eq!(project.measured(busy), first);
        assert_ne!(project.measured(busy + 1), first);
        for candidate in &first {
            let at = candidate.timestamp.unwrap().as_micros();
            assert_eq!(at.div_euclid(SECOND_MICROS), busy, "within its second");
            assert!(candidate.release.as_ref().is_some_and(|release| !release.is_empty()), "{candidate:?}");
        }
    }
}
