//! Notices between instances: the last commit and the last change of an organization.

use std::str::FromStr;

use thiserror::Error;

use crate::model::OrganizationId;

/// The last commit and change of an organization, as far as the sender knows. Receivers read the database before they rely
/// on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct CommitNotice {
    /// The organization.
    pub organization: OrganizationId,
    /// The last commit of metrics, if it advanced.
    pub sequence: Option<i64>,
    /// The last entry of the change log, if it advanced.
    pub change: Option<i64>,
}

/// The text is not a notice.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a notice")]
pub struct InvalidNotice;

impl CommitNotice {
    /// A notice of metrics committed up to this sequence.
    pub const fn committed(organization: OrganizationId, sequence: i64) -> Self {
        Self { organization, sequence: Some(sequence), change: None }
    }

    /// Takes the higher value of each counter. Both notices must be of the same organization.
    pub fn merge(&mut self, other: Self) {
        self.sequence = self.sequence.max(other.sequence);
        self.change = self.change.max(other.change);
    }

    /// Joins notices into texts of at most `bytes_max` bytes each.
    pub fn texts(notices: &[Self], bytes_max: usize) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for notice in notices.iter().map(Self::text) {
            match texts.last_mut() {
                Some(last) if last.len() + 1 + notice.len() <= bytes_max => {
                    last.push(' ');
                    last.push_str(&notice);
                }
                _ => texts.push(notice),
            }
        }
        texts
    }

    /// Parses the notices of a text. Unknown parts are ignored, since an instance of another version may send more.
    pub fn parse_all(text: &str) -> Vec<Self> {
        text.split(' ').filter_map(|notice| notice.parse().ok()).collect()
    }

    fn text(&self) -> String {
        let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        format!("{}:{}:{}", self.organization.0, number(self.sequence), number(self.change))
    }
}

impl FromStr for CommitNotice {
    type Err = InvalidNotice;

    fn from_str(text: &str) -> Result<Self, InvalidNotice> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(InvalidNotice);
        let organization = part()?.parse().map(OrganizationId).map_err(|_| InvalidNotice)?;
        let number = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| InvalidNotice),
        };
        let (sequence, change) = (number(part()?)?, number(part()?)?);
        Ok(Self { organization, sequence, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notices_survive_as_texts_of_bounded_length() {
        let notices: Vec<_> = (1..100)
            .map(|number| CommitNotice {
                organization: OrganizationId(number << 40),
                sequence: (number % 2 == 0).then_some(number),
                change: (number % 3 == 0).then_some(i64::MAX),
            })
            .collect();
        let texts = CommitNotice::texts(&notices, 200);
        assert!(texts.len() > 10 && texts.iter().all(|text| text.len() <= 200));
        let back: Vec<_> = texts.iter().flat_map(|text| CommitNotice::parse_all(text)).collect();
        assert_eq!(back, notices);
    }

    #[test]
    fn unknown_parts_are_ignored() {
        assert_eq!(
            CommitNotice::parse_all("x 1 1: 1:2 1:x: 7:8: :1:"),
            [CommitNotice::committed(OrganizationId(7), 8)]
        );
        assert!(CommitNotice::texts(&[], 10).is_empty() && CommitNotice::parse_all("").is_empty());
    }
}
