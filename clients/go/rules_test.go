package btfleet

import (
	"errors"
	"fmt"
	"testing"
)

const (
	boot    = "0b0e2a9c-1111-4222-8333-444455556666"
	another = "0b0e2a9c-1111-4222-8333-777788889999"
)

func digit(d string) string {
	digest := "sha256:"
	for range 64 {
		digest += d
	}
	return digest
}

func everyWord() []said {
	ready := func(boot, btf string) said {
		return said{word: wordReady, bootID: boot, named: named{digit(btf), digit("c"), 1}}
	}
	return []said{
		{word: wordNotAsked},
		{word: wordAway},
		{word: wordUnknown},
		{word: wordNotReported},
		{word: wordStale},
		{word: wordNoBTF},
		{word: wordNoBTF, bootID: boot},
		{word: wordNoBTF, bootID: another},
		{word: wordError},
		ready(boot, "a"),
		ready(another, "a"),
		ready("", "a"),
		ready(boot, "b"),
		ready(another, "b"),
	}
}

func mayPass(err error) bool {
	e, is := errors.AsType[*Error](err)
	return is && e.mayPass
}

func TestTheKernelsOwnBTFIsUsedUnlessAWordOfThisBootContradictsIt(t *testing.T) {
	here := running{bootID: boot, own: ownRead, btf: digit("a")}
	for _, word := range everyWord() {
		contradicts := word.bootID == boot && (word.word == wordNoBTF || word.btf == digit("b"))
		todo, err := decide(here, word, MatchRelease)
		switch {
		case contradicts && (!errors.Is(err, ErrMismatch) || mayPass(err)):
			t.Errorf("%+v: %v", word, err)
		case !contradicts && (err != nil || todo != useOwn):
			t.Errorf("%+v: %v %v", word, todo, err)
		}
	}
}

func TestAHeaderOfTheKernelsOwnBTFNeedsAWordOfThisBoot(t *testing.T) {
	for _, bootID := range []string{boot, ""} {
		here := running{bootID: bootID, own: ownRead, btf: digit("a")}
		for _, word := range everyWord() {
			err := decideHeader(here, word)
			if named := bootID != "" && word.bootID == boot && word.btf == here.btf; named != (err == nil) {
				t.Errorf("boot %q: %+v: %v", bootID, word, err)
			}
		}
	}
}

func TestWithoutItsOwnBTFOnlyAWordOfThisVeryBootCounts(t *testing.T) {
	for _, own := range []own{ownAbsent, ownUnseen} {
		for _, bootID := range []string{boot, "another", ""} {
			for _, word := range everyWord() {
				todo, err := decide(running{bootID: bootID, own: own}, word, MatchDigest)
				want := word.word == wordReady && bootID != "" && bootID == word.bootID
				if got := err == nil && todo == getNamed; got != want {
					t.Errorf("own %v, boot %q: %+v: %v %v", own, bootID, word, todo, err)
				}
				if err == nil && todo != getNamed {
					t.Errorf("own %v, boot %q: %+v: %v", own, bootID, word, todo)
				}
			}
		}
	}
}

func TestAReleaseIsMatchedOnlyWhereAskedForAndNothingBetterMayCome(t *testing.T) {
	here := running{bootID: boot, arch: "amd64", release: "6.1", own: ownAbsent}
	for _, word := range everyWord() {
		final := word.word == wordNotAsked || word.word == wordNoBTF && word.bootID != another
		todo, err := decide(here, word, MatchRelease)
		if got := err == nil && todo == byRelease; got != final {
			t.Errorf("%+v: %v %v", word, todo, err)
		}
		if _, err = decide(here, word, MatchDigest); errors.Is(err, ErrNoBTF) != final {
			t.Errorf("%+v: %v", word, err)
		}
	}
	// BTF that may be there, only unseen here, is not replaced by a guess; nor is a kernel without a name found.
	unseen := running{bootID: boot, arch: "amd64", release: "6.1", own: ownUnseen}
	if _, err := decide(unseen, said{}, MatchRelease); !errors.Is(err, ErrNobody) {
		t.Error(err)
	}
	if _, err := decide(running{own: ownAbsent}, said{}, MatchRelease); !errors.Is(err, ErrNoBTF) {
		t.Error(err)
	}
}

func TestWhatIsWaitedForIsOfTheKindThatItWillBe(t *testing.T) {
	for word, kind := range map[word]error{
		wordAway: ErrUnreachable, wordUnknown: ErrNotReady, wordNotReported: ErrNotReady,
		wordStale: ErrNotReady, wordError: ErrNotReady,
	} {
		_, err := decide(running{bootID: boot, own: ownAbsent}, said{word: word}, MatchRelease)
		if !errors.Is(err, kind) || !mayPass(err) {
			t.Errorf("%v: %v", word, err)
		}
	}
}

func TestWhatBearsAReleaseMustFitTheMachine(t *testing.T) {
	for _, c := range []struct {
		arch    string
		pointer int
		order   string
		fits    bool
	}{
		{"amd64", 8, "little", true},
		{"amd64", 8, "big", false},
		{"amd64", 4, "little", false},
		{"arm64", 8, "little", true},
		{"riscv64", 8, "little", true},
		{"ppc64le", 8, "little", true},
		{"ppc64le", 8, "big", false},
		{"s390x", 8, "big", true},
		{"s390x", 8, "little", false},
		{"arm", 4, "little", true},
		{"arm", 8, "little", false},
	} {
		t.Run(fmt.Sprint(c), func(t *testing.T) {
			if err := fits(c.arch, c.pointer, c.order); (err == nil) != c.fits {
				t.Error(err)
			}
		})
	}
}
