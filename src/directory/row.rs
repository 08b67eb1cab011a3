//! Rows of which only the requested columns were read.
//!
//! A row knows its columns: reading a field that was not requested is an error, never an empty value.

use thiserror::Error;

/// A field was used that the statement had not selected: a bug in the code that requested the row.
#[derive(Debug, Error)]
#[error("field `{0}` was used but not selected")]
pub struct FieldNotRead(pub &'static str);

/// Declares a row type, the set of its optional fields, and the mapping of both to columns.
macro_rules! row {
    (
        $(#[$row_doc:meta])* $row:ident, $fields:ident, $entity:ident, $key:ty, $condition:ty, $order:ty;
        $($(#[$($doc:tt)*])* $flag:ident = $bit:literal, $field:ident: $type:ty, $column:ident;)*
    ) => {
        bitflags::bitflags! {
            /// A set of columns to read.
            #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
            pub struct $fields: u16 {
                $($(#[$($doc)*])* const $flag = 1 << $bit;)*
            }
        }

        $(#[$row_doc])*
        #[derive(Clone, Debug)]
        pub struct $row {
            /// The primary key, always read.
            pub key: $key,
            $($field: Option<$type>,)*
        }

        impl $row {
            $(
                $(#[$($doc)*])*
                ///
                /// # Errors
                /// The field was not requested.
                pub fn $field(&self) -> $crate::error::Result<&$type> {
                    self.$field.as_ref().ok_or_else(|| {
                        $crate::error::Error::internal($crate::directory::row::FieldNotRead(stringify!($field)))
                    })
                }
            )*
        }

        impl $crate::directory::record::Record for $row {
            type Key = $key;
            type Fields = $fields;
            type Condition = $condition;
            type OrderField = $order;
            const TABLE: &'static str = stringify!($entity);

            fn key(&self) -> $key {
                self.key
            }

            fn select(select: &mut sea_orm::sea_query::SelectStatement, fields: $fields) {
                $(if fields.contains($fields::$flag) {
                    select.column(($crate::directory::keyset::LISTED, $crate::entity::$entity::Column::$column));
                })*
            }

            fn read(row: &sea_orm::QueryResult, mut at: usize, fields: $fields) -> Result<Self, sea_orm::DbErr> {
                let key = <$key as $crate::directory::record::RecordKey>::read(row, &mut at)?;
                $(
                    let $field = if fields.contains($fields::$flag) {
                        let value = row.try_get_by_index::<$type>(at)?;
                        at += 1;
                        Some(value)
                    } else {
                        None
                    };
                )*
                let _ = at;
                Ok(Self { key, $($field,)* })
            }
        }
    };
}
pub(super) use row;
