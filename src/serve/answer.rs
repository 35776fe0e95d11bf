//! HTTP's own rules: which coding, which range, whether the client has it already (RFC 9110). No I/O.

use super::blob::Coding;
use axum::http::HeaderMap;
use axum::http::header::{self, HeaderName};

/// What a client accepts, in thousandths; 0 is "not".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Accepts {
    identity: u16,
    zstd: u16,
    gzip: u16,
}

impl Accepts {
    /// From `Accept-Encoding`. Without one only identity is sent: many clients would not know what to do.
    pub fn of(headers: &HeaderMap) -> Accepts {
        let mut said: [Option<u16>; 3] = [None; 3];
        let mut others = None;
        let lines = headers.get_all(header::ACCEPT_ENCODING).iter();
        for item in lines
            .filter_map(|l| l.to_str().ok())
            .flat_map(|l| l.split(','))
        {
            let (name, parameters) = item.split_once(';').unwrap_or((item, ""));
            let q = parameters.trim().strip_prefix("q=").map_or(1000, quality);
            match name.trim().to_ascii_lowercase().as_str() {
                "identity" => said[0] = Some(q),
                "zstd" => said[1] = Some(q),
                "gzip" | "x-gzip" => said[2] = Some(q),
                "*" => others = Some(q),
                _ => {}
            }
        }
        let [identity, zstd, gzip] = said;
        Accepts {
            // What is not spoken of is acceptable, but the least of what is.
            identity: identity.or(others.filter(|q| *q == 0)).unwrap_or(1),
            zstd: zstd.or(others).unwrap_or(0),
            gzip: gzip.or(others).unwrap_or(0),
        }
    }

    /// The best coding; `None` if none will do.
    pub fn best(self) -> Option<Coding> {
        // Of equals the last.
        let all = [
            (self.identity, Coding::Identity),
            (self.gzip, Coding::Gzip),
            (self.zstd, Coding::Zstd),
        ];
        let best = all.into_iter().max_by_key(|(q, _)| *q);
        best.filter(|(q, _)| *q > 0).map(|(_, coding)| coding)
    }

    /// Whether the bytes may be sent as they are.
    pub fn identity(self) -> bool {
        self.identity > 0
    }
}

/// `0.8` and the like, in thousandths; what makes no sense is 0.
fn quality(text: &str) -> u16 {
    let q = text.trim().parse::<f32>().unwrap_or(0.0);
    (q.clamp(0.0, 1.0) * 1000.0) as u16
}

/// The strong entity tag of bytes with this digest in this coding.
pub fn etag(identity: &[u8; 32], coding: Coding) -> String {
    let mut tag = String::from("\"sha256:");
    for byte in identity {
        tag.push_str(&format!("{byte:02x}"));
    }
    if let Some(word) = coding.word() {
        tag.push('+');
        tag.push_str(word);
    }
    tag.push('"');
    tag
}

/// Whether a condition names this tag; `None` if there is no such condition. Where `weakly`, a weak tag is as
/// good as a strong one.
pub fn names(headers: &HeaderMap, condition: HeaderName, tag: &str, weakly: bool) -> Option<bool> {
    let mut lines = headers.get_all(condition).iter().peekable();
    lines.peek()?;
    let mut items = lines
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(','));
    Some(items.any(|item| {
        let item = item.trim();
        let strong = match weakly {
            true => item.strip_prefix("W/").unwrap_or(item),
            false => item,
        };
        item == "*" || strong == tag
    }))
}

/// What is asked for of so many bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Range {
    /// All of them.
    Whole,
    /// From here, and up to before there.
    Part(usize, usize),
    /// None of them.
    Outside,
}

/// Whether there is a range that this server would answer: one, in bytes.
pub fn has_range(headers: &HeaderMap) -> bool {
    spec(headers).is_some()
}

/// The two ends as they are written.
fn spec(headers: &HeaderMap) -> Option<(Option<u64>, Option<u64>)> {
    let text = headers.get(header::RANGE)?.to_str().ok()?;
    let (from, to) = text.strip_prefix("bytes=")?.trim().split_once('-')?;
    let number = |text: &str| match text {
        "" => Some(None),
        digits if digits.bytes().all(|b| b.is_ascii_digit()) => {
            // More digits than any length has.
            Some(Some(digits.parse().unwrap_or(u64::MAX)))
        }
        _ => None,
    };
    match (number(from.trim())?, number(to.trim())?) {
        (None, None) => None,
        (Some(from), Some(to)) if to < from => None,
        ends => Some(ends),
    }
}

/// The range of a request for bytes of this tag and length. More than one, or one that makes no sense, is as
/// none; so is one that only other bytes were meant for (`If-Range`).
pub fn range(headers: &HeaderMap, tag: &str, len: usize) -> Range {
    let Some(ends) = spec(headers) else {
        return Range::Whole;
    };
    let only_if = headers.get(header::IF_RANGE);
    if only_if.is_some_and(|condition| condition.as_bytes() != tag.as_bytes()) {
        return Range::Whole;
    }
    let clamp = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
    let (from, to) = match ends {
        (Some(from), to) => (
            clamp(from),
            to.map_or(len, |to| clamp(to).saturating_add(1).min(len)),
        ),
        (None, to) => (len.saturating_sub(clamp(to.unwrap_or(0))), len),
    };
    match from < to {
        true => Range::Part(from, to),
        false => Range::Outside,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(lines: &[(HeaderName, &str)]) -> HeaderMap {
        let lines = lines.iter();
        lines
            .map(|(name, value)| (name.clone(), value.parse().unwrap()))
            .collect()
    }

    #[test]
    fn the_coding_is_the_best_that_the_client_takes() {
        use Coding::*;
        for (accept, best) in [
            ("", Some(Identity)),
            ("gzip", Some(Gzip)),
            ("gzip, deflate, br, zstd", Some(Zstd)),
            ("gzip;q=1.0, zstd;q=0.5", Some(Gzip)),
            ("zstd;q=0, gzip;q=0", Some(Identity)),
            ("identity;q=1, gzip;q=0.5", Some(Identity)),
            ("*", Some(Zstd)),
            ("*;q=0", None),
            ("identity;q=0", None),
            ("identity;q=0, br", None),
            ("*;q=0, gzip", Some(Gzip)),
            ("br", Some(Identity)),
            ("ZSTD ; q=0.9", Some(Zstd)),
            ("zstd;q=x", Some(Identity)),
        ] {
            let accepts = Accepts::of(&headers(&[(header::ACCEPT_ENCODING, accept)]));
            assert_eq!(accepts.best(), best, "{accept:?}");
        }
        assert_eq!(Accepts::of(&HeaderMap::new()).best(), Some(Identity));
    }

    #[test]
    fn a_tag_is_of_the_bytes_in_one_coding() {
        let digest = [0xab; 32];
        let plain = etag(&digest, Coding::Identity);
        assert_eq!(plain, format!("\"sha256:{}\"", "ab".repeat(32)));
        let zstd = etag(&digest, Coding::Zstd);
        assert_eq!(zstd, format!("\"sha256:{}+zstd\"", "ab".repeat(32)));
        let none = |value: &str, weakly| {
            let headers = headers(&[(header::IF_NONE_MATCH, value)]);
            names(&headers, header::IF_NONE_MATCH, &plain, weakly)
        };
        assert_eq!(none(&plain, true), Some(true));
        assert_eq!(none(&format!("\"x\", W/{plain}"), true), Some(true));
        assert_eq!(none(&format!("W/{plain}"), false), Some(false));
        assert_eq!(none("*", true), Some(true));
        assert_eq!(none(&zstd, true), Some(false));
        assert_eq!(
            names(&HeaderMap::new(), header::IF_NONE_MATCH, &plain, true),
            None
        );
    }

    #[test]
    fn a_range_is_one_and_within_the_bytes() {
        for (text, want) in [
            ("bytes=0-0", Range::Part(0, 1)),
            ("bytes=2-5", Range::Part(2, 6)),
            ("bytes=2-", Range::Part(2, 10)),
            ("bytes=2-99999999999999999999999", Range::Part(2, 10)),
            ("bytes=-3", Range::Part(7, 10)),
            ("bytes=-30", Range::Part(0, 10)),
            ("bytes=-0", Range::Outside),
            ("bytes=10-", Range::Outside),
            ("bytes=99999999999999999999999-", Range::Outside),
            ("bytes=5-2", Range::Whole),
            ("bytes=0-1,3-4", Range::Whole),
            ("bytes=-", Range::Whole),
            ("bytes=+1-2", Range::Whole),
            ("lines=0-1", Range::Whole),
            ("", Range::Whole),
        ] {
            let asked = headers(&[(header::RANGE, text)]);
            assert_eq!(range(&asked, "\"x\"", 10), want, "{text:?}");
        }
        assert_eq!(
            range(&headers(&[(header::RANGE, "bytes=0-")]), "\"x\"", 0),
            Range::Outside
        );
        for (only_if, want) in [
            ("\"x\"", Range::Part(0, 1)),
            ("\"y\"", Range::Whole),
            ("W/\"x\"", Range::Whole),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Range::Whole),
        ] {
            let asked = [(header::RANGE, "bytes=0-0"), (header::IF_RANGE, only_if)];
            assert_eq!(range(&headers(&asked), "\"x\"", 10), want, "{only_if}");
        }
    }
}
