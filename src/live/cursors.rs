//! Cursors as clients hold them: opaque, bound to the stream and filter that they came from, and authenticated, so that
//! clients cannot forge them.
//!
//! A cursor is a version, its purpose (8 bytes), the positions as variable-length integers, and a keyed BLAKE3 hash of all
//! that (16 bytes), in URL-safe base64. The key is a secret of the database, so every instance accepts the cursors of every
//! other one, and cursors of another database are refused.

use std::fmt;

use data_encoding::BASE64URL_NOPAD;
use sea_orm::{ConnectionTrait, Statement};

use crate::{
    db::{Database, StatementLog},
    error::{Error, Result},
    model::{CommitPosition, CommitPositions, OrganizationId, StreamCursor},
    random::Random,
};

const VERSION: u8 = 1;
const PURPOSE_BYTES: usize = 8;
const SEAL_BYTES: usize = 16;
const HEAD_BYTES: usize = 1 + PURPOSE_BYTES;
/// Maximum length of a cursor, enough for the positions of a thousand organizations.
const TEXT_BYTES_MAX: usize = 32_768;

/// The purpose of a cursor: a hash of the stream's name and filter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CursorPurpose([u8; PURPOSE_BYTES]);

impl CursorPurpose {
    /// The purpose of a submission's cursor, which every stream of its organization accepts.
    const RECEIPT: Self = Self([0; PURPOSE_BYTES]);

    /// The purpose of cursors of a stream with a filter, given as any unambiguous text.
    pub fn of(stream: &str, filter: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(stream.as_bytes()).update(&[0]).update(filter.as_bytes());
        let mut purpose = [0; PURPOSE_BYTES];
        purpose.copy_from_slice(&hasher.finalize().as_bytes()[..PURPOSE_BYTES]);
        Self(purpose)
    }
}

/// The content of a verified cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedCursor {
    /// The positions.
    pub positions: CommitPositions,
    /// True for a submission's cursor, which has the position of one organization only.
    pub is_receipt: bool,
}

/// Seals and verifies the cursors of one database.
#[derive(Clone)]
pub struct Cursors {
    key: [u8; blake3::KEY_LEN],
}

impl fmt::Debug for Cursors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cursors")
    }
}

impl Cursors {
    /// Loads the secret of this database; the first instance creates it.
    ///
    /// # Errors
    /// The database fails.
    pub async fn load(database: &Database, random: &Random) -> Result<Self> {
        let session = database.writer(StatementLog::default());
        let backend = session.get_database_backend();
        let secret: [u8; blake3::KEY_LEN] = random.bytes();
        let insert = "INSERT INTO stream_secret (id, secret) VALUES (1, $1) ON CONFLICT (id) DO NOTHING";
        session.execute_raw(Statement::from_sql_and_values(backend, insert, [secret.to_vec().into()])).await?;
        let select = Statement::from_string(backend, "SELECT secret FROM stream_secret WHERE id = 1");
        let row = session
            .query_one_raw(select)
            .await?
            .ok_or_else(|| Error::internal("the secret of stream cursors is missing in the database"))?;
        let secret: Vec<u8> = row.try_get_by_index(0)?;
        Ok(Self { key: blake3::derive_key("perfgraph 2026 stream cursors", &secret) })
    }

    /// A name unique to this database, for resources that databases share.
    pub fn database_name(&self) -> String {
        blake3::keyed_hash(&self.key, b"name").to_hex()[..16].to_owned()
    }

    /// Seals the positions of a stream.
    pub fn seal(&self, purpose: CursorPurpose, positions: &CommitPositions) -> String {
        let mut bytes = vec![VERSION];
        bytes.extend(purpose.0);
        for (organization, CommitPosition { sequence, rows }) in positions.iter() {
            put(&mut bytes, organization.0.cast_unsigned());
            put(&mut bytes, sequence.cast_unsigned());
            put(&mut bytes, u64::from(rows));
        }
        let seal = self.mac(&bytes);
        bytes.extend(seal);
        BASE64URL_NOPAD.encode(&bytes)
    }

    /// Seals the position of an organization's streams after a submission.
    pub fn receipt(&self, cursor: StreamCursor) -> String {
        self.seal(CursorPurpose::RECEIPT, &cursor.into())
    }

    /// Verifies a cursor that a client sent as `after`.
    ///
    /// # Errors
    /// [`Error::Input`] for a cursor of another database, stream or filter.
    pub fn unseal(&self, purpose: CursorPurpose, text: &str) -> Result<OpenedCursor> {
        let refuse = |why: &str| Error::input("after", why);
        let bytes = decoded(text).ok_or_else(|| refuse(NOT_A_CURSOR))?;
        let (content, seal) = bytes.split_at(bytes.len() - SEAL_BYTES);
        // blake3 compares whole hashes in constant time; these are truncated, so every byte is compared here.
        let differs = self.mac(content).iter().zip(seal).fold(0, |differs, (ours, theirs)| differs | (ours ^ theirs));
        if differs != 0 {
            return Err(refuse("is not a cursor of this database's streams; open the stream without it"));
        }
        let (head, mut rest) = content.split_at(HEAD_BYTES);
        let is_receipt = head[1..] == CursorPurpose::RECEIPT.0;
        if head[0] != VERSION || !(is_receipt || head[1..] == purpose.0) {
            let why = "is a cursor of another stream, filter or organization; use it with the stream and filter that it came from";
            return Err(refuse(why));
        }
        let mut positions = CommitPositions::default();
        while !rest.is_empty() {
            let mut number = || take(&mut rest).ok_or_else(|| refuse(NOT_A_CURSOR));
            let organization = OrganizationId(number()?.cast_signed());
            let sequence = number()?.cast_signed();
            let rows = u32::try_from(number()?).map_err(|_| refuse(NOT_A_CURSOR))?;
            positions.set(organization, CommitPosition { sequence, rows });
        }
        Ok(OpenedCursor { positions, is_receipt })
    }

    fn mac(&self, bytes: &[u8]) -> [u8; SEAL_BYTES] {
        let mut seal = [0; SEAL_BYTES];
        seal.copy_from_slice(&blake3::keyed_hash(&self.key, bytes).as_bytes()[..SEAL_BYTES]);
        seal
    }
}

const NOT_A_CURSOR: &str = "is not a cursor of a stream; use one exactly as the server sent it";

/// True if a text has the form of a cursor.
pub fn is_well_formed(text: &str) -> bool {
    decoded(text).is_some()
}

fn decoded(text: &str) -> Option<Vec<u8>> {
    let bytes = (text.len() <= TEXT_BYTES_MAX).then(|| BASE64URL_NOPAD.decode(text.as_bytes()).ok())??;
    (bytes.len() >= HEAD_BYTES + SEAL_BYTES).then_some(bytes)
}

/// LEB128: seven bits a byte, the lowest first.
fn put(bytes: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        bytes.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    bytes.push((number & 0x7f) as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0;
    for shift in (0..64).step_by(7) {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cursors(secret: u8) -> Cursors {
        Cursors { key: [secret; blake3::KEY_LEN] }
    }

    fn positions() -> CommitPositions {
        [(1_234_567_890_123, 77, 0), (4_611_686_018_427_387_904, i64::MAX, u32::MAX), (3, 1, 9), (-2, 4, 0)]
            .into_iter()
            .map(|(organization, sequence, rows)| (OrganizationId(organization), CommitPosition { sequence, rows }))
            .collect()
    }

    #[test]
    fn cursors_survive_sealing_and_are_short_for_one_organization() {
        let purpose = CursorPurpose::of("metricStream", "filter");
        for positions in [CommitPositions::default(), positions()] {
            let text = cursors(1).seal(purpose, &positions);
            assert_eq!(cursors(1).unseal(purpose, &text).unwrap(), OpenedCursor { positions, is_receipt: false });
        }
        let cursor = StreamCursor { organization: OrganizationId(1 << 61), sequence: 1_000_000, ordinal: 8 };
        let text = cursors(1).receipt(cursor);
        // The reason of a close frame has 123 bytes for the cursor and a word of explanation.
        assert!(text.len() <= 64, "{text}");
        assert_eq!(
            cursors(1).unseal(purpose, &text).unwrap(),
            OpenedCursor { positions: cursor.into(), is_receipt: true }
        );
    }

    #[test]
    fn forged_and_foreign_cursors_are_refused() {
        let purpose = CursorPurpose::of("metricStream", "filter");
        let text = cursors(1).seal(purpose, &positions());
        assert!(cursors(2).unseal(purpose, &text).is_err(), "another database");
        assert!(cursors(1).unseal(CursorPurpose::of("metricStream", "other"), &text).is_err(), "another filter");
        assert!(cursors(1).unseal(CursorPurpose::of("entityChanged", "filter"), &text).is_err(), "another stream");
        let bytes = BASE64URL_NOPAD.decode(text.as_bytes()).unwrap();
        for index in 0..bytes.len() {
            for bit in 0..8 {
                let mut forged = bytes.clone();
                forged[index] ^= 1 << bit;
                assert!(cursors(1).unseal(purpose, &BASE64URL_NOPAD.encode(&forged)).is_err(), "{index} {bit}");
            }
        }
        for length in 0..bytes.len() {
            assert!(cursors(1).unseal(purpose, &BASE64URL_NOPAD.encode(&bytes[..length])).is_err(), "{length}");
        }
        for wrong in ["", "abc", "!!!", &"A".repeat(40), &"A".repeat(100_000)] {
            assert!(cursors(1).unseal(purpose, wrong).is_err());
        }
    }
}
