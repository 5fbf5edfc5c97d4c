//! The area under the ROC curve.

/// The chance that a positive one scores above a negative one, ties counting half (Mann and Whitney);
/// none without one of each. `scores` are finite.
pub fn auroc(scores: &[f64], is_positive: &[bool]) -> Option<f64> {
    let mut order: Vec<usize> = (0..scores.len()).collect();
    order.sort_by(|a, b| scores[*a].total_cmp(&scores[*b]));
    let (mut wins, mut below) = (0.0, 0.0);
    for tie in order.chunk_by(|a, b| scores[*a] == scores[*b]) {
        let positive = tie.iter().filter(|at| is_positive[**at]).count() as f64;
        let negative = tie.len() as f64 - positive;
        wins += positive * (below + 0.5 * negative);
        below += negative;
    }
    let pairs = below * (scores.len() as f64 - below);
    (pairs > 0.0).then(|| wins / pairs)
}
