//! The official schema of FA(3), held in the program.
//!
//! It is rewritten for its validator, which knows a schema of one file, takes a type that is derived from a named one for any
//! text, and counts bytes for letters. Nothing of that changes what is valid: a test holds the verdicts against those of
//! `xmllint` by the schema as it is published.

use std::collections::BTreeMap;
use std::sync::LazyLock;
use uppsala::XsdValidator;

const FORM: &str = include_str!("schema/schemat_FA3_v1-0E.xsd");
const TYPES: &str = include_str!("schema/ElementarneTypyDanych_v10-0E.xsd");
const COUNTRIES: &str = include_str!("schema/KodyKrajow_v10-0E.xsd");

/// Building it takes longer than writing many invoices.
static VALIDATOR: LazyLock<Result<XsdValidator, String>> = LazyLock::new(|| {
    let text = with_whole_types(&with_imported_types());
    let schema = uppsala::parse(&text).map_err(|error| error.to_string())?;
    XsdValidator::from_schema(&schema).map_err(|error| error.to_string())
});

/// What the schema, or XML itself, has against a document first.
pub(super) fn check(text: &str) -> Result<(), String> {
    let validator = VALIDATOR.as_ref().map_err(Clone::clone)?;
    // No pattern and no word of the schema tells one letter outside of ASCII from another, so a byte may stand for each.
    let counted: String = text.chars().map(|letter| if letter.is_ascii() { letter } else { 'x' }).collect();
    let document = uppsala::parse(&counted).map_err(|error| error.to_string())?;
    match validator.validate(&document).first() {
        Some(problem) => Err(problem.message.clone()),
        None => Ok(()),
    }
}

/// The form's schema with the types that it imports written into it. They are simple types, so that the namespace which
/// they come from shows in no document; a prefix keeps their names apart from those that the form has too.
fn with_imported_types() -> String {
    let types = [COUNTRIES, TYPES].map(|schema| inside(schema).replace("name=\"T", "name=\"imported_T"));
    let form = inside(FORM);
    let head = FORM.split_once(form).map_or("", |(head, _)| head);
    format!("{head}{}{form}</xsd:schema>", types.concat()).replace("\"etd:", "\"tns:imported_")
}

/// What a schema declares itself: all that stands between its tags, but for what it imports or includes.
fn inside(schema: &str) -> &str {
    let body = schema.rsplit_once("</xsd:schema>").map_or(schema, |(body, _)| body);
    let first = body.find("<xsd:simpleType ").unwrap_or_default();
    &body[first..]
}

/// The same schema, whose types have all facets of those that they are derived from, on a type of XML Schema itself.
fn with_whole_types(schema: &str) -> String {
    const DERIVED: &str = "<xsd:restriction base=\"tns:";
    // A restriction that adds nothing is written as one tag.
    let schema = schema
        .split_inclusive("/>")
        .map(|part| match (part.strip_suffix("\"/>"), part.rsplit_once('<')) {
            (Some(head), Some((_, tag))) if tag.starts_with("xsd:restriction ") => {
                format!("{head}\"></xsd:restriction>")
            }
            _ => part.to_owned(),
        })
        .collect::<String>();
    let named = named_types(&schema);
    let mut parts = schema.split(DERIVED);
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, own) = part.split_once("\">").unwrap_or((part, ""));
        let is_list_of_words = own.split("</xsd:restriction>").next().is_some_and(|it| it.contains("<xsd:enumeration"));
        let (base, mut facets) = all_facets(&named, name);
        // Fewer words than those of its base.
        facets.retain(|facet| !is_list_of_words || !facet.contains("<xsd:enumeration"));
        whole.push_str(&format!("<xsd:restriction base=\"{base}\">{}{own}", facets.concat()));
    }
    whole
}

/// By its name, what a type is derived from and the facets that it adds.
fn named_types(schema: &str) -> BTreeMap<&str, (&str, &str)> {
    let named = schema.split("<xsd:simpleType name=\"").skip(1).filter_map(|part| {
        let (name, rest) = part.split_once('"')?;
        let (_, restriction) = rest.split_once("<xsd:restriction base=\"")?;
        let (base, body) = restriction.split_once("\">")?;
        Some((name, (base, body.split("</xsd:restriction>").next()?)))
    });
    named.collect()
}

/// The type of XML Schema that a type comes from in the end, and every facet from there to it.
fn all_facets<'a>(named: &BTreeMap<&'a str, (&'a str, &'a str)>, name: &str) -> (&'a str, Vec<&'a str>) {
    let Some((base, own)) = named.get(name) else { return ("xsd:string", Vec::new()) };
    match base.strip_prefix("tns:") {
        Some(parent) => {
            let (base, mut facets) = all_facets(named, parent);
            facets.push(own);
            (base, facets)
        }
        None => (base, vec![own]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_imported_type_is_there_once() {
        let text = with_imported_types();
        let mut names: Vec<&str> = FORM.split("\"etd:").skip(1).filter_map(|rest| rest.split('"').next()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 12);
        for name in names {
            assert_eq!(text.matches(&format!("name=\"imported_{name}\"")).count(), 1, "{name}");
        }
        assert!(!text.contains("\"etd:"));
        assert_eq!(VALIDATOR.as_ref().map(drop), Ok(()));
    }

    #[test]
    fn every_type_comes_from_one_of_xml_schema() {
        let text = with_imported_types();
        assert!(
            text.contains("restriction base=\"tns:") && !with_whole_types(&text).contains("restriction base=\"tns:")
        );
        let (base, facets) = all_facets(&named_types(&text), "TDataT");
        assert_eq!(base, "xsd:date");
        assert!(facets.concat().contains("2006-01-01") && facets.concat().contains(r"((\d{4})-(\d{2})-(\d{2}))"));
    }

    #[test]
    fn no_word_or_pattern_has_letters_outside_of_ascii() {
        for facet in with_imported_types().split("value=\"").skip(1) {
            assert!(facet.split('"').next().expect("a value").is_ascii(), "{facet}");
        }
    }
}
