//! The text of a cursor of a page: bytes and their checksum, in URL-safe base64.
//!
//! The checksum detects a cursor that was cut or altered by accident. Cursors of pages are not secret and need no
//! signature: a forged cursor is only another position in a list that the caller may read.

use data_encoding::BASE64URL_NOPAD;

/// The first byte of every cursor. It changes when the format changes.
pub const VERSION: u8 = 1;

const CHECKSUM_BYTES: usize = 4;

/// The text of a cursor with this content.
pub fn to_text(mut content: Vec<u8>) -> String {
    content.extend(checksum(&content));
    BASE64URL_NOPAD.encode(&content)
}

/// The content of a cursor. `None` if the text is no cursor.
pub fn from_text(text: &str) -> Option<Vec<u8>> {
    let mut bytes = BASE64URL_NOPAD.decode(text.as_bytes()).ok()?;
    let (content, sum) = bytes.split_last_chunk::<CHECKSUM_BYTES>()?;
    let length = content.len();
    if *sum != checksum(content) {
        return None;
    }
    bytes.truncate(length);
    Some(bytes)
}

/// Splits a number of bytes from the start of the rest. `None` if it is shorter.
pub fn take<const BYTES: usize>(rest: &mut &[u8]) -> Option<[u8; BYTES]> {
    let (taken, behind) = rest.split_first_chunk()?;
    *rest = behind;
    Some(*taken)
}

/// FNV-1a. Detects accidents only, and is cheap enough for every edge.
fn checksum(bytes: &[u8]) -> [u8; CHECKSUM_BYTES] {
    let hash = bytes.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    hash.to_be_bytes()
}
