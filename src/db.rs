//! Connections to SQLite and PostgreSQL: pools, sessions that count statements, migrations, and the few places where
//! the two dialects differ. Rooms build their own statements; this room never knows what they mean. Its only table is that
//! of the leases of instances.

mod bound_statement;
mod column;
mod commit_notices;
pub mod compare;
mod connection;
mod connections;
mod control;
pub mod error;
pub mod file;
pub mod instance;
mod json;
pub mod lease;
mod line;
pub mod list;
pub mod migrate;
pub mod pool;
mod recovery;
pub mod session;
mod session_settings;
pub mod statement;
mod stock;
pub mod sum;
mod taken;
mod temporary_files;
mod tls;
mod unreachable;
mod watch;

pub use bound_statement::BoundStatement;
pub use column::column;
pub use error::{is_rolled_back, is_too_long};
pub use instance::Instance;
pub use json::json_array;
pub use lease::{IdGenerator, Lease};
pub use pool::{Backend, Database, Writer};
pub use session::{Session, Transaction};
pub use statement::{Statement, StatementLog};
pub use stock::Stock;
pub use taken::Taken;
