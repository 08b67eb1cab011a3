//! What new subscribers get, and when nobody can join any more.

use std::task::Poll;

use futures_util::stream;

use super::{super::Segment, *};

fn channel(backlog: Backlog) -> Channel {
    let responses = Some(broadcast::Sender::new(4));
    let stage = watch::Sender::new(Stage::Open(StreamKind::Events { start: None }));
    Channel { responses_max: 2, state: Mutex::new(State { responses, position: None, cursor: None, backlog }), stage }
}

fn backlog(channel: &Channel) -> Option<usize> {
    channel.state().backlog.events().map(|responses| responses.len())
}

fn send(channel: &Channel) {
    channel.send(EncodedResponse::fault(&Error::not_found("anything"), Phase::Execution), false);
}

#[test]
fn a_new_subscriber_gets_the_whole_backlog_within_its_limits() {
    let everything = channel(Backlog::All { responses: Vec::new(), bytes: 0 });
    for count in 1..=2 {
        send(&everything);
        assert_eq!(backlog(&everything), Some(count));
    }
    send(&everything);
    assert_eq!(backlog(&everything), None, "three are too many");
    let large = channel(Backlog::All { responses: Vec::new(), bytes: BACKLOG_BYTES_MAX });
    send(&large);
    assert_eq!(backlog(&large), None, "and so are the bytes");
}

#[test]
fn an_old_backlog_is_dropped_and_a_live_stream_has_none() {
    let everything = channel(Backlog::All { responses: Vec::new(), bytes: 0 });
    send(&everything);
    everything.forget();
    assert_eq!(backlog(&everything), None);
    let live = channel(Backlog::Latest(None));
    send(&live);
    live.forget();
    assert_eq!(backlog(&live), Some(0), "a new subscriber gets the events from now on");
}

/// Between the last error and the end, a new subscriber would get an ended stream.
#[tokio::test]
async fn nobody_joins_an_execution_that_has_sent_its_last_error() {
    let everything = Arc::new(channel(Backlog::Latest(None)));
    let mut receiver = everything.state().responses.as_ref().expect("it runs").subscribe();
    let driver = Driver { channel: Arc::clone(&everything), leaving: CancellationToken::new() };
    let (observed, mut polls) = (Arc::clone(&everything), 0);
    let events = stream::poll_fn(move |_| {
        polls += 1;
        let sent = observed.state().responses.as_ref().map_or(0, broadcast::Sender::len);
        let error = || EncodedResponse::fault(&Error::not_found("anything"), Phase::Execution);
        match polls {
            1 | 2 => Poll::Ready(Some(error())),
            _ => {
                assert_eq!(sent, 1, "the end is known before the last error is sent");
                Poll::Ready(None)
            }
        }
    });
    driver.run(Arc::new(Execution::new(Segment::Live)), events.boxed()).await;
    assert!(receiver.recv().await.is_ok() && receiver.recv().await.is_ok());
    assert!(everything.state().responses.is_none());
}
#[tokio::test]
async fn the_last_error_and_the_end_are_seen_together() {
    let everything = channel(Backlog::Latest(None));
    let mut receiver = everything.state().responses.as_ref().expect("it runs").subscribe();
    everything.send(EncodedResponse::fault(&Error::not_found("anything"), Phase::Execution), true);
    assert!(everything.state().responses.is_none(), "nobody joins any more");
    assert!(receiver.recv().await.is_ok() && receiver.recv().await.is_err(), "who has joined gets it");
}
