//! What a layer was told, and what a request carries of it.

use std::sync::{
    Arc, Mutex, PoisonError,
    atomic::{AtomicBool, Ordering},
};

use bartizan_core::{Fault, Rejection, RequestContext};

use crate::{
    AllowList, ArchiveLimits, UploadLimits,
    fault::{self, FileFault},
    form::Boundary,
    telemetry::Telemetry,
};

/// What a layer was told.
#[derive(Clone, Debug, Default)]
pub(crate) struct Policy {
    pub(crate) limits: UploadLimits,
    pub(crate) archives: ArchiveLimits,
    pub(crate) allow: AllowList,
    pub(crate) forms_only: bool,
    pub(crate) report_only: bool,
    pub(crate) telemetry: Telemetry,
}

/// What one request with a form carries from the layer to whoever reads the form, and back.
#[derive(Debug)]
pub(crate) struct Ticket {
    pub(crate) policy: Arc<Policy>,
    pub(crate) boundary: Boundary,
    pub(crate) context: Option<RequestContext>,
    /// The form is read by `Upload`, and not past it.
    opened: AtomicBool,
    /// Why the form is refused, whatever the handler answers.
    verdict: Mutex<Option<Rejection>>,
}

static UNCHECKED: Fault = Fault::new(
    fault::LAYER,
    "a handler reads a form behind `UploadLayer` past `Upload`, which checks it",
    "read the form with `Upload`, or take the `UploadLayer` from the route",
);

impl Ticket {
    pub(crate) fn new(policy: Arc<Policy>, boundary: Boundary, context: Option<RequestContext>) -> Self {
        Self { policy, boundary, context, opened: AtomicBool::new(false), verdict: Mutex::new(None) }
    }

    pub(crate) fn open(&self) {
        self.opened.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_open(&self) -> bool {
        self.opened.load(Ordering::Relaxed)
    }

    /// The program reads the form past `Upload`: no fault of the caller's, whatever a handler makes of it.
    #[cold]
    pub(crate) fn bypassed(&self) {
        UNCHECKED.report();
        if self.verdict().is_none() {
            self.refuse(fault::bug());
        }
    }

    /// The form is refused.
    pub(crate) fn refuse(&self, rejection: Rejection) -> Rejection {
        self.policy.telemetry.failed(&rejection, self.context.as_ref(), false);
        let mut verdict = self.verdict.lock().unwrap_or_else(PoisonError::into_inner);
        verdict.get_or_insert(rejection).clone()
    }

    /// A file is refused, unless the layer only reports.
    pub(crate) fn refuse_file(&self, fault: FileFault, part: &str) -> Result<(), Rejection> {
        let rejection = fault.refuse(part);
        if self.policy.report_only {
            self.policy.telemetry.failed(&rejection, self.context.as_ref(), true);
            return Ok(());
        }
        Err(self.refuse(rejection))
    }

    /// Why the form was refused.
    pub(crate) fn verdict(&self) -> Option<Rejection> {
        self.verdict.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
