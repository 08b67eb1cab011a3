//! Organizations with their employees, and projects with their teams.

use rand::{
    RngExt,
    rngs::StdRng,
    seq::{IndexedRandom, SliceRandom},
};

use super::size::Size;
use crate::{
    app::Core,
    auth,
    db::StatementLog,
    directory::{ProjectStatus, employee, organization, project, team},
    error::Result,
    model::{Assignment, EmployeeId, Key, OrganizationId, ProjectId, Timestamp},
    sample::{self, Sample, Timeline},
};

/// One employee in this number has left.
const FORMER_SHARE: usize = 7;

/// An organization and the people who can join a team.
pub struct Staff {
    organization: OrganizationId,
    employees: Vec<EmployeeId>,
}

/// Creates an organization and its employees. Some of them leave in the middle of the span.
pub async fn create(
    core: &Core,
    size: Size,
    sample: &Sample,
    described: &sample::Organization,
    random: &mut StdRng,
    timeline: Timeline,
) -> Result<Staff> {
    let scope = auth::server_scope();
    let db = core.database.writer(StatementLog::default());
    let now = timeline.from();
    let id = OrganizationId(core.ids.next(now)?);
    let new = organization::NewOrganization { id, slug: Some(described.slug.clone()), name: described.name.clone() };
    organization::create(&scope, &db, new, now).await?;
    let employees = employees(core, size, sample, described, random, now)?;
    employee::create(&scope, &db, id, &employees, now).await?;
    let (mut present, mut former) = (Vec::new(), Vec::new());
    for (number, employee) in employees.iter().enumerate() {
        let group = if number % FORMER_SHARE == FORMER_SHARE - 1 { &mut former } else { &mut present };
        group.push(employee.id);
    }
    for employee in former {
        let change =
            employee::EmployeeChange { is_active: Assignment::Set(false), ..employee::EmployeeChange::default() };
        employee::update(&scope, &db, Key::new(id, employee), change, timeline.at(0.5)).await?;
    }
    Ok(Staff { organization: id, employees: present })
}

fn employees(
    core: &Core,
    size: Size,
    sample: &Sample,
    described: &sample::Organization,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<Vec<employee::NewEmployee>> {
    let mut names = full_names(sample);
    names.shuffle(random);
    let people = names.into_iter().take(size.employees()).enumerate().map(|(number, (first, last))| {
        let department = &sample.departments[number % sample.departments.len()];
        Ok(employee::NewEmployee {
            id: EmployeeId(core.ids.next(now)?),
            email: format!("{}.{}@{}.example", first.to_lowercase(), last.to_lowercase(), described.slug),
            name: format!("{first} {last}"),
            department: department.clone(),
            salary: Some(f64::from(random.random_range(40..140_u32)) * 1_000.0),
        })
    });
    people.collect()
}

/// All pairs of a first and a last name. They are enough for the employees of the largest size.
fn full_names(sample: &Sample) -> Vec<(&str, &str)> {
    let mut names = Vec::new();
    for first in &sample.first_names {
        names.extend(sample.last_names.iter().map(|last| (first.as_str(), last.as_str())));
    }
    names
}

/// Creates a project with a team, and returns the team.
pub async fn create_project(
    core: &Core,
    sample: &Sample,
    staff: &Staff,
    slug: &str,
    random: &mut StdRng,
    now: Timestamp,
) -> Result<(Key<ProjectId>, Vec<EmployeeId>)> {
    let size = random.random_range(3..=8_usize);
    let team: Vec<EmployeeId> = staff.employees.sample(random, size).copied().collect();
    let members = team.iter().zip(sample.team_roles.iter().cycle()).map(|(employee, role)| team::NewMember {
        employee: Key::new(staff.organization, *employee),
        role: role.clone(),
    });
    let described = sample.project(slug)?;
    let new = project::NewProject {
        id: ProjectId(core.ids.next(now)?),
        slug: Some(slug.to_owned()),
        name: described.name.clone(),
        status: match described.status {
            sample::Status::Active => ProjectStatus::Active,
            sample::Status::Paused => ProjectStatus::Paused,
            sample::Status::Archived => ProjectStatus::Archived,
        },
        members: members.collect(),
    };
    let db = core.database.writer(StatementLog::default());
    let key = project::create(&auth::server_scope(), &db, staff.organization, new, now).await?;
    Ok((key, team))
}
