//! Cursors of lists of measurements: an order and the position of a measurement in it.

use super::{MeasurementOrder, MeasurementPosition, MeasurementSortKey};
use crate::{
    error::{Error, Result},
    model::{
        MetricId, Timestamp,
        filter::Number,
        order::Sort,
        page_cursor::{VERSION, from_text, take, to_text},
    },
};

/// Distinguishes these cursors from those of other lists, which are numbered from zero.
const LIST: u8 = b'm';

fn header(order: MeasurementOrder, sort: Sort) -> [u8; 3] {
    let order = match order {
        MeasurementOrder::Timestamp => 0,
        MeasurementOrder::Value => 1,
    };
    [VERSION, LIST, order << 1 | u8::from(sort == Sort::Descending)]
}

/// The cursor of the measurement at a position.
pub fn encode(order: MeasurementOrder, sort: Sort, place: MeasurementPosition) -> String {
    let mut bytes = Vec::with_capacity(23);
    bytes.extend(header(order, sort));
    bytes.extend(match place.key {
        MeasurementSortKey::Timestamp(timestamp) => timestamp.as_micros().to_be_bytes(),
        MeasurementSortKey::Value(value) => value.0.to_bits().to_be_bytes(),
    });
    bytes.extend(place.id.0.to_be_bytes());
    to_text(bytes)
}

/// The position that a cursor names in an order.
///
/// # Errors
/// [`Error::Input`] if the text is not a cursor of such a list, or is one of another order.
pub fn decode(cursor: &str, order: MeasurementOrder, sort: Sort) -> Result<MeasurementPosition> {
    let refuse = || Error::input("after", "is not a cursor of this list; use one from pageInfo or an edge unchanged");
    let content = from_text(cursor).ok_or_else(refuse)?;
    if !content.starts_with(&[VERSION, LIST]) {
        return Err(refuse());
    }
    let Some(mut rest) = content.strip_prefix(&header(order, sort)) else {
        let message = "is a cursor of another order; page on with the orderBy that it came from, or from the start";
        return Err(Error::input("after", message));
    };
    let read = |rest: &mut &[u8]| {
        let key = u64::from_be_bytes(take(rest)?);
        let id = MetricId(i64::from_be_bytes(take(rest)?));
        let key = match order {
            MeasurementOrder::Timestamp => MeasurementSortKey::Timestamp(Timestamp::from_micros(key.cast_signed())),
            MeasurementOrder::Value => {
                MeasurementSortKey::Value(Number(Some(f64::from_bits(key)).filter(|value| value.is_finite())?))
            }
        };
        rest.is_empty().then_some(MeasurementPosition { key, id })
    };
    read(&mut rest).ok_or_else(refuse)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_contain_their_order_and_position() {
        let places = [
            (MeasurementOrder::Timestamp, MeasurementSortKey::Timestamp(Timestamp::from_micros(-7))),
            (MeasurementOrder::Value, MeasurementSortKey::Value(Number(0.1))),
        ];
        for (order, key) in places {
            let place = MeasurementPosition { key, id: MetricId(i64::MAX) };
            let cursor = encode(order, Sort::Descending, place);
            assert_eq!(decode(&cursor, order, Sort::Descending).unwrap(), place);
            let other =
                if order == MeasurementOrder::Value { MeasurementOrder::Timestamp } else { MeasurementOrder::Value };
            for (order, sort) in [(order, Sort::Ascending), (other, Sort::Descending)] {
                let refused = decode(&cursor, order, sort).unwrap_err().to_string();
                assert!(refused.starts_with("after: is a cursor of another order"), "{refused}");
            }
            for length in 0..cursor.len() {
                let refused = decode(&cursor[..length], order, Sort::Descending).unwrap_err().to_string();
                assert!(refused.starts_with("after: is not a cursor of this list"), "{refused}");
            }
        }
        let infinite = MeasurementPosition { key: MeasurementSortKey::Value(Number(f64::INFINITY)), id: MetricId(1) };
        assert!(
            decode(
                &encode(MeasurementOrder::Value, Sort::Ascending, infinite),
                MeasurementOrder::Value,
                Sort::Ascending
            )
            .is_err()
        );
    }
}
