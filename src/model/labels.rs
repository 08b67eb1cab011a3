//! Labels of a measurement: pairs of a key and a value that say where it comes from, such as a region or a build. They are
//! kept with the measurement and are no dimension of aggregates, so their values may be as many as there are measurements.

use std::sync::Arc;

use serde_json::{Map, Value};

/// A label.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Label {
    /// The key, unique within the measurement.
    pub key: String,
    /// The value.
    pub value: String,
}

/// The labels of a measurement, ordered by key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Labels {
    /// It has none.
    #[default]
    None,
    /// They were not read with the measurement; the key of the measurement finds them.
    Unread,
    /// At least one.
    Some(Arc<[Label]>),
}

impl Labels {
    /// These labels, whose keys differ.
    pub fn of(mut labels: Vec<Label>) -> Self {
        if labels.is_empty() {
            return Self::None;
        }
        labels.sort_unstable();
        Self::Some(labels.into())
    }

    /// The labels, if they were read.
    pub fn as_slice(&self) -> &[Label] {
        if let Self::Some(labels) = self { labels } else { &[] }
    }

    /// The labels as the database stores them: an object in JSON. `None` without labels.
    pub fn to_stored(&self) -> Option<String> {
        let pair = |label: &Label| (label.key.clone(), Value::String(label.value.clone()));
        match self {
            Self::Some(labels) => Some(Value::Object(labels.iter().map(pair).collect()).to_string()),
            Self::None | Self::Unread => None,
        }
    }

    /// Reads labels as [`Self::to_stored`] wrote them. `None` for another text.
    pub fn from_stored(text: &str) -> Option<Self> {
        let object: Map<String, Value> = serde_json::from_str(text).ok()?;
        let label = |(key, value)| match value {
            Value::String(value) => Some(Label { key, value }),
            _ => None,
        };
        object.into_iter().map(label).collect::<Option<_>>().map(Self::of)
    }
}

#[cfg(test)]
mod tests {
    use proptest::{collection::btree_map, prelude::*};

    use super::*;

    fn label(key: &str, value: &str) -> Label {
        Label { key: key.to_owned(), value: value.to_owned() }
    }

    #[test]
    fn labels_are_ordered_by_key() {
        let labels = Labels::of(vec![label("b", "1"), label("a", "2"), label("B", "3")]);
        let keys: Vec<_> = labels.as_slice().iter().map(|label| &*label.key).collect();
        assert_eq!(keys, ["B", "a", "b"]);
        assert_eq!(labels.to_stored().unwrap(), r#"{"B":"3","a":"2","b":"1"}"#);
        assert_eq!(Labels::of(Vec::new()), Labels::None);
        assert_eq!((Labels::None.to_stored(), Labels::Unread.to_stored()), (None, None));
    }

    #[test]
    fn another_text_is_no_labels() {
        for wrong in ["", "null", "[]", "{\"a\":1}", "{\"a\":\"b\""] {
            assert_eq!(Labels::from_stored(wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn stored_labels_read_back(pairs in btree_map(".{1,8}", ".{0,8}", 0..10)) {
            let labels = Labels::of(pairs.iter().map(|(key, value)| label(key, value)).collect());
            match labels.to_stored() {
                Some(text) => prop_assert_eq!(Labels::from_stored(&text), Some(labels)),
                None => prop_assert!(pairs.is_empty()),
            }
        }
    }
}
