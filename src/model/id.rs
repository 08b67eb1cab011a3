//! Identifiers: one newtype per entity, so that an employee id is never passed for a project id.
//!
//! Ids are made by the application and ordered by time: 41 bits of milliseconds, 8 bits of node, 14 bits of sequence.
//! A batch of metrics takes one contiguous range, so that a cursor identifies a row by batch and ordinal.

use std::sync::atomic::{AtomicI64, Ordering};

use sea_orm::DeriveValueType;

use super::Timestamp;

macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, DeriveValueType)]
        pub struct $name(pub i64);

        impl From<$name> for i64 {
            fn from(id: $name) -> Self {
                id.0
            }
        }
    };
}

identifier!(
    /// An organization: the tenant that owns everything below it.
    OrganizationId
);
identifier!(
    /// An employee of one organization.
    EmployeeId
);
identifier!(
    /// A monitored service of one organization.
    ProjectId
);
identifier!(
    /// A path (route, query, page) measured in one project. Zero stands for all endpoints together.
    EndpointId
);
identifier!(
    /// A version of a project's software.
    ReleaseId
);
identifier!(
    /// One recorded measurement.
    MetricId
);

impl EndpointId {
    /// The rollup rows that hold all endpoints of a project together.
    pub const ALL: Self = Self(0);
}

/// A primary key: ids below an organization are only ever used together with the organization's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Key<Id> {
    /// The tenant.
    pub organization: OrganizationId,
    /// The id inside the tenant.
    pub id: Id,
}

impl<Id> Key<Id> {
    /// Puts a tenant and an id together.
    pub const fn new(organization: OrganizationId, id: Id) -> Self {
        Self { organization, id }
    }
}

const SEQUENCE_BITS: u32 = 14;
const NODE_BITS: u32 = 8;
/// 2024-01-01T00:00:00Z in milliseconds: 41 bits from here last until 2093.
const EPOCH_MS: i64 = 1_704_067_200_000;

/// The most ids that one [`IdGenerator::reserve`] can hand out as an unbroken range.
pub const RESERVATION_MAX: u32 = 1 << SEQUENCE_BITS;

/// Generates time-ordered ids, unique across the instances of an installation if their nodes differ.
#[derive(Debug)]
pub struct IdGenerator {
    node: u8,
    /// Milliseconds since [`EPOCH_MS`] in the high bits, the next free sequence number in the low [`SEQUENCE_BITS`].
    next: AtomicI64,
}

impl IdGenerator {
    /// A generator for one instance; `node` tells instances apart.
    pub const fn new(node: u8) -> Self {
        Self { node, next: AtomicI64::new(0) }
    }

    /// The next id.
    pub fn next(&self, now: Timestamp) -> i64 {
        self.reserve(now, 1)
    }

    /// The first of `count` consecutive ids. `count` is clamped to [`RESERVATION_MAX`].
    ///
    /// If a millisecond has no sequence numbers left, the generator uses the next millisecond instead of waiting.
    pub fn reserve(&self, now: Timestamp, count: u32) -> i64 {
        let count = i64::from(count.clamp(1, RESERVATION_MAX));
        let clock = (now.as_millis() - EPOCH_MS).max(0) << SEQUENCE_BITS;
        let start_after = |next: i64| {
            let start = next.max(clock);
            let used = start & (i64::from(RESERVATION_MAX) - 1);
            if used + count > i64::from(RESERVATION_MAX) {
                ((start >> SEQUENCE_BITS) + 1) << SEQUENCE_BITS
            } else {
                start
            }
        };
        // The closure always answers Some, so both arms carry the previous value.
        let (Ok(previous) | Err(previous)) =
            self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| Some(start_after(next) + count));
        let start = start_after(previous);
        let milliseconds = start >> SEQUENCE_BITS;
        let sequence = start & (i64::from(RESERVATION_MAX) - 1);
        (milliseconds << (NODE_BITS + SEQUENCE_BITS)) | (i64::from(self.node) << SEQUENCE_BITS) | sequence
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_and_ranges_never_overlap() {
        let ids = IdGenerator::new(3);
        let now = Timestamp::from_millis(1_800_000_000_000);
        let mut last = 0;
        for count in [1, 10_000, 10_000, 16_384, 1, 7] {
            let first = ids.reserve(now, count);
            assert!(first > last, "{first} after {last}");
            last = first + i64::from(count) - 1;
            assert_eq!(first >> 22, last >> 22, "a range stays inside one millisecond and node");
        }
    }

    #[test]
    fn nodes_never_share_an_id() {
        let now = Timestamp::from_millis(1_800_000_000_000);
        assert_ne!(IdGenerator::new(0).next(now), IdGenerator::new(1).next(now));
    }

    #[test]
    fn a_clock_that_jumps_back_does_not_repeat() {
        let ids = IdGenerator::new(0);
        let first = ids.next(Timestamp::from_millis(1_800_000_000_000));
        assert!(ids.next(Timestamp::from_millis(1_700_000_000_000)) > first);
    }
}
