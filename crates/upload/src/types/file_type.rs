//! What a type of file looks like.

use std::fmt;

/// A type of file: its extensions, its media types, and what its first bytes are.
///
/// The constants are the types that most services take. There is none for SVG and HTML: they are programs that run in
/// the reader's browser; and none for archives other than ZIP, which are not looked into.
///
/// ```
/// use bartizan_upload::FileType;
///
/// /// A type of our own.
/// const SCENE: FileType =
///     FileType::new(&["scene"], &["application/x-scene"], |head| head.starts_with(b"SCENE1"));
/// assert_eq!(SCENE.media_type(), "application/x-scene");
/// ```
#[derive(Clone, Copy)]
pub struct FileType {
    extensions: &'static [&'static str],
    media_types: &'static [&'static str],
    magic: fn(&[u8]) -> bool,
    pub(crate) body: Body,
}

/// What is demanded of a whole file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Body {
    /// That it is of no other type too.
    Single,
    /// That it is text, and no program or markup.
    Text,
    /// That it is an archive that can be unpacked safely, and has these entries.
    Zip(&'static [&'static str]),
}

impl FileType {
    /// A type with these extensions and media types, both in lower case, the usual ones first, of which `magic` knows
    /// the first bytes: up to 1024 of them.
    pub const fn new(
        extensions: &'static [&'static str],
        media_types: &'static [&'static str],
        magic: fn(&[u8]) -> bool,
    ) -> Self {
        Self { extensions, media_types, magic, body: Body::Single }
    }

    const fn text(extensions: &'static [&'static str], media_types: &'static [&'static str]) -> Self {
        Self { extensions, media_types, magic: |_| true, body: Body::Text }
    }

    const fn zip(
        extensions: &'static [&'static str],
        media_types: &'static [&'static str],
        entries: &'static [&'static str],
    ) -> Self {
        Self { extensions, media_types, magic: infer::archive::is_zip, body: Body::Zip(entries) }
    }

    /// PNG.
    pub const PNG: Self = Self::new(&["png"], &["image/png"], |head| head.starts_with(b"\x89PNG\r\n\x1a\n"));
    /// JPEG.
    pub const JPEG: Self = Self::new(&["jpg", "jpeg"], &["image/jpeg"], infer::image::is_jpeg);
    /// GIF.
    pub const GIF: Self = Self::new(&["gif"], &["image/gif"], |head| {
        head.starts_with(b"GIF87a") || head.starts_with(b"GIF89a")
    });
    /// WebP.
    pub const WEBP: Self = Self::new(&["webp"], &["image/webp"], |head| {
        head.starts_with(b"RIFF") && infer::image::is_webp(head)
    });
    /// AVIF.
    pub const AVIF: Self = Self::new(&["avif"], &["image/avif"], infer::image::is_avif);
    /// PDF.
    pub const PDF: Self = Self::new(&["pdf"], &["application/pdf"], |head| head.starts_with(b"%PDF-"));
    /// MP4.
    pub const MP4: Self = Self::new(&["mp4", "m4v"], &["video/mp4"], infer::video::is_mp4);
    /// MP3.
    pub const MP3: Self = Self::new(&["mp3"], &["audio/mpeg", "audio/mp3"], infer::audio::is_mp3);
    /// Text in UTF-8.
    pub const TEXT: Self = Self::text(&["txt"], &["text/plain"]);
    /// Comma-separated values in UTF-8. Browsers on Windows declare it as Excel's.
    pub const CSV: Self = Self::text(&["csv"], &["text/csv", "application/vnd.ms-excel", "application/csv"]);
    /// JSON, as text in UTF-8: whether it parses is for its reader to say.
    pub const JSON: Self = Self::text(&["json"], &["application/json"]);
    /// ZIP.
    pub const ZIP: Self = Self::zip(&["zip"], &["application/zip", "application/x-zip-compressed"], &[]);
    /// A document of Word's, without macros.
    pub const DOCX: Self = Self::zip(
        &["docx"],
        &["application/vnd.openxmlformats-officedocument.wordprocessingml.document"],
        &["[Content_Types].xml", "word/document.xml"],
    );
    /// A workbook of Excel's, without macros.
    pub const XLSX: Self = Self::zip(
        &["xlsx"],
        &["application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"],
        &["[Content_Types].xml", "xl/workbook.xml"],
    );
    /// A presentation of PowerPoint's, without macros.
    pub const PPTX: Self = Self::zip(
        &["pptx"],
        &["application/vnd.openxmlformats-officedocument.presentationml.presentation"],
        &["[Content_Types].xml", "ppt/presentation.xml"],
    );

    /// The usual media type, for a response that serves the file.
    pub fn media_type(&self) -> &'static str {
        self.media_types.first().copied().unwrap_or("application/octet-stream")
    }

    /// The usual extension.
    pub fn extension(&self) -> &'static str {
        self.extensions.first().copied().unwrap_or("bin")
    }

    pub(crate) fn extensions(&self) -> &'static [&'static str] {
        self.extensions
    }

    pub(crate) fn is_declared_as(&self, media_type: &str) -> bool {
        self.media_types.contains(&media_type)
    }

    pub(crate) fn starts(&self, head: &[u8]) -> bool {
        (self.magic)(head)
    }

    pub(crate) fn is_usable(&self) -> bool {
        !self.extensions.is_empty() && !self.media_types.is_empty()
    }
}

impl fmt::Debug for FileType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("FileType").field(&self.media_type()).finish()
    }
}

/// By media type: each has its own.
impl PartialEq for FileType {
    fn eq(&self, other: &Self) -> bool {
        self.media_types == other.media_types && self.extensions == other.extensions
    }
}

impl Eq for FileType {}
