//! The status of a project: whether it is monitored and accepts metrics.

/// Status of a project.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ProjectStatus {
    /// Monitored.
    Active,
    /// Not monitored at present; metrics are still accepted.
    Paused,
    /// Read-only; metrics are refused.
    Archived,
}

impl ProjectStatus {
    /// The number stored in the database.
    pub const fn code(self) -> i16 {
        match self {
            Self::Active => 0,
            Self::Paused => 1,
            Self::Archived => 2,
        }
    }

    /// The status stored as this number.
    pub const fn from_code(code: i16) -> Self {
        match code {
            0 => Self::Active,
            1 => Self::Paused,
            // The table's CHECK allows no other number than 2 here.
            _ => Self::Archived,
        }
    }
}
