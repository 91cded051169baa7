//! The binary itself, as a process of its own that a test may kill.

use super::files::Store;
use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::LazyLock;

/// Signs the tokens of every process, so that they outlive it.
const SECRET: &str = "5f0b6b1c9d2e47a8b3c6d1e0f9a8475263748596a7b8c9d0e1f2031425364758";

/// The binary, built as these tests were, which takes a while the first time; or, to be measured, the one that `OPIEKUN_TEST_BINARY` names.
pub fn binary() -> &'static PathBuf {
    static BINARY: LazyLock<PathBuf> = LazyLock::new(|| {
        if let Some(built) = std::env::var_os("OPIEKUN_TEST_BINARY") {
            return PathBuf::from(built);
        }
        // With all tests beside it, so that its libraries are those that they have: not built once more with
        // fewer features.
        let build = ["build", "--workspace", "--bins", "--tests", "--message-format", "json"];
        let mut cargo = Command::new(env!("CARGO"));
        // What cargo tells these tests of their package is not there when it is called from a shell, and libraries
        // whose build looks at it would be built anew each time.
        let of_package = |name: &str| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_");
        for (name, _) in std::env::vars().filter(|(name, _)| of_package(name)) {
            cargo.env_remove(name);
        }
        let built = cargo.args(build).stderr(Stdio::inherit()).output().unwrap();
        assert!(built.status.success(), "the binary does not build");
        let messages =
            built.stdout.split(|byte| *byte == b'\n').filter_map(|line| serde_json::from_slice::<Value>(line).ok());
        let mut binaries = messages
            // Not its unit tests, which are called the same.
            .filter(|it| it["target"]["name"] == "opiekun" && it["profile"]["test"] == false)
            .filter_map(|it| it["executable"].as_str().map(PathBuf::from));
        binaries.next().unwrap()
    });
    &BINARY
}

/// The binary, to be run with a command over a database.
pub fn opiekun(database_url: &str) -> Command {
    let mut command = Command::new(binary());
    command.env("DATABASE_URL", database_url).env("OPIEKUN_JWT_SECRET", SECRET).env("OPIEKUN_LOG", "warn");
    command.env("OPIEKUN_FILES", &Store::in_folder().setting);
    command
}

/// `opiekun serve` over a database, killed when dropped.
pub struct Process {
    child: Child,
    /// Where it listens.
    pub url: String,
}

impl Process {
    pub fn serve(database_url: &str) -> Self {
        Self::serve_with(database_url, &[])
    }

    /// With other settings than usual.
    pub fn serve_with(database_url: &str, settings: &[(&str, &str)]) -> Self {
        let mut command = opiekun(database_url);
        command.envs(settings.iter().copied());
        let mut child =
            command.arg("serve").env("OPIEKUN_LISTEN", "127.0.0.1:0").stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines().map_while(Result::ok);
        let url = lines.find_map(|line| {
            let (_, rest) = line.split_once("http://")?;
            let is_address = |it: char| it.is_ascii_alphanumeric() || matches!(it, '.' | ':');
            Some(format!("http://{}", rest.split(|it| !is_address(it)).next()?))
        });
        // What else it says is read, so that it never waits for a reader.
        std::thread::spawn(move || lines.for_each(drop));
        let process = Self { url: url.unwrap_or_default(), child };
        assert!(!process.url.is_empty(), "the binary did not begin to serve");
        process
    }

    /// A figure of its memory as the kernel has it, in bytes: `VmRSS` for now, `VmHWM` for the most there was.
    pub fn memory(&self, figure: &str) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find(|line| line.starts_with(figure)).unwrap();
        line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
    }

    /// Lets `VmHWM` begin anew: how much memory the start took is another matter.
    pub fn forget_peak(&self) {
        std::fs::write(format!("/proc/{}/clear_refs", self.child.id()), "5").unwrap();
    }

    /// SIGKILL: it has no chance to put anything in order.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
