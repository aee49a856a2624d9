//! A subscriber that remembers what it was told.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use tracing::{
    Event, Id, Level, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};
use tracing_subscriber::{layer::SubscriberExt, registry::LookupSpan};

/// The fields of a span or an event; one written twice keeps both.
#[derive(Clone, Debug, Default)]
pub(crate) struct Fields(BTreeMap<&'static str, Vec<String>>);

impl Visit for Fields {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.entry(field.name()).or_default().push(value.to_owned());
    }

    fn record_debug(&mut self, field: &Field, value: &dyn std::fmt::Debug) {
        self.0.entry(field.name()).or_default().push(format!("{value:?}"));
    }
}

impl Fields {
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        match self.0.get(name).map(Vec::as_slice) {
            None => None,
            Some([value]) => Some(value),
            Some(values) => panic!("{name} is written more than once: {values:?}"),
        }
    }

    #[track_caller]
    pub(crate) fn expect(&self, expected: &[(&str, Option<&str>)]) {
        for (name, value) in expected {
            assert_eq!(self.get(name), *value, "{name} of {self:?}");
        }
    }
}

/// What a subscriber was told.
#[derive(Clone, Default)]
pub(crate) struct Told(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    closed: Vec<(&'static str, Level, Fields)>,
    events: Vec<(String, Option<Fields>)>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> tracing_subscriber::Layer<S> for Told {
    fn on_new_span(
        &self,
        attributes: &Attributes<'_>,
        id: &Id,
        context: tracing_subscriber::layer::Context<'_, S>,
    ) {
        let mut fields = Fields::default();
        attributes.record(&mut fields);
        context.span(id).unwrap().extensions_mut().insert(fields);
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        let span = context.span(id).unwrap();
        values.record(span.extensions_mut().get_mut::<Fields>().unwrap());
    }

    fn on_event(&self, event: &Event<'_>, context: tracing_subscriber::layer::Context<'_, S>) {
        let mut fields = Fields::default();
        event.record(&mut fields);
        let span = context.lookup_current().map(|span| span.extensions().get::<Fields>().unwrap().clone());
        self.0.lock().unwrap().events.push((fields.get("message").unwrap_or_default().to_owned(), span));
    }

    fn on_close(&self, id: Id, context: tracing_subscriber::layer::Context<'_, S>) {
        let span = context.span(&id).unwrap();
        let fields = span.extensions().get::<Fields>().unwrap().clone();
        self.0.lock().unwrap().closed.push((span.name(), *span.metadata().level(), fields));
    }
}

impl Told {
    pub(crate) fn during<F: Future>(future: F) -> (Self, F::Output) {
        let told = Self::default();
        let subscriber = tracing_subscriber::registry().with(told.clone());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let _guard = bartizan_testkit::listen(subscriber);
        let output = runtime.block_on(future);
        (told, output)
    }

    /// The spans that ended, with their names and levels.
    pub(crate) fn closed(&self) -> Vec<(&'static str, Level, Fields)> {
        self.0.lock().unwrap().closed.clone()
    }

    /// The message of each event, and the fields of the span it was told in.
    pub(crate) fn events(&self) -> Vec<(String, Option<Fields>)> {
        self.0.lock().unwrap().events.clone()
    }

    /// The one span that ended.
    #[track_caller]
    pub(crate) fn span(&self) -> Fields {
        let closed = self.closed();
        let [(_, _, fields)] = &closed[..] else { panic!("{} spans closed", closed.len()) };
        fields.clone()
    }

    pub(crate) fn is_closed(&self) -> bool {
        !self.closed().is_empty()
    }
}
