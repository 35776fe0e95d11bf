//! A difference as JSON: docs/json.md.

use btfleet::relo::diff::{Change, Changes, Class, Diff, MemberDiff, Place, Shape};
use serde_json::{Map, Value, json};

/// Raised when a reader of the last one would misread it.
const SCHEMA: u32 = 1;

pub fn value(a: &str, b: &str, diff: &Diff) -> Value {
    let types: Vec<Value> = diff
        .types
        .iter()
        .map(|ty| {
            let mut row = Map::new();
            row.insert("class".into(), ty.class.to_string().into());
            if ty.class != Class::Constants {
                row.insert("name".into(), ty.name.as_str().into());
            }
            let change = match &ty.change {
                Change::Appeared(shape) => {
                    self::shape(shape, ty.class, &mut row);
                    "appeared"
                }
                Change::Vanished(shape) => {
                    self::shape(shape, ty.class, &mut row);
                    "vanished"
                }
                Change::Changed(changes) => {
                    self::changes(changes, ty.class, &mut row);
                    "changed"
                }
            };
            row.insert("change".into(), change.into());
            row.into()
        })
        .collect();
    json!({
        "schema": SCHEMA,
        "a": a,
        "b": b,
        "differ": !diff.types.is_empty(),
        "same": diff.same,
        "types": types,
    })
}

/// What a typedef stands for is its type; a kfunc has a prototype.
fn text_field(class: Class) -> String {
    match class {
        Class::Kfunc => "prototype".into(),
        _ => "type".into(),
    }
}

fn shape(shape: &Shape, class: Class, row: &mut Map<String, Value>) {
    if class != Class::Kfunc {
        row.insert("size".into(), shape.size.into());
    }
    if let Some(text) = &shape.text {
        row.insert(text_field(class), text.as_str().into());
    }
}

fn from_to<T: serde::Serialize>((from, to): &(T, T)) -> Value {
    json!({ "from": from, "to": to })
}

fn changes(c: &Changes, class: Class, row: &mut Map<String, Value>) {
    if let Some(size) = &c.size {
        row.insert("size".into(), from_to(size));
    }
    if let Some(text) = &c.text {
        row.insert(text_field(class), from_to(text));
    }
    if let Some(signed) = &c.signed {
        row.insert("signed".into(), from_to(signed));
    }
    if !c.members.is_empty() {
        let members: Vec<Value> = c.members.iter().map(member).collect();
        row.insert("members".into(), members.into());
    }
    if !c.enumerators.is_empty() {
        let enumerators: Vec<Value> = c
            .enumerators
            .iter()
            .map(|e| {
                let value = |v: Option<i128>| match v {
                    // A value of an enum fits one of the two.
                    Some(v) if v < 0 => Value::from(v as i64),
                    Some(v) => Value::from(v as u64),
                    None => Value::Null,
                };
                json!({ "name": e.name, "from": value(e.from), "to": value(e.to) })
            })
            .collect();
        row.insert("enumerators".into(), enumerators.into());
    }
}

fn member(m: &MemberDiff) -> Value {
    let place = |p: &Option<Place>| {
        p.as_ref().map(|p| {
            json!({
                "bitOffset": p.bit_offset,
                "bitSize": p.bit_size,
                "bitField": p.bit_field,
                "type": p.ty,
            })
        })
    };
    json!({ "name": m.name, "from": place(&m.from), "to": place(&m.to) })
}
