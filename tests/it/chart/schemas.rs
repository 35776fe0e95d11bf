//! JSON schemas of Kubernetes' kinds for kubeconform, made of what an API server says of itself.

use crate::support::servers::kubernetes::{ControlPlane, Version};
use serde_json::{Map, Value, json};
use std::collections::BTreeSet;
use std::path::Path;

/// Writes a schema for each kind to `folder`, named as kubeconform asks for it.
pub fn write(plane: &ControlPlane, version: Version, folder: &Path) {
    let api = plane.admin().get("/openapi/v2").success();
    let definitions = api["definitions"].as_object().unwrap();
    let mut written = 0;
    for (name, definition) in definitions {
        let kinds = definition["x-kubernetes-group-version-kind"].as_array();
        for kind in kinds.into_iter().flatten() {
            let word = |key: &str| kind[key].as_str().unwrap().to_lowercase();
            let group = word("group");
            let group = group.split('.').next().filter(|g| !g.is_empty());
            let prefix = group.map_or(String::new(), |g| format!("{g}-"));
            let file = format!("{}-{prefix}{}.json", word("kind"), word("version"));
            let schema = closure(definitions, name);
            std::fs::write(folder.join(file), schema.to_string()).unwrap();
            written += 1;
        }
    }
    assert!(written > 100, "{version:?}: {written}");
}

/// A definition with all that it refers to.
fn closure(definitions: &Map<String, Value>, name: &str) -> Value {
    let mut wanted = vec![name.to_owned()];
    let mut seen = BTreeSet::new();
    let mut found = Map::new();
    while let Some(name) = wanted.pop() {
        if !seen.insert(name.clone()) {
            continue;
        }
        let mut definition = definitions[&name].clone();
        references(&definition, &mut wanted);
        strict(&name, &mut definition);
        found.insert(name, definition);
    }
    json!({"definitions": found, "$ref": format!("#/definitions/{name}")})
}

fn references(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(map) => {
            if let Some(Value::String(to)) = map.get("$ref") {
                found.push(to.trim_start_matches("#/definitions/").to_owned());
            }
            map.values().for_each(|v| references(v, found));
        }
        Value::Array(all) => all.iter().for_each(|v| references(v, found)),
        _ => {}
    }
}

/// What the API server would ignore is a mistake here.
fn strict(name: &str, definition: &mut Value) {
    if name.ends_with(".IntOrString") || name.ends_with(".Quantity") {
        *definition = json!({"type": ["string", "number"]});
    } else if definition.get("properties").is_some() {
        definition["additionalProperties"] = json!(false);
        // The JSON schema of a CustomResourceDefinition holds itself, under a name with a dollar sign.
    }
}
