//! What is said around a question: greetings, thanks, and that there is one. None of it is asked for.

use crate::words::Word;

/// Without diacritics; where two begin alike the longer one counts.
#[rustfmt::skip]
const COURTESIES: &[&str] = &[
    "dzien dobry", "dobry wieczor", "halo", "witam", "czesc", "przepraszam", "prosze pana", "prosze pani",
    "prosze panstwa", "do widzenia", "dziekuje", "dziekuje i pozdrawiam", "z gory dziekuje", "dzieki", "pozdrawiam",
    "mam pytanie", "mam takie pytanie", "mam jedno pytanie", "mam krotkie pytanie", "mam pytanko", "mam takie pytanko",
    "mam sprawe", "mam taka sprawe", "dzwonie w sprawie", "dzwonie z pytaniem", "chce zapytac", "chce wiedziec",
    "chcialam zapytac", "chcialem zapytac", "chcialabym zapytac", "chcialbym zapytac", "chcialabym wiedziec",
    "chcialbym wiedziec", "chcialam sie dowiedziec", "chcialem sie dowiedziec", "chcialabym sie dowiedziec",
    "chcialbym sie dowiedziec", "zastanawiam sie", "prosze powiedziec", "prosze mi powiedziec",
    "moze mi pan powiedziec", "moze mi pani powiedziec", "czy pan wie", "czy pani wie", "klient pyta", "klientka pyta",
    "pyta klient", "pyta klientka", "klient dzwoni i pyta", "klientka dzwoni i pyta", "dzwoni klient i pyta",
    "dzwoni klientka i pyta", "klient chce wiedziec", "klientka chce wiedziec", "mowil ze", "mowila ze",
    "powiedzial ze", "powiedziala ze", "slyszalam ze", "slyszalem ze", "podobno", "nie wiem", "bo nie wiem",
    "nie jestem pewna", "nie jestem pewien",
    "hello", "hi", "good morning", "good afternoon", "excuse me", "please", "thanks", "thank you", "best regards",
    "kind regards", "i have a question", "could you tell me", "can you tell me", "i would like to know",
    "i was wondering",
];

/// The words of a question without courtesies; all of them where there are no others.
pub fn without_courtesies(mut words: Vec<Word>) -> Vec<Word> {
    let mut is_courtesy = vec![false; words.len()];
    let mut at = 0;
    while at < words.len() {
        let length = COURTESIES.iter().filter_map(|courtesy| begins(&words[at..], courtesy)).max();
        is_courtesy.iter_mut().skip(at).take(length.unwrap_or_default()).for_each(|it| *it = true);
        at += length.unwrap_or(1);
    }
    if is_courtesy.contains(&false) {
        let mut is_courtesy = is_courtesy.into_iter();
        words.retain(|_| !is_courtesy.next().unwrap_or_default());
    }
    words
}

/// How many words a courtesy has, if a text begins with it.
fn begins(words: &[Word], courtesy: &str) -> Option<usize> {
    let said = courtesy.split(' ');
    let length = said.clone().count();
    (length <= words.len() && said.zip(words).all(|(said, word)| said == word.folded)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::words;

    #[test]
    fn what_is_asked_is_left() {
        let left = |text: &str| {
            let words = without_courtesies(words(text));
            words.into_iter().map(|word| word.folded).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(left("Dzień dobry, mam takie pytanie: kiedy zwrot VAT, bo nie wiem"), "kiedy zwrot vat");
        assert_eq!(left("dziękuję i pozdrawiam"), "dziekuje i pozdrawiam");
        assert_eq!(left("zwrot VAT klient"), "zwrot vat klient");
        assert_eq!(left("klientka dzwoni i pyta o urlop"), "o urlop");
    }
}
