//! Amounts in words, as they stand on invoices beside the figures ("słownie").

use crate::currency::Currency;
use crate::decimal::Amount;
use crate::language::Language;

/// An amount in words: "pięć tysięcy osiemset dwadzieścia pięć złotych jedenaście groszy", "five thousand eight hundred
/// twenty-five zlotys and eleven groszy". Hundredths are said even where there are none.
///
/// Of a currency without words of its own it says the code and writes the hundredths: "dwanaście NZD 05/100".
pub fn amount_in_words(amount: Amount, currency: Currency, language: Language) -> String {
    let mut exact = amount.value();
    exact.rescale(Amount::PLACES);
    let hundredths = exact.mantissa().unsigned_abs();
    let (whole, part) = (hundredths / 100, hundredths % 100);
    let sign = if exact.is_sign_negative() && hundredths > 0 { "minus " } else { "" };
    let Some(words) = CURRENCIES.iter().find(|words| words.code == currency.code()) else {
        let number = match language {
            Language::Polish => polish(whole, Gender::Masculine),
            Language::English => english(whole),
        };
        return format!("{sign}{number} {currency} {part:02}/100");
    };
    let (polish_words, english_words) = (words.polish, words.english);
    match language {
        Language::Polish => {
            let [unit, hundredth] = polish_words;
            format!("{sign}{} {}", unit.counted(whole), hundredth.counted(part))
        }
        Language::English => {
            let [unit, hundredth] = english_words;
            format!("{sign}{} and {}", counted_in_english(whole, unit), counted_in_english(part, hundredth))
        }
    }
}

/// What the units and the hundredths of a currency are called.
struct CurrencyWords {
    code: &'static str,
    polish: [PolishNoun; 2],
    /// One of it, and more.
    english: [[&'static str; 2]; 2],
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Gender {
    Masculine,
    Feminine,
    Neuter,
}

/// A noun with the forms that go with 1, with 2 to 4, and with 5.
#[derive(Clone, Copy)]
struct PolishNoun(Gender, [&'static str; 3]);

impl PolishNoun {
    fn counted(self, count: u128) -> String {
        let Self(gender, forms) = self;
        format!("{} {}", polish(count, gender), form(count, forms))
    }
}

const CENT: PolishNoun = PolishNoun(Gender::Masculine, ["cent", "centy", "centów"]);
const CENTS: [&str; 2] = ["cent", "cents"];

const CURRENCIES: [CurrencyWords; 14] = [
    CurrencyWords {
        code: "PLN",
        polish: [
            PolishNoun(Gender::Masculine, ["złoty", "złote", "złotych"]),
            PolishNoun(Gender::Masculine, ["grosz", "grosze", "groszy"]),
        ],
        english: [["zloty", "zlotys"], ["grosz", "groszy"]],
    },
    CurrencyWords {
        code: "EUR",
        polish: [PolishNoun(Gender::Neuter, ["euro", "euro", "euro"]), CENT],
        english: [["euro", "euros"], CENTS],
    },
    CurrencyWords {
        code: "USD",
        polish: [
            PolishNoun(Gender::Masculine, ["dolar amerykański", "dolary amerykańskie", "dolarów amerykańskich"]),
            CENT,
        ],
        english: [["US dollar", "US dollars"], CENTS],
    },
    CurrencyWords {
        code: "GBP",
        polish: [
            PolishNoun(Gender::Masculine, ["funt brytyjski", "funty brytyjskie", "funtów brytyjskich"]),
            PolishNoun(Gender::Masculine, ["pens", "pensy", "pensów"]),
        ],
        english: [["pound sterling", "pounds sterling"], ["penny", "pence"]],
    },
    CurrencyWords {
        code: "CHF",
        polish: [
            PolishNoun(Gender::Masculine, ["frank szwajcarski", "franki szwajcarskie", "franków szwajcarskich"]),
            PolishNoun(Gender::Masculine, ["centym", "centymy", "centymów"]),
        ],
        english: [["Swiss franc", "Swiss francs"], ["centime", "centimes"]],
    },
    CurrencyWords {
        code: "CZK",
        polish: [
            PolishNoun(Gender::Feminine, ["korona czeska", "korony czeskie", "koron czeskich"]),
            PolishNoun(Gender::Masculine, ["halerz", "halerze", "halerzy"]),
        ],
        english: [["Czech koruna", "Czech korunas"], ["haler", "halers"]],
    },
    CurrencyWords {
        code: "SEK",
        polish: [
            PolishNoun(Gender::Feminine, ["korona szwedzka", "korony szwedzkie", "koron szwedzkich"]),
            PolishNoun(Gender::Neuter, ["öre", "öre", "öre"]),
        ],
        english: [["Swedish krona", "Swedish kronor"], ["öre", "öre"]],
    },
    CurrencyWords {
        code: "NOK",
        polish: [
            PolishNoun(Gender::Feminine, ["korona norweska", "korony norweskie", "koron norweskich"]),
            PolishNoun(Gender::Neuter, ["øre", "øre", "øre"]),
        ],
        english: [["Norwegian krone", "Norwegian kroner"], ["øre", "øre"]],
    },
    CurrencyWords {
        code: "DKK",
        polish: [
            PolishNoun(Gender::Feminine, ["korona duńska", "korony duńskie", "koron duńskich"]),
            PolishNoun(Gender::Neuter, ["øre", "øre", "øre"]),
        ],
        english: [["Danish krone", "Danish kroner"], ["øre", "øre"]],
    },
    CurrencyWords {
        code: "HUF",
        polish: [
            PolishNoun(Gender::Masculine, ["forint", "forinty", "forintów"]),
            PolishNoun(Gender::Masculine, ["filler", "fillery", "fillerów"]),
        ],
        english: [["forint", "forints"], ["filler", "fillers"]],
    },
    CurrencyWords {
        code: "RON",
        polish: [
            PolishNoun(Gender::Masculine, ["lej rumuński", "leje rumuńskie", "lejów rumuńskich"]),
            PolishNoun(Gender::Masculine, ["ban", "bany", "banów"]),
        ],
        english: [["Romanian leu", "Romanian lei"], ["ban", "bani"]],
    },
    CurrencyWords {
        code: "UAH",
        polish: [
            PolishNoun(Gender::Feminine, ["hrywna", "hrywny", "hrywien"]),
            PolishNoun(Gender::Feminine, ["kopiejka", "kopiejki", "kopiejek"]),
        ],
        english: [["hryvnia", "hryvnias"], ["kopiyka", "kopiykas"]],
    },
    CurrencyWords {
        code: "CAD",
        polish: [
            PolishNoun(Gender::Masculine, ["dolar kanadyjski", "dolary kanadyjskie", "dolarów kanadyjskich"]),
            CENT,
        ],
        english: [["Canadian dollar", "Canadian dollars"], CENTS],
    },
    CurrencyWords {
        code: "AUD",
        polish: [
            PolishNoun(Gender::Masculine, ["dolar australijski", "dolary australijskie", "dolarów australijskich"]),
            CENT,
        ],
        english: [["Australian dollar", "Australian dollars"], CENTS],
    },
];

/// The form of a noun that goes with a number: that of 1 with 1 alone, that of 2 with what ends in 2 to 4 but for 12 to 14,
/// and that of 5 with all others.
fn form<T: Copy>(count: u128, [one, few, many]: [T; 3]) -> T {
    match (count, count % 10, count % 100) {
        (1, ..) => one,
        (_, 2..=4, hundred) if !(12..=14).contains(&hundred) => few,
        _ => many,
    }
}

/// What one, a few and many of each power of 1000 are called, from 1000 on; the last one takes all that is left.
const POLISH_POWERS: [[&str; 3]; 4] = [
    ["tysiąc", "tysiące", "tysięcy"],
    ["milion", "miliony", "milionów"],
    ["miliard", "miliardy", "miliardów"],
    ["bilion", "biliony", "bilionów"],
];

fn polish(number: u128, gender: Gender) -> String {
    let mut words = Vec::new();
    for (power, count) in powers(number, POLISH_POWERS.len()) {
        // One thousand is said "tysiąc", not "jeden tysiąc".
        if count > 1 {
            polish_hundreds(count, Gender::Masculine, &mut words);
        }
        words.extend(POLISH_POWERS.get(power).map(|forms| form(count, *forms)));
    }
    // The word for 1 takes a gender alone, the one for 2 also behind others.
    let below = number % 1000;
    let gender = if number > 1 && below % 10 == 1 { Gender::Masculine } else { gender };
    polish_hundreds(below, gender, &mut words);
    if number == 0 {
        words.push("zero");
    }
    words.join(" ")
}

/// A number below 1000; of 0 nothing.
fn polish_hundreds(number: u128, gender: Gender, words: &mut Vec<&'static str>) {
    const HUNDREDS: [&str; 9] =
        ["sto", "dwieście", "trzysta", "czterysta", "pięćset", "sześćset", "siedemset", "osiemset", "dziewięćset"];
    const TENS: [&str; 8] = [
        "dwadzieścia",
        "trzydzieści",
        "czterdzieści",
        "pięćdziesiąt",
        "sześćdziesiąt",
        "siedemdziesiąt",
        "osiemdziesiąt",
        "dziewięćdziesiąt",
    ];
    const UNITS: [&str; 19] = [
        "jeden",
        "dwa",
        "trzy",
        "cztery",
        "pięć",
        "sześć",
        "siedem",
        "osiem",
        "dziewięć",
        "dziesięć",
        "jedenaście",
        "dwanaście",
        "trzynaście",
        "czternaście",
        "piętnaście",
        "szesnaście",
        "siedemnaście",
        "osiemnaście",
        "dziewiętnaście",
    ];
    let (hundreds, tens, units) = split_hundreds(number);
    words.extend(at(&HUNDREDS, hundreds, 1));
    words.extend(at(&TENS, tens, 2));
    words.extend(match (units, gender) {
        (1, Gender::Feminine) => Some("jedna"),
        (1, Gender::Neuter) => Some("jedno"),
        (2, Gender::Feminine) => Some("dwie"),
        _ => at(&UNITS, units, 1),
    });
}

const ENGLISH_POWERS: [&str; 4] = ["thousand", "million", "billion", "trillion"];

fn counted_in_english(count: u128, [one, more]: [&str; 2]) -> String {
    format!("{} {}", english(count), if count == 1 { one } else { more })
}

fn english(number: u128) -> String {
    let mut words = Vec::new();
    for (power, count) in powers(number, ENGLISH_POWERS.len()) {
        words.extend(english_hundreds(count));
        words.extend(ENGLISH_POWERS.get(power).map(|power| (*power).to_owned()));
    }
    words.extend(english_hundreds(number % 1000));
    if number == 0 {
        words.push("zero".to_owned());
    }
    words.join(" ")
}

/// A number below 1000; of 0 nothing.
fn english_hundreds(number: u128) -> Vec<String> {
    const TENS: [&str; 8] = ["twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety"];
    const UNITS: [&str; 19] = [
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "ten",
        "eleven",
        "twelve",
        "thirteen",
        "fourteen",
        "fifteen",
        "sixteen",
        "seventeen",
        "eighteen",
        "nineteen",
    ];
    let (hundreds, tens, units) = split_hundreds(number);
    let mut words = Vec::new();
    words.extend(at(&UNITS, hundreds, 1).map(|count| format!("{count} hundred")));
    let below: Vec<&str> = at(&TENS, tens, 2).into_iter().chain(at(&UNITS, units, 1)).collect();
    if !below.is_empty() {
        words.push(below.join("-"));
    }
    words
}

/// How many of each power of 1000 a number has, the greatest first, but for those below 1000 and for powers that it has
/// none of. Powers count from 0, which is 1000.
fn powers(number: u128, known: usize) -> impl Iterator<Item = (usize, u128)> {
    let mut left = number / 1000;
    let mut counts = Vec::with_capacity(known);
    for power in 0..known {
        let count = if power + 1 == known { left } else { left % 1000 };
        counts.push((power, count));
        left /= 1000;
    }
    counts.into_iter().rev().filter(|(_, count)| *count > 0)
}

/// Hundreds, tens from 20 on, and what is left of a number below 1000.
const fn split_hundreds(number: u128) -> (u128, u128, u128) {
    let (hundreds, below) = (number / 100, number % 100);
    if below < 20 { (hundreds, 0, below) } else { (hundreds, below / 10, below % 10) }
}

/// The word for a digit, where the words begin with that for `first`.
fn at(words: &'static [&'static str], digit: u128, first: u128) -> Option<&'static str> {
    usize::try_from(digit.checked_sub(first)?).ok().and_then(|index| words.get(index)).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use rust_decimal::Decimal;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().expect("a currency")
    }

    fn said(amount: &str, code: &str, language: Language) -> String {
        amount_in_words(amount.parse().expect("an amount"), currency(code), language)
    }

    fn po_polsku(amount: &str) -> String {
        said(amount, "PLN", Language::Polish)
    }

    #[test]
    fn polish_counts_by_the_end_of_the_number() {
        let examples = [
            ("0", "zero złotych zero groszy"),
            ("1", "jeden złoty zero groszy"),
            ("2", "dwa złote zero groszy"),
            ("5", "pięć złotych zero groszy"),
            ("12", "dwanaście złotych zero groszy"),
            ("13", "trzynaście złotych zero groszy"),
            ("14", "czternaście złotych zero groszy"),
            ("21", "dwadzieścia jeden złotych zero groszy"),
            ("22", "dwadzieścia dwa złote zero groszy"),
            ("100", "sto złotych zero groszy"),
            ("112", "sto dwanaście złotych zero groszy"),
            ("0.01", "zero złotych jeden grosz"),
            ("0.02", "zero złotych dwa grosze"),
            ("0.12", "zero złotych dwanaście groszy"),
            ("0.22", "zero złotych dwadzieścia dwa grosze"),
            ("0.99", "zero złotych dziewięćdziesiąt dziewięć groszy"),
            ("1000", "tysiąc złotych zero groszy"),
            ("1001", "tysiąc jeden złotych zero groszy"),
            ("1002", "tysiąc dwa złote zero groszy"),
            ("2000", "dwa tysiące złotych zero groszy"),
            ("5825.11", "pięć tysięcy osiemset dwadzieścia pięć złotych jedenaście groszy"),
            ("12345", "dwanaście tysięcy trzysta czterdzieści pięć złotych zero groszy"),
            ("21000", "dwadzieścia jeden tysięcy złotych zero groszy"),
            ("1000000", "milion złotych zero groszy"),
            ("1001001", "milion tysiąc jeden złotych zero groszy"),
            ("3000000", "trzy miliony złotych zero groszy"),
            ("1000000000", "miliard złotych zero groszy"),
            ("5000000000", "pięć miliardów złotych zero groszy"),
            ("99000000000000", "dziewięćdziesiąt dziewięć bilionów złotych zero groszy"),
            ("-61.50", "minus sześćdziesiąt jeden złotych pięćdziesiąt groszy"),
            ("-0.00", "zero złotych zero groszy"),
        ];
        for (amount, words) in examples {
            assert_eq!(po_polsku(amount), words, "{amount}");
        }
    }

    #[test]
    fn polish_numerals_take_the_gender_of_the_currency() {
        let examples = [
            ("1.01", "EUR", "jedno euro jeden cent"),
            ("2.02", "EUR", "dwa euro dwa centy"),
            ("21.05", "EUR", "dwadzieścia jeden euro pięć centów"),
            ("1.21", "CZK", "jedna korona czeska dwadzieścia jeden halerzy"),
            ("2.00", "CZK", "dwie korony czeskie zero halerzy"),
            ("21.00", "CZK", "dwadzieścia jeden koron czeskich zero halerzy"),
            ("22.00", "CZK", "dwadzieścia dwie korony czeskie zero halerzy"),
            ("2002.00", "CZK", "dwa tysiące dwie korony czeskie zero halerzy"),
            ("1001.00", "SEK", "tysiąc jeden koron szwedzkich zero öre"),
            ("3.03", "USD", "trzy dolary amerykańskie trzy centy"),
            ("1.02", "UAH", "jedna hrywna dwie kopiejki"),
        ];
        for (amount, code, words) in examples {
            assert_eq!(said(amount, code, Language::Polish), words, "{amount} {code}");
        }
    }

    #[test]
    fn english_counts_one_and_more() {
        let examples = [
            ("0", "PLN", "zero zlotys and zero groszy"),
            ("1.01", "PLN", "one zloty and one grosz"),
            ("5825.11", "PLN", "five thousand eight hundred twenty-five zlotys and eleven groszy"),
            ("1001.20", "EUR", "one thousand one euros and twenty cents"),
            ("19.99", "GBP", "nineteen pounds sterling and ninety-nine pence"),
            ("1000000", "USD", "one million US dollars and zero cents"),
            ("-240.05", "CHF", "minus two hundred forty Swiss francs and five centimes"),
        ];
        for (amount, code, words) in examples {
            assert_eq!(said(amount, code, Language::English), words, "{amount} {code}");
        }
    }

    #[test]
    fn a_currency_without_words_is_named_by_its_code() {
        assert_eq!(said("12.05", "NZD", Language::Polish), "dwanaście NZD 05/100");
        assert_eq!(said("1212.00", "NZD", Language::English), "one thousand two hundred twelve NZD 00/100");
    }

    #[test]
    fn each_currency_has_words_once() {
        let mut codes: Vec<&str> = CURRENCIES.iter().map(|words| currency(words.code).code()).collect();
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), CURRENCIES.len());
    }

    /// The number that words tell, read word by word as a listener would.
    fn read(words: &str, values: &BTreeMap<String, u128>, powers: &BTreeMap<String, u128>) -> u128 {
        let (mut sum, mut group) = (0, 0);
        for word in words.split([' ', '-']) {
            if let Some(power) = powers.get(word) {
                sum += power * if group == 0 { 1 } else { group };
                group = 0;
            } else if word == "hundred" {
                group *= 100;
            } else {
                group += values.get(word).unwrap_or_else(|| panic!("{word:?} in {words:?}"));
            }
        }
        sum + group
    }

    fn heard_in_polish(words: &str) -> u128 {
        let digits = "zero jeden dwa trzy cztery pięć sześć siedem osiem dziewięć dziesięć jedenaście dwanaście trzynaście \
            czternaście piętnaście szesnaście siedemnaście osiemnaście dziewiętnaście";
        let tens = "dwadzieścia trzydzieści czterdzieści pięćdziesiąt sześćdziesiąt siedemdziesiąt osiemdziesiąt \
            dziewięćdziesiąt";
        let hundreds = "sto dwieście trzysta czterysta pięćset sześćset siedemset osiemset dziewięćset";
        let mut values =
            BTreeMap::from([("jedna", 1), ("jedno", 1), ("dwie", 2)].map(|(word, at)| (word.to_owned(), at)));
        values.extend((0..).zip(digits.split_whitespace()).map(|(value, word)| (word.to_owned(), value)));
        values.extend((2..).zip(tens.split_whitespace()).map(|(value, word)| (word.to_owned(), value * 10)));
        values.extend((1..).zip(hundreds.split_whitespace()).map(|(value, word)| (word.to_owned(), value * 100)));
        let mut powers = BTreeMap::new();
        for (power, forms) in (1..).zip([
            "tysiąc tysiące tysięcy",
            "milion miliony milionów",
            "miliard miliardy miliardów",
            "bilion biliony bilionów",
        ]) {
            powers.extend(forms.split(' ').map(|word| (word.to_owned(), 1000_u128.pow(power))));
        }
        read(words, &values, &powers)
    }

    fn heard_in_english(words: &str) -> u128 {
        let digits = "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen \
            seventeen eighteen nineteen";
        let tens = "twenty thirty forty fifty sixty seventy eighty ninety";
        let mut values = BTreeMap::new();
        values.extend((0..).zip(digits.split_whitespace()).map(|(value, word)| (word.to_owned(), value)));
        values.extend((2..).zip(tens.split_whitespace()).map(|(value, word)| (word.to_owned(), value * 10)));
        let mut powers = BTreeMap::new();
        powers.extend(
            (1..)
                .zip(["thousand", "million", "billion", "trillion"])
                .map(|(power, word)| (word.to_owned(), 1000_u128.pow(power))),
        );
        read(words, &values, &powers)
    }

    /// Small ones as often as great ones.
    fn any_hundredths() -> impl Strategy<Value = i64> {
        (0_u32..=16).prop_flat_map(|digits| 0..10_i64.pow(digits))
    }

    fn amount_of(hundredths: i64) -> Amount {
        Amount::new(Decimal::new(hundredths, 2)).expect("it fits")
    }

    proptest! {
        #[test]
        fn words_are_heard_as_the_amount_they_tell(hundredths in any_hundredths()) {
            let (whole, part) = (u128::try_from(hundredths / 100)?, u128::try_from(hundredths % 100)?);
            let amount = amount_of(hundredths);
            let halves = |words: String, units: &[&str], parts: &[&str]| -> (String, String) {
                let end = parts.iter().find_map(|part| words.strip_suffix(&format!(" {part}"))).expect("hundredths").to_owned();
                let at = units.iter().find_map(|unit| end.find(&format!(" {unit} ")).map(|at| (at, unit.len()))).expect("units");
                (end[..at.0].to_owned(), end[at.0 + at.1 + 2..].to_owned())
            };

            for code in ["PLN", "CZK"] {
                let words = CURRENCIES.iter().find(|words| words.code == code).expect("words");
                let [PolishNoun(_, units), PolishNoun(_, parts)] = words.polish;
                let (units, parts) = halves(amount_in_words(amount, currency(code), Language::Polish), &units, &parts);
                prop_assert_eq!((heard_in_polish(&units), heard_in_polish(&parts)), (whole, part));
            }

            let words = amount_in_words(amount, currency("EUR"), Language::English);
            let (units, parts) = halves(words, &["euro", "euros"], &["cent", "cents"]);
            prop_assert_eq!((heard_in_english(&units), heard_in_english(parts.trim_start_matches("and "))), (whole, part));
        }

        #[test]
        fn two_amounts_are_never_said_alike(one in any_hundredths(), other in any_hundredths()) {
            for language in [Language::Polish, Language::English] {
                let said = |hundredths| amount_in_words(amount_of(hundredths), Currency::PLN, language);
                prop_assert_eq!(said(one) == said(other), one == other);
            }
        }

        #[test]
        fn what_is_less_than_nothing_is_said_with_minus(hundredths in any_hundredths()) {
            for language in [Language::Polish, Language::English] {
                let said = |hundredths| amount_in_words(amount_of(hundredths), Currency::PLN, language);
                let sign = if hundredths == 0 { "" } else { "minus " };
                prop_assert_eq!(said(-hundredths), format!("{sign}{}", said(hundredths)));
            }
        }
    }
}
