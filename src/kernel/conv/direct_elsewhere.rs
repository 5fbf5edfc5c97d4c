//! Stands in for summing windows in registers on processors where that is not written.

use super::geometry::Geometry;
use crate::kernel::real::Real;

pub(super) fn fits_forward(_geometry: &Geometry) -> bool {
    false
}

pub(super) fn fits_weight_gradient(_geometry: &Geometry) -> bool {
    false
}

pub(super) fn fits_input_gradient(_geometry: &Geometry) -> bool {
    false
}

pub(super) fn forward<T: Real>(_x: &[T], _weight: &[T], _geometry: &Geometry) -> Vec<T> {
    unreachable!("nothing fits")
}

pub(super) fn input_gradient<T: Real>(_weight: &[T], _dy: &[T], _geometry: &Geometry) -> Vec<T> {
    unreachable!("nothing fits")
}

pub(super) fn weight_gradient<T: Real>(_x: &[T], _dy: &[T], _geometry: &Geometry) -> Vec<T> {
    unreachable!("nothing fits")
}
