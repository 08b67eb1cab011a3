//! The server measures itself: every request it serves becomes a metric of its own project, through the same write path
//! as everybody's, so that the first look at a fresh server shows real numbers.

use std::{
    collections::HashSet,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::{
    clock::Clock,
    db::{Session, StatementLog},
    directory::{OrganizationFields, ProjectFields, ProjectStatus, organization, project},
    error::{Error, Result},
    ingest::{Candidate, Ingest, Mode, Submission},
    model::{IdGenerator, Key, MetricType, OrganizationId, ProjectId, Scope, Timestamp},
};

/// The project of that organization has the same slug.
const SLUG: &str = organization::OWN_SLUG;

/// Requests that wait to be written; beyond that they are counted and dropped rather than slow anybody down.
const QUEUE_MAX: usize = 10_000;

/// Rows of one submission: small enough for any sensible limit of rows in a call.
const SUBMISSION_ROWS: usize = 500;

/// Bytes of a name; names of operations can be as long as a document.
const ENDPOINT_BYTES_MAX: usize = 200;

/// Names of operations are made up by clients: after so many different ones the rest shares a name.
const ENDPOINTS_MAX: usize = 200;
const OTHER_ENDPOINTS: &str = "other operations";

/// One served request.
struct Served {
    endpoint: String,
    status: u16,
    elapsed_ms: f64,
    at: Timestamp,
}

/// Takes served requests from the protocol layer. Cloning is cheap; recording never waits.
#[derive(Clone)]
pub struct Recorder {
    queue: Option<mpsc::Sender<Served>>,
    dropped: Arc<AtomicU64>,
    clock: Clock,
}

impl Recorder {
    /// A recorder that forgets everything, for servers that do not monitor themselves.
    pub fn disabled(clock: Clock) -> Self {
        Self { queue: None, dropped: Arc::default(), clock }
    }

    /// A recorder and the job that writes what it takes.
    pub fn new(clock: Clock) -> (Self, Inbox) {
        let (sender, receiver) = mpsc::channel(QUEUE_MAX);
        let recorder = Self { queue: Some(sender), dropped: Arc::default(), clock };
        (recorder.clone(), Inbox { queue: receiver, dropped: recorder.dropped, endpoints: HashSet::new() })
    }

    /// Records that a request was answered after so many milliseconds.
    pub fn record(&self, endpoint: &str, status: u16, elapsed_ms: f64) {
        if let Some(queue) = &self.queue {
            let endpoint = endpoint[..endpoint.floor_char_boundary(ENDPOINT_BYTES_MAX)].to_owned();
            let served = Served { endpoint, status, elapsed_ms, at: self.clock.now() };
            if queue.try_send(served).is_err() {
                self.dropped.fetch_add(1, Ordering::Relaxed);
            }
        }
    }
}

/// What was recorded and not yet written.
pub struct Inbox {
    queue: mpsc::Receiver<Served>,
    dropped: Arc<AtomicU64>,
    endpoints: HashSet<String>,
}

impl Inbox {
    /// Writes what was recorded every `interval` until the server stops, and what is left then.
    pub async fn run(
        mut self,
        scope: Scope,
        ingest: Ingest,
        project: Key<ProjectId>,
        interval: Duration,
        stopping: CancellationToken,
    ) {
        loop {
            let goes_on = stopping.run_until_cancelled(tokio::time::sleep(interval)).await.is_some();
            self.flush(&scope, &ingest, project).await;
            if !goes_on {
                return;
            }
        }
    }

    async fn flush(&mut self, scope: &Scope, ingest: &Ingest, project: Key<ProjectId>) {
        let mut candidates = Vec::new();
        // No more than were waiting when it began: a busy server must not keep the flush from ending.
        for _ in 0..self.queue.len() {
            let Ok(served) = self.queue.try_recv() else { break };
            candidates.push(self.candidate(served));
        }
        let dropped = self.dropped.swap(0, Ordering::Relaxed);
        if dropped > 0 {
            tracing::warn!(dropped, "requests were served faster than the server's own metrics can be written");
        }
        for candidates in candidates.chunks(SUBMISSION_ROWS) {
            let submission = Submission {
                project,
                candidates: candidates.to_vec(),
                idempotency_key: None,
                source: "self".to_owned(),
                mode: Mode::Partial,
            };
            match ingest.submit(scope, submission, &StatementLog::default()).await {
                Ok(receipt) => {
                    for rejection in receipt.rejected {
                        tracing::warn!(reason = rejection.message, "one of the server's own metrics was refused");
                    }
                }
                Err(error) => tracing::warn!(%error, "the server's own metrics could not be written"),
            }
        }
    }

    fn candidate(&mut self, served: Served) -> Candidate {
        let known = self.endpoints.contains(&served.endpoint)
            || (self.endpoints.len() < ENDPOINTS_MAX && self.endpoints.insert(served.endpoint.clone()));
        Candidate {
            kind: MetricType::ApiResponse,
            value: served.elapsed_ms,
            endpoint: if known { served.endpoint } else { OTHER_ENDPOINTS.to_owned() },
            status: Some(i32::from(served.status)),
            timestamp: Some(served.at),
            name: None,
            release: None,
        }
    }
}

/// The project that the server's own metrics belong to; made with its organization on the first start.
///
/// # Errors
/// When the database cannot answer.
pub async fn own_project(scope: &Scope, db: &Session, ids: &IdGenerator, now: Timestamp) -> Result<Key<ProjectId>> {
    let organization = own_organization(scope, db, ids, now).await?;
    let find = async || {
        let found = project::by_slug(scope, db, organization, SLUG, ProjectFields::empty()).await?;
        Ok(found.map(|found| found.key))
    };
    if let Some(found) = find().await? {
        return Ok(found);
    }
    let new = project::NewProject {
        id: ProjectId(ids.next(now)),
        slug: Some(SLUG.to_owned()),
        name: "perfgraph server".to_owned(),
        status: ProjectStatus::Active,
        members: Vec::new(),
    };
    unless_taken(project::create(scope, db, organization, new, now).await, find).await
}

async fn own_organization(scope: &Scope, db: &Session, ids: &IdGenerator, now: Timestamp) -> Result<OrganizationId> {
    let find = async || {
        let found =
            organization::by_slugs(scope, db, &[SLUG.to_owned()], OrganizationFields::empty()).await?.remove(SLUG);
        Ok(found.map(|found| found.key))
    };
    if let Some(found) = find().await? {
        return Ok(found);
    }
    let new = organization::NewOrganization {
        id: OrganizationId(ids.next(now)),
        slug: Some(SLUG.to_owned()),
        name: "perfgraph".to_owned(),
    };
    unless_taken(organization::create(scope, db, new, now).await, find).await
}

/// What was made, or what another instance made in the same moment.
async fn unless_taken<T>(made: Result<T>, find: impl AsyncFnOnce() -> Result<Option<T>>) -> Result<T> {
    match made {
        Err(error) if error.is_taken() => find().await?.ok_or_else(|| Error::not_found("the server's own project")),
        other => other,
    }
}
