//! Every case file on both databases, each as a test of its own: `cases::reports::metric_stats::sqlite`. The answer and
//! the statements are those of the snapshot beside the file.

use std::{collections::BTreeSet, fmt::Write};

use crate::harness::{Server, TestDatabase, case::Case, server::repository, snapshot};

async fn check(room: &str, name: &str, database: &str, empty: TestDatabase) {
    let case = Case::read(repository("tests/it/cases").join(room).join(name).with_extension("graphql"));
    let server = Server::fixed(empty).await;
    let world = server.seed(&case.seed).await;
    let outcome = case.run(&server, &world).await;
    server.stop().await;
    let mut report = String::new();
    let (count, allowed) = (outcome.statements.len(), case.statements(database));
    if count != allowed {
        writeln!(report, "{count} statements on {database}, its head says {allowed}").unwrap();
    }
    if let Some(difference) = snapshot::compare(&case.file, database, &outcome) {
        report += &difference;
    }
    let advice =
        "read each NAME.snap.new; when it is right, rename it to NAME.snap, or accept all by UPDATE_SNAPSHOTS=1";
    assert!(report.is_empty(), "\n{room}/{name}: {report}\n{advice}\n");
}

/// Writes each case as two tests, in a module of its name in a module of its room.
macro_rules! cases {
    ($($room:ident { $($name:ident)* })*) => {
        $(mod $room {
            $(mod $name {
                use crate::harness::TestDatabase;

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn sqlite() {
                    let database = TestDatabase::sqlite().await;
                    crate::cases::check(stringify!($room), stringify!($name), "sqlite", database).await;
                }

                #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
                async fn postgres() {
                    let database = TestDatabase::postgres_with_partitions().await;
                    crate::cases::check(stringify!($room), stringify!($name), "postgres", database).await;
                }
            })*
        })*

        const LISTED: &[&str] = &[$($(concat!(stringify!($room), "/", stringify!($name)),)*)*];
    };
}

cases! {
    changes {
        add_project_members
        add_project_members_refused
        create_employee
        create_employee_refused
        create_organization
        create_organization_refused
        create_project
        create_project_refused
        delete_employee
        delete_organization
        delete_organization_refused
        delete_project
        delete_project_refused
        remove_project_members
        update_employee
        update_employee_refused
        update_employees
        update_employees_refused
        update_organization
        update_organization_refused
        update_project
        update_project_refused
    }
    directory {
        employee_projects
        employee_stats
        employee_stats_of_organizations
        employee_stats_projected
        employees_filtered
        employees_ordered
        employees_page
        employees_with_organization
        filter_of_nothing
        filter_unknown_status
        filtered_everywhere
        ingest_status
        merged_selection
        node_employee
        node_organization
        node_project
        nodes
        organization_absent
        organization_by_both
        organization_by_id
        organization_by_slug
        organizations
        page_bad_arguments
        page_first_after
        page_last
        page_last_before
        plain_lists
        plain_projects
        project_by_slug
        projection
        projects_ordered
        projects_with_team_and_organization
        same_list_twice
        team
        viewer
    }
    ingest {
        atomic_rejection
        ingest_metrics
        ingest_by_slug
        partial_rejections
        unknown_project
        unknown_slug
    }
    reports {
        bad_window
        late_dropped
        metric_columns
        metric_columns_whole
        metric_groups
        metric_groups_of_raw
        metric_groups_refused
        metric_series
        metric_series_of_projects
        metric_series_refused
        metric_stats
        metric_stats_distribution
        metric_stats_filters
        metric_stats_of_nothing
        metrics
        metrics_refused
        node_metric
        organization_reports
        metric_types
        performance_summary
        project_metric_stats
        slowest_endpoints
        slowest_endpoints_ranked
        slowest_endpoints_trend
    }
    request {
        syntax_error
        unknown_field
        wrong_type
    }
}

fn files(extension: &str) -> BTreeSet<String> {
    let folder = repository("tests/it/cases");
    let rooms = std::fs::read_dir(&folder).unwrap().map(|room| room.unwrap().path());
    let files = rooms.flat_map(|room| std::fs::read_dir(room).unwrap().map(|file| file.unwrap().path()));
    files
        .filter(|file| file.extension().is_some_and(|found| found == extension))
        .map(|file| file.with_extension("").strip_prefix(&folder).unwrap().display().to_string())
        .collect()
}

#[test]
fn every_case_file_is_a_test() {
    let listed: BTreeSet<_> = LISTED.iter().map(|name| (*name).to_owned()).collect();
    let missing: Vec<_> = files("graphql").difference(&listed).cloned().collect();
    assert!(missing.is_empty(), "add these to the list in tests/it/cases.rs: {missing:?}");
    assert_eq!(listed.len(), LISTED.len(), "a case is listed twice in tests/it/cases.rs");
}

/// A snapshot without a case would stay for ever.
#[test]
fn every_snapshot_has_its_case() {
    let orphans: Vec<_> = files("snap").difference(&files("graphql")).cloned().collect();
    assert!(orphans.is_empty(), "remove the snapshots of {orphans:?}, which have no case");
}
