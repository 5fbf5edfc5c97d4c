//! Spelling suggestions.

/// Longer names are not compared: the work grows with the product of the lengths.
const LONGEST: usize = 64;

/// The candidate closest to `name`, when one is close enough to be a typo; capitals do not count.
pub fn closest<'a>(name: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if name.len() > LONGEST {
        return None;
    }
    let limit = (name.chars().count() / 3).max(1);
    let candidates = candidates.into_iter().filter(|it| it.len() <= LONGEST && *it != name);
    let wanted = name.to_lowercase();
    let scored = candidates.map(|it| (distance(&wanted, &it.to_lowercase()), it));
    // Where every letter is another, nothing is alike.
    let letters = |it: &str| it.chars().count().max(name.chars().count());
    let is_near = |(edits, it): &(usize, &str)| *edits <= limit && *edits < letters(it);
    scored.filter(is_near).min().map(|(_, candidate)| candidate)
}

/// The candidate that `name` can only be a slip for, so that it may be written without asking: one
/// edit away, or two in a long word, and no other is as near. Numbers tell things apart, and so do
/// letters at the end, but for a plural's and doubled ones.
pub fn certain<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str> + Clone,
) -> Option<&'a str> {
    let near = closest(name, candidates.clone())?;
    let (wanted, found) = (name.to_lowercase(), near.to_lowercase());
    let letters = name.chars().count();
    let edits = distance(&wanted, &found);
    let is_near = letters >= 3 && edits <= if letters >= 8 { 2 } else { 1 };
    let digits = |text: &str| text.chars().filter(char::is_ascii_digit).collect::<String>();
    let rest = wanted.strip_prefix(&found).or_else(|| found.strip_prefix(&wanted));
    let shorter = if wanted.len() < found.len() { &wanted } else { &found };
    let is_end = |it: &str| it.is_empty() || it == "s" || shorter.ends_with(it);
    let is_slip = digits(&wanted) == digits(&found) && rest.is_none_or(is_end);
    let is_rival = |it: &str| {
        it.len() <= LONGEST && it != near && distance(&wanted, &it.to_lowercase()) <= edits
    };
    (is_near && is_slip && !candidates.into_iter().any(is_rival)).then_some(near)
}

/// Edits (insert, delete, replace, swap of neighbours) from `a` to `b`.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for (i, row) in rows.iter_mut().enumerate() {
        row[0] = i;
    }
    rows[0] = (0..=b.len()).collect();
    for i in 1..=a.len() {
        for j in 1..=b.len() {
            let replaced = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
            let mut best = replaced.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
            if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                best = best.min(rows[i - 2][j - 2] + 1);
            }
            rows[i][j] = best;
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_finds_its_word_and_a_stranger_none() {
        let words = ["supcon", "class_infonce", "infonce"];
        assert_eq!(closest("supcom", words), Some("supcon"));
        assert_eq!(closest("suponc", words), Some("supcon"));
        assert_eq!(closest("class_infonse", words), Some("class_infonce"));
        assert_eq!(closest("SupCon", words), Some("supcon"));
        assert_eq!(closest("vicreg", words), None);
        assert_eq!(closest("supcon", ["supcon"]), None);
        assert_eq!(closest("t", ["e"]), None);
        assert_eq!(closest("t", ["e", "T", "te"]), Some("T"));
        assert_eq!(closest(&"s".repeat(1000), words), None);
    }

    #[test]
    fn only_a_slip_is_certain() {
        let words = ["temperature", "labels", "adamw", "sgd", "resnet", "cifar10", "cosine", "own"];
        for (slip, meant) in [
            ("temprature", "temperature"),
            ("temperture", "temperature"),
            ("label", "labels"),
            ("cifer10", "cifar10"),
            ("cosnie", "cosine"),
            ("OWN", "own"),
            ("sgdd", "sgd"),
        ] {
            assert_eq!(certain(slip, words), Some(meant));
        }
        // Another optimizer, another network, another dataset, something new.
        for other in ["adam", "sgdm", "resnet50", "cifar20", "ow", "timperatore2"] {
            assert_eq!(certain(other, words), None, "{other}");
        }
        assert_eq!(certain("tap", ["tau", "tan"]), None);
    }
}
