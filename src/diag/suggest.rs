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
    scored.filter(|(edits, _)| *edits <= limit).min().map(|(_, candidate)| candidate)
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
        assert_eq!(closest(&"s".repeat(1000), words), None);
    }
}
