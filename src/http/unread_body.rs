//! The rest of a request's body when its answer is ready.
//!
//! A connection cannot carry another request before the body of the last one was read. The HTTP library closes such a
//! connection without a word: a client that has sent its next request by then sees it fail, and one that is still sending the
//! body sees a reset instead of the answer. So the rest is read and dropped; where that takes too long, the answer says
//! `Connection: close`.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::{
    body::{Body, BodyDataStream, Bytes, HttpBody},
    extract::Request,
    http::{HeaderValue, header},
    response::Response,
};
use futures_util::StreamExt;
use hyper::body::{Frame, SizeHint};
use tokio::time::timeout;

/// The time within which each further piece of the rest must arrive.
const PIECE_WITHIN: Duration = Duration::from_millis(500);
/// The time for the whole rest.
const REST_WITHIN: Duration = Duration::from_secs(5);

/// The place where the body is put back by a handler that has not read all of it.
#[derive(Debug)]
pub struct UnreadBody {
    left: Arc<Mutex<Left>>,
    /// True if the client sends the body only when it is asked to.
    is_announced: bool,
}

#[derive(Debug)]
enum Left {
    Nothing,
    /// A handler has the body.
    Lent,
    Rest(Body),
}

/// A body that is put back when it is dropped before its end.
#[derive(Debug)]
struct Lent {
    body: Body,
    is_read: bool,
    left: Arc<Mutex<Left>>,
}

impl UnreadBody {
    /// Follows the body of a request. None if it has no body.
    pub fn follow(request: &mut Request) -> Option<Self> {
        if request.body().is_end_stream() {
            return None;
        }
        let left = Arc::new(Mutex::new(Left::Lent));
        let body = std::mem::take(request.body_mut());
        *request.body_mut() = Body::new(Lent { body, is_read: false, left: Arc::clone(&left) });
        Some(Self { left, is_announced: request.headers().contains_key(header::EXPECT) })
    }

    /// Reads and drops the rest, up to this many bytes, or announces the end of the connection.
    pub async fn finish(self, bytes_max: usize, response: &mut Response) {
        let left = std::mem::replace(&mut *locked(&self.left), Left::Lent);
        let is_read = match left {
            Left::Nothing => true,
            Left::Lent => false,
            // Reading would ask the client to send what nobody wants.
            Left::Rest(_) if self.is_announced => false,
            Left::Rest(body) => {
                timeout(REST_WITHIN, discard(body.into_data_stream(), bytes_max)).await.unwrap_or(false)
            }
        };
        if !is_read {
            response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
    }
}

/// True if the body has ended.
async fn discard(mut rest: BodyDataStream, bytes_max: usize) -> bool {
    let mut discarded = 0;
    while discarded <= bytes_max {
        match timeout(PIECE_WITHIN, rest.next()).await {
            Ok(None) => return true,
            Ok(Some(Ok(piece))) => discarded += piece.len(),
            Ok(Some(Err(_))) | Err(_) => return false,
        }
    }
    false
}

fn locked(left: &Mutex<Left>) -> MutexGuard<'_, Left> {
    left.lock().unwrap_or_else(PoisonError::into_inner)
}

impl HttpBody for Lent {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let frame = ready!(Pin::new(&mut self.body).poll_frame(context));
        self.is_read = frame.is_none();
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        let is_read = self.is_read || self.body.is_end_stream();
        let body = std::mem::take(&mut self.body);
        *locked(&self.left) = if is_read { Left::Nothing } else { Left::Rest(body) };
    }
}
