//! Files: where their bytes lie, what kind of content they are, and names that are only names.
//!
//! Nothing here knows who may see a file or that there is a database: `http` and `jobs` bring both together.

mod content;
mod name;
mod store;
mod text;
mod zip;

pub use content::{Content, Look, Refused};
pub use name::{NAME_LENGTH_MAX, NameFault, ascii_fallback, checked, is_unseen, of_upload};
pub use store::{FileStore, ObjectName, SettingFault, StoreFault, Writing};
