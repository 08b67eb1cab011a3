//! The command line: one file per command, none of which knows how the parts work inside.

pub mod arguments;
