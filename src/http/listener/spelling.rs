//! The names of the headers that open a WebSocket, as RFC 6455 spells them.
//!
//! Names have no case, but some clients look for one spelling alone: gql 4.4 for Python, over `websockets`, takes a server
//! that says `Sec-Websocket-Protocol` for one that speaks an older protocol. The HTTP library capitalizes the first letters of
//! words and knows no other spelling.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// The beginning of the response that opens a WebSocket. The library writes its head at once.
const SWITCHING_PROTOCOLS: &[u8] = b"HTTP/1.1 101 ";
const WRITTEN: &[u8] = b"\r\nSec-Websocket-";
const MEANT: &[u8; WRITTEN.len()] = b"\r\nSec-WebSocket-";

/// A connection on which responses that open a WebSocket have the usual spelling.
#[derive(Debug)]
pub struct SpelledConnection<S>(pub S);

/// The same bytes with the usual spelling, if they open a WebSocket.
fn spelled(bytes: &[u8]) -> Option<Vec<u8>> {
    if !bytes.starts_with(SWITCHING_PROTOCOLS) {
        return None;
    }
    let mut spelled = bytes.to_vec();
    let mut at = 0;
    while let Some(rest) = spelled.get_mut(at..).filter(|rest| rest.len() >= MEANT.len()) {
        if rest.starts_with(WRITTEN) {
            rest[..MEANT.len()].copy_from_slice(MEANT);
        }
        at += 1;
    }
    Some(spelled)
}

impl<S: AsyncRead + Unpin> AsyncRead for SpelledConnection<S> {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, into: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, into)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for SpelledConnection<S> {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let spelled = spelled(bytes);
        Pin::new(&mut self.0).poll_write(context, spelled.as_deref().unwrap_or(bytes))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match pieces.iter().find(|piece| !piece.is_empty()).and_then(|piece| spelled(piece)) {
            Some(spelled) => Pin::new(&mut self.0).poll_write(context, &spelled),
            None => Pin::new(&mut self.0).poll_write_vectored(context, pieces),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    #[tokio::test]
    async fn only_responses_that_open_a_websocket_are_spelled_anew() {
        let opening = "HTTP/1.1 101 Switching Protocols\r\nSec-Websocket-Accept: x\r\nA: Sec-Websocket-\r\n\
                       Sec-Websocket-Protocol: y\r\n\r\n";
        let spelled = "HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Accept: x\r\nA: Sec-Websocket-\r\n\
                       Sec-WebSocket-Protocol: y\r\n\r\n";
        let other = "HTTP/1.1 200 OK\r\nSec-Websocket-Accept: x\r\n\r\n";
        let (near, mut far) = duplex(4_096);
        let mut connection = SpelledConnection(near);
        for text in [opening, other, "later\r\nSec-Websocket-Accept: x", ""] {
            connection.write_all(text.as_bytes()).await.unwrap();
        }
        let pieces = ["", opening, "!"].map(|text| IoSlice::new(text.as_bytes()));
        let mut written = connection.write_vectored(&pieces).await.unwrap();
        while written < opening.len() {
            written += connection.write(&opening.as_bytes()[written..]).await.unwrap();
        }
        drop(connection);
        let mut seen = String::new();
        far.read_to_string(&mut seen).await.unwrap();
        assert_eq!(seen, [spelled, other, "later\r\nSec-Websocket-Accept: x", spelled].concat());
    }
}
