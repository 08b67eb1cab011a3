//! The one integration binary (placeholder: the harness and the cases come with it).
mod tidy;
