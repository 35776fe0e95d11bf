//! docs/values.md is made of the chart's values.yaml and values.schema.json. `BTFLEET_WRITE_VALUES=1` writes it anew.

use crate::support::chart::folder;
use serde_json::Value;
use std::fmt::Write;
use std::fs;
use std::path::Path;

const HEAD: &str = "# Values of the chart

Made of charts/btfleet/values.yaml by its test (BTFLEET_WRITE_VALUES=1). What is not here is refused.

| value | default | |
|---|---|---|
";

/// A value, and what is written above it.
struct Row {
    path: String,
    default: Value,
    text: String,
}

/// Every value that is not a map of further ones, in the file's order.
fn rows(yaml: &str) -> Vec<Row> {
    let values: Value = serde_saphyr::from_str(yaml).unwrap();
    let mut rows = Vec::new();
    let mut at: Vec<(usize, String)> = Vec::new();
    let mut text: Option<String> = None;
    for line in yaml.lines() {
        let body = line.trim_start();
        let depth = line.len() - body.len();
        if let Some(comment) = body.strip_prefix("# ") {
            // One that goes on in the next line.
            text = Some(text.map_or_else(|| comment.to_owned(), |t| format!("{t} {comment}")));
            continue;
        }
        if body.is_empty() {
            text = None;
            continue;
        }
        let Some((key, _)) = body.split_once(':').filter(|_| !body.starts_with('-')) else {
            continue;
        };
        at.retain(|(d, _)| *d < depth);
        at.push((depth, key.to_owned()));
        // What has no words of its own only holds others, or belongs to a default.
        let Some(text) = text.take() else {
            continue;
        };
        let keys: Vec<&str> = at.iter().map(|(_, key)| key.as_str()).collect();
        let path = keys.join(".");
        let default = keys.iter().fold(&values, |value, key| &value[*key]);
        rows.push(Row {
            default: default.clone(),
            path,
            text,
        });
    }
    rows
}

fn table(rows: &[Row]) -> String {
    let mut out = HEAD.to_owned();
    for Row {
        path,
        default,
        text,
    } in rows
    {
        let text = text.replace('|', "\\|");
        writeln!(out, "| `{path}` | `{default}` | {text} |").unwrap();
    }
    out
}

/// The leaves of the defaults, as the schema sees them.
fn leaves(schema: &Value, value: &Value, path: &str, found: &mut Vec<String>, root: &Value) {
    let mut schema = schema;
    if let Some(name) = schema["$ref"].as_str() {
        schema = root.pointer(&name[1..]).unwrap();
    }
    let properties = schema["properties"].as_object();
    match (properties, value.as_object()) {
        (Some(properties), Some(map)) if !path.ends_with("resources") => {
            for (key, schema) in properties.iter().filter(|(key, _)| *key != "global") {
                let path = format!("{path}.{key}");
                let value = map.get(key);
                let value = value.unwrap_or_else(|| panic!("{path} has no default"));
                leaves(schema, value, &path, found, root);
            }
        }
        _ => found.push(path.trim_start_matches('.').to_owned()),
    }
}

#[test]
fn the_reference_of_values_has_each_of_them_and_is_up_to_date() {
    let yaml = fs::read_to_string(folder().join("values.yaml")).unwrap();
    let schema = fs::read_to_string(folder().join("values.schema.json")).unwrap();
    let schema: Value = serde_json::from_str(&schema).unwrap();
    let rows = rows(&yaml);
    let values: Value = serde_saphyr::from_str(&yaml).unwrap();
    let mut expected = Vec::new();
    leaves(&schema, &values, "", &mut expected, &schema);
    let mut explained: Vec<String> = rows.iter().map(|row| row.path.clone()).collect();
    explained.sort();
    expected.sort();
    assert_eq!(explained, expected);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/values.md");
    let table = table(&rows);
    if std::env::var_os("BTFLEET_WRITE_VALUES").is_some() {
        fs::write(&path, &table).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == table,
        "write docs/values.md anew with BTFLEET_WRITE_VALUES=1"
    );
}

#[test]
fn what_the_installations_page_says_of_memory_is_what_the_values_are() {
    let yaml = fs::read_to_string(folder().join("values.yaml")).unwrap();
    let values: Value = serde_saphyr::from_str(&yaml).unwrap();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/install.md");
    let page = fs::read_to_string(page).unwrap();
    for part in ["agent", "controller", "server", "store.bundled"] {
        let resources = format!("/{}/resources", part.replace('.', "/"));
        let memory = |kind: &str| {
            let at = values.pointer(&format!("{resources}/{kind}/memory"));
            at.unwrap().as_str().unwrap()
        };
        let end = format!(" | {} | {} |", memory("requests"), memory("limits"));
        let row = page
            .lines()
            .find(|line| line.starts_with(&format!("| `{part}` | ")) && line.contains(" MiB"));
        let row = row.unwrap_or_else(|| panic!("no row {part}"));
        assert!(row.ends_with(&end), "{row} does not end with{end}");
    }
}
