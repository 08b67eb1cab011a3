//! The basis of all behaviour tests: a database per test on both engines, a real server, builders that fill the
//! database, and case files with their snapshots.

pub mod books;
pub mod broker;
pub mod builders;
pub mod case;
pub mod cluster;
pub mod database;
pub mod doubled;
pub mod held;
pub mod node;
pub mod pooler;
pub mod process;
pub mod proxy;
pub mod server;
pub mod snapshot;
pub mod socket;
pub mod sql;
pub mod timer;
pub mod wait;

pub use builders::{Seed, World};
pub use database::TestDatabase;
pub use node::NodeClient;
pub use server::{Reply, Server};

/// Defines two tests of one behaviour, `sqlite` and `postgres`, in a module named after the behaviour.
#[macro_export]
macro_rules! on_both_databases {
    ($(#[$meta:meta])* async fn $name:ident($database:ident: TestDatabase) $body:block) => {
        $(#[$meta])*
        mod $name {
            use super::*;

            async fn check($database: $crate::harness::TestDatabase) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                $crate::harness::wait::in_time(check($crate::harness::TestDatabase::sqlite().await)).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                $crate::harness::wait::in_time(check($crate::harness::TestDatabase::postgres().await)).await;
            }
        }
    };
}
