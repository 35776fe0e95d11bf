//! The types as they are read: cheap views into the type section.

use super::wire::{Info, WORD, Word, read_word};
use std::fmt;

/// A type's number. 0 is `void`; a split BTF goes on where its base ends.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct TypeId(pub u32);

impl TypeId {
    /// The type id of `void`.
    pub const VOID: TypeId = TypeId(0);
}

impl fmt::Display for TypeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A place in the string section. 0 is the empty string: no name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
pub struct StrOffset(pub u32);

impl StrOffset {
    /// Whether this is the empty string at offset 0. (A name elsewhere can be empty too.)
    pub fn is_none(self) -> bool {
        self.0 == 0
    }
}

/// The byte order of the machine that the BTF describes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ByteOrder {
    /// Least significant byte first: x86, arm, riscv, ppc64le.
    Little,
    /// Most significant byte first: s390x.
    Big,
}

impl fmt::Display for ByteOrder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ByteOrder::Little => "little",
            ByteOrder::Big => "big",
        })
    }
}

/// What a type is: `BTF_KIND_*` of `include/uapi/linux/btf.h`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[repr(u8)]
#[allow(missing_docs)]
pub enum Kind {
    Void = 0,
    Int = 1,
    Ptr = 2,
    Array = 3,
    Struct = 4,
    Union = 5,
    Enum = 6,
    Fwd = 7,
    Typedef = 8,
    Volatile = 9,
    Const = 10,
    Restrict = 11,
    Func = 12,
    FuncProto = 13,
    Var = 14,
    Datasec = 15,
    Float = 16,
    DeclTag = 17,
    TypeTag = 18,
    Enum64 = 19,
    /// A kind newer than this reader, whose size the BTF's layout section tells.
    Unknown = 255,
}

impl Kind {
    /// The kind whose number ends in these five bits.
    #[inline]
    pub(super) const fn from_low_bits(raw: u32) -> Kind {
        use Kind::*;
        const ALL: [Kind; 32] = [
            Void, Int, Ptr, Array, Struct, Union, Enum, Fwd, Typedef, Volatile, Const, Restrict,
            Func, FuncProto, Var, Datasec, Float, DeclTag, TypeTag, Enum64, Unknown, Unknown,
            Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown, Unknown,
            Unknown,
        ];
        // Five bits are less than 32.
        #[allow(clippy::indexing_slicing)]
        ALL[(raw & 31) as usize]
    }

    /// The kernel's name of the kind, without `BTF_KIND_`.
    pub fn name(self) -> &'static str {
        use Kind::*;
        match self {
            Void => "VOID",
            Int => "INT",
            Ptr => "PTR",
            Array => "ARRAY",
            Struct => "STRUCT",
            Union => "UNION",
            Enum => "ENUM",
            Fwd => "FWD",
            Typedef => "TYPEDEF",
            Volatile => "VOLATILE",
            Const => "CONST",
            Restrict => "RESTRICT",
            Func => "FUNC",
            FuncProto => "FUNC_PROTO",
            Var => "VAR",
            Datasec => "DATASEC",
            Float => "FLOAT",
            DeclTag => "DECL_TAG",
            TypeTag => "TYPE_TAG",
            Enum64 => "ENUM64",
            Unknown => "UNKNOWN",
        }
    }

    /// STRUCT or UNION.
    pub fn is_record(self) -> bool {
        matches!(self, Kind::Struct | Kind::Union)
    }

    /// ENUM or ENUM64.
    pub fn is_enum(self) -> bool {
        matches!(self, Kind::Enum | Kind::Enum64)
    }

    /// Whether the word behind a type's info is the id of another type, not a size.
    #[inline]
    pub const fn refers(self) -> bool {
        matches!(
            self,
            Kind::Ptr
                | Kind::Typedef
                | Kind::Volatile
                | Kind::Const
                | Kind::Restrict
                | Kind::Func
                | Kind::FuncProto
                | Kind::Var
                | Kind::DeclTag
                | Kind::TypeTag
        )
    }

    /// CONST, VOLATILE, RESTRICT or TYPE_TAG: says something of the type it points at, and nothing more.
    pub fn is_modifier(self) -> bool {
        matches!(
            self,
            Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag
        )
    }
}

/// Some kinds: a bit for each.
#[derive(Clone, Copy)]
pub(crate) struct KindSet(pub(super) u32);

impl KindSet {
    #[allow(clippy::indexing_slicing, clippy::arithmetic_side_effects)]
    pub const fn of(kinds: &[Kind]) -> KindSet {
        let mut bits = 0;
        let mut n = 0;
        while n < kinds.len() {
            bits |= 1 << (kinds[n] as u32 & 31);
            n += 1;
        }
        KindSet(bits)
    }
}

/// One type: a view into the BTF it was read from.
#[derive(Clone, Copy)]
pub struct Type<'b> {
    pub(super) id: TypeId,
    pub(super) kind: Kind,
    pub(super) name: StrOffset,
    pub(super) info: Info,
    pub(super) size_or_type: u32,
    pub(super) tail: &'b [Word],
}

impl<'b> Type<'b> {
    pub(super) const VOID: Type<'static> = Type {
        id: TypeId::VOID,
        kind: Kind::Void,
        name: StrOffset(0),
        info: Info(0),
        size_or_type: 0,
        tail: &[],
    };

    /// The type's own id.
    pub fn id(&self) -> TypeId {
        self.id
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Where its name is; see [`super::Btf::name`].
    pub fn name(&self) -> StrOffset {
        self.name
    }

    /// The `kind_flag` bit: bit-field sizes in member offsets (STRUCT, UNION), signed (ENUM, ENUM64), a
    /// union (FWD), an attribute rather than a tag (DECL_TAG, TYPE_TAG).
    pub fn kind_flag(&self) -> bool {
        self.info.kind_flag()
    }

    /// How many members, enumerators, parameters or variables follow.
    pub fn vlen(&self) -> u32 {
        self.info.vlen()
    }

    /// Size in bytes of an INT, STRUCT, UNION, ENUM, ENUM64, FLOAT or DATASEC; 0 for others.
    pub fn size(&self) -> u32 {
        match self.kind {
            Kind::Int
            | Kind::Struct
            | Kind::Union
            | Kind::Enum
            | Kind::Enum64
            | Kind::Float
            | Kind::Datasec => self.size_or_type,
            _ => 0,
        }
    }

    /// The type that a PTR, TYPEDEF, VOLATILE, CONST, RESTRICT, FUNC, VAR, DECL_TAG or TYPE_TAG refers to,
    /// and a FUNC_PROTO returns; `void` for others.
    pub fn target(&self) -> TypeId {
        match self.kind.refers() {
            true => TypeId(self.size_or_type),
            false => TypeId::VOID,
        }
    }

    /// How an INT is encoded; `None` for other kinds.
    pub fn int(&self) -> Option<Int> {
        match (self.kind, self.tail) {
            (Kind::Int, [word, ..]) => Some(Int {
                size: self.size_or_type,
                raw: read_word(*word),
            }),
            _ => None,
        }
    }

    /// An ARRAY's element, index type and count; `None` for other kinds.
    pub fn array(&self) -> Option<Array> {
        match (self.kind, self.tail) {
            (Kind::Array, [element, index, count, ..]) => Some(Array {
                element: TypeId(read_word(*element)),
                index: TypeId(read_word(*index)),
                count: read_word(*count),
            }),
            _ => None,
        }
    }

    /// The members of a STRUCT or UNION, as they were declared; none for other kinds.
    pub fn members(&self) -> impl ExactSizeIterator<Item = Member> + Clone + use<'b> {
        let flag = self.kind_flag();
        self.rows::<3>(self.kind.is_record())
            .iter()
            .map(move |&[name, ty, offset]| {
                let offset = read_word(offset);
                // With kind_flag, the upper 8 bits are the bit-field's width (btf.rst, 2.2.4).
                let (width, bit_offset) = if flag {
                    ((offset >> 24) as u8, offset & 0x00ff_ffff)
                } else {
                    (0, offset)
                };
                Member {
                    name: StrOffset(read_word(name)),
                    ty: TypeId(read_word(ty)),
                    bit_offset,
                    width,
                }
            })
    }

    /// The enumerators of an ENUM or ENUM64; none for other kinds. Values are sign-extended where the enum
    /// is signed (kernels before 6.0 say so of none).
    pub fn enumerators(&self) -> impl ExactSizeIterator<Item = Enumerator> + Clone + use<'b> {
        let signed = self.kind_flag();
        let wide = self.kind == Kind::Enum64;
        let width = if wide { 3 } else { 2 };
        let words: &'b [Word] = if self.kind.is_enum() { self.tail } else { &[] };
        words.chunks_exact(width).map(move |row| {
            let word = |n: usize| row.get(n).map_or(0, |w| read_word(*w));
            let low = word(1);
            let high = match wide {
                true => word(2),
                // Extended by the sign, if it has one.
                false if signed => ((low as i32) >> 31) as u32,
                false => 0,
            };
            let value = u64::from(low) | u64::from(high) << 32;
            Enumerator {
                name: StrOffset(word(0)),
                value: match signed {
                    true => i128::from(value as i64),
                    false => i128::from(value),
                },
            }
        })
    }

    /// The parameters of a FUNC_PROTO; none for other kinds. A last one without name and type is `...`.
    pub fn params(&self) -> impl ExactSizeIterator<Item = Param> + Clone + use<'b> {
        self.rows::<2>(self.kind == Kind::FuncProto)
            .iter()
            .map(move |&[name, ty]| Param {
                name: StrOffset(read_word(name)),
                ty: TypeId(read_word(ty)),
            })
    }

    /// The variables of a DATASEC; none for other kinds.
    pub fn section_vars(&self) -> impl ExactSizeIterator<Item = SectionVar> + Clone + use<'b> {
        self.rows::<3>(self.kind == Kind::Datasec)
            .iter()
            .map(move |&[ty, offset, size]| SectionVar {
                ty: TypeId(read_word(ty)),
                offset: read_word(offset),
                size: read_word(size),
            })
    }

    /// What a DECL_TAG is about: `None` for the whole target, else the member's or parameter's number.
    pub fn component(&self) -> Option<u32> {
        match (self.kind, self.tail) {
            (Kind::DeclTag, [word, ..]) => match read_word(*word) {
                u32::MAX => None,
                n => Some(n),
            },
            _ => None,
        }
    }

    fn rows<const N: usize>(&self, applies: bool) -> &'b [[Word; N]] {
        if applies {
            self.tail.as_chunks::<N>().0
        } else {
            &[]
        }
    }

    /// Every type id that this type names, in order, `void` included.
    pub fn references(&self) -> impl Iterator<Item = TypeId> + use<'b> {
        let direct = self.kind.refers().then(|| self.target());
        let array = self.array();
        direct
            .into_iter()
            .chain(array.into_iter().flat_map(|a| [a.element, a.index]))
            .chain(self.members().map(|m| m.ty))
            .chain(self.params().map(|p| p.ty))
            .chain(self.section_vars().map(|v| v.ty))
    }
}

/// How an INT is encoded (btf.rst, 2.2.1).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Int {
    /// Size in bytes.
    pub size: u32,
    raw: u32,
}

impl Int {
    /// Bits that carry the value; fewer than 8 × size only in the bit-fields of old BTF.
    pub fn bits(&self) -> u32 {
        self.raw & 0xff
    }

    /// Where the value starts, in bits; other than 0 only in the bit-fields of old BTF.
    pub fn bit_offset(&self) -> u32 {
        self.raw >> 16 & 0xff
    }

    /// Signed.
    pub fn is_signed(&self) -> bool {
        self.raw & 1 << 24 != 0
    }

    /// A character type.
    pub fn is_char(&self) -> bool {
        self.raw & 1 << 25 != 0
    }

    /// A boolean.
    pub fn is_bool(&self) -> bool {
        self.raw & 1 << 26 != 0
    }
}

/// An ARRAY.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Array {
    /// The element's type.
    pub element: TypeId,
    /// The index' type; C has no use for it.
    pub index: TypeId,
    /// How many elements; 0 for a flexible array too.
    pub count: u32,
}

/// A member of a STRUCT or UNION.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Member {
    /// Its name; none for an unnamed record.
    pub name: StrOffset,
    /// Its type.
    pub ty: TypeId,
    /// Where it starts, in bits from the record's start; on a big-endian machine from the most significant.
    pub bit_offset: u32,
    /// Width in bits of a bit-field, 0 for any other member. (Old BTF says it in the INT instead.)
    pub width: u8,
}

/// An enumerator.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Enumerator {
    /// Its name.
    pub name: StrOffset,
    /// Its value, in the range of `i64` or `u64`.
    pub value: i128,
}

/// A parameter of a FUNC_PROTO.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Param {
    /// Its name, where known.
    pub name: StrOffset,
    /// Its type; `void` without a name, in the last place, is `...`.
    pub ty: TypeId,
}

/// A variable in a DATASEC.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SectionVar {
    /// Its VAR (or FUNC).
    pub ty: TypeId,
    /// Its offset in the section, in bytes.
    pub offset: u32,
    /// Its size in bytes.
    pub size: u32,
}

const _: () = assert!(WORD == 4);
