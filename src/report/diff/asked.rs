//! What is asked of the results, compared.

use serde_json::Value;

/// The lists of a plan's analysis, each with the word that declares one of its items.
const KINDS: [(&str, &str); 5] = [
    ("tables", "table"),
    ("figures", "figure"),
    ("comparisons", "compare"),
    ("expectations", "expect"),
    ("claims", "claim"),
];

/// What follows from the other fields and the cells.
const FOLLOWS: [&str; 2] = ["cells", "pairs"];

/// An analysis, as far as it is compared.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Asked {
    kind: &'static str,
    /// Each value by its path.
    values: Vec<(String, String)>,
}

/// The analyses of a plan, in order.
pub fn asked(plan: &Value) -> Vec<Asked> {
    let of_kind = |(list, kind): (&str, &'static str)| {
        let items = plan["analysis"][list].as_array().cloned().unwrap_or_default();
        items.into_iter().map(move |item| Asked { kind, values: leaves("", &item) })
    };
    KINDS.into_iter().flat_map(of_kind).collect()
}

/// What came, went or changed; those of a kind stand for each other in their order.
pub fn changes(before: &[Asked], after: &[Asked]) -> Vec<String> {
    let mut lines = Vec::new();
    for (_, kind) in KINDS {
        let of = |side: &[Asked]| -> Vec<Asked> {
            side.iter().filter(|it| it.kind == kind).cloned().collect()
        };
        let (before, after) = (of(before), of(after));
        for at in 0..before.len().max(after.len()) {
            match (before.get(at), after.get(at)) {
                (Some(old), Some(new)) => lines.extend(changed(kind, old, new)),
                (Some(old), None) => lines.push(format!("- {kind}  {}", old.brief())),
                (None, Some(new)) => lines.push(format!("+ {kind}  {}", new.brief())),
                (None, None) => {}
            }
        }
    }
    lines
}

/// `compare  test.level 0.05 → 0.01`
fn changed(kind: &str, old: &Asked, new: &Asked) -> Option<String> {
    let find = |side: &Asked, path: &str| {
        let found = side.values.iter().find(|(other, _)| other == path);
        found.map_or("none".to_owned(), |(_, value)| value.clone())
    };
    let mut paths: Vec<&String> = old.values.iter().map(|(path, _)| path).collect();
    paths.extend(new.values.iter().map(|(path, _)| path).filter(|it| find(old, it) == "none"));
    let change = |path: &&String| {
        let (old, new) = (find(old, path), find(new, path));
        (old != new).then(|| format!("{path} {old} → {new}"))
    };
    let changes: Vec<String> = paths.iter().filter_map(change).collect();
    (!changes.is_empty()).then(|| format!("{kind}  {}", changes.join(", ")))
}

impl Asked {
    fn brief(&self) -> String {
        let values = self.values.iter().take(3).map(|(path, value)| format!("{path} {value}"));
        values.collect::<Vec<_>>().join(", ")
    }
}

/// Every value below `path`; a list of plain values is one.
fn leaves(path: &str, value: &Value) -> Vec<(String, String)> {
    let below = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match value {
        Value::Object(fields) if fields.contains_key("entry") => {
            vec![(path.to_owned(), metric(value))]
        }
        Value::Object(fields) if path.ends_with("show") => {
            let word = fields.iter().map(|(key, value)| format!("{key} {value}"));
            vec![(path.to_owned(), word.collect())]
        }
        Value::Object(fields) => {
            let own = fields.iter().filter(|(key, _)| !FOLLOWS.contains(&key.as_str()));
            own.flat_map(|(key, value)| leaves(&below(key), value)).collect()
        }
        Value::Array(items) if items.iter().any(Value::is_object) => {
            let numbered = items.iter().enumerate();
            numbered.flat_map(|(at, item)| leaves(&below(&at.to_string()), item)).collect()
        }
        Value::Array(items) => {
            vec![(path.to_owned(), items.iter().map(text).collect::<Vec<_>>().join(", "))]
        }
        other => vec![(path.to_owned(), text(other))],
    }
}

/// `val.probe.accuracy`, as it is written.
fn metric(value: &Value) -> String {
    let parts = ["split", "entry", "metric"].map(|key| text(&value[key]));
    let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|it| *it != "test").collect();
    let condition = value["condition"].as_str().map(|text| format!("[{text}]"));
    format!("{}{}", parts.join("."), condition.unwrap_or_default())
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        // Sums of percentages are not written with what rounding left of them.
        Value::Number(number) if number.is_f64() => {
            ((number.as_f64().unwrap_or_default() * 1e12).round() / 1e12).to_string()
        }
        other => other.to_string(),
    }
}
