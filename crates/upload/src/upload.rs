//! A form, as its parts come.

use std::{
    error::Error,
    fmt,
    future::poll_fn,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bartizan_core::{Fault, Rejection};
use bytes::{Bytes, BytesMut};
use futures_core::Stream;
use http::Request;
use http_body::Body;

use crate::{
    FileName, FileType,
    fault::{self, FileFault},
    form::{Headers, Parser, Step},
    policy::Ticket,
    timer::Timer,
    types::{HEAD, Inspector},
};

/// A form behind an [`UploadLayer`](crate::UploadLayer): its parts, one after the other, checked as they come.
///
/// With the feature `axum` it is an extractor. Whatever it returns as an error is the answer to the request, whether
/// the handler passes it on or not.
pub struct Upload<B> {
    body: B,
    parser: Parser,
    ticket: Arc<Ticket>,
    timer: Timer,
    received: u64,
    parts: usize,
    state: State,
}

/// Where in the form the reader is.
#[derive(Debug)]
enum State {
    Between,
    Within(Open),
    Over,
    Refused(Rejection),
}

/// The part that is being read.
#[derive(Debug)]
struct Open {
    name: String,
    kind: Kind,
    /// Seen, and not given to the reader yet.
    held: Bytes,
    size: u64,
    /// All of it was seen.
    ended: bool,
}

#[derive(Debug)]
enum Kind {
    Field,
    /// A file that was not chosen: browsers send it with an empty name and no bytes.
    Absent,
    /// A file that is not inspected yet, or that a layer which only reports lets pass.
    Plain,
    File(Inspector),
}

static NO_LAYER: Fault = Fault::new(
    fault::LAYER,
    "a handler reads an upload, and no `UploadLayer` stands before it",
    "add an `UploadLayer` to the route, with the types of file it accepts",
);

impl<B> Upload<B>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    /// The form of `request`, once.
    ///
    /// # Errors
    ///
    /// A 415 when the request has no form, and a 500, reported once, when no layer stands before.
    pub fn of(request: Request<B>) -> Result<Self, Rejection> {
        let (head, body) = request.into_parts();
        let Some(ticket) = head.extensions.get::<Arc<Ticket>>() else {
            if crate::form::Declared::of(&head.headers) == crate::form::Declared::Other {
                return Err(fault::unsupported());
            }
            NO_LAYER.report();
            return Err(fault::bug());
        };
        ticket.open();
        let limits = ticket.policy.limits;
        Ok(Self {
            body,
            parser: Parser::new(&ticket.boundary, limits.max_part_headers()),
            ticket: Arc::clone(ticket),
            timer: Timer::new(limits.part_time()),
            received: 0,
            parts: 0,
            state: State::Between,
        })
    }

    /// The next part; `None` after the last. What was not read of the part before is read and checked first.
    ///
    /// A file is given when its first bytes are there and are those of an allowed type.
    ///
    /// # Errors
    ///
    /// The refusal of the form, now and from then on.
    pub async fn next_part(&mut self) -> Result<Option<Part<'_, B>>, Rejection> {
        while poll_fn(|cx| self.poll_chunk(cx)).await?.is_some() {}
        match &self.state {
            State::Over => return Ok(None),
            State::Refused(rejection) => return Err(rejection.clone()),
            State::Between | State::Within(_) => {}
        }
        let Some(headers) = poll_fn(|cx| self.poll_headers(cx)).await? else { return Ok(None) };
        let (file, kind) = self.admit(&headers)?;
        let open = Open { name: headers.disposition.name, kind, held: Bytes::new(), size: 0, ended: false };
        self.state = State::Within(open);
        if let Some(file_type) = file.as_ref().and_then(|file| file.file_type) {
            poll_fn(|cx| self.poll_head(cx)).await?;
            self.inspect(file_type)?;
        }
        Ok(Some(Part { upload: self, media_type: headers.media_type, file }))
    }

    /// Up to the headers of the next part.
    fn poll_headers(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Headers>, Rejection>> {
        loop {
            match ready!(self.poll_step(cx))? {
                Step::Part(headers) => {
                    self.timer.restart();
                    self.parts += 1;
                    let most = self.ticket.policy.limits.max_parts();
                    if self.parts > most {
                        return Poll::Ready(Err(self.refuse(fault::too_many_parts(most))));
                    }
                    return Poll::Ready(Ok(Some(headers)));
                }
                Step::End => {
                    self.state = State::Over;
                    return Poll::Ready(Ok(None));
                }
                Step::More | Step::Data(_) | Step::PartEnd => {}
            }
        }
    }

    /// What the headers of a part say of a file in it.
    fn admit(&mut self, headers: &Headers) -> Result<(Option<File>, Kind), Rejection> {
        let media_type = headers.media_type.as_deref();
        let name = match headers.disposition.file_name.as_deref() {
            None if matches!(media_type, None | Some("text/plain")) => return Ok((None, Kind::Field)),
            Some("") => return Ok((None, Kind::Absent)),
            // A field of another type is what others take for a file, and has no name.
            None => None,
            Some(sent) => FileName::new(sent),
        };
        let part = &headers.disposition.name;
        let found = match &name {
            Some(name) => self.ticket.policy.allow.find(name, media_type),
            None => Err(FileFault::Name),
        };
        match found {
            Ok(kind) => Ok((Some(File { name, file_type: Some(kind) }), Kind::Plain)),
            Err(fault) => {
                self.refuse_file(fault, part).map(|()| (Some(File { name, file_type: None }), Kind::Plain))
            }
        }
    }

    /// Until the first bytes of a file are held, or all of it.
    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        loop {
            match &self.state {
                State::Within(open) if !open.ended && open.held.len() < HEAD => {}
                _ => return Poll::Ready(Ok(())),
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// Judges the first bytes, and all that is held.
    fn inspect(&mut self, kind: FileType) -> Result<(), Rejection> {
        let State::Within(open) = &mut self.state else { return Ok(()) };
        let head = &open.held[..open.held.len().min(HEAD)];
        let begun = Inspector::begin(kind, head, &self.ticket.policy.archives);
        let seen = begun.and_then(|mut inspector| inspector.see(&open.held).map(|()| inspector));
        match seen {
            Ok(inspector) => open.kind = Kind::File(inspector),
            Err(fault) => {
                let part = open.name.clone();
                self.refuse_file(fault, &part)?;
            }
        }
        self.settle()
    }

    /// The verdict on a file of which all was seen.
    fn settle(&mut self) -> Result<(), Rejection> {
        let State::Within(open) = &mut self.state else { return Ok(()) };
        if !open.ended {
            return Ok(());
        }
        let Kind::File(inspector) = std::mem::replace(&mut open.kind, Kind::Plain) else { return Ok(()) };
        let part = open.name.clone();
        inspector.end().or_else(|fault| self.refuse_file(fault, &part))
    }

    /// The next bytes of the part that is open; `None` at its end.
    fn poll_chunk(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Rejection>> {
        loop {
            match &mut self.state {
                State::Refused(rejection) => return Poll::Ready(Err(rejection.clone())),
                State::Between | State::Over => return Poll::Ready(Ok(None)),
                State::Within(open) if !open.held.is_empty() => {
                    return Poll::Ready(Ok(Some(std::mem::take(&mut open.held))));
                }
                State::Within(open) if open.ended => {
                    self.state = State::Between;
                    return Poll::Ready(Ok(None));
                }
                State::Within(_) => {}
            }
            ready!(self.poll_more(cx))?;
        }
    }

    /// One more step within the part that is open.
    fn poll_more(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        match ready!(self.poll_step(cx))? {
            Step::Data(data) => Poll::Ready(self.take(data)),
            Step::PartEnd => {
                if let State::Within(open) = &mut self.state {
                    open.ended = true;
                }
                Poll::Ready(self.settle())
            }
            // The parser gives these between parts alone.
            Step::More | Step::Part(_) | Step::End => Poll::Ready(Ok(())),
        }
    }

    fn take(&mut self, data: Bytes) -> Result<(), Rejection> {
        let State::Within(open) = &mut self.state else { return Ok(()) };
        open.size += data.len() as u64;
        let limits = &self.ticket.policy.limits;
        let most = match open.kind {
            Kind::Field => limits.max_field() as u64,
            Kind::Absent | Kind::Plain | Kind::File(_) => limits.max_file(),
        };
        if open.size > most {
            return Err(self.refuse(fault::too_large(most)));
        }
        let seen = match &mut open.kind {
            Kind::File(inspector) => inspector.see(&data),
            Kind::Absent => Err(FileFault::Name),
            Kind::Field | Kind::Plain => Ok(()),
        };
        // Pieces are joined at the head of a file alone.
        open.held = if open.held.is_empty() { data } else { [&open.held[..], &data].concat().into() };
        let Err(fault) = seen else { return Ok(()) };
        open.kind = Kind::Plain;
        let part = open.name.clone();
        self.refuse_file(fault, &part)
    }

    /// What the parser sees next, fed from the body.
    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Result<Step, Rejection>> {
        if let State::Refused(rejection) = &self.state {
            return Poll::Ready(Err(rejection.clone()));
        }
        loop {
            match self.parser.step() {
                Ok(Step::More) => ready!(self.poll_body(cx))?,
                Ok(step) => return Poll::Ready(Ok(step)),
                Err(malformed) => return Poll::Ready(Err(self.refuse(fault::malformed(malformed)))),
            }
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Rejection>> {
        let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
            ready!(self.timer.poll(cx));
            return Poll::Ready(Err(self.refuse(fault::too_slow())));
        };
        self.timer.pause();
        match frame {
            None => self.parser.end(),
            Some(Err(error)) => {
                let error: Box<dyn Error + Send + Sync> = error.into();
                return Poll::Ready(Err(self.refuse(fault::unreadable(error.to_string()))));
            }
            // Trailers say nothing of a form.
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    use bytes::Buf as _;
                    self.received += data.remaining() as u64;
                    let most = self.ticket.policy.limits.max_total();
                    if self.received > most {
                        return Poll::Ready(Err(self.refuse(fault::too_large(most))));
                    }
                    self.parser.feed(data);
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    fn refuse(&mut self, rejection: Rejection) -> Rejection {
        let rejection = self.ticket.refuse(rejection);
        self.state = State::Refused(rejection.clone());
        rejection
    }

    fn refuse_file(&mut self, fault: FileFault, part: &str) -> Result<(), Rejection> {
        self.ticket.refuse_file(fault, part).inspect_err(|rejection| {
            self.state = State::Refused(rejection.clone());
        })
    }
}

impl<B> fmt::Debug for Upload<B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upload")
            .field("parts", &self.parts)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}

/// What is known of a file before it is read.
#[derive(Debug)]
struct File {
    name: Option<FileName>,
    file_type: Option<FileType>,
}

/// One part of a form: a stream of its bytes.
///
/// The bytes of a file are checked as they pass, and what can be known at its end alone is told there: keep a file only
/// when the stream has ended without an error.
pub struct Part<'u, B> {
    upload: &'u mut Upload<B>,
    media_type: Option<String>,
    file: Option<File>,
}

impl<B> Part<'_, B> {
    /// The name of the field.
    pub fn name(&self) -> &str {
        match &self.upload.state {
            State::Within(open) => &open.name,
            State::Between | State::Over | State::Refused(_) => "",
        }
    }

    /// The name of the file, made safe; `None` where the part is no file.
    pub fn file_name(&self) -> Option<&FileName> {
        self.file.as_ref()?.name.as_ref()
    }

    /// The type of the file, on which its extension, its declared type and its first bytes agree; `None` where the part
    /// is no file, or of no allowed type where the layer only reports.
    pub fn file_type(&self) -> Option<FileType> {
        self.file.as_ref()?.file_type
    }

    /// The declared type, in lower case and without parameters. Of a file, [`file_type`](Self::file_type) says what it
    /// is.
    pub fn media_type(&self) -> Option<&str> {
        self.media_type.as_deref()
    }

    /// A new name to keep the file under: 128 random bits, and the extension of its type. No client chose any of it.
    /// What is no file was not looked at, and should not be kept as one: see [`file_type`](Self::file_type).
    pub fn storage_name(&self) -> String {
        let extension = self.file_type().map_or("bin", |kind| kind.extension());
        format!("{:032x}.{extension}", rand::random::<u128>())
    }
}

impl<B> Part<'_, B>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    /// The next bytes; `None` at the end.
    ///
    /// # Errors
    ///
    /// The refusal of the form.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, Rejection> {
        poll_fn(|cx| self.upload.poll_chunk(cx)).await
    }

    /// All of it, at most as much as the limits allow: for fields and small files.
    ///
    /// # Errors
    ///
    /// The refusal of the form.
    pub async fn bytes(mut self) -> Result<Bytes, Rejection> {
        let Some(first) = self.chunk().await? else { return Ok(Bytes::new()) };
        let Some(second) = self.chunk().await? else { return Ok(first) };
        let mut all = BytesMut::from(first);
        all.extend_from_slice(&second);
        while let Some(more) = self.chunk().await? {
            all.extend_from_slice(&more);
        }
        Ok(all.freeze())
    }

    /// All of it as text.
    ///
    /// # Errors
    ///
    /// The refusal of the form, and a 400 where it is not UTF-8.
    pub async fn text(self) -> Result<String, Rejection> {
        let (name, ticket) = (self.name().to_owned(), Arc::clone(&self.upload.ticket));
        let bytes = self.bytes().await?;
        String::from_utf8(bytes.into()).map_err(|_| ticket.refuse(fault::not_text(&name)))
    }
}

impl<B> Stream for Part<'_, B>
where
    B: Body<Error: Into<Box<dyn Error + Send + Sync>>> + Unpin,
{
    type Item = Result<Bytes, Rejection>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.upload.poll_chunk(cx).map(Result::transpose)
    }
}

impl<B> fmt::Debug for Part<'_, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Part").field("name", &self.name()).field("file", &self.file).finish_non_exhaustive()
    }
}
