//! Releases of the projects.

use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::release,
    error::Result,
    model::{Key, ProjectId, ReleaseId},
    sample::{Release, Timeline},
};

/// Creates the releases of a project.
pub async fn create(core: &Core, project: Key<ProjectId>, releases: &[Release], timeline: Timeline) -> Result<()> {
    let db = core.database.writer(StatementLog::default());
    for release in releases {
        let deployed_at = timeline.at(release.at);
        let new = release::NewRelease {
            id: ReleaseId(core.ids.next(deployed_at)?),
            version: release.version.clone(),
            version_bytes_max: core.ingest.release_version_bytes_max(),
            deployed_at: Some(deployed_at),
            commit: None,
            author: None,
        };
        release::create(&auth::server_scope(), &db, project, new, core.clock.now()).await?;
    }
    Ok(())
}
