//! What KSeF asks of a document, and what makes sense of one, beyond its schema.

use super::SIZE_MAX;
use opiekun_domain::e_invoice::is_taken;
use opiekun_domain::iban;
use opiekun_domain::tax_identity::nip;
use rust_decimal::Decimal;
use std::collections::BTreeSet;
use uppsala::{Document, NodeId, NodeKind};

/// A rule that a document breaks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BrokenRule {
    #[error("it has more than {SIZE_MAX} bytes")]
    Size,
    #[error("it is not UTF-8")]
    Encoding,
    #[error("it begins with a byte order mark")]
    ByteOrderMark,
    #[error("it has a processing instruction")]
    ProcessingInstruction,
    #[error("it has a character that XML 1.0 discourages")]
    Character,
    #[error("the check digit of a NIP does not match")]
    Nip,
    #[error("a Polish buyer is named by another number than the NIP")]
    PolishVatNumber,
    #[error("it is for a unit of a local government (JST) and names none (Podmiot3 with Rola 8)")]
    LocalGovernment,
    #[error("it is for a member of a VAT group (GV) and names none (Podmiot3 with Rola 10)")]
    VatGroup,
    #[error("the number of a line is not a number of its own")]
    LineNumber,
    #[error("a quantity is below 0, which only a correction may have")]
    NegativeQuantity,
    #[error("an account is neither an IBAN nor a Polish number of 26 digits, or its check digits do not match")]
    Account,
    #[error("{0} is not the rate times the net")]
    Vat(&'static str),
    #[error("P_15 is not the sum of net and VAT")]
    Total,
    #[error("an amount is none")]
    Amount,
}

/// By how much the VAT of a rate may be off from the rate times its net: VAT from gross is by half a grosz and its net by
/// as much, a correction by twice that.
const VAT_TOLERANCE: Decimal = Decimal::from_parts(2, 0, 0, false, 2);

/// The official examples have sums that are off by as much.
const TOTAL_TOLERANCE: Decimal = Decimal::from_parts(1, 0, 0, false, 2);

/// Net, VAT, and the rates in percent that a pair of them may have.
const TAXED: [(&str, &str, [i64; 2]); 4] = [
    ("P_13_1", "P_14_1", [23, 22]),
    ("P_13_2", "P_14_2", [8, 7]),
    ("P_13_3", "P_14_3", [5, 5]),
    ("P_13_4", "P_14_4", [4, 3]),
];

/// The text of a document.
pub(super) fn check_bytes(content: &[u8]) -> Result<&str, BrokenRule> {
    if content.len() > SIZE_MAX {
        return Err(BrokenRule::Size);
    }
    let text = std::str::from_utf8(content).map_err(|_| BrokenRule::Encoding)?;
    if text.starts_with('\u{feff}') { Err(BrokenRule::ByteOrderMark) } else { Ok(text) }
}

/// A document that the schema has passed.
pub(super) fn check_tree(document: &Document<'_>) -> Result<(), BrokenRule> {
    for node in document.descendants(document.root()) {
        match document.node_kind(node) {
            Some(NodeKind::ProcessingInstruction(_)) => return Err(BrokenRule::ProcessingInstruction),
            Some(NodeKind::Text(text) | NodeKind::CData(text)) if !text.chars().all(is_taken) => {
                return Err(BrokenRule::Character);
            }
            _ => {}
        }
    }
    let Some(root) = document.document_element() else { return Ok(()) };
    let root = Node { document, id: root };
    check_parties(root)?;
    for body in root.all("Fa") {
        check_rows(body)?;
        check_accounts(body)?;
        check_sums(body)?;
    }
    Ok(())
}

/// An element of a document; all are of the one namespace.
#[derive(Clone, Copy)]
struct Node<'a> {
    document: &'a Document<'a>,
    id: NodeId,
}

impl<'a> Node<'a> {
    fn children(self) -> impl Iterator<Item = Self> {
        let elements = self.document.children_iter(self.id).filter(|id| self.document.element(*id).is_some());
        elements.map(move |id| Self { document: self.document, id })
    }

    fn name(self) -> &'a str {
        self.document.element(self.id).map_or("", |element| &element.name.local_name)
    }

    fn all(self, name: &str) -> impl Iterator<Item = Self> {
        self.children().filter(move |child| child.name() == name)
    }

    fn content(self) -> String {
        self.document.text_content_deep(self.id).trim().to_owned()
    }

    fn value(self) -> Result<Decimal, BrokenRule> {
        self.content().parse().map_err(|_| BrokenRule::Amount)
    }

    fn texts(self, name: &str) -> impl Iterator<Item = String> {
        self.all(name).map(Self::content)
    }

    fn text(self, name: &str) -> Option<String> {
        self.texts(name).next()
    }

    fn amount(self, name: &str) -> Result<Option<Decimal>, BrokenRule> {
        self.all(name).next().map(Self::value).transpose()
    }
}

fn check_parties(root: Node<'_>) -> Result<(), BrokenRule> {
    for party in ["Podmiot1", "Podmiot2", "Podmiot3", "PodmiotUpowazniony"].into_iter().flat_map(|name| root.all(name))
    {
        for identity in party.all("DaneIdentyfikacyjne") {
            if identity.texts("NIP").any(|number| nip(&number).is_err()) {
                return Err(BrokenRule::Nip);
            }
            if identity.texts("KodUE").any(|country| country == "PL") {
                return Err(BrokenRule::PolishVatNumber);
            }
        }
    }
    let is_said = |flag| root.all("Podmiot2").flat_map(move |buyer| buyer.texts(flag)).any(|text| text == "1");
    let has_role = |role| root.all("Podmiot3").flat_map(|party| party.texts("Rola")).any(|text| text == role);
    if is_said("JST") && !has_role("8") {
        return Err(BrokenRule::LocalGovernment);
    }
    if is_said("GV") && !has_role("10") {
        return Err(BrokenRule::VatGroup);
    }
    Ok(())
}

fn check_rows(body: Node<'_>) -> Result<(), BrokenRule> {
    let is_correction = body.text("RodzajFaktury").is_some_and(|kind| kind.starts_with("KOR"));
    let mut numbers = BTreeSet::new();
    for row in body.all("FaWiersz") {
        let number: u64 = row.text("NrWierszaFa").and_then(|it| it.parse().ok()).ok_or(BrokenRule::LineNumber)?;
        if !numbers.insert((number, row.text("StanPrzed"))) {
            return Err(BrokenRule::LineNumber);
        }
        if !is_correction && row.amount("P_8B")?.is_some_and(|quantity| quantity < Decimal::ZERO) {
            return Err(BrokenRule::NegativeQuantity);
        }
    }
    Ok(())
}

fn check_accounts(body: Node<'_>) -> Result<(), BrokenRule> {
    for payment in body.all("Platnosc") {
        for number in payment.all("RachunekBankowy").flat_map(|account| account.texts("NrRB")) {
            let is_polish = number.bytes().all(|byte| byte.is_ascii_digit());
            let iban = if is_polish { format!("PL{number}") } else { number };
            if !iban::checks(&iban) || (is_polish && iban::polish_number(&iban).is_none()) {
                return Err(BrokenRule::Account);
            }
        }
    }
    Ok(())
}

fn check_sums(body: Node<'_>) -> Result<(), BrokenRule> {
    for (net, vat, percents) in TAXED {
        if let (Some(net), Some(told)) = (body.amount(net)?, body.amount(vat)?) {
            let is_off = |percent: i64| (net * Decimal::new(percent, 2) - told).abs() > VAT_TOLERANCE;
            if percents.into_iter().all(is_off) {
                return Err(BrokenRule::Vat(vat));
            }
        }
    }
    // VAT in złoty (P_14_1W) is told beside the sum and not in it; a simplified invoice tells the sum alone.
    let mut sum = None;
    for node in body.children() {
        let name = node.name();
        if (name.starts_with("P_13_") || name.starts_with("P_14_")) && !name.ends_with('W') {
            sum = Some(sum.unwrap_or(Decimal::ZERO) + node.value()?);
        }
    }
    match (sum, body.amount("P_15")?) {
        (Some(sum), Some(total)) if (sum - total).abs() > TOTAL_TOLERANCE => Err(BrokenRule::Total),
        _ => Ok(()),
    }
}
