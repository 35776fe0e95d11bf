//! The parser: one pass over the type section that checks every reference and remembers where types lie.

use super::error::{Error, ErrorKind};
use super::types::{ByteOrder, Kind, StrOffset, Type, TypeId};
use super::wire::{self, Info, Sections, WORD, Word, read_word};

/// The types of one kernel, module or program: parsed and checked BTF.
///
/// It borrows the bytes it was parsed from, and a split BTF its base.
pub struct Btf<'d> {
    words: &'d [Word],
    types_at: usize,
    strings: &'d [u8],
    order: ByteOrder,
    base: Option<&'d Btf<'d>>,
    first_id: u32,
    first_str: u32,
    /// Where each of our own types starts in `words`.
    index: Vec<u32>,
    /// Size of a `long`, where an INT of that name tells.
    long_size: Option<u32>,
}

/// Words that every type begins with: name, info, and size or type.
const COMMON: usize = 3;

impl<'d> Btf<'d> {
    /// Parses a raw BTF blob that stands alone, such as `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    /// What is wrong, in which type, at which byte. Every type id, string offset and section is checked.
    pub fn parse(blob: &'d [u8]) -> Result<Btf<'d>, Error> {
        Btf::new(blob, None)
    }

    /// Parses a raw split BTF blob, such as `/sys/kernel/btf/<module>`, whose type ids and strings go on
    /// from those of `base`.
    ///
    /// # Errors
    /// As [`Btf::parse`], and when the two are of different byte order.
    pub fn parse_split(blob: &'d [u8], base: &'d Btf<'d>) -> Result<Btf<'d>, Error> {
        Btf::new(blob, Some(base))
    }

    fn new(blob: &'d [u8], base: Option<&'d Btf<'d>>) -> Result<Btf<'d>, Error> {
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
            words: types.as_chunks::<WORD>().0,
            types_at,
            strings,
            order,
            base,
            first_id,
            first_str,
            index: Vec::new(),
            long_size: None,
        };
        if u32::try_from(u64::from(first_str).saturating_add(strings.len() as u64)).is_err() {
            return Err(Error::new(ErrorKind::TooLarge, None, strings_at));
        }
        btf.read_types(layout)?;
        Ok(btf)
    }

    /// Walks the type section once: sizes, names and references are checked, starts are remembered.
    fn read_types(&mut self, layout: &[u8]) -> Result<(), Error> {
        let words = self.words;
        let end_str = self.end_str();
        // Most types are 3 to 8 words long; a wrong guess costs a reallocation, not memory out of hand.
        let mut index: Vec<u32> = Vec::with_capacity(words.len() / 6);
        let mut at = 0usize;
        // References may point forward, so the largest is kept and judged once the last id is known.
        let (mut largest, mut largest_in) = (0u32, 0usize);
        let mut longs = [false; 2];
        while at < words.len() {
            let here = |kind: ErrorKind, word: usize, index: &[u32]| {
                let id = TypeId(self.first_id.saturating_add(index.len() as u32));
                let offset = word.saturating_mul(WORD).saturating_add(self.types_at);
                Error::new(kind, Some(id), offset)
            };
            let truncated = |what, need: usize| ErrorKind::Truncated {
                what,
                need: need.saturating_mul(WORD) as u64,
                have: words.len().saturating_sub(at).saturating_mul(WORD) as u64,
            };
            let rest = words.get(at..).unwrap_or_default();
            let Some((&[name, info, size_or_type], rest)) = rest.split_first_chunk::<COMMON>()
            else {
                return Err(here(truncated("a type", COMMON), at, &index));
            };
            let info = Info(read_word(info, self.order));
            let size_or_type = read_word(size_or_type, self.order);
            let vlen = info.vlen() as usize;
            let (kind, tail_len) = match Kind::known(info.kind()) {
                Some(kind) => (kind, tail_words(kind, vlen)),
                None => match wire::layout_of(layout, info.kind()) {
                    Some((once, each)) => {
                        let bytes = (each as usize)
                            .saturating_mul(vlen)
                            .saturating_add(once as usize);
                        (Kind::Unknown, bytes.div_ceil(WORD))
                    }
                    None => {
                        let word = at.saturating_add(1);
                        return Err(here(ErrorKind::UnknownKind(info.kind()), word, &index));
                    }
                },
            };
            let Some(tail) = rest.get(..tail_len) else {
                let need = COMMON.saturating_add(tail_len);
                return Err(here(
                    truncated("a type and what belongs to it", need),
                    at,
                    &index,
                ));
            };
            let (refs, strs) = references(kind, size_or_type, tail, self.order);
            if refs > largest {
                (largest, largest_in) = (refs, index.len());
            }
            let name = read_word(name, self.order);
            let strs = strs.max(name);
            if strs >= end_str && strs > 0 {
                return Err(here(self.bad_string(strs), at, &index));
            }
            if matches!(kind, Kind::Typedef) && self.name(StrOffset(name)).is_empty() {
                return Err(here(ErrorKind::Unnamed("typedef"), at, &index));
            }
            if kind == Kind::Int && is_long(self.name(StrOffset(name))) {
                match size_or_type {
                    4 => longs = [true, longs[1]],
                    8 => longs = [longs[0], true],
                    _ => {}
                }
            }
            index.push(at as u32);
            at = at.saturating_add(COMMON).saturating_add(tail_len);
        }
        self.index = index;
        // Said by contents alone, whatever the order of the types: 64 bits if any `long` has them.
        self.long_size = match longs {
            [_, true] => Some(8),
            [true, false] => Some(4),
            [false, false] => self.base.and_then(|b| b.long_size),
        };
        let last = self
            .first_id
            .checked_add(self.index.len() as u32)
            .ok_or(Error::new(ErrorKind::TooLarge, None, self.types_at))?
            .saturating_sub(1);
        if largest > last {
            let id = TypeId(self.first_id.saturating_add(largest_in as u32));
            let kind = ErrorKind::TypeId {
                id: TypeId(largest),
                last: TypeId(last),
                hint: self.hint(),
            };
            return Err(Error::new(kind, Some(id), self.offset(id)));
        }
        Ok(())
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
    pub fn ty(&self, id: TypeId) -> Type<'d> {
        let Some(own) = id.0.checked_sub(self.first_id) else {
            return self.base.map_or(Type::VOID, |base| base.ty(id));
        };
        self.read(id, own).unwrap_or(Type::VOID)
    }

    #[inline]
    fn read(&self, id: TypeId, own: u32) -> Option<Type<'d>> {
        let at = *self.index.get(own as usize)? as usize;
        let rest = self.words.get(at..)?;
        let (&[name, info, size_or_type], rest) = rest.split_first_chunk::<COMMON>()?;
        let info = Info(read_word(info, self.order));
        let kind = Kind::known(info.kind()).unwrap_or(Kind::Unknown);
        let tail = rest.get(..tail_words(kind, info.vlen() as usize))?;
        Some(Type {
            id,
            kind,
            name: StrOffset(read_word(name, self.order)),
            info,
            size_or_type: read_word(size_or_type, self.order),
            tail,
            order: self.order,
        })
    }

    /// The kind of the type of this id, without reading the rest of it.
    #[inline]
    pub fn kind(&self, id: TypeId) -> Kind {
        let Some(own) = id.0.checked_sub(self.first_id) else {
            return self.base.map_or(Kind::Void, |base| base.kind(id));
        };
        let info = self
            .index
            .get(own as usize)
            .and_then(|at| self.words.get((*at as usize).saturating_add(1)));
        match info {
            Some(word) => {
                Kind::known(Info(read_word(*word, self.order)).kind()).unwrap_or(Kind::Unknown)
            }
            None => Kind::Void,
        }
    }

    /// This BTF's own types, by rising id; a base's are not among them.
    pub fn types(&self) -> impl ExactSizeIterator<Item = Type<'d>> + '_ {
        self.own_ids().map(|id| self.ty(id))
    }

    /// The ids of this BTF's own types.
    pub fn own_ids(&self) -> impl ExactSizeIterator<Item = TypeId> + use<> {
        let (first, len) = (self.first_id, self.index.len() as u32);
        (0..len).map(move |n| TypeId(first.wrapping_add(n)))
    }

    /// The bytes of a name, without the NUL; empty for none and for an offset that is not of this BTF.
    pub fn name(&self, at: StrOffset) -> &'d [u8] {
        let tail = self.name_tail(at);
        let len = tail.iter().position(|b| *b == 0).unwrap_or(tail.len());
        tail.get(..len).unwrap_or_default()
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
                let word = self.index.get(own as usize).copied().unwrap_or(0) as usize;
                word.saturating_mul(WORD).saturating_add(self.types_at)
            }
            None => self.base.map_or(0, |base| base.offset(id)),
        }
    }
}

/// Words that belong to a type, behind the common three.
#[inline]
fn tail_words(kind: Kind, vlen: usize) -> usize {
    match kind {
        Kind::Int | Kind::Var | Kind::DeclTag => 1,
        Kind::Array => 3,
        Kind::Struct | Kind::Union | Kind::Datasec | Kind::Enum64 => vlen.saturating_mul(3),
        Kind::Enum | Kind::FuncProto => vlen.saturating_mul(2),
        _ => 0,
    }
}

/// The largest type id and the largest string offset that a type names, besides its own name.
#[inline]
fn references(kind: Kind, size_or_type: u32, tail: &[Word], order: ByteOrder) -> (u32, u32) {
    let word = |w: Word| read_word(w, order);
    match kind {
        Kind::Ptr
        | Kind::Typedef
        | Kind::Volatile
        | Kind::Const
        | Kind::Restrict
        | Kind::Func
        | Kind::Var
        | Kind::DeclTag
        | Kind::TypeTag => (size_or_type, 0),
        Kind::Array => match tail {
            [element, index, ..] => (word(*element).max(word(*index)), 0),
            _ => (0, 0),
        },
        Kind::Struct | Kind::Union => {
            let rows = tail.as_chunks::<3>().0;
            rows.iter().fold((0, 0), |(t, s), [name, ty, _]| {
                (t.max(word(*ty)), s.max(word(*name)))
            })
        }
        Kind::FuncProto => {
            let rows = tail.as_chunks::<2>().0;
            rows.iter().fold((size_or_type, 0), |(t, s), [name, ty]| {
                (t.max(word(*ty)), s.max(word(*name)))
            })
        }
        Kind::Enum => {
            let rows = tail.as_chunks::<2>().0;
            (
                0,
                rows.iter().map(|[name, _]| word(*name)).max().unwrap_or(0),
            )
        }
        Kind::Enum64 => {
            let rows = tail.as_chunks::<3>().0;
            (
                0,
                rows.iter().map(|[name, ..]| word(*name)).max().unwrap_or(0),
            )
        }
        Kind::Datasec => {
            let rows = tail.as_chunks::<3>().0;
            (rows.iter().map(|[ty, ..]| word(*ty)).max().unwrap_or(0), 0)
        }
        _ => (0, 0),
    }
}

/// The names under which compilers call C's `long` in debug information.
fn is_long(name: &[u8]) -> bool {
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
