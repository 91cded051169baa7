//! The forms of a word, Polish and English, by rule: which endings take each other's place, and what changes before them.
//! Words are without diacritics. More forms are told than a word has: those that are none stand in no text.

use std::collections::BTreeSet;

/// Endings that take each other's place where so many letters at least stand before them.
struct Endings {
    before: usize,
    endings: &'static [&'static str],
}

/// Where two forms of a word have nothing in common that a rule could tell.
const IRREGULAR: &[&[&str]] = &[
    &["dzien", "dnia", "dniowi", "dniem", "dniu", "dni", "dniom", "dniami", "dniach"],
    &["rok", "roku", "rokiem", "rokowi", "lata", "lat", "latom", "latami", "latach"],
    &["czlowiek", "czlowieka", "czlowiekiem", "ludzie", "ludzi", "ludziom", "ludzmi", "ludziach"],
    &["dziecko", "dziecka", "dzieckiem", "dziecku", "dzieci", "dzieciom", "dziecmi", "dzieciach"],
    &["miasto", "miasta", "miastu", "miastem", "miescie", "miast", "miastom", "miastami", "miastach"],
    &["ksiega", "ksiegi", "ksiedze", "ksiege", "ksiag", "ksiegom", "ksiegami", "ksiegach"],
    &["reka", "reki", "rece", "reke", "rak", "rekom", "rekami", "rekach"],
    &["swieto", "swieta", "swietu", "swietem", "swiecie", "swiat", "swietom", "swietami", "swietach"],
    &["imie", "imienia", "imieniu", "imieniem", "imiona", "imion", "imionom", "imionami", "imionach"],
    &["wies", "wsi", "wsia", "wsie", "wsiom", "wsiami", "wsiach"],
    &["pies", "psa", "psu", "psem", "psie", "psy", "psow", "psom", "psami", "psach"],
    &["ojciec", "ojca", "ojcu", "ojcem", "ojcowie", "ojcow", "ojcom", "ojcami", "ojcach"],
    &["marzec", "marca", "marcu", "marcem", "marcowi"],
    &[
        "kosciol",
        "kosciola",
        "kosciolowi",
        "kosciolem",
        "kosciele",
        "koscioly",
        "kosciolow",
        "kosciolami",
        "kosciolach",
    ],
    &["tydzien", "tygodnia", "tygodniem", "tygodniu", "tygodnie", "tygodni", "tygodniom", "tygodniami", "tygodniach"],
];

const ENDINGS: &[Endings] = &[
    // Nouns and adjectives.
    Endings {
        before: 2,
        endings: &[
            "", "a", "ach", "ami", "e", "ego", "ej", "em", "emu", "i", "ia", "iach", "iami", "ich", "ie", "iego",
            "iej", "iem", "iemu", "im", "imi", "iom", "iow", "iu", "mi", "o", "om", "ow", "owi", "owie", "u", "y",
            "ych", "ym", "ymi",
        ],
    },
    // A vowel that is there before no ending alone, and a consonant that is softer before some: podatek, spółka.
    Endings {
        before: 2,
        endings: &[
            "ek", "k", "ka", "kach", "kami", "ke", "ki", "kiem", "ko", "kom", "kow", "kowi", "kowie", "ku", "ce", "cy",
        ],
    },
    // Krawiec, stolarzec.
    Endings {
        before: 2,
        endings: &["ec", "iec", "c", "ca", "cach", "cami", "ce", "cem", "com", "cow", "cowi", "cowie", "cu", "cy"],
    },
    // Wróbel, kozioł.
    Endings {
        before: 2,
        endings: &[
            "el", "iel", "iol", "l", "la", "lach", "lami", "le", "lem", "li", "lo", "lom", "low", "lowi", "lowie",
            "lu", "ly",
        ],
    },
    // Orzeł.
    Endings { before: 1, endings: &["rzel", "rla", "rlach", "rlami", "rle", "rlem", "rlom", "rlow", "rlowi", "rly"] },
    // Stępień, wrzesień; kwiecień, grudzień.
    Endings {
        before: 2,
        endings: &[
            "ien", "en", "n", "na", "nach", "nami", "nem", "nia", "niach", "niami", "nie", "niem", "niom", "niow",
            "niowi", "niu", "no", "nom", "now", "nu", "ny",
        ],
    },
    Endings { before: 2, endings: &["cien", "tnia", "tnie", "tniem", "tniowi", "tniu"] },
    Endings { before: 2, endings: &["dzien", "dnia", "dnie", "dniem", "dniowi", "dniu"] },
    // Najem; pojazd.
    Endings { before: 2, endings: &["jem", "jmu", "jmie", "jmem", "jmowi", "jmy", "jmow"] },
    Endings {
        before: 1,
        endings: &["jazd", "jazdu", "jazdowi", "jazdem", "jezdzie", "jazdy", "jazdow", "jazdom", "jazdami", "jazdach"],
    },
    // Opłata, kontrahent; lista.
    Endings {
        before: 2,
        endings: &["t", "ta", "tach", "tami", "te", "tem", "to", "tom", "tow", "towi", "tu", "ty", "ci", "cie"],
    },
    // Zasada, dochód.
    Endings {
        before: 2,
        endings: &["d", "da", "dach", "dami", "de", "dem", "do", "dom", "dow", "dowi", "du", "dy", "dzi", "dzie"],
    },
    // Biuro, dyrektor, cukier.
    Endings {
        before: 2,
        endings: &[
            "ier", "er", "r", "ra", "rach", "rami", "re", "rem", "ro", "rom", "row", "rowi", "ru", "ry", "rze", "rzy",
        ],
    },
    // Usługa, podłoga; cecha.
    Endings {
        before: 2,
        endings: &["g", "ga", "gach", "gami", "ge", "gi", "giem", "go", "gom", "gow", "gowi", "gu", "dze", "dzy"],
    },
    Endings {
        before: 2,
        endings: &["ch", "cha", "chach", "chami", "che", "chem", "cho", "chom", "chow", "chu", "chy", "sze", "si"],
    },
    // A nasal vowel that is another one before endings: urząd, błąd; mąż; gołąb; okrąg.
    Endings {
        before: 1,
        endings: &["ad", "eda", "edach", "edami", "edem", "edom", "edow", "edowi", "edu", "edy", "edzie"],
    },
    Endings { before: 1, endings: &["az", "eza", "ezach", "eze", "ezem", "ezom", "ezow", "ezowi", "ezowie", "ezu"] },
    Endings {
        before: 1,
        endings: &["ab", "eba", "ebach", "ebem", "ebia", "ebie", "ebiem", "ebiowi", "ebom", "ebow", "ebowi", "eby"],
    },
    Endings { before: 1, endings: &["ag", "egach", "egi", "egiem", "egom", "egow", "egowi", "egu"] },
    // Verbs, with the nouns and adjectives that are made of them: wysyłać.
    Endings {
        before: 3,
        endings: &[
            "ac", "a", "acie", "aj", "aja", "ajac", "ajcie", "al", "ala", "alam", "alem", "ali", "alo", "aly", "am",
            "amy", "ana", "ane", "anego", "anej", "ania", "anie", "aniem", "aniu", "ano", "any", "anych", "anym",
            "asz",
        ],
    },
    // Płacić, zaliczyć.
    Endings {
        before: 3,
        endings: &[
            "ic", "e", "i", "icie", "il", "ila", "ilam", "ilem", "ili", "ilo", "ily", "imy", "iona", "ione", "iono",
            "iony", "ionych", "isz", "enia", "enie", "eniem", "eniu", "ona", "one", "ono", "ony", "onych",
        ],
    },
    Endings {
        before: 3,
        endings: &[
            "yc", "e", "y", "ycie", "yl", "yla", "ylam", "ylem", "yli", "ylo", "yly", "ymy", "ysz", "enia", "enie",
            "eniem", "eniu", "ona", "one", "ono", "ony", "onych",
        ],
    },
    // Fakturować.
    Endings {
        before: 3,
        endings: &[
            "owac", "owal", "owala", "owalam", "owalem", "owali", "owalo", "owana", "owane", "owanego", "owania",
            "owanie", "owaniem", "owaniu", "owano", "owany", "owanych", "uja", "ujac", "uje", "ujecie", "ujemy",
            "ujesz", "uj",
        ],
    },
    // English.
    Endings { before: 3, endings: &["", "d", "ed", "es", "ing", "s"] },
    Endings { before: 3, endings: &["e", "ed", "es", "ing"] },
    Endings { before: 3, endings: &["y", "ied", "ies", "ying"] },
];

/// The forms of a word of letters, itself among them.
pub fn forms(word: &str) -> BTreeSet<String> {
    let mut forms = BTreeSet::from([word.to_owned()]);
    for words in IRREGULAR.iter().filter(|words| words.contains(&word)) {
        forms.extend(words.iter().map(|word| (*word).to_owned()));
    }
    for Endings { before, endings } in ENDINGS {
        for stem in endings.iter().filter_map(|ending| word.strip_suffix(ending)) {
            if stem.chars().count() >= *before {
                forms.extend(endings.iter().map(|ending| format!("{stem}{ending}")));
            }
        }
    }
    forms
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn words_are_found_in_their_forms() {
        for (word, others) in [
            ("podatek", "podatku podatki podatkiem podatkow podatkami"),
            ("wniosek", "wniosku wnioski wnioskow"),
            ("dzien", "dnia dni dniach"),
            ("pracownik", "pracownika pracownicy pracownikow pracownikami"),
            ("kontrahent", "kontrahentow kontrahencie kontrahenci"),
            ("spolka", "spolek spolce spolki spolka"),
            ("oplata", "oplacie oplat oplatami"),
            ("piatek", "piatku piatki"),
            ("urzad", "urzedu urzedy urzedzie urzedow"),
            ("blad", "bledy bledow bledem"),
            ("stol", "stolow stolu stole"),
            ("maz", "meza mezowi"),
            ("umowa", "umowe umowami umow umowy umowie"),
            ("biuro", "biurze biura biur"),
            ("usluga", "usludze uslugi uslug"),
            ("wysylac", "wysylam wysylalem wysylanie wysylaja"),
            ("fakturowac", "fakturuje fakturowanie fakturowania"),
            ("zofia", "zofii zofie"),
            ("krawiec", "krawca krawcem krawcowi"),
            ("koziol", "kozla kozlowi"),
            ("pawel", "pawla pawlem"),
            ("golab", "golebia golebiowi"),
            ("orzel", "orla orlowi"),
            ("kwiecien", "kwietnia kwietniu"),
            ("wynajem", "wynajmu wynajmie"),
            ("pojazd", "pojezdzie pojazdow"),
            ("okno", "okien oknie oknami"),
            ("ksiega", "ksiag ksiedze"),
            ("spadek", "spadku spadki"),
            ("ojciec", "ojca ojcem"),
            ("kolko", "kolek kolka"),
            ("stepien", "stepnia"),
            ("invoice", "invoices invoiced invoicing"),
            ("company", "companies"),
        ] {
            for other in others.split(' ') {
                assert!(forms(word).contains(other), "{word} {other}");
                assert!(forms(other).contains(word), "{other} {word}");
            }
        }
    }

    #[test]
    fn other_words_are_other_words() {
        for (word, other) in [
            ("umowa", "umowny"),
            ("umowa", "umywalka"),
            ("faktura", "fakt"),
            ("podatek", "podanie"),
            ("praca", "prawo"),
        ] {
            assert!(!forms(word).contains(other), "{word} {other}");
        }
    }

    proptest! {
        #[test]
        fn a_word_is_a_form_of_each_of_its_forms_but_the_shortest(word in "[a-z]{5,14}") {
            let forms = forms(&word);
            prop_assert!(forms.contains(&word) && forms.len() < 400, "{}", forms.len());
        }
    }
}
