//! The position of a stream: the delivered commits of each organization, and the delivered rows of the next commit.

use std::collections::BTreeMap;

use super::OrganizationId;

/// The last row of a commit in an organization's stream of metrics, as an accepted submission returns it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StreamCursor {
    /// The organization of the stream.
    pub organization: OrganizationId,
    /// The commit, counted per organization without gaps.
    pub sequence: i64,
    /// The index of the row in the commit, from zero.
    pub ordinal: u32,
}

/// The position of a stream in one organization. Positions are ordered like commits.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CommitPosition {
    /// The last commit that was delivered completely.
    pub sequence: i64,
    /// The number of delivered rows of the next commit.
    pub rows: u32,
}

impl CommitPosition {
    /// The position directly after a commit.
    pub const fn after(sequence: i64) -> Self {
        Self { sequence, rows: 0 }
    }

    /// The position after `rows` of the `total` rows of a commit.
    pub const fn inside(sequence: i64, rows: u32, total: u32) -> Self {
        if rows >= total { Self::after(sequence) } else { Self { sequence: sequence - 1, rows } }
    }

    /// The last commit that was delivered at least in part.
    pub const fn touched(self) -> i64 {
        if self.rows > 0 { self.sequence + 1 } else { self.sequence }
    }
}

/// The position of a stream in each of its organizations. An organization without an entry is at the beginning.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CommitPositions(BTreeMap<OrganizationId, CommitPosition>);

impl CommitPositions {
    /// The position in one organization.
    pub fn of(&self, organization: OrganizationId) -> CommitPosition {
        self.0.get(&organization).copied().unwrap_or_default()
    }

    /// Sets the position in one organization.
    pub fn set(&mut self, organization: OrganizationId, position: CommitPosition) {
        // The beginning is not stored, so that equal positions compare equal.
        if position == CommitPosition::default() {
            self.0.remove(&organization);
        } else {
            self.0.insert(organization, position);
        }
    }

    /// True when it is at or after another position in every organization.
    pub fn reaches(&self, other: &Self) -> bool {
        other.iter().all(|(organization, position)| self.of(organization) >= position)
    }

    /// The positions after the beginning, by organization.
    pub fn iter(&self) -> impl Iterator<Item = (OrganizationId, CommitPosition)> + '_ {
        self.0.iter().map(|(organization, position)| (*organization, *position))
    }

    /// The last commit that was delivered at least in part; `None` unless exactly one organization has a position.
    pub fn last(&self) -> Option<StreamCursor> {
        let (organization, position) = self.iter().next().filter(|_| self.organizations() == 1)?;
        Some(StreamCursor { organization, sequence: position.touched(), ordinal: position.rows.saturating_sub(1) })
    }

    /// The number of organizations with a position.
    pub fn organizations(&self) -> usize {
        self.0.len()
    }
}

impl FromIterator<(OrganizationId, CommitPosition)> for CommitPositions {
    fn from_iter<I: IntoIterator<Item = (OrganizationId, CommitPosition)>>(places: I) -> Self {
        let mut positions = Self::default();
        for (organization, position) in places {
            positions.set(organization, position);
        }
        positions
    }
}

impl From<StreamCursor> for CommitPositions {
    fn from(cursor: StreamCursor) -> Self {
        Self::from_iter([(cursor.organization, CommitPosition::after(cursor.sequence))])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_are_ordered_as_commits_and_rows_are() {
        let order = [
            CommitPosition::default(),
            CommitPosition::inside(1, 2, 5),
            CommitPosition::inside(1, 5, 5),
            CommitPosition::inside(2, 1, 2),
            CommitPosition::after(2),
        ];
        assert!(order.is_sorted() && order.windows(2).all(|pair| pair[0] != pair[1]));
        assert_eq!(order.map(CommitPosition::touched), [0, 1, 1, 2, 2]);
    }

    #[test]
    fn a_position_reaches_another_in_every_organization() {
        let [one, two] = [OrganizationId(1), OrganizationId(2)];
        let at = |first, second| {
            CommitPositions::from_iter([(one, CommitPosition::after(first)), (two, CommitPosition::after(second))])
        };
        assert!(at(2, 2).reaches(&at(2, 1)) && at(2, 2).reaches(&at(0, 0)) && at(0, 0).reaches(&at(0, 0)));
        assert!(!at(2, 2).reaches(&at(1, 3)) && !at(0, 0).reaches(&at(0, 1)));
        assert_eq!(at(0, 3).organizations(), 1);
    }
}
