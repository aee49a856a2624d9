//! The error of the inner service passes, as the type of the layer's service promises.

use std::task::Poll;

use tower_service::Service;

use crate::{
    Probe, Script, TestBody, TestError,
    drive::{reached, ready, settle},
    prepare::Kind,
    rule::ensure,
    suite::Suite,
};

pub(crate) async fn errors(suite: &Suite) {
    for kind in [Kind::Get, Kind::Grpc] {
        let script = Script::ready();
        let mut service = (suite.make)().service(script.service());
        let probe = Probe::new();
        ready(&probe, &mut service).await;
        let mut future = service.call(suite.request(kind, TestBody::empty()));
        let call = reached(&probe, &script, &mut future).await;
        let error = TestError::new("the inner service fails");
        call.reply.send(Err(error.clone()));
        let mut polled = settle(&probe, &mut future).await;
        // A layer may try again, and in the end it is the error all the same.
        while polled.is_pending()
            && let Some(again) = script.next_call()
        {
            again.reply.send(Err(error.clone()));
            polled = settle(&probe, &mut future).await;
        }
        ensure!(
            matches!(&polled, Poll::Ready(Err(seen)) if *seen == error),
            Errors,
            "{kind:?}: the inner service fails, and the layer's is {polled:?}"
        );
    }
}
