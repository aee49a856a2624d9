#![doc = include_str!("../README.md")]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod authority;
mod body;
mod catch;
mod challenges;
mod clock;
mod connect;
mod context;
mod event;
mod excerpt;
#[cfg(feature = "axum")]
mod extract;
mod face;
mod fault;
mod future;
mod grpc;
pub mod grpc_timeout;
mod insufficient_scope;
pub mod key;
mod method;
mod normalize;
mod observe;
mod optional;
mod outcome;
mod path_set;
#[cfg(feature = "metrics")]
mod per_recorder;
mod problem;
mod problem_layer;
mod protocol;
mod reason;
mod recorder_choice;
mod rejection;
mod rejection_to_error;
mod replace;
mod request_head;
mod resend;
mod retry_after;
mod scope;
mod secret_name;
#[cfg(feature = "metrics")]
mod series;
mod stack;
pub mod stripe;
mod violation;

pub use self::{
    body::ResponseBody,
    challenges::Challenges,
    clock::{Clock, ManualClock, TimeSource},
    connect::{insert_peer_addr, peer_addr, peer_port},
    context::{
        Baggage, BaggageError, BaggageMember, ClientAddr, CorrelationId, Deadline, IdError, MatchedRoute,
        NoteOwner, Principal, PrincipalBuilder, PrincipalKind, RequestContext, RequestId, SpanId,
        TraceContext, TraceId,
    },
    event::{EventFacts, Fact, RequestEvent},
    excerpt::excerpt,
    face::Face,
    fault::Fault,
    future::ResponseFuture,
    grpc::GrpcCode,
    insufficient_scope::insufficient_scope,
    method::MethodName,
    normalize::{Normalize, NormalizeFuture, NormalizeLayer},
    observe::{
        BodyEnd, BodyObserver, BodyReport, GrpcWebStatus, HeadSeen, ObservedBody, ObservedFuture, Observer,
        observe,
    },
    optional::{Optional, OptionalBody, OptionalFuture, OptionalLayer},
    outcome::{Classify, ClientClassifier, Ending, Outcome, ServerClassifier, Verdict},
    path_set::{PathSet, PathSetError},
    problem::{Problem, ProblemError},
    problem_layer::{ProblemFuture, ProblemLayer, ProblemService, ProblemSettingsError},
    protocol::{GrpcWebFormat, Protocol},
    reason::Reason,
    recorder_choice::RecorderChoice,
    rejection::{ExtensionName, QuotaViolation, Rejection},
    rejection_to_error::{RejectionToError, RejectionToErrorFuture, RejectionToErrorLayer},
    request_head::RequestHead,
    resend::ResendCount,
    retry_after::retry_after,
    scope::{Scoped, ScopedBody, served},
    secret_name::is_secret_name,
    stack::{
        AddTo, After, Client, ClientLayer, Facts, IntoLayer, KnownIn, No, Server, ServerLayer, Yes, fact,
        phase,
    },
    violation::{Location, Violation},
};

#[cfg(feature = "scope")]
pub use self::scope::{current, in_scope};
#[cfg(feature = "metrics")]
pub use self::{
    per_recorder::{PerRecorder, Place},
    series::Series,
};
