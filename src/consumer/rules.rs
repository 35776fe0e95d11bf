//! Which header fits the running kernel: one decision, for everybody who reads. It does no I/O.
//!
//! The truth is the running kernel's own BTF. Where that cannot be read, it is what the Node says, if it
//! speaks of this very boot. A release is no identity: it is taken for one only where the kernel has no BTF,
//! somebody asked for that, and exactly one kernel bears it.

use crate::artifact::{Arch, BtfDigest, Generator, HeaderDigest, Order, Release};
use std::fmt;

/// The kernel that runs here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Running {
    /// `/proc/sys/kernel/random/boot_id`, if it can be read.
    pub boot_id: Option<String>,
    /// The machine.
    pub arch: Option<Arch>,
    /// `uname -r`.
    pub release: Option<Release>,
    /// Its BTF.
    pub own: Own,
}

/// What `/sys/kernel/btf/vmlinux` gave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Own {
    /// It was read, and this is its digest and that of the header which our generator makes of it.
    Kernel(BtfDigest, HeaderDigest),
    /// There is no such file: the kernel has no BTF.
    Absent,
    /// It was not to be looked at, or could not be read.
    Unseen,
}

/// What the cluster says of the node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Word {
    /// Nobody was there to be asked.
    NotAsked,
    /// Nobody answered, and why.
    Away(String),
    /// There is no such Node.
    Unknown,
    /// Its agent has not spoken yet.
    NotReported,
    /// Its agent spoke of an earlier boot.
    Stale,
    /// In this boot (if it is known which) the kernel has no BTF.
    NoBtf(Option<String>),
    /// Its agent could not publish the kernel.
    Error(String),
    /// In this boot the kernel is this.
    Ready {
        /// The boot that is spoken of.
        boot_id: String,
        /// The kernel.
        kernel: Named,
    },
}

/// A kernel and its header by their digests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// Of the BTF.
    pub btf: BtfDigest,
    /// Of the header.
    pub header: HeaderDigest,
    /// That made the header.
    pub generator: Generator,
}

/// How sure it must be that a header is the running kernel's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// By its BTF's digest.
    Digest,
    /// Of a kernel without BTF also by arch and release, if one kernel only bears them.
    Release,
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Use the kernel's own BTF.
    Own,
    /// Get these.
    Named(Named),
    /// Look for the one kernel of this arch and release.
    ByRelease(Arch, Release),
    /// Ask again later.
    Wait(Why),
    /// Asking again will not help.
    No(No),
}

/// What is waited for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Somebody to answer.
    #[error("nobody answers: {0}")]
    Away(String),
    /// The Node.
    #[error("there is no such Node yet")]
    Unknown,
    /// Its agent's first word.
    #[error("the node's agent has not reported its kernel yet")]
    NotReported,
    /// Its agent's first word in this boot.
    #[error("what the Node says is of another boot than this one; its agent has not spoken since")]
    Stale,
    /// Its agent's success.
    #[error("the node's agent could not publish its kernel: {0}")]
    Error(String),
}

/// Why there is no header.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum No {
    /// The kernel has no BTF, and nothing else may stand in for it.
    #[error("this kernel has no BTF (CONFIG_DEBUG_INFO_BTF is off){0}")]
    NoBtf(Hint),
    /// The Node says one thing and the kernel another.
    #[error("{0}")]
    Mismatch(String),
    /// Nobody was given to ask.
    #[error(
        "this kernel's own BTF cannot be read here, and nobody is known to ask: name a server (--server) or a store (--store)"
    )]
    Nobody,
}

/// What could be done about a kernel without BTF.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hint {
    /// Match by release.
    AskForRelease,
    /// Its arch or release is not known here.
    Nameless,
    /// Import one: there is none of this arch and release.
    Import(Arch, Release),
    /// Several bear this arch and release.
    Several(Arch, Release, Vec<BtfDigest>),
}

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Hint::AskForRelease => f.write_str(
                "; --match release would take an imported kernel of its arch and release",
            ),
            Hint::Nameless => f.write_str(", and its arch or release is not known here"),
            Hint::Import(arch, release) => write!(
                f,
                ", and no kernel {arch}/{release} is in the store: `btfleet import` adds one"
            ),
            Hint::Several(arch, release, all) => {
                write!(f, ", and {} kernels {arch}/{release} are there:", all.len())?;
                // A line to read, however many there are.
                let mut shown = all.iter().take(5);
                shown.try_for_each(|btf| write!(f, " {}", btf.kernel_id()))
            }
        }
    }
}

/// Decides from what the kernel here is and what the cluster says of the node. `stored` is what a store's
/// manifest says of the kernel whose BTF was read here, if one was asked.
pub fn decide(
    running: &Running,
    word: &Word,
    stored: Option<(HeaderDigest, Generator)>,
    by: Match,
) -> Decision {
    let is_this_boot = |boot: &str| running.boot_id.as_deref() == Some(boot);
    if let Own::Kernel(btf, header) = running.own {
        let said = match word {
            Word::Ready { boot_id, kernel } if is_this_boot(boot_id) => {
                differs(btf, header, kernel)
            }
            Word::NoBtf(Some(boot_id)) if is_this_boot(boot_id) => {
                Some(format!("its Node says NoBTF, and here its BTF is {btf}"))
            }
            // Whoever is away, late or of another boot says nothing about this kernel.
            _ => None,
        };
        let said = said.or_else(|| {
            let (there, generator) = stored?;
            let same = generator != Generator::OWN || there == header;
            (!same).then(|| {
                format!("the store says that its header is {there}, and here it is {header}")
            })
        });
        return match said {
            Some(problem) => Decision::No(No::Mismatch(problem)),
            None => Decision::Own,
        };
    }
    match word {
        Word::Ready { boot_id, kernel } if is_this_boot(boot_id) => Decision::Named(*kernel),
        Word::Ready { .. } | Word::Stale => Decision::Wait(Why::Stale),
        Word::NoBtf(Some(boot_id)) if !is_this_boot(boot_id) => Decision::Wait(Why::Stale),
        Word::NoBtf(_) => without_btf(running, by),
        // What is not there needs nobody's word for it, if nobody can be asked.
        Word::NotAsked if running.own == Own::Absent => without_btf(running, by),
        Word::NotAsked => Decision::No(No::Nobody),
        Word::Away(why) => Decision::Wait(Why::Away(why.clone())),
        Word::Unknown => Decision::Wait(Why::Unknown),
        Word::NotReported => Decision::Wait(Why::NotReported),
        Word::Error(reason) => Decision::Wait(Why::Error(reason.clone())),
    }
}

fn differs(btf: BtfDigest, header: HeaderDigest, said: &Named) -> Option<String> {
    if said.btf != btf {
        let there = said.btf;
        return Some(format!(
            "its Node says that this kernel's BTF is {there}, and here it is {btf}"
        ));
    }
    // Another generator's header is another text of the same types.
    let same = said.generator != Generator::OWN || said.header == header;
    let there = said.header;
    (!same).then(|| {
        format!("its Node says that this kernel's header is {there}, and here it is {header}")
    })
}

fn without_btf(running: &Running, by: Match) -> Decision {
    match (by, &running.arch, &running.release) {
        (Match::Digest, ..) => Decision::No(No::NoBtf(Hint::AskForRelease)),
        (Match::Release, Some(arch), Some(release)) => {
            Decision::ByRelease(arch.clone(), release.clone())
        }
        (Match::Release, ..) => Decision::No(No::NoBtf(Hint::Nameless)),
    }
}

/// The one kernel among those that bear an arch and a release.
///
/// # Errors
/// There is none, or there are several.
pub fn only(arch: &Arch, release: &Release, found: &[BtfDigest]) -> Result<BtfDigest, No> {
    let (arch, release) = (arch.clone(), release.clone());
    match found {
        [one] => Ok(*one),
        [] => Err(No::NoBtf(Hint::Import(arch, release))),
        many => Err(No::NoBtf(Hint::Several(arch, release, many.to_vec()))),
    }
}

/// Whether BTF of this shape can be of a kernel of this arch.
///
/// # Errors
/// It cannot.
pub fn fits(arch: &Arch, pointer_size: u32, order: Order) -> Result<(), No> {
    match arch.shape() {
        Some(shape) if shape != (order == Order::Big, pointer_size) => Err(No::Mismatch(format!(
            "what bears this kernel's release is of a {}-bit {order:?}-endian kernel, which no {arch} machine runs",
            pointer_size * 8
        ))),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOOT: &str = "0b0e2a9c-1111-4222-8333-444455556666";

    fn named() -> Named {
        Named {
            btf: BtfDigest::of(b"btf"),
            header: HeaderDigest::of(b"header"),
            generator: Generator::OWN,
        }
    }

    fn running(own: Own) -> Running {
        Running {
            boot_id: Some(BOOT.to_owned()),
            arch: Some("amd64".parse().unwrap()),
            release: Some("6.1".parse().unwrap()),
            own,
        }
    }

    fn ready(boot: &str, kernel: Named) -> Word {
        Word::Ready {
            boot_id: boot.to_owned(),
            kernel,
        }
    }

    fn every_word() -> Vec<Word> {
        let other = Named {
            btf: BtfDigest::of(b"other"),
            ..named()
        };
        vec![
            Word::NotAsked,
            Word::Away("x".to_owned()),
            Word::Unknown,
            Word::NotReported,
            Word::Stale,
            Word::NoBtf(None),
            Word::NoBtf(Some(BOOT.to_owned())),
            Word::NoBtf(Some("before".to_owned())),
            Word::Error("x".to_owned()),
            ready(BOOT, named()),
            ready("before", named()),
            ready(BOOT, other),
            ready("before", other),
        ]
    }

    #[test]
    fn a_kernels_own_btf_is_used_unless_a_word_of_this_boot_contradicts_it() {
        let own = running(Own::Kernel(named().btf, named().header));
        for word in every_word() {
            let contradicts = match &word {
                Word::Ready { boot_id, kernel } => boot_id == BOOT && *kernel != named(),
                Word::NoBtf(boot) => boot.as_deref() == Some(BOOT),
                _ => false,
            };
            let decision = decide(&own, &word, None, Match::Release);
            match contradicts {
                true => assert!(
                    matches!(decision, Decision::No(No::Mismatch(_))),
                    "{word:?}: {decision:?}"
                ),
                false => assert_eq!(decision, Decision::Own, "{word:?}"),
            }
        }
        let lie = Named {
            header: HeaderDigest::of(b"lie"),
            ..named()
        };
        let judged = |word: &Word, stored| decide(&own, word, stored, Match::Digest);
        assert!(matches!(
            judged(&ready(BOOT, lie), None),
            Decision::No(No::Mismatch(_))
        ));
        let silent = &Word::NotAsked;
        assert!(matches!(
            judged(silent, Some((lie.header, Generator::OWN))),
            Decision::No(No::Mismatch(_))
        ));
        assert_eq!(
            judged(silent, Some((named().header, Generator::OWN))),
            Decision::Own
        );
        // Another generator's header has another digest, and that is no lie.
        let generator = Generator::new(999).unwrap();
        let later = Named { generator, ..lie };
        assert_eq!(judged(&ready(BOOT, later), None), Decision::Own);
        assert_eq!(judged(silent, Some((lie.header, generator))), Decision::Own);
    }

    #[test]
    fn without_its_own_btf_only_a_word_of_this_very_boot_counts() {
        for own in [Own::Absent, Own::Unseen] {
            for word in every_word() {
                for boot in [Some(BOOT), Some("another"), None] {
                    let here = Running {
                        boot_id: boot.map(str::to_owned),
                        ..running(own)
                    };
                    let decision = decide(&here, &word, None, Match::Digest);
                    let named = matches!(decision, Decision::Named(_));
                    let said = match &word {
                        Word::Ready { boot_id, .. } => boot == Some(boot_id),
                        _ => false,
                    };
                    assert_eq!(named, said, "{boot:?} {word:?}: {decision:?}");
                    assert_ne!(decision, Decision::Own);
                }
            }
        }
    }

    #[test]
    fn a_release_is_matched_only_where_asked_for_and_nothing_better_may_come() {
        let here = running(Own::Absent);
        let told = |word: &Word, by| decide(&here, word, None, by);
        let no_btf = Word::NoBtf(Some(BOOT.to_owned()));
        for word in [&no_btf, &Word::NoBtf(None), &Word::NotAsked] {
            assert!(matches!(
                told(word, Match::Release),
                Decision::ByRelease(..)
            ));
            assert!(matches!(
                told(word, Match::Digest),
                Decision::No(No::NoBtf(Hint::AskForRelease))
            ));
        }
        for word in every_word() {
            let by_release = matches!(told(&word, Match::Release), Decision::ByRelease(..));
            let may = matches!(&word, Word::NotAsked | Word::NoBtf(None)) || word == no_btf;
            assert_eq!(by_release, may, "{word:?}");
        }
        // BTF that may be there, only unseen here, is not replaced by a guess.
        let unseen = running(Own::Unseen);
        assert_eq!(
            decide(&unseen, &Word::NotAsked, None, Match::Release),
            Decision::No(No::Nobody)
        );
    }

    #[test]
    fn exactly_one_kernel_may_bear_a_release_and_it_must_fit_the_machine() {
        let (arch, release): (Arch, Release) = ("amd64".parse().unwrap(), "6.1".parse().unwrap());
        let (a, b) = (BtfDigest::of(b"a"), BtfDigest::of(b"b"));
        assert_eq!(only(&arch, &release, &[a]), Ok(a));
        let none = only(&arch, &release, &[]).unwrap_err().to_string();
        assert!(none.contains("btfleet import"), "{none}");
        let two = only(&arch, &release, &[a, b]).unwrap_err().to_string();
        assert!(two.contains(&b.kernel_id().to_string()), "{two}");
        assert!(fits(&arch, 8, Order::Little).is_ok());
        assert!(fits(&arch, 8, Order::Big).is_err());
        assert!(fits(&arch, 4, Order::Little).is_err());
    }
}
