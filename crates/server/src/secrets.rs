//! The signing secrets: given by the settings, or made once and kept in the data folder.

use crate::settings::Settings;
use opiekun_http::{Keys, random_secret};
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;

/// Lines of secrets: the first signs, all are taken.
const FILE: &str = "jwt-secrets";

/// The keys in force.
pub fn keys(settings: &Settings) -> io::Result<Keys> {
    let secrets = if settings.jwt_secrets.is_empty() { kept(settings)? } else { settings.jwt_secrets.clone() };
    Keys::new(&secrets).map_err(io::Error::other)
}

fn kept(settings: &Settings) -> io::Result<Vec<String>> {
    fs::create_dir_all(&settings.data_dir)?;
    let path = settings.data_dir.join(FILE);
    match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
        Ok(mut file) => {
            let secret = random_secret();
            writeln!(file, "{secret}")?;
            file.sync_all()?;
            Ok(vec![secret])
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            Ok(fs::read_to_string(&path)?.lines().map(str::trim).filter(|line| !line.is_empty()).map(str::to_owned).collect())
        }
        Err(error) => Err(error),
    }
}
