//! A value on its way from the layer to the handler.

use std::sync::{Arc, Mutex, PoisonError};

use http::Extensions;

/// Holds a value that need not be `Clone`, as extensions ask for; the first to take it has it.
struct Slot<T>(Arc<Mutex<Option<T>>>);

impl<T> Clone for Slot<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

pub(super) fn put<T: Send + 'static>(extensions: &mut Extensions, value: T) {
    extensions.insert(Slot(Arc::new(Mutex::new(Some(value)))));
}

/// The value that a [`ValidateJsonLayer<T>`](crate::ValidateJsonLayer) made of the body, for services without
/// extractors. Whoever takes it first has it; `None` when nobody made one, or it is taken.
pub fn take_valid<T: Send + 'static>(extensions: &mut Extensions) -> Option<T> {
    let slot = extensions.remove::<Slot<T>>()?;
    slot.0.lock().unwrap_or_else(PoisonError::into_inner).take()
}
