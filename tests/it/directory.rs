//! Reading the directory: filters, orders and pages answer what brute force over the same rows answers.

mod explain;
mod filters;
mod orders;
mod walks;
mod world;
