//! The types of settings: parsing from text (environment, flags) and from TOML values, and formatting for the default
//! file. A new type of setting is one more implementation of [`Setting`].

use std::{
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use toml::Value;

use super::database_url::DatabaseUrl;
use super::header_name::HeaderName;
use super::origin::Origin;
use super::raw::RawValue;
use super::section::Key;

/// The type of a setting.
pub(super) trait Setting: Sized {
    /// Completes the sentence "must be ...".
    const EXPECTED: &'static str;
    /// True if a value must never be shown.
    const SECRET: bool = false;

    /// Parses a value from the environment or a flag.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads a value from a TOML file. Values are typed there, so a number in quotes is refused.
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::from_text)
    }

    /// Formats its line in a TOML file.
    fn to_toml(&self, name: &str) -> String;

    /// The number that the file shows, if it is one.
    fn number(&self) -> Option<u64> {
        None
    }
}

/// Describes one setting.
pub(super) fn key<T: Setting>(path: &str, comment: &'static [&'static str], value: &T) -> Key {
    let name = path.rsplit('.').next().unwrap_or(path);
    Key { path: path.to_owned(), comment, toml: value.to_toml(name), number: value.number(), secret: T::SECRET }
}

/// Replaces one setting.
///
/// # Errors
/// The values that the setting accepts.
pub(super) fn set<T: Setting>(slot: &mut T, raw: &RawValue) -> Result<(), &'static str> {
    let read = match raw {
        RawValue::Text(text) => T::from_text(text),
        RawValue::Value(value) => T::from_value(value),
    };
    *slot = read.ok_or(T::EXPECTED)?;
    Ok(())
}

macro_rules! whole_number {
    ($($type:ty: $expected:literal),+) => {$(
        impl Setting for $type {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                text.trim().parse().ok()
            }

            fn from_value(value: &Value) -> Option<Self> {
                value.as_integer()?.try_into().ok()
            }

            fn to_toml(&self, name: &str) -> String {
                format!("{name} = {self}")
            }

            fn number(&self) -> Option<u64> {
                u64::try_from(*self).ok()
            }
        }
    )+};
}

whole_number!(
    u8: "a whole number from 0 to 255",
    u32: "a whole number from 0 to 4294967295",
    u64: "a whole number, 0 or larger",
    usize: "a whole number, 0 or larger"
);

/// In the file a duration is a whole number of milliseconds, and its key ends in `_ms`.
impl Setting for Duration {
    const EXPECTED: &'static str = u64::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        u64::from_text(text).map(Self::from_millis)
    }

    fn from_value(value: &Value) -> Option<Self> {
        u64::from_value(value).map(Self::from_millis)
    }

    fn to_toml(&self, name: &str) -> String {
        format!("{name} = {}", self.as_millis())
    }

    fn number(&self) -> Option<u64> {
        self.as_millis().try_into().ok()
    }
}

impl Setting for Option<u8> {
    const EXPECTED: &'static str = u8::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        u8::from_text(text).map(Some)
    }

    fn from_value(value: &Value) -> Option<Self> {
        u8::from_value(value).map(Some)
    }

    fn to_toml(&self, name: &str) -> String {
        // TOML has no null: an unset key is commented out.
        self.map_or_else(|| format!("# {name} = 1"), |value| value.to_toml(name))
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.trim().to_ascii_lowercase().parse().ok()
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.as_bool()
    }

    fn to_toml(&self, name: &str) -> String {
        format!("{name} = {self}")
    }
}

impl Setting for String {
    const EXPECTED: &'static str = "text in quotes";

    fn from_text(text: &str) -> Option<Self> {
        Some(text.to_owned())
    }

    fn to_toml(&self, name: &str) -> String {
        format!("{name} = {self:?}")
    }
}

impl Setting for SocketAddr {
    const EXPECTED: &'static str =
        "an IP address and a port, like 127.0.0.1:8000, [::1]:8000 or localhost:8000 (other names are not looked up)";

    fn from_text(text: &str) -> Option<Self> {
        let text = text.trim();
        let Some(port) = text.strip_prefix("localhost:") else {
            return text.parse().ok();
        };
        port.parse().ok().map(|port| Self::from((Ipv4Addr::LOCALHOST, port)))
    }

    fn to_toml(&self, name: &str) -> String {
        format!("{name} = \"{self}\"")
    }
}

/// A list of texts with a form of their own.
macro_rules! list {
    ($type:ty: $expected:literal) => {
        impl Setting for Vec<$type> {
            const EXPECTED: &'static str = $expected;

            fn from_text(text: &str) -> Option<Self> {
                text.split(',').filter(|part| !part.trim().is_empty()).map(<$type>::parse).collect()
            }

            fn from_value(value: &Value) -> Option<Self> {
                value.as_array()?.iter().map(|one| <$type>::parse(one.as_str()?)).collect()
            }

            fn to_toml(&self, name: &str) -> String {
                let texts: Vec<_> = self.iter().map(|one| format!("\"{one}\"")).collect();
                format!("{name} = [{}]", texts.join(", "))
            }
        }
    };
}

list!(Origin: "a list of origins such as [\"https://app.example.com\"], each a scheme and a host without a path (in the \
               environment without brackets and quotes, separated by commas)");
list!(HeaderName: "a list of names of headers such as [\"x-tenant\"] (in the environment without brackets and quotes, \
                   separated by commas)");

impl Setting for DatabaseUrl {
    const EXPECTED: &'static str = "a database URL in quotes";
    const SECRET: bool = true;

    fn from_text(text: &str) -> Option<Self> {
        Some(Self::from(text.trim()))
    }

    fn to_toml(&self, name: &str) -> String {
        format!("{name} = \"{self}\"")
    }
}
