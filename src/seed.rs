//! Sample data: organizations, employees, projects, releases and days of metrics, created through directory and ingest like by
//! any client. The same plan on the same clock creates the same rows.

mod metrics;
mod people;
mod releases;
mod size;

use rand::{SeedableRng, rngs::StdRng};

pub use self::size::Size;
use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::{self, Organization, OrganizationFields, organization},
    error::Result,
    model::page::{ListRequest, PageRequest},
    sample::{Sample, Timeline},
};

/// The size and the seed of the sample data.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// The amount of data.
    pub size: Size,
    /// The seed of the random numbers.
    pub rng_seed: u64,
}

/// Returns whether the database holds no data but the server's own.
///
/// # Errors
/// The database fails.
pub async fn is_empty(core: &Core) -> Result<bool> {
    let db = core.database.writer(StatementLog::default());
    let page = PageRequest::from_start(0, 2);
    let list = ListRequest { filter: None, order: Vec::new(), page };
    let found = directory::list::<Organization>(&auth::server_scope(), &db, &list, OrganizationFields::SLUG).await?;
    for row in &found.rows {
        if row.slug()? != organization::OWN_SLUG {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The approximate number of metrics of a plan.
pub const fn expected_rows(plan: &Plan) -> u64 {
    plan.size.rows()
}

/// Creates sample data up to the core's clock and returns the number of metrics. Calls `progress` with the number so far.
///
/// # Errors
/// A room refuses the data, or the database fails. Data that was created until then stays.
pub async fn fill(core: &Core, plan: &Plan, progress: &mut (dyn FnMut(u64) + Send)) -> Result<u64> {
    let sample = Sample::bundled()?;
    let mut random = StdRng::seed_from_u64(plan.rng_seed);
    let timeline = Timeline::before(core.clock.now(), plan.size.span_micros());
    let mut projects = Vec::new();
    for organization in &sample.organizations {
        let staff = people::create(core, plan.size, &sample, organization, &mut random, timeline).await?;
        for slug in &organization.projects {
            let (project, team) =
                people::create_project(core, &sample, &staff, slug, &mut random, timeline.from()).await?;
            let described = &sample.project(slug)?.releases;
            releases::create(core, project, &team, described, timeline, &mut random).await?;
            projects.push(project);
        }
    }
    metrics::fill(core, plan.size, &sample, &projects, timeline, &mut random, progress).await
}
