//! Two organizations with people and projects whose values sit on the edges of filters and orders: equal names, names
//! that differ in case, wildcards of LIKE, unknown salaries.

use perfgraph::{
    db::Session,
    entity::{employee, organization, project, project_member},
    model::{EmployeeId, Key, OrganizationId, ProjectId, Timestamp},
};
use rand::{RngExt, SeedableRng, rngs::StdRng, seq::IndexedRandom};
use sea_orm::{EntityTrait, IntoActiveModel};

use crate::harness::TestDatabase;

/// The organization that most tests ask for.
pub const OURS: OrganizationId = OrganizationId(1);
/// Another one, with people of the same names.
pub const THEIRS: OrganizationId = OrganizationId(2);
const EMPLOYEES: i64 = 60;
const PROJECTS: i64 = 12;

pub const NAMES: [&str; 10] = ["Ada", "ada", "Ada L", "A%a", "A_a", "Zoë", "Zoe", "Ünal", "🦀 Ferris", "Ada Lovelace"];
pub const DEPARTMENTS: [&str; 4] = ["Engineering", "engineering", "Operations", "R&D"];
pub const SALARIES: [Option<f64>; 5] = [None, Some(0.0), Some(50_000.0), Some(50_000.5), Some(90_000.0)];

/// The rows as they were inserted.
pub struct World {
    pub organizations: Vec<organization::Model>,
    pub employees: Vec<employee::Model>,
    pub projects: Vec<project::Model>,
    pub members: Vec<project_member::Model>,
}

fn time(rng: &mut StdRng) -> Timestamp {
    Timestamp::from_micros(1_700_000_000_000_000 + rng.random_range(0..5))
}

impl World {
    pub fn random(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut world = Self { organizations: vec![], employees: vec![], projects: vec![], members: vec![] };
        for organization_id in [OURS, THEIRS] {
            world.organizations.push(organization::Model {
                id: organization_id,
                slug: format!("o-{}", organization_id.0),
                name: NAMES[usize::try_from(organization_id.0).unwrap()].to_owned(),
                is_active: organization_id == OURS,
                employee_count: EMPLOYEES,
                created_at: time(&mut rng),
                updated_at: time(&mut rng),
            });
            world.employees.extend((0..EMPLOYEES).map(|number| employee::Model {
                organization_id,
                id: EmployeeId(organization_id.0 * 1_000 + number),
                name: (*NAMES.choose(&mut rng).unwrap()).to_owned(),
                email: format!("{}{number}@o{}.example", if number % 2 == 0 { "a" } else { "b" }, organization_id.0),
                department: (*DEPARTMENTS.choose(&mut rng).unwrap()).to_owned(),
                salary: *SALARIES.choose(&mut rng).unwrap(),
                is_active: rng.random_bool(0.7),
                created_at: time(&mut rng),
                updated_at: time(&mut rng),
            }));
            world.projects.extend((0..PROJECTS).map(|number| project::Model {
                organization_id,
                id: ProjectId(organization_id.0 * 1_000 + number),
                slug: format!("p-{number}"),
                name: (*NAMES.choose(&mut rng).unwrap()).to_owned(),
                status: i16::try_from(number % 3).unwrap(),
                team_size: 0,
                created_at: time(&mut rng),
                updated_at: time(&mut rng),
            }));
        }
        for project in &mut world.projects {
            for employee in world.employees.iter().filter(|one| one.organization_id == project.organization_id) {
                if rng.random_bool(0.3) {
                    project.team_size += 1;
                    world.members.push(project_member::Model {
                        organization_id: project.organization_id,
                        project_id: project.id,
                        employee_id: employee.id,
                        role: "Member".to_owned(),
                        joined_at: time(&mut rng),
                    });
                }
            }
        }
        world
    }

    pub async fn insert(&self, database: &TestDatabase) {
        let db = database.writer();
        insert::<organization::Entity>(&db, &self.organizations).await;
        insert::<employee::Entity>(&db, &self.employees).await;
        insert::<project::Entity>(&db, &self.projects).await;
        insert::<project_member::Entity>(&db, &self.members).await;
    }

    pub fn works_on(&self, employee: Key<EmployeeId>, project: Key<ProjectId>) -> bool {
        self.members.iter().any(|member| {
            Key::new(member.organization_id, member.employee_id) == employee
                && Key::new(member.organization_id, member.project_id) == project
        })
    }
}

async fn insert<E: EntityTrait>(db: &Session, rows: &[E::Model])
where
    E::Model: IntoActiveModel<E::ActiveModel> + Clone,
    E::ActiveModel: Send,
{
    for rows in rows.chunks(100) {
        let rows = rows.iter().map(|row| row.clone().into_active_model());
        E::insert_many(rows).exec_without_returning(db).await.unwrap();
    }
}
