//! Invoice runs: one execution of "issue everything due through this date".

vocabulary! {
    /// How far a run goes.
    RunMode {
        /// Shows what would come, with totals; takes no number and leaves no trace on the subscriptions.
        Preview = "preview",
        /// Makes drafts, which have no number: each is changed, issued or thrown away by itself.
        Draft = "draft",
        /// Issues the invoices.
        Issue = "issue",
    }
}

vocabulary! {
    /// How far a run has come.
    RunStatus {
        Queued = "queued",
        Running = "running",
        Succeeded = "succeeded",
        /// Some subscriptions failed, each with its reason; the rest went on.
        PartiallyFailed = "partially_failed",
        Failed = "failed",
        Cancelled = "cancelled",
    }
}

impl RunStatus {
    /// Whether nothing more will happen to the run.
    pub const fn is_finished(self) -> bool {
        match self {
            Self::Queued | Self::Running => false,
            Self::Succeeded | Self::PartiallyFailed | Self::Failed | Self::Cancelled => true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_is_finished_once_nothing_more_will_happen() {
        let unfinished: Vec<_> = RunStatus::ALL.iter().filter(|status| !status.is_finished()).collect();
        assert_eq!(unfinished, [&RunStatus::Queued, &RunStatus::Running]);
    }
}

/// Why a run as a whole came to nothing more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RunProblem {
    /// The invoices of a series go on in time: none is dated before the last one issued.
    #[error("the issue date lies before the last invoice of a series")]
    IssuedBeforeLast,
    #[error("the totals are too large")]
    AmountOverflow,
    /// The log tells more.
    #[error("an error inside Opiekun")]
    Internal,
}

impl RunProblem {
    /// The stable name that clients know it by.
    pub const fn code(self) -> &'static str {
        match self {
            Self::IssuedBeforeLast => "issued_before_last",
            Self::AmountOverflow => "amount_overflow",
            Self::Internal => "internal",
        }
    }

    /// The problem that a record names.
    pub fn from_code(code: &str) -> Option<Self> {
        [Self::IssuedBeforeLast, Self::AmountOverflow, Self::Internal].into_iter().find(|it| it.code() == code)
    }
}
