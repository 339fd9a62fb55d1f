//! Class sums: all that the heads know, in integers.
//!
//! D feature dimensions, C classes. For each class the number of samples and the sum of their
//! features; over all classes together the sum of outer products `x xᵀ`, upper triangle.
//! To learn is to add and to forget is to subtract, so order never matters, what is forgotten
//! leaves no trace, and the sums of many devices merge by adding.
//!
//! No sum can overflow: samples are limited to `u32::MAX`, and
//! `u32::MAX * 32768² < 2⁶²` fits an `i64`.

use core::fmt;

use crate::feature::DIM_MAX;
use crate::support_set::CLASSES_MAX;

// The bound the file's head promises, computed.
const _: () = assert!((u32::MAX as i128) * (i16::MIN as i128) * (i16::MIN as i128) <= i64::MAX as i128);

/// A head cannot do what was asked; it is as it was before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeadError {
    /// Features have 1 to [`DIM_MAX`] dimensions.
    DimensionOutOfRange {
        /// What was asked for.
        found: usize,
    },
    /// Heads have 1 to [`CLASSES_MAX`] classes.
    ClassesOutOfRange {
        /// What was asked for.
        found: usize,
    },
    /// The memory lent has another size than needed.
    Memory {
        /// Which: `counts`, `sums`, `products`, `scratch`, `probabilities`, `features`, `supports`, `target`.
        what: &'static str,
        /// Values lent.
        found: usize,
        /// Values needed.
        expected: usize,
    },
    /// The feature has another dimension than the head.
    FeatureDimension {
        /// Length of the feature.
        found: usize,
        /// Dimension of the head.
        expected: usize,
    },
    /// There is no such class.
    ClassOutOfRange {
        /// The class asked for.
        class: u8,
        /// Classes of the head.
        classes: usize,
    },
    /// The head holds as many samples as it can count.
    Full,
    /// The class has no sample to forget.
    EmptyClass {
        /// The class asked for.
        class: u8,
    },
    /// The sample cannot be among those learned: without it the sums would be impossible.
    NeverLearned {
        /// The class asked for.
        class: u8,
    },
    /// Sums and counts contradict each other: this memory is not a head's.
    Inconsistent,
    /// The two heads differ in dimension, classes or in keeping products.
    ShapeDiffers,
    /// The Gaussian head needs the sum of outer products, which this head does not keep.
    NoProducts,
    /// No class has a sample yet.
    NothingLearned,
    /// An error rate is between 1 and 999 thousandths.
    ErrorRate {
        /// What was asked for.
        found: u16,
    },
    /// The shrunk covariance is not positive definite.
    NotPositiveDefinite {
        /// The dimension at which it shows.
        dimension: usize,
    },
}

impl fmt::Display for HeadError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::DimensionOutOfRange { found } => write!(f, "{found} dimensions, the limits are 1 and {DIM_MAX}"),
            Self::ClassesOutOfRange { found } => write!(f, "{found} classes, the limits are 1 and {CLASSES_MAX}"),
            Self::Memory { what, found, expected } => {
                write!(f, "memory for {what} holds {found} values, {expected} are needed")
            }
            Self::FeatureDimension { found, expected } => {
                write!(f, "the feature has {found} dimensions, the head has {expected}")
            }
            Self::ClassOutOfRange { class, classes } => write!(f, "class {class} of a head with {classes} classes"),
            Self::Full => write!(f, "the head holds {} samples and can count no more", u32::MAX),
            Self::EmptyClass { class } => write!(f, "class {class} has no sample to forget"),
            Self::NeverLearned { class } => write!(f, "this sample was never learned as class {class}"),
            Self::Inconsistent => write!(f, "the sums contradict the counts"),
            Self::ShapeDiffers => write!(f, "the heads differ in dimension, classes or products"),
            Self::NoProducts => write!(f, "the head keeps no outer products, the Gaussian head needs them"),
            Self::ErrorRate { found } => write!(f, "an error rate of {found} thousandths, the limits are 1 and 999"),
            Self::NothingLearned => write!(f, "no class has been learned"),
            Self::NotPositiveDefinite { dimension } => {
                write!(f, "the covariance is not positive definite at dimension {dimension}")
            }
        }
    }
}

impl core::error::Error for HeadError {}

/// Sums over memory that the caller lends: `4 C + 8 C D` bytes, and `4 D (D + 1)` for products.
#[derive(Debug)]
pub struct ClassSums<'m> {
    dim: usize,
    total: u32,
    counts: &'m mut [u32],
    sums: &'m mut [i64],
    products: &'m mut [i64],
}

impl<'m> ClassSums<'m> {
    /// Values of `sums` for `dim` dimensions and `classes` classes.
    pub const fn sums_len(dim: usize, classes: usize) -> usize {
        dim * classes
    }

    /// Values of `products` for `dim` dimensions: the upper triangle with its diagonal, row by row.
    pub const fn products_len(dim: usize) -> usize {
        dim * (dim + 1) / 2
    }

    /// An empty head; the memory lent is cleared.
    ///
    /// * `counts`: `[C]`, which decides the number of classes
    /// * `sums`: `[C, D]`
    /// * `products`: [`Self::products_len`], or empty for a head that keeps none and can only be a prototype head
    ///
    /// # Errors
    /// When a size is out of range or the memory does not fit it.
    pub fn empty(
        dim: usize,
        counts: &'m mut [u32],
        sums: &'m mut [i64],
        products: &'m mut [i64],
    ) -> Result<Self, HeadError> {
        check_memory(dim, counts, sums, products)?;
        counts.fill(0);
        sums.fill(0);
        products.fill(0);
        Ok(Self { dim, total: 0, counts, sums, products })
    }

    /// A head from sums that were kept; the memory is used as it is. Sizes as for [`Self::empty`].
    ///
    /// # Errors
    /// When sizes do not fit, or no samples could have left such sums.
    pub fn restore(
        dim: usize,
        counts: &'m mut [u32],
        sums: &'m mut [i64],
        products: &'m mut [i64],
    ) -> Result<Self, HeadError> {
        check_memory(dim, counts, sums, products)?;
        let total = counts.iter().try_fold(0u32, |total, &count| total.checked_add(count)).ok_or(HeadError::Full)?;
        for (&count, sum) in counts.iter().zip(sums.chunks_exact(dim)) {
            if sum.iter().any(|&value| value.unsigned_abs() > sum_max(count)) {
                return Err(HeadError::Inconsistent);
            }
        }
        let product_max = u64::from(total) << 30;
        if products.iter().any(|&value| value.unsigned_abs() > product_max) {
            return Err(HeadError::Inconsistent);
        }
        Ok(Self { dim, total, counts, sums, products })
    }

    /// Adds one sample of `class`. `feature`: `[D]`, from [`crate::feature::quantise`].
    ///
    /// # Errors
    /// When class or dimension do not fit or the head can count no more; nothing has changed then.
    pub fn learn(&mut self, class: u8, feature: &[i16]) -> Result<(), HeadError> {
        self.check_sample(class, feature)?;
        self.total = self.total.checked_add(1).ok_or(HeadError::Full)?;
        self.counts[usize::from(class)] += 1;
        self.add(class, feature, 1);
        Ok(())
    }

    /// Takes away one sample of `class` that was learned: exactly, as if it had never been.
    ///
    /// The sums cannot tell every stranger from a sample; a caller that keeps its samples should ask them first.
    ///
    /// # Errors
    /// When the class is empty or the sample cannot have been among those learned; nothing has changed then.
    pub fn forget(&mut self, class: u8, feature: &[i16]) -> Result<(), HeadError> {
        self.check_sample(class, feature)?;
        let count = self.counts[usize::from(class)].checked_sub(1).ok_or(HeadError::EmptyClass { class })?;
        if !self.could_hold(class, feature, count) {
            return Err(HeadError::NeverLearned { class });
        }
        self.counts[usize::from(class)] = count;
        self.total -= 1;
        self.add(class, feature, -1);
        Ok(())
    }

    /// Adds all that `other` has learned.
    ///
    /// # Errors
    /// When the shapes differ or the samples together can not be counted; nothing has changed then.
    pub fn merge(&mut self, other: &ClassSums<'_>) -> Result<(), HeadError> {
        let same = self.dim == other.dim
            && self.counts.len() == other.counts.len()
            && self.products.len() == other.products.len();
        if !same {
            return Err(HeadError::ShapeDiffers);
        }
        self.total = self.total.checked_add(other.total).ok_or(HeadError::Full)?;
        self.counts.iter_mut().zip(&*other.counts).for_each(|(mine, &theirs)| *mine += theirs);
        self.sums.iter_mut().zip(&*other.sums).for_each(|(mine, &theirs)| *mine += theirs);
        self.products.iter_mut().zip(&*other.products).for_each(|(mine, &theirs)| *mine += theirs);
        Ok(())
    }

    /// Hands every byte that the head knows to `sink`, in pieces: the canonical state.
    ///
    /// D and C as `u32`, 1 or 0 for products as `u8`, then counts, sums and products; all little-endian.
    /// Two heads with the same samples give the same bytes, in whatever order they were taught, on any CPU.
    pub fn state(&self, mut sink: impl FnMut(&[u8])) {
        sink(&(self.dim as u32).to_le_bytes());
        sink(&(self.counts.len() as u32).to_le_bytes());
        sink(&[u8::from(self.keeps_products())]);
        self.counts.iter().for_each(|count| sink(&count.to_le_bytes()));
        self.sums.iter().for_each(|sum| sink(&sum.to_le_bytes()));
        self.products.iter().for_each(|product| sink(&product.to_le_bytes()));
    }

    /// Feature dimension D.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Samples of each class, `[C]`.
    pub fn counts(&self) -> &[u32] {
        self.counts
    }

    /// Samples of all classes.
    pub fn total(&self) -> u32 {
        self.total
    }

    /// Sum of the features of `class`, `[D]`.
    ///
    /// # Panics
    /// When there is no such class.
    pub fn sum(&self, class: usize) -> &[i64] {
        &self.sums[class * self.dim..][..self.dim]
    }

    /// Sum of outer products, upper triangle row by row: `(0,0), (0,1), … (0,D-1), (1,1), …`; empty where not kept.
    pub fn products(&self) -> &[i64] {
        self.products
    }

    /// Whether a Gaussian head can be made.
    pub fn keeps_products(&self) -> bool {
        !self.products.is_empty()
    }

    fn check_sample(&self, class: u8, feature: &[i16]) -> Result<(), HeadError> {
        if usize::from(class) >= self.counts.len() {
            return Err(HeadError::ClassOutOfRange { class, classes: self.counts.len() });
        }
        self.check_feature(feature)
    }

    pub(super) fn check_feature(&self, feature: &[i16]) -> Result<(), HeadError> {
        match feature.len() == self.dim {
            true => Ok(()),
            false => Err(HeadError::FeatureDimension { found: feature.len(), expected: self.dim }),
        }
    }

    /// Whether `remaining` samples could have the sum that is left without `feature`.
    fn could_hold(&self, class: u8, feature: &[i16], remaining: u32) -> bool {
        let sum = self.sum(usize::from(class));
        sum.iter().zip(feature).all(|(&sum, &x)| (sum - i64::from(x)).unsigned_abs() <= sum_max(remaining))
    }

    fn add(&mut self, class: u8, feature: &[i16], sign: i64) {
        let sum = &mut self.sums[usize::from(class) * self.dim..][..self.dim];
        sum.iter_mut().zip(feature).for_each(|(sum, &x)| *sum += sign * i64::from(x));
        if self.products.is_empty() {
            return;
        }
        let mut rest = &mut *self.products;
        for (i, &x) in feature.iter().enumerate() {
            let (row, below) = rest.split_at_mut(self.dim - i);
            let signed = sign * i64::from(x);
            row.iter_mut().zip(&feature[i..]).for_each(|(product, &y)| *product += signed * i64::from(y));
            rest = below;
        }
    }
}

/// Largest magnitude that the sum of `count` components can have.
fn sum_max(count: u32) -> u64 {
    u64::from(count) << 15
}

fn check_memory(dim: usize, counts: &[u32], sums: &[i64], products: &[i64]) -> Result<(), HeadError> {
    if !(1..=DIM_MAX).contains(&dim) {
        return Err(HeadError::DimensionOutOfRange { found: dim });
    }
    if !(1..=CLASSES_MAX).contains(&counts.len()) {
        return Err(HeadError::ClassesOutOfRange { found: counts.len() });
    }
    let expected = ClassSums::sums_len(dim, counts.len());
    if sums.len() != expected {
        return Err(HeadError::Memory { what: "sums", found: sums.len(), expected });
    }
    let expected = ClassSums::products_len(dim);
    if !products.is_empty() && products.len() != expected {
        return Err(HeadError::Memory { what: "products", found: products.len(), expected });
    }
    Ok(())
}
