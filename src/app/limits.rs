//! What one operation may ask for, as the configuration says.

use crate::{config::Config, graphql::Limits, reports::comparison};

/// The bounds of the engine.
pub(super) const fn of(config: &Config) -> Limits {
    let limits = &config.limits;
    Limits {
        page_size_default: limits.page_size_default,
        page_size_max: limits.page_size_max,
        page_offset_max: limits.page_offset_max,
        filter_depth_max: limits.filter_depth_max,
        filter_conditions_max: limits.filter_conditions_max,
        document_bytes_max: limits.document_bytes_max,
        tokens_max: limits.tokens_max,
        definitions_max: limits.definitions_max,
        depth_max: limits.depth_max,
        aliases_max: limits.aliases_max,
        root_fields_max: limits.root_fields_max,
        directives_max: limits.directives_max,
        fields_max: limits.fields_max,
        cost_max: limits.cost_max,
        team_change_max: limits.team_change_max,
        departments_max: limits.departments_max,
        exact_rows_max: limits.exact_rows_max,
        buckets_max: limits.buckets_max,
        groups_max: limits.groups_max,
        comparison: comparison::Limits {
            minutes_max: limits.comparison_minutes_max,
            endpoints_max: limits.comparison_endpoints_max,
        },
        document_cache_bytes_max: limits.document_cache_bytes_max,
    }
}
