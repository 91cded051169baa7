//! Sweeping after files: what broken uploads and removed files leave in the store, and files that nothing needs.

use chrono::{DateTime, Utc};
use opiekun_files::{FileStore, ObjectName};
use opiekun_persistence::{Db, Result, file_objects, files};

/// How many objects are removed, or files, before anything else is looked at.
const AT_ONCE: i64 = 50;

/// Removes a batch of what is left over at a moment; `true` when more may wait.
///
/// What the store does not remove now is left for a later sweep, a minute on.
pub fn sweep(db: &Db, store: &FileStore, now: DateTime<Utc>) -> Result<bool> {
    let unused = files::remove_unused(db, now, AT_ONCE)?;
    let discarded = file_objects::take_discarded(db, now, AT_ONCE)?;
    let may_wait = unused > 0 || i64::try_from(discarded.len()).is_ok_and(|taken| taken == AT_ONCE);
    for object in discarded {
        let name = ObjectName { organization_id: object.organization_id.0, object_id: object.id.0 };
        match store.remove_now(name, object.multipart_id.as_deref()) {
            Ok(()) => file_objects::forget(db, &object)?,
            Err(error) => tracing::warn!(object = %object.id, %error, "an object will be removed later"),
        }
    }
    Ok(may_wait)
}
