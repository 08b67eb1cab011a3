//! The description of the sample data and the measurements that follow from it, without a database: `seed` fills a database
//! with them. Everything comes from `seed/sample.json` and a generator of random numbers.

mod description;
mod normal;
mod series;
mod strata;
mod timeline;

pub use description::{Organization, Project, Release, Sample, Status};
pub use series::{ProjectSeries, Series, all_series};
pub use timeline::Timeline;
