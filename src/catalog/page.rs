//! A component as text: its signature, and its page of the reference.

use super::bound::shown;
use super::{ParamSpec, Spec};

impl ParamSpec {
    /// `name: type = default`
    pub fn signature(&self) -> String {
        match self.default {
            Some(default) => {
                format!("{}: {} = {}", self.name, self.ty, shown(&self.ty, &default()))
            }
            None => format!("{}: {}", self.name, self.ty),
        }
    }
}

impl Spec {
    /// `name(param: type = default, …)`
    pub fn signature(&self) -> String {
        let params: Vec<_> = self.params.iter().map(ParamSpec::signature).collect();
        format!("{}({})", self.name, params.join(", "))
    }

    /// The signature with the parameter `first` first, and as many others as stand in `width`
    /// columns.
    pub fn signature_with(&self, first: &str, width: usize) -> String {
        let (mut shown, others): (Vec<&ParamSpec>, Vec<&ParamSpec>) =
            self.params.iter().partition(|param| param.name == first);
        let all = self.params.len();
        shown.extend(others);
        let mut text = format!("{}(", self.name);
        for (at, param) in shown.iter().enumerate() {
            let next = param.signature();
            let is_last = at + 1 == all;
            let room = if is_last { 1 } else { ", …)".len() };
            if at > 0 && text.chars().count() + next.chars().count() + room > width {
                return format!("{text}…)");
            }
            text += &format!("{next}{}", if is_last { "" } else { ", " });
        }
        text + ")"
    }

    /// The first sentence of the documentation.
    pub fn summary(&self) -> &'static str {
        self.docs.lines().next().unwrap_or_default().trim()
    }

    /// The examples in the documentation.
    pub fn examples(&self) -> impl Iterator<Item = String> + '_ {
        let blocks = self.docs.split("```exp\n").skip(1);
        blocks.filter_map(|rest| rest.split("```").next()).map(unindent)
    }

    /// The reference page, in Markdown.
    pub fn page(&self) -> String {
        let mut page =
            format!("# {}\n\n`{}`\n\n{}", self.name, self.signature(), unindent(self.docs));
        page.truncate(page.trim_end().len());
        page.push('\n');
        if !self.metrics.is_empty() {
            page.push_str(&format!("\nMeasures `{}`", self.metrics.join("`, `")));
            page.push_str(&match self.splits {
                [_, _, _] => ".\n".to_owned(),
                some => format!(", on `{}`.\n", some.join("` and `")),
            });
        }
        if !self.params.is_empty() {
            page.push_str("\n## Parameters\n\n");
        }
        for param in self.params {
            let docs: Vec<_> = param.docs.lines().map(str::trim).collect();
            page.push_str(&format!("- `{}`: {}\n", param.signature(), docs.join(" ").trim()));
        }
        page + &self.forms_table()
    }

    /// What each form sets, a row each.
    fn forms_table(&self) -> String {
        let [first, ..] = self.form_names() else { return String::new() };
        let names: Vec<_> = self.form(first).iter().map(|(param, _)| param.name).collect();
        let mut table = format!("\n## Forms\n\n| form | {} |\n", names.join(" | "));
        table.push_str(&format!("|{}\n", "---|".repeat(names.len() + 1)));
        for form in self.form_names() {
            let set = self.form(form);
            let values: Vec<_> = set.iter().map(|(param, value)| shown(&param.ty, value)).collect();
            table.push_str(&format!("| `{form}` | {} |\n", values.join(" | ")));
        }
        table
    }
}

/// Doc comments keep one space before each line.
fn unindent(text: &str) -> String {
    text.lines().map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line))).collect()
}
