use super::*;
use crate::artifact::{BtfDigest, Generator, HeaderDigest};
use crate::cluster::node::Metadata;
use crate::cluster::node::NodeStatus;

const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";
const BEFORE: &str = "99999999-1111-4222-8333-444455556666";
const RELEASE: &str = "6.18.44+deb14";

fn host() -> Host {
    Host {
        boot_id: Some(BOOT.to_owned()),
        release: Some(RELEASE.to_owned()),
    }
}

fn digests() -> KernelSaid {
    KernelSaid {
        btf: BtfDigest::of(b"btf"),
        header: Some((HeaderDigest::of(b"header"), Generator::OWN)),
    }
}

fn kernel() -> Finding {
    Finding::Kernel {
        said: digests(),
        why: None,
    }
}

fn broken() -> Finding {
    let said = KernelSaid {
        header: None,
        ..digests()
    };
    Finding::Kernel {
        said,
        why: Some("type 7 at offset 36 is cut short".to_owned()),
    }
}

/// A Node that says `keys`, of the boot that its kubelet reports.
fn node(keys: Keys, boot: &str, release: &str) -> Node {
    Node {
        metadata: Metadata {
            name: "a".to_owned(),
            uid: "u".to_owned(),
            annotations: keys.annotations,
            labels: keys.labels,
            ..Metadata::default()
        },
        status: NodeStatus {
            node_info: NodeInfo {
                boot_id: boot.to_owned(),
                kernel_version: release.to_owned(),
                architecture: "amd64".to_owned(),
            },
        },
    }
}

fn here(keys: Keys) -> Node {
    node(keys, BOOT, RELEASE)
}

fn ready() -> Keys {
    wanted(&host(), &kernel()).keys()
}

fn status(act: &Act) -> Option<&str> {
    match act {
        Act::Say(keys) => keys.annotations.status.as_deref(),
        _ => None,
    }
}

/// What to do for a Node whose `nodeInfo` is of this boot.
fn act(keys: Keys, finding: Option<&Finding>, store: InStore) -> Act {
    next(Seen {
        host: &host(),
        finding,
        node: &here(keys),
        unlike: (Duration::ZERO, 0),
        store,
        trouble: None,
    })
}

#[test]
fn a_kernel_is_published_before_its_node_says_so_and_looked_at_afterwards() {
    let finding = kernel();
    let act = |keys, store| act(keys, Some(&finding), store);
    let say = Act::Say(Box::new(ready()));
    let earlier = wanted(
        &Host {
            boot_id: Some(BEFORE.to_owned()),
            ..host()
        },
        &kernel(),
    )
    .keys();
    for nothing_right in [Keys::default(), earlier] {
        for store in [
            InStore::Due,
            InStore::Settled,
            InStore::Lacking,
            InStore::Whole,
        ] {
            assert_eq!(act(nothing_right.clone(), store), Act::Publish, "{store:?}");
        }
        assert_eq!(act(nothing_right, InStore::Published), say);
    }
    assert_eq!(act(ready(), InStore::Published), Act::Look);
    assert_eq!(act(ready(), InStore::Whole), Act::Rest);
    assert_eq!(act(ready(), InStore::Lacking), Act::Publish);
}

#[test]
fn a_restart_that_changes_nothing_only_looks() {
    assert_eq!(act(ready(), None, InStore::Due), Act::Examine);
    assert_eq!(act(ready(), Some(&kernel()), InStore::Due), Act::Look);
    assert_eq!(act(ready(), Some(&kernel()), InStore::Whole), Act::Rest);
    // Between two resyncs not even that.
    assert_eq!(act(ready(), Some(&kernel()), InStore::Settled), Act::Rest);
}

#[test]
fn every_key_that_was_edited_or_removed_is_mended() {
    type Edit = fn(&mut Keys);
    let edits: [Edit; 10] = [
        |k| k.annotations.btf_digest = None,
        |k| k.annotations.btf_digest = Some(BtfDigest::of(b"x").to_string()),
        |k| k.annotations.header_digest = Some(HeaderDigest::of(b"x").to_string()),
        |k| k.annotations.generator = Some("999".to_owned()),
        |k| k.annotations.kernel_release = None,
        |k| k.annotations.boot_id = Some(BEFORE.to_owned()),
        |k| k.annotations.status = Some("NoBTF".to_owned()),
        |k| k.annotations.status = None,
        |k| k.labels.kernel = None,
        |k| k.labels.kernel = Some("x".to_owned()),
    ];
    for (i, edit) in edits.iter().enumerate() {
        let mut keys = ready();
        edit(&mut keys);
        let before = act(keys.clone(), Some(&kernel()), InStore::Settled);
        assert_eq!(before, Act::Publish, "{i}");
        let after = act(keys, Some(&kernel()), InStore::Published);
        assert_eq!(after, Act::Say(Box::new(ready())), "{i}");
    }
}

#[test]
fn what_cannot_be_published_is_said_without_touching_the_store() {
    for (finding, text) in [
        (Finding::NoBtf, "NoBTF"),
        (Finding::Unreadable("no".to_owned()), "Error: no"),
    ] {
        for store in [InStore::Due, InStore::Settled] {
            let said = act(ready(), Some(&finding), store);
            assert_eq!(status(&said), Some(text));
            let Act::Say(keys) = said else { unreachable!() };
            // Nothing of an earlier kernel stays behind.
            assert_eq!(keys.annotations.btf_digest, None);
            assert_eq!(keys.labels.kernel, None);
            assert_eq!(keys.annotations.boot_id.as_deref(), Some(BOOT));
            assert_eq!(act(*keys, Some(&finding), store), Act::Rest);
        }
    }
}

#[test]
fn a_btf_that_does_not_parse_is_published_raw_and_its_digest_said() {
    let finding = broken();
    let publish = act(Keys::default(), Some(&finding), InStore::Due);
    assert_eq!(publish, Act::Publish);
    let said = act(Keys::default(), Some(&finding), InStore::Published);
    let text = Some("Error: type 7 at offset 36 is cut short");
    assert_eq!(status(&said), text);
    let Act::Say(keys) = said else { unreachable!() };
    let digest = digests().btf;
    assert_eq!(keys.annotations.btf_digest, Some(digest.to_string()));
    assert_eq!(keys.labels.kernel, Some(digest.kernel_id().to_string()));
    assert_eq!(keys.annotations.header_digest, None);
    assert_eq!(act(*keys, Some(&finding), InStore::Due), Act::Look);
}

#[test]
fn a_release_that_may_not_be_written_is_left_out() {
    let odd = Host {
        release: Some("6.1 (mine)".to_owned()),
        ..host()
    };
    let keys = wanted(&odd, &kernel()).keys();
    assert_eq!(keys.annotations.kernel_release, None);
    assert_eq!(keys.annotations.status.as_deref(), Some("Ready"));
}

/// What to do while `nodeInfo` does not fit, after some time and looks.
fn unlike(host: &Host, boot: &str, release: &str, after: (u64, u32)) -> Act {
    next(Seen {
        host,
        finding: None,
        node: &node(ready(), boot, release),
        unlike: (Duration::from_secs(after.0), after.1),
        store: InStore::Due,
        trouble: None,
    })
}

#[test]
fn a_late_node_info_is_waited_for_at_2_5_10_20_30_seconds() {
    // Another boot, another release, none yet.
    for (boot, release) in [
        (BEFORE, RELEASE),
        (BEFORE, "6.1"),
        (BOOT, "6.1"),
        ("", ""),
        ("", RELEASE),
    ] {
        let mut passed = 0;
        for (looks, seconds) in [2, 5, 10, 20, 30, 30, 30].into_iter().enumerate() {
            match unlike(&host(), boot, release, (passed, looks as u32)) {
                Act::Wait(pause, _) => assert_eq!(pause.as_secs(), seconds, "{boot} {release}"),
                act => panic!("{act:?}"),
            }
            passed += seconds;
        }
    }
    assert_eq!(unlike(&host(), BOOT, RELEASE, (20, 3)), Act::Examine);
}

#[test]
fn after_five_minutes_a_kernel_of_its_own_is_an_error_without_a_boot_id() {
    for (boot, release, word) in [
        (BEFORE, "6.1", "sandbox"),
        (BEFORE, RELEASE, "another boot id"),
        ("", RELEASE, "reports no boot id"),
        ("", "", "reports no boot id"),
    ] {
        let before = unlike(&host(), boot, release, (299, 9));
        assert!(matches!(before, Act::Wait(..)), "{word}");
        let said = unlike(&host(), boot, release, (300, 10));
        let Act::Say(keys) = said else {
            panic!("{said:?}")
        };
        let text = keys.annotations.status.clone().unwrap();
        assert!(text.starts_with("Error: ") && text.contains(word), "{text}");
        let bare = Keys {
            annotations: crate::cluster::node::Annotations {
                status: Some(text),
                ..Default::default()
            },
            ..Keys::default()
        };
        assert_eq!(*keys, bare);
        // Readers see the error, not a stale Node.
        assert_eq!(State::of(&bare, boot).word(), "Error");
    }
    // Where only the release differs it is this boot all the same.
    assert_eq!(unlike(&host(), BOOT, "6.1", (300, 10)), Act::Examine);
}

#[test]
fn without_a_boot_id_of_its_own_there_is_nothing_to_wait_for() {
    let none = Host {
        boot_id: None,
        ..host()
    };
    let said = unlike(&none, BOOT, RELEASE, (0, 0));
    assert!(status(&said).unwrap().contains("no boot id in /proc"));
}

#[test]
fn a_store_that_fails_is_said_only_by_a_node_that_is_not_ready() {
    let act = |keys: Keys, finding: &Finding, trouble: &str| {
        next(Seen {
            host: &host(),
            finding: Some(finding),
            node: &here(keys),
            unlike: (Duration::ZERO, 0),
            store: InStore::Due,
            trouble: Some(trouble),
        })
    };
    let said = act(Keys::default(), &kernel(), "cannot write");
    assert_eq!(status(&said), Some("Error: store: cannot write"));
    let Act::Say(keys) = said else { unreachable!() };
    assert_eq!(keys.labels.kernel, ready().labels.kernel);
    // Other words of the same trouble are not worth a patch.
    assert_eq!(act((*keys).clone(), &kernel(), "other words"), Act::Rest);
    // Ready by an earlier generator is true as well.
    let mut older = ready();
    older.annotations.generator = Some("999".to_owned());
    for keys in [ready(), older] {
        assert_eq!(act(keys, &kernel(), "cannot write"), Act::Rest);
    }
    // Of an earlier boot it is not.
    let mut stale = ready();
    stale.annotations.boot_id = Some(BEFORE.to_owned());
    assert!(matches!(act(stale, &kernel(), "x"), Act::Say(_)));
    // Once the store works, the kernel is published and said.
    let again = super::tests::act(*keys, Some(&kernel()), InStore::Published);
    assert_eq!(status(&again), Some("Ready"));
}

#[test]
fn every_look_comes_to_rest() {
    // Whatever the Node and the store are like at first, following the plan ends.
    let earlier = Host {
        boot_id: Some(BEFORE.to_owned()),
        ..host()
    };
    let says = [
        Keys::default(),
        ready(),
        wanted(&earlier, &kernel()).keys(),
        wanted(&host(), &Finding::NoBtf).keys(),
        wanted(&host(), &broken()).keys(),
    ];
    let findings = [
        kernel(),
        broken(),
        Finding::NoBtf,
        Finding::Unreadable("x".to_owned()),
    ];
    for keys in &says {
        for finding in &findings {
            for (start, whole) in [
                (InStore::Due, true),
                (InStore::Due, false),
                (InStore::Settled, true),
            ] {
                let (mut keys, mut store, mut whole) = (keys.clone(), start, whole);
                let mut acts = Vec::new();
                loop {
                    let act = act(keys.clone(), Some(finding), store);
                    acts.push(act.clone());
                    match act {
                        Act::Publish => (store, whole) = (InStore::Published, true),
                        Act::Look if whole => store = InStore::Whole,
                        Act::Look => store = InStore::Lacking,
                        Act::Say(said) => keys = *said,
                        Act::Rest => break,
                        act => panic!("{act:?}"),
                    }
                    assert!(acts.len() < 8, "{acts:?}");
                }
                assert_eq!(keys, wanted(&host(), finding).keys());
                let publishes = acts.iter().filter(|a| **a == Act::Publish).count();
                assert!(publishes <= 1, "{acts:?}");
            }
        }
    }
}
