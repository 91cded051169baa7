//! Articles: answers to questions that keep coming back.

vocabulary! {
    /// How far an article has come. Only published ones are found by a search.
    ArticleStatus { Draft = "draft", Published = "published", Archived = "archived" }
}
