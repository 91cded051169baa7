//! Names, streets and subjects, as they occur in Poland. None is meant to be anybody's.

use super::dice::Dice;
use opiekun_domain::interaction::Channel;
use opiekun_domain::tax_identity;

pub const TRADES: [&str; 20] = [
    "Piekarnia",
    "Hurtownia Budowlana",
    "Auto Serwis",
    "Gabinet Stomatologiczny",
    "Pracownia Architektoniczna",
    "Stolarnia",
    "Kwiaciarnia",
    "Transport",
    "Szkoła Językowa",
    "Restauracja",
    "Drukarnia",
    "Gospodarstwo Ogrodnicze",
    "Studio Graficzne",
    "Zakład Fryzjerski",
    "Sklep Rowerowy",
    "Agencja Reklamowa",
    "Warsztat Ślusarski",
    "Biuro Podróży",
    "Pralnia",
    "Instalacje Elektryczne",
];

pub const BYNAMES: [&str; 23] = [
    "Złoty Kłos",
    "Solid",
    "Pod Lipami",
    "Jaśmin",
    "Wektor",
    "Dębowy Las",
    "Stokrotka",
    "Szybki Bieg",
    "Lingua",
    "U Zosi",
    "Arkusz",
    "Zielony Zakątek",
    "Kreska",
    "Grzebyk",
    "Dwa Kółka",
    "Megafon",
    "Kowadło",
    "Azymut",
    "Biała Pościel",
    "Iskra",
    "Żuraw",
    "Północ",
    "Horyzont",
];

pub const FORMS: [&str; 5] = ["sp. z o.o.", "s.c.", "sp. j.", "sp. z o.o.", "S.A."];

pub const WOMEN: [&str; 12] = [
    "Agnieszka",
    "Barbara",
    "Ewa",
    "Elżbieta",
    "Magdalena",
    "Małgorzata",
    "Monika",
    "Natalia",
    "Zofia",
    "Urszula",
    "Łucja",
    "Halina",
];

pub const MEN: [&str; 12] = [
    "Adam",
    "Andrzej",
    "Grzegorz",
    "Jakub",
    "Krzysztof",
    "Łukasz",
    "Michał",
    "Paweł",
    "Rafał",
    "Stanisław",
    "Wojciech",
    "Zbigniew",
];

/// With the same form for women and men.
pub const SURNAMES: [&str; 24] = [
    "Nowak",
    "Wrona",
    "Mazur",
    "Kaczmarek",
    "Pawlak",
    "Sikora",
    "Baran",
    "Duda",
    "Szewczyk",
    "Pietrzak",
    "Wróbel",
    "Jabłoń",
    "Stępień",
    "Dudek",
    "Górka",
    "Michalak",
    "Król",
    "Wieczorek",
    "Zając",
    "Kubiak",
    "Wilk",
    "Lis",
    "Mróz",
    "Żak",
];

pub const STREETS: [&str; 14] = [
    "Lipowa",
    "Polna",
    "Słoneczna",
    "Kościuszki",
    "Ogrodowa",
    "Leśna",
    "Szkolna",
    "Mickiewicza",
    "Długa",
    "Młyńska",
    "Kwiatowa",
    "Zielona",
    "Krótka",
    "Łąkowa",
];

/// With the first digits of their postal codes.
pub const CITIES: [(&str, &str); 10] = [
    ("Poznań", "61"),
    ("Swarzędz", "62"),
    ("Luboń", "62"),
    ("Gniezno", "62"),
    ("Śrem", "63"),
    ("Września", "62"),
    ("Kościan", "64"),
    ("Leszno", "64"),
    ("Środa Wielkopolska", "63"),
    ("Oborniki", "64"),
];

pub const POSITIONS: [&str; 6] =
    ["właściciel", "prezes zarządu", "dyrektor finansowy", "kadry", "asystentka zarządu", "specjalista ds. rozliczeń"];

const BY_PHONE: [&str; 9] = [
    "Pytanie o termin płatności VAT",
    "Brakujące faktury kosztowe",
    "Zatrudnienie nowego pracownika",
    "Rozliczenie samochodu w działalności",
    "Termin złożenia JPK_V7",
    "Wyjaśnienie salda rozrachunków",
    "Pytanie o składki ZUS",
    "Zwolnienie lekarskie pracownika",
    "Ulga na złe długi",
];
const BY_EMAIL: [&str; 8] = [
    "Faktury za bieżący miesiąc",
    "Wyciąg bankowy do zaksięgowania",
    "Deklaracja PIT-4R do podpisu",
    "Lista płac do akceptacji",
    "Korekta faktury zakupu",
    "Zestawienie kosztów do banku",
    "Zaświadczenie o niezaleganiu",
    "Umowa zlecenia do sprawdzenia",
];
const FACE_TO_FACE: [&str; 7] = [
    "Omówienie wyników kwartału",
    "Wybór formy opodatkowania",
    "Przygotowanie do kontroli skarbowej",
    "Podsumowanie roku i plan na kolejny",
    "Leasing czy kredyt",
    "Podpisanie umowy o obsługę",
    "Przekazanie dokumentów",
];
const BY_CHAT: [&str; 4] = [
    "Szybkie pytanie o fakturę",
    "Numer rachunku do wpłaty VAT",
    "Potwierdzenie terminu spotkania",
    "Hasło do raportu",
];
const BY_LETTER: [&str; 3] = ["Pismo z urzędu skarbowego", "Wezwanie z ZUS", "Potwierdzenie salda"];

pub const OUTCOMES: [&str; 5] =
    ["Wyjaśnione", "Klient dośle dokumenty", "Do sprawdzenia w urzędzie", "Przygotujemy korektę", "Uzgodniono termin"];

/// What such a contact may be about.
pub const fn subjects(channel: Channel) -> &'static [&'static str] {
    match channel {
        Channel::Phone | Channel::Other => &BY_PHONE,
        Channel::Email => &BY_EMAIL,
        Channel::Meeting | Channel::Video => &FACE_TO_FACE,
        Channel::Chat => &BY_CHAT,
        Channel::Letter => &BY_LETTER,
    }
}

/// A valid NIP. All begin with 999, which tells them from those of real firms.
pub fn nip(dice: &mut Dice) -> String {
    loop {
        let body = format!("999{:06}", dice.below(1_000_000));
        // For one body in eleven no digit fits.
        let valid = (0..10).map(|last| format!("{body}{last}")).find(|number| tax_identity::nip(number).is_ok());
        if let Some(number) = valid {
            return number;
        }
    }
}

/// Letters without diacritics, in lower case: for e-mail addresses.
pub fn plain(text: &str) -> String {
    opiekun_domain::text::fold(text).chars().filter(char::is_ascii_alphanumeric).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn four_hundred_customers_have_names_of_their_own() {
        let names: BTreeSet<_> = (0..400).map(|place| (place % TRADES.len(), place % BYNAMES.len())).collect();
        assert_eq!(names.len(), 400);
    }

    #[test]
    fn a_tax_number_is_valid() {
        let mut dice = Dice::new(1);
        for _ in 0..100 {
            let number = nip(&mut dice);
            assert_eq!(tax_identity::nip(&number).as_deref(), Ok(number.as_str()));
        }
    }
}
