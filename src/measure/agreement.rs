//! How far two labellings of the same items agree, whatever their labels are called.
//!
//! Definitions are those of scikit-learn: information is averaged arithmetically, chance is that of
//! labellings with the same sizes.

/// How often each pair of labels occurs.
#[derive(Debug, Clone)]
pub struct Contingency {
    /// A row for each label of the first labelling.
    pub counts: Vec<Vec<usize>>,
    rows: Vec<usize>,
    columns: Vec<usize>,
    total: usize,
}

impl Contingency {
    /// Of two labellings; labels that do not occur make no difference to any measure.
    pub fn of(first: &[u32], second: &[u32]) -> Self {
        assert_eq!(first.len(), second.len(), "both label the same items");
        let count = |labels: &[u32]| labels.iter().max().map_or(0, |most| *most as usize + 1);
        let mut counts = vec![vec![0; count(second)]; count(first)];
        for (a, b) in first.iter().zip(second) {
            counts[*a as usize][*b as usize] += 1;
        }
        let rows = counts.iter().map(|row| row.iter().sum()).collect();
        let columns =
            (0..count(second)).map(|column| counts.iter().map(|row| row[column]).sum()).collect();
        Self { counts, rows, columns, total: first.len() }
    }

    /// Normalised mutual information: 1 when each labelling tells the other, 0 when it tells
    /// nothing of it.
    pub fn nmi(&self) -> f64 {
        match (occurring(&self.rows), occurring(&self.columns)) {
            (0..=1, 0..=1) => 1.0,
            _ => {
                let information = self.information();
                if information <= f64::EPSILON {
                    return 0.0;
                }
                information / self.mean_entropy()
            }
        }
    }

    /// Mutual information less what chance gives, so that labels drawn by chance have 0.
    pub fn ami(&self) -> f64 {
        match (occurring(&self.rows), occurring(&self.columns)) {
            (0..=1, 0..=1) => 1.0,
            (0..=1, _) | (_, 0..=1) => 0.0,
            _ => {
                let expected = self.expected_information();
                let least =
                    |x: f64| if x < 0.0 { x.min(-f64::EPSILON) } else { x.max(f64::EPSILON) };
                least(self.information() - expected) / least(self.mean_entropy() - expected)
            }
        }
    }

    /// The adjusted Rand index: the share of pairs of items on which the labellings agree, less
    /// what chance gives.
    pub fn ari(&self) -> f64 {
        let squares =
            |counts: &[usize]| -> f64 { counts.iter().map(|n| (*n as f64).powi(2)).sum() };
        let both: f64 = self.counts.iter().map(|row| squares(row)).sum();
        let (rows, columns, n) = (squares(&self.rows), squares(&self.columns), self.total as f64);
        let (together, only_second, only_first) = (both - n, columns - both, rows - both);
        let apart = n * n - only_first - only_second - both;
        if only_first == 0.0 && only_second == 0.0 {
            return 1.0;
        }
        let chance = (together + only_first) * (only_first + apart)
            + (together + only_second) * (only_second + apart);
        2.0 * (together * apart - only_first * only_second) / chance
    }

    fn information(&self) -> f64 {
        let n = self.total as f64;
        let mut sum = 0.0;
        for (row, of_row) in self.counts.iter().zip(&self.rows) {
            for (count, of_column) in row.iter().zip(&self.columns).filter(|(count, _)| **count > 0)
            {
                let count = *count as f64;
                let by_chance = *of_row as f64 * *of_column as f64;
                sum += count / n * ((count / n).ln() - (by_chance / n / n).ln());
            }
        }
        sum.max(0.0)
    }

    fn mean_entropy(&self) -> f64 {
        (entropy(&self.rows, self.total) + entropy(&self.columns, self.total)) / 2.0
    }

    /// The mutual information to expect of labellings with the same sizes (Vinh et al., 2010).
    fn expected_information(&self) -> f64 {
        let logs = log_factorials(self.total);
        let mut sum = 0.0;
        for a in self.rows.iter().filter(|n| **n > 0) {
            for b in self.columns.iter().filter(|n| **n > 0) {
                sum += expected_of_pair(*a, *b, self.total, &logs);
            }
        }
        sum
    }
}

/// What the pair of a label that `a` items have and one that `b` have is expected to add.
fn expected_of_pair(a: usize, b: usize, n: usize, logs: &[f64]) -> f64 {
    let fixed = logs[a] + logs[b] + logs[n - a] + logs[n - b] - logs[n];
    let terms = ((a + b).saturating_sub(n).max(1)..=a.min(b)).map(|both| {
        let varying = logs[both] + logs[a - both] + logs[b - both] + logs[n + both - a - b];
        let told = (n as f64).ln() + (both as f64).ln() - (a as f64).ln() - (b as f64).ln();
        both as f64 / n as f64 * told * (fixed - varying).exp()
    });
    terms.sum()
}

/// ln 0!, ln 1!, … ln n!, summed with what each addition loses.
fn log_factorials(n: usize) -> Vec<f64> {
    let (mut sum, mut lost) = (0.0_f64, 0.0);
    let mut logs = vec![0.0];
    for i in 1..=n {
        let term = (i as f64).ln() + lost;
        let next = sum + term;
        lost = term - (next - sum);
        sum = next;
        logs.push(sum);
    }
    logs
}

fn entropy(counts: &[usize], total: usize) -> f64 {
    let shares = counts.iter().filter(|n| **n > 0).map(|n| *n as f64 / total as f64);
    -shares.map(|share| share * share.ln()).sum::<f64>()
}

fn occurring(counts: &[usize]) -> usize {
    counts.iter().filter(|n| **n > 0).count()
}

/// The harmonic mean of precision and recall for the class `of`; 0 when it is neither guessed nor
/// there.
pub fn f1(guesses: &[u32], labels: &[u32], of: u32) -> f64 {
    let pairs = || guesses.iter().zip(labels);
    let right = pairs().filter(|(guess, label)| **guess == of && **label == of).count();
    let named = pairs().map(|(guess, label)| usize::from(*guess == of) + usize::from(*label == of));
    let named: usize = named.sum();
    if named == 0 { 0.0 } else { 2.0 * right as f64 / named as f64 }
}
