//! Declarators: a type around a name, as C writes it.

use super::defs::{Def, DefClass, Slot};
use super::error::{Error, in_words};
use super::layout::{ends_in, shape};
use super::names;
use super::order::MAX_DEPTH;
use super::print::{ENUM, Mark, Printer, STRUCT, UNION};
use super::text::{Scan, scan};
use crate::btf::{Kind, TypeId};

/// What the text of a definition needs around or before it.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Names that are keywords from C23 on, by their number in [`names::C23`].
    pub c23: u16,
    /// Attributes, by their number in [`ATTRIBUTES`].
    pub attributes: u16,
    /// Qualified return types: meaningless, so compilers warn of them.
    pub ignored_qualifiers: bool,
    /// A function that compilers think they know.
    pub library: bool,
}

impl Wants {
    pub fn add(&mut self, more: Wants) {
        self.c23 |= more.c23;
        self.attributes |= more.attributes;
        self.ignored_qualifiers |= more.ignored_qualifiers;
        self.library |= more.library;
    }

    /// Whether all the macros of another are among these.
    pub fn has_macros(self, of: Wants) -> bool {
        of.c23 & !self.c23 == 0 && of.attributes & !self.attributes == 0
    }
}

/// The attributes that are printed: the tag's name, whether it is an attribute by itself (kind_flag), the
/// macro for it, what it stands for, and the condition under which the compiler has it.
pub(super) const ATTRIBUTES: &[(&[u8], bool, &str, &str, &str)] = &[
    tag(
        b"user",
        "__btfleet__tag_user",
        "__attribute__((btf_type_tag(\"user\")))",
    ),
    tag(
        b"percpu",
        "__btfleet__tag_percpu",
        "__attribute__((btf_type_tag(\"percpu\")))",
    ),
    tag(
        b"rcu",
        "__btfleet__tag_rcu",
        "__attribute__((btf_type_tag(\"rcu\")))",
    ),
    tag(
        b"kptr",
        "__btfleet__tag_kptr",
        "__attribute__((btf_type_tag(\"kptr\")))",
    ),
    tag(
        b"kptr_untrusted",
        "__btfleet__tag_kptr_untrusted",
        "__attribute__((btf_type_tag(\"kptr_untrusted\")))",
    ),
    tag(
        b"percpu_kptr",
        "__btfleet__tag_percpu_kptr",
        "__attribute__((btf_type_tag(\"percpu_kptr\")))",
    ),
    tag(
        b"uptr",
        "__btfleet__tag_uptr",
        "__attribute__((btf_type_tag(\"uptr\")))",
    ),
    (
        b"address_space(1)",
        true,
        "__btfleet__address_space_1",
        "__attribute__((address_space(1)))",
        "defined(__BPF_FEATURE_ADDR_SPACE_CAST)",
    ),
];

const fn tag(
    name: &'static [u8],
    macro_name: &'static str,
    text: &'static str,
) -> (
    &'static [u8],
    bool,
    &'static str,
    &'static str,
    &'static str,
) {
    (
        name,
        false,
        macro_name,
        text,
        "__has_attribute(btf_type_tag)",
    )
}

/// What a type is mentioned for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    /// There is an object of it: it must be whole.
    Object,
    /// A function returns it.
    Result,
    /// A pointer points to it, or a parameter is of it.
    Mention,
}

const CONST: u8 = 1;
const VOLATILE: u8 = 2;
const RESTRICT: u8 = 4;

impl Printer<'_, '_> {
    /// A declaration of something of type `id`, without the semicolon. Gives the name as it was read.
    #[inline]
    pub fn declare(&mut self, id: TypeId, tail: &[u8]) -> Result<Scan, Error> {
        let Some(spelling) = self.spelled.get(id) else {
            return self.spell(id, tail);
        };
        self.out.copy(spelling.before_tail(), spelling.before());
        let name = self.write_name(tail, 0);
        if let Some(spelling) = self.spelled.get(id) {
            self.out.bytes(spelling.behind());
        }
        Ok(name)
    }

    /// As [`Printer::declare`], for the first of its type where [`Printer::spell_new`] has not spelled it.
    fn spell(&mut self, id: TypeId, tail: &[u8]) -> Result<Scan, Error> {
        // What is wanted already would hide what this type wants.
        let wanted = std::mem::take(&mut self.wants);
        let (start, in_place) = (self.out.len(), self.in_place);
        self.prefix(id, 0, Role::Object, 0)?;
        let before = start..self.out.len();
        let by_type = std::mem::take(&mut self.wants);
        let name = self.write_name(tail, 0);
        let behind = self.out.len();
        let by_name = std::mem::take(&mut self.wants);
        self.suffix(id, 0)?;
        // A body depends on where it stands, and what is wanted has to be said each time.
        let wants_nothing = by_type == Wants::default() && self.wants == Wants::default();
        if wants_nothing && self.in_place == in_place && !self.out.is_full() {
            let text = self.out.as_bytes();
            self.spelled.keep(id, &text[before], &text[behind..]);
        }
        for wants in [wanted, by_type, by_name] {
            self.wants.add(wants);
        }
        Ok(name)
    }

    /// Prints what stands before the name where nothing stands behind it: of a plain type or a pointer to
    /// one, as most parameters are. False, and nothing printed, for any other.
    #[inline]
    fn simple(&mut self, id: TypeId) -> bool {
        let slot = self.defs.slot_of(id);
        if slot != 0 {
            if !self.is_plain(slot) {
                return false;
            }
            self.plain(slot);
            self.out.byte(b' ');
            return true;
        }
        if self.btf.kind(id) != Kind::Ptr {
            return false;
        }
        let mut target = self.btf.target(id);
        let is_const = self.btf.kind(target) == Kind::Const;
        if is_const {
            target = self.btf.target(target);
        }
        let slot = self.defs.slot_of(target);
        if !(slot != 0 && self.is_plain(slot) || target == TypeId::VOID) {
            return false;
        }
        if is_const {
            let def = self.defs.get(slot);
            if def.class == DefClass::Typedef && def.text == Kind::FuncProto as u32 {
                return false;
            }
            self.out.lit(b"const ");
        }
        match slot {
            0 => self.out.lit(b"void"),
            _ => self.plain(slot),
        }
        self.out.lit(b" *");
        true
    }

    /// A declaration of a definition's name as something of type `id`.
    pub fn declare_as(&mut self, id: TypeId, slot: Slot) -> Result<(), Error> {
        self.prefix(id, 0, Role::Object, 0)?;
        self.name_of(self.defs.get(slot));
        self.suffix(id, 0)
    }

    /// A function's prototype, its parameters named.
    pub fn prototype(&mut self, func: TypeId, tail: &[u8], suffix: u32) -> Result<(), Error> {
        let proto = self.btf.ty(func).target();
        if self.btf.kind(proto) != Kind::FuncProto {
            let what = format!("{} has no prototype", in_words(self.btf, func));
            return Err(Error::new(self.btf, func, what));
        }
        let result = self.btf.ty(proto).target();
        self.prefix(result, 0, Role::Result, 0)?;
        self.write_name(tail, suffix);
        self.parameters(proto, true, 0)?;
        self.suffix(result, 0)
    }

    /// A named record or enum, a typedef or an arithmetic type: one or two words.
    #[inline]
    pub fn is_plain(&self, slot: Slot) -> bool {
        let def = self.defs.get(slot);
        match def.class {
            DefClass::Typedef | DefClass::Arithmetic => true,
            DefClass::Enum => self.is_named(def) && !def.is(Def::INCOMPLETE),
            _ => self.is_named(def),
        }
    }

    #[inline]
    fn plain(&mut self, slot: Slot) {
        let def = self.defs.get(slot);
        match def.class {
            DefClass::Typedef => {}
            DefClass::Struct => self.out.word(&STRUCT),
            DefClass::Union => self.out.word(&UNION),
            DefClass::Enum => self.out.word(&ENUM),
            DefClass::Arithmetic => {
                self.out.word(&self.defs.texts[def.text as usize]);
                return;
            }
        }
        self.name_of(def);
    }

    /// All that stands before the name.
    fn prefix(
        &mut self,
        id: TypeId,
        mut qualifiers: u8,
        role: Role,
        depth: u32,
    ) -> Result<(), Error> {
        if depth > MAX_DEPTH {
            let what = format!(
                "{} is nested too deep for a C compiler",
                in_words(self.btf, id)
            );
            return Err(Error::new(self.btf, id, what));
        }
        let ty = self.btf.ty(id);
        if qualifiers == 0
            && !(role == Role::Result && ty.kind().is_modifier())
            && let Some(spelling) = self.spelled.get(id)
        {
            self.out.copy(spelling.before_tail(), spelling.before());
            return Ok(());
        }
        match ty.kind() {
            Kind::Const => self.prefix(ty.target(), qualifiers | CONST, role, depth + 1),
            Kind::Volatile => self.prefix(ty.target(), qualifiers | VOLATILE, role, depth + 1),
            Kind::Restrict => self.prefix(ty.target(), qualifiers | RESTRICT, role, depth + 1),
            Kind::TypeTag => {
                self.prefix(ty.target(), qualifiers, role, depth + 1)?;
                // A function lies in no address space.
                let function = ends_in(self.btf, self.defs, id) == Kind::FuncProto as u32;
                if !(function && ty.kind_flag()) {
                    self.type_tag(ty.name(), ty.kind_flag());
                }
                Ok(())
            }
            Kind::Ptr => {
                let target = ty.target();
                let inner = self.btf.kind(self.unqualified(target));
                self.prefix(target, 0, Role::Mention, depth + 1)?;
                if matches!(inner, Kind::Array | Kind::FuncProto) {
                    self.out.byte(b'(');
                }
                self.out.byte(b'*');
                self.wants.ignored_qualifiers |= role == Role::Result && qualifiers != 0;
                self.qualifiers(qualifiers);
                Ok(())
            }
            Kind::Array => {
                let element = ty.array().map(|a| a.element).unwrap_or_default();
                self.prefix(element, qualifiers, Role::Object, depth + 1)
            }
            // const and volatile of a function type mean pure and noreturn; C has no such thing.
            Kind::FuncProto => self.prefix(ty.target(), 0, Role::Result, depth + 1),
            kind => {
                qualifiers &= !RESTRICT;
                if kind == Kind::Typedef
                    && ends_in(self.btf, self.defs, id) == Kind::FuncProto as u32
                {
                    qualifiers = 0;
                }
                self.wants.ignored_qualifiers |= role == Role::Result && qualifiers != 0;
                self.qualifiers(qualifiers);
                self.base(id, role)?;
                self.out.byte(b' ');
                Ok(())
            }
        }
    }

    #[inline]
    fn qualifiers(&mut self, qualifiers: u8) {
        for (bit, word) in [
            (CONST, "const "),
            (VOLATILE, "volatile "),
            (RESTRICT, "restrict "),
        ] {
            if qualifiers & bit != 0 {
                self.out.str(word);
            }
        }
    }

    /// The qualifiers in front of an unnamed member's record.
    pub fn qualifiers_of(&mut self, mut id: TypeId) {
        let mut qualifiers = 0;
        for _ in 0..MAX_DEPTH {
            qualifiers |= match self.btf.kind(id) {
                Kind::Const => CONST,
                Kind::Volatile => VOLATILE,
                Kind::Restrict | Kind::TypeTag | Kind::Typedef => 0,
                _ => break,
            };
            id = self.btf.target(id);
        }
        self.qualifiers(qualifiers);
    }

    /// The type at the end of a chain of pointers, arrays and prototypes.
    fn base(&mut self, id: TypeId, role: Role) -> Result<(), Error> {
        let kind = self.btf.kind(id);
        if kind == Kind::Void {
            self.out.lit(b"void");
            return Ok(());
        }
        let slot = self.defs.slot_of(id);
        if slot == 0 {
            let what = format!("{} is used as a type, but is none", in_words(self.btf, id));
            return Err(Error::new(self.btf, id, what));
        }
        let def = self.defs.get(slot);
        if self.is_plain(slot) {
            self.plain(slot);
        } else if def.class == DefClass::Enum {
            self.odd_enum(slot, role)?;
        } else {
            self.in_place += 1;
            self.record_keyword(def);
            self.record_body(slot)?;
        }
        Ok(())
    }

    /// An enum that has no name, or no enumerators.
    fn odd_enum(&mut self, slot: Slot, role: Role) -> Result<(), Error> {
        self.in_place += 1;
        let def = self.defs.get(slot);
        if def.is(Def::INCOMPLETE) && role != Role::Object {
            self.out.word(&ENUM);
            self.name_of(def);
            return Ok(());
        }
        if def.is(Def::INCOMPLETE) || (def.is(Def::BASE) && !def.is(Def::HOISTED)) {
            // Nobody can define it here, but its size is known.
            let unsigned = !self.btf.ty(def.id).kind_flag();
            match super::arithmetic::int_text(def.size, unsigned) {
                Some(text) => self.out.str(text),
                None => {
                    let what = format!(
                        "{} has {} bytes: C has no such enum",
                        in_words(self.btf, def.id),
                        def.size
                    );
                    return Err(Error::new(self.btf, def.id, what));
                }
            }
        } else if def.is(Def::HOISTED) {
            self.out.lit(b"__typeof__(");
            self.hoisted_name(slot);
            self.out.byte(b')');
        } else {
            self.out.lit(b"enum ");
            self.enum_body(slot)?;
        }
        Ok(())
    }

    /// The name of the variable that lends an unnamed enum its type.
    pub fn hoisted_name(&mut self, slot: Slot) {
        let first = self.btf.ty(self.defs.get(slot).id).enumerators().next();
        self.out.lit(b"__btfleet__enum_");
        if let Some(e) = first {
            let tail = self.btf.name_tail(e.name);
            let suffix = self.naming.suffix_of(slot, 0);
            let read = scan(tail);
            if read.plain || names::is_c23(&tail[..read.len]) {
                self.out.copy(tail, read.len);
                self.out.suffix(suffix);
            } else {
                self.write_name(tail, suffix);
            }
        }
    }

    /// All that stands behind the name.
    fn suffix(&mut self, id: TypeId, depth: u32) -> Result<(), Error> {
        let mut at = id;
        for _ in depth..=MAX_DEPTH {
            if let Some(spelling) = self.spelled.get(at) {
                self.out.bytes(spelling.behind());
                return Ok(());
            }
            let ty = self.btf.ty(at);
            at = match ty.kind() {
                Kind::Ptr => {
                    let target = self.unqualified(ty.target());
                    if matches!(self.btf.kind(target), Kind::Array | Kind::FuncProto) {
                        self.out.byte(b')');
                    }
                    target
                }
                Kind::Array => {
                    let Some(array) = ty.array() else {
                        return Ok(());
                    };
                    self.check_array(at)?;
                    self.out.byte(b'[');
                    self.out.number(u64::from(array.count));
                    self.out.byte(b']');
                    array.element
                }
                Kind::FuncProto => {
                    self.parameters(at, false, depth + 1)?;
                    if self.btf.kind(ty.target()) == Kind::Void {
                        return Ok(());
                    }
                    let result = ends_in(self.btf, self.defs, ty.target());
                    if result == Kind::Array as u32 || result == Kind::FuncProto as u32 {
                        let what =
                            format!("{} returns an array or a function", in_words(self.btf, at));
                        return Err(Error::new(self.btf, at, what));
                    }
                    ty.target()
                }
                Kind::Const | Kind::Volatile | Kind::Restrict | Kind::TypeTag => ty.target(),
                _ => return Ok(()),
            };
        }
        Ok(())
    }

    /// Refuses an array that is larger than an object can be.
    pub fn check_array(&self, id: TypeId) -> Result<(), Error> {
        let most = match self.btf.pointer_size() {
            4 => u64::from(u32::MAX >> 1),
            _ => u64::MAX >> 4,
        };
        let size = shape(self.btf, self.defs, id).size;
        if size <= most {
            return Ok(());
        }
        let what = format!(
            "{} of {size} bytes or more: no object is so large",
            in_words(self.btf, id)
        );
        Err(Error::new(self.btf, id, what))
    }

    fn unqualified(&self, mut id: TypeId) -> TypeId {
        for _ in 0..MAX_DEPTH {
            if !self.btf.kind(id).is_modifier() {
                break;
            }
            id = self.btf.target(id);
        }
        id
    }

    /// `(int a, …)`.
    fn parameters(&mut self, proto: TypeId, named: bool, depth: u32) -> Result<(), Error> {
        let ty = self.btf.ty(proto);
        let count = ty.params().len();
        self.check_length(proto)?;
        self.out.byte(b'(');
        if count == 0 {
            self.out.lit(b"void");
        }
        for (i, p) in ty.params().enumerate() {
            if i > 0 {
                self.out.lit(b", ");
            }
            if p.ty == TypeId::VOID && i + 1 == count {
                // Before C23, `...` needs a parameter before it; `()` says as much.
                if i > 0 {
                    self.out.lit(b"...");
                }
                break;
            }
            if let Some(spelling) = self.spelled.get(p.ty)
                && !named
            {
                self.out.copy(spelling.before_tail(), spelling.before());
                if self.out.last() == Some(b' ') {
                    self.out.take_back(1);
                }
                self.out.bytes(spelling.behind());
                continue;
            }
            let pointer = self.btf.kind(p.ty) == Kind::Ptr;
            if !pointer && ends_in(self.btf, self.defs, p.ty) == Kind::Void as u32 {
                let what = format!("{} has a parameter of type void", in_words(self.btf, proto));
                return Err(Error::new(self.btf, proto, what));
            }
            let simple = self.simple(p.ty);
            if !simple {
                self.prefix(p.ty, 0, Role::Mention, depth + 1)?;
            }
            let tail = self.btf.name_tail(p.name);
            let name = named.then(|| scan(tail)).filter(|name| name.len > 0);
            if name.is_some_and(|n| self.can_name(proto, i, &tail[..n.len])) {
                self.write_name(tail, 0);
            } else if self.out.last() == Some(b' ') {
                self.out.take_back(1);
            }
            if !simple {
                self.suffix(p.ty, depth + 1)?;
            }
        }
        self.out.byte(b')');
        Ok(())
    }

    /// Whether a parameter can bear its name: it hides no typedef, and no other parameter has it.
    fn can_name(&self, proto: TypeId, number: usize, name: &[u8]) -> bool {
        !self.defs.is_taken(self.btf, name, true)
            && self
                .btf
                .ty(proto)
                .params()
                .take(number.min(64))
                .all(|p| self.btf.name(p.name) != name)
            && number < 64
    }

    /// A definition's name with its suffix.
    #[inline]
    pub fn name_of(&mut self, def: &Def) {
        let tail = self.btf.name_tail(def.name);
        if def.is(Def::ESCAPED) {
            self.odd_name(&tail[..def.len as usize], def.suffix);
        } else {
            self.out.copy(tail, def.len as usize);
        }
        self.out.suffix(def.suffix);
    }

    /// A name, escaped where C wants it, with its suffix. Gives the name as it was read.
    #[inline]
    pub fn write_name(&mut self, tail: &[u8], suffix: u32) -> Scan {
        let name = self.out.name(tail);
        if !name.plain {
            self.out.take_back(name.len);
            self.odd_name(&tail[..name.len], suffix);
        }
        self.out.suffix(suffix);
        name
    }

    #[cold]
    fn odd_name(&mut self, name: &[u8], suffix: u32) {
        let c23 = names::C23.iter().position(|word| word.as_bytes() == name);
        match c23 {
            Some(_) if suffix > 1 => self.out.bytes(name),
            Some(n) => {
                self.wants.c23 |= 1 << n;
                self.out.lit(b"__btfleet__c23_");
                self.out.bytes(name);
            }
            None => self.out.bytes(&names::escape(name)),
        }
    }

    /// An attribute that we know, as the macro that stands for it; of others nothing is printed.
    fn type_tag(&mut self, name: crate::btf::StrOffset, by_itself: bool) {
        let name = self.btf.name(name);
        let known = ATTRIBUTES
            .iter()
            .position(|(tag, flag, ..)| *tag == name && *flag == by_itself);
        if let Some(n) = known {
            self.wants.attributes |= 1 << n;
            self.out.str(ATTRIBUTES[n].2);
            self.out.byte(b' ');
        }
    }

    /// Puts around and before the text from `start` on what it wants.
    #[cold]
    pub fn wrap(&mut self, start: usize, wants: Wants) {
        let mut before = String::new();
        let mut define = |defines: Wants, text: String| {
            let from = start + before.len();
            before.push_str(&text);
            let at = from..start + before.len();
            self.marks.push(Mark { at, defines });
        };
        for (n, word) in names::C23.iter().enumerate() {
            if wants.c23 & !self.has.c23 & 1 << n != 0 {
                let defines = Wants {
                    c23: 1 << n,
                    ..Wants::default()
                };
                define(
                    defines,
                    format!(
                        "#if !true\n#define __btfleet__c23_{word} {word}\n#else\n#define __btfleet__c23_{word} __btfleet_{word}\n#endif\n\n"
                    ),
                );
            }
        }
        for (n, (_, _, name, text, condition)) in ATTRIBUTES.iter().enumerate() {
            if wants.attributes & !self.has.attributes & 1 << n != 0 {
                let defines = Wants {
                    attributes: 1 << n,
                    ..Wants::default()
                };
                define(
                    defines,
                    format!(
                        "#if {condition}\n#define {name} {text}\n#else\n#define {name}\n#endif\n\n"
                    ),
                );
            }
        }
        self.has.c23 |= wants.c23;
        self.has.attributes |= wants.attributes;
        if wants.ignored_qualifiers || wants.library {
            before.push_str("#pragma GCC diagnostic push\n");
            if wants.ignored_qualifiers {
                before.push_str("#pragma GCC diagnostic ignored \"-Wignored-qualifiers\"\n");
            }
            if wants.library {
                before.push_str(
                    "#ifdef __clang__\n#pragma GCC diagnostic ignored \"-Wincompatible-library-redeclaration\"\n\
                     #else\n#pragma GCC diagnostic ignored \"-Wbuiltin-declaration-mismatch\"\n#endif\n",
                );
            }
            // Behind the text comes a blank line already.
            self.out.take_back(1);
            self.out.lit(b"#pragma GCC diagnostic pop\n\n");
        }
        self.out.insert(start, &before);
    }
}
