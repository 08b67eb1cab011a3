//! The JSON that both servers answer, as structs; ids as perfgraph writes them.

use std::collections::HashMap;

use data_encoding::BASE64URL_NOPAD;
use serde::Serialize;

#[derive(Serialize)]
pub struct Nodes<T> {
    pub nodes: Vec<T>,
}

/// The numbers of an id, behind the name of its type.
pub fn decode<const N: usize>(id: &str) -> Option<[i64; N]> {
    let bytes = BASE64URL_NOPAD.decode(id.as_bytes()).ok()?;
    let numbers = std::str::from_utf8(&bytes).ok()?.split(':').skip(1).map(str::parse);
    numbers.collect::<Result<Vec<i64>, _>>().ok()?.try_into().ok()
}

fn organization_id(id: i64) -> String {
    BASE64URL_NOPAD.encode(format!("Organization:{id}").as_bytes())
}

fn employee_id(organization: i64, id: i64) -> String {
    BASE64URL_NOPAD.encode(format!("Employee:{organization}:{id}").as_bytes())
}

#[derive(Serialize)]
pub struct OrganizationData {
    pub organization: Option<Organization>,
}

/// Name, slug, how many employees.
pub type OrganizationRow = (String, String, i64);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Organization {
    name: String,
    slug: String,
    employee_count: i64,
}

impl From<OrganizationRow> for Organization {
    fn from((name, slug, employee_count): OrganizationRow) -> Self {
        Self { name, slug, employee_count }
    }
}

#[derive(Serialize)]
pub struct EmployeesData {
    pub employees: Nodes<Employee>,
}

/// Organization, id, name, e-mail, department, name of the organization.
pub type EmployeeRow = (i64, i64, String, String, String, String);

#[derive(Serialize)]
pub struct Employee {
    id: String,
    name: String,
    email: String,
    department: String,
    organization: OrganizationName,
}

#[derive(Clone, Serialize)]
pub struct OrganizationName {
    id: String,
    name: String,
}

impl From<EmployeeRow> for Employee {
    fn from((organization, id, name, email, department, organization_name): EmployeeRow) -> Self {
        Self {
            id: employee_id(organization, id),
            name,
            email,
            department,
            organization: OrganizationName { id: organization_id(organization), name: organization_name },
        }
    }
}

/// Organization, id, name, status.
pub type ProjectRow = (i64, i64, String, i16);
/// Organization, project, employee, name, e-mail.
pub type MemberRow = (i64, i64, i64, String, String);

#[derive(Serialize)]
pub struct ProjectsData {
    projects: Nodes<Project>,
}

#[derive(Serialize)]
struct Project {
    id: String,
    name: String,
    status: &'static str,
    team: Nodes<Member>,
    organization: Option<OrganizationName>,
}

#[derive(Serialize)]
struct Member {
    id: String,
    name: String,
    email: String,
}

impl ProjectsData {
    pub fn assemble(projects: Vec<ProjectRow>, members: Vec<MemberRow>, organizations: Vec<(i64, String)>) -> Self {
        let organizations: HashMap<i64, OrganizationName> = organizations
            .into_iter()
            .map(|(id, name)| (id, OrganizationName { id: organization_id(id), name }))
            .collect();
        let mut teams: HashMap<(i64, i64), Vec<Member>> = HashMap::with_capacity(projects.len());
        for (organization, project, id, name, email) in members {
            let member = Member { id: employee_id(organization, id), name, email };
            teams.entry((organization, project)).or_default().push(member);
        }
        let nodes = projects
            .into_iter()
            .map(|(organization, id, name, status)| Project {
                id: BASE64URL_NOPAD.encode(format!("Project:{organization}:{id}").as_bytes()),
                name,
                status: ["ACTIVE", "PAUSED", "ARCHIVED"].get(usize::from(status.unsigned_abs())).copied().unwrap_or(""),
                team: Nodes { nodes: teams.remove(&(organization, id)).unwrap_or_default() },
                organization: organizations.get(&organization).cloned(),
            })
            .collect();
        Self { projects: Nodes { nodes } }
    }
}

/// Count, mean, smallest, largest, and three percentiles.
pub type Figures = (i64, Option<f64>, Option<f64>, Option<f64>, [Option<f64>; 3]);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SummaryData {
    performance_summary: Summary,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Summary {
    count: i64,
    average_value: Option<f64>,
    min_value: Option<f64>,
    max_value: Option<f64>,
    stats: Percentiles,
}

#[derive(Serialize)]
struct Percentiles {
    p50: Option<f64>,
    p95: Option<f64>,
    p99: Option<f64>,
}

impl SummaryData {
    pub fn new((count, average_value, min_value, max_value, [p50, p95, p99]): Figures) -> Self {
        let stats = Percentiles { p50, p95, p99 };
        Self { performance_summary: Summary { count, average_value, min_value, max_value, stats } }
    }
}

/// Department, people, active people, known salaries and their sum.
pub type DepartmentRow = (String, i64, i64, i64, Option<f64>);

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DepartmentsData {
    employee_stats: EmployeeStats,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct EmployeeStats {
    count: i64,
    active_count: i64,
    average_salary: Option<f64>,
    by_department: Vec<Department>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Department {
    department: String,
    count: i64,
    average_salary: Option<f64>,
}

impl DepartmentsData {
    pub fn new(rows: Vec<DepartmentRow>) -> Self {
        let (mut count, mut active_count, mut known, mut sum) = (0, 0, 0, 0.0);
        let mut by_department = Vec::with_capacity(rows.len());
        for (department, people, active, salaries, total) in rows {
            count += people;
            active_count += active;
            known += salaries;
            sum += total.unwrap_or(0.0);
            by_department.push(Department { department, count: people, average_salary: average(total, salaries) });
        }
        let average_salary = average(Some(sum), known);
        Self { employee_stats: EmployeeStats { count, active_count, average_salary, by_department } }
    }
}

#[expect(clippy::cast_precision_loss, reason = "a few people")]
fn average(sum: Option<f64>, count: i64) -> Option<f64> {
    sum.filter(|_| count > 0).map(|sum| sum / count as f64)
}
