//! The word that goes from instance to instance: an organization has moved on, and how far.

use std::str::FromStr;

use thiserror::Error;

use crate::model::OrganizationId;

/// How far an organization is, as far as somebody knows. A hint: what it says is looked up before it is believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Poke {
    /// Whose counters moved.
    pub organization: OrganizationId,
    /// The last commit of metrics, where that moved.
    pub sequence: Option<i64>,
    /// The last change of anything else, where that moved.
    pub change: Option<i64>,
}

/// The text is not a poke.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("not a poke")]
pub struct NotAPoke;

impl Poke {
    /// Metrics were committed up to this sequence.
    pub const fn committed(organization: OrganizationId, sequence: i64) -> Self {
        Self { organization, sequence: Some(sequence), change: None }
    }

    /// The later of both, counter by counter. Both must be of one organization.
    pub fn merge(&mut self, other: Self) {
        self.sequence = self.sequence.max(other.sequence);
        self.change = self.change.max(other.change);
    }

    /// Pokes as texts of at most `bytes_max` bytes, as many in each as fit.
    pub fn texts(pokes: &[Self], bytes_max: usize) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        for poke in pokes.iter().map(Self::text) {
            match texts.last_mut() {
                Some(last) if last.len() + 1 + poke.len() <= bytes_max => {
                    last.push(' ');
                    last.push_str(&poke);
                }
                _ => texts.push(poke),
            }
        }
        texts
    }

    /// The pokes of a text. What is none is left out: an instance of another version may say more.
    pub fn read(text: &str) -> Vec<Self> {
        text.split(' ').filter_map(|poke| poke.parse().ok()).collect()
    }

    fn text(&self) -> String {
        let number = |number: Option<i64>| number.map_or_else(String::new, |number| number.to_string());
        format!("{}:{}:{}", self.organization.0, number(self.sequence), number(self.change))
    }
}

impl FromStr for Poke {
    type Err = NotAPoke;

    fn from_str(text: &str) -> Result<Self, NotAPoke> {
        let mut parts = text.splitn(3, ':');
        let mut part = || parts.next().ok_or(NotAPoke);
        let organization = part()?.parse().map(OrganizationId).map_err(|_| NotAPoke)?;
        let number = |text: &str| match text {
            "" => Ok(None),
            text => text.parse().map(Some).map_err(|_| NotAPoke),
        };
        let (sequence, change) = (number(part()?)?, number(part()?)?);
        Ok(Self { organization, sequence, change })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pokes_go_as_text_in_pieces_and_come_back() {
        let pokes: Vec<_> = (1..100)
            .map(|number| Poke {
                organization: OrganizationId(number << 40),
                sequence: (number % 2 == 0).then_some(number),
                change: (number % 3 == 0).then_some(i64::MAX),
            })
            .collect();
        let texts = Poke::texts(&pokes, 200);
        assert!(texts.len() > 10 && texts.iter().all(|text| text.len() <= 200));
        let back: Vec<_> = texts.iter().flat_map(|text| Poke::read(text)).collect();
        assert_eq!(back, pokes);
    }

    #[test]
    fn what_is_no_poke_is_left_out() {
        assert_eq!(Poke::read("x 1 1: 1:2 1:x: 7:8: :1:"), [Poke::committed(OrganizationId(7), 8)]);
        assert!(Poke::texts(&[], 10).is_empty() && Poke::read("").is_empty());
    }
}
