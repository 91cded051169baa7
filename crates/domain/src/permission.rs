//! Permissions: the areas of the API that a caller may read or write; the scopes of a token or an API key.

use std::fmt;

use crate::operator::{BillingRight, Role};

vocabulary! {
    /// One area and what may be done there. To write does not include to read: whoever may do both has both.
    Permission {
        CrmRead = "crm:read",
        CrmWrite = "crm:write",
        KnowledgeRead = "knowledge:read",
        KnowledgeWrite = "knowledge:write",
        BillingRead = "billing:read",
        BillingWrite = "billing:write",
        ReportsRead = "reports:read",
        IntegrationsRead = "integrations:read",
        IntegrationsWrite = "integrations:write",
        AdminRead = "admin:read",
        AdminWrite = "admin:write",
    }
}

impl Permission {
    /// What an operator's role and billing right let it do. An owner may do everything, whatever its billing right.
    ///
    /// Which records within `crm:write` are its to change is for [`Authority`](crate::authority::Authority) to say.
    pub fn of(role: Role, billing: BillingRight) -> PermissionSet {
        use Permission::*;
        let by_role: &[Self] = match role {
            Role::Owner => Self::ALL,
            Role::Manager => &[CrmRead, CrmWrite, KnowledgeRead, KnowledgeWrite, ReportsRead],
            Role::Operator => &[CrmRead, CrmWrite, KnowledgeRead, KnowledgeWrite],
            Role::Viewer => &[CrmRead, KnowledgeRead],
        };
        let by_billing: &[Self] = match billing {
            BillingRight::None => &[],
            BillingRight::Read => &[BillingRead],
            BillingRight::Write => &[BillingRead, BillingWrite],
        };
        by_role.iter().chain(by_billing).copied().collect()
    }
}

/// A set of permissions, small enough to be copied.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct PermissionSet(u16);

impl PermissionSet {
    /// Every permission there is.
    pub fn all() -> Self {
        Permission::ALL.iter().copied().collect()
    }

    pub fn contains(self, permission: Permission) -> bool {
        self.0 & bit(permission) != 0
    }

    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether it holds nothing that `other` doesn't: nobody gives a key more than they have.
    pub const fn is_within(self, other: Self) -> bool {
        self.0 & !other.0 == 0
    }

    /// Its permissions, in the order of declaration.
    pub fn iter(self) -> impl Iterator<Item = Permission> {
        Permission::ALL.iter().copied().filter(move |permission| self.contains(*permission))
    }

    /// What either holds.
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// What both hold.
    pub const fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl FromIterator<Permission> for PermissionSet {
    fn from_iter<I: IntoIterator<Item = Permission>>(permissions: I) -> Self {
        Self(permissions.into_iter().map(bit).fold(0, |set, bit| set | bit))
    }
}

impl fmt::Debug for PermissionSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter().map(Permission::as_str)).finish()
    }
}

/// Each permission has a bit of its own, by its place in the order of declaration.
fn bit(permission: Permission) -> u16 {
    Permission::ALL.iter().position(|other| *other == permission).map_or(0, |place| 1 << place)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(role: Role, billing: BillingRight) -> Vec<&'static str> {
        Permission::of(role, billing).iter().map(Permission::as_str).collect()
    }

    #[test]
    fn an_owner_may_do_everything() {
        for billing in BillingRight::ALL {
            assert_eq!(Permission::of(Role::Owner, *billing), PermissionSet::all());
        }
    }

    #[test]
    fn roles_and_the_billing_right_add_up() {
        let operator = ["crm:read", "crm:write", "knowledge:read", "knowledge:write"];
        assert_eq!(words(Role::Operator, BillingRight::None), operator);
        assert_eq!(words(Role::Manager, BillingRight::None), [&operator[..], &["reports:read"]].concat());
        assert_eq!(words(Role::Viewer, BillingRight::None), ["crm:read", "knowledge:read"]);
        assert_eq!(words(Role::Viewer, BillingRight::Read), ["crm:read", "knowledge:read", "billing:read"]);
        assert_eq!(
            words(Role::Viewer, BillingRight::Write),
            ["crm:read", "knowledge:read", "billing:read", "billing:write"]
        );
    }

    #[test]
    fn a_set_holds_what_was_put_in_and_nothing_else() {
        for permission in Permission::ALL {
            let set: PermissionSet = [*permission].into_iter().collect();
            assert!(set.iter().eq([*permission]));
            assert!(set.is_within(PermissionSet::all()));
            assert!(!PermissionSet::all().is_within(set));
            assert!(!set.is_empty());
        }
        assert!(PermissionSet::default().is_empty());
    }

    #[test]
    fn sets_unite_and_intersect() {
        let viewer = Permission::of(Role::Viewer, BillingRight::Write);
        let operator = Permission::of(Role::Operator, BillingRight::None);
        assert_eq!(viewer.union(operator), Permission::of(Role::Operator, BillingRight::Write));
        assert_eq!(viewer.intersection(operator), Permission::of(Role::Viewer, BillingRight::None));
    }
}
