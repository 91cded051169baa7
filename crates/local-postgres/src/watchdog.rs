//! Shells that outlive us and stop PostgreSQL when we are gone, however we went: nothing of our own runs after
//! SIGKILL. They need no more than `/bin/sh`, sit in a process group of their own, out of reach of Ctrl-C, and
//! hold none of our outputs open.

use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

/// The end of the pipe we hold is the sign of life: the kernel closes it with our last breath.
const ON_OUR_DEATH: &str = r#"
trap '' HUP INT TERM
read -r _
kill -INT "$1"
"#;

/// The owner isn't us but the test runner, so there is no pipe to hold and it has to be asked for. The server's data
/// are worth nothing by then. A process that ended and was not waited for still answers `kill -0`, hence the state.
const ON_OWNERS_DEATH: &str = r#"
trap '' HUP INT TERM
runs() { kill -0 "$1" 2>/dev/null && ! grep -qs '^State:[[:blank:]]*[ZX]' "/proc/$1/status"; }
while runs "$1"; do sleep 0.2; done
server=$(head -n 1 "$2/data/postmaster.pid" 2>/dev/null)
if [ "$server" ]; then
    kill -QUIT "$server" 2>/dev/null
    patience=50
    while runs "$server" && [ $patience -gt 0 ]; do sleep 0.2; patience=$((patience - 1)); done
fi
rm -rf -- "$2" "$3"
"#;

/// Stops a server when this process ends without having done so.
#[derive(Debug)]
pub(crate) struct Watchdog(Child);

impl Watchdog {
    pub(crate) fn guard(server: Pid) -> io::Result<Self> {
        shell(ON_OUR_DEATH).arg(server.to_string()).stdin(Stdio::piped()).spawn().map(Self)
    }
}

impl Drop for Watchdog {
    /// Calls the watchdog off.
    fn drop(&mut self) {
        // It may have been killed by somebody else; there is nothing to call off then.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Stops the server of the cluster in `dir`, if there is one, and removes `dir` and its socket's directory once the
/// process `owner` is gone.
pub(crate) fn remove_after(owner: u32, dir: &Path, socket_dir: &Path) -> io::Result<()> {
    let mut watchdog = shell(ON_OWNERS_DEATH);
    watchdog.arg(owner.to_string()).args([dir, socket_dir]).stdin(Stdio::null()).spawn().map(drop)
}

fn shell(script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script, "opiekun-watchdog"]);
    command.stdout(Stdio::null()).stderr(Stdio::null()).process_group(0).current_dir("/");
    command
}
