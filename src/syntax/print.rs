//! The tree as text: one statement a line, every operation in its parentheses, so that what was
//! understood can be read off.

use std::fmt::Write;

use super::*;

/// The tree of `file`, as `balance parse` shows it.
pub fn print(file: &File) -> String {
    let mut out = String::new();
    statements(&mut out, &file.statements, 0);
    out
}

fn statements(out: &mut String, statements: &[Statement], depth: usize) {
    for statement in statements {
        let indent = "  ".repeat(depth);
        match statement {
            Statement::Block(it) => block(out, it, depth),
            other => {
                let _ = writeln!(out, "{indent}{}", simple(other));
            }
        }
    }
}

fn block(out: &mut String, block: &Block, depth: usize) {
    let indent = "  ".repeat(depth);
    let mut header = block.kind.node.clone();
    if let Some(label) = &block.label {
        let _ = write!(header, " {}", word(&label.node));
    }
    if let Some(of) = &block.of {
        let _ = write!(header, " of {}", of.text());
    }
    if let Some(extends) = &block.extends {
        let _ = write!(header, " extends {}", extends.text());
    }
    let _ = writeln!(out, "{indent}{header}");
    statements(out, &block.body, depth + 1);
    if let Some(otherwise) = &block.otherwise {
        let _ = writeln!(out, "{indent}else");
        statements(out, otherwise, depth + 1);
    }
}

fn simple(statement: &Statement) -> String {
    match statement {
        Statement::Edition(number) => format!("edition {}", number.node),
        Statement::Import { path, name } => format!("import {:?} as {}", path.node, name.node),
        Statement::Let { name, value } => format!("let {} = {value}", name.node),
        Statement::Param(it) => param(it),
        Statement::Declaration { kind, name, value } => {
            format!("{} {} = {value}", kind.node, name.node)
        }
        Statement::Field(field) => format!("{} = {}", field.path.text(), field.value),
        Statement::Where(test) => format!("where {test}"),
        Statement::Expect(test) => format!("expect {test}"),
        Statement::Claim { text, value } => format!("claim {:?} {value}", text.node),
        Statement::Unreadable(_) => "(unreadable)".to_owned(),
        Statement::Block(_) => String::new(),
    }
}

fn param(param: &Param) -> String {
    let mut out = format!("param {}", param.name.node);
    if let Some(ty) = &param.ty {
        let _ = write!(out, ": {ty}");
    }
    if let Some(domain) = &param.domain {
        let _ = write!(out, " in {domain}");
    }
    let _ = write!(out, " = {}", param.default);
    if let Some(doc) = &param.doc {
        let _ = write!(out, " doc {:?}", doc.node);
    }
    out
}

/// A label as it must be written.
fn word(text: &str) -> String {
    let plain = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && text.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if plain { text.to_owned() } else { format!("{text:?}") }
}

impl std::fmt::Display for Expr {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.kind {
            ExprKind::Number { text, unit: None, .. } => f.write_str(text),
            ExprKind::Number { text, unit: Some(Unit::Percent), .. } => write!(f, "{text}%"),
            ExprKind::Number { text, unit: Some(unit), .. } => write!(f, "{text} {}", unit.text()),
            ExprKind::Text(text) => write!(f, "{text:?}"),
            ExprKind::Bool(value) => write!(f, "{value}"),
            ExprKind::None => f.write_str("none"),
            ExprKind::Path(path) => f.write_str(&path.text()),
            ExprKind::Call(call) => write!(f, "{call}"),
            ExprKind::List(items) => write!(f, "[{}]", commas(items)),
            ExprKind::Record(pairs) => {
                let pairs: Vec<_> = pairs
                    .iter()
                    .map(|(key, value)| format!("{} = {value}", word(&key.node)))
                    .collect();
                write!(f, "{{ {} }}", pairs.join(", "))
            }
            ExprKind::Negate(inner) => write!(f, "(-{inner})"),
            ExprKind::Not(inner) => write!(f, "(not {inner})"),
            ExprKind::Binary { op, left, right } if op.is_spaced() => {
                write!(f, "({left} {} {right})", op.text())
            }
            ExprKind::Binary { op, left, right } => write!(f, "({left}{}{right})", op.text()),
            ExprKind::If { test, then, otherwise } => {
                write!(f, "(if {test} then {then} else {otherwise})")
            }
            ExprKind::Cells { path, test } => write!(f, "{}[{test}]", path.text()),
            ExprKind::Paren(inner) => write!(f, "{inner}"),
        }
    }
}

impl std::fmt::Display for Call {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        let args: Vec<_> = self.args.iter().map(Arg::to_string).collect();
        write!(f, "{}({})", self.path.text(), args.join(", "))
    }
}

impl std::fmt::Display for Arg {
    fn fmt(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        match &self.name {
            Some(name) => write!(f, "{}={}", name.node, self.value),
            None => write!(f, "{}", self.value),
        }
    }
}

fn commas(items: &[Expr]) -> String {
    items.iter().map(Expr::to_string).collect::<Vec<_>>().join(", ")
}
