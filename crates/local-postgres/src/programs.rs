//! Where the machine keeps PostgreSQL's server programs. Distributions do not agree, and most leave them out of
//! `PATH`.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::Error;

/// The oldest PostgreSQL that Opiekun runs on.
pub const OLDEST_MAJOR: u32 = 14;

/// A directory with `initdb` and `postgres` of one version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Programs {
    dir: PathBuf,
    major: u32,
}

impl Programs {
    /// The programs to use: those in `bin_override` and nowhere else when it is given, else the first found on
    /// `PATH`, by `pg_config`, or in the places where packages put them, highest version first.
    ///
    /// A data directory can only be opened by the major version that made it: `required_major`.
    pub fn find(bin_override: Option<&Path>, required_major: Option<u32>) -> Result<Self, Error> {
        let looked_in = match bin_override {
            Some(dir) => vec![dir.to_owned()],
            None => places(),
        };
        let found: Vec<Self> = looked_in.iter().filter_map(|dir| Self::look_into(dir)).collect();
        let Some(first) = found.first() else {
            return Err(Error::NotFound { looked_in });
        };
        let fits = |programs: &&Self| match required_major {
            Some(needed) => programs.major == needed,
            None => programs.major >= OLDEST_MAJOR,
        };
        if let Some(programs) = found.iter().find(fits) {
            return Ok(programs.clone());
        }
        Err(match required_major {
            Some(needed) => {
                let mut majors: Vec<u32> = found.iter().map(|programs| programs.major).collect();
                majors.sort_unstable();
                majors.dedup();
                Error::WrongMajor { needed, found: majors }
            }
            None => Error::TooOld { major: first.major, dir: first.dir.clone() },
        })
    }

    /// The directory that has the programs.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The major version, such as 15.
    pub fn major(&self) -> u32 {
        self.major
    }

    pub(crate) fn initdb(&self) -> PathBuf {
        self.dir.join("initdb")
    }

    pub(crate) fn postgres(&self) -> PathBuf {
        self.dir.join("postgres")
    }

    fn look_into(dir: &Path) -> Option<Self> {
        if !dir.join("initdb").is_file() || !dir.join("postgres").is_file() {
            return None;
        }
        // Absolute, because the programs are run from another working directory.
        let dir = std::path::absolute(dir).ok()?;
        let major = major_of(&output_of(Command::new(dir.join("postgres")).arg("--version"))?)?;
        Some(Self { dir, major })
    }
}

fn places() -> Vec<PathBuf> {
    let mut places: Vec<PathBuf> =
        std::env::var_os("PATH").map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    if let Some(bindir) = output_of(Command::new("pg_config").arg("--bindir")) {
        places.push(bindir.trim().into());
    }
    places.extend(numbered("/usr/lib/postgresql", "", "bin")); // Debian, Ubuntu
    places.extend(numbered("/usr", "pgsql-", "bin")); // postgresql.org's packages for Fedora and its kin
    places.extend(numbered("/usr/lib", "postgresql", "bin")); // openSUSE
    places.extend(numbered("/usr/libexec", "postgresql", "")); // Alpine
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt", "/home/linuxbrew/.linuxbrew/opt"] {
        places.extend(numbered(homebrew, "postgresql@", "bin"));
    }
    places.extend(numbered("/Applications/Postgres.app/Contents/Versions", "", "bin"));
    places.push("/usr/local/pgsql/bin".into()); // built from source
    let mut seen = std::collections::HashSet::new();
    places.retain(|place| !place.as_os_str().is_empty() && seen.insert(place.clone()));
    places
}

/// `parent/<prefix><number>/<below>` for every number there is, the highest first.
fn numbered(parent: &str, prefix: &str, below: &str) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else {
        return Vec::new();
    };
    let mut versions: Vec<(u32, PathBuf)> = entries
        .flatten()
        .filter_map(|entry| {
            let number = entry.file_name().to_str()?.strip_prefix(prefix)?.parse().ok()?;
            Some((number, entry.path().join(below)))
        })
        .collect();
    versions.sort_unstable_by_key(|(number, _)| std::cmp::Reverse(*number));
    versions.into_iter().map(|(_, path)| path).collect()
}

fn output_of(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// 15 for `postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)`, 18 for `postgres (PostgreSQL) 18beta1`.
fn major_of(version: &str) -> Option<u32> {
    let (_, number) = version.split_once("(PostgreSQL) ")?;
    let end = number.find(|c: char| !c.is_ascii_digit()).unwrap_or(number.len());
    number[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_major_version_is_read_from_what_postgres_says() {
        assert_eq!(major_of("postgres (PostgreSQL) 15.20 (Debian 15.20-0+deb12u1)\n"), Some(15));
        assert_eq!(major_of("postgres (PostgreSQL) 18beta1\n"), Some(18));
        assert_eq!(major_of("bash: postgres: command not found"), None);
    }

    #[test]
    fn a_directory_without_programs_is_named_in_the_message() {
        let error = Programs::find(Some(Path::new("/nonexistent/bin")), None).unwrap_err();
        assert!(matches!(error, Error::NotFound { .. }));
        let message = error.to_string();
        assert!(message.contains("/nonexistent/bin"), "{message}");
        assert!(message.contains("apt-get install postgresql"), "{message}");
        assert!(message.contains("DATABASE_URL"), "{message}");
    }

    #[test]
    fn another_major_version_than_the_data_is_refused() {
        let installed = Programs::find(None, None).unwrap();
        assert!(installed.major() >= OLDEST_MAJOR);
        assert_eq!(Programs::find(None, Some(installed.major())).unwrap().major(), installed.major());
        let message = Programs::find(None, Some(7)).unwrap_err().to_string();
        assert!(message.contains("made by PostgreSQL 7, found only"), "{message}");
        assert!(message.contains(&installed.major().to_string()), "{message}");
    }
}
