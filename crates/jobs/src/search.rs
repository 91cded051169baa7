//! Keeping what is searched as this version of the program makes it.

use crate::Clock;
use opiekun_persistence::{ActorRef, Db, Result, Scope, search};

/// Indexes everything anew of every organization that has it as an earlier version made it; `false`, since nothing is
/// left then.
pub fn renew(db: &Db, clock: Clock) -> Result<bool> {
    for id in search::outdated(db)? {
        #[expect(clippy::disallowed_methods, reason = "nothing is told but what the organization's own records hold")]
        let scope = Scope::new(id, ActorRef::System, None);
        search::renew(db, scope, clock)?;
    }
    Ok(false)
}
