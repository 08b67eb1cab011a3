//! Releases of the projects.

use rand::{RngExt, rngs::StdRng, seq::IndexedRandom};

use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::release,
    error::Result,
    model::{EmployeeId, Key, ProjectId, ReleaseId},
    sample::{Release, Timeline},
};

/// Creates the releases of a project, each by a member of its team.
pub async fn create(
    core: &Core,
    project: Key<ProjectId>,
    team: &[EmployeeId],
    releases: &[Release],
    timeline: Timeline,
    random: &mut StdRng,
) -> Result<()> {
    let db = core.database.writer(StatementLog::default());
    for release in releases {
        let deployed_at = timeline.at(release.at);
        let new = release::NewRelease {
            id: ReleaseId(core.ids.next(deployed_at)?),
            version: release.version.clone(),
            version_bytes_max: core.ingest.release_version_bytes_max(),
            deployed_at: Some(deployed_at),
            commit: Some(format!("{:032x}{:08x}", random.random::<u128>(), random.random::<u32>())),
            author: team.choose(random).map(|author| Key::new(project.organization, *author)),
        };
        release::create(&auth::server_scope(), &db, project, new, core.clock.now()).await?;
    }
    Ok(())
}
