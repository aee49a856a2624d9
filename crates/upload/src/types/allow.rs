//! The list of what is accepted.

use super::FileType;
use crate::{ConfigError, FileName, fault::FileFault};

/// The types of file that are accepted: none, until some are named.
///
/// ```
/// use bartizan_upload::{AllowList, FileType};
///
/// # fn main() -> Result<(), bartizan_upload::ConfigError> {
/// let pictures = AllowList::new([FileType::PNG, FileType::JPEG])?;
/// assert_eq!(pictures.types().len(), 2);
/// # Ok(()) }
/// ```
#[derive(Clone, Debug, Default)]
pub struct AllowList {
    types: Vec<FileType>,
    double_extensions: bool,
}

/// Extensions that run, or that are shown as a program, wherever in a name they stand: servers that map extensions and
/// people who hide them fall for `cat.php.png` and for `cat.png.exe`.
const ACTIVE: [&str; 62] = [
    "app", "asp", "aspx", "bash", "bat", "cer", "cfm", "cgi", "class", "cmd", "com", "cpl", "dll", "dmg",
    "docm", "elf", "exe", "gadget", "hta", "htaccess", "htm", "html", "inf", "ini", "jar", "jnlp", "js",
    "jse", "jsp", "jspx", "lnk", "mht", "mhtml", "mjs", "msi", "msp", "phar", "php", "php3", "php4", "php5",
    "php7", "phps", "pht", "phtml", "pif", "pl", "pptm", "ps1", "py", "rb", "reg", "scr", "sh", "shtml",
    "svg", "svgz", "swf", "vbs", "wsf", "xhtml", "xlsm",
];

/// Extensions of what people know: before another one they are there to be mistaken for it.
const FAMILIAR: [&str; 24] = [
    "avif", "bmp", "csv", "doc", "docx", "gif", "gz", "jpeg", "jpg", "json", "mp3", "mp4", "pdf", "png",
    "ppt", "pptx", "rar", "tar", "tif", "txt", "webp", "xls", "xlsx", "zip",
];

impl AllowList {
    /// These types, and no other.
    ///
    /// # Errors
    ///
    /// When a type has no extension or no media type.
    pub fn new(types: impl IntoIterator<Item = FileType>) -> Result<Self, ConfigError> {
        let types: Vec<_> = types.into_iter().collect();
        if types.iter().all(FileType::is_usable) {
            Ok(Self { types, double_extensions: false })
        } else {
            Err(ConfigError::Nothing)
        }
    }

    /// Names may have an extension within that people or servers could take for the file's own: `report.pdf.zip`.
    /// Those that run stay refused. Default: they are refused too.
    #[must_use]
    pub fn with_double_extensions(self) -> Self {
        Self { double_extensions: true, ..self }
    }

    /// The types.
    pub fn types(&self) -> &[FileType] {
        &self.types
    }

    /// The type that a name and a declared type stand for.
    pub(crate) fn find(&self, name: &FileName, declared: Option<&str>) -> Result<FileType, FileFault> {
        let extensions = name.extensions();
        let of = |kind: &FileType| {
            let known = kind.extensions().iter().map(|extension| extension.split('.').collect::<Vec<_>>());
            known.filter(|known| extensions.ends_with(&owned(known))).map(|known| known.len()).max()
        };
        let fitting: Vec<_> = self.types.iter().filter_map(|kind| Some((*kind, of(kind)?))).collect();
        let longest = fitting.iter().map(|(_, length)| *length).max();
        // What is not the extension stands within.
        let within = &extensions[..extensions.len() - longest.unwrap_or(1).min(extensions.len())];
        let is_double = |extension: &String| {
            ACTIVE.contains(&extension.trim())
                || (!self.double_extensions && FAMILIAR.contains(&extension.trim()))
        };
        if within.iter().any(is_double) {
            return Err(FileFault::DoubleExtension);
        }
        let longest = longest.ok_or(FileFault::Extension)?;
        let mut fitting = fitting.into_iter().filter(|(_, length)| *length == longest).map(|(kind, _)| kind);
        let declared = declared.unwrap_or_default();
        fitting.find(|kind| kind.is_declared_as(declared)).ok_or(FileFault::MediaType)
    }
}

fn owned(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(name: &str, declared: &str) -> Result<&'static str, FileFault> {
        let list = AllowList::new([FileType::PNG, FileType::JPEG, FileType::CSV, FileType::ZIP]).unwrap();
        list.find(&FileName::new(name).unwrap(), Some(declared)).map(|kind| kind.extension())
    }

    #[test]
    fn upl_03_extension_and_declared_type_agree() {
        for (name, declared, kind) in [
            ("a.png", "image/png", "png"),
            ("a.JPEG", "image/jpeg", "jpg"),
            ("report.v2.2026.csv", "text/csv", "csv"),
            ("a.csv", "application/vnd.ms-excel", "csv"),
        ] {
            assert_eq!(find(name, declared), Ok(kind), "{name} {declared}");
        }
        for (name, declared, fault) in [
            ("a.png", "image/jpeg", FileFault::MediaType),
            ("a.png", "", FileFault::MediaType),
            ("a.png", "application/octet-stream", FileFault::MediaType),
            ("a", "image/png", FileFault::Extension),
            ("png", "image/png", FileFault::Extension),
            ("a.svg", "image/svg+xml", FileFault::Extension),
            ("a.html", "text/html", FileFault::Extension),
            ("a.svg", "image/png", FileFault::Extension),
            ("a.php.png", "image/png", FileFault::DoubleExtension),
            ("a.PhP .png", "image/png", FileFault::DoubleExtension),
            ("a.png.exe", "image/png", FileFault::DoubleExtension),
            ("a.pdf.zip", "application/zip", FileFault::DoubleExtension),
        ] {
            assert_eq!(find(name, declared), Err(fault), "{name} {declared}");
        }
    }

    #[test]
    fn upl_03_double_extensions_that_run_stay_refused() {
        let list = AllowList::new([FileType::ZIP]).unwrap().with_double_extensions();
        let find = |name| list.find(&FileName::new(name).unwrap(), Some("application/zip"));
        assert_eq!(find("a.pdf.zip"), Ok(FileType::ZIP));
        assert_eq!(find("a.js.zip"), Err(FileFault::DoubleExtension));
    }

    #[test]
    fn lay_06_a_type_that_matches_nothing_is_a_mistake() {
        let nothing = FileType::new(&[], &["image/x"], |_| true);
        assert_eq!(AllowList::new([nothing]).unwrap_err(), ConfigError::Nothing);
    }

    #[test]
    fn the_lists_are_sorted_and_have_no_name_twice() {
        assert!(ACTIVE.is_sorted_by(|a, b| a < b) && FAMILIAR.is_sorted_by(|a, b| a < b));
    }
}
