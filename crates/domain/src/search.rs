//! What one search over everything finds.

use crate::permission::Permission;

vocabulary! {
    /// What kind of record a search found.
    SearchType {
        Customer = "customer",
        Person = "person",
        Thread = "thread",
        Task = "task",
        Interaction = "interaction",
        Opportunity = "opportunity",
        Article = "article",
        File = "file",
        Invoice = "invoice",
    }
}

impl SearchType {
    /// What reading such records asks for; `None` where each record tells who may read it.
    pub const fn read_permission(self) -> Option<Permission> {
        match self {
            Self::Customer | Self::Person | Self::Thread | Self::Task | Self::Interaction | Self::Opportunity => {
                Some(Permission::CrmRead)
            }
            Self::Article => Some(Permission::KnowledgeRead),
            Self::File => None,
            Self::Invoice => Some(Permission::BillingRead),
        }
    }
}
