//! The live windows of a server, as its configuration bounds them.

use super::{Core, narrow};
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
    let micros = |milliseconds: u64| i64::try_from(milliseconds).unwrap_or(i64::MAX).saturating_mul(1_000);
    let bounds = Bounds {
        window_max: i64::from(live.window_max_hours).saturating_mul(HOUR_MICROS),
        every_min: micros(live.window_every_min_ms),
        slots_max: i64::from(narrow(live.window_steps_max)),
        groups_max: live.window_groups_max,
        cells_max: live.window_cells_max,
        windows_max: live.windows_max,
    };
    let pace = Pace { delay: micros(live.window_delay_ms), grace: micros(live.window_grace_ms) };
    Windows::new(bounds, pace, core.database.clone(), core.clock.clone(), &core.publisher)
}
