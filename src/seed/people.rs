//! Organizations with their employees, and projects with their teams.

use rand::{RngExt, rngs::StdRng};

use super::size::Size;
use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::{ProjectStatus, employee, organization, project, team},
    error::Result,
    model::{EmployeeId, Key, OrganizationId, ProjectId, Timestamp},
    sample::{self, Sample},
};

/// An organization and the people who can join a team.
pub struct Staff {
    organization: OrganizationId,
    employees: Vec<EmployeeId>,
}

/// Creates an organization and its employees.
pub async fn create(
    core: &Core,
    size: Size,
    sample: &Sample,
    described: &sample::Organization,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Staff> {
    let scope = auth::server_scope();
    let db = core.database.writer(StatementLog::default());
    let id = OrganizationId(core.ids.next(now)?);
    let new = organization::NewOrganization { id, slug: Some(described.slug.clone()), name: described.name.clone() };
    organization::create(&scope, &db, new, now).await?;
    let employees = employees(core, size, sample, described, random, now)?;
    employee::create(&scope, &db, id, &employees, now).await?;
    Ok(Staff { organization: id, employees: employees.iter().map(|employee| employee.id).collect() })
}

fn employees(
    core: &Core,
    size: Size,
    sample: &Sample,
    described: &sample::Organization,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Vec<employee::NewEmployee>> {
    (0..size.employees())
        .map(|number| {
            let department = &sample.departments[number % sample.departments.len()];
            let role = &sample.roles[number / sample.departments.len() % sample.roles.len()];
            let name = format!("{department} {role} {:03}", number + 1);
            Ok(employee::NewEmployee {
                id: EmployeeId(core.ids.next(now)?),
                email: format!("{}@{}.example", name.to_lowercase().replace(' ', "."), described.slug),
                name,
                department: department.clone(),
                salary: Some(f64::from(random.random_range(40..140_u32)) * 1_000.0),
            })
        })
        .collect()
}

/// Creates a project with a team.
pub async fn create_project(
    core: &Core,
    sample: &Sample,
    staff: &Staff,
    slug: &str,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Key<ProjectId>> {
    let mut team: Vec<_> = (0..random.random_range(3..=8_usize))
        .map(|place| {
            let employee = staff.employees[random.random_range(0..staff.employees.len())];
            (employee, sample.team_roles[place % sample.team_roles.len()].clone())
        })
        .collect();
    team.sort_by_key(|(id, _)| *id);
    team.dedup_by_key(|(id, _)| *id);
    let members = team
        .into_iter()
        .map(|(employee, role)| team::NewMember { employee: Some(Key::new(staff.organization, employee)), role });
    let new = project::NewProject {
        id: ProjectId(core.ids.next(now)?),
        slug: Some(slug.to_owned()),
        name: sample.project(slug)?.name.clone(),
        status: ProjectStatus::Active,
        members: members.collect(),
    };
    let db = core.database.writer(StatementLog::default());
    project::create(&auth::server_scope(), &db, staff.organization, new, now).await
}
