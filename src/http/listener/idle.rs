//! Connections that wait for their next request, the one that has waited longest first: it is closed when others need its
//! place.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    body::{Body, HttpBody},
    response::Response,
};
use hyper::body::{Bytes, Frame, SizeHint};
use tokio_util::sync::CancellationToken;

/// The place of a connection that handles a request.
const BUSY: u64 = 0;

/// All connections without a request.
#[derive(Clone, Debug, Default)]
pub struct IdleConnections(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    last: u64,
    in_order: BTreeMap<u64, CancellationToken>,
}

/// One connection, from its acceptance to its end.
#[derive(Clone, Debug)]
pub struct Presence(Arc<Present>);

#[derive(Debug)]
struct Present {
    idle: IdleConnections,
    place: AtomicU64,
    is_new: AtomicBool,
    closing: CancellationToken,
}

/// A request that a connection handles, until the response is sent.
#[derive(Debug)]
pub struct Busy(Presence);

impl IdleConnections {
    /// Adds a connection, which is idle until its first request.
    pub fn enter(&self) -> Presence {
        let closing = CancellationToken::new();
        let presence = Presence(Arc::new(Present {
            idle: self.clone(),
            place: AtomicU64::new(BUSY),
            is_new: AtomicBool::new(true),
            closing,
        }));
        presence.wait();
        presence
    }

    /// Closes the connection that has been idle for longest. False if there is none.
    pub fn close_one(&self) -> bool {
        let oldest = self.waiting().in_order.pop_first();
        if let Some((_, closing)) = &oldest {
            closing.cancel();
        }
        oldest.is_some()
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Presence {
    /// Cancelled when the connection should close.
    pub fn closing(&self) -> &CancellationToken {
        &self.0.closing
    }

    /// True before the first request.
    pub fn is_new(&self) -> bool {
        self.0.is_new.load(Ordering::Relaxed)
    }

    /// Marks the connection as busy until the guard is dropped.
    pub fn begin(&self) -> Busy {
        self.0.is_new.store(false, Ordering::Relaxed);
        let place = self.0.place.swap(BUSY, Ordering::Relaxed);
        self.0.idle.waiting().in_order.remove(&place);
        Busy(self.clone())
    }

    fn wait(&self) {
        let mut waiting = self.0.idle.waiting();
        waiting.last += 1;
        let place = waiting.last;
        waiting.in_order.insert(place, self.0.closing.clone());
        self.0.place.store(place, Ordering::Relaxed);
    }
}

impl Drop for Present {
    fn drop(&mut self) {
        let place = self.place.load(Ordering::Relaxed);
        self.idle.waiting().in_order.remove(&place);
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.wait();
    }
}

/// Keeps a connection busy until a response of unknown length, such as a stream of events, is sent. Others are written as soon
/// as they are known.
pub fn until_sent(response: Response, busy: Busy) -> Response {
    if response.body().size_hint().exact().is_some() {
        return response;
    }
    response.map(|body| Body::new(Sending { body, _busy: busy }))
}

struct Sending {
    body: Body,
    _busy: Busy,
}

impl HttpBody for Sending {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        Pin::new(&mut self.body).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
