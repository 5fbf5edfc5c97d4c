//! The names in an expression, and what they stand for in a cell.

use super::super::scope::{self, Meaning};
use super::{Role, Tracer};
use crate::syntax::{Expr, ExprKind, Param, Path};

impl Tracer<'_> {
    /// What the names in `expr` stand for, each followed once.
    pub(super) fn names(&mut self, expr: &Expr) {
        let mut paths = Vec::new();
        collect(expr, &mut paths);
        for path in paths {
            self.name(path);
        }
    }

    fn name(&mut self, path: &Path) {
        let found = scope::lookup(self.design.program, path.span.file, &path.parts);
        let Some((file, meaning)) = found else { return };
        let last = &path.parts[path.parts.len() - 1].node;
        let key = (file, last.clone());
        if self.seen.contains(&key) {
            return;
        }
        self.seen.push(key);
        match meaning {
            Meaning::Param(_) => self.param(path),
            Meaning::Let(expr) => {
                self.link(Role::Name, last, expr);
                self.names(expr);
            }
            Meaning::Declaration(_, expr) => self.link(Role::Name, last, expr),
            Meaning::Block(_) => {}
        }
    }

    /// What the parameter that `path` names is set to, the last first, down to its default.
    pub(super) fn param(&mut self, path: &Path) {
        let found = scope::lookup(self.design.program, path.span.file, &path.parts);
        let Some((file, Meaning::Param(param))) = found else { return };
        let name = &param.name.node;
        let is_own = |(key, _): &&((u16, String), Expr)| key.0 == file && key.1 == *name;
        let writes = self.cell.writes.iter().rev().filter(is_own).map(|(_, expr)| expr);
        let mut role = Role::Name;
        for expr in writes {
            self.link(role, name, expr);
            if role == Role::Name {
                self.names(expr);
            }
            role = Role::Replaced;
        }
        self.default(role, param);
    }

    fn default(&mut self, role: Role, param: &Param) {
        let domain = param.domain.as_ref().map(|it| format!(", allowed {it}"));
        let note = format!("default{}", domain.unwrap_or_default());
        let note = note.replace(['(', ')'], "");
        let (text, span) = (super::short(&param.default), Some(param.default.span));
        self.push(role, &param.name.node, text, span, note);
        if role == Role::Name {
            self.names(&param.default);
        }
    }
}

/// The paths in an expression, from left to right.
fn collect<'e>(expr: &'e Expr, paths: &mut Vec<&'e Path>) {
    match &expr.kind {
        ExprKind::Path(path) => paths.push(path),
        ExprKind::Paren(inner) | ExprKind::Negate(inner) | ExprKind::Not(inner) => {
            collect(inner, paths);
        }
        ExprKind::Binary { left, right, .. } => {
            collect(left, paths);
            collect(right, paths);
        }
        ExprKind::If { test, then, otherwise } => {
            [test, then, otherwise].into_iter().for_each(|it| collect(it, paths));
        }
        ExprKind::List(items) => items.iter().for_each(|item| collect(item, paths)),
        ExprKind::Call(call) => call.args.iter().for_each(|arg| collect(&arg.value, paths)),
        _ => {}
    }
}
