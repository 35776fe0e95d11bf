//! The parser: one pass over the type section that checks every reference and remembers where types lie.

use super::error::{Error, ErrorKind};
use super::types::{ByteOrder, Kind, KindSet, StrOffset, Type, TypeId};
use std::borrow::Cow;
use std::sync::OnceLock;

use wide::i8x16;

use super::reach::{Most, Tails};
use super::walk::{BATCH, COMMON, Place, Stop, tail_words, walk};
use super::wire::{self, Info, Sections, WORD, Word, read_word};

/// The types of one kernel, module or program: parsed and checked BTF.
///
/// It borrows the bytes it was parsed from, and a split BTF its base.
pub struct Btf<'d> {
    /// The type section, in little-endian words whatever the blob's order.
    pub(super) words: Cow<'d, [Word]>,
    types_at: usize,
    strings: &'d [u8],
    order: ByteOrder,
    base: Option<&'d Btf<'d>>,
    first_id: u32,
    first_str: u32,
    /// Where each of our own types starts, and what it is.
    index: Vec<Place>,
    /// The largest that the first words of types refer to.
    most: Most,
    /// Size of a `long`, where an INT of that name tells.
    long_size: Option<u32>,
    /// Some name elsewhere than at 0 may be the empty string.
    blank_names: OnceLock<bool>,
}

impl<'d> Btf<'d> {
    /// Parses a raw BTF blob that stands alone, such as `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// What is wrong, in which type, at which byte. Every type id, string offset and section is checked.
    pub fn parse(blob: &'d [u8]) -> Result<Btf<'d>, Error> {
        Btf::new(blob, None, true)
    }

    /// The first half of [`Btf::parse`]: its types are found, but what members, parameters and the like refer to is still to
    /// be checked, by [`Btf::check`]. Whoever has a second thread can go on meanwhile; until the check has passed, nothing
    /// that comes of it counts. (What a bad reference leads to is `void` or no name.)
    ///
    /// # Errors
    /// As [`Btf::parse`], but for what is left to check.
    pub fn unchecked(blob: &'d [u8]) -> Result<Btf<'d>, Error> {
        Btf::new(blob, None, false)
    }

    /// The second half of [`Btf::parse`], once more if need be.
    ///
    /// # Errors
    /// What is wrong, in which type, at which byte.
    pub fn check(&self) -> Result<(), Error> {
        // Whoever goes on meanwhile will ask for that.
        self.has_blank_names();
        let mut tails = Tails::new();
        for batch in self.index.chunks(BATCH) {
            tails.add(&self.words, batch);
        }
        self.judge(tails.most)
    }

    /// Parses a raw split BTF blob, such as `/sys/kernel/btf/<module>`, whose type ids and strings go on
    /// from those of `base`.
    ///
    /// # Errors
    /// As [`Btf::parse`], and when the two are of different byte order.
    pub fn parse_split(blob: &'d [u8], base: &'d Btf<'d>) -> Result<Btf<'d>, Error> {
        Btf::new(blob, Some(base), true)
    }

    fn new(blob: &'d [u8], base: Option<&'d Btf<'d>>, check: bool) -> Result<Btf<'d>, Error> {
        let Sections {
            order,
            types,
            types_at,
            strings,
            strings_at,
            layout,
        } = wire::sections(blob)?;
        if let Some(base) = base
            && base.order != order
        {
            let (split, base) = (order, base.order);
            return Err(Error::new(ErrorKind::ByteOrder { split, base }, None, 0));
        }
        match (strings, base) {
            ([], None) => {
                return Err(Error::new(
                    ErrorKind::Strings("is empty; it must at least hold the empty string"),
                    None,
                    strings_at,
                ));
            }
            ([first, ..], None) if *first != 0 => {
                return Err(Error::new(
                    ErrorKind::Strings(
                        "does not begin with the empty string; if this is split BTF (of a module), give its base",
                    ),
                    None,
                    strings_at,
                ));
            }
            ([.., last], _) if *last != 0 => {
                return Err(Error::new(
                    ErrorKind::Strings("does not end with a NUL byte"),
                    None,
                    strings_at.saturating_add(strings.len()).saturating_sub(1),
                ));
            }
            _ => {}
        }
        let (first_id, first_str) = base.map_or((1, 0), |b| (b.end_id(), b.end_str()));
        let mut btf = Btf {
            words: match order {
                ByteOrder::Little => Cow::Borrowed(types.as_chunks::<WORD>().0),
                ByteOrder::Big => Cow::Owned(swapped(types)),
            },
            types_at,
            strings,
            order,
            base,
            first_id,
            first_str,
            index: Vec::new(),
            most: Most::default(),
            long_size: None,
            blank_names: OnceLock::new(),
        };
        if u32::try_from(u64::from(first_str).saturating_add(strings.len() as u64)).is_err() {
            return Err(Error::new(ErrorKind::TooLarge, None, strings_at));
        }
        let tails = btf.read_types(layout, check)?;
        if let Some(tails) = tails {
            btf.judge(tails)?;
        }
        Ok(btf)
    }

    /// Walks the type section once: where types lie and what they are; and how far the references behind their first words
    /// reach, if these are to be checked at once.
    fn read_types(&mut self, layout: &[u8], check: bool) -> Result<Option<Most>, Error> {
        if self.words.len() > Place::MOST {
            return Err(Error::new(ErrorKind::TooLarge, None, self.types_at));
        }
        let mut tails = check.then(Tails::new);
        let walked = walk(&self.words, layout, tails.as_mut()).map_err(|stop| match stop {
            Stop::Truncated { at, need, types } => self.truncated(at, need, types),
            Stop::UnknownKind { at, kind, types } => {
                let kind = ErrorKind::UnknownKind(kind);
                self.error_at(kind, at.saturating_add(1), types)
            }
        })?;
        (self.index, self.most) = (walked.index, walked.most);
        self.long_size = self
            .find_long(&walked.ints)
            .or(self.base.and_then(|b| b.long_size));
        let ids = u64::from(self.first_id).saturating_add(self.index.len() as u64);
        if u32::try_from(ids).is_err() {
            return Err(Error::new(ErrorKind::TooLarge, None, self.types_at));
        }
        Ok(tails.map(|tails| tails.most))
    }

    /// Size of a `long`, by contents alone, whatever the order of the types: 64 bits if any `long` has them.
    fn find_long(&self, ints: &[Place]) -> Option<u32> {
        let ints = ints.iter().filter_map(|int| self.read(TypeId::VOID, *int));
        let longs = ints.filter(|int| is_long(self.name(int.name)));
        longs
            .map(|int| int.size())
            .filter(|size| matches!(size, 4 | 8))
            .max()
    }

    /// Judges what types refer to: what their first words name, and the largest of what `tails` do. And how long names are.
    fn judge(&self, tails: Most) -> Result<(), Error> {
        let mut most = self.most;
        most.add(tails.id, tails.string);
        if most.id >= self.end_id() || most.string >= self.end_str().max(1) {
            return Err(self.find_bad_reference());
        }
        match has_long(self.strings) {
            true => self.check_names(),
            false => Ok(()),
        }
    }

    /// The first type that refers to what is not there.
    #[cold]
    fn find_bad_reference(&self) -> Error {
        for ty in self.types() {
            let mut most = Most {
                id: ty.target().0,
                string: ty.name.0,
            };
            most.add_tail(ty.kind, ty.tail);
            let kind = if most.id >= self.end_id() {
                ErrorKind::TypeId {
                    id: TypeId(most.id),
                    last: TypeId(self.end_id().saturating_sub(1)),
                    hint: self.hint(),
                }
            } else if most.string >= self.end_str().max(1) {
                self.bad_string(most.string)
            } else {
                continue;
            };
            return Error::new(kind, Some(ty.id), self.offset(ty.id));
        }
        Error::new(ErrorKind::TooLarge, None, self.types_at)
    }

    /// Refuses names that are too long; tags are no names.
    #[cold]
    fn check_names(&self) -> Result<(), Error> {
        let too_long = |at: StrOffset| {
            let tail = self.name_tail(at);
            let start = tail.get(..=MAX_NAME).unwrap_or(tail);
            !start.contains(&0)
        };
        for ty in self.types() {
            let inner = ty.members().map(|m| m.name);
            let inner = inner.chain(ty.enumerators().map(|e| e.name));
            let inner = inner.chain(ty.params().map(|p| p.name));
            let own = std::iter::once(ty.name());
            let is_tag = matches!(ty.kind(), Kind::DeclTag | Kind::TypeTag);
            if !is_tag && own.chain(inner).any(too_long) {
                let kind = ErrorKind::NameTooLong(MAX_NAME);
                return Err(Error::new(kind, Some(ty.id), self.offset(ty.id)));
            }
        }
        Ok(())
    }

    #[cold]
    fn truncated(&self, at: usize, need: usize, types: usize) -> Error {
        let have = self.words.len().saturating_sub(at);
        let kind = ErrorKind::Truncated {
            what: "a type and what belongs to it",
            need: need.saturating_mul(WORD) as u64,
            have: have.saturating_mul(WORD) as u64,
        };
        self.error_at(kind, at, types)
    }

    #[cold]
    fn error_at(&self, kind: ErrorKind, word: usize, types: usize) -> Error {
        let id = TypeId(self.first_id.saturating_add(types as u32));
        let offset = word.saturating_mul(WORD).saturating_add(self.types_at);
        Error::new(kind, Some(id), offset)
    }

    fn bad_string(&self, at: u32) -> ErrorKind {
        ErrorKind::StringOffset {
            at,
            len: u64::from(self.end_str()),
            hint: self.hint(),
        }
    }

    fn hint(&self) -> &'static str {
        match self.base {
            Some(_) => "; the base may be another kernel's",
            None => "; if this is split BTF (of a module), give its base",
        }
    }

    /// The type of this id. An id that is not of this BTF gives `void`.
    #[inline]
    pub fn ty(&self, id: TypeId) -> Type<'_> {
        let Some(own) = id.0.checked_sub(self.first_id) else {
            return self.base.map_or(Type::VOID, |base| base.ty(id));
        };
        let place = self.index.get(own as usize);
        place
            .and_then(|at| self.read(id, *at))
            .unwrap_or(Type::VOID)
    }

    #[inline]
    fn read(&self, id: TypeId, place: Place) -> Option<Type<'_>> {
        let rest = self.words.get(place.at()..)?;
        let (&[name, info, size_or_type], rest) = rest.split_first_chunk::<COMMON>()?;
        let info = Info(read_word(info));
        let kind = place.kind();
        let tail = rest.get(..tail_words(kind, info))?;
        Some(Type {
            id,
            kind,
            name: StrOffset(read_word(name)),
            info,
            size_or_type: read_word(size_or_type),
            tail,
        })
    }

    /// Where a type of this BTF's own lies.
    #[inline(always)]
    pub(super) fn place(&self, id: TypeId) -> Option<&Place> {
        let own = id.0.checked_sub(self.first_id)?;
        self.index.get(own as usize)
    }

    /// The kind of the type of this id, without reading the rest of it.
    #[inline]
    pub fn kind(&self, id: TypeId) -> Kind {
        let Some(own) = id.0.checked_sub(self.first_id) else {
            return self.base.map_or(Kind::Void, |base| base.kind(id));
        };
        self.index
            .get(own as usize)
            .map_or(Kind::Void, |p| p.kind())
    }

    /// Calls `each` for this BTF's own types of some of these kinds, by rising id, until it fails.
    #[inline]
    pub(crate) fn each_of<E>(
        &self,
        kinds: KindSet,
        mut each: impl FnMut(Type<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let mut first = self.first_id;
        for block in self.index.chunks(64) {
            // Sorted out without a branch: kinds follow each other in no foreseeable order.
            let mut found: u64 = 0;
            for (n, place) in block.iter().enumerate() {
                found |= u64::from(place.is_of(kinds)) << n;
            }
            while found != 0 {
                let n = found.trailing_zeros();
                found &= found.wrapping_sub(1);
                let id = TypeId(first.wrapping_add(n));
                let place = block.get(n as usize);
                each(
                    place
                        .and_then(|at| self.read(id, *at))
                        .unwrap_or(Type::VOID),
                )?;
            }
            first = first.wrapping_add(64);
        }
        Ok(())
    }

    /// The id behind the last of this BTF's own types of some of these kinds; the first id if there is none.
    pub(crate) fn end_of(&self, kinds: KindSet) -> TypeId {
        let last = self.index.iter().rposition(|at| at.is_of(kinds));
        let types = last.map_or(0, |n| n.saturating_add(1));
        TypeId(self.first_id.saturating_add(types as u32))
    }

    /// For each of this BTF's own types, by rising id, whether it is of one of these kinds.
    pub(crate) fn own_are(&self, kinds: KindSet) -> impl Iterator<Item = bool> {
        self.index.iter().map(move |at| at.is_of(kinds))
    }

    /// This BTF's own types, by rising id; a base's are not among them.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type<'_>> {
        self.own_ids().map(|id| self.ty(id))
    }

    /// The ids of this BTF's own types.
    pub fn own_ids(&self) -> impl ExactSizeIterator<Item = TypeId> + use<> {
        let (first, len) = (self.first_id, self.index.len() as u32);
        (0..len).map(move |n| TypeId(first.wrapping_add(n)))
    }

    /// The type that a PTR, TYPEDEF or modifier refers to: [`Type::target`] without reading the rest.
    #[inline]
    pub(crate) fn target(&self, id: TypeId) -> TypeId {
        match id.0.checked_sub(self.first_id) {
            Some(own) => {
                let place = self.index.get(own as usize);
                let word = place.and_then(|p| self.words.get(p.at().saturating_add(2)));
                TypeId(word.map_or(0, |w| read_word(*w)))
            }
            None => self.base.map_or(TypeId::VOID, |base| base.target(id)),
        }
    }

    /// The bytes of a name, without the NUL; empty for none and for an offset that is not of this BTF.
    #[inline]
    pub fn name(&self, at: StrOffset) -> &'d [u8] {
        let tail = self.name_tail(at);
        let len = tail.iter().position(|b| *b == 0).unwrap_or(tail.len());
        tail.get(..len).unwrap_or_default()
    }

    /// Whether there is a name at this offset, and not the empty string.
    #[inline]
    pub fn is_named(&self, at: StrOffset) -> bool {
        !at.is_none() && self.name_tail(at).first() != Some(&0)
    }

    /// Whether a name elsewhere than at offset 0 may be the empty string. Where none is, [`Btf::is_named`]
    /// need not look at the strings.
    pub(crate) fn has_blank_names(&self) -> bool {
        let blank = || has_blank(self.strings, self.base);
        *self.blank_names.get_or_init(blank)
    }

    /// From a name's first byte to the end of the strings: the name ends at the first NUL. For readers that
    /// look at a name once, as they copy it.
    #[inline]
    pub(crate) fn name_tail(&self, at: StrOffset) -> &'d [u8] {
        match at.0.checked_sub(self.first_str) {
            Some(own) => self.strings.get(own as usize..).unwrap_or_default(),
            None => self.base.map_or(&[], |base| base.name_tail(at)),
        }
    }

    /// The first bytes of a name and what lies behind it, where the strings do not end before that: a quicker
    /// [`Btf::name_tail`].
    #[inline(always)]
    pub(crate) fn name_block<const N: usize>(&self, at: StrOffset) -> Option<&'d [u8; N]> {
        match at.0.checked_sub(self.first_str) {
            Some(own) => self.strings.get(own as usize..)?.first_chunk(),
            None => self.name_block_of_base(at),
        }
    }

    #[inline(never)]
    fn name_block_of_base<const N: usize>(&self, at: StrOffset) -> Option<&'d [u8; N]> {
        self.base?.name_tail(at).first_chunk()
    }

    /// The BTF that this one goes on from.
    pub fn base(&self) -> Option<&'d Btf<'d>> {
        self.base
    }

    /// The byte order of the machine described.
    pub fn byte_order(&self) -> ByteOrder {
        self.order
    }

    /// Bytes in a pointer: those of the INT that is called `long` or the like (BTF says it nowhere else),
    /// 8 where there is none.
    pub fn pointer_size(&self) -> u32 {
        self.long_size.unwrap_or(8)
    }

    /// The id that the first type of a BTF on top of this one would have; ids below it are in use.
    pub fn end_id(&self) -> u32 {
        self.first_id.saturating_add(self.index.len() as u32)
    }

    /// The id of this BTF's first own type.
    pub fn first_id(&self) -> TypeId {
        TypeId(self.first_id)
    }

    /// Length of the strings, a base's included.
    pub fn end_str(&self) -> u32 {
        self.first_str.saturating_add(self.strings.len() as u32)
    }

    /// The byte of the blob at which a type starts, for messages; of the base's blob for a base's type.
    pub fn offset(&self, id: TypeId) -> usize {
        match id.0.checked_sub(self.first_id) {
            Some(own) => {
                let word = self.index.get(own as usize).map_or(0, |p| p.at());
                word.saturating_mul(WORD).saturating_add(self.types_at)
            }
            None => self.base.map_or(0, |base| base.offset(id)),
        }
    }
}

/// A big-endian type section in little-endian words: it is words throughout.
fn swapped(types: &[u8]) -> Vec<Word> {
    let words = types.as_chunks::<WORD>().0.iter();
    words.map(|[a, b, c, d]| [*d, *c, *b, *a]).collect()
}

/// Whether a string behind the first is empty: one NUL follows another.
fn has_blank(strings: &[u8], base: Option<&Btf<'_>>) -> bool {
    if base.is_some_and(|b| b.has_blank_names() || strings.first() == Some(&0)) {
        return true;
    }
    // Each byte beside the next.
    let next = strings.get(1..).unwrap_or_default();
    let (blocks, next) = (strings.as_chunks::<16>().0, next.as_chunks::<16>().0);
    let block = |block: &[u8; 16]| i8x16::new(block.map(|b| b as i8));
    let mut pairs = i8x16::splat(0);
    for (here, next) in blocks.iter().zip(next) {
        pairs |= (block(here) | block(next)).simd_eq(i8x16::splat(0));
    }
    let read = next.as_flattened().len();
    let rest = strings.get(read..).unwrap_or_default();
    pairs.any() || rest.windows(2).any(|pair| pair == [0, 0])
}

/// Whether some string may be longer than any name: such a one holds two bytes that lie so far apart.
fn has_long(strings: &[u8]) -> bool {
    let mut rest = strings;
    while let Some((near, far)) = rest.split_at_checked(MAX_NAME / 2) {
        // Where one string ends in each half of that, none is so long.
        if !near.contains(&0) {
            return true;
        }
        rest = far;
    }
    false
}

/// Longer names are refused. The kernel allows 511 bytes (`KSYM_NAME_LEN`); names share their strings, so
/// that a small blob with long ones could ask for any amount of work.
const MAX_NAME: usize = 2048;

/// The names under which compilers call C's `long` in debug information.
pub(crate) fn is_long(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 8] = [
        b"long",
        b"long int",
        b"int long",
        b"unsigned long",
        b"long unsigned",
        b"unsigned long int",
        b"long unsigned int",
        b"int long unsigned",
    ];
    NAMES.contains(&name)
}
