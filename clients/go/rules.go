package btfleet

import "slices"

// Which BTF fits the running kernel: one decision, without I/O. It follows src/consumer/rules.rs.

// running is the kernel that runs here.
type running struct {
	bootID  string // empty: it cannot be read
	arch    string
	release string // empty: it cannot be read, or is none that a kernel may be named by
	own     own
	btf     string // its digest, if own is ownRead
}

// own is what /sys/kernel/btf/vmlinux gave.
type own int

const (
	ownUnseen own = iota // it was not to be looked at, or could not be read
	ownAbsent            // there is no such file: the kernel has no BTF
	ownRead
)

// said is what the cluster says of a node.
type said struct {
	word
	why    string // of wordAway and wordError
	bootID string // of wordReady; of wordNoBTF if it is known
	named         // of wordReady
}

type word int

const (
	wordNotAsked word = iota
	wordAway
	wordUnknown
	wordNotReported
	wordStale
	wordNoBTF
	wordError
	wordReady
)

// named is a kernel and its header by their digests.
type named struct {
	btf, header string
	generator   uint32
}

// todo is what to do.
type todo int

const (
	useOwn    todo = iota
	getNamed       // said.named
	byRelease      // the one kernel of this arch and release
)

// decide says what to do, or why there is nothing: an error may pass, or does not.
func decide(here running, word said, match Match) (todo, error) {
	thisBoot := word.bootID != "" && word.bootID == here.bootID
	if here.own == ownRead {
		switch {
		case word.word == wordReady && thisBoot && word.btf != here.btf:
			return 0, failed(ErrMismatch, "its Node says that this kernel's BTF is %s, and here it is %s", word.btf, here.btf)
		case word.word == wordNoBTF && thisBoot:
			return 0, failed(ErrMismatch, "its Node says NoBTF, and here its BTF is %s", here.btf)
		}
		// Whoever is away, late or of another boot says nothing about this kernel.
		return useOwn, nil
	}
	switch word.word {
	case wordReady:
		if thisBoot {
			return getNamed, nil
		}
	case wordNoBTF:
		if word.bootID == "" || thisBoot {
			return withoutBTF(here, match)
		}
	case wordNotAsked:
		// What is not there needs nobody's word for it, if nobody can be asked.
		if here.own == ownAbsent {
			return withoutBTF(here, match)
		}
		return 0, nobody()
	}
	return 0, notYet(word)
}

// decideHeader says the same where the BTF was read here, and its header is to come from the server.
func decideHeader(here running, word said) error {
	if _, err := decide(here, word, MatchDigest); err != nil {
		return err
	}
	switch {
	case word.word == wordReady && word.bootID != "" && word.bootID == here.bootID:
		return nil
	case word.word == wordNotAsked:
		return failed(ErrNobody, "a header comes from a server: Options.Server and Options.Node are needed")
	}
	return notYet(word)
}

// notYet is why a word that is not of this boot, or none, may be another one soon.
func notYet(word said) *Error {
	switch word.word {
	case wordAway:
		return away("nobody answers: %s", word.why)
	case wordUnknown:
		return notReady("there is no such Node yet")
	case wordNotReported:
		return notReady("the node's agent has not reported its kernel yet")
	case wordError:
		return notReady("the node's agent could not publish its kernel: " + word.why)
	default:
		return notReady("what the Node says is of another boot than this one; its agent has not spoken since")
	}
}

func notReady(why string) *Error { return later(ErrNotReady, "%s", why) }

func nobody() *Error {
	return failed(ErrNobody, "this kernel's own BTF cannot be read here: Options.Server and Options.Node are needed")
}

const noBTF = "this kernel has no BTF (CONFIG_DEBUG_INFO_BTF is off)"

func withoutBTF(here running, match Match) (todo, error) {
	switch {
	case match != MatchRelease:
		return 0, failed(ErrNoBTF, noBTF+"; MatchRelease would take an imported kernel of its arch and release")
	case here.release == "":
		return 0, failed(ErrNoBTF, noBTF+", and its release is not known here")
	}
	return byRelease, nil
}

// only gives the one kernel among those that bear this kernel's arch and release.
func only(here running, found []string) (string, error) {
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		return "", failed(ErrNoBTF, noBTF+", and no kernel %s/%s is in the store: `btfleet import` adds one", here.arch, here.release)
	}
	// A line to read, however many there are.
	return "", failed(ErrNoBTF, noBTF+", and %d kernels %s/%s are there: %s", len(found), here.arch, here.release, found[:min(len(found), 5)])
}

// fits is whether BTF of this shape can be of a kernel of this arch.
func fits(arch string, pointerSize int, byteOrder string) error {
	wide := slices.Contains([]string{"amd64", "arm64", "loong64", "mips64", "mips64le", "ppc64", "ppc64le", "riscv64", "s390x"}, arch)
	big := slices.Contains([]string{"mips", "mips64", "ppc64", "s390x"}, arch)
	if (pointerSize == 8) == wide && (byteOrder == "big") == big {
		return nil
	}
	return failed(ErrMismatch, "what bears this kernel's release is of a %d-bit %s-endian kernel, which no %s machine runs", pointerSize*8, byteOrder, arch)
}
