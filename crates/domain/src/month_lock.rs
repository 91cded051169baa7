//! Month locks: months whose time is settled.

use chrono::{Datelike, NaiveDate};

/// Why a month cannot be locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotLockable {
    #[error("a month is told by its first day")]
    NotTheFirst,
    #[error("the month has not begun")]
    NotBegun,
}

/// Whether the month that starts on a day can be locked: a past one, or the one that it is.
pub fn check_lockable(month_start_on: NaiveDate, today: NaiveDate) -> Result<(), NotLockable> {
    if month_start_on.day() != 1 || month_start_on.year() < 1 {
        return Err(NotLockable::NotTheFirst);
    }
    if month_start_on > today {
        return Err(NotLockable::NotBegun);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn past_months_and_the_current_one_can_be_locked() {
        let check = |day: &str| check_lockable(day.parse().expect(day), "2026-11-23".parse().expect("a day"));
        assert_eq!(check("2026-11-01"), Ok(()));
        assert_eq!(check("2026-10-01"), Ok(()));
        assert_eq!(check("1999-01-01"), Ok(()));
        assert_eq!(check("2026-12-01"), Err(NotLockable::NotBegun));
        assert_eq!(check("2026-10-02"), Err(NotLockable::NotTheFirst));
        assert_eq!(check("2026-12-31"), Err(NotLockable::NotTheFirst));
    }
}
