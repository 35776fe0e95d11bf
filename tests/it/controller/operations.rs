//! docs/operations.md says what there is, and nothing that there is not.

use btfleet::{agent, controller};
use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn doc() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/operations.md");
    fs::read_to_string(path).unwrap()
}

/// What stands in the first column of a table's rows and begins like this.
fn rows<'d>(doc: &'d str, begin: &str) -> BTreeSet<&'d str> {
    let first = |line: &'d str| line.strip_prefix("| `")?.split('`').next();
    let all = doc.lines().filter_map(first);
    all.filter(|word| word.starts_with(begin)).collect()
}

/// Names of metrics that the program's source holds.
fn in_source(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            in_source(&path, found);
        } else {
            let text = fs::read_to_string(&path).unwrap();
            // Odd pieces are within quotes, as far as this matters.
            let names = text.split('"').filter(|word| {
                word.starts_with("btfleet_")
                    && word.chars().all(|c| c.is_ascii_lowercase() || c == '_')
            });
            found.extend(names.map(str::to_owned));
        }
    }
}

#[test]
fn every_metric_is_explained_and_no_other() {
    let doc = doc();
    let explained = rows(&doc, "btfleet_");
    let mut there = BTreeSet::new();
    for part in ["agent", "controller", "serve", "ops"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(part);
        in_source(&folder, &mut there);
    }
    assert!(there.len() > 20, "{there:?}");
    let there: BTreeSet<&str> = there.iter().map(String::as_str).collect();
    assert_eq!(explained, there);
    // And those that are shown from the start have their labels' values explained too.
    let registries = [
        agent::Metrics::new().unwrap().registry(),
        controller::Metrics::new().unwrap().registry(),
    ];
    for family in registries.iter().flat_map(|r| r.gather()) {
        let name = family.name();
        let row = doc.lines().find(|l| l.starts_with(&format!("| `{name}`")));
        let row = row.unwrap_or_else(|| panic!("{name}"));
        for label in family.get_metric().iter().flat_map(|m| m.get_label()) {
            if ["version", "generator"].contains(&label.name()) {
                continue;
            }
            assert!(row.contains(&format!("`{}`", label.name())), "{row}");
            let value = format!("`{}`", label.value());
            // An Event's reason has a row of its own.
            let is_there = match label.name() {
                "reason" => row.contains(&value) || doc.contains(&format!("| {value}")),
                "resource" => true,
                "object" => doc.contains(&value),
                _ => row.contains(&value) || doc.contains(&format!("| {value}")),
            };
            assert!(is_there, "{name}: {value}");
        }
    }
}

#[test]
fn every_event_is_explained_and_no_other() {
    let doc = doc();
    let of = |title: &str| {
        let text = doc.split(title).nth(1).unwrap();
        let end = text.find("\n#").unwrap_or(text.len());
        let rows = rows(&text[..end], "");
        rows.into_iter().map(str::to_owned).collect::<BTreeSet<_>>()
    };
    let words = |all: Vec<&str>| all.into_iter().map(str::to_owned).collect::<BTreeSet<_>>();
    let agent = agent::Reason::ALL.iter().map(|r| r.word()).collect();
    assert_eq!(of("\n## Events of the agent\n"), words(agent));
    let controller = controller::Reason::ALL.iter().map(|r| r.word()).collect();
    assert_eq!(of("\n### Events of the controller\n"), words(controller));
}

#[test]
fn every_reason_of_a_condition_is_explained_and_no_other() {
    let doc = doc();
    let table = doc.split("| condition | status, reason |").nth(1).unwrap();
    let table = table.split("\n\n").next().unwrap();
    let words = table.lines().skip(2).flat_map(|row| {
        let cell = row.split('|').nth(2).unwrap();
        let words = cell.split('`').skip(1).step_by(2);
        words.filter(|word| !["True", "False"].contains(word))
    });
    let explained: BTreeSet<&str> = words.collect();
    let there = controller::status::Because::ALL.iter().map(|b| b.word());
    assert_eq!(explained, there.collect());
}
