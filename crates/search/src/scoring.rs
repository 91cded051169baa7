//! How well articles answer a question whose terms are weighed.

use crate::document::WEIGHT_MAX;
use crate::posting_list::{ArticleNumber, PostingList};
use crate::question::Source;
use std::collections::{BTreeSet, HashMap};

/// How much of the score goes by how much of the question is there at all.
const COVERAGE: f32 = 0.15;

/// An article that has all of the question but for a little answers it, in thousandths.
const ANSWERED_WELL: i32 = 900;
/// Or more than so much, and says something of it.
const ANSWERED_HALF: i32 = 500;
const EVIDENCE_OF_HALF: i32 = 300;
/// Or a third, and is about that.
const ANSWERED_THIRD: i32 = 350;
const EVIDENCE_OF_THIRD: i32 = 600;
/// Or so much of some words, whatever else is said.
const WORDS_OF_EVIDENCE: i32 = 2;
const EVIDENCE: i32 = 500;

/// A question whose terms are weighed, to score articles by.
#[derive(Debug, Clone)]
pub struct Weighted {
    pub(crate) words: Vec<WeightedWord>,
    /// What a term counts that one article has.
    pub(crate) rarest: f32,
}

/// How well an article answers a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Score {
    /// From 0 to 1000, where every word of the question is all that it is about.
    pub score: i32,
    /// How much of the question is there in more than first letters, from 0 to 1000: rare words are more of it.
    pub answered: i32,
    /// How many of its words that are.
    pub words: i32,
    /// How much the article says of them: 1000 is what there is to say of a word that no other article has.
    pub evidence: i32,
}

impl Score {
    /// Whether that is an answer; else the article has something of the question, and answers it hardly.
    pub fn answers(self) -> bool {
        self.answered >= ANSWERED_WELL
            || self.answered > ANSWERED_HALF && self.evidence >= EVIDENCE_OF_HALF
            || self.answered >= ANSWERED_THIRD && self.evidence >= EVIDENCE_OF_THIRD
            || self.words >= WORDS_OF_EVIDENCE && self.evidence >= EVIDENCE
    }
}

#[derive(Debug, Clone)]
pub(crate) struct WeightedWord {
    pub(crate) alternatives: Vec<WeightedAlternative>,
    pub(crate) most: f32,
    pub(crate) is_guess: bool,
}

#[derive(Debug, Clone)]
pub(crate) struct WeightedAlternative {
    pub(crate) source: Source,
    /// The terms of each part.
    pub(crate) parts: Vec<Vec<(String, f32)>>,
}

impl WeightedAlternative {
    /// Whether a term says that the word is there: the first four letters may be those of any word, and of a synonym those
    /// of another one more.
    fn tells(&self, term: &str) -> bool {
        let letters = term.strip_prefix('~').map(|letters| letters.chars().count());
        letters.is_none_or(|letters| letters > 4 && self.source != Source::Synonym)
    }
}

/// One of a term's lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TermList {
    pub term: String,
    pub postings: PostingList,
}

/// What some terms weigh in an article.
pub type TermWeights<'a> = HashMap<&'a str, i16>;

impl WeightedWord {
    fn terms(&self) -> impl Iterator<Item = &(String, f32)> {
        self.alternatives.iter().flat_map(|it| &it.parts).flatten()
    }
}

impl Weighted {
    /// Every term that is in any article.
    pub fn terms(&self) -> BTreeSet<&str> {
        self.words.iter().flat_map(WeightedWord::terms).map(|(term, _)| term.as_str()).collect()
    }

    /// The articles that have any of the terms, the most promising first: by what the best term of each word says there.
    /// That is less than [`score`](Self::score) looks at, and can be told of all of them.
    pub fn rank(&self, lists: &[TermList]) -> Vec<ArticleNumber> {
        let mut of_term: HashMap<&str, Vec<&PostingList>> = HashMap::new();
        for TermList { term, postings } in lists {
            of_term.entry(term).or_default().push(postings);
        }
        // Numbers are counted from 0: no article is far from the others.
        let mut sums: Vec<f32> = Vec::new();
        for word in &self.words {
            let mut best: Vec<f32> = Vec::new();
            for (term, weight) in word.terms() {
                let postings = of_term.get(term.as_str()).into_iter().flatten().flat_map(|list| list.iter());
                for (article, said) in postings {
                    let Ok(place) = usize::try_from(article.0) else { continue };
                    if best.len() <= place {
                        best.resize(place + 1, 0.0);
                    }
                    best[place] = best[place].max(weight * f32::from(said));
                }
            }
            sums.resize(sums.len().max(best.len()), 0.0);
            sums.iter_mut().zip(best).for_each(|(sum, best)| *sum += best);
        }
        let found = sums.into_iter().zip((0..).map(ArticleNumber)).filter(|(sum, _)| *sum > 0.0);
        let mut ranked: Vec<(f32, ArticleNumber)> = found.collect();
        ranked.sort_unstable_by(|one, other| other.0.total_cmp(&one.0).then(one.1.cmp(&other.1)));
        ranked.into_iter().map(|(_, number)| number).collect()
    }

    /// How well an article answers, by the weights that the terms have in it.
    pub fn score(&self, weight_of: &TermWeights<'_>) -> Score {
        let said = |term: &str| weight_of.get(term).map_or(0.0, |weight| f32::from(*weight) / f32::from(WEIGHT_MAX));
        let (mut sum, mut covered, mut answered, mut whole) = (0.0, 0.0, 0.0, 0.0);
        let (mut words, mut evidence) = (0, 0.0);
        for word in &self.words {
            let part =
                |terms: &Vec<(String, f32)>| terms.iter().map(|(term, weight)| weight * said(term)).fold(0.0, f32::max);
            // Of a phrase half of the words is less than half.
            let worth = |alternative: &WeightedAlternative| {
                let said: Vec<f32> = alternative.parts.iter().map(part).collect();
                let there = said.iter().filter(|weight| **weight > 0.0).count();
                said.iter().sum::<f32>() * there as f32 / said.len() as f32
            };
            let best = word.alternatives.iter().map(worth).fold(0.0, f32::max);
            sum += best;
            whole += word.most;
            if best > 0.0 {
                covered += word.most;
            }
            // Of a phrase one word is no answer.
            let is_there = |alternative: &WeightedAlternative| {
                let is_there = |(term, _): &(String, f32)| alternative.tells(term) && said(term) > 0.0;
                alternative.parts.iter().all(|terms| terms.iter().any(is_there))
            };
            if !word.is_guess && word.alternatives.iter().any(is_there) {
                answered += word.most;
                words += 1;
                evidence += best;
            }
        }
        if whole <= 0.0 {
            return Score::default();
        }
        let score = sum / whole * (1.0 - COVERAGE + COVERAGE * covered / whole);
        let thousandths = |share: f32| ((share * 1000.0) as i32).clamp(0, 1000);
        Score {
            score: thousandths(score),
            answered: thousandths(answered / whole),
            words,
            evidence: (evidence / self.rarest * 1000.0) as i32,
        }
    }
}

/// What each of the terms weighs in some articles.
pub fn weights_in<'a>(lists: &'a [TermList], articles: &[ArticleNumber]) -> HashMap<ArticleNumber, TermWeights<'a>> {
    let mut weights: HashMap<ArticleNumber, TermWeights<'a>> = HashMap::new();
    for TermList { term, postings } in lists {
        for article in articles {
            if let Some(weight) = postings.get(*article) {
                weights.entry(*article).or_default().insert(term, weight);
            }
        }
    }
    weights
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::posting_list::PostingLists;
    use crate::{Document, Question};
    use std::collections::BTreeMap;

    /// The lists of articles with these titles, numbered as they stand, some apart.
    fn lists(titles: &[&str], apart: i32) -> Vec<TermList> {
        let mut lists: BTreeMap<String, PostingLists> = BTreeMap::new();
        for (title, place) in titles.iter().zip(0..) {
            for posting in (Document { title, tags: &[], body: "" }).index().postings {
                lists.entry(posting.term).or_default().put(ArticleNumber(place * apart), posting.weight);
            }
        }
        let of_term = |(term, lists): (&String, &PostingLists)| {
            lists.iter().map(|list| TermList { term: term.clone(), postings: list.clone() }).collect::<Vec<_>>()
        };
        lists.iter().flat_map(of_term).collect()
    }

    #[test]
    fn what_is_ranked_first_scores_most() {
        let titles = ["Duplikat faktury", "Faktura", "Urlop", "Zaliczka i duplikat", "Termin płatności faktury"];
        for apart in [1, 700, 40_000] {
            let lists = lists(&titles, apart);
            let mut articles_of: HashMap<String, i64> = HashMap::new();
            lists.iter().for_each(|list| *articles_of.entry(list.term.clone()).or_default() += 1);
            let weighted = Question::read("duplikaty faktur").weigh(5, &articles_of);
            let ranked = weighted.rank(&lists);
            let places: Vec<i32> = ranked.iter().map(|number| number.0 / apart).collect();
            assert_eq!(places[0], 0, "{places:?}");
            assert_eq!(places.len(), 4, "a leave is neither");
            let weights = weights_in(&lists, &ranked);
            let scores: Vec<i32> = ranked.iter().map(|number| weighted.score(&weights[number]).score).collect();
            assert!(scores.is_sorted_by(|one, other| one >= other), "{scores:?}");
        }
    }

    #[test]
    fn where_nothing_is_found_nothing_is_ranked() {
        let weighted = Question::read("urlop").weigh(0, &HashMap::new());
        assert_eq!(weighted.rank(&[]), []);
    }
}
