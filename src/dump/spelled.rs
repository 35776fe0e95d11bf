//! How types are spelled: what stands before and behind a name, kept for the next that is of the type.

use super::block::BLOCK;
use super::defs::{DefClass, Slot};
use super::line::Line;
use super::print::{ENUM, Printer, STRUCT, UNION};
use super::text::{MAX_TEXT, SLACK, Text, Word};
use crate::btf::{Kind, Type, TypeId};

/// Spellings by type id.
pub(super) struct Spelled {
    /// For each type id where its spelling is in `text`, or 0.
    at: Vec<u32>,
    /// Of each: two lengths, then what stands before a name, then what stands behind it and ends a line.
    text: Text,
}

/// One spelling: both lengths, and what [`Spelled::text`] holds of it. It goes on beyond that, to be copied by
/// blocks.
#[derive(Clone, Copy)]
pub(super) struct Spelling<'s>(&'s [u8; ROOM]);

/// Longer than any spelling by a block.
const ROOM: usize = 2 + 2 * 255 + 32;

const _: () = assert!(ROOM <= SLACK);

const VOID: Word = Word::new("void");
const NO_NAME: &[u8; BLOCK] = &[0; BLOCK];

/// What stands before a name of each [`DefClass`].
static KEYWORDS: [Word; 5] = {
    let mut words = [Word::new(""); 5];
    words[DefClass::Struct as usize] = STRUCT;
    words[DefClass::Union as usize] = UNION;
    words[DefClass::Enum as usize] = ENUM;
    words
};

/// How a declaration ends.
const END: &[u8; 2] = b";\n";

impl<'s> Spelling<'s> {
    /// Length of what stands before a name.
    #[inline(always)]
    pub fn before(self) -> usize {
        usize::from(self.0[0])
    }

    /// What stands before a name and goes on beyond that.
    #[inline(always)]
    pub fn before_tail(self) -> &'s [u8] {
        &self.0[2..]
    }

    /// Bytes behind a name, the line's end included.
    #[inline(always)]
    pub fn to_end(self) -> usize {
        usize::from(self.0[1])
    }

    /// What stands behind a name and goes on beyond that.
    #[inline(always)]
    pub fn behind_tail(self) -> &'s [u8] {
        &self.0[2 + self.before()..]
    }

    /// What stands behind a name.
    pub fn behind(self) -> &'s [u8] {
        let len = self.to_end() - END.len();
        self.behind_tail().get(..len).unwrap_or_default()
    }
}

impl Spelled {
    /// For types whose id is less than `end`.
    pub fn new(end: usize) -> Spelled {
        // About as much as a kernel's take.
        let mut text = Text::new(vec![0; (4 * end).min(1 << 20)]);
        // Nothing is at 0.
        text.byte(0);
        Spelled {
            at: vec![0; end],
            text,
        }
    }

    #[inline(always)]
    fn place(&self, id: TypeId) -> usize {
        self.at.get(id.0 as usize).map_or(0, |at| *at as usize)
    }

    #[inline(always)]
    fn has(&self, id: TypeId) -> bool {
        self.place(id) != 0
    }

    #[inline(always)]
    pub fn get(&self, id: TypeId) -> Option<Spelling<'_>> {
        match self.place(id) {
            0 => None,
            at => self.read(at),
        }
    }

    #[inline(always)]
    fn read(&self, at: usize) -> Option<Spelling<'_>> {
        self.text.room().get(at..)?.first_chunk().map(Spelling)
    }

    /// Keeps a spelling, unless it is a long one.
    pub fn keep(&mut self, id: TypeId, before: &[u8], behind: &[u8]) {
        if before.len() + behind.len() < 512
            && let Some(start) = self.start()
        {
            self.text.bytes(before);
            let name = self.text.len();
            self.text.bytes(behind);
            self.finish(id, start, name);
        }
    }

    /// Keeps a spelling of which nothing stands behind a name.
    #[inline(always)]
    fn keep_line(&mut self, id: TypeId, before: impl FnOnce(&mut Line<'_>)) -> bool {
        let Some(start) = self.start() else {
            return false;
        };
        let Some(mut line) = self.text.line() else {
            return false;
        };
        before(&mut line);
        let len = line.len();
        self.text.end_line(len);
        let name = self.text.len();
        self.finish(id, start, name)
    }

    /// Begins a spelling: where.
    #[inline(always)]
    fn start(&mut self) -> Option<usize> {
        let start = self.text.len();
        if start > MAX_TEXT / 2 {
            return None;
        }
        self.text.lit(&[0, 0]);
        Some(start)
    }

    /// Ends a spelling that began at `start` and in which the name stands at `name`. False if it is too long
    /// to be kept.
    #[inline(always)]
    fn finish(&mut self, id: TypeId, start: usize, name: usize) -> bool {
        self.text.lit(END);
        self.text.ensure_line();
        let (before, to_end) = (name - start - 2, self.text.len() - name);
        if let (Ok(before), Ok(to_end)) = (u8::try_from(before), u8::try_from(to_end))
            && let Some(at) = self.at.get_mut(id.0 as usize)
        {
            *at = start as u32;
            self.text.set(start, [before, to_end]);
            return true;
        }
        self.text.take_back(self.text.len() - start);
        false
    }

    /// Writes what stands before a name of a type that was spelled.
    #[inline(always)]
    fn before_of(&mut self, id: TypeId) {
        let at = self.place(id);
        let before = self.read(at).map_or(0, Spelling::before);
        self.text.again(at + 2, before);
    }

    /// Writes what stands behind a name of a type that was spelled.
    #[inline(always)]
    fn behind_of(&mut self, id: TypeId) {
        let at = self.place(id);
        if let Some(spelling) = self.read(at)
            && spelling.to_end() > END.len()
        {
            let (from, len) = (at + 2 + spelling.before(), spelling.to_end() - END.len());
            self.text.again(from, len);
        }
    }

    /// Nothing stands behind a name of this type, which was spelled.
    fn ends_before_name(&self, id: TypeId) -> bool {
        self.get(id).is_some_and(|s| s.to_end() == END.len())
    }
}

/// Types in types that [`Printer::spell_usual`] goes into.
const DEPTH: u32 = 4;

/// Bytes after which a spelling is too long in any case.
const MOST: usize = 512;

impl Printer<'_, '_> {
    /// Whether a type is spelled, or can be by [`Printer::spell_new`].
    #[inline]
    pub fn spell_usual(&mut self, id: TypeId) -> bool {
        self.spelled.has(id) || self.spell_new(id)
    }

    /// Has a type spelled that was not, if it is as most are: a plain type, a pointer to one, an array of such
    /// or a pointer to a function of such. All that is odd about some type is left to [`Printer::declare`].
    #[inline]
    pub fn spell_new(&mut self, id: TypeId) -> bool {
        !self.spelled.has(id) && self.spell_at(id, 0)
    }

    #[inline(never)]
    fn spell_at(&mut self, id: TypeId, depth: u32) -> bool {
        let btf = self.btf;
        let pointer = btf.kind(id) == Kind::Ptr;
        let of = if pointer { btf.target(id) } else { id };
        let slot = self.defs.slot_of(of);
        if slot != 0 {
            return self.spell_plain(id, slot, false, pointer);
        }
        match btf.kind(of) {
            Kind::Const => {
                let slot = self.defs.slot_of(btf.target(of));
                let void = pointer && btf.target(of) == TypeId::VOID;
                (slot != 0 || void) && self.spell_plain(id, slot, true, pointer)
            }
            Kind::Void if pointer && of == TypeId::VOID => self.spell_plain(id, 0, false, true),
            Kind::FuncProto if pointer => self.spell_function(id, &btf.ty(of), depth),
            Kind::Ptr if pointer => {
                self.spell_part(of, depth) && self.spell_around(id, of, b"*", None)
            }
            Kind::Array if !pointer => match btf.ty(id).array() {
                Some(array) => {
                    self.spell_part(array.element, depth)
                        && self.check_array(id).is_ok()
                        && self.spell_around(id, array.element, b"", Some(array.count))
                }
                None => false,
            },
            _ => false,
        }
    }

    #[inline]
    fn spell_part(&mut self, id: TypeId, depth: u32) -> bool {
        self.spelled.has(id) || depth < DEPTH && self.spell_at(id, depth + 1)
    }

    /// A named record or enum, a typedef or an arithmetic type, const or not, or a pointer to that; `slot` is
    /// 0 for `void`.
    #[inline]
    fn spell_plain(&mut self, id: TypeId, slot: Slot, is_const: bool, pointer: bool) -> bool {
        let def = self.defs.get(slot);
        if slot != 0 {
            let is = |kind: Kind| def.class == DefClass::Typedef && def.text == kind as u32;
            // const of a function type says what C cannot; nothing is of type void.
            if !self.is_plain(slot) || is_const && is(Kind::FuncProto) || !pointer && is(Kind::Void)
            {
                return false;
            }
        }
        // By a table, since nobody can guess what class the next type is of.
        let (word, name, len) = match (slot, def.class) {
            (0, _) => (&VOID, NO_NAME, 0),
            (_, DefClass::Arithmetic) => (&self.defs.texts[def.text as usize], NO_NAME, 0),
            (_, class) => match self.usual_name(def) {
                Some(name) => (&KEYWORDS[class as usize], name, def.len as usize),
                None => return false,
            },
        };
        self.spelled.keep_line(id, |line| {
            line.block(b"const ", 6 * usize::from(is_const));
            line.word(word);
            line.block(name, len);
            line.block(b" *", 1 + usize::from(pointer));
        })
    }

    /// A pointer to what was spelled, or an array of it.
    fn spell_around(&mut self, id: TypeId, of: TypeId, mark: &[u8], count: Option<u32>) -> bool {
        let Some(start) = self.spelled.start() else {
            return false;
        };
        self.spelled.before_of(of);
        let text = &mut self.spelled.text;
        text.bytes(mark);
        let name = text.len();
        if let Some(count) = count {
            text.byte(b'[');
            text.number(u64::from(count));
            text.byte(b']');
        }
        self.spelled.behind_of(of);
        self.spelled.finish(id, start, name)
    }

    /// A pointer to a function.
    fn spell_function(&mut self, id: TypeId, proto: &Type<'_>, depth: u32) -> bool {
        let params = proto.params();
        let last = params.len().wrapping_sub(1);
        let result = proto.target();
        let variadic = |(i, ty): (usize, TypeId)| i == last && ty == TypeId::VOID;
        if !(result == TypeId::VOID || self.spell_result(result, depth))
            || !params
                .clone()
                .map(|p| p.ty)
                .enumerate()
                .all(|p| variadic(p) || self.spell_part(p.1, depth))
        {
            return false;
        }
        let Some(start) = self.spelled.start() else {
            return false;
        };
        match result {
            TypeId::VOID => self.spelled.text.lit(b"void "),
            _ => self.spelled.before_of(result),
        }
        self.spelled.text.lit(b"(*");
        let name = self.spelled.text.len();
        self.spelled.text.lit(b")(");
        if params.len() == 0 {
            self.spelled.text.lit(b"void");
        }
        for (i, ty) in params.map(|p| p.ty).enumerate() {
            if i > 0 {
                self.spelled.text.lit(b", ");
            }
            if variadic((i, ty)) {
                if i > 0 {
                    self.spelled.text.lit(b"...");
                }
                break;
            }
            self.spelled.before_of(ty);
            if self.spelled.text.last() == Some(b' ') {
                self.spelled.text.take_back(1);
            }
            self.spelled.behind_of(ty);
            if self.spelled.text.len() > name + MOST {
                break;
            }
        }
        self.spelled.text.byte(b')');
        self.spelled.finish(id, start, name)
    }

    /// Has the type of what a function gives spelled, if nothing stands behind a name of it and C has such
    /// functions.
    fn spell_result(&mut self, id: TypeId, depth: u32) -> bool {
        let slot = self.defs.slot_of(id);
        let def = self.defs.get(slot);
        let odd = def.class == DefClass::Typedef
            && [Kind::Array as u32, Kind::FuncProto as u32].contains(&def.text);
        !(slot != 0 && odd)
            && (slot != 0 || self.btf.kind(id) == Kind::Ptr)
            && self.spell_part(id, depth)
            && self.spelled.ends_before_name(id)
    }
}
