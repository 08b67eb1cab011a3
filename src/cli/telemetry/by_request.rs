//! Log lines that carry the id and the trace of the request whose work wrote them.

use tracing::{
    Dispatch, Event, Level, Metadata, Subscriber,
    callsite::{DefaultCallsite, Identifier},
    field::{FieldSet, Value, display},
    level_filters::LevelFilter,
    metadata::Kind,
    span::{Attributes, Id, Record},
    subscriber::Interest,
};

use crate::http::logged_request::LoggedRequest;

/// The span around the lines of a request.
static SPAN: Metadata<'static> = Metadata::new(
    "request",
    module_path!(),
    Level::INFO,
    Some(file!()),
    Some(line!()),
    Some(module_path!()),
    FieldSet::new(&["id", "trace"], Identifier(&CALLSITE)),
    Kind::SPAN,
);
static CALLSITE: DefaultCallsite = DefaultCallsite::new(&SPAN);

/// A subscriber that puts each line of a request into a span of its own, for as long as the line is written. A span that
/// lasted as long as the request would cost requests that write nothing more than the lines of those that do.
pub struct ByRequest<S>(pub S);

impl<S: Subscriber> ByRequest<S> {
    fn open(&self, request: &LoggedRequest) -> Id {
        let fields = SPAN.fields();
        let (Some(id), Some(trace)) = (fields.field("id"), fields.field("trace")) else {
            return self.0.new_span(&Attributes::new(&SPAN, &fields.value_set(&[])));
        };
        let shown = display(&request.id);
        let traced = request.trace.as_deref();
        let values = [(&id, Some(&shown as &dyn Value)), (&trace, traced.as_ref().map(|trace| trace as &dyn Value))];
        self.0.new_span(&Attributes::new(&SPAN, &fields.value_set(&values)))
    }
}

/// The current span stays unknown to callers: the driver would enter it for each row.
impl<S: Subscriber> Subscriber for ByRequest<S> {
    fn event(&self, event: &Event<'_>) {
        let Some(request) = LoggedRequest::current() else {
            return self.0.event(event);
        };
        let span = self.open(&request);
        self.0.enter(&span);
        self.0.event(event);
        self.0.exit(&span);
        self.0.try_close(span);
    }

    fn on_register_dispatch(&self, dispatch: &Dispatch) {
        self.0.on_register_dispatch(dispatch);
    }

    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        self.0.register_callsite(metadata)
    }

    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        self.0.enabled(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        self.0.max_level_hint()
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }

    fn event_enabled(&self, event: &Event<'_>) -> bool {
        self.0.event_enabled(event)
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }

    fn clone_span(&self, id: &Id) -> Id {
        self.0.clone_span(id)
    }

    fn try_close(&self, id: Id) -> bool {
        self.0.try_close(id)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io::{self, Write},
        sync::{Arc, Mutex},
    };

    use futures_util::FutureExt;
    use tracing_subscriber::{fmt, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn written(is_json: bool, work: impl FnOnce()) -> String {
        let written = Written::default();
        let writer = written.clone();
        let lines = fmt::layer().with_writer(move || writer.clone()).without_time().with_ansi(false);
        let registry = tracing_subscriber::registry();
        let subscriber: Box<dyn Subscriber + Send + Sync> = if is_json {
            Box::new(ByRequest(registry.with(lines.json())))
        } else {
            Box::new(ByRequest(registry.with(lines)))
        };
        tracing::subscriber::with_default(subscriber, work);
        let bytes = written.0.lock().unwrap().clone();
        String::from_utf8(bytes).unwrap()
    }

    fn asked(trace: Option<&str>) -> LoggedRequest {
        LoggedRequest { id: "0a1b".into(), trace: trace.map(Into::into) }
    }

    fn warn_for(request: Option<LoggedRequest>) {
        LoggedRequest::attribute(request, async { tracing::warn!(left = 2, "almost full") }).now_or_never().unwrap();
    }

    #[test]
    fn a_line_says_for_which_request_it_was_written() {
        let text = written(false, || {
            tracing::warn!("alone");
            warn_for(None);
            warn_for(Some(asked(None)));
            warn_for(Some(asked(Some("4bf9"))));
            tracing::warn!("alone again");
        });
        let target = module_path!();
        let expected = [
            format!(" WARN {target}: alone"),
            format!(" WARN {target}: almost full left=2"),
            format!(" WARN request{{id=0a1b}}: {target}: almost full left=2"),
            format!(" WARN request{{id=0a1b trace=\"4bf9\"}}: {target}: almost full left=2"),
            format!(" WARN {target}: alone again\n"),
        ];
        assert_eq!(text, expected.join("\n"));
    }

    #[test]
    fn a_line_is_the_same_as_within_a_span_of_the_whole_request() {
        for is_json in [false, true] {
            let spanned = written(is_json, || {
                let span = tracing::info_span!("request", id = %"0a1b", trace = Some("4bf9"));
                span.in_scope(|| warn_for(None));
            });
            let attributed = written(is_json, || warn_for(Some(asked(Some("4bf9")))));
            assert_eq!(attributed, spanned);
            assert!(attributed.contains("0a1b") && attributed.contains("4bf9"), "{attributed}");
        }
    }
}
