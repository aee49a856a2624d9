//! Which files are accepted.

use bartizan_upload::{AllowList, FileType, UploadLayer};

use crate::support::{PNG, file, layer, part, upload};

#[tokio::test]
async fn upl_03_extension_declared_type_and_bytes_agree() {
    for (name, media_type, bytes, code) in [
        ("a.png", "image/jpeg", PNG, "file_media_type"),
        ("a.png", "application/octet-stream", PNG, "file_media_type"),
        ("a.jpg", "image/jpeg", PNG, "file_content"),
        ("a.png", "image/png", b"", "file_content"),
        ("a.png", "image/png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "file_content"),
        ("a.svg", "image/svg+xml", b"<svg/>", "file_extension"),
        ("a.html", "text/html", b"<html>", "file_extension"),
        ("a.php.png", "image/png", PNG, "file_double_extension"),
        ("a.png.exe", "image/png", PNG, "file_double_extension"),
        ("a.csv", "text/csv", b"<script>", "file_content"),
        ("a.gif", "image/gif", b"GIF89a", "file_extension"),
    ] {
        let answer = upload(&layer(), &[part("t", "", b""), file(name, media_type, bytes)]).await;
        assert_eq!(answer.refusal(), (415, code.to_owned()), "{name}");
        assert_eq!(answer.parts, ["t - - 0"], "the handler never sees the file");
        let problem: serde_json::Value = serde_json::from_slice(answer.response.body()).unwrap();
        assert_eq!(problem["errors"][0]["pointer"], "#/file");
        assert_eq!(answer.response.headers()["accept"], "multipart/form-data");
    }
    let pictures = AllowList::new([FileType::PNG]).unwrap();
    let answer = upload(&UploadLayer::new(pictures), &[file("a.csv", "text/csv", b"a,b")]).await;
    assert_eq!(answer.refusal(), (415, "file_extension".to_owned()), "the list is this layer's");
}

#[tokio::test]
async fn upl_04_names_without_a_safe_form_are_refused_and_others_made_safe() {
    for name in ["a.png%00.jpg", "..", "a/", " . "] {
        let answer = upload(&layer(), &[file(name, "image/png", PNG)]).await;
        assert_eq!(answer.refusal(), (400, "file_name".to_owned()), "{name}");
    }
    let answer = upload(&layer(), &[file("C:\\x\\..\\nul.png", "image/png", PNG)]).await;
    assert_eq!(answer.parts, [format!("file _nul.png png {}", PNG.len())]);
}

#[tokio::test]
async fn a_file_that_was_not_chosen_is_an_empty_part_and_no_way_around_the_list() {
    let empty = file("", "application/octet-stream", b"");
    assert_eq!(upload(&layer(), &[empty]).await.parts, ["file - - 0"]);
    let hidden = file("", "application/octet-stream", b"MZ");
    assert_eq!(upload(&layer(), &[hidden]).await.refusal(), (400, "file_name".to_owned()));
}

#[tokio::test]
async fn upl_03_a_type_without_a_file_name_is_no_way_around_the_list() {
    let typed = |media: &str, data: &[u8]| part("file", &format!("\r\nContent-Type: {media}"), data);
    for media in ["text/html", "image/svg+xml", "image/png", "application/octet-stream", ""] {
        let answer = upload(&layer(), &[typed(media, b"<script>alert(1)</script>")]).await;
        assert_eq!(answer.refusal(), (400, "file_name".to_owned()), "{media}");
        assert!(answer.parts.is_empty());
    }
    for media in ["text/plain", "Text/Plain; charset=utf-8"] {
        let answer = upload(&layer(), &[typed(media, b"hello")]).await;
        assert_eq!((answer.status(), &answer.parts[..]), (200, &["file - - 5".to_owned()][..]), "{media}");
    }
    // As large as a file may be, where it is only told.
    let large = vec![b'x'; 100_000];
    let answer = upload(&layer().with_report_only(), &[typed("text/html", &large)]).await;
    assert_eq!((answer.status(), &answer.parts[..]), (200, &["file - - 100000".to_owned()][..]));
}

/// A stored ZIP archive of these entries, each with a byte in it.
fn zip(names: &[&str]) -> Vec<u8> {
    let (mut bytes, mut directory) = (Vec::new(), Vec::new());
    for name in names {
        let length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let common =
            [&[20, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0][..], &length, &[0, 0]];
        let offset = u32::try_from(bytes.len()).unwrap().to_le_bytes();
        bytes.extend([b"PK\x03\x04", &common.concat()[..], name.as_bytes(), b"x"].concat());
        directory.extend(
            [b"PK\x01\x02\x14\x00", &common.concat()[..], &[0; 10], &offset, name.as_bytes()].concat(),
        );
    }
    let count = u16::try_from(names.len()).unwrap().to_le_bytes();
    let (size, begin) = (u32::try_from(directory.len()).unwrap(), u32::try_from(bytes.len()).unwrap());
    let end =
        [&b"PK\x05\x06\0\0\0\0"[..], &count, &count, &size.to_le_bytes(), &begin.to_le_bytes(), &[0, 0]];
    [bytes, directory, end.concat()].concat()
}

#[tokio::test]
async fn upl_03_archives_are_looked_into() {
    let send = async |name: &str, media_type: &str, entries: &[&str]| {
        upload(&layer(), &[file(name, media_type, &zip(entries))]).await
    };
    assert_eq!(send("a.zip", "application/zip", &["a", "b/c"]).await.status(), 200);
    assert_eq!(send("a.zip", "application/zip", &["../a"]).await.refusal(), (422, "archive_path".to_owned()));

    let word = FileType::DOCX.media_type();
    let document = ["[Content_Types].xml", "_rels/.rels", "word/document.xml"];
    assert_eq!(send("a.docx", word, &document).await.status(), 200);
    assert_eq!(send("a.docx", word, &document[..2]).await.refusal(), (422, "archive_document".to_owned()));
    let macros = [&document[..], &["word/vbaProject.bin"]].concat();
    assert_eq!(send("a.docx", word, &macros).await.refusal(), (422, "archive_document".to_owned()));
}

#[tokio::test]
async fn report_only_hands_on_what_would_be_refused() {
    let layer = layer().with_report_only();
    let parts = [
        file("a.exe", "application/x-dosexec", b"MZ"),
        file("a.png", "image/png", b"no png"),
        file("a.zip", "application/zip", &zip(&["../a"])),
    ];
    let answer = upload(&layer, &parts).await;
    assert_eq!(answer.status(), 200);
    let sizes = format!("file a.zip zip {}", zip(&["../a"]).len());
    assert_eq!(answer.parts, ["file a.exe - 2", "file a.png png 6", &sizes]);
    // The form itself, and its limits, are no matter of reporting.
    let body = bartizan_testkit::TestBody::full("x");
    assert_eq!(crate::support::send(&layer, crate::support::post(body)).await.status(), 400);
}
