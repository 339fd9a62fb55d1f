//! The data elements that matter for pixels, and their names for messages.

use std::fmt;

/// Group and element number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Tag(pub u16, pub u16);

pub(super) const TRANSFER_SYNTAX: Tag = Tag(0x0002, 0x0010);
pub(super) const PATIENT_ID: Tag = Tag(0x0010, 0x0020);
pub(super) const STUDY: Tag = Tag(0x0020, 0x000D);
pub(super) const LATERALITY: Tag = Tag(0x0020, 0x0060);
pub(super) const IMAGE_LATERALITY: Tag = Tag(0x0020, 0x0062);
pub(super) const SAMPLES: Tag = Tag(0x0028, 0x0002);
pub(super) const PHOTOMETRIC: Tag = Tag(0x0028, 0x0004);
pub(super) const PLANAR: Tag = Tag(0x0028, 0x0006);
pub(super) const FRAMES: Tag = Tag(0x0028, 0x0008);
pub(super) const ROWS: Tag = Tag(0x0028, 0x0010);
pub(super) const COLUMNS: Tag = Tag(0x0028, 0x0011);
pub(super) const BITS_ALLOCATED: Tag = Tag(0x0028, 0x0100);
pub(super) const BITS_STORED: Tag = Tag(0x0028, 0x0101);
pub(super) const HIGH_BIT: Tag = Tag(0x0028, 0x0102);
pub(super) const REPRESENTATION: Tag = Tag(0x0028, 0x0103);
pub(super) const PADDING: Tag = Tag(0x0028, 0x0120);
pub(super) const PADDING_LIMIT: Tag = Tag(0x0028, 0x0121);
pub(super) const WINDOW_CENTRE: Tag = Tag(0x0028, 0x1050);
pub(super) const WINDOW_WIDTH: Tag = Tag(0x0028, 0x1051);
pub(super) const INTERCEPT: Tag = Tag(0x0028, 0x1052);
pub(super) const SLOPE: Tag = Tag(0x0028, 0x1053);
pub(super) const WINDOW_FUNCTION: Tag = Tag(0x0028, 0x1056);
/// Descriptors of the red, green and blue palette.
pub(super) const PALETTE_DESCRIPTORS: [Tag; 3] = [Tag(0x0028, 0x1101), Tag(0x0028, 0x1102), Tag(0x0028, 0x1103)];
/// Values of the red, green and blue palette.
pub(super) const PALETTES: [Tag; 3] = [Tag(0x0028, 0x1201), Tag(0x0028, 0x1202), Tag(0x0028, 0x1203)];
pub(super) const SEGMENTED_PALETTE: Tag = Tag(0x0028, 0x1221);
pub(super) const MODALITY_LUT: Tag = Tag(0x0028, 0x3000);
/// Functional groups that all frames share.
pub(super) const SHARED_GROUPS: Tag = Tag(0x5200, 0x9229);
/// Functional groups of each frame.
pub(super) const FRAME_GROUPS: Tag = Tag(0x5200, 0x9230);
pub(super) const FLOAT_PIXELS: Tag = Tag(0x7FE0, 0x0008);
pub(super) const DOUBLE_PIXELS: Tag = Tag(0x7FE0, 0x0009);
pub(super) const PIXELS: Tag = Tag(0x7FE0, 0x0010);
pub(super) const ITEM: Tag = Tag(0xFFFE, 0xE000);
pub(super) const ITEM_END: Tag = Tag(0xFFFE, 0xE00D);
pub(super) const SEQUENCE_END: Tag = Tag(0xFFFE, 0xE0DD);

/// The names of the elements that messages mention.
const NAMES: [(Tag, &str); 26] = [
    (TRANSFER_SYNTAX, "TransferSyntaxUID"),
    (SAMPLES, "SamplesPerPixel"),
    (PHOTOMETRIC, "PhotometricInterpretation"),
    (PLANAR, "PlanarConfiguration"),
    (FRAMES, "NumberOfFrames"),
    (ROWS, "Rows"),
    (COLUMNS, "Columns"),
    (BITS_ALLOCATED, "BitsAllocated"),
    (BITS_STORED, "BitsStored"),
    (HIGH_BIT, "HighBit"),
    (REPRESENTATION, "PixelRepresentation"),
    (WINDOW_CENTRE, "WindowCenter"),
    (WINDOW_WIDTH, "WindowWidth"),
    (INTERCEPT, "RescaleIntercept"),
    (SLOPE, "RescaleSlope"),
    (WINDOW_FUNCTION, "VOILUTFunction"),
    (PALETTE_DESCRIPTORS[0], "RedPaletteColorLookupTableDescriptor"),
    (PALETTE_DESCRIPTORS[1], "GreenPaletteColorLookupTableDescriptor"),
    (PALETTE_DESCRIPTORS[2], "BluePaletteColorLookupTableDescriptor"),
    (PALETTES[0], "RedPaletteColorLookupTableData"),
    (PALETTES[1], "GreenPaletteColorLookupTableData"),
    (PALETTES[2], "BluePaletteColorLookupTableData"),
    (MODALITY_LUT, "ModalityLUTSequence"),
    (FLOAT_PIXELS, "FloatPixelData"),
    (DOUBLE_PIXELS, "DoubleFloatPixelData"),
    (PIXELS, "PixelData"),
];

impl Tag {
    /// Whether the element is read. All others, among them the patient's name, are passed over.
    pub fn is_wanted(self) -> bool {
        const UNNAMED: [Tag; 7] =
            [PATIENT_ID, STUDY, LATERALITY, IMAGE_LATERALITY, PADDING, PADDING_LIMIT, SEGMENTED_PALETTE];
        UNNAMED.contains(&self) || NAMES.iter().any(|(known, _)| *known == self)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(group, element) = *self;
        write!(out, "({group:04X},{element:04X})")?;
        match NAMES.iter().find(|(known, _)| known == self) {
            Some((_, name)) => write!(out, " {name}"),
            None => Ok(()),
        }
    }
}
