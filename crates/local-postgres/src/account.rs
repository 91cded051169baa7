//! Who runs PostgreSQL. It refuses to be root, so root's children run as somebody else.

use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::io::Errno;

use crate::error::Error;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Account {
    name: String,
    uid: u32,
    gid: u32,
}

impl Account {
    /// The account to switch to; `None` when we aren't root and nothing has to be switched.
    ///
    /// `run_as` is the wish of the person who runs this. Without one, existing data stay with their owner:
    /// otherwise they would become unusable the day an account `postgres` appears beside `nobody`.
    pub(crate) fn to_switch_to(run_as: Option<&str>, data_dir: Option<&Path>) -> Result<Option<Self>, Error> {
        if !rustix::process::geteuid().is_root() {
            return Ok(None);
        }
        // An unreadable list has no accounts in it, which is what the message then says.
        let passwd = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        let owner = data_dir.and_then(|data| Some(std::fs::metadata(data).ok()?.uid()));
        Self::choose(&passwd, run_as, owner).map(Some)
    }

    fn choose(passwd: &str, run_as: Option<&str>, owner: Option<u32>) -> Result<Self, Error> {
        let accounts: Vec<Self> = passwd.lines().filter_map(Self::parse).filter(|account| account.uid != 0).collect();
        if run_as.is_none()
            && let Some(account) = accounts.iter().find(|account| Some(account.uid) == owner)
        {
            return Ok(account.clone());
        }
        let wanted = match run_as {
            Some(name) => vec![name],
            None => vec!["postgres", "nobody"],
        };
        wanted
            .iter()
            .find_map(|name| accounts.iter().find(|account| account.name == *name).cloned())
            .ok_or_else(|| Error::NoAccount { wanted: wanted.into_iter().map(str::to_owned).collect() })
    }

    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        Some(Self { name, uid, gid })
    }

    pub(crate) fn uid(&self) -> u32 {
        self.uid
    }

    /// The command will run as this account, without root's supplementary groups.
    pub(crate) fn run(&self, command: &mut Command) {
        command.uid(self.uid).gid(self.gid);
    }

    pub(crate) fn own(&self, path: &Path) -> Result<(), Error> {
        chown(path, Some(self.uid), Some(self.gid))
            .map_err(|reason| self.cannot_switch(reason, Error::io("give away", path)))
    }

    /// Turns the refusals of a root without root's rights into a message that says so.
    pub(crate) fn cannot_switch(
        &self,
        reason: std::io::Error,
        otherwise: impl FnOnce(std::io::Error) -> Error,
    ) -> Error {
        // EINVAL: a user namespace that doesn't know the account.
        match Errno::from_io_error(&reason) {
            Some(Errno::PERM | Errno::INVAL) => Error::CannotSwitch { account: self.name.clone(), reason },
            _ => otherwise(reason),
        }
    }

    /// Fails with the first directory on the way to `path`, itself included, that this account can't enter.
    /// What does not exist yet is no obstacle.
    pub(crate) fn check_way(&self, path: &Path) -> Result<(), Error> {
        match self.obstacle(path) {
            Some(dir) => Err(Error::CannotEnter { dir, account: self.name.clone() }),
            None => Ok(()),
        }
    }

    pub(crate) fn obstacle(&self, path: &Path) -> Option<PathBuf> {
        let mut way: Vec<&Path> = path.ancestors().collect();
        way.reverse();
        way.into_iter()
            .find(|dir| match std::fs::metadata(dir) {
                Ok(dir) => !self.can_enter(dir.mode(), dir.uid(), dir.gid()),
                Err(_) => false,
            })
            .map(Path::to_owned)
    }

    fn can_enter(&self, mode: u32, owner: u32, group: u32) -> bool {
        // The first class that applies decides, even when a later one would allow more.
        let bit = if owner == self.uid {
            0o100
        } else if group == self.gid {
            0o010
        } else {
            0o001
        };
        mode & bit != 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
        nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n\
        anna:x:1000:1000::/home/anna:/bin/sh\n";

    fn chosen(passwd: &str, run_as: Option<&str>, owner: Option<u32>) -> String {
        Account::choose(passwd, run_as, owner).unwrap().name
    }

    #[test]
    fn the_wish_comes_before_the_owner_and_postgres_before_nobody() {
        let with_postgres = format!("{PASSWD}postgres:x:101:104::/var/lib/postgresql:/bin/bash\n");
        assert_eq!(chosen(PASSWD, None, None), "nobody");
        assert_eq!(chosen(&with_postgres, None, None), "postgres");
        assert_eq!(chosen(&with_postgres, None, Some(65534)), "nobody");
        assert_eq!(chosen(&with_postgres, None, Some(0)), "postgres");
        assert_eq!(chosen(&with_postgres, Some("anna"), Some(65534)), "anna");
    }

    #[test]
    fn a_missing_account_and_root_are_refused() {
        let message = Account::choose("", None, None).unwrap_err().to_string();
        assert!(message.contains("no account postgres or nobody"), "{message}");
        for name in ["piotr", "root"] {
            assert!(matches!(Account::choose(PASSWD, Some(name), None), Err(Error::NoAccount { .. })));
        }
    }

    #[test]
    fn the_first_class_of_permission_that_applies_decides() {
        let anna = Account { name: "anna".into(), uid: 1000, gid: 1000 };
        assert!(anna.can_enter(0o711, 0, 0));
        assert!(!anna.can_enter(0o700, 0, 0));
        assert!(anna.can_enter(0o710, 0, 1000));
        assert!(!anna.can_enter(0o077, 1000, 1000));
    }
}
