//! Searching, filtering, sorting and paging of tables, all of it in the URL so that a view can be shared. No I/O.

use std::cmp::Ordering;

/// Rows of a page.
pub const ROWS: usize = 100;
/// The longest text that is searched for.
const LONGEST: usize = 200;

/// What is asked of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Query {
    /// What rows must hold, somewhere.
    pub q: String,
    /// A column's exact value: name and value, by name.
    pub filters: Vec<(String, String)>,
    /// The column to sort by; empty: the table's own order.
    pub sort: String,
    /// The largest first.
    pub is_reversed: bool,
    /// From 1.
    pub page: usize,
}

impl Query {
    /// From a URL's query. Of what makes no sense nothing is taken: a page has no wrong questions.
    pub fn parse(text: Option<&str>, columns: &[&str]) -> Query {
        let mut query = Query {
            page: 1,
            ..Query::default()
        };
        for (name, value) in form_urlencoded::parse(text.unwrap_or_default().as_bytes()) {
            let value: String = value.chars().take(LONGEST).collect();
            match name.as_ref() {
                "q" => query.q = value.trim().to_owned(),
                "sort" => {
                    let (column, is_reversed) = match value.strip_prefix('-') {
                        Some(column) => (column, true),
                        None => (value.as_str(), false),
                    };
                    if columns.contains(&column) {
                        query.sort = column.to_owned();
                        query.is_reversed = is_reversed;
                    }
                }
                "page" => query.page = value.parse().ok().filter(|n| *n > 0).unwrap_or(1),
                name if columns.contains(&name) && !value.is_empty() => {
                    query.filters.retain(|(n, _)| n != name);
                    query.filters.push((name.to_owned(), value));
                }
                _ => {}
            }
        }
        query.filters.sort();
        query
    }

    /// The value that a column must have.
    pub fn filter(&self, column: &str) -> Option<&str> {
        let found = self.filters.iter().find(|(name, _)| name == column);
        found.map(|(_, value)| value.as_str())
    }

    /// As a URL's query, `?` included; empty if nothing is asked for.
    pub fn url(&self) -> String {
        let mut url = form_urlencoded::Serializer::new(String::new());
        if !self.q.is_empty() {
            url.append_pair("q", &self.q);
        }
        url.extend_pairs(&self.filters);
        if !self.sort.is_empty() {
            let minus = if self.is_reversed { "-" } else { "" };
            url.append_pair("sort", &format!("{minus}{}", self.sort));
        }
        if self.page > 1 {
            url.append_pair("page", &self.page.to_string());
        }
        match url.finish() {
            text if text.is_empty() => text,
            text => format!("?{text}"),
        }
    }

    /// Sorted by this column; the other way round if it is already.
    pub fn sorted_by(&self, column: &str) -> Query {
        Query {
            is_reversed: self.sort == column && !self.is_reversed,
            sort: column.to_owned(),
            page: 1,
            ..self.clone()
        }
    }

    /// Another page of it.
    pub fn on_page(&self, page: usize) -> Query {
        Query {
            page,
            ..self.clone()
        }
    }
}

/// A row: what it is searched, filtered and sorted by.
pub trait Row {
    /// The text of a column; empty if it has none.
    fn cell(&self, column: &str) -> String;

    /// How two rows stand to each other in a column. Numbers are not sorted as text.
    fn compare(&self, other: &Self, column: &str) -> Ordering {
        self.cell(column).cmp(&other.cell(column))
    }
}

/// A page of a table.
#[derive(Debug, PartialEq, Eq)]
pub struct Page<R> {
    /// Its rows.
    pub rows: Vec<R>,
    /// How many rows fit the query.
    pub found: usize,
    /// How many rows there are.
    pub all: usize,
    /// The page that this is, and how many there are.
    pub page: usize,
    /// At least 1.
    pub pages: usize,
}

/// Answers a query: rows stay in their order where a sort does not tell them apart.
pub fn answer<R: Row>(rows: Vec<R>, query: &Query, columns: &[&str]) -> Page<R> {
    let all = rows.len();
    let words = query.q.to_lowercase();
    let holds = |row: &R| {
        let mut cells = columns.iter().map(|c| row.cell(c).to_lowercase());
        words.is_empty() || cells.any(|cell| cell.contains(&words))
    };
    let fits = |row: &R| query.filters.iter().all(|(c, value)| row.cell(c) == *value);
    let mut rows: Vec<R> = rows.into_iter().filter(|r| fits(r) && holds(r)).collect();
    if !query.sort.is_empty() {
        rows.sort_by(|a, b| match query.is_reversed {
            false => a.compare(b, &query.sort),
            true => b.compare(a, &query.sort),
        });
    }
    let found = rows.len();
    let pages = found.div_ceil(ROWS).max(1);
    let page = query.page.min(pages);
    let rows = rows
        .into_iter()
        .skip((page - 1) * ROWS)
        .take(ROWS)
        .collect();
    Page {
        rows,
        found,
        all,
        page,
        pages,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [&str; 2] = ["name", "size"];

    #[derive(Debug, Clone, PartialEq, Eq)]
    struct R(String, u32);

    impl Row for R {
        fn cell(&self, column: &str) -> String {
            match column {
                "name" => self.0.clone(),
                _ => self.1.to_string(),
            }
        }

        fn compare(&self, other: &Self, column: &str) -> Ordering {
            match column {
                "size" => self.1.cmp(&other.1),
                _ => self.0.cmp(&other.0),
            }
        }
    }

    fn rows(n: u32) -> Vec<R> {
        (0..n).map(|i| R(format!("Row {}", i % 7), i)).collect()
    }

    #[test]
    fn a_view_is_in_its_url() {
        for url in [
            "",
            "?q=a+%26+b",
            "?q=x&size=5&sort=-name&page=3",
            "?sort=size",
        ] {
            let query = Query::parse(Some(url.trim_start_matches('?')), &COLUMNS);
            assert_eq!(query.url(), url);
        }
        // What no table has is not taken.
        let odd = "sort=<script>&page=-1&other=1&name=";
        assert_eq!(Query::parse(Some(odd), &COLUMNS).url(), "");
    }

    #[test]
    fn rows_are_found_sorted_and_paged() {
        let ask = |url: &str| {
            let query = Query::parse(Some(url), &COLUMNS);
            answer(rows(250), &query, &COLUMNS)
        };
        let all = ask("");
        assert_eq!((all.found, all.pages, all.rows.len()), (250, 3, ROWS));
        assert_eq!(ask("page=3").rows.len(), 50);
        assert_eq!(ask("page=99").page, 3, "beyond the last is the last");
        let largest = ask("sort=-size");
        assert_eq!(largest.rows[0].1, 249);
        let found = ask("q=rOw+3&sort=size");
        assert!(found.rows.iter().all(|r| r.0 == "Row 3"));
        assert_eq!(found.rows[1].1, 10, "numbers are no text");
        assert_eq!(ask("name=Row+1&size=8").found, 1);
        assert_eq!(ask("q=nothing").rows, []);
        assert_eq!(ask("q=nothing").pages, 1);
    }
}
