//! Words that say nothing of what a question is about.

use std::collections::HashSet;
use std::sync::LazyLock;

/// Polish ones, without diacritics.
#[rustfmt::skip]
const POLISH: &[&str] = &[
    "a", "aby", "ach", "acz", "aczkolwiek", "aj", "albo", "ale", "alez", "ani", "az", "bardziej", "bardzo", "beda",
    "bede", "bedzie", "bedziemy", "bez", "bo", "bowiem", "by", "byc", "byl", "byla", "byli", "bylo", "byly", "bym",
    "bys", "chce", "chcemy", "chcialabym", "chcialbym", "choc", "chodzi", "chyba", "ci", "cie", "ciebie", "co",
    "cokolwiek", "cos", "czasami", "czasem", "czego", "czemu", "czy", "czyj", "czyja", "czyje", "czyli", "czym",
    "daleko", "dla", "dlaczego", "dlatego", "do", "dobrze", "dokad", "dosc", "duzo", "dwa", "dwaj", "dwie", "dwoje",
    "dzis", "dzisiaj", "gdy", "gdyby", "gdyz", "gdzie", "gdziekolwiek", "gdzies", "go", "i", "ich", "ile", "im",
    "inna", "inne", "inny", "innych", "iz", "ja", "jak", "jaka", "jakas", "jaki", "jakich", "jakie", "jakiego",
    "jakiej", "jakiemu", "jakies", "jakim", "jakimi", "jakis", "jako", "jakos", "je", "jeden", "jedna", "jednak",
    "jednakze", "jedno", "jego", "jej", "jemu", "jesli", "jest", "jestem", "jeszcze", "jezeli", "juz", "kazda",
    "kazdy", "kiedy", "kilka", "kim", "kims", "kogo", "komu", "kto", "ktora", "ktoras", "ktore", "ktorego", "ktorej",
    "ktoremu", "ktory", "ktorych", "ktorym", "ktorymi", "ktorzy", "ktos", "ku", "lub", "ma", "maja", "mam", "mamy",
    "masz", "mi", "mial", "miala", "mialam", "mialem", "miec", "mimo", "mna", "mnie", "moga", "moge", "moglabym",
    "moglbym", "moi", "moich", "moim", "moj", "moja", "moje", "mojego", "mojej", "mojemu", "moze", "mozemy", "mozesz",
    "mozliwe", "mozna", "mu", "musi", "musimy", "musisz", "musze", "my", "na", "nad", "nalezy", "nam", "nami", "nas",
    "nasi", "nasz", "nasza", "nasze", "naszego", "naszej", "naszych", "naszym", "natomiast", "ni", "nia", "nic",
    "nich", "nie", "niech", "niego", "niej", "niemu", "nigdy", "nim", "nimi", "niz", "no", "nowe", "o", "obok", "od",
    "ode", "okolo", "on", "ona", "one", "oni", "ono", "oraz", "oto", "owszem", "pan", "pana", "pani", "po", "pod",
    "podczas", "pomimo", "ponad", "poniewaz", "potem", "powinien", "powinienem", "powinna", "powinnam", "powinni",
    "powinno", "poza", "prawie", "przed", "przede", "przedtem", "przez", "przy", "raz", "razie", "robi", "robic",
    "roku", "rowniez", "sa", "sam", "sama", "sie", "skad", "soba", "sobie", "sposob", "swoich", "swoim", "swoj",
    "swoja", "swoje", "swojego", "swojej", "ta", "tak", "taka", "taki", "takich", "takie", "takim", "takze", "tam",
    "te", "tego", "tej", "tel", "temu", "ten", "teraz", "tez", "to", "toba", "tobie", "totez", "trzeba", "tu",
    "tutaj", "twoi", "twoim", "twoj", "twoja", "twoje", "twym", "ty", "tych", "tylko", "tym", "tymi", "tys", "u", "w",
    "wam", "wami", "was", "wasz", "wasza", "wasze", "waszego", "waszej", "we", "wedlug", "wg", "wiec", "wiele",
    "wielu", "wiem", "wiemy", "wszyscy", "wszystkich", "wszystkie", "wszystkim", "wszystko", "wtedy", "wy", "z", "za",
    "zaden", "zadna", "zadne", "zadnych", "zapewne", "zawsze", "ze", "zeby", "znow", "znowu", "zostal", "zrobic",
];

#[rustfmt::skip]
const ENGLISH: &[&str] = &[
    "an", "and", "are", "as", "at", "be", "can", "could", "did", "does", "for", "from", "get", "had", "has", "have",
    "how", "if", "in", "is", "it", "its", "may", "me", "must", "need", "not", "of", "or", "our", "shall", "should",
    "that", "the", "there", "this", "want", "what", "when", "where", "which", "who", "why", "will", "with", "would",
    "you", "your",
];

static ALL: LazyLock<HashSet<&str>> = LazyLock::new(|| POLISH.iter().chain(ENGLISH).copied().collect());

/// Whether a word, folded, says nothing by itself.
pub fn is_stop_word(folded: &str) -> bool {
    ALL.contains(folded)
}
