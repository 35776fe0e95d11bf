//! `s3://BUCKET/PREFIX`, checked.

use super::Error;
use crate::artifact::Key;

/// A bucket, and what every key in it begins with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// As given, but for slashes at the end.
    pub text: String,
    pub bucket: String,
    /// Empty, or ends in `/`.
    pub prefix: String,
}

impl Place {
    pub fn parse(text: &str) -> Result<Place, Error> {
        let refuse = |problem: String| {
            let place = text.to_owned();
            Err(Error::Place { place, problem })
        };
        let rest = text.strip_prefix("s3://").unwrap_or(text);
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        if let Err(problem) = check_bucket(bucket) {
            return refuse(problem);
        }
        let prefix = match prefix {
            // Not one slash at the end but an empty folder.
            "/" => prefix,
            _ => prefix.strip_suffix('/').unwrap_or(prefix),
        };
        if let Err(problem) = check_prefix(prefix) {
            return refuse(problem);
        }
        let (slash, end) = match prefix {
            "" => ("", ""),
            _ => ("/", "/"),
        };
        Ok(Place {
            text: format!("s3://{bucket}{slash}{prefix}"),
            bucket: bucket.to_owned(),
            prefix: format!("{prefix}{end}"),
        })
    }

    /// The name in the bucket of what lies under a key.
    pub fn name(&self, key: &Key) -> String {
        format!("{}{key}", self.prefix)
    }

    /// The key of an object in the bucket; `None` if it is none of ours.
    pub fn key(&self, name: &str) -> Option<Key> {
        let name = name.strip_prefix(&self.prefix)?;
        // Some tools make an empty object for each "folder".
        Key::new(name).ok().filter(|_| !name.ends_with('/'))
    }
}

/// The rules that all servers agree on; they also keep a name from changing the request's URL.
fn check_bucket(name: &str) -> Result<(), String> {
    if name.is_empty() {
        return Err("no bucket is named; a store is s3://BUCKET or s3://BUCKET/PREFIX".into());
    }
    let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let bytes = name.as_bytes();
    let ends = [bytes.first(), bytes.last()];
    if (3..=63).contains(&bytes.len())
        && bytes.iter().all(|b| plain(*b) || b".-".contains(b))
        && ends.into_iter().flatten().all(|b| plain(*b))
        && !name.contains("..")
    {
        return Ok(());
    }
    Err(format!(
        "no bucket can be named {name:?}: 3 to 63 lower-case letters, digits, dots and hyphens"
    ))
}

fn check_prefix(prefix: &str) -> Result<(), String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._-=+@!".contains(&b);
    let good = |segment: &str| !matches!(segment, "" | "." | "..") && segment.bytes().all(plain);
    // Room for the longest key within S3's 1024.
    if prefix.is_empty() || (prefix.len() <= 512 && prefix.split('/').all(good)) {
        return Ok(());
    }
    Err(format!(
        "the prefix {prefix:?} may have letters, digits and ._-=+@! between single slashes, 512 at most"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_a_prefix() {
        for (text, shown, bucket, prefix) in [
            ("s3://bkt", "s3://bkt", "bkt", ""),
            ("s3://bkt/", "s3://bkt", "bkt", ""),
            ("s3://b.k-t/a", "s3://b.k-t/a", "b.k-t", "a/"),
            ("s3://bkt/a/b=1/", "s3://bkt/a/b=1", "bkt", "a/b=1/"),
        ] {
            let place = Place::parse(text).unwrap();
            assert_eq!(
                (&*place.text, &*place.bucket, &*place.prefix),
                (shown, bucket, prefix)
            );
        }
    }

    #[test]
    fn no_place_leads_out_of_its_bucket_or_prefix() {
        for bad in [
            "s3://",
            "s3:///x",
            "s3://ab",
            "s3://Bucket",
            "s3://-bkt",
            "s3://b..t",
            "s3://b?t",
            "s3://user@host",
            "s3://bkt//",
            "s3://bkt/a//b",
            "s3://bkt/../x",
            "s3://bkt/a/./b",
            "s3://bkt/a b",
            "s3://bkt/a%2fb",
            "s3://bkt/a?x",
            "s3://bkt/\u{e4}",
            &format!("s3://{}", "b".repeat(64)),
            &format!("s3://bkt/{}", "p".repeat(513)),
        ] {
            assert!(Place::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_objects_of_ours_have_keys() {
        let place = Place::parse("s3://bkt/a/b").unwrap();
        let key = Key::new("refs/x").unwrap();
        assert_eq!(place.name(&key), "a/b/refs/x");
        assert_eq!(place.key("a/b/refs/x"), Some(key));
        for other in ["a/bc/x", "refs/x", "a/b/", "a/b/x/", "a/b/x y", "a/b//x"] {
            assert_eq!(place.key(other), None, "{other}");
        }
    }
}
