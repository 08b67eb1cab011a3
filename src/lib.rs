//! Temporary map for this branch.

pub mod config;
pub mod cli {
    //! Temporary map for this branch.
    pub mod arguments;
}
