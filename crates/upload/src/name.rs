//! File names that are safe to show and to keep.

use std::fmt;

use unicode_normalization::UnicodeNormalization;

/// A file name that a client sent, made safe: a name without folders, in Unicode's normal form C, without control
/// characters and without those that change the direction of writing, not starting with a dot, not ending with a dot or
/// a space, none of the device names of Windows, at most 255 bytes.
///
/// It is for people to read. To keep the file use the part's storage name, which no client chose.
///
/// ```
/// use bartizan_upload::FileName;
///
/// assert_eq!(FileName::new("C:\\photos\\..\\cat.png").unwrap().as_str(), "cat.png");
/// assert_eq!(FileName::new("../../.bashrc").unwrap().as_str(), "bashrc");
/// assert_eq!(FileName::new("con.txt").unwrap().as_str(), "_con.txt");
/// assert_eq!(FileName::new("cat.png%00.exe"), None);
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FileName(String);

impl FileName {
    /// The most bytes of a name, as most file systems have it.
    pub const MAX: usize = 255;

    /// Makes `sent` safe; `None` where nothing is left of it, or it carries a NUL, as it is or as `%00`: nobody does
    /// that by accident.
    pub fn new(sent: &str) -> Option<Self> {
        if sent.contains('\0') || sent.contains("%00") {
            return None;
        }
        let base = sent.rsplit(['/', '\\']).next().unwrap_or_default();
        let plain: String = base.chars().filter(|char| !is_hidden(*char)).nfc().collect();
        let plain = plain.trim_start_matches(|char: char| char == '.' || char.is_whitespace());
        let plain = shortened(plain.trim_end_matches(|char: char| char == '.' || char.is_whitespace()));
        if plain.is_empty() {
            return None;
        }
        // What Windows takes for a folder, a stream or a pattern.
        let plain: String =
            plain.chars().map(|char| if r#"<>:"|?*"#.contains(char) { '_' } else { char }).collect();
        Some(Self(if is_device(&plain) { shortened(&format!("_{plain}")) } else { plain }))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What stands between the dots after the first, in lower case: `["tar", "gz"]` of `a.tar.gz`.
    pub(crate) fn extensions(&self) -> Vec<String> {
        self.0.split('.').skip(1).map(str::to_lowercase).collect()
    }
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Control characters, and those that show nothing or change how the rest is shown: `cat<U+202E>gnp.exe` looks like
/// `catexe.png`.
fn is_hidden(char: char) -> bool {
    char.is_control()
        || matches!(char,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// At most 255 bytes, of which the last extension is kept where it is short.
fn shortened(name: &str) -> String {
    if name.len() <= FileName::MAX {
        return name.to_owned();
    }
    let extension =
        name.rfind('.').map(|at| &name[at..]).filter(|extension| extension.len() <= 32).unwrap_or_default();
    let mut end = FileName::MAX - extension.len();
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    let stem = name[..end].trim_end_matches(|char: char| char == '.' || char.is_whitespace());
    format!("{stem}{extension}")
}

/// Windows opens a device for these, whatever extension follows.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_uppercase();
    if ["CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$", "CLOCK$"].contains(&&*stem) {
        return true;
    }
    let number = stem.strip_prefix("COM").or_else(|| stem.strip_prefix("LPT"));
    number.is_some_and(|number| {
        matches!(number, "0" | "1" | "2" | "3" | "4" | "5" | "6" | "7" | "8" | "9" | "¹" | "²" | "³")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn safe(sent: &str) -> String {
        FileName::new(sent).map_or_else(|| "-".to_owned(), |name| name.0)
    }

    #[test]
    fn upl_04_names_are_made_safe() {
        for (sent, expected) in [
            ("cat.png", "cat.png"),
            ("/etc/passwd", "passwd"),
            ("..\\..\\cat.png", "cat.png"),
            ("a/b\\c.png", "c.png"),
            ("folder/", "-"),
            ("..", "-"),
            ("", "-"),
            (" . .hidden. ", "hidden"),
            ("a\r\nb\u{7}.png", "ab.png"),
            ("cat\u{202e}gnp.exe", "catgnp.exe"),
            ("e\u{301}.png", "\u{e9}.png"),
            ("a\0b", "-"),
            ("a%00b", "-"),
            ("NUL", "_NUL"),
            ("com1.tar.gz", "_com1.tar.gz"),
            ("lpt².txt", "_lpt².txt"),
            ("aux .txt", "_aux .txt"),
            ("console.txt", "console.txt"),
            ("a.png:stream", "a.png_stream"),
            ("a<b>|?*\"c", "a_b_____c"),
        ] {
            assert_eq!(safe(sent), expected, "{sent:?}");
        }
    }

    #[test]
    fn upl_04_a_long_name_keeps_its_extension() {
        let name = safe(&format!("{}.png", "é".repeat(300)));
        assert!(name.len() <= 255 && name.ends_with("é.png"), "{name}");
        assert_eq!(safe(&"x".repeat(400)).len(), 255);
        assert_eq!(safe(&format!("con.{}", "x".repeat(300))).len(), 255);
    }

    #[test]
    fn upl_04_any_text_becomes_a_safe_name_or_none() {
        bolero::check!().with_type::<String>().for_each(|sent| {
            let Some(name) = FileName::new(sent) else { return };
            let text = name.as_str();
            assert!((1..=255).contains(&text.len()));
            assert!(
                !text.contains(['/', '\\', '\0', ':'])
                    && !text.starts_with('.')
                    && !text.ends_with(['.', ' '])
            );
            assert!(!text.chars().any(is_hidden) && !is_device(text));
            assert!(unicode_normalization::is_nfc(text), "{text:?}");
            assert_eq!(FileName::new(text).as_ref(), Some(&name), "what is safe stays as it is");
        });
    }
}
