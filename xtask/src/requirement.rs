//! Programs of the system that a command needs, installed by the system's package manager.

use anyhow::{Result, bail};

use crate::sh::{Sh, is_installed};

/// A program that is not built from Rust sources.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Requirement {
    /// The program, as found in the path.
    program: &'static str,
    /// What needs it, for the message when it cannot be installed.
    purpose: &'static str,
    /// The package that holds it, for each package manager that has one.
    packages: &'static [(&'static str, &'static [&'static str])],
}

/// Counts instructions.
pub(crate) const VALGRIND: Requirement = Requirement {
    program: "valgrind",
    purpose: "the benchmarks count instructions with it",
    packages: &[
        ("apt-get", &["valgrind", "libc6-dbg"]),
        ("dnf", &["valgrind"]),
        ("apk", &["valgrind", "musl-dbg"]),
        ("pacman", &["valgrind"]),
        ("brew", &["valgrind"]),
    ],
};

/// Holds what instances of a service share.
pub(crate) const REDIS: Requirement = Requirement {
    program: "redis-server",
    purpose: "tests of limits in Redis start their own",
    packages: &[
        ("apt-get", &["redis-server"]),
        ("dnf", &["redis"]),
        ("apk", &["redis"]),
        ("pacman", &["redis"]),
        ("brew", &["redis"]),
    ],
};

struct Manager {
    program: &'static str,
    /// Before the first installation.
    refresh: Option<&'static [&'static str]>,
    install: &'static [&'static str],
    needs_root: bool,
}

const MANAGERS: [Manager; 5] = [
    Manager {
        program: "apt-get",
        refresh: Some(&["update", "--quiet"]),
        install: &["install", "--quiet", "--yes", "--no-install-recommends"],
        needs_root: true,
    },
    Manager {
        program: "dnf",
        refresh: None,
        install: &["install", "--assumeyes", "--quiet"],
        needs_root: true,
    },
    Manager { program: "apk", refresh: None, install: &["add", "--no-cache"], needs_root: true },
    Manager {
        program: "pacman",
        refresh: None,
        install: &["-Sy", "--noconfirm", "--needed"],
        needs_root: true,
    },
    Manager { program: "brew", refresh: None, install: &["install"], needs_root: false },
];

/// Sees to it that all of these are there.
pub(crate) fn provide(requirements: &[Requirement]) -> Result<()> {
    for requirement in requirements {
        requirement.provide()?;
    }
    Ok(())
}

impl Requirement {
    fn provide(&self) -> Result<()> {
        if is_installed(self.program) {
            return Ok(());
        }
        eprintln!("{} is missing ({}): installing it", self.program, self.purpose);
        if let Some((manager, packages)) = self.manager() {
            manager.install(packages).map_err(|error| error.context(self.by_hand()))?;
        }
        if is_installed(self.program) { Ok(()) } else { bail!("{}", self.by_hand()) }
    }

    /// The first package manager of this system that has the program.
    fn manager(&self) -> Option<(&'static Manager, &'static [&'static str])> {
        MANAGERS.iter().filter(|manager| is_installed(manager.program)).find_map(|manager| {
            let (_, packages) = self.packages.iter().find(|(name, _)| *name == manager.program)?;
            Some((manager, *packages))
        })
    }

    fn by_hand(&self) -> String {
        format!(
            "`{}` is needed ({}) and could not be installed here: install the package `{}` by hand and run the command again",
            self.program, self.purpose, self.program
        )
    }
}

impl Manager {
    fn install(&self, packages: &[&str]) -> Result<()> {
        if let Some(refresh) = self.refresh {
            self.command()?.args(refresh).run()?;
        }
        self.command()?.args(self.install).args(packages).run()
    }

    fn command(&self) -> Result<Sh> {
        if !self.needs_root || is_root() {
            return Ok(Sh::new(self.program).env("DEBIAN_FRONTEND", "noninteractive"));
        }
        if !is_installed("sudo") {
            bail!("`{}` needs the rights of root, and there is no sudo", self.program);
        }
        // Never asks for a password: where it would, we say what to do instead.
        Ok(Sh::new("sudo").args(["-n", "env", "DEBIAN_FRONTEND=noninteractive", self.program]))
    }
}

fn is_root() -> bool {
    Sh::new("id").arg("-u").read().is_ok_and(|id| id.trim() == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_package_belongs_to_a_known_manager() {
        for (name, packages) in VALGRIND.packages.iter().chain(REDIS.packages) {
            assert!(MANAGERS.iter().any(|manager| manager.program == *name), "{name}");
            assert!(!packages.is_empty(), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_installed_is_named_with_what_to_do() {
        let requirement =
            Requirement { program: "no-such-program-anywhere", purpose: "a test needs it", packages: &[] };
        let message = requirement.provide().unwrap_err().to_string();
        assert!(message.contains("no-such-program-anywhere"), "{message}");
        assert!(message.contains("by hand"), "{message}");
    }
}
