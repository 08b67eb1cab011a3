//! What a section is, and the macro that makes one from a list of entries.
//!
//! The macro exists so that a setting is written once: its doc comment is also its comment in the default file, and
//! its default cannot differ between the code and the file.

use super::source::Raw;

/// One setting as it stands in a configuration.
pub(super) struct Key {
    /// `section.name`.
    pub path: String,
    /// The lines of its comment, each with its leading space.
    pub comment: &'static [&'static str],
    /// Its line in a TOML file.
    pub toml: String,
    /// Its value, where it is a number.
    pub number: Option<u64>,
    /// Whether its value must never be shown.
    pub secret: bool,
}

/// A group of settings, seen without its type.
pub(super) trait Section {
    /// Its name in the file and in the environment.
    fn name(&self) -> &'static str;

    /// The lines of its comment.
    fn comment(&self) -> &'static [&'static str];

    /// Its settings in the order of the file.
    fn keys(&self) -> Vec<Key>;

    /// Replaces one setting. `None`: there is no such setting. `Err`: what it expects instead.
    fn set(&mut self, name: &str, raw: &Raw) -> Option<Result<(), &'static str>>;
}

macro_rules! section {
    (
        $(#[doc = $about:literal])+
        $name:literal => $section:ident {
            $($(#[doc = $comment:literal])+ $key:ident: $type:ty = $default:expr,)+
        }
    ) => {
        $(#[doc = $about])+
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $section {
            $($(#[doc = $comment])+ pub $key: $type,)+
        }

        impl Default for $section {
            fn default() -> Self {
                Self { $($key: $default,)+ }
            }
        }

        impl $crate::config::section::Section for $section {
            fn name(&self) -> &'static str {
                $name
            }

            fn comment(&self) -> &'static [&'static str] {
                &[$($about),+]
            }

            fn keys(&self) -> Vec<$crate::config::section::Key> {
                vec![$($crate::config::setting::key($name, stringify!($key), &[$($comment),+], &self.$key)),+]
            }

            fn set(&mut self, name: &str, raw: &$crate::config::source::Raw) -> Option<Result<(), &'static str>> {
                match name {
                    $(stringify!($key) => Some($crate::config::setting::set(&mut self.$key, raw)),)+
                    _ => None,
                }
            }
        }
    };
}
pub(super) use section;
