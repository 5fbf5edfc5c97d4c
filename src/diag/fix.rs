//! Edits that mend: which of them can be made together, and the texts they come to.

use std::collections::{BTreeMap, BTreeSet};

use super::{Diagnostic, Fix, Sources};

/// What the edits of some diagnostics come to.
#[derive(Debug, Clone, Default, PartialEq)]
struct Mended {
    texts: BTreeMap<u16, String>,
    /// The diagnostics that are mended, by index.
    done: Vec<usize>,
}

/// What was said of a line, wherever edits above it move that line.
#[derive(Debug, Clone, PartialEq)]
struct Said {
    file: String,
    message: String,
    /// How many lines follow.
    lines_behind: usize,
    /// How many bytes of the line follow.
    rest: usize,
}

impl Said {
    /// What `diagnostic` says of the line of its first label.
    fn of(sources: &Sources, diagnostic: &Diagnostic) -> Option<Self> {
        let (span, _) = diagnostic.labels.first()?;
        let source = sources.get(span.file);
        let behind = source.text.get(span.range().start..)?;
        Some(Self {
            file: source.name.clone(),
            message: diagnostic.message.clone(),
            lines_behind: behind.matches('\n').count(),
            rest: behind.find('\n').unwrap_or(behind.len()),
        })
    }

    /// Whether `other` is the same again, no nearer to the end of the line.
    fn is_again(&self, other: &Self) -> bool {
        let place = |it: &Self| (it.file.clone(), it.message.clone(), it.lines_behind);
        place(self) == place(other) && other.rest >= self.rest
    }
}

/// Mends in rounds: what waits for another mend is made in the next one, and what did not help or
/// would do harm is left alone.
pub struct Mending<'a> {
    /// How much of a text can be read; no mend may make it less.
    readable: &'a dyn Fn(&str) -> usize,
    /// Texts that were mended already: two mends that undo each other come to an end.
    seen: BTreeSet<String>,
    /// What is left alone.
    stuck: Vec<Said>,
}

/// One round of mends.
#[derive(Debug, Clone, PartialEq)]
pub struct Round {
    /// The new text of each file that changes.
    pub texts: BTreeMap<u16, String>,
    /// What is mended.
    pub done: Vec<Diagnostic>,
    said: Vec<Said>,
}

impl<'a> Mending<'a> {
    /// Begins with nothing mended; `readable` says how many statements of a text can be read.
    #[must_use]
    pub fn new(readable: &'a dyn Fn(&str) -> usize) -> Self {
        Self { readable, seen: BTreeSet::new(), stuck: Vec::new() }
    }

    /// The next round for what was found in `sources`; none when there is no more to mend.
    pub fn next(&mut self, sources: &Sources, diagnostics: &[Diagnostic]) -> Option<Round> {
        let said = |it: &Diagnostic| Said::of(sources, it);
        let is_open = |it: &&Diagnostic| said(it).is_none_or(|said| !self.stuck.contains(&said));
        let mut open: Vec<_> = diagnostics.iter().filter(is_open).cloned().collect();
        let mut mended = mend(sources, &open);
        while !self.keeps_what_is_read(sources, &mended) {
            let most = mended.done.len();
            open = mended.done.iter().map(|at| open[*at].clone()).collect();
            if most == 1 {
                self.stuck.push(said(&open[0])?);
                return self.next(sources, diagnostics);
            }
            open.truncate(most / 2);
            mended = mend(sources, &open);
        }
        if mended.done.is_empty() || mended.texts.values().any(|text| self.seen.contains(text)) {
            return None;
        }
        self.seen.extend(mended.texts.keys().map(|file| sources.get(*file).text.clone()));
        let done: Vec<_> = mended.done.iter().map(|at| open[*at].clone()).collect();
        let said = done.iter().filter_map(said).collect();
        Some(Round { texts: mended.texts, done, said })
    }

    fn keeps_what_is_read(&self, sources: &Sources, mended: &Mended) -> bool {
        let read = self.readable;
        let keeps = |(file, text): (&u16, &String)| read(text) >= read(&sources.get(*file).text);
        mended.texts.iter().all(keeps)
    }

    /// Whether `round` helped, by what is found in its outcome; if not, it is to be taken back.
    pub fn helped(&mut self, round: &Round, sources: &Sources, now: &[Diagnostic]) -> bool {
        let returned = returned(round.said.clone(), sources, now);
        let has_helped = returned.is_empty();
        self.stuck.extend(returned);
        has_helped
    }
}

/// Which of `before`, all of them mended, are said again of what the mends came to: these did not
/// help.
fn returned(before: Vec<Said>, sources: &Sources, now: &[Diagnostic]) -> Vec<Said> {
    let now: Vec<Said> = now.iter().filter_map(|it| Said::of(sources, it)).collect();
    before.into_iter().filter(|said| now.iter().any(|it| said.is_again(it))).collect()
}

/// Edits by place: file, start and end.
type Edits<'a> = BTreeMap<(u16, u32, u32), &'a Fix>;

/// Makes the edits of as many of `diagnostics` as do not get in each other's way, the first ones
/// first. Those of one diagnostic are made together or not at all.
fn mend(sources: &Sources, diagnostics: &[Diagnostic]) -> Mended {
    let mut edits = Edits::new();
    let mut done = Vec::new();
    for (at, diagnostic) in diagnostics.iter().enumerate() {
        if diagnostic.fixes.iter().any(|fix| !is_possible(sources, fix)) {
            continue;
        }
        let mut added = Vec::new();
        let fits = diagnostic.fixes.iter().all(|fix| add(&mut edits, fix, &mut added));
        match fits && !diagnostic.fixes.is_empty() {
            true => done.push(at),
            false => edits.retain(|key, _| !added.contains(key)),
        }
    }
    Mended { texts: apply(sources, &edits), done }
}

/// Whether `fix` changes a file, and lies in it.
fn is_possible(sources: &Sources, fix: &Fix) -> bool {
    let source = sources.get(fix.span.file);
    source.is_file() && source.text.get(fix.span.range()).is_some_and(|old| old != fix.text)
}

/// Adds an edit unless it gets in the way of another; keeps in mind that it was added.
fn add<'a>(edits: &mut Edits<'a>, fix: &'a Fix, added: &mut Vec<(u16, u32, u32)>) -> bool {
    let key = (fix.span.file, fix.span.start, fix.span.end);
    // Edits that do not overlap end in the order they begin, so the neighbours decide.
    let before = edits.range(..=key).next_back();
    let behind = edits.range(key..).next();
    if [before, behind].into_iter().flatten().any(|(_, other)| clash(other, fix)) {
        return false;
    }
    if edits.insert(key, fix).is_none() {
        added.push(key);
    }
    true
}

fn clash(a: &Fix, b: &Fix) -> bool {
    let apart = a.span.end <= b.span.start || b.span.end <= a.span.start;
    let one_place = a.span == b.span;
    a.span.file == b.span.file && a != b && (one_place || !apart)
}

fn apply(sources: &Sources, edits: &Edits) -> BTreeMap<u16, String> {
    let mut texts = BTreeMap::new();
    for ((file, ..), fix) in edits.iter().rev() {
        let text = texts.entry(*file).or_insert_with(|| sources.get(*file).text.clone());
        text.replace_range(fix.span.range(), &fix.text);
    }
    texts
}

#[cfg(test)]
mod tests {
    use super::super::{Source, Span, codes};
    use super::*;

    fn mended(edits: &[&[(usize, usize, &str)]]) -> (String, Vec<usize>) {
        let mut sources = Sources::default();
        sources.add(Source { name: "a.exp".into(), text: "one two three".into() });
        let diagnostic = |fixes: &&[(usize, usize, &str)]| {
            let new = Diagnostic::new(&codes::UNKNOWN_NAME, "");
            fixes
                .iter()
                .fold(new, |it, (start, end, text)| it.fix(Span::new(0, *start, *end), *text))
        };
        let diagnostics: Vec<Diagnostic> = edits.iter().map(diagnostic).collect();
        let mended = mend(&sources, &diagnostics);
        let text = mended.texts.get(&0).cloned();
        (text.unwrap_or_else(|| sources.get(0).text.clone()), mended.done)
    }

    #[test]
    fn edits_that_clash_are_left_for_the_next_time() {
        assert_eq!(mended(&[&[(8, 13, "3")], &[(0, 3, "1")]]), ("1 two 3".into(), vec![0, 1]));
        assert_eq!(mended(&[&[(0, 7, "12")], &[(4, 7, "2")]]), ("12 three".into(), vec![0]));
        // The same edit for two reasons; an insertion beside an edit; two insertions at a place.
        assert_eq!(mended(&[&[(0, 3, "1")], &[(0, 3, "1")]]), ("1 two three".into(), vec![0, 1]));
        assert_eq!(mended(&[&[(3, 3, ",")], &[(0, 3, "1")]]), ("1, two three".into(), vec![0, 1]));
        assert_eq!(mended(&[&[(3, 3, ")")], &[(3, 3, "]")]]), ("one) two three".into(), vec![0]));
    }

    #[test]
    fn edits_of_one_diagnostic_stand_or_fall_together() {
        let both: &[_] = &[(0, 3, "1"), (4, 7, "2")];
        assert_eq!(mended(&[&[(4, 7, "zwei")], both]), ("one zwei three".into(), vec![0]));
        let clashing: &[_] = &[(0, 3, "1"), (1, 3, "2")];
        assert_eq!(mended(&[clashing, &[(1, 2, "0")]]), ("o0e two three".into(), vec![1]));
    }

    #[test]
    fn what_changes_nothing_or_lies_outside_is_no_edit() {
        let plain = "one two three";
        for edit in [(0, 3, "one"), (10, 99, ""), (7, 4, "x")] {
            assert_eq!(mended(&[&[edit]]), (plain.into(), vec![]));
        }
    }

    #[test]
    fn what_is_said_again_no_nearer_to_the_end_was_not_mended() {
        let said = |text: &str, message: &str| {
            let mut sources = Sources::default();
            sources.add(Source { name: "a.exp".into(), text: text.into() });
            let at = text.find(['.', '&']).unwrap();
            let diagnostic = Diagnostic::new(&codes::STATEMENT, message);
            (sources, [diagnostic.at(Span::new(0, at, at + 1), "")])
        };
        let returns = |before: &str, after: &str, message: &str| {
            let (sources, diagnostics) = said(before, "point");
            let before = Said::of(&sources, &diagnostics[0]).into_iter().collect();
            let (sources, diagnostics) = said(after, message);
            returned(before, &sources, &diagnostics).len() == 1
        };
        assert!(returns("a = 5.5\n", "a = 5.05\n", "point"));
        assert!(returns("a = 5.5\n", "edition 1\n\na = 5.05\n", "point"));
        assert!(!returns("a = 5.5\n", "a = 5.05\n", "another"));
        assert!(!returns("a && b && c\n", "a and b && c\n", "point"));
        assert!(!returns("a = .5\nb = .5\n", "a = 5\nb = .5\n", "point"));
    }
}
