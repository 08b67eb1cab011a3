//! The number of members of a project, as a counter, so that lists can be sorted by it and reading it is cheap.

use crate::change::{Change, migration};

migration!();

/// Counts the memberships that existed before the counter.
const COUNT: &str = "UPDATE project SET team_size = (
    SELECT COUNT(*) FROM project_member
    WHERE project_member.organization_id = project.organization_id AND project_member.project_id = project.id
)";

impl Change for Migration {
    const SQLITE: &'static [&'static str] =
        &["ALTER TABLE project ADD COLUMN team_size INTEGER NOT NULL DEFAULT 0 CHECK (team_size >= 0)", COUNT];
    const POSTGRES: &'static [&'static str] =
        &["ALTER TABLE project ADD COLUMN team_size BIGINT NOT NULL DEFAULT 0 CHECK (team_size >= 0)", COUNT];
    const REVERT: &'static [&'static str] = &["ALTER TABLE project DROP COLUMN team_size"];
}
