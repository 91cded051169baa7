//! The secrets that tokens are signed with: from the settings, or made once and kept in the data folder.

use crate::failure::Failure;
use crate::settings::{Settings, list};
use opiekun_http::{Keys, SECRET_BYTES_MIN, random_secret};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

/// One secret a line: the first signs, all are accepted.
const FILE_NAME: &str = "jwt-secret";

/// So few different characters are a pattern and no secret.
const DIFFERENT_CHARACTERS_MIN: usize = 8;

/// The keys in force.
pub fn keys(settings: &Settings) -> Result<Keys, Failure> {
    let secrets =
        if settings.jwt_secrets.is_empty() { kept(&settings.data_dir)? } else { settings.jwt_secrets.clone() };
    Keys::new(&secrets).map_err(Failure::new)
}

/// Refuses secrets that could be guessed, without telling them. `place` is where they are written.
pub fn check(secrets: &[String], place: impl std::fmt::Display) -> Result<(), Failure> {
    let is_weak = |secret: &String| {
        let different: std::collections::BTreeSet<char> = secret.chars().collect();
        secret.len() < SECRET_BYTES_MIN || different.len() < DIFFERENT_CHARACTERS_MIN
    };
    if secrets.is_empty() || secrets.iter().any(is_weak) {
        return Err(Failure::new(format_args!(
            "{place} holds a weak secret: each needs at least {SECRET_BYTES_MIN} bytes that nobody can guess, such as \
             `openssl rand -hex 32` prints"
        )));
    }
    Ok(())
}

fn kept(data_dir: &Path) -> Result<Vec<String>, Failure> {
    let path = data_dir.join(FILE_NAME);
    let fault = |doing: &str, error: io::Error| {
        Failure::new(format_args!(
            "can't {doing} {} ({error}): set OPIEKUN_DATA_DIR to a folder that can be written, or set \
             OPIEKUN_JWT_SECRET",
            path.display()
        ))
    };
    make_dir(data_dir).map_err(|error| fault("make the folder of", error))?;
    let text = match read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(data_dir, &path).map_err(|error| fault("write", error))?;
            read(&path)
        }
        other => other,
    };
    let (text, mode) = text.map_err(|error| fault("read", error))?;
    if mode & 0o077 != 0 {
        return Err(Failure::new(format_args!("{0} can be read by others: chmod 600 {0}", path.display())));
    }
    let secrets = list(&text, '\n');
    check(&secrets, path.display())?;
    Ok(secrets)
}

/// The private PostgreSQL may run as another account, which has to pass through.
fn make_dir(data_dir: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o755).create(data_dir)
}

fn read(path: &Path) -> io::Result<(String, u32)> {
    let mut file = File::open(path)?;
    let mode = file.metadata()?.mode();
    let mut text = String::new();
    file.read_to_string(&mut text)?;
    Ok((text, mode))
}

/// Under another name first: whoever finds the file finds all of it. Of two who make it at once, the first wins.
fn make(data_dir: &Path, path: &Path) -> io::Result<()> {
    let draft = data_dir.join(format!("{FILE_NAME}.{}", std::process::id()));
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(format!("{}\n", random_secret()).as_bytes())?;
    file.sync_all()?;
    let linked = match std::fs::hard_link(&draft, path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        other => other,
    };
    std::fs::remove_file(&draft)?;
    linked
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_secret_is_made_once_and_kept_for_its_owner_alone() {
        let data_dir = std::env::temp_dir().join(format!("opiekun-secrets-{}", std::process::id()));
        let first = kept(&data_dir).expect("a secret");
        assert_eq!(first.len(), 1);
        assert!(first[0].len() >= SECRET_BYTES_MIN);
        assert_eq!(kept(&data_dir).expect("the same"), first);

        let path = data_dir.join(FILE_NAME);
        let rotated = format!("{}\n{}\n", random_secret(), first[0]);
        std::fs::write(&path, &rotated).expect("written");
        assert_eq!(kept(&data_dir).expect("both"), rotated.lines().collect::<Vec<_>>());

        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).expect("open to all");
        assert!(kept(&data_dir).expect_err("refused").to_string().contains("chmod 600"));
        std::fs::remove_dir_all(&data_dir).expect("removed");
    }
}
