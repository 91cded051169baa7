//! The private PostgreSQL: finds the server programs installed on this machine and runs a server of our own
//! with them, so that `opiekun` works where nobody has set up a database yet.
//!
//! [`LocalPostgres`] keeps its data between runs. [`TestCluster`] is the throw-away twin that all test processes
//! of one test run share. Neither opens a TCP port: the only way in is a Unix socket in a directory of mode 0700,
//! and only because of that does the server trust every connection.

mod account;
mod cluster;
mod error;
mod folders;
mod local_postgres;
mod postmaster;
mod programs;
mod test_cluster;
mod watchdog;

pub use cluster::Profile;
pub use error::Error;
pub use folders::default_root_dir;
pub use local_postgres::{LocalPostgres, Options};
pub use programs::{OLDEST_MAJOR, Programs};
pub use test_cluster::TestCluster;
