//! Running other programs: each is shown before it runs, and a failure names it.

use std::{
    borrow::Cow,
    env,
    ffi::OsStr,
    fmt,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use anyhow::{Context, Result, anyhow, bail};

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("xtask is a folder of the workspace")
}

/// The folder for what is built, as cargo sees it.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), |dir| root().join(dir))
}

/// A program to run in the root of the workspace, with our pinned tools first in the path.
pub(crate) struct Sh {
    command: Command,
    settings: Vec<String>,
}

impl Sh {
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.current_dir(root()).stdin(Stdio::null());
        let tools = crate::tool::bin_folder();
        let rest = env::var_os("PATH").unwrap_or_default();
        // A PATH that cannot be joined holds a separator in a folder's name: then the tools are not found, and said so.
        if let Ok(path) = env::join_paths([tools].into_iter().chain(env::split_paths(&rest))) {
            command.env("PATH", path);
        }
        Self { command, settings: Vec::new() }
    }

    /// Cargo, the one that runs this program.
    pub(crate) fn cargo(subcommand: &str) -> Self {
        Self::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into())).arg(subcommand)
    }

    pub(crate) fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.command.arg(arg);
        self
    }

    pub(crate) fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.command.args(args);
        self
    }

    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.settings.push(format!("{name}={}", quoted(&value.as_ref().to_string_lossy())));
        self.command.env(name, value);
        self
    }

    /// Runs it with its output shown.
    pub(crate) fn run(mut self) -> Result<()> {
        self.echo();
        let status = self.command.status().with_context(|| self.cannot_start())?;
        if status.success() { Ok(()) } else { bail!("`{self}` failed: {status}") }
    }

    /// Runs it with its output shown, and hands over each line of it that went to standard output.
    pub(crate) fn each_line(mut self, mut line: impl FnMut(&str)) -> Result<()> {
        self.echo();
        let mut child = self.command.stdout(Stdio::piped()).spawn().with_context(|| self.cannot_start())?;
        let output = child.stdout.take().context("standard output was asked for and is not there")?;
        let mut output = BufReader::new(output);
        let mut bytes = Vec::new();
        while output.read_until(b'\n', &mut bytes)? > 0 {
            let text = String::from_utf8_lossy(&bytes);
            print!("{text}");
            line(text.trim_end());
            bytes.clear();
        }
        let status = child.wait()?;
        if status.success() { Ok(()) } else { bail!("`{self}` failed: {status}") }
    }

    /// Runs it and returns what it wrote to standard output; its complaints are shown.
    pub(crate) fn output(mut self) -> Result<String> {
        self.echo();
        self.read()
    }

    /// The same without a word: for questions that people need not see.
    pub(crate) fn read(&mut self) -> Result<String> {
        let output = self.command.stderr(Stdio::inherit()).output().with_context(|| self.cannot_start())?;
        if !output.status.success() {
            bail!("`{self}` failed: {}\n{}", output.status, String::from_utf8_lossy(&output.stdout));
        }
        String::from_utf8(output.stdout).map_err(|_| anyhow!("`{self}` wrote something that is not UTF-8"))
    }

    fn echo(&self) {
        eprintln!("$ {self}");
    }

    fn cannot_start(&self) -> String {
        format!("cannot start `{self}`")
    }
}

/// The command as a person would type it.
impl fmt::Display for Sh {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for setting in &self.settings {
            write!(f, "{setting} ")?;
        }
        let program = Path::new(self.command.get_program());
        f.write_str(&program.file_stem().unwrap_or(program.as_os_str()).to_string_lossy())?;
        for arg in self.command.get_args() {
            write!(f, " {}", quoted(&arg.to_string_lossy()))?;
        }
        Ok(())
    }
}

/// The text as a shell takes it for one word.
fn quoted(text: &str) -> Cow<'_, str> {
    if text.is_empty() || text.contains(char::is_whitespace) {
        format!("'{text}'").into()
    } else {
        text.into()
    }
}

/// Whether a program of this name is in the path.
pub(crate) fn is_installed(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_handed_over_as_they_come() {
        let mut lines = Vec::new();
        Sh::cargo("--version").each_line(|line| lines.push(line.to_owned())).unwrap();
        assert!(matches!(lines.as_slice(), [line] if line.starts_with("cargo ")), "{lines:?}");
    }

    #[test]
    fn a_failure_names_the_command_as_a_person_would_type_it() {
        let error = Sh::cargo("no-such-command").env("LEVEL", "1").arg("two words").run().unwrap_err();
        assert!(
            error.to_string().starts_with("`LEVEL=1 cargo no-such-command 'two words'` failed"),
            "{error}"
        );
        let error = Sh::new("no-such-program-anywhere").run().unwrap_err();
        assert_eq!(error.to_string(), "cannot start `no-such-program-anywhere`");
    }
}
