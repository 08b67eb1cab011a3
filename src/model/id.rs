//! Identifiers: one newtype per entity, so that an employee id is never passed for a project id.
//!
//! Ids are made by the application and ordered by time: 41 bits of milliseconds, 8 bits of node, 14 bits of sequence.
//! A batch of metrics takes one contiguous range, so that a cursor identifies a row by batch and ordinal.
//!
//! The clock only moves ids forward. They never depend on it: a node takes its ids from blocks that the database hands out
//! once each, in ascending order.

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

impl OrganizationId {
    /// The organization for the server's own metrics. Every instance knows it without a look into the database, also before
    /// the first one creates it. Generated ids are not negative, and databases that are older than this id keep the one that
    /// their organization has: see `Database::own_organization`.
    pub const OWN: Self = Self(-2);
}

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

impl MetricId {
    /// The time at which the server received the measurement, in whole milliseconds: ids are made of it.
    pub const fn received_at(self) -> Timestamp {
        Timestamp::from_millis((self.0 >> (NODE_BITS + SEQUENCE_BITS)) + EPOCH_MS)
    }
}

const SEQUENCE_BITS: u32 = 14;
const NODE_BITS: u32 = 8;
/// 2024-01-01T00:00:00Z in milliseconds: 41 bits from here last until 2093.
const EPOCH_MS: i64 = 1_704_067_200_000;
/// The end of the milliseconds that an id has room for.
const END_MS: i64 = 1 << (63 - NODE_BITS - SEQUENCE_BITS);
/// A clock later than this, in 2076, counts as this: a wrong clock must not use up the ids of a node.
const CLOCK_MS_MAX: i64 = END_MS - (END_MS >> 2);

/// The node that made an id.
pub const fn node(id: i64) -> u8 {
    (id >> SEQUENCE_BITS).to_le_bytes()[0]
}

/// The most ids that one [`IdBlock::reserve`] can hand out as an unbroken range.
pub const RESERVATION_MAX: u32 = 1 << SEQUENCE_BITS;

/// A place among the ids of one node: the milliseconds since 2024 in the high bits, the sequence number in the low ones. The
/// ids of a node ascend with their places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct IdPlace(i64);

impl IdPlace {
    /// Behind all places.
    pub const END: Self = Self(END_MS << SEQUENCE_BITS);

    /// The place as the database stores it.
    pub const fn from_stored(place: i64) -> Self {
        Self(place)
    }

    /// The number that the database stores.
    pub const fn stored(self) -> i64 {
        self.0
    }

    /// The first place of the millisecond of this time. A time before 2024 or after 2076 counts as that year.
    pub fn at(time: Timestamp) -> Self {
        Self((time.as_millis() - EPOCH_MS).clamp(0, CLOCK_MS_MAX) << SEQUENCE_BITS)
    }

    /// The place this many milliseconds later, or the end.
    #[must_use]
    pub fn plus_ms(self, ms: i64) -> Self {
        Self(self.0.saturating_add(ms.saturating_mul(1 << SEQUENCE_BITS)).min(Self::END.0))
    }

    /// The milliseconds from `earlier` to this place; negative if it is later.
    pub const fn ms_since(self, earlier: Self) -> i64 {
        (self.0 - earlier.0) >> SEQUENCE_BITS
    }
}

/// The places that one node may still make ids of, in ascending order.
#[derive(Debug)]
pub struct IdBlock {
    node: u8,
    next: IdPlace,
    end: IdPlace,
}

impl IdBlock {
    /// The places from `first` to before `end` of a node. `node` tells instances apart.
    pub const fn new(node: u8, first: IdPlace, end: IdPlace) -> Self {
        Self { node, next: first, end }
    }

    /// The node of these ids.
    pub const fn node(&self) -> u8 {
        self.node
    }

    /// The next free place.
    pub const fn next(&self) -> IdPlace {
        self.next
    }

    /// The end of the block.
    pub const fn end(&self) -> IdPlace {
        self.end
    }

    /// Adds the places up to `end`.
    pub fn extend(&mut self, end: IdPlace) {
        self.end = self.end.max(end);
    }

    /// The first of `count` consecutive ids, or `None` if the block has no room for them. `count` is clamped to
    /// [`RESERVATION_MAX`].
    ///
    /// A clock that stands still, goes back or is beyond the block only has the effect that ids count on from the last one. If
    /// a millisecond has no sequence numbers left, the ids are of the next one.
    pub fn reserve(&mut self, now: Timestamp, count: u32) -> Option<i64> {
        let count = i64::from(count.clamp(1, RESERVATION_MAX));
        let fitting = |place: i64| {
            let used = place & (i64::from(RESERVATION_MAX) - 1);
            if used + count > i64::from(RESERVATION_MAX) {
                ((place >> SEQUENCE_BITS) + 1) << SEQUENCE_BITS
            } else {
                place
            }
        };
        let by_clock = fitting(self.next.0.max(IdPlace::at(now).0));
        let start = if by_clock + count <= self.end.0 { by_clock } else { fitting(self.next.0) };
        debug_assert!(start + count <= IdPlace::END.0, "the ids of node {} are used up", self.node);
        if start + count > self.end.0 {
            return None;
        }
        self.next = IdPlace(start + count);
        let sequence = start & (i64::from(RESERVATION_MAX) - 1);
        Some(
            (start >> SEQUENCE_BITS << (NODE_BITS + SEQUENCE_BITS))
                | (i64::from(self.node) << SEQUENCE_BITS)
                | sequence,
        )
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::vec, prelude::*};

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn all_of(node: u8) -> IdBlock {
        IdBlock::new(node, IdPlace::from_stored(0), IdPlace::END)
    }

    #[test]
    fn ids_grow_and_ranges_never_overlap() {
        let mut ids = all_of(3);
        let mut last = 0;
        for count in [1, 10_000, 10_000, 16_384, 1, 7] {
            let first = ids.reserve(NOW, count).unwrap();
            assert!(first > last, "{first} after {last}");
            last = first + i64::from(count) - 1;
            assert_eq!(first >> 22, last >> 22, "a range stays inside one millisecond and node");
            assert_eq!((node(first), node(last)), (3, 3));
        }
    }

    #[test]
    fn the_id_of_a_measurement_tells_when_it_was_received() {
        let first = all_of(255).reserve(NOW.plus_micros(999), 16_384).unwrap();
        assert_eq!([MetricId(first).received_at(), MetricId(first + 16_383).received_at()], [NOW, NOW]);
    }

    #[test]
    fn nodes_never_share_an_id() {
        assert_ne!(all_of(0).reserve(NOW, 1), all_of(1).reserve(NOW, 1));
    }

    #[test]
    fn a_block_ends_and_goes_on_where_it_ended() {
        let first = IdPlace::at(NOW);
        let mut ids = IdBlock::new(0, first, first.plus_ms(1));
        let last = ids.reserve(NOW, 16_384).unwrap() + 16_383;
        assert_eq!(ids.reserve(NOW.plus_micros(1_000_000), 1), None);
        ids.extend(first.plus_ms(2));
        assert!(ids.reserve(NOW, 1).unwrap() > last);
        assert_eq!((ids.next().ms_since(first), ids.end().ms_since(first)), (1, 2));
    }

    proptest! {
        /// Blocks follow each other as the database hands them out, under a clock that says anything at all.
        #[test]
        fn ids_ascend_under_any_clock(steps in vec((any::<i64>(), 0_u32..20_000, any::<bool>()), 1..60)) {
            let mut ids = IdBlock::new(7, IdPlace::from_stored(0), IdPlace::from_stored(0));
            let mut last = -1;
            for (micros, count, is_restarted) in steps {
                let now = Timestamp::from_micros(micros);
                if is_restarted {
                    let first = ids.end().max(IdPlace::at(now));
                    ids = IdBlock::new(7, first, first.plus_ms(5));
                }
                if let Some(first) = ids.reserve(now, count) {
                    prop_assert!(first > last, "{} after {}", first, last);
                    prop_assert_eq!((first >> 14) & 255, 7);
                    last = first + i64::from(count.clamp(1, RESERVATION_MAX)) - 1;
                }
            }
        }
    }
}
