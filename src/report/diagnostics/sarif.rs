//! Diagnostics as SARIF 2.1.0, which code hosts and editors read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::{Checked, Place, severity};
use crate::diag::{Code, Diagnostic, Fix, Positions, Severity, Sources, Span};

/// One log with one run.
pub fn sarif(checked: &[Checked]) -> String {
    let found = checked.iter().flat_map(|file| file.diagnostics);
    let rules: BTreeMap<&str, &Code> = found.map(|it| (it.code.number, it.code)).collect();
    let numbers: Vec<&str> = rules.keys().copied().collect();
    let results: Vec<Value> = checked.iter().flat_map(|file| results(file, &numbers)).collect();
    let log = json!({
        "$schema": "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": {
                "name": "balance",
                "semanticVersion": env!("CARGO_PKG_VERSION"),
                "rules": rules.values().map(|code| rule(code)).collect::<Vec<_>>(),
            } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    });
    format!("{log:#}\n")
}

fn rule(code: &Code) -> Value {
    let why = code.page.split("\n\n").nth(1).unwrap_or(code.summary);
    let level = match code.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Note => "note",
    };
    json!({
        "id": code.number,
        "name": code.name,
        "shortDescription": { "text": code.summary },
        "fullDescription": { "text": why },
        "help": { "text": format!("balance explain {}", code.name), "markdown": code.page },
        "helpUri": format!("docs/reference/diagnostics/{}.md", code.name),
        "defaultConfiguration": { "level": level },
    })
}

fn results(checked: &Checked, rules: &[&str]) -> Vec<Value> {
    let places = Places { positions: Positions::new(checked.sources), sources: checked.sources };
    checked.diagnostics.iter().map(|it| places.result(it, rules)).collect()
}

struct Places<'a> {
    positions: Positions<'a>,
    sources: &'a Sources,
}

impl Places<'_> {
    fn result(&self, diagnostic: &Diagnostic, rules: &[&str]) -> Value {
        let number = diagnostic.code.number;
        let (main, others) = diagnostic.labels.split_at(diagnostic.labels.len().min(1));
        let locations = |labels: &[(Span, String)]| {
            labels.iter().map(|(span, text)| self.location(*span, text)).collect::<Vec<_>>()
        };
        let mut text = diagnostic.message.clone();
        diagnostic.help.iter().for_each(|line| text += &format!("\n{line}"));
        let mut result = json!({
            "ruleId": number,
            "ruleIndex": rules.iter().position(|it| *it == number),
            "level": severity(diagnostic),
            "message": { "text": text },
            "locations": locations(main),
            "relatedLocations": locations(others),
        });
        if !diagnostic.fixes.is_empty() {
            result["fixes"] = json!([self.fix(diagnostic)]);
        }
        result
    }

    fn location(&self, span: Span, text: &str) -> Value {
        let artifact = self.artifact(span);
        json!({
            "physicalLocation": { "artifactLocation": artifact, "region": self.region(span) },
            "message": { "text": text },
        })
    }

    fn artifact(&self, span: Span) -> Value {
        json!({ "uri": uri(&self.sources.get(span.file).name) })
    }

    fn region(&self, span: Span) -> Value {
        let Place { start, end, .. } = Place::of(&self.positions, self.sources, span);
        json!({
            "startLine": start.line,
            "startColumn": start.column,
            "endLine": end.line,
            "endColumn": end.column,
        })
    }

    /// All edits of a diagnostic as one fix, by file.
    fn fix(&self, diagnostic: &Diagnostic) -> Value {
        let mut files: BTreeMap<u16, Vec<&Fix>> = BTreeMap::new();
        for fix in &diagnostic.fixes {
            files.entry(fix.span.file).or_default().push(fix);
        }
        let replacement = |fix: &&Fix| {
            json!({
                "deletedRegion": self.region(fix.span),
                "insertedContent": { "text": fix.text },
            })
        };
        let change = |fixes: &Vec<&Fix>| {
            json!({
                "artifactLocation": self.artifact(fixes[0].span),
                "replacements": fixes.iter().map(replacement).collect::<Vec<_>>(),
            })
        };
        json!({ "artifactChanges": files.values().map(change).collect::<Vec<_>>() })
    }
}

/// A path as a relative reference.
fn uri(path: &str) -> String {
    let keep = |byte: u8| byte.is_ascii_alphanumeric() || b"-._~/".contains(&byte);
    let sign = |byte: u8| match keep(byte) {
        true => char::from(byte).to_string(),
        false => format!("%{byte:02X}"),
    };
    path.bytes().map(sign).collect()
}
