//! The rules of ARCHITECTURE.md and CONTRIBUTING.md, each as a test: a rule without a test fades.
//! One file per kind of rule: its table, its check, the test of the repository, and `planted`, where the check is shown
//! a text that breaks the rule and the nearest text that keeps it, so that no check can pass by finding nothing.
//! `reader` parses Rust with syn; `source` parses every file once; `resolve` follows names to the files that define them.

mod arrows;
mod calls;
mod circles;
mod dependencies;
mod documents;
mod finding;
mod frameworks;
mod house_map;
mod licences;
mod migrations;
mod modules;
mod packages;
mod paths;
mod phrases;
mod reader;
mod reports;
mod resolve;
mod scope;
mod share;
mod source;
mod unfinished;
mod waits;
