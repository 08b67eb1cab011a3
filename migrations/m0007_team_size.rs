//! How many people a project's team has, as a counter: lists are ordered by it, and reading it costs no counting.

use crate::{Change, migration};

migration!();

/// Memberships that were there before the counter.
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
