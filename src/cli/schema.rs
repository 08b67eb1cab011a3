//! `perfgraph schema`: prints the GraphQL schema, or compares it with a file.

use super::{arguments::Schema, failure::Failure, output};
use crate::graphql::schema;

/// Runs the command.
pub fn run(command: &Schema) -> Result<(), Failure> {
    match command {
        Schema::Print => output::print(&schema::sdl()),
        Schema::Check { file } => {
            let text = std::fs::read_to_string(file)
                .map_err(|error| Failure::Data(format!("{} cannot be read: {error}", file.display())))?;
            if text == schema::sdl() {
                return Ok(());
            }
            let name = file.display();
            Err(Failure::Data(format!(
                "{name} differs from the schema of this binary; run `perfgraph schema print > {name}`"
            )))
        }
    }
}
