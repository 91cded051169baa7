//! Where things lie: the folder of the cluster, and the short folder for its socket.

use std::fs::{DirBuilder, Permissions};
use std::io::ErrorKind;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::account::Account;
use crate::error::Error;

/// The longest directory that leaves room for the socket's name: a socket's path has some 107 bytes on Linux, 103
/// on macOS and the BSDs.
const SOCKET_DIR_MAX: usize = 103 - "/.s.PGSQL.65535.lock".len();

/// The folder for the private PostgreSQL of the program whose data lie in `data_dir`: `postgres` in there.
///
/// Root can't run PostgreSQL itself, and the account that does may be unable to enter the data directory, as in a
/// checkout under `/root`. Then it is a folder under `/var/lib/opiekun` named after the data directory. A cluster
/// that exists in either place stays the one.
pub fn default_root_dir(data_dir: &Path, run_as: Option<&str>) -> Result<PathBuf, Error> {
    root_dir_for(data_dir, run_as, Path::new("/var/lib/opiekun"))
}

fn root_dir_for(data_dir: &Path, run_as: Option<&str>, elsewhere: &Path) -> Result<PathBuf, Error> {
    let data_dir = match data_dir.canonicalize() {
        Ok(existing) => existing,
        Err(_) => std::path::absolute(data_dir).map_err(Error::io("find", data_dir))?,
    };
    let inside = data_dir.join("postgres");
    let Some(account) = Account::to_switch_to(run_as, Some(&inside.join("data")))? else {
        return Ok(inside);
    };
    let outside = elsewhere.join(short_hash(&data_dir));
    let stays_inside = inside.join("data").exists();
    let moved_outside = outside.join("data").exists() || account.obstacle(&data_dir).is_some();
    Ok(if moved_outside && !stays_inside { outside } else { inside })
}

/// The directory for the socket of the cluster in `root`. Not inside `root`, whose path may be too long, and not in
/// `XDG_RUNTIME_DIR`, which is taken away from a running server when its user signs out.
pub(crate) fn socket_dir(root: &Path) -> PathBuf {
    Path::new("/tmp").join(format!("opiekun-{}", short_hash(root)))
}

pub(crate) fn fits_socket(dir: &Path) -> bool {
    dir.as_os_str().len() <= SOCKET_DIR_MAX
}

/// The folder that holds the cluster, made if need be: for root, a folder that the account can pass through but
/// not write to, so that root never opens a file in a folder of somebody else.
pub(crate) fn make_root_dir(root: &Path, account: Option<&Account>) -> Result<PathBuf, Error> {
    let root = std::path::absolute(root).map_err(Error::io("find", root))?;
    if let Some(parent) = root.parent() {
        make_enterable(parent)?;
    }
    make_or_keep(&root)?;
    let root = root.canonicalize().map_err(Error::io("find", &root))?;
    let mode = if account.is_some() { 0o711 } else { 0o700 };
    set_mode(&root, mode)?;
    if let Some(account) = account {
        account.check_way(&root)?;
    }
    Ok(root)
}

/// A directory that nobody but its owner enters. It must not exist yet: its name can be guessed, and the directory
/// of somebody else would let them in.
pub(crate) fn make_private(dir: &Path, account: Option<&Account>) -> Result<(), Error> {
    DirBuilder::new().mode(0o700).create(dir).map_err(|source| match source.kind() {
        ErrorKind::AlreadyExists => Error::ForeignOwner { dir: dir.to_owned() },
        _ => Error::write("make", dir)(source),
    })?;
    match account {
        Some(account) => account.own(dir),
        None => Ok(()),
    }
}

/// Removes a directory of ours, or of the account we run PostgreSQL as, and leaves everybody else's alone.
pub(crate) fn remove_own(dir: &Path, account: Option<&Account>) -> Result<(), Error> {
    let Ok(found) = dir.symlink_metadata() else {
        return Ok(());
    };
    let ours = found.uid() == rustix::process::geteuid().as_raw() || account.is_some_and(|a| a.uid() == found.uid());
    if !ours || !found.is_dir() {
        return Err(Error::ForeignOwner { dir: dir.to_owned() });
    }
    remove(dir)
}

pub(crate) fn remove(dir: &Path) -> Result<(), Error> {
    match std::fs::remove_dir_all(dir) {
        Err(reason) if reason.kind() != ErrorKind::NotFound => Err(Error::write("remove", dir)(reason)),
        _ => Ok(()),
    }
}

pub(crate) fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    std::fs::set_permissions(path, Permissions::from_mode(mode)).map_err(Error::write("set the permissions of", path))
}

/// Twelve hex digits that stand for a path. FNV-1a, because the name must outlive an update of Rust's own hasher.
pub(crate) fn short_hash(path: &Path) -> String {
    let hash = path
        .as_os_str()
        .as_bytes()
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3));
    format!("{:012x}", hash & 0xffff_ffff_ffff)
}

/// Makes what is missing of `dir`, open to be passed through whatever the umask says.
fn make_enterable(dir: &Path) -> Result<(), Error> {
    if dir.is_dir() {
        return Ok(());
    }
    if let Some(parent) = dir.parent() {
        make_enterable(parent)?;
    }
    if make_or_keep(dir)? { set_mode(dir, 0o755) } else { Ok(()) }
}

/// Whether it had to be made; another process may be doing the same.
fn make_or_keep(dir: &Path) -> Result<bool, Error> {
    match DirBuilder::new().mode(0o700).create(dir) {
        Ok(()) => Ok(true),
        Err(source) if source.kind() == ErrorKind::AlreadyExists && dir.is_dir() => Ok(false),
        Err(source) => Err(Error::write("make", dir)(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn root_moves_out_of_a_closed_folder_and_stays_where_data_are() {
        let scratch = std::env::temp_dir().join(format!("opiekun-folders-{}", std::process::id()));
        let closed = scratch.join("closed");
        let elsewhere = scratch.join("elsewhere");
        make_enterable(&closed).unwrap();
        let scratch = scratch.canonicalize().unwrap();
        let chosen = |data_dir: &Path| root_dir_for(data_dir, None, &elsewhere).unwrap();

        let open = scratch.join(".opiekun");
        assert_eq!(chosen(&open), open.join("postgres"));

        if rustix::process::geteuid().is_root() {
            set_mode(&closed, 0o700).unwrap();
            let data_dir = scratch.join("closed/.opiekun");
            let moved = elsewhere.join(short_hash(&data_dir));
            assert_eq!(chosen(&data_dir), moved);
            std::fs::create_dir_all(moved.join("data")).unwrap();
            set_mode(&closed, 0o755).unwrap();
            assert_eq!(chosen(&data_dir), moved, "opening the folder loses no data");
            std::fs::create_dir_all(data_dir.join("postgres/data")).unwrap();
            assert_eq!(chosen(&data_dir), data_dir.join("postgres"));
        }
        remove(&scratch).unwrap();
    }

    #[test]
    fn the_name_of_a_folder_never_changes() {
        assert_eq!(short_hash(Path::new("/srv/opiekun")), "3ad1421a3715");
    }
}
