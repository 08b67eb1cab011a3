//! The types a setting can have: how each is read from text (environment, flag) and from a file, and how it is
//! written into the default file. A new type of setting is one more implementation here.

use std::net::{Ipv4Addr, SocketAddr};

use figment::value::Value;

use super::database_url::DatabaseUrl;
use super::origin::Origin;
use super::section::Key;
use super::source::Raw;

/// A type that a setting can have.
pub(super) trait Setting: Sized {
    /// Completes the sentence "must be ...".
    const EXPECTED: &'static str;
    /// Whether a value must never be shown.
    const SECRET: bool = false;

    /// Reads it where everything is text.
    fn from_text(text: &str) -> Option<Self>;

    /// Reads it where values have types: a number in quotes is a mistake there.
    fn from_value(value: &Value) -> Option<Self> {
        value.as_str().and_then(Self::from_text)
    }

    /// Writes its line in a TOML file.
    fn to_toml(&self, name: &str) -> String;

    /// The value, where it is a number whose bounds its unit gives.
    fn number(&self) -> Option<u64> {
        None
    }
}

/// Describes one setting of a section.
pub(super) fn key<T: Setting>(section: &str, name: &str, comment: &'static [&'static str], value: &T) -> Key {
    Key {
        path: format!("{section}.{name}"),
        comment,
        toml: value.to_toml(name),
        number: value.number(),
        secret: T::SECRET,
    }
}

/// Replaces one setting, or says what it expects.
pub(super) fn set<T: Setting>(slot: &mut T, raw: &Raw) -> Result<(), &'static str> {
    let read = match raw {
        Raw::Text(text) => T::from_text(text),
        Raw::Value(value) => T::from_value(value),
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
                let number = value.to_num()?;
                let number = number.to_u128().or_else(|| number.to_i128()?.try_into().ok())?;
                number.try_into().ok()
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

impl Setting for Option<u8> {
    const EXPECTED: &'static str = u8::EXPECTED;

    fn from_text(text: &str) -> Option<Self> {
        u8::from_text(text).map(Some)
    }

    fn from_value(value: &Value) -> Option<Self> {
        u8::from_value(value).map(Some)
    }

    fn to_toml(&self, name: &str) -> String {
        // TOML has no "nothing": an unset key stands as a comment that only needs its mark removed.
        self.map_or_else(|| format!("# {name} = 1"), |value| value.to_toml(name))
    }
}

impl Setting for bool {
    const EXPECTED: &'static str = "true or false";

    fn from_text(text: &str) -> Option<Self> {
        text.trim().to_ascii_lowercase().parse().ok()
    }

    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Bool(_, value) => Some(*value),
            _ => None,
        }
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

impl Setting for Vec<Origin> {
    const EXPECTED: &'static str = "a list of origins such as [\"https://app.example.com\"], each a scheme, a host and no \
                                    path (in the environment without brackets and quotes, separated by commas)";

    fn from_text(text: &str) -> Option<Self> {
        text.split(',').filter(|part| !part.trim().is_empty()).map(Origin::parse).collect()
    }

    fn from_value(value: &Value) -> Option<Self> {
        value.as_array()?.iter().map(|origin| Origin::parse(origin.as_str()?)).collect()
    }

    fn to_toml(&self, name: &str) -> String {
        let origins: Vec<_> = self.iter().map(|origin| format!("\"{origin}\"")).collect();
        format!("{name} = [{}]", origins.join(", "))
    }
}

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
