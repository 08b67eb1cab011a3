//! The live windows of a server, as its configuration bounds them.

use std::time::Duration;

use super::Core;
use crate::{
    config::Config,
    live::{
        Windows,
        window::{Bounds, Pace, Runner},
    },
    model::timestamp::HOUR_MICROS,
};

/// The windows over what a core commits, and what runs them.
pub(super) fn over(config: &Config, core: &Core) -> (Windows, Runner) {
    let live = &config.live;
    let micros = |duration: Duration| i64::try_from(duration.as_micros()).unwrap_or(i64::MAX);
    let bounds = Bounds {
        window_max: i64::from(live.window_max_hours).saturating_mul(HOUR_MICROS),
        every_min: micros(live.window_every_min),
        slots_max: i64::try_from(live.window_steps_max).unwrap_or(i64::MAX),
        groups_max: live.window_groups_max,
        cells_max: live.window_cells_max,
        windows_max: live.windows_max,
    };
    let pace = Pace { delay: micros(live.window_delay), grace: micros(live.window_grace) };
    Windows::new(bounds, pace, core.database.clone(), core.clock.clone(), &core.publisher)
}
