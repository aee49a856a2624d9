//! A place for all that a layer says.

use std::{
    fmt::Debug,
    io::{self, Write},
    sync::{Arc, Mutex},
};

use tracing_subscriber::fmt::MakeWriter;

/// All that was said, in one place.
#[derive(Clone, Default)]
pub(crate) struct Everything(pub(crate) Arc<Mutex<String>>);

impl Everything {
    pub(crate) fn add(&self, text: impl AsRef<str>) {
        self.0.lock().unwrap().push_str(text.as_ref());
    }

    pub(crate) fn debug(&self, value: &dyn Debug) {
        self.add(format!("{value:?}{value:#?}"));
    }

    pub(crate) fn error(&self, error: &(dyn std::error::Error + 'static)) {
        self.debug(&error);
        let mut next = Some(error);
        while let Some(error) = next {
            self.add(error.to_string());
            next = error.source();
        }
    }
}

impl Write for Everything {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.add(String::from_utf8_lossy(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Everything {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
