//! Keeping what is searched as this version of the program makes it.

use crate::Clock;
use opiekun_persistence::{ActorRef, Db, Result, Scope, article_search};

/// Indexes the articles anew of every organization that has them as an earlier version made them; `false`, since nothing
/// is left then.
pub fn renew(db: &Db, clock: Clock) -> Result<bool> {
    for id in article_search::outdated(db)? {
        #[expect(clippy::disallowed_methods, reason = "nothing is told but what the organization's articles hold")]
        let scope = Scope::new(id, ActorRef::System, None);
        article_search::reindex(db, scope, clock)?;
    }
    Ok(false)
}
