//! File uploads for tower services: `multipart/form-data` under limits, files of the types that are allowed, safe
//! names.
//!
//! [`UploadLayer`] stands before a handler that reads its form with [`Upload`], part by part, as a stream. Nothing is
//! kept: no temporary file, and in memory the first kilobyte of a file and the piece that is being read.
//!
//! ```
//! use std::convert::Infallible;
//!
//! use bartizan_upload::{AllowList, FileType, Upload, UploadBody, UploadLayer};
//! use http::{Request, Response};
//! use http_body_util::Full;
//! use tower::{Layer, ServiceExt, service_fn};
//!
//! # type Body = Full<bytes::Bytes>;
//! async fn save(request: Request<UploadBody<Body>>) -> Result<String, bartizan_core::Rejection> {
//!     let mut upload = Upload::of(request)?;
//!     let mut saved = String::new();
//!     while let Some(mut part) = upload.next_part().await? {
//!         if part.file_type().is_none() {
//!             continue; // a field: its bytes are of no type that was looked at
//!         }
//!         let key = part.storage_name();
//!         let mut size = 0;
//!         while let Some(chunk) = part.chunk().await? {
//!             size += chunk.len(); // write it somewhere under `key`
//!         }
//!         saved = format!("{size} bytes");
//! #       assert!(key.ends_with(".png"));
//!     }
//!     Ok(saved)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")] async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let pictures = UploadLayer::new(AllowList::new([FileType::PNG, FileType::JPEG])?);
//! let service = pictures.layer(service_fn(async |request| {
//!     Ok::<_, Infallible>(Response::new(Body::from(save(request).await.unwrap_or_default())))
//! }));
//! let post = |file: &str, bytes: &str| {
//!     let form = format!(
//!         "--X\r\nContent-Disposition: form-data; name=\"picture\"; filename=\"{file}\"\r\n\
//!          Content-Type: image/jpeg\r\n\r\n{bytes}\r\n--X--\r\n"
//!     );
//!     let request = Request::post("/").header("content-type", "multipart/form-data; boundary=X");
//!     request.body(Body::from(form))
//! };
//!
//! # let png = |bytes: &[u8]| {
//! #     let form = [
//! #         b"--X\r\nContent-Disposition: form-data; name=a; filename=a.png\r\nContent-Type: image/png\r\n\r\n".as_slice(),
//! #         bytes, b"\r\n--X--",
//! #     ].concat();
//! #     let request = Request::post("/").header("content-type", "multipart/form-data; boundary=X");
//! #     request.body(Body::from(form))
//! # };
//! let accepted = service.clone().oneshot(png(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR")?).await?;
//! assert_eq!(accepted.status(), 200);
//!
//! // The name and the declared type say JPEG, and the bytes do not.
//! let refused = service.clone().oneshot(post("cat.jpg", "<script>alert(1)</script>")?).await?;
//! assert_eq!(refused.status(), 415);
//! let refused = service.oneshot(post("../../cat.php.jpg", "")?).await?;
//! assert_eq!(refused.status(), 415);
//! # Ok(()) }
//! ```
//!
//! # Behaviour
//!
//! 1. **From the head**, before the body is polled: a form whose boundary is missing, doubled or illegal is a 400, one
//!    that says it is too long a 413, one in a `Content-Encoding` a 415. Other bodies go on untouched, or are a 415 with
//!    [`with_forms_only`](UploadLayer::with_forms_only).
//! 2. **The form** is read strictly (RFC 7578): nothing before the first delimiter and after the last, no `filename*`,
//!    no transfer encoding, one name per part, an end. Anything else is a 400.
//! 3. **Limits** hold while reading: [`UploadLimits`]. Too many bytes are a 413; too many parts or headers a 400; a
//!    sender that is waited for too long a 408.
//! 4. **A file** is a part that has a file name, or declares a type other than `text/plain`: one without a name is
//!    refused. All others are fields, up to [`UploadLimits::with_max_field`], and not looked at. A file is given to the
//!    handler when its extension, its declared type and its first bytes agree on one type of the [`AllowList`]. A second
//!    extension within the name that runs or could be taken for the file's own is refused.
//! 5. **While it passes** it is looked at for a second type: markup, a PDF, code or an archive in a picture, anything
//!    but text in a text. A ZIP archive, and so a document of Office's, is unpacked as it passes and counted:
//!    [`ArchiveLimits`]; its entries must stay in their folder and be files, and its directory must say what is there.
//! 6. **The refusal is the answer**, even if the handler swallows the error or does not read on. What is known at the
//!    end of a file is told there: keep a file only when its stream has ended without an error.
//! 7. **Names** are made safe ([`FileName`]), and a [storage name](Part::storage_name) is generated.
//! 8. A form that nobody reads costs nothing; read past [`Upload`], its body gives an error, and no unchecked byte, and
//!    the answer is a 500.
//! 9. [`with_report_only`](UploadLayer::with_report_only) counts and tells which files would be refused.
//! 10. **Of several layers** within each other, the one nearest to the handler decides, as with axum's own limit: a
//!     router's for all, a route's for its own. Only what a head says of its length is judged by each.
//!
//! # Codes
//!
//! Of `errors[].code`: `multipart_boundary`, `_delimiter`, `_headers`, `_disposition`, `_extended_name`, `_encoding`,
//! `_truncated`, `_trailing` and `_limit`; `file_name`, `file_double_extension`, `file_extension`, `file_media_type`,
//! `file_content` and `file_polyglot`; `archive_malformed`, `_opaque`, `_entries`, `_ratio`, `_nested`, `_path`,
//! `_special` and `_document`; `field_encoding`. The pointer is the name of the part.
//!
//! # With axum
//!
//! With the feature `axum`, `Upload<axum::body::Body>` is an extractor:
//!
//! ```
//! # #[cfg(feature = "axum")]
//! # mod example {
//! use axum::{Router, body::Body, routing::post};
//! use bartizan_core::Rejection;
//! use bartizan_upload::{AllowList, ConfigError, FileType, Upload, UploadLayer};
//!
//! async fn save(mut upload: Upload<Body>) -> Result<String, Rejection> {
//!     let mut names = Vec::new();
//!     while let Some(part) = upload.next_part().await? {
//!         names.extend(part.file_name().map(ToString::to_string));
//!     }
//!     Ok(names.join(", "))
//! }
//!
//! fn app() -> Result<Router, ConfigError> {
//!     let pictures = AllowList::new([FileType::PNG, FileType::JPEG])?;
//!     Ok(Router::new().route("/pictures", post(save).layer(UploadLayer::new(pictures).with_forms_only())))
//! }
//! # }
//! ```
//!
//! axum's own limit of 2 MiB for bodies does not hold here; [`UploadLimits`] do.
//!
//! # Caveats
//!
//! - It looks at types, not at contents: pictures and documents that harm the program that opens them pass. For that
//!   there are scanners for viruses, and converting each picture anew.
//! - Serve what was uploaded with [`attachment`], and best from a host of its own.
//! - The body must be `Unpin`, as those of axum, tonic and hyper are; the runtime is tokio's, for its timer.
//! - Archives other than ZIP are not looked into, and so no type for them is there.
//!
//! # Place in a stack
//!
//! Phase `Validation`, on the routes that take uploads. It needs nothing and provides nothing. The wide event gets
//! `upload.code` and `upload.report_only` of a form that was or would be refused.
//!
//! # Features
//!
//! All off by default.
//!
//! - `axum`: the extractor.
//! - `metrics`: `bartizan_upload_failures_total{code}`.
//! - `tracing`: an event for each refusal, `upload_validation_fail`, and for what report-only mode lets pass, target
//!   `bartizan::upload`.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod archive;
mod body;
mod config;
#[cfg(feature = "axum")]
mod extract;
mod fault;
mod form;
mod future;
mod layer;
mod limits;
mod name;
mod policy;
mod serve;
mod service;
mod telemetry;
mod timer;
mod types;
mod upload;

pub use self::{
    archive::ArchiveLimits,
    body::UploadBody,
    config::ConfigError,
    future::UploadFuture,
    layer::UploadLayer,
    limits::UploadLimits,
    name::FileName,
    serve::attachment,
    service::UploadService,
    types::{AllowList, FileType},
    upload::{Part, Upload},
};

/// The examples of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
