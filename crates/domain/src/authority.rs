//! Authority: whose records a caller may change, within the permission `crm:write`.

use std::collections::BTreeSet;

use crate::ids::OperatorId;

/// How far a caller's right to change records reaches. Everybody in an organization reads all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Authority {
    /// Every record of the organization: owners and API keys.
    Organization,
    /// Its own and those of everyone below it in the supervisor tree, to any depth: a manager.
    Team { operator_id: OperatorId, below: BTreeSet<OperatorId> },
    /// What it registered or is caretaker of: an operator.
    Own { operator_id: OperatorId },
}

/// The record is held by nobody whose work the caller may change.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("only its caretaker, who registered it, and those above them may change it")]
pub struct NotYours;

/// The caller arranges nobody's work but its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("only managers and owners may do this")]
pub struct NotManager;

/// The caller may not give work to that operator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("work is assigned to oneself or to an operator below in the supervisor tree")]
pub struct NotBelow;

impl Authority {
    /// Whether a record with these `holders` (its caretaker, and who registered it) is the caller's to change.
    ///
    /// A record that nobody holds is only for the whole organization to change.
    pub fn may_change(&self, holders: &[OperatorId]) -> Result<(), NotYours> {
        let may = match self {
            Self::Organization => true,
            Self::Team { .. } | Self::Own { .. } => holders.iter().any(|holder| self.covers(*holder)),
        };
        may.then_some(()).ok_or(NotYours)
    }

    /// Whether the caller may make `to` the caretaker of a record that it may change.
    pub fn may_assign(&self, to: OperatorId) -> Result<(), NotBelow> {
        self.covers(to).then_some(()).ok_or(NotBelow)
    }

    /// Whether the caller may arrange what everybody works with: the stages of sales, the months that are settled.
    pub const fn may_manage(&self) -> Result<(), NotManager> {
        match self {
            Self::Organization | Self::Team { .. } => Ok(()),
            Self::Own { .. } => Err(NotManager),
        }
    }

    fn covers(&self, operator: OperatorId) -> bool {
        match self {
            Self::Organization => true,
            Self::Team { operator_id, below } => operator == *operator_id || below.contains(&operator),
            Self::Own { operator_id } => operator == *operator_id,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use uuid::Uuid;

    const ANNA: OperatorId = OperatorId(Uuid::from_u128(1));
    const BASIA: OperatorId = OperatorId(Uuid::from_u128(2));
    const CELINA: OperatorId = OperatorId(Uuid::from_u128(3));

    #[test]
    fn an_operator_changes_what_it_registered_or_is_caretaker_of() {
        let basia = Authority::Own { operator_id: BASIA };
        assert_eq!(basia.may_change(&[BASIA, CELINA]), Ok(()));
        assert_eq!(basia.may_change(&[CELINA, BASIA]), Ok(()));
        assert_eq!(basia.may_change(&[CELINA]), Err(NotYours));
        assert_eq!(basia.may_assign(BASIA), Ok(()));
        assert_eq!(basia.may_assign(CELINA), Err(NotBelow));
    }

    #[test]
    fn a_manager_also_changes_what_those_below_hold() {
        let anna = Authority::Team { operator_id: ANNA, below: BTreeSet::from([BASIA]) };
        for held in [&[ANNA][..], &[BASIA], &[CELINA, BASIA]] {
            assert_eq!(anna.may_change(held), Ok(()));
        }
        assert_eq!(anna.may_change(&[CELINA]), Err(NotYours));
        assert_eq!(anna.may_assign(ANNA), Ok(()));
        assert_eq!(anna.may_assign(BASIA), Ok(()));
        assert_eq!(anna.may_assign(CELINA), Err(NotBelow));
    }

    #[test]
    fn what_nobody_holds_is_for_the_whole_organization() {
        assert_eq!(Authority::Organization.may_change(&[]), Ok(()));
        assert_eq!(Authority::Organization.may_assign(CELINA), Ok(()));
        assert_eq!(Authority::Own { operator_id: BASIA }.may_change(&[]), Err(NotYours));
    }

    #[test]
    fn managers_arrange_what_everybody_works_with() {
        assert_eq!(Authority::Organization.may_manage(), Ok(()));
        assert_eq!(Authority::Team { operator_id: ANNA, below: BTreeSet::new() }.may_manage(), Ok(()));
        assert_eq!(Authority::Own { operator_id: BASIA }.may_manage(), Err(NotManager));
    }
}
