//! Attachments: which records files are put on, and who therefore reads them.

use crate::ids::{ArticleId, CustomerId, InteractionId, InvoiceId, TaskId, ThreadId};
use crate::permission::Permission;
use uuid::Uuid;

vocabulary! {
    /// What kind of record a file is on.
    AttachmentSubjectType {
        Interaction = "interaction",
        Task = "task",
        Customer = "customer",
        Thread = "thread",
        Invoice = "invoice",
        Article = "article",
    }
}

vocabulary! {
    /// An area whose records files are put on. Whoever reads the records of an area reads the files on them.
    FileArea {
        Crm = "crm",
        Billing = "billing",
        /// Published articles.
        Knowledge = "knowledge",
        /// Articles that are not published.
        Drafts = "drafts",
    }
}

impl FileArea {
    /// What reading the area's records asks for.
    pub const fn read_permission(self) -> Permission {
        match self {
            Self::Crm => Permission::CrmRead,
            Self::Billing => Permission::BillingRead,
            Self::Knowledge => Permission::KnowledgeRead,
            Self::Drafts => Permission::KnowledgeWrite,
        }
    }

    /// What changing the area's records asks for.
    pub const fn write_permission(self) -> Permission {
        match self {
            Self::Crm => Permission::CrmWrite,
            Self::Billing => Permission::BillingWrite,
            Self::Knowledge | Self::Drafts => Permission::KnowledgeWrite,
        }
    }
}

impl AttachmentSubjectType {
    /// The area that such records are of; articles are of that of drafts until they are published.
    pub const fn area(self) -> FileArea {
        match self {
            Self::Interaction | Self::Task | Self::Customer | Self::Thread => FileArea::Crm,
            Self::Invoice => FileArea::Billing,
            Self::Article => FileArea::Knowledge,
        }
    }

    /// Whether such a record can be of an area.
    pub fn is_of(self, area: FileArea) -> bool {
        self.area() == area || self == Self::Article && area == FileArea::Drafts
    }
}

/// The record that a file is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttachmentSubject {
    Interaction(InteractionId),
    Task(TaskId),
    Customer(CustomerId),
    Thread(ThreadId),
    Invoice(InvoiceId),
    Article(ArticleId),
}

impl AttachmentSubject {
    pub const fn new(kind: AttachmentSubjectType, id: Uuid) -> Self {
        match kind {
            AttachmentSubjectType::Interaction => Self::Interaction(InteractionId(id)),
            AttachmentSubjectType::Task => Self::Task(TaskId(id)),
            AttachmentSubjectType::Customer => Self::Customer(CustomerId(id)),
            AttachmentSubjectType::Thread => Self::Thread(ThreadId(id)),
            AttachmentSubjectType::Invoice => Self::Invoice(InvoiceId(id)),
            AttachmentSubjectType::Article => Self::Article(ArticleId(id)),
        }
    }

    pub const fn kind(self) -> AttachmentSubjectType {
        match self {
            Self::Interaction(_) => AttachmentSubjectType::Interaction,
            Self::Task(_) => AttachmentSubjectType::Task,
            Self::Customer(_) => AttachmentSubjectType::Customer,
            Self::Thread(_) => AttachmentSubjectType::Thread,
            Self::Invoice(_) => AttachmentSubjectType::Invoice,
            Self::Article(_) => AttachmentSubjectType::Article,
        }
    }

    pub const fn id(self) -> Uuid {
        match self {
            Self::Interaction(id) => id.0,
            Self::Task(id) => id.0,
            Self::Customer(id) => id.0,
            Self::Thread(id) => id.0,
            Self::Invoice(id) => id.0,
            Self::Article(id) => id.0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subject_is_of_the_kind_and_id_that_it_was_made_of() {
        for kind in AttachmentSubjectType::ALL {
            let id = Uuid::from_u128(7);
            let subject = AttachmentSubject::new(*kind, id);
            assert_eq!((subject.kind(), subject.id()), (*kind, id));
        }
    }
}
