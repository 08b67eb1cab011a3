//! The hash of a document: the SHA-256 of its text, as clients of persisted queries compute it.

use std::{fmt, str::FromStr};

use data_encoding::{HEXLOWER, HEXLOWER_PERMISSIVE};
use sha2::{Digest, Sha256};
use thiserror::Error;

/// The SHA-256 of a document's text.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DocumentHash([u8; 32]);

/// The text is no hash.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
#[error("must be a SHA-256 in 64 hexadecimal digits")]
pub struct HashError;

impl DocumentHash {
    /// The hash of a text.
    pub fn of(text: &str) -> Self {
        Self(Sha256::digest(text).into())
    }
}

impl fmt::Display for DocumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", HEXLOWER.encode_display(&self.0))
    }
}

impl fmt::Debug for DocumentHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sha256:{self}")
    }
}

impl FromStr for DocumentHash {
    type Err = HashError;

    fn from_str(hex: &str) -> Result<Self, HashError> {
        let mut bytes = [0; 32];
        if HEXLOWER_PERMISSIVE.decode_len(hex.len()) != Ok(bytes.len()) {
            return Err(HashError);
        }
        HEXLOWER_PERMISSIVE.decode_mut(hex.as_bytes(), &mut bytes).map_err(|_| HashError)?;
        Ok(Self(bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_equals_that_of_sha256sum() {
        // As `printf '{ viewer { role } }' | sha256sum` prints it.
        let hex = "f63c1d1d984628060baf66f876c2c675ee7a472f114e839c75f247e0cc7ba64f";
        let hash = DocumentHash::of("{ viewer { role } }");
        assert_eq!(hash.to_string(), hex);
        assert_eq!(hex.to_uppercase().parse(), Ok(hash));
        for wrong in ["", "00", &hex[1..], &format!("{}g", &hex[1..]), &"+f".repeat(32), &format!("{}ä", &hex[2..])] {
            assert_eq!(wrong.parse::<DocumentHash>(), Err(HashError), "{wrong}");
        }
    }
}
