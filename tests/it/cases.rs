//! Every case file on both databases: the answer and the statements are as the snapshot beside it says.

use std::fmt::Write;

use crate::harness::{Server, TestDatabase, World, case, server::repository, snapshot};

async fn start(seed: &str, make: impl AsyncFn() -> TestDatabase) -> (Server, World) {
    let server = Server::fixed(make().await).await;
    let world = server.seed(seed).await;
    (server, world)
}

async fn run(database: &str, make: impl AsyncFn() -> TestDatabase) {
    let folder = repository("tests/it/cases");
    let mut cases = case::all(&folder);
    assert!(!cases.is_empty(), "no case below {}", folder.display());
    let mut report = String::new();
    // Seed by seed, so that one server is open at a time: the database takes only so many connections.
    cases.sort_by(|one, other| one.seed.cmp(&other.seed));
    let mut shared: Option<(String, Server, World)> = None;
    for case in &cases {
        let name = case.file.strip_prefix(&folder).unwrap().display();
        // Queries change nothing, so those of the same seed share a database; a mutation has one of its own, whose
        // connections go with it.
        let outcome = if case.is_mutation() {
            let (server, world) = start(&case.seed, &make).await;
            let outcome = case.run(&server, &world).await;
            server.stop().await;
            outcome
        } else {
            if shared.as_ref().is_none_or(|(seed, ..)| *seed != case.seed) {
                if let Some((_, server, _)) = shared.take() {
                    server.stop().await;
                }
                let (server, world) = start(&case.seed, &make).await;
                shared = Some((case.seed.clone(), server, world));
            }
            let (_, server, world) = shared.as_ref().unwrap();
            case.run(server, world).await
        };
        let (count, allowed) = (outcome.statements.len(), case.statements(database));
        if count != allowed {
            writeln!(report, "{name}: {count} statements on {database}, its head says {allowed}").unwrap();
        }
        if let Some(difference) = snapshot::compare(&case.file, database, &outcome) {
            writeln!(report, "{name} on {database}:\n{difference}").unwrap();
        }
    }
    let advice =
        "read each NAME.snap.new; when it is right, rename it to NAME.snap, or accept all by UPDATE_SNAPSHOTS=1";
    assert!(report.is_empty(), "\n{report}\n{advice}\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_on_sqlite() {
    run("sqlite", TestDatabase::sqlite).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_on_postgres() {
    run("postgres", TestDatabase::postgres_with_partitions).await;
}

/// A snapshot without a case would be kept for ever.
#[test]
fn every_snapshot_has_its_case() {
    let rooms = std::fs::read_dir(repository("tests/it/cases")).unwrap().map(|room| room.unwrap().path());
    let files = rooms.flat_map(|room| std::fs::read_dir(room).unwrap().map(|file| file.unwrap().path()));
    let orphans: Vec<_> = files
        .filter(|file| file.extension().is_some_and(|extension| extension == "snap"))
        .filter(|file| !file.with_extension("graphql").exists())
        .collect();
    assert!(orphans.is_empty(), "{orphans:?}");
}
