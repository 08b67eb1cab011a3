//! Cursors of the directory's lists: opaque texts that contain an order and the position of a row in it. A cursor of
//! another order or list is refused.

use super::{
    Record, RecordKey,
    order::{OrderField, SortKind, keys},
};
use crate::{
    error::{Error, Result},
    model::{
        filter::Number,
        order::{ListPosition, OrderBy, Sort, SortValue},
        page_cursor::{VERSION, from_text, take, to_text},
    },
};

/// The cursor of the row with this id. `value` returns the row's value of a field.
///
/// # Errors
/// `value` fails, because the row was read without a field of the order.
pub fn encode<'a, F: OrderField>(
    order: &[OrderBy<F>],
    id: i64,
    value: impl Fn(F) -> Result<SortValue<&'a str>>,
) -> Result<String> {
    let order = keys(order);
    let mut bytes = Vec::with_capacity(64);
    write_header(&mut bytes, order);
    for key in order {
        match value(key.field)? {
            SortValue::Unknown => bytes.push(0),
            SortValue::Text(text) => {
                // Neither database stores a longer text.
                bytes.extend(u32::try_from(text.len()).unwrap_or(u32::MAX).to_be_bytes());
                bytes.extend(text.as_bytes());
            }
            SortValue::Integer(number) => bytes.extend(number.to_be_bytes()),
            SortValue::Number(number) => {
                bytes.push(1);
                bytes.extend(number.0.to_bits().to_be_bytes());
            }
        }
    }
    bytes.extend(id.to_be_bytes());
    Ok(to_text(bytes))
}

/// The cursor of a row.
///
/// # Errors
/// The row was read without a field of the order.
pub fn of<N: Record>(order: &[OrderBy<N::OrderField>], row: &N) -> Result<String> {
    encode(order, row.key().number(), |field| field.value(row))
}

/// The position that a cursor names in an order.
///
/// # Errors
/// [`Error::Input`] with the argument if the text is not a cursor of such a list, or is one of another order.
pub fn decode<F: OrderField>(argument: &'static str, cursor: &str, order: &[OrderBy<F>]) -> Result<ListPosition> {
    let order = keys(order);
    let refuse = || Error::input(argument, "is not a cursor of this list; use one from pageInfo or an edge unchanged");
    let content = from_text(cursor).ok_or_else(refuse)?;
    if !content.starts_with(&[VERSION, F::LIST]) {
        return Err(refuse());
    }
    let mut expected = Vec::new();
    write_header(&mut expected, order);
    let Some(rest) = content.strip_prefix(expected.as_slice()) else {
        let message = "is a cursor of another order; page on with the orderBy that it came from, or from the start";
        return Err(Error::input(argument, message));
    };
    read(rest, order).ok_or_else(refuse)
}

/// Writes the list and the order.
fn write_header<F: OrderField>(bytes: &mut Vec<u8>, order: &[OrderBy<F>]) {
    bytes.extend([VERSION, F::LIST, u8::try_from(order.len()).unwrap_or(u8::MAX)]);
    bytes.extend(order.iter().map(|key| {
        let index = F::ALL.iter().position(|field| *field == key.field).and_then(|index| u8::try_from(index).ok());
        index.unwrap_or(u8::MAX >> 1) << 1 | u8::from(key.sort == Sort::Descending)
    }));
}

fn read<F: OrderField>(mut rest: &[u8], order: &[OrderBy<F>]) -> Option<ListPosition> {
    let values = order.iter().map(|key| value(&mut rest, key.field.kind())).collect::<Option<_>>()?;
    let id = i64::from_be_bytes(take(&mut rest)?);
    rest.is_empty().then_some(ListPosition { values, id })
}

fn value(rest: &mut &[u8], kind: SortKind) -> Option<SortValue> {
    match kind {
        SortKind::Text => {
            let length = usize::try_from(u32::from_be_bytes(take(rest)?)).ok()?;
            let (text, behind) = rest.split_at_checked(length)?;
            *rest = behind;
            let text = std::str::from_utf8(text).ok()?;
            // PostgreSQL cannot store NUL in text, so no row has this value.
            (!text.contains('\0')).then(|| SortValue::Text(text.to_owned()))
        }
        SortKind::Integer => Some(SortValue::Integer(i64::from_be_bytes(take(rest)?))),
        SortKind::OptionalNumber => match take(rest)? {
            [0] => Some(SortValue::Unknown),
            [1] => {
                let number = f64::from_bits(u64::from_be_bytes(take(rest)?));
                number.is_finite().then_some(SortValue::Number(Number(number)))
            }
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::directory::{EmployeeOrderField, ProjectOrderField};

    const ORDER: [OrderBy<EmployeeOrderField>; 3] = [
        OrderBy { field: EmployeeOrderField::Department, sort: Sort::Descending },
        OrderBy { field: EmployeeOrderField::Salary, sort: Sort::Ascending },
        OrderBy { field: EmployeeOrderField::CreatedAt, sort: Sort::Ascending },
    ];

    fn cursor(department: &str, salary: Option<f64>) -> String {
        encode(&ORDER, -5, |field| {
            Ok(match field {
                EmployeeOrderField::Department => SortValue::Text(department),
                EmployeeOrderField::Salary => salary.map_or(SortValue::Unknown, |one| SortValue::Number(Number(one))),
                _ => SortValue::Integer(i64::MAX),
            })
        })
        .unwrap()
    }

    #[test]
    fn cursors_round_trip() {
        for (department, salary) in [("Ünïcode 🦀", Some(0.1)), ("", None), ("a", Some(-0.0))] {
            let position = decode("after", &cursor(department, salary), &ORDER).unwrap();
            let salary = salary.map_or(SortValue::Unknown, |salary| SortValue::Number(Number(salary)));
            let values = vec![SortValue::Text(department.to_owned()), salary, SortValue::Integer(i64::MAX)];
            assert_eq!(position, ListPosition { values, id: -5 });
        }
    }

    #[test]
    fn a_cursor_of_another_order_or_type_is_refused() {
        let cursor = cursor("a", None);
        let refused = |order: &[_]| decode::<EmployeeOrderField>("after", &cursor, order).unwrap_err().to_string();
        let mut reversed = ORDER;
        reversed[0].sort = Sort::Ascending;
        for order in [&reversed[..], &ORDER[..2], &[], &[ORDER[1], ORDER[0], ORDER[2]]] {
            assert!(refused(order).starts_with("after: is a cursor of another order"), "{}", refused(order));
        }
        let project = decode::<ProjectOrderField>("before", &cursor, &[]).unwrap_err().to_string();
        assert!(project.starts_with("before: is not a cursor of this list"), "{project}");
    }

    #[test]
    fn a_malformed_cursor_is_refused() {
        let whole = cursor("a", Some(1.0));
        let refused = |text: &str| decode("after", text, &ORDER).is_err();
        for length in 0..whole.len() {
            assert!(refused(&whole[..length]), "cut to {length}");
        }
        for index in 0..whole.len() {
            let mut altered = whole.clone().into_bytes();
            altered[index] = if altered[index] == b'A' { b'B' } else { b'A' };
            assert!(refused(std::str::from_utf8(&altered).unwrap()), "altered at {index}");
        }
        // Valid checksums, but values that no row can have.
        for wrong in [cursor("a\0b", None), cursor("a", Some(f64::NAN)), cursor("a", Some(f64::INFINITY))] {
            assert!(refused(&wrong));
        }
        for wrong in ["", "!!", "äöü", &"A".repeat(100_000)] {
            assert!(refused(wrong), "{}", wrong.len());
        }
    }
}
