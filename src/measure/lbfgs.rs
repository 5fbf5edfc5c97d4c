//! The least value of a smooth function, by L-BFGS.

use std::collections::VecDeque;

/// How much of what a slope promises a step must come down, and how much of the slope may be left.
const ENOUGH: f64 = 1e-4;
const FLAT: f64 = 0.9;
/// Lengths of a step that are tried.
const TRIES: usize = 40;
/// What rounding may add to a value, as a share of it.
const ROUNDING: f64 = 1e-9;

/// The method of Liu and Nocedal (1989), with steps that satisfy the weak Wolfe conditions by
/// bisection (Lewis and Overton, 2013).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Lbfgs {
    /// Steps whose change of slope is remembered.
    pub memory: usize,
    /// The largest slope along any axis that counts as none.
    pub tolerance: f64,
    /// Steps after which the search ends where it is.
    pub iterations: usize,
}

/// Where a function was looked at.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    pub at: Vec<f64>,
    pub value: f64,
    pub slope: Vec<f64>,
}

impl Point {
    fn of<E>(
        at: Vec<f64>,
        f: &mut impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
    ) -> Result<Self, E> {
        let (value, slope) = f(&at)?;
        Ok(Self { at, value, slope })
    }

    /// The largest slope along any axis.
    pub fn steepest(&self) -> f64 {
        self.slope.iter().fold(0.0, |most, it| it.abs().max(most))
    }
}

/// A step that was taken, and how the slope changed on it.
struct Step {
    way: Vec<f64>,
    bend: Vec<f64>,
    /// Of the two the inner product, which is positive.
    along: f64,
}

impl Lbfgs {
    /// The least value of `f`, downhill from `start`; `f` gives a value and its slope along each
    /// axis, or an error that ends the search.
    ///
    /// # Errors
    /// Those of `f`.
    pub fn minimum<E>(
        &self,
        start: Vec<f64>,
        mut f: impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
    ) -> Result<Point, E> {
        let mut point = Point::of(start, &mut f)?;
        let mut past: VecDeque<Step> = VecDeque::new();
        for _ in 0..self.iterations {
            if point.steepest() <= self.tolerance {
                break;
            }
            let way = downhill(&point.slope, &past);
            let length = if past.is_empty() { 1.0 / norm(&way).max(1.0) } else { 1.0 };
            let Some(next) = along(&point, &way, length, &mut f)? else {
                // What is remembered may be rounding alone.
                if past.is_empty() {
                    break;
                }
                past.clear();
                continue;
            };
            past.extend(Step::between(&point, &next));
            if past.len() > self.memory {
                past.pop_front();
            }
            point = next;
        }
        Ok(point)
    }
}

impl Step {
    fn between(from: &Point, to: &Point) -> Option<Self> {
        let way = difference(&to.at, &from.at);
        let bend = difference(&to.slope, &from.slope);
        let product = dot(&way, &bend);
        (product > f64::EPSILON * dot(&bend, &bend)).then_some(Self { way, bend, along: product })
    }
}

/// The way to the minimum as far as `past` steps tell (Nocedal and Wright, algorithm 7.4).
fn downhill(slope: &[f64], past: &VecDeque<Step>) -> Vec<f64> {
    let mut way: Vec<f64> = slope.iter().map(|it| -it).collect();
    let mut shares = Vec::new();
    for step in past.iter().rev() {
        let share = dot(&step.way, &way) / step.along;
        add(&mut way, -share, &step.bend);
        shares.push(share);
    }
    if let Some(last) = past.back() {
        let scale = last.along / dot(&last.bend, &last.bend);
        way.iter_mut().for_each(|it| *it *= scale);
    }
    for (step, share) in past.iter().zip(shares.into_iter().rev()) {
        let back = dot(&step.bend, &way) / step.along;
        add(&mut way, share - back, &step.way);
    }
    way
}

/// A point on the `way` that is low enough and flat enough; none where there is no way down.
fn along<E>(
    from: &Point,
    way: &[f64],
    mut length: f64,
    f: &mut impl FnMut(&[f64]) -> Result<(f64, Vec<f64>), E>,
) -> Result<Option<Point>, E> {
    let slope = dot(&from.slope, way);
    let (mut near, mut far) = (0.0, f64::INFINITY);
    if slope >= 0.0 {
        return Ok(None);
    }
    for _ in 0..TRIES {
        let mut at = from.at.clone();
        add(&mut at, length, way);
        let next = Point::of(at, f)?;
        let most = from.value + ENOUGH * length * slope + ROUNDING * from.value.abs();
        // What is not a number is not low enough.
        if next.value.is_nan() || next.value > most {
            far = length;
        } else if dot(&next.slope, way) < FLAT * slope {
            near = length;
        } else {
            return Ok(Some(next));
        }
        length = if far.is_finite() { 0.5 * (near + far) } else { 2.0 * length };
    }
    Ok(None)
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn difference(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

fn add(to: &mut [f64], share: f64, what: &[f64]) {
    to.iter_mut().zip(what).for_each(|(to, it)| *to += share * it);
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    const SEARCH: Lbfgs = Lbfgs { memory: 10, tolerance: 1e-9, iterations: 1000 };

    /// Rosenbrock's valley, whose least value is 0 where all coordinates are 1.
    fn valley(x: &[f64]) -> Result<(f64, Vec<f64>), Infallible> {
        let (mut value, mut slope) = (0.0, vec![0.0; x.len()]);
        for i in 0..x.len() - 1 {
            let (bend, rest) = (x[i + 1] - x[i] * x[i], 1.0 - x[i]);
            value += 100.0 * bend * bend + rest * rest;
            slope[i] -= 400.0 * bend * x[i] + 2.0 * rest;
            slope[i + 1] += 200.0 * bend;
        }
        Ok((value, slope))
    }

    #[test]
    fn the_end_of_a_bent_valley_is_found() {
        let Ok(found) = SEARCH.minimum(vec![-1.2, 1.0, -1.2, 1.0, 0.3, 2.0], valley);
        assert!(found.at.iter().all(|x| (x - 1.0).abs() < 1e-8), "{found:?}");
    }

    #[test]
    fn nothing_moves_where_nothing_is_to_be_gained() {
        let flat = |x: &[f64]| Ok::<_, Infallible>((2.0, vec![0.0; x.len()]));
        let Ok(found) = SEARCH.minimum(vec![3.0, -1.0], flat);
        assert_eq!(found.at, [3.0, -1.0]);
    }

    #[test]
    fn an_error_ends_the_search() {
        let mut looks = 0;
        let found = SEARCH.minimum(vec![-1.2, 1.0], |x| {
            looks += 1;
            if looks < 4 { valley(x).map_err(|never| match never {}) } else { Err("enough") }
        });
        assert_eq!(found, Err("enough"));
    }
}
