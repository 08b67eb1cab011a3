//! Releases: measurements that carry the version they were taken with, markers of what was deployed when, and what became
//! of the figures from one to the next.

mod comparisons;
mod markers;
mod tags;
