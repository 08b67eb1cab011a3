//! Seeded measurements of two organizations, written as ingest writes them, and answers by brute force to compare with.

mod breakdowns;

use std::collections::BTreeMap;

use perfgraph::{
    db::Session,
    entity::{endpoint, metric_event, metric_rollup_part, organization, project},
    model::{
        EndpointId, Grain, Key, MetricId, MetricType, OrganizationId, ProjectId, Scope, SeriesDay, SeriesGrain, Sketch,
        Sum, TimeRange, Timestamp,
        filter::TextFilter,
        metric::ERROR_STATUS_MIN,
        sketch::bin_of,
        timestamp::{DAY_MICROS, MINUTE_MICROS},
    },
    reports::{Parent, Projects, Question, StatusFilter},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::{ConnectionTrait, EntityTrait, IntoActiveModel};

/// The organization that most tests ask for.
pub const OURS: OrganizationId = OrganizationId(1);
/// Another one, with a project and endpoints of the same ids.
pub const THEIRS: OrganizationId = OrganizationId(2);
/// 2026-11-01T00:00:00Z.
pub const START: Timestamp = Timestamp::from_millis(1_793_491_200_000);
const MINUTES: i64 = 180;
const EVENTS: usize = 6_000;
const BATCH: usize = 700;
const CHUNK: usize = 500;
const PATHS: [&str; 6] = ["/api/users", "/API/users", "/api/user_s", "/api/user%s", "/checkout", "/ünï/🦀"];
const NAMES: [&str; 4] = ["", "", "LCP", "lcp"];
const RELEASES: [&str; 3] = ["", "1.4.2", "1.4.3"];

#[derive(Clone, Debug)]
pub struct Event {
    pub project: Key<ProjectId>,
    pub kind: MetricType,
    pub ts: Timestamp,
    pub id: MetricId,
    pub value: f64,
    pub endpoint: EndpointId,
    pub path: &'static str,
    pub status: i16,
    pub name: &'static str,
    pub release: &'static str,
    part: i64,
}

pub struct World {
    pub events: Vec<Event>,
    pub projects: Vec<Key<ProjectId>>,
}

impl World {
    pub fn seeded(seed: u64) -> Self {
        Self::over(seed, MINUTES)
    }

    /// The same number of measurements over so many minutes.
    pub fn over(seed: u64, minutes: i64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        // Project 10 and the endpoints' ids are in both organizations; project 12 has no measurements.
        let projects: Vec<_> = [(OURS, 10), (OURS, 11), (OURS, 12), (THEIRS, 10), (THEIRS, 20)]
            .map(|(organization, id)| Key::new(organization, ProjectId(id)))
            .into();
        let measured: Vec<_> = projects.iter().copied().filter(|key| key.id.0 != 12).collect();
        let events = (0..EVENTS)
            .map(|index| {
                let project = *measured.choose(&mut rng).unwrap();
                let kind = *MetricType::ALL.choose(&mut rng).unwrap();
                let place = rng.random_range(0..PATHS.len());
                let value = match rng.random_range(0..20) {
                    0 => 0.0,
                    _ => 10_f64.powf(rng.random_range(-3.0..4.0)),
                };
                Event {
                    project,
                    kind,
                    ts: START.plus_micros(rng.random_range(0..minutes * MINUTE_MICROS)),
                    id: MetricId(i64::try_from(index).unwrap() + 1),
                    value: value.min(kind.value_max()),
                    endpoint: endpoint_id(project, place),
                    path: PATHS[place],
                    status: *[0, 200, 200, 204, 399, 400, 404, 500].choose(&mut rng).unwrap(),
                    name: NAMES[index % NAMES.len()],
                    release: RELEASES[index % RELEASES.len()],
                    part: i64::try_from(index / BATCH * BATCH).unwrap() + 1,
                }
            })
            .collect();
        Self { events, projects }
    }

    /// Writes all of it.
    pub async fn write(&self, session: &Session) {
        self.write_directory(session).await;
        write_events(session, &self.events).await;
        breakdowns::write(session, &self.events).await;
    }

    pub async fn write_directory(&self, session: &Session) {
        for (id, slug) in [(OURS, "ours"), (THEIRS, "theirs")] {
            insert::<organization::Entity>(
                session,
                vec![organization::Model {
                    id,
                    slug: slug.to_owned(),
                    name: slug.to_owned(),
                    is_active: true,
                    employee_count: 0,
                    created_at: START,
                    updated_at: START,
                }],
            )
            .await;
        }
        for key in &self.projects {
            let model = project::Model {
                organization_id: key.organization,
                id: key.id,
                slug: format!("p{}", key.id.0),
                name: "project".to_owned(),
                status: 0,
                team_size: 0,
                created_at: START,
                updated_at: START,
            };
            insert::<project::Entity>(session, vec![model]).await;
            let endpoints = PATHS.iter().enumerate().map(|(place, path)| endpoint::Model {
                organization_id: key.organization,
                id: endpoint_id(*key, place),
                project_id: key.id,
                path: (*path).to_owned(),
            });
            insert::<endpoint::Entity>(session, endpoints.collect()).await;
        }
    }

    /// The events that a question is about, as its caller may see them.
    /// The question about those of its projects that belong to a parent.
    pub fn narrowed(&self, question: &Question, parent: &Parent) -> Question {
        let asked = |key: &&Key<ProjectId>| match &question.projects {
            Projects::All => true,
            Projects::Organizations(ids) => ids.contains(&key.organization),
            Projects::Keys(keys) => keys.contains(key),
        };
        let own = |key: &&Key<ProjectId>| match parent {
            Parent::Organization(id) => key.organization == *id,
            Parent::Project(own) => *key == own,
            Parent::Question | Parent::DimensionValues(_) => true,
        };
        let keys = self.projects.iter().filter(asked).filter(own).copied().collect();
        Question { projects: Projects::Keys(keys), ..question.clone() }
    }

    pub fn matching(&self, scope: &Scope, question: &Question) -> Vec<&Event> {
        self.events
            .iter()
            .filter(|event| {
                scope.sees(event.project.organization)
                    && question.window.from() <= event.ts
                    && event.ts < question.window.to()
                    && (question.kinds.is_empty() || question.kinds.contains(&event.kind))
                    && match &question.projects {
                        Projects::All => true,
                        Projects::Organizations(ids) => ids.contains(&event.project.organization),
                        Projects::Keys(keys) => keys.contains(&event.project),
                    }
                    && question.endpoint.as_ref().is_none_or(|filter| path_matches(filter, event.path))
                    && question.status.as_ref().is_none_or(|filter| status_matches(filter, event.status))
                    && is_one_of(question.names.as_ref(), event.name)
                    && is_one_of(question.releases.as_ref(), event.release)
                    && question.release.as_ref().is_none_or(|one| *one == (event.project, event.release.to_owned()))
            })
            .collect()
    }
}

fn is_one_of(texts: Option<&Vec<String>>, text: &str) -> bool {
    texts.is_none_or(|texts| texts.iter().any(|one| one == text))
}

/// The grain of a series on a day: each of them somewhere, and different ones for all endpoints and by endpoint.
pub const fn grain_of(project: Key<ProjectId>, kind: MetricType, at: Timestamp) -> SeriesGrain {
    let day = at.floor(DAY_MICROS).as_micros() / DAY_MICROS;
    let place = project.id.0 * 7 + kind.code() as i64 * 3 + day;
    let (all, by) = match place % 8 {
        0 => (Grain::Minute, Grain::FiveMinutes),
        1 => (Grain::FiveMinutes, Grain::Hour),
        2 => (Grain::Hour, Grain::Day),
        3 => (Grain::Day, Grain::Raw),
        4 => (Grain::Hour, Grain::Minute),
        5 => (Grain::FiveMinutes, Grain::Raw),
        _ => (Grain::Minute, Grain::Minute),
    };
    SeriesGrain { all_endpoints: all, by_endpoint: by }
}

/// Writes raw rows, and per commit one rollup part for every series and bucket of its grain, and for all endpoints together.
pub async fn write_events(session: &Session, events: &[Event]) {
    let days: BTreeMap<_, _> = events
        .iter()
        .map(|event| {
            (SeriesDay::new(event.project, event.kind, event.ts), grain_of(event.project, event.kind, event.ts))
        })
        .collect();
    for (series, grain) in days {
        let sql = format!(
            "INSERT INTO metric_grain (organization_id, project_id, kind, day, all_endpoints, by_endpoint) \
             VALUES ({}, {}, {}, {}, {}, {}) ON CONFLICT DO NOTHING",
            series.organization,
            series.project,
            series.kind,
            series.day,
            grain.all_endpoints.code(),
            grain.by_endpoint.code()
        );
        session.execute_unprepared(&sql).await.unwrap();
    }
    let raw = events.iter().map(|event| metric_event::Model {
        organization_id: event.project.organization,
        project_id: event.project.id,
        kind: event.kind.code(),
        ts: event.ts,
        id: event.id,
        value: event.value,
        endpoint_id: event.endpoint,
        status: event.status,
        bin: bin_of(event.value),
        name: event.name.to_owned(),
        release: event.release.to_owned(),
    });
    insert::<metric_event::Entity>(session, raw.collect()).await;
    insert::<metric_rollup_part::Entity>(session, parts(events)).await;
}

fn parts(events: &[Event]) -> Vec<metric_rollup_part::Model> {
    let mut parts: BTreeMap<_, Vec<&Event>> = BTreeMap::new();
    for event in events {
        let grain = grain_of(event.project, event.kind, event.ts);
        for (endpoint, grain) in [(event.endpoint, grain.by_endpoint), (EndpointId::ALL, grain.all_endpoints)] {
            if let Some(width) = grain.width_micros() {
                let key = (event.project, event.kind, event.ts.floor(width), endpoint, event.part);
                parts.entry(key).or_default().push(event);
            }
        }
    }
    let part =
        |((project, kind, bucket, endpoint_id, part), events): ((Key<ProjectId>, MetricType, _, _, _), Vec<&Event>)| {
            let mut sketch = Sketch::new();
            let mut sum = Sum::ZERO;
            for event in &events {
                sum.add(event.value);
                sketch.record(bin_of(event.value), 1);
            }
            metric_rollup_part::Model {
                organization_id: project.organization,
                project_id: project.id,
                kind: kind.code(),
                bucket,
                endpoint_id,
                part,
                n: i64::try_from(events.len()).unwrap(),
                n_err: i64::try_from(events.iter().filter(|event| event.is_error()).count()).unwrap(),
                sum: sum.value(),
                min: events.iter().map(|event| event.value).fold(f64::INFINITY, f64::min),
                max: events.iter().map(|event| event.value).fold(0.0, f64::max),
                sketch: sketch.encode(),
            }
        };
    parts.into_iter().map(part).collect()
}

impl Event {
    pub const fn is_of_one_commit(&self, other: &Self) -> bool {
        self.part == other.part
    }

    pub fn is_error(&self) -> bool {
        self.status >= ERROR_STATUS_MIN
    }
}

pub fn endpoint_id(project: Key<ProjectId>, place: usize) -> EndpointId {
    EndpointId(project.id.0 * 100 + i64::try_from(place).unwrap())
}

async fn insert<E>(session: &Session, models: Vec<E::Model>)
where
    E: EntityTrait,
    E::Model: IntoActiveModel<E::ActiveModel> + Clone,
    E::ActiveModel: Send,
{
    for chunk in models.chunks(CHUNK) {
        let rows = chunk.iter().cloned().map(IntoActiveModel::into_active_model);
        E::insert_many(rows).exec_without_returning(session).await.unwrap();
    }
}

fn path_matches(filter: &TextFilter, path: &str) -> bool {
    filter.eq.as_deref().is_none_or(|text| path == text)
        && filter.ne.as_deref().is_none_or(|text| path != text)
        && filter.one_of.as_ref().is_none_or(|texts| texts.iter().any(|text| path == text))
        && filter.starts_with.as_deref().is_none_or(|text| path.starts_with(text))
        && filter.contains.as_deref().is_none_or(|text| path.contains(text))
        && folded_matches(filter, &path.to_ascii_lowercase())
}

/// The conditions that ignore the case of A to Z.
pub fn folded_matches(filter: &TextFilter, folded: &str) -> bool {
    let lower = |text: &Option<String>| text.as_ref().map(|text| text.to_ascii_lowercase());
    lower(&filter.equal_ignoring_case).is_none_or(|text| folded == text)
        && lower(&filter.starts_with_ignoring_case).is_none_or(|text| folded.starts_with(&text))
        && lower(&filter.contains_ignoring_case).is_none_or(|text| folded.contains(&text))
}

fn status_matches(filter: &StatusFilter, status: i16) -> bool {
    let status = i32::from(status);
    filter.eq.is_none_or(|code| status == code)
        && filter.one_of.as_ref().is_none_or(|codes| codes.contains(&status))
        && filter.gt.is_none_or(|code| status > code)
        && filter.gte.is_none_or(|code| status >= code)
        && filter.lt.is_none_or(|code| status < code)
        && filter.lte.is_none_or(|code| status <= code)
}

/// A window that begins so many microseconds after [`START`].
pub fn range(from: i64, length: i64) -> TimeRange {
    let from = START.plus_micros(from);
    TimeRange::new(from, from.plus_micros(length)).unwrap()
}
