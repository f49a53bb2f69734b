//! Collects what the library logs on this thread, a line for each event: target, level, the fields of its spans, its own fields.

use std::fmt::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::DefaultGuard;
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};
use tracing_subscriber::registry::{LookupSpan, Scope};

#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<Line>>>);

#[derive(Clone)]
struct Line {
    level: Level,
    text: String,
}

/// The fields of an event or a span. A number with a unit is noted as such, since its value differs from run to run.
#[derive(Default)]
struct Fields(String);

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, _: f64) {
        let _ = write!(self.0, " {}=number", field.name());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        let _ = write!(self.0, " {}={value}", field.name());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Log {
    /// Collects everything until the guard is dropped.
    pub(crate) fn collect() -> (Self, DefaultGuard) {
        Self::collect_up_to(Level::TRACE)
    }

    pub(crate) fn collect_up_to(level: Level) -> (Self, DefaultGuard) {
        let log = Self::default();
        let layer = log.clone().with_filter(LevelFilter::from_level(level));
        let subscriber = tracing_subscriber::registry().with(layer);
        (log, tracing::subscriber::set_default(subscriber))
    }

    fn lines(&self) -> Vec<Line> {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn text(&self) -> String {
        let lines: Vec<_> = self.lines().into_iter().map(|line| line.text).collect();
        lines.join("\n")
    }

    /// What an operator sees who does not look for details.
    pub(crate) fn above_debug(&self) -> Vec<String> {
        let lines = self.lines().into_iter();
        let above = lines.filter(|line| line.level < Level::DEBUG);
        above.map(|line| line.text).collect()
    }

    pub(crate) fn assert_has(&self, parts: &[&str]) {
        let lines = self.lines();
        let found = lines.iter().any(|line| has(&line.text, parts));
        assert!(found, "{parts:?}\n{}", self.text());
    }

    /// Exactly one line is above `DEBUG`, and it has these parts.
    pub(crate) fn assert_one(&self, parts: &[&str]) {
        let above = self.above_debug();
        assert!(
            matches!(&above[..], [line] if has(line, parts)),
            "{parts:?}\n{above:#?}\n{}",
            self.text()
        );
    }
}

fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Log {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        if let Some(span) = context.span(id) {
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let metadata = event.metadata();
        if !metadata.target().starts_with("digime") || metadata.target().contains("sandbox") {
            return;
        }
        let level = *metadata.level();
        let mut fields = Fields(format!("{} {level}", metadata.target()));
        let scope = context.event_scope(event).into_iter();
        for span in scope.flat_map(Scope::from_root) {
            if let Some(of_span) = span.extensions().get::<Fields>() {
                fields.0.push_str(&of_span.0);
            }
        }
        event.record(&mut fields);
        let line = Line {
            level,
            text: fields.0,
        };
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(line);
    }
}
