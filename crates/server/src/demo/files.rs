//! The files of the demo: what was received and sent in the matter "Kontrola US", a customer's contract, and the logo.

use super::matter::{KATARZYNA, MAREK, TOMASZ, Who};
use super::office::turn_to;
use super::{Year, firm};
use crate::failure::Failure;
use chrono::{DateTime, TimeDelta, Utc};
use opiekun_domain::attachment::AttachmentSubject;
use opiekun_domain::calendar_day::{day_bounds, shift_to_working_day};
use opiekun_domain::ids::{CustomerId, ThreadId};
use opiekun_domain::schedule::IssueDayShift;
use opiekun_files::{FileStore, Look, ObjectName};
use opiekun_persistence::attachments::AttachmentFilter;
use opiekun_persistence::file_objects::{self, Received};
use opiekun_persistence::files::{self, FileFields, Reader};
use opiekun_persistence::interactions::Interaction;
use opiekun_persistence::interactions::InteractionFilter;
use opiekun_persistence::tasks::Task;
use opiekun_persistence::tasks::TaskFilter;
use opiekun_persistence::threads::ThreadFilter;
use opiekun_persistence::{Db, PageRequest, Scope, Tx, attachments, interactions, organizations, tasks, threads};

const LOGO: &[u8] = include_bytes!("logo.png");
/// The matter whose papers are there.
const TAG: &str = "kontrola";
const OWNER: Who = 0;
/// Whoever fills the demo sees all of it.
const READER: Reader = Reader::EVERYTHING;

/// A file, and what it is on.
struct Paper {
    name: &'static str,
    content: fn() -> Vec<u8>,
    who: Who,
    /// So many days before the story's.
    ago: i64,
    on: On,
    description: &'static str,
}

enum On {
    Thread,
    /// A task of the matter, by its title.
    Task(&'static str),
    /// A contact of the matter, by its subject.
    Contact(&'static str),
    /// Whom the matter is of.
    Customer,
}

const PAPERS: &[Paper] = &[
    Paper {
        name: "umowa-o-prowadzenie-ksiag.pdf",
        content: || pdf(&["Umowa o prowadzenie ksiag rachunkowych", "Biuro Rachunkowe Kropka"]),
        who: MAREK,
        ago: 98,
        on: On::Customer,
        description: "Podpisana przez obie strony",
    },
    Paper {
        name: "upl-1.pdf",
        content: || pdf(&["UPL-1", "Pelnomocnictwo do podpisywania deklaracji"]),
        who: KATARZYNA,
        ago: 95,
        on: On::Task("Pełnomocnictwa UPL-1 i PPS-1"),
        description: "Wysłane",
    },
    Paper {
        name: "protokol-kontroli.pdf",
        content: || pdf(&["Protokol kontroli podatkowej", "Podatek od towarow i uslug"]),
        who: MAREK,
        ago: 21,
        on: On::Thread,
        description: "Z urzędu, listem",
    },
    Paper {
        name: "notatka-po-naradzie.txt",
        content: || "Klient zgadza się na korektę JPK_V7.\nBrakuje potwierdzeń wywozu dwóch dostaw do Czech.\n".into(),
        who: MAREK,
        ago: 20,
        on: On::Contact("Protokół: co z nim zrobić"),
        description: "Ustalenia",
    },
    Paper {
        name: "dostawy-wewnatrzwspolnotowe.csv",
        content: || {
            "data;kontrahent;kraj;netto\n2026-04-08;Pekárna Zlatý Klas s.r.o.;CZ;18400.00\n\
             2026-05-19;Pekárna Zlatý Klas s.r.o.;CZ;21150.00\n"
                .into()
        },
        who: TOMASZ,
        ago: 6,
        on: On::Task("Zestawienie dostaw wewnątrzwspólnotowych"),
        description: "Stan po uzgodnieniu z klientem",
    },
];

/// Keeps the files in the store and puts them where they belong, unless that was done. Once all of them are in the store,
/// one transaction tells of them; what was stored before it was cut off is swept up.
pub fn create(db: &Db, store: &FileStore, scope: Scope, now: DateTime<Utc>, year: Year) -> Result<(), Failure> {
    let there = db.read(scope, now, |tx| attachments::list(tx, READER, &AttachmentFilter::default(), &first(1)))?;
    if !there.items.is_empty() {
        return Ok(());
    }
    let contents = PAPERS.iter().map(|paper| (paper.name, (paper.content)())).chain([("logo.png", LOGO.to_vec())]);
    let mut kept = Vec::with_capacity(PAPERS.len() + 1);
    for (name, content) in contents {
        let mut look = Look::default();
        look.take(&content);
        let seen = look.end(name).map_err(|refused| Failure::new(format_args!("{name}: {refused}")))?;
        let received = Received {
            media_type: seen.media_type.to_owned(),
            sha256: seen.sha256,
            size_bytes: i64::try_from(seen.size_bytes).map_err(Failure::new)?,
        };
        let object_id = db.transaction(scope, now, file_objects::announce)?;
        let object = ObjectName { organization_id: scope.organization_id.0, object_id: object_id.0 };
        store.write_now(object, content.into()).map_err(Failure::new)?;
        kept.push((name, object_id, received));
    }
    db.transaction(scope, now, |tx| {
        let zone = organizations::find(tx)?.time_zone();
        let team = firm::team(tx)?;
        let matter = Matter::find(tx)?;
        let mut kept = kept.into_iter();
        for (paper, (name, object_id, received)) in PAPERS.iter().zip(kept.by_ref()) {
            let day = shift_to_working_day(year.today - TimeDelta::days(paper.ago), IssueDayShift::Before);
            turn_to(tx, day_bounds(day, zone).0 + TimeDelta::hours(15), team[paper.who]);
            let file = files::create(tx, object_id, &received, FileFields { name: name.to_owned() })?;
            attachments::create(tx, file.id, matter.subject(&paper.on)?, Some(paper.description.to_owned()))?;
        }
        if let Some((name, object_id, received)) = kept.next() {
            turn_to(tx, now, team[OWNER]);
            let logo = files::create(tx, object_id, &received, FileFields { name: name.to_owned() })?;
            let organization = organizations::lock(tx, None)?;
            let fields =
                organizations::OrganizationFields { logo_file_id: Some(logo.id), ..organization.fields.clone() };
            organizations::update(tx, &organization, fields)?;
        }
        Ok(())
    })
}

/// The matter whose papers they are, with what is in it.
struct Matter {
    thread_id: ThreadId,
    customer_id: CustomerId,
    tasks: Vec<Task>,
    contacts: Vec<Interaction>,
}

impl Matter {
    fn find(tx: &mut Tx<'_>) -> Result<Self, Failure> {
        let filter = ThreadFilter { tags: Some(vec![TAG.to_owned()]), ..ThreadFilter::default() };
        let thread = threads::list(tx, &filter, &first(1))?.items.pop();
        let found = thread.and_then(|thread| Some((thread.id, thread.fields.customer_id?)));
        let (thread_id, customer_id) = found.ok_or_else(|| Failure::new("the demo's matters are not there"))?;
        let filter = TaskFilter { thread_id: Some(thread_id), ..TaskFilter::default() };
        let tasks = tasks::list(tx, &filter, &first(200))?.items;
        let filter = InteractionFilter { thread_id: Some(thread_id), ..InteractionFilter::default() };
        let contacts = interactions::list(tx, &filter, &first(200))?.items;
        Ok(Self { thread_id, customer_id, tasks, contacts })
    }

    fn subject(&self, on: &On) -> Result<AttachmentSubject, Failure> {
        let found = match on {
            On::Thread => Some(AttachmentSubject::Thread(self.thread_id)),
            On::Customer => Some(AttachmentSubject::Customer(self.customer_id)),
            On::Task(title) => {
                let task = self.tasks.iter().find(|task| task.fields.title == *title);
                task.map(|task| AttachmentSubject::Task(task.id))
            }
            On::Contact(subject) => {
                let contact = self.contacts.iter().find(|contact| contact.fields.subject == *subject);
                contact.map(|contact| AttachmentSubject::Interaction(contact.id))
            }
        };
        found.ok_or_else(|| Failure::new("the demo's matter lacks what its papers are on"))
    }
}

/// The first so many.
fn first<S: Default>(limit: u16) -> PageRequest<S> {
    PageRequest { sort: S::default(), descending: false, limit, after: None, count: false }
}

/// A page with some lines of plain letters, as PDF 1.4 (ISO 32000): its objects, and a table of where each begins.
fn pdf(lines: &[&str]) -> Vec<u8> {
    let shown: Vec<String> = lines.iter().map(|line| format!("({line}) Tj T*")).collect();
    let text = format!("BT /F1 14 Tf 20 TL 72 760 Td {} ET", shown.join(" "));
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 5 0 R /Resources << /Font << /F1 4 0 R >> >> >>"
            .to_owned(),
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>".to_owned(),
        format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len()),
    ];
    let mut file = "%PDF-1.4\n".to_owned();
    let mut table = format!("xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for (number, object) in (1..).zip(&objects) {
        table.push_str(&format!("{:010} 00000 n \n", file.len()));
        file.push_str(&format!("{number} 0 obj\n{object}\nendobj\n"));
    }
    let begins = file.len();
    let trailer = format!("trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{begins}\n%%EOF\n", objects.len() + 1);
    file.push_str(&table);
    file.push_str(&trailer);
    file.into_bytes()
}
