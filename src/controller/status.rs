//! What a KernelHeader should say: a pure function of what it says, what the nodes add up to and what was verified.

use super::inventory::{Count, Object};
use crate::artifact::Generator;
use crate::cluster::{Condition, Display, HeaderStatus, KernelHeaderStatus, Verified};
use k8s_openapi::jiff::Timestamp;
use std::time::{Duration, SystemTime};

/// From one status write of a KernelHeader to the next, whatever the nodes do.
pub const GAP: Duration = Duration::from_secs(5);
/// A message has at most this many bytes.
const MESSAGE: usize = 1000;
/// Likewise of one that is remembered.
const REMEMBERED: usize = 500;
/// So many verdicts are remembered.
const HISTORY: usize = 10;

/// Why a condition holds, or does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Because {
    /// Manifest, BTF and header are there.
    Whole,
    /// The BTF is there, and no header can be made of it.
    BtfOnly,
    /// All of it is what its digest says.
    DigestsMatch,
    /// The BTF is what its digest says, and no header can be made of it.
    Unreadable,
    /// The BTF is not in the store.
    BtfMissing,
    /// The BTF was not what its digest says.
    BtfWrong,
}

impl Because {
    /// Every one.
    pub const ALL: [Because; 6] = [
        Because::Whole,
        Because::BtfOnly,
        Because::DigestsMatch,
        Because::Unreadable,
        Because::BtfMissing,
        Because::BtfWrong,
    ];

    /// A condition's `reason`.
    pub fn word(self) -> &'static str {
        match self {
            Because::Whole => "Whole",
            Because::BtfOnly => "BtfOnly",
            Because::DigestsMatch => "DigestsMatch",
            Because::Unreadable => "Unreadable",
            Because::BtfMissing => "BtfMissing",
            Because::BtfWrong => "BtfWrong",
        }
    }
}

/// A condition's verdict.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// Whether it holds.
    pub holds: bool,
    /// Why.
    pub reason: Because,
    /// A sentence.
    pub message: String,
}

impl Judged {
    /// It holds.
    pub fn yes(reason: Because, message: impl Into<String>) -> Judged {
        Judged {
            holds: true,
            reason,
            message: message.into(),
        }
    }

    /// It does not.
    pub fn no(reason: Because, message: impl Into<String>) -> Judged {
        Judged {
            holds: false,
            reason,
            message: message.into(),
        }
    }
}

/// What verification found of a kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// When.
    pub at: SystemTime,
    /// The condition `Stored`.
    pub stored: Judged,
    /// The condition `Verified`.
    pub verified: Judged,
    /// Bytes of the BTF, where it could be read.
    pub btf_size: Option<u64>,
    /// The headers, the newest generator first; `None` where nothing is known of them.
    pub headers: Option<Vec<HeaderStatus>>,
    /// What was put right.
    pub repaired: Vec<String>,
}

/// A time as Kubernetes writes it, in whole seconds.
pub fn stamp(at: SystemTime) -> String {
    let seconds = at.duration_since(SystemTime::UNIX_EPOCH);
    let seconds = seconds.map_or(0, |d| d.as_secs());
    let seconds = i64::try_from(seconds).unwrap_or(0);
    Timestamp::from_second(seconds).map_or_else(|_| String::new(), |t| t.to_string())
}

/// The other way round.
pub fn time(stamp: &str) -> Option<SystemTime> {
    let stamp: Timestamp = stamp.parse().ok()?;
    Some(SystemTime::from(stamp))
}

/// The status that a KernelHeader should have.
pub fn want(
    object: &Object,
    count: &Count,
    verdict: Option<&Verdict>,
    wall: SystemTime,
) -> KernelHeaderStatus {
    let old = &object.status;
    let mut new = old.clone();
    new.nodes = i64::try_from(count.runs).unwrap_or(i64::MAX);
    new.node_names.clone_from(&count.names);
    // When nobody runs it, it is still known by what it was called.
    if count.runs > 0 {
        new.releases.clone_from(&count.releases);
        if count.arch.is_some() {
            new.arch.clone_from(&count.arch);
        }
    }
    new.first_seen.get_or_insert_with(|| stamp(wall));
    new.unused_since = match (count.named, old.unused_since.as_deref().and_then(time)) {
        (0, Some(since)) if since <= wall => old.unused_since.clone(),
        // For the first time; or a clock was ahead when it was written.
        (0, _) => Some(stamp(wall)),
        _ => None,
    };
    if let Some(verdict) = verdict {
        new.verified_at = Some(stamp(verdict.at));
        if let Some(size) = verdict.btf_size {
            new.btf_size = i64::try_from(size).ok();
        }
        if let Some(headers) = &verdict.headers {
            new.headers.clone_from(headers);
        }
        remember(&mut new.history, verdict);
        new.conditions = vec![
            condition("Stored", &verdict.stored, old, verdict.at),
            condition("Verified", &verdict.verified, old, verdict.at),
        ];
    }
    new.display = Some(display(&new));
    new
}

/// Keeps a verdict that says something new, or of something that was put right.
fn remember(history: &mut Vec<Verified>, verdict: &Verdict) {
    let entry = Verified {
        at: stamp(verdict.at),
        reason: verdict.verified.reason.word().to_owned(),
        message: match verdict.repaired.is_empty() {
            true => cut(&verdict.verified.message, REMEMBERED),
            false => cut(&verdict.repaired.join("; "), REMEMBERED),
        },
    };
    let is_told = |last: &Verified| {
        let same = last.reason == entry.reason && verdict.repaired.is_empty();
        same || last.at == entry.at
    };
    if !history.first().is_some_and(is_told) {
        history.insert(0, entry);
        history.truncate(HISTORY);
    }
}

/// The beginning of a text, so many bytes at most.
fn cut(text: &str, most: usize) -> String {
    let mut end = most.min(text.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text.get(..end).unwrap_or_default().to_owned()
}

fn condition(kind: &str, judged: &Judged, old: &KernelHeaderStatus, at: SystemTime) -> Condition {
    let status = if judged.holds { "True" } else { "False" };
    let before = old.conditions.iter().find(|c| c.type_ == kind);
    let since = before.filter(|c| c.status == status);
    Condition {
        type_: kind.to_owned(),
        status: status.to_owned(),
        reason: judged.reason.word().to_owned(),
        message: cut(&judged.message, MESSAGE),
        last_transition_time: since.map_or_else(|| stamp(at), |c| c.last_transition_time.clone()),
    }
}

fn display(status: &KernelHeaderStatus) -> Display {
    let own = i64::from(u32::from(Generator::OWN));
    let header = status.headers.iter().find(|h| h.generator == own);
    let header = header.or(status.headers.first());
    let releases = match status.releases.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first, more @ ..] => format!("{first} +{}", more.len()),
    };
    let digits = |h: &HeaderStatus| {
        let hex = h.digest.strip_prefix("sha256:").unwrap_or(&h.digest);
        hex.chars().take(12).collect()
    };
    Display {
        releases,
        header: header.map(digits).unwrap_or_default(),
        size: header.map(|h| mib(h.size)).unwrap_or_default(),
    }
}

fn mib(bytes: i64) -> String {
    match bytes {
        ..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{:.1} KiB", bytes as f64 / 1024.0),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

/// When a kernel that has its KernelHeader is to be verified, from now: a new leader goes on where the last one was.
pub fn due(status: &KernelHeaderStatus, every: Duration, wall: SystemTime) -> Duration {
    let own = i64::from(u32::from(Generator::OWN));
    let good = |kind: &str| {
        let found = status.conditions.iter().find(|c| c.type_ == kind);
        found.is_some_and(|c| c.status == "True")
    };
    let made = status.headers.iter().any(|h| h.generator == own);
    // BTF of which no header can be made has none.
    let readable = !status
        .conditions
        .iter()
        .any(|c| c.reason == Because::Unreadable.word());
    if !good("Stored") || !good("Verified") || (readable && !made) {
        return Duration::ZERO;
    }
    let at = status.verified_at.as_deref().and_then(time);
    let age = at.and_then(|at| wall.duration_since(at).ok());
    age.map_or(Duration::ZERO, |age| every.saturating_sub(age))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000 + seconds)
    }

    fn object(status: KernelHeaderStatus) -> Object {
        Object {
            version: "1".to_owned(),
            uid: "u".to_owned(),
            pinned: false,
            going: false,
            status,
        }
    }

    fn verdict(seconds: u64, holds: bool) -> Verdict {
        let judged = Judged {
            holds,
            reason: Because::DigestsMatch,
            message: "é".repeat(900),
        };
        Verdict {
            at: at(seconds),
            stored: Judged::yes(Because::Whole, "All is there"),
            verified: judged,
            btf_size: Some(5),
            headers: Some(vec![HeaderStatus {
                generator: i64::from(u32::from(Generator::OWN)),
                digest: format!("sha256:{}", "ab".repeat(32)),
                size: 3 << 20,
            }]),
            repaired: Vec::new(),
        }
    }

    fn count(named: usize, runs: usize) -> Count {
        Count {
            named,
            runs,
            names: (0..runs).map(|n| format!("n{n}")).collect(),
            releases: vec!["6.1".to_owned(), "6.2".to_owned()],
            arch: Some("amd64".to_owned()),
            witness: None,
        }
    }

    #[test]
    fn a_status_that_is_right_is_wanted_as_it_is() {
        let verdict = verdict(10, true);
        let first = want(
            &object(KernelHeaderStatus::default()),
            &count(2, 2),
            Some(&verdict),
            at(20),
        );
        assert_eq!(first.nodes, 2);
        assert_eq!(first.first_seen.as_deref(), Some("2023-11-14T22:13:40Z"));
        assert_eq!(first.unused_since, None);
        let display = first.display.clone().unwrap();
        assert_eq!(display.releases, "6.1 +1");
        assert_eq!(
            (&*display.header, &*display.size),
            ("abababababab", "3.0 MiB")
        );
        for c in &first.conditions {
            assert!(c.message.len() <= MESSAGE);
        }
        // By this leader, and by the next one, who verified nothing yet.
        for known in [Some(&verdict), None] {
            let again = want(&object(first.clone()), &count(2, 2), known, at(9999));
            assert_eq!(again, first);
        }
    }

    #[test]
    fn unused_since_is_when_no_node_named_it_first_and_survives_leaders() {
        let used = want(
            &object(KernelHeaderStatus::default()),
            &count(1, 0),
            None,
            at(0),
        );
        assert_eq!(used.unused_since, None);
        let unused = want(&object(used), &count(0, 0), None, at(7));
        assert_eq!(unused.unused_since, Some(stamp(at(7))));
        let later = want(&object(unused.clone()), &count(0, 0), None, at(700));
        assert_eq!(later, unused);
        // A clock that was years ahead does not keep it for years.
        let jumped = want(&object(unused.clone()), &count(0, 0), None, at(0));
        assert_eq!(jumped.unused_since, Some(stamp(at(0))));
        let again = want(&object(unused), &count(1, 1), None, at(800));
        assert_eq!(again.unused_since, None);
    }

    #[test]
    fn what_nobody_runs_keeps_its_releases_and_arch() {
        let ran = want(
            &object(KernelHeaderStatus::default()),
            &count(1, 1),
            None,
            at(0),
        );
        let gone = want(&object(ran), &Count::default(), None, at(1));
        assert_eq!((gone.nodes, gone.node_names.len()), (0, 0));
        assert_eq!(gone.releases, ["6.1", "6.2"]);
        assert_eq!(gone.arch.as_deref(), Some("amd64"));
    }

    #[test]
    fn a_condition_changes_its_time_only_when_it_changes() {
        let object_of = |status: &KernelHeaderStatus| object(status.clone());
        let count = count(1, 1);
        let empty = object(KernelHeaderStatus::default());
        let good = want(&empty, &count, Some(&verdict(0, true)), at(0));
        let still = want(&object_of(&good), &count, Some(&verdict(50, true)), at(50));
        let bad = want(
            &object_of(&still),
            &count,
            Some(&verdict(90, false)),
            at(90),
        );
        let since = |status: &KernelHeaderStatus| status.conditions[1].last_transition_time.clone();
        assert_eq!(since(&still), stamp(at(0)));
        assert_eq!(since(&bad), stamp(at(90)));
        assert_eq!(bad.conditions[1].status, "False");
    }

    #[test]
    fn a_new_leader_verifies_what_is_due_or_not_in_order_and_nothing_else() {
        let day = Duration::from_secs(86_400);
        let empty = KernelHeaderStatus::default();
        assert_eq!(due(&empty, day, at(0)), Duration::ZERO);
        let good = want(&object(empty), &count(1, 1), Some(&verdict(0, true)), at(0));
        assert_eq!(due(&good, day, at(100)), day - Duration::from_secs(100));
        assert_eq!(due(&good, day, at(90_000)), Duration::ZERO);
        let mut older = good.clone();
        older.headers[0].generator += 1;
        assert_eq!(due(&older, day, at(100)), Duration::ZERO);
        let mut bad = good;
        bad.conditions[1].status = "False".to_owned();
        assert_eq!(due(&bad, day, at(100)), Duration::ZERO);
    }

    #[test]
    fn what_verifications_found_is_remembered_once_and_not_for_ever() {
        let mut status = KernelHeaderStatus::default();
        let mut see = |seconds: u64, reason: Because, repaired: &[&str]| {
            let mut verdict = verdict(seconds, reason != Because::BtfWrong);
            verdict.verified.reason = reason;
            verdict.repaired = repaired.iter().map(|s| (*s).to_owned()).collect();
            // A status is wanted many times between two verifications.
            for _ in 0..2 {
                status = want(
                    &object(status.clone()),
                    &Count::default(),
                    Some(&verdict),
                    at(99),
                );
            }
            let said = status.history.iter();
            said.map(|v| (v.reason.clone(), v.message.clone()))
                .collect::<Vec<_>>()
        };
        let good = Because::DigestsMatch;
        assert_eq!(see(1, good, &[]).len(), 1);
        assert_eq!(see(2, good, &[]).len(), 1, "nothing new");
        assert_eq!(see(3, Because::BtfWrong, &[])[0].0, "BtfWrong");
        let mended = see(4, good, &["a header", "a manifest"]);
        assert_eq!(
            mended[0],
            ("DigestsMatch".to_owned(), "a header; a manifest".to_owned())
        );
        assert_eq!(
            see(5, good, &["again"]).len(),
            4,
            "what is put right is news"
        );
        for n in 6..30 {
            assert!(see(n, good, &["and again"]).len() <= HISTORY);
        }
        assert!(see(30, Because::BtfWrong, &[])[0].1.len() <= REMEMBERED);
    }
}
