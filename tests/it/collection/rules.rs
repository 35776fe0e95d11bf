//! One plan at a time, with nobody else about: what it writes, and when it does not.

use btfleet::artifact::{BtfDigest, HeaderDigest, Key, Object, Owner};
use btfleet::controller::collect::{
    Claims, Collection, FENCE, Mode, Moment, Outcome, OwnRefs, Plan, RefWrite, Resume, Schedule,
    Seen, Step, Sweep, Unclaimed, Unused,
};
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant, SystemTime};

const SECOND: Duration = Duration::from_secs(1);

fn me() -> Owner {
    "me".parse().unwrap()
}

fn kernel() -> BtfDigest {
    BtfDigest::of(b"kernel")
}

fn object(key: &str) -> Object {
    Object::parse(&Key::new(key).unwrap()).unwrap()
}

/// A store with nobody but the plan in it.
struct Alone {
    keys: BTreeSet<String>,
    claims: Claims,
    at: Moment,
    /// How long each step takes.
    pace: Duration,
    /// Whether the Lease is renewed all the time.
    renewed: bool,
    /// After so many steps the plan is left where it is.
    patience: usize,
    log: Vec<String>,
}

impl Alone {
    fn new() -> Alone {
        let (btf, header) = (kernel().hex(), HeaderDigest::of(b"header").hex());
        let keys = [
            format!("btf/sha256/{btf}.btf.zst"),
            format!("headers/sha256/{header}.h.zst"),
            format!("kernels/sha256/{btf}/v1.json"),
            format!("index/amd64/6.1/{btf}"),
            format!("refs/{btf}/me"),
        ];
        let now = Instant::now();
        Alone {
            keys: keys.into(),
            claims: Claims::default(),
            at: Moment { now, lease: now },
            pace: SECOND / 100,
            renewed: true,
            patience: usize::MAX,
            log: Vec::new(),
        }
    }

    fn run(&mut self, plan: &mut dyn Plan) -> Option<Outcome> {
        let mut seen = Seen::Nothing;
        loop {
            self.patience = self.patience.checked_sub(1)?;
            let step = plan.next(seen, self.at);
            self.at.now += self.pace;
            if self.renewed {
                self.at.lease = self.at.now;
            }
            seen = match step {
                Step::End(outcome) => return Some(outcome),
                step => self.step(step),
            };
        }
    }

    fn step(&mut self, step: Step) -> Seen {
        let text = |object: &Object| object.key().to_string();
        let kind = |key: &str| key.split('/').take(2).collect::<Vec<_>>().join("/");
        match step {
            Step::Look(_) => {
                self.log.push("look".to_owned());
                let own = self.keys.contains(&format!("refs/{}/me", kernel().hex()));
                let manifest = format!("kernels/sha256/{}/", kernel().hex());
                let published = self.keys.iter().any(|key| key.starts_with(&manifest));
                Seen::Claims(Claims {
                    own,
                    published,
                    ..self.claims
                })
            }
            Step::List(folder) => {
                let inside = self
                    .keys
                    .iter()
                    .filter(|key| key.starts_with(folder.as_str()));
                Seen::Objects(inside.map(|key| object(key)).collect())
            }
            Step::Read(..) => Seen::Names(Some(HeaderDigest::of(b"header"))),
            Step::ReadAll => {
                let named = self.keys.iter().any(|key| key.starts_with("kernels/"));
                Seen::Named(
                    named
                        .then(|| HeaderDigest::of(b"header"))
                        .into_iter()
                        .collect(),
                )
            }
            Step::Put(object) => {
                self.log.push(format!("put {}", kind(&text(&object))));
                self.keys.insert(text(&object));
                Seen::Done
            }
            Step::Copy { from, .. } if !self.keys.contains(&text(&from)) => Seen::Absent,
            Step::Copy { to, .. } => {
                self.log.push(format!("put {}", kind(&text(&to))));
                self.keys.insert(text(&to));
                Seen::Done
            }
            Step::Remove(object) => {
                self.log.push(format!("remove {}", kind(&text(&object))));
                assert!(self.keys.remove(&text(&object)), "{object:?}");
                Seen::Done
            }
            Step::RemoveKernelHeader(_) => {
                self.log.push("remove KernelHeader".to_owned());
                Seen::Done
            }
            Step::End(_) => unreachable!(),
        }
    }
}

#[test]
fn a_collection_leaves_headers_and_nothing_else_of_its_kernel() {
    let mut store = Alone::new();
    let mut plan = Collection::new(kernel(), me(), false);
    assert_eq!(store.run(&mut plan), Some(Outcome::Collected));
    let left: Vec<&String> = store.keys.iter().collect();
    assert!(
        matches!(*left, [header] if header.starts_with("headers/")),
        "{left:?}"
    );
    let removed = store.log.iter().filter(|line| line.starts_with("remove"));
    let removed: Vec<&str> = removed
        .map(|line| line.split('/').next().unwrap())
        .collect();
    let own = [
        "remove refs",
        "remove kernels",
        "remove index",
        "remove btf",
    ];
    let dropped = ["remove aside"; 5];
    assert_eq!(
        removed,
        [&own[..], &dropped, &["remove KernelHeader"]].concat()
    );
    // The header is left to the sweeps: named by nothing on two days.
    let mut unnamed = Unclaimed::default();
    for (day, outcome) in [(0, 0), (0, 0), (1, 1)] {
        store.at.now += Unclaimed::<HeaderDigest>::PATIENCE * day;
        store.at.lease = store.at.now;
        let mut sweep = Sweep::new(me(), unnamed, false);
        assert_eq!(store.run(&mut sweep), Some(Outcome::Swept(outcome)));
        unnamed = sweep.into_unnamed();
    }
    assert!(store.keys.is_empty(), "{:?}", store.keys);
}

#[test]
fn what_is_wanted_stays_and_is_as_it_was() {
    let cases = [
        (
            Claims {
                named: true,
                ..Claims::default()
            },
            Outcome::Kept,
        ),
        (
            Claims {
                pinned: true,
                ..Claims::default()
            },
            Outcome::Kept,
        ),
        (
            Claims {
                rival: true,
                ..Claims::default()
            },
            Outcome::Rival,
        ),
    ];
    for (claims, outcome) in cases {
        let mut store = Alone {
            claims,
            ..Alone::new()
        };
        let mut plan = Collection::new(kernel(), me(), false);
        assert_eq!(store.run(&mut plan), Some(outcome));
        assert_eq!(store.keys, Alone::new().keys, "{claims:?}");
    }
    let others = Claims {
        others: true,
        ..Claims::default()
    };
    let mut store = Alone {
        claims: others,
        ..Alone::new()
    };
    let outcome = store.run(&mut Collection::new(kernel(), me(), false));
    assert_eq!(outcome, Some(Outcome::Shared));
    let mut shared = Alone::new().keys;
    shared.retain(|key| !key.starts_with("refs/"));
    assert_eq!(store.keys, shared);
}

#[test]
fn a_dry_run_writes_nothing() {
    let mut store = Alone::new();
    let outcome = store.run(&mut Collection::new(kernel(), me(), true));
    assert_eq!(outcome, Some(Outcome::Would));
    assert_eq!(store.log, ["look"]);
    store.keys.retain(|key| key.starts_with("headers/"));
    let (mut unnamed, keys) = (Unclaimed::default(), store.keys.clone());
    for would in [0, 1] {
        let mut sweep = Sweep::new(me(), unnamed, true);
        assert_eq!(store.run(&mut sweep), Some(Outcome::WouldSweep(would)));
        unnamed = sweep.into_unnamed();
        store.at.now += Unclaimed::<HeaderDigest>::PATIENCE;
        store.at.lease = store.at.now;
    }
    assert_eq!(store.keys, keys);
}

#[test]
fn a_plan_that_broke_off_anywhere_is_undone_or_was_done() {
    for patience in 0.. {
        let mut store = Alone {
            patience,
            ..Alone::new()
        };
        if store
            .run(&mut Collection::new(kernel(), me(), false))
            .is_some()
        {
            assert!(patience > 15);
            break;
        }
        store.patience = usize::MAX;
        let outcome = store.run(&mut Resume::new(me()));
        assert!(matches!(outcome, Some(Outcome::Resumed(_))), "{outcome:?}");
        let removed = |folder: &str| !store.keys.iter().any(|key| key.starts_with(folder));
        let gone = ["aside/", "btf/", "kernels/", "index/", "refs/"].map(removed);
        let (undone, done) = ([true, false, false, false, false], [true; 5]);
        assert!(
            gone == undone || gone == done,
            "after {patience} steps: {:?}",
            store.keys
        );
    }
}

#[test]
fn nothing_is_removed_on_an_old_look_or_an_old_lease() {
    // Each step takes so long that every removal needs a look of its own.
    let mut store = Alone {
        pace: FENCE + SECOND,
        ..Alone::new()
    };
    let outcome = store.run(&mut Collection::new(kernel(), me(), false));
    assert_eq!(outcome, Some(Outcome::Collected));
    let looks = store.log.windows(2).filter(|two| two[0] == "look");
    let before = |two: &[String]| {
        ["refs/", "kernels/", "index/", "btf/"]
            .iter()
            .any(|kind| two[1].starts_with(&format!("remove {kind}")))
    };
    assert_eq!(
        looks.filter(|two| before(two)).count(),
        4,
        "{:?}",
        store.log
    );

    for steps in 0.. {
        let mut store = Alone {
            patience: steps,
            ..Alone::new()
        };
        let mut plan = Collection::new(kernel(), me(), false);
        if store.run(&mut plan).is_some() {
            break;
        }
        // Not so after the next step: the process slept, and the Lease may be another's.
        let written = store.log.clone();
        let asleep = Moment {
            now: store.at.now + FENCE + SECOND,
            ..store.at
        };
        let mut other = Alone {
            patience: steps,
            ..Alone::new()
        };
        let mut plan = Collection::new(kernel(), me(), false);
        assert!(other.run(&mut plan).is_none());
        let step = plan.next(Seen::Absent, asleep);
        let writes = matches!(
            step,
            Step::Put(_) | Step::Copy { .. } | Step::Remove(_) | Step::RemoveKernelHeader(_)
        );
        assert!(!writes, "after {written:?}: {step:?}");
    }

    // A Lease that is never renewed again ends any plan where it first would write.
    let mut store = Alone {
        renewed: false,
        pace: SECOND * 2,
        ..Alone::new()
    };
    let outcome = store.run(&mut Collection::new(kernel(), me(), false));
    assert!(matches!(outcome, Some(Outcome::CutShort(_))), "{outcome:?}");
}

#[test]
fn kernels_are_collected_when_long_unused_one_after_the_other_oldest_first() {
    let (now, wall) = (
        Instant::now() + Schedule::RETRY,
        SystemTime::UNIX_EPOCH + Schedule::RETRY * 365,
    );
    let retention = Schedule::RETRY * 30;
    let schedule = Schedule {
        mode: Mode::On,
        retention,
    };
    let due = Unused {
        kernel: BtfDigest::of(b"due"),
        since: wall - retention,
        seen: now - Schedule::SEEN,
        pinned: false,
        tried: None,
    };
    let next = |unused: &Unused| schedule.next(std::slice::from_ref(unused), None, wall, now);
    assert_eq!(next(&due), Some(due.kernel));
    let not_due = [
        Unused {
            since: due.since + SECOND,
            ..due.clone()
        },
        Unused {
            since: wall + SECOND,
            ..due.clone()
        },
        Unused {
            seen: due.seen + SECOND,
            ..due.clone()
        },
        Unused {
            pinned: true,
            ..due.clone()
        },
        Unused {
            tried: Some(now - Schedule::RETRY + SECOND),
            ..due.clone()
        },
    ];
    for unused in not_due {
        assert_eq!(next(&unused), None, "{unused:?}");
    }
    let older = Unused {
        kernel: BtfDigest::of(b"older"),
        since: due.since - SECOND,
        ..due.clone()
    };
    let both = [due, older.clone()];
    assert_eq!(schedule.next(&both, None, wall, now), Some(older.kernel));
    let last = now - Schedule::GAP + SECOND;
    assert_eq!(schedule.next(&both, Some(last), wall, now), None);
    assert_eq!(
        schedule.next(&both, Some(last - SECOND), wall, now),
        Some(older.kernel)
    );
    let mode = |mode: &str| Schedule {
        mode: mode.parse().unwrap(),
        ..schedule
    };
    assert_eq!(mode("off").next(&both, None, wall, now), None);
    assert_eq!(
        mode("dry-run").next(&both, None, wall, now),
        Some(older.kernel)
    );
    assert!("no".parse::<Mode>().is_err());
}

#[test]
fn own_references_are_put_back_renewed_or_left_to_age() {
    let wall = SystemTime::UNIX_EPOCH + OwnRefs::RENEWED * 100;
    let k = |name: &str| BtfDigest::of(name.as_bytes());
    let (old, young) = (wall - OwnRefs::RENEWED - SECOND, wall - OwnRefs::RENEWED);
    let refs = BTreeMap::from([
        (k("named, old"), Some(old)),
        (k("named, young"), Some(young)),
        (k("known, old"), Some(old)),
        (k("stray, old"), Some(old)),
        (k("busy, old"), Some(old)),
        (k("ageless"), None),
    ]);
    let named = ["named, old", "named, young", "missing"].map(k).into();
    let known = ["known, old", "known, no reference", "busy, old"]
        .map(k)
        .into();
    let own = OwnRefs {
        refs: &refs,
        named: &named,
        known: &known,
        busy: Some(k("busy, old")),
    };
    let mut due = own.due(wall);
    due.sort_by_key(|write| match write {
        RefWrite::PutBack(kernel) | RefWrite::Renew(kernel) => *kernel,
    });
    let mut expected = vec![
        RefWrite::PutBack(k("missing")),
        RefWrite::Renew(k("named, old")),
        RefWrite::Renew(k("known, old")),
    ];
    expected.sort_by_key(|write| match write {
        RefWrite::PutBack(kernel) | RefWrite::Renew(kernel) => *kernel,
    });
    assert_eq!(due, expected);
    assert_eq!(own.strays(), [(k("stray, old"), old)]);
}

#[test]
fn what_nobody_claims_is_due_on_the_second_day_unless_it_was_claimed_in_between() {
    let start = Instant::now();
    let mut unclaimed = Unclaimed::default();
    let day = Unclaimed::<u8>::PATIENCE;
    assert!(unclaimed.note([1, 2].into_iter(), start).is_empty());
    assert!(
        unclaimed
            .note([1, 2].into_iter(), start + day - SECOND)
            .is_empty()
    );
    assert!(
        unclaimed
            .note([2].into_iter(), start + day - SECOND)
            .is_empty()
    );
    assert_eq!(unclaimed.note([1, 2].into_iter(), start + day), [2]);
    assert_eq!(unclaimed.note([1].into_iter(), start + day * 2), [1]);
}
