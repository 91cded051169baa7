//! The server of a data directory as its `postmaster.pid` tells it, and whether that is still true.

use std::io::{self, Read, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, test_kill_process};

/// The role and the database that every cluster of ours has.
pub(crate) const NAME: &str = "opiekun";

/// What the file says. It survives the death of its server, and its process id may belong to a stranger by now.
#[derive(Debug, Clone)]
pub(crate) struct Postmaster {
    pub(crate) pid: Pid,
    pub(crate) socket_dir: PathBuf,
    port: u16,
    ready: bool,
}

impl Postmaster {
    /// `None` without a file. A server writes its file line by line as it starts.
    pub(crate) fn read(data_dir: &Path) -> Option<Self> {
        let file = std::fs::read_to_string(data_dir.join("postmaster.pid")).ok()?;
        let lines: Vec<&str> = file.lines().collect();
        Some(Self {
            pid: Pid::from_raw(lines.first()?.trim().parse().ok()?)?,
            port: lines.get(3).and_then(|port| port.trim().parse().ok()).unwrap_or_default(),
            socket_dir: lines.get(4).copied().unwrap_or_default().into(),
            ready: lines.get(7).is_some_and(|status| status.trim() == "ready"),
        })
    }

    /// Whether the process is there and is the server of `data_dir`, links followed.
    pub(crate) fn is_alive(&self, data_dir: &Path) -> bool {
        if matches!(test_kill_process(self.pid), Err(rustix::io::Errno::SRCH)) {
            return false;
        }
        let proc = PathBuf::from(format!("/proc/{}", self.pid));
        let Ok(stat) = std::fs::read_to_string(proc.join("stat")) else {
            return !Path::new("/proc/self").exists() && looks_like_postgres(self.pid);
        };
        // `1234 (name) S ..`, where the name may have spaces and parentheses of its own. Whoever ended but was
        // never waited for still takes signals.
        let state = stat.rsplit_once(") ").and_then(|(_, rest)| rest.chars().next());
        if matches!(state, None | Some('Z' | 'X')) {
            return false;
        }
        match std::fs::read_link(proc.join("cwd")) {
            Ok(working_dir) => data_dir.canonicalize().is_ok_and(|data_dir| working_dir == data_dir),
            // Hidden from us, as from a root without CAP_SYS_PTRACE.
            Err(_) => std::fs::read(proc.join("cmdline"))
                .is_ok_and(|line| line.split(|byte| *byte == 0).any(|word| word == data_dir.as_os_str().as_bytes())),
        }
    }

    /// Tries a connection: a file that says `ready` is no proof. `None` as long as the server isn't.
    pub(crate) fn answer(&self) -> Option<Answer> {
        if !self.ready {
            return None;
        }
        // A server that starts, stops, or is too busy to accept: ask again.
        greet(&self.socket_dir.join(format!(".s.PGSQL.{}", self.port))).ok().flatten()
    }

    /// The address for libpq, which has no other way to write a socket's directory.
    pub(crate) fn url(&self) -> String {
        let mut host = String::new();
        for byte in self.socket_dir.as_os_str().as_bytes() {
            match byte {
                b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => host.push(char::from(*byte)),
                _ => host.push_str(&format!("%{byte:02X}")),
            }
        }
        format!("postgres://{NAME}@/{NAME}?host={host}&port={}", self.port)
    }
}

#[derive(Debug)]
pub(crate) enum Answer {
    /// With the server's version, such as `15.20`.
    Welcome(String),
    Refusal(String),
}

/// Signs in and out again: the start of PostgreSQL's protocol 3.0, which is too little to ask a library for.
/// <https://www.postgresql.org/docs/current/protocol-flow.html#PROTOCOL-FLOW-START-UP>
fn greet(socket: &Path) -> io::Result<Option<Answer>> {
    let mut stream = UnixStream::connect(socket)?;
    let patience = Some(Duration::from_secs(5));
    stream.set_read_timeout(patience)?;
    stream.set_write_timeout(patience)?;
    let parameters = format!("user\0{NAME}\0database\0{NAME}\0\0");
    let mut startup = Vec::new();
    startup.extend(u32::try_from(8 + parameters.len()).map_err(io::Error::other)?.to_be_bytes());
    startup.extend([0, 3, 0, 0]);
    startup.extend(parameters.as_bytes());
    stream.write_all(&startup)?;

    let mut version = String::new();
    loop {
        let (kind, body) = message(&mut stream)?;
        match kind {
            b'R' if body != [0; 4] => {
                return Ok(Some(Answer::Refusal("it asks for a password".into())));
            }
            b'S' => {
                if let Some(value) = body.strip_prefix(b"server_version\0") {
                    // `15.20 (Debian 15.20-0+deb12u1)` and a closing zero.
                    let value = String::from_utf8_lossy(value);
                    version = value.split([' ', '\0']).next().unwrap_or_default().to_owned();
                }
            }
            b'E' => {
                // 57P03: starting up or shutting down; 53300: all connections taken, which passes.
                let code = field(&body, b'C').unwrap_or_default();
                let text = field(&body, b'M').unwrap_or_default();
                let passes = code == "57P03" || code == "53300";
                return Ok((!passes).then(|| Answer::Refusal(format!("{text} ({code})"))));
            }
            b'Z' => {
                stream.write_all(b"X\0\0\0\x04")?;
                return Ok(Some(Answer::Welcome(version)));
            }
            _ => {}
        }
    }
}

fn message(stream: &mut UnixStream) -> io::Result<(u8, Vec<u8>)> {
    let mut head = [0; 5];
    stream.read_exact(&mut head)?;
    let [kind, length @ ..] = head;
    let length = u32::from_be_bytes(length).saturating_sub(4);
    let mut body = Vec::new();
    stream.take(u64::from(length)).read_to_end(&mut body)?;
    Ok((kind, body))
}

/// A field of an error message: a letter that says which, the text, a zero.
fn field(body: &[u8], which: u8) -> Option<String> {
    body.split(|byte| *byte == 0)
        .find_map(|field| field.split_first().filter(|(letter, _)| **letter == which))
        .map(|(_, text)| String::from_utf8_lossy(text).into_owned())
}

/// For systems without `/proc`.
fn looks_like_postgres(pid: Pid) -> bool {
    let listed = Command::new("ps").args(["-o", "stat=,comm=", "-p", &pid.to_string()]).output();
    let Ok(listed) = listed else { return true };
    let listed = String::from_utf8_lossy(&listed.stdout);
    !listed.trim_start().starts_with('Z') && listed.contains("postgres")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_message_is_taken_apart() {
        let body = b"SFATAL\0VFATAL\0C57P03\0Mthe database system is starting up\0Fpostmaster.c\0\0";
        assert_eq!(field(body, b'C').unwrap(), "57P03");
        assert_eq!(field(body, b'M').unwrap(), "the database system is starting up");
        assert_eq!(field(body, b'H'), None);
    }

    #[test]
    fn the_address_escapes_the_directory() {
        let postmaster = Postmaster { pid: Pid::INIT, socket_dir: "/tmp/ó b".into(), port: 5432, ready: true };
        assert_eq!(postmaster.url(), "postgres://opiekun@/opiekun?host=%2Ftmp%2F%C3%B3%20b&port=5432");
    }
}
