//! On whose behalf the commands work: of Opiekun itself.

use opiekun_domain::ids::OrganizationId;
use opiekun_persistence::{ActorRef, Scope};

/// Whoever may run this binary with these settings may do everything to the database anyway.
#[expect(clippy::disallowed_methods, reason = "the permission is that of whoever runs the binary")]
pub fn system_scope(organization_id: OrganizationId) -> Scope {
    Scope::new(organization_id, ActorRef::System, None)
}
